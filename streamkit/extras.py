"""
What does not come with the plain install: imported when first used, by the function that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from streamkit.errors import ConfigurationError

__all__ = ["require"]


def require(module: str, *, extra: str, what: str) -> Any:
    """
    The module, imported now if it was not.

    Thread safety: **shared**, like any import.

    Args:
        module: Its import name.
        extra: The extra of this distribution that installs it.
        what: Who needs it, as users know it.

    Raises:
        ConfigurationError: It cannot be imported; the message says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f'{what} needs {module}, which cannot be imported: pip install "llm-streamkit[{extra}]"'
        ) from error
