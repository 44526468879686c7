"""What is given to the parts of this folder, told where it is given and not where it is used."""

from __future__ import annotations

from typing import Any

from streamkit.errors import ConfigurationError

__all__ = ["check_config", "check_hooks"]


def check_config(name: str, value: Any, kind: type) -> None:
    """Raise ConfigurationError for a value that is not one of these options."""
    if not isinstance(value, kind):
        raise ConfigurationError(f"{name} must be a {kind.__name__}, got {value!r}")


def check_hooks(**hooks: Any) -> None:
    """Raise ConfigurationError for a hook, by its name, that is neither None nor callable."""
    for name, hook in hooks.items():
        if hook is not None and not callable(hook):
            raise ConfigurationError(f"{name} must be callable, got {hook!r}")
