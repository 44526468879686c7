"""What counts as a function where one is given to be called: nothing here runs an event loop."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, iscoroutinefunction

from streamkit.errors import ConfigurationError

__all__ = ["async_kind", "check_callable"]

_ASYNC: tuple[tuple[Callable[[object], bool], str], ...] = (
    (iscoroutinefunction, "a coroutine"),
    (isasyncgenfunction, "an async generator"),
)


def async_kind(function: object) -> str | None:
    """
    ``a coroutine`` or ``an async generator`` for a function of that kind, None for any other.

    The call of one only makes an object, which is true, and never runs the body.
    """
    called = getattr(type(function), "__call__", None)  # noqa: B004  # an object with async def
    for told, kind in _ASYNC:
        if told(function) or told(called):
            return kind
    return None


def check_callable(**functions: object) -> None:
    """
    Refuse, by its name, what is neither None nor a function that a call runs.

    Raises:
        ConfigurationError: One of them cannot be called, or is an ``async def``.
    """
    for name, function in functions.items():
        if function is None:
            continue
        if not callable(function):
            raise ConfigurationError(f"{name} must be callable, got {function!r}")
        if (kind := async_kind(function)) is not None:
            raise ConfigurationError(
                f"{name} must be a plain function, got {kind} function, which nothing would await"
            )
