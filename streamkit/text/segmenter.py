"""What a unit is to the rest of the library, and the units that have a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from streamkit.errors import ConfigurationError

if TYPE_CHECKING:
    from streamkit.text.base import UnitBuffer

__all__ = ["SEGMENTERS", "Segmenter", "new_buffer"]


class Segmenter(Protocol):
    """
    Text in any split -> units; an instance serves one text, in one thread at a time.

    ``units=`` takes any object with these methods. One that also has ``release() -> str``, what is
    held while the unit goes on, is asked for that when its time is up, and else for ``flush()``.
    """

    def feed(self, text: str) -> list[str]:
        """Take text, give the units that are whole now."""
        ...

    def flush(self) -> str:
        """The end of the text -> its last unit, empty if nothing was held; then as new."""
        ...

    def reset(self) -> None:
        """Forget everything, what is held too."""
        ...


def _unit(file: str, name: str) -> Callable[..., UnitBuffer]:
    """A class of this folder, loaded at its first use: most streams have no units."""

    def make(**options: Any) -> UnitBuffer:
        unit: Callable[..., UnitBuffer] = getattr(import_module(f"streamkit.text.{file}"), name)
        return unit(**options)

    return make


#: Name -> what makes a fresh one; all take ``strip`` and ``max_hold``.
SEGMENTERS: Mapping[str, Callable[..., UnitBuffer]] = {
    "character": _unit("units", "Character"),
    "word": _unit("units", "Word"),
    "sentence": _unit("sentence", "Sentence"),
    "line": _unit("units", "Line"),
    "paragraph": _unit("units", "Paragraph"),
    "token": _unit("units", "Token"),
}

#: Option -> the unit that has it.
_OWN = {"threshold": "token", "fences": "sentence", "exact": "character"}


def new_buffer(
    unit: str,
    *,
    strip: bool = False,
    max_hold: int | None = None,
    threshold: int | None = None,
    fences: bool = False,
    exact: bool = False,
) -> UnitBuffer:
    """
    A fresh buffer that groups text into units.

    >>> buffer = new_buffer("token", threshold=5)
    >>> buffer.add("One two three four "), buffer.add("five six"), buffer.flush()
    ('', 'One two three four five ', 'six')

    Args:
        unit: A name in SEGMENTERS.
        strip: Take off the blanks around units.
        max_hold: Most characters that wait for the end of their unit; None for no bound.
        threshold: For ``token``: how many make a unit; None for 5.
        fences: For ``sentence``: none ends inside a fenced code block.
        exact: For ``character``: clusters exactly by UAX 29, with the extra ``text``.

    Raises:
        ConfigurationError: An unknown unit, an option of another unit, or a bad value.
    """
    make = SEGMENTERS.get(unit) if isinstance(unit, str) else None
    if make is None:
        from difflib import get_close_matches  # for a mistake only

        near = get_close_matches(str(unit).lower(), SEGMENTERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"unit must be one of {', '.join(SEGMENTERS)}, got {unit!r}{hint}")
    own: dict[str, Any] = {}
    for name, value in (("threshold", threshold), ("fences", fences), ("exact", exact)):
        if value is None or value is False:
            continue
        if _OWN[name] != unit:
            raise ConfigurationError(f"{name} is an option of {_OWN[name]!r}, got unit {unit!r}")
        own[name] = value
    return make(strip=strip, max_hold=max_hold, **own)
