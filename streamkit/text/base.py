"""
What all units share: holding text until its unit is over, trimming, and the bound on holding.

How it works: a unit says, for each new text, at which positions of it a unit ends, and keeps a
state of fixed size for the next text. So no text is looked at twice, and one character at a time
costs as much per character as one text of 10 MB.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

from streamkit.errors import ConfigurationError
from streamkit.text.graphemes import is_break

__all__ = ["UnitBuffer"]


class UnitBuffer(ABC):
    """
    Text in any split -> whole units; the split never changes the units.

    Joined, the units and what ``flush`` gives are the text, unless ``strip`` is set. The ways to
    make one are ``new_buffer`` and ``SEGMENTERS``.

    Thread safety: **confined**.

    Args:
        strip: Take off the blanks around units; units of blanks only are left out.
        max_hold: Most characters that wait for the end of their unit, at least 1; a longer unit
            comes in pieces of at most so many, cut after a blank if the second half of the piece
            has one, and else between characters as a reader sees them. None for no bound.

    Raises:
        ConfigurationError: strip is no bool, or max_hold no whole number, or less than 1.
    """

    def __init__(self, *, strip: bool = False, max_hold: int | None = None) -> None:
        true_or_false("strip", strip)
        if max_hold is not None:
            at_least_one("max_hold", max_hold)
        self._strip = strip
        self._most = max_hold
        self._held: list[str] = []
        self._size = 0  # characters held; kept only where they have a bound
        self._restart()

    def feed(self, text: str) -> list[str]:
        """Take text, give the units that are whole now. Cost: linear in the text."""
        units = self._cut(text)
        return [kept for unit in units if (kept := self._trim(unit))] if self._strip else units

    def add(self, text: str) -> str:
        """Like ``feed``, joined; with ``strip``, blanks between units stay and those around go."""
        joined = "".join(self._cut(text))
        return self._trim(joined) if self._strip else joined

    def release(self) -> str:
        """What is held, now; the unit goes on with the next text, and flush() gives the rest."""
        rest = "".join(self._held)
        self._held = []
        self._size = 0
        return self._trim(rest) if self._strip else rest

    def flush(self) -> str:
        """The end of the text -> its last unit, empty if nothing was held; then as new."""
        rest = self.release()
        self._restart()
        return rest

    def reset(self) -> None:
        """Forget everything, what is held too."""
        self._held = []
        self._size = 0
        self._restart()

    @abstractmethod
    def _ends(self, text: str) -> Sequence[int]:
        """Where units end in this text, in order; 0 if the unit was over before it."""

    def _restart(self) -> None:  # noqa: B027  # most units keep nothing
        """Begin a new text."""

    def _trim(self, text: str) -> str:
        """The text without the blanks around it that ``strip`` takes off."""
        return text.strip()

    def _cut(self, text: str) -> list[str]:
        if not text:
            return []
        units: list[str] = []
        ends = self._ends(text)
        if ends:
            self._held.append(text[: ends[0]])
            first = "".join(self._held)
            # Nothing is left of a unit whose end shows after it was released.
            units = [first] if first else []
            if len(ends) > 1:
                units += [text[start:end] for start, end in pairwise(ends)]
            self._held = []
            self._size = 0
            text = text[ends[-1] :]
        if text:
            self._held.append(text)
        return units if self._most is None else self._bounded(units, self._most, len(text))

    def _bounded(self, units: list[str], most: int, grown: int) -> list[str]:
        """Whole units in pieces of at most ``most``, and the pieces that need not be held."""
        out = [piece for unit in units for piece in _pieces(unit, most)]
        self._size += grown
        if self._size > most:
            *full, rest = _pieces("".join(self._held), most)
            out += full
            self._held = [rest]
            self._size = len(rest)
        return out


def at_least_one(name: str, value: object) -> None:
    """
    Check an option that counts something.

    Raises:
        ConfigurationError: It is no whole number, or less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigurationError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise ConfigurationError(f"{name} must be at least 1, got {value}")


def true_or_false(name: str, value: object) -> None:
    """
    Check an option that is a switch: ``"no"`` would be on.

    Raises:
        ConfigurationError: It is no bool.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, got {value!r}")


def _pieces(text: str, most: int) -> list[str]:
    """
    A unit -> pieces of at most ``most`` characters; the last is what is left.

    A piece depends only on the text from its start on and is certain once a character more is
    there, so pieces are the same whether they leave one by one or with the end of their unit.
    """
    pieces = []
    start = 0
    while len(text) - start > most:
        limit = start + most
        blank = max(text.rfind(mark, start + most // 2, limit) for mark in " \n")
        end = blank + 1 if blank >= 0 else limit
        while end > start and not is_break(text, end, start):
            end -= 1
        if end == start:  # one character of so many marks that it has to be torn
            end = limit
        pieces.append(text[start:end])
        start = end
    pieces.append(text[start:])
    return pieces
