"""
Sentences.

How it works: a sentence may be over after a stop (``.`` ``!`` ``?`` ...) with the closing quotes,
brackets and notes that follow it. It is over for certain when blanks come next and the first
character after them does not speak against it, so a sentence waits for the beginning of the next
one. The steps are states, each of fixed size: before any character of a sentence, in its text,
after a stop, in a note like ``[1]`` after a stop, in the blanks after that, in a code block.

What speaks against it is in stops.py. A full stop within a word, a number or an address has no
blank after it and never counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from typing_extensions import override

from streamkit.text.base import UnitBuffer, true_or_false
from streamkit.text.fence import MARKS, Fence, run_end
from streamkit.text.stops import BACK, CLOSERS, STOPS, Stop

__all__ = ["Sentence"]

#: A full stop within a word, a number or an address is passed over at once.
_NEXT = re.compile(rf"[\n«{re.escape(STOPS[1:])}]|\.(?![^\W_])")
_RUN = re.compile(f"[{re.escape(STOPS + ''.join(sorted(CLOSERS)))}]*")
_NOTE = re.compile(r"[\d^, ]*")
_BLANKS = re.compile(r"\s*")


class Sentence(UnitBuffer):
    """
    Sentences, each with the blanks that follow it.

    >>> buffer = Sentence(strip=True)
    >>> buffer.add("Hello world"), buffer.add(". How are"), buffer.add(" you?"), buffer.flush()
    ('', 'Hello world.', '', 'How are you?')
    >>> Sentence().feed("Dr. J. Smith paid $3.50 (e.g. at shop.example.com). She left. ")
    ['Dr. J. Smith paid $3.50 (e.g. at shop.example.com). ']

    An empty line ends a sentence with or without a stop: headings, items. Chinese and Japanese
    stops need no blank after them.

    Thread safety: **confined**.

    Args:
        strip: See UnitBuffer; so is max_hold.
        fences: No sentence ends inside a fenced code block, and one ends with the block.

    Raises:
        ConfigurationError: fences is no bool.
    """

    def __init__(
        self, *, strip: bool = False, max_hold: int | None = None, fences: bool = False
    ) -> None:
        true_or_false("fences", fences)
        self._fences = fences
        super().__init__(strip=strip, max_hold=max_hold)

    @override
    def _restart(self) -> None:
        self._recent = "\n"  # the last characters; the text begins like a line
        self._begin()
        self._lines = 1

    def _begin(self) -> None:
        """A sentence begins: in blanks, which do not end it."""
        # A plain function: a bound method would be a cycle, for the garbage collector to find.
        self._step: Callable[[Sentence, str, int, list[int]], int] = Sentence._blanks
        self._stop: Stop | None = None
        self._lines = 0  # line feeds in the blanks
        self._over = False  # it is over whatever comes next
        self._empty = True
        self._quoted = False  # a French quotation is open
        self._fence: Fence | None = None

    @override
    def _ends(self, text: str) -> Sequence[int]:
        ends: list[int] = []
        at = 0
        while at < len(text):
            at = self._step(self, text, at, ends)
        self._recent = self._back(text, len(text))
        return ends

    def _back(self, text: str, at: int) -> str:
        """The last characters before a position of this text."""
        if at >= BACK:
            return text[at - BACK : at]
        return (self._recent + text[:at])[-BACK:]

    def _text(self, text: str, at: int, ends: list[int]) -> int:
        found = _NEXT.search(text, at)
        if found is None:
            return len(text)
        if found[0] == "«":
            self._quoted = self._back(text, found.start())[-1] in "\n ("
            return found.end()
        if found[0] == "\n":
            self._step, self._stop, self._lines = Sentence._blanks, None, 0
        else:
            self._step, self._stop = Sentence._after_stop, Stop(self._back(text, found.start()))
        return found.start()

    def _after_stop(self, text: str, at: int, ends: list[int]) -> int:
        assert self._stop is not None
        end = run_end(_RUN, text, at)
        self._stop.take(text[at:end])
        if end == len(text):
            return end
        if text[end] == "[":
            self._step = Sentence._note
            return end + 1
        if text[end].isspace():
            self._step, self._lines = Sentence._blanks, 0
        elif self._stop.wide:
            self._next(ends, end)
        else:
            self._step = Sentence._text
        return end

    def _note(self, text: str, at: int, ends: list[int]) -> int:
        end = run_end(_NOTE, text, at)
        if end < len(text):  # its closing bracket is a closer
            self._step = Sentence._after_stop if text[end] == "]" else Sentence._text
        return end

    def _blanks(self, text: str, at: int, ends: list[int]) -> int:
        end = run_end(_BLANKS, text, at)
        if end - at > 1 or text[at] == "\n":
            self._lines += text.count("\n", at, end)
        if end == len(text):
            return end
        char = text[end]
        if char in "!?»" and self._stop and not self._lines and self._goes_on(char):
            self._step = Sentence._after_stop
            return end
        starts_line = self._lines > 0
        ended = self._over or self._lines > 1 or (self._stop and self._stop.ends(char))
        if ended and not self._empty:
            self._next(ends, end)
        self._empty = False
        self._step = Sentence._text
        if self._fences and starts_line and char in MARKS:
            self._step, self._fence = Sentence._code, Fence(char)
        return end

    def _goes_on(self, char: str) -> bool:
        """Whether this goes with the stop before the blank, as the French write it."""
        closes, self._quoted = char == "»" and self._quoted, False
        return closes or char != "»"

    def _code(self, text: str, at: int, ends: list[int]) -> int:
        assert self._fence is not None
        at = self._fence.read(text, at)
        if self._fence.closed:
            self._step, self._stop, self._lines, self._over = Sentence._blanks, None, 1, True
        elif self._fence.over:
            self._step = Sentence._text
        return at

    def _next(self, ends: list[int], at: int) -> None:
        ends.append(at)
        self._begin()
