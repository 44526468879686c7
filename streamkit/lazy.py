"""What few streams need costs none of them an import: it is loaded when it is first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy"]


def lazy(package: str, homes: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """
    The ``__getattr__`` of a package some of whose public names are loaded late.

    Type checkers should not see it, or they take any name for one of the package's.

    Thread safety: **shared**, like any import.

    Args:
        package: Its ``__name__``.
        homes: A file of the package -> the public names in it.
    """
    files = {name: file for file, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in files:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{files[name]}"), name)
        setattr(sys.modules[package], name, value)  # so that this is asked once
        return value

    return find
