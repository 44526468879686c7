"""
Units that end where one or two characters say so: character, word, token, line, paragraph.

A unit ends as early as the text allows. Blanks beyond the one that ends it begin the next unit, so
that nothing has to wait to see whether more of them follow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from functools import cache

from typing_extensions import override

from streamkit.text.base import UnitBuffer, at_least_one, true_or_false
from streamkit.text.graphemes import Clusters, ExactClusters

__all__ = ["Character", "Line", "Paragraph", "Token", "Word"]


class Character(UnitBuffer):
    """
    Characters as a reader sees them: a letter keeps its accents, an emoji its parts.

    >>> buffer = Character()
    >>> [len(unit) for unit in buffer.feed("a\\u0301 e\\u0301!")], buffer.flush()
    ([2, 1, 2], '!')

    The last character waits for the next one, which may belong to it. ``strip`` changes nothing:
    blanks are characters.

    Thread safety: **confined**.

    Args:
        strip: See UnitBuffer; so is max_hold.
        exact: Clusters exactly by UAX 29, which needs the extra ``text``. Without it our own rules
            hold, installed or not: the same program gives the same units everywhere.

    Raises:
        ConfigurationError: exact is no bool, or set where regex is not installed.
    """

    def __init__(
        self, *, strip: bool = False, max_hold: int | None = None, exact: bool = False
    ) -> None:
        true_or_false("exact", exact)
        self._new = ExactClusters if exact else Clusters
        super().__init__(strip=strip, max_hold=max_hold)

    @override
    def _restart(self) -> None:
        self._clusters = self._new()

    @override
    def _ends(self, text: str) -> Sequence[int]:
        return self._clusters.ends(text)

    @override
    def _trim(self, text: str) -> str:
        return text


class Word(UnitBuffer):
    """
    Words, each with the blank that ends it.

    >>> buffer = Word(strip=True)
    >>> buffer.add("Hel"), buffer.add("lo "), buffer.add("world!"), buffer.flush()
    ('', 'Hello ', '', 'world!')

    A word ends right at the first blank; a line end of CR LF is one blank. With ``strip`` a word
    keeps that blank and loses those before it. Text without blanks (Chinese, Japanese, Thai) is one
    word as long as it goes on: there take sentences, or ``max_hold``.

    Thread safety: **confined**.
    """

    #: A blank after something else; a CR waits for what follows it.
    _END = re.compile(r"(?<=\S)(?:\r\n|[^\S\r]|\r(?!\Z))")

    @override
    def _restart(self) -> None:
        self._last = ""  # the last character; two where a CR waits

    @override
    def _ends(self, text: str) -> Sequence[int]:
        known = len(self._last)
        text = self._last + text
        self._last = text[-2:] if text[-1] == "\r" else text[-1]
        return [match.end() - known for match in self._END.finditer(text)]

    @override
    def _trim(self, text: str) -> str:
        return text.lstrip()


#: Marks that belong to a sign or an ideograph before them.
_MARKS = "\u0300-\u036f\u20d0-\u20ff\u3099\u309a\ufe00-\ufe0f\u200d\U000e0100-\U000e01ef"
#: Punctuation, ASCII and general, Chinese and Japanese, full-width.
_SIGNS = r"!-/:-@\[-\^`{-~\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011\uff01-\uff0f"
#: Kana and Han.
_WIDE = r"\u3041-\u3096\u309d-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@cache
def _token() -> re.Pattern[str]:
    """One token and its blank; compiled at the first use, as that takes a millisecond or two."""
    return re.compile(
        rf"(?:[^\s{_SIGNS}{_WIDE}]+|[{_SIGNS}][{_SIGNS}{_MARKS}]*|[{_WIDE}][{_MARKS}]*)"
        r"(?P<blank>\r\n?|\s)?"
    )


class Token(UnitBuffer):
    """
    So many tokens at a time, for deliveries of even size.

    >>> Token(threshold=3).feed("Well, here it is. ")
    ['Well, here ', 'it is. ']

    A token here is a run of letters and digits, a run of punctuation, or one character of Chinese
    or Japanese, with the blank that follows it: near what models count, without their vocabularies,
    and the same however the text was split.

    Thread safety: **confined**.

    Args:
        threshold: Tokens per unit, at least 1. 5 is the seeds' example.
        strip: See UnitBuffer; so is max_hold. The blank that ends a unit stays, as for words.

    Raises:
        ConfigurationError: threshold is no whole number, or less than 1.
    """

    def __init__(
        self, *, threshold: int = 5, strip: bool = False, max_hold: int | None = None
    ) -> None:
        at_least_one("threshold", threshold)
        self._threshold = threshold
        self._token = _token()
        super().__init__(strip=strip, max_hold=max_hold)

    @override
    def _restart(self) -> None:
        self._count = 0  # tokens that are over, of the unit that is not
        self._open = ""  # stands for a token that may go on: its first character, and a CR

    @override
    def _ends(self, text: str) -> Sequence[int]:
        known = len(self._open)
        text = self._open + text
        ends: list[int] = []
        last = None
        for last in self._token.finditer(text):
            ends.append(last.end() - known)
        if last is None:
            return ends
        self._open = ""
        if last.end() == len(text) and (last["blank"] or "\r") == "\r":
            ends.pop()
            self._open = last[0][0] + (last["blank"] or "")
        first = self._threshold - 1 - self._count
        self._count = (self._count + len(ends)) % self._threshold
        return ends[first :: self._threshold]

    @override
    def _trim(self, text: str) -> str:
        return text.lstrip()


class Line(UnitBuffer):
    r"""
    Lines, each with its line feed.

    >>> Line().feed("one\ntwo\r\nthr")
    ['one\n', 'two\r\n']

    ``strip`` takes off what ends a line, and leaves its indent; empty lines are left out.

    Thread safety: **confined**.
    """

    _END = re.compile(r"\n")

    @override
    def _ends(self, text: str) -> Sequence[int]:
        return [match.end() for match in self._END.finditer(text)]

    @override
    def _trim(self, text: str) -> str:
        return text.rstrip()


class _At(Enum):
    """Where a paragraph is."""

    LEAD = 0  # before its first character that is no blank
    TEXT = 1
    EDGE = 2  # after a line feed, with nothing but blanks since


class Paragraph(UnitBuffer):
    r"""
    Paragraphs, each with the empty line that ends it.

    >>> Paragraph().feed("One\ntwo.\n\n\nThree.\n \nFo")
    ['One\ntwo.\n\n', '\nThree.\n \n']

    A line of blanks is an empty line.

    Thread safety: **confined**.
    """

    _SOME = re.compile(r"\S")
    _BLANKS = re.compile(r"[^\S\n]*")

    @override
    def _restart(self) -> None:
        self._at = _At.LEAD

    @override
    def _ends(self, text: str) -> Sequence[int]:
        ends: list[int] = []
        at = 0
        while at < len(text):
            if self._at is _At.LEAD:
                some = self._SOME.search(text, at)
                if some is None:
                    break
                at, self._at = some.end(), _At.TEXT
            elif self._at is _At.TEXT:
                at = text.find("\n", at) + 1
                if not at:
                    break
                self._at = _At.EDGE
            else:
                blanks = self._BLANKS.match(text, at)
                at = blanks.end() if blanks else at
                if at == len(text):
                    break
                self._at = _At.TEXT
                if text[at] == "\n":
                    at += 1
                    ends.append(at)
                    self._at = _At.LEAD
        return ends
