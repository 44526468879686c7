"""What is given to the parts of this folder, told where it is given and not where it is used."""

from __future__ import annotations

from typing import Any

from streamkit.errors import ConfigurationError

__all__ = ["check_config"]


def check_config(name: str, value: Any, kind: type) -> None:
    """Raise ConfigurationError for a value that is not one of these options."""
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} must be a {kind.__name__}, got {value!r}")
