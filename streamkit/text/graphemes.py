"""
What a reader sees as one character: a letter with its accents, an emoji sequence, a flag, a
syllable of Hangul.

Classes of characters come from ``unicodedata``, whose version is that of the Python; the rules are
those of UAX 29 (extended grapheme clusters), with classes that are a little too wide in places: a
cluster here may hold more than one by the book, and is never a part of one. ``ExactClusters`` is by
the book and needs the extra ``text``.

How it works: whether a cluster ends between two characters depends on both, and on a little of what
came before them: an emoji before a joiner, how many halves of flags, an Indic linker. That little
is the state, so that text may come in any split.

Source: https://www.unicode.org/reports/tr29/ revision 45, rules GB3 to GB13.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import IntEnum
from functools import cache, lru_cache
from typing import NamedTuple
from unicodedata import category

from streamkit.extras import require

__all__ = ["Clusters", "ExactClusters", "is_break"]


class Kind(IntEnum):
    """What a character does at its edges."""

    PLAIN = 0
    START = 1  # no character: the beginning of the text
    CR = 2
    CONTROL = 3
    EXTEND = 4  # accents, vowel signs, variation selectors, skin tones, tags
    LINKER = 5  # an Indic virama: extends, and joins the next consonant
    JOINER = 6  # U+200D: extends, and joins the next picture
    PREPEND = 7  # joins whatever comes next
    FLAG = 8  # regional indicators: two are a flag
    PICTURE = 9
    HANGUL_L = 10
    HANGUL_V = 11
    HANGUL_T = 12
    HANGUL_LV = 13
    HANGUL_LVT = 14


_EXTENDS = frozenset({Kind.EXTEND, Kind.LINKER, Kind.JOINER})
_BREAKS = frozenset({Kind.CR, Kind.CONTROL})  # on both sides
#: After these a run of ``_ALONE`` begins a new cluster, unless a linker is at work.
_FREE = frozenset(
    {Kind.PLAIN, Kind.CONTROL, Kind.EXTEND, Kind.PICTURE, Kind.HANGUL_LV, Kind.HANGUL_LVT}
)

_SYLLABLES = frozenset(
    {
        (Kind.HANGUL_L, Kind.HANGUL_L),
        (Kind.HANGUL_L, Kind.HANGUL_V),
        (Kind.HANGUL_L, Kind.HANGUL_LV),
        (Kind.HANGUL_L, Kind.HANGUL_LVT),
        (Kind.HANGUL_V, Kind.HANGUL_V),
        (Kind.HANGUL_V, Kind.HANGUL_T),
        (Kind.HANGUL_LV, Kind.HANGUL_V),
        (Kind.HANGUL_LV, Kind.HANGUL_T),
        (Kind.HANGUL_LVT, Kind.HANGUL_T),
        (Kind.HANGUL_T, Kind.HANGUL_T),
    }
)

#: What the category does not tell.
_RANGES: tuple[tuple[int, int, Kind], ...] = (
    (0x1100, 0x115F, Kind.HANGUL_L),
    (0xA960, 0xA97C, Kind.HANGUL_L),
    (0x1160, 0x11A7, Kind.HANGUL_V),
    (0xD7B0, 0xD7C6, Kind.HANGUL_V),
    (0x11A8, 0x11FF, Kind.HANGUL_T),
    (0xD7CB, 0xD7FB, Kind.HANGUL_T),
    (0x200C, 0x200C, Kind.EXTEND),
    (0x200D, 0x200D, Kind.JOINER),
    (0xFF9E, 0xFF9F, Kind.EXTEND),  # half-width voicing marks
    (0x1F1E6, 0x1F1FF, Kind.FLAG),
    (0x1F3FB, 0x1F3FF, Kind.EXTEND),  # skin tones
    (0x1F000, 0x1FAFF, Kind.PICTURE),  # those to come, too
    (0xE0020, 0xE007F, Kind.EXTEND),  # tags: the flag of Scotland
)
_PICTURES = frozenset("\u203c\u2049\u2139\u3030\u303d")  # pictures, though not symbols by category
_VOWELS = frozenset("\u0e33\u0eb3")  # Thai and Lao AM: letters by category, vowel signs in use
_PREPENDS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e"
    "\U000110bd\U000110cd\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a"
    "\U00011a84\U00011a85\U00011a86\U00011a87\U00011a88\U00011a89\U00011d46\U00011f02"
)
#: Viramas that join: Devanagari, Bengali, Gujarati, Oriya, Telugu, Malayalam, Myanmar, Khmer.
_LINKERS = frozenset("\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d\u1039\u17d2")
_LINKED = frozenset(ord(linker) >> 7 for linker in _LINKERS)  # their blocks

#: Characters that begin a cluster and end it too, where no mark or joiner follows: letters, signs,
#: pictures, whole syllables of Hangul.
_ALONE = (
    " -~\xa0-\xac\xae-\u02ff\u0370-\u0482\u048a-\u0556\u05d0-\u05ea"  # to Cyrillic; Hebrew
    "\u0606-\u060f\u061b\u061d-\u064a\u0660-\u066f\u0671-\u06d5\u06ee-\u06ff"  # Arabic
    "\u0904-\u0939\u0958-\u0961\u0964-\u0980\u0985-\u09b9\u0b83-\u0bb9\u0c05-\u0c39"  # India
    "\u0e01-\u0e30\u0e32\u0e3f-\u0e46\u0e4f-\u0e5b\u10a0-\u10ff\u1e00-\u1fff"  # Thai, Georgian
    "\u2010-\u2027\u2030-\u205e\u2070-\u20bf\u2100-\u2bff\u3000-\u3029\u3030-\u3096"
    "\u309b-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff01-\uff9d\U0001f300-\U0001f3fa"
    "\U0001f400-\U0001faff"
)
#: Marks that may follow them.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0903\u093a-\u093c"
    "\u093e-\u094c\u0951-\u0957\u0981-\u0983\u09bc\u09be-\u09c4\u09c7\u09c8\u09cb\u09cc"
    "\u0bbe-\u0bc2\u0bc6-\u0bc8\u0bca-\u0bcd\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u20d0-\u20f0"
    "\u3099\u309a\ufe00-\ufe0f\U0001f3fb-\U0001f3ff"
)


class _Runs(NamedTuple):
    """Most text is runs of ``_ALONE``, whose clusters need no look at each character."""

    bare: re.Pattern[str]
    marked: re.Pattern[str]
    cluster: re.Pattern[str]
    mark: re.Pattern[str]


@cache
def _runs() -> _Runs:
    """Compiled at the first use: it takes milliseconds, and few programs need it."""
    cluster = f"[\t\n]|[{_ALONE}][{_MARKS}]*"
    return _Runs(
        bare=re.compile(f"[\t\n{_ALONE}]+"),
        marked=re.compile(f"(?:{cluster})+"),
        cluster=re.compile(cluster),
        mark=re.compile(f"[{_MARKS}]"),
    )


@lru_cache(maxsize=4096)  # as many as the Han characters in daily use
def kind_of(char: str) -> Kind:
    """The class of one character."""
    code = ord(char)
    if 0xAC00 <= code <= 0xD7A3:  # a whole syllable; each 28th has no final consonant
        return Kind.HANGUL_LVT if (code - 0xAC00) % 28 else Kind.HANGUL_LV
    for first, last, kind in _RANGES:
        if first <= code <= last:
            return kind
    if char in _LINKERS:
        return Kind.LINKER
    if char in _PREPENDS:
        return Kind.PREPEND
    group = category(char)
    if group[0] == "M" or char in _VOWELS:
        return Kind.EXTEND
    if char == "\r":
        return Kind.CR
    if group in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return Kind.CONTROL
    if code > 0x7F and (group in ("So", "Sm") or char in _PICTURES):
        return Kind.PICTURE
    return Kind.PLAIN


def _is_linked(char: str) -> bool:
    """Whether a linker joins it (GB9c): a letter of those scripts, hardly ever a vowel."""
    return ord(char) >> 7 in _LINKED and category(char) == "Lo"


class Clusters:
    """
    Text in any split -> where clusters end.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        self._runs = _runs()
        self._before = Kind.START
        self._picture = False  # the cluster so far is a picture and what extends it
        self._flags = 0  # regional indicators at the end of the text
        self._linked = False  # a linker of the cluster still joins

    def ends(self, text: str) -> Sequence[int]:
        """Where clusters end in this text; 0 if the last one was over before it."""
        ends: list[int] = []
        bare = self._runs.bare
        at = 0
        while at < len(text):
            if self._before in _FREE and not self._linked and (run := bare.match(text, at)):
                at = self._pass_run(text, at, run.end(), ends)
                continue
            char = text[at]
            kind = kind_of(char)
            if not self._joins(kind, char):
                ends.append(at)
            self._pass(kind)
            at += 1
        return ends

    def _pass_run(self, text: str, at: int, end: int, ends: list[int]) -> int:
        """The run that ends there or, if marks follow, further on -> where it ends."""
        runs = self._runs
        if runs.mark.match(text, end) and (run := runs.marked.match(text, at)):
            end = run.end()
            ends += [cluster.start() for cluster in runs.cluster.finditer(text, at, end)]
        else:
            ends += range(at, end)
        self._before = kind_of(text[end - 1])
        self._picture = kind_of(text[ends[-1]]) is Kind.PICTURE
        self._flags = 0
        return end

    def _joins(self, kind: Kind, char: str) -> bool:
        before = self._before
        if before is Kind.START:
            return True
        if before in _BREAKS or kind in _BREAKS:
            return before is Kind.CR and char == "\n"
        if kind in _EXTENDS or before is Kind.PREPEND:
            return True
        if kind is Kind.PICTURE:
            return before is Kind.JOINER and self._picture
        if kind is Kind.FLAG:
            return self._flags % 2 == 1
        if kind is Kind.PLAIN:
            return self._linked and _is_linked(char)
        return (before, kind) in _SYLLABLES

    def _pass(self, kind: Kind) -> None:
        self._flags = self._flags + 1 if kind is Kind.FLAG else 0
        if kind is Kind.LINKER:
            self._linked = True
        elif kind not in _EXTENDS:
            self._linked = False
        self._picture = kind is Kind.PICTURE or (self._picture and kind in _EXTENDS)
        self._before = kind


class ExactClusters:
    """
    Text in any split -> where clusters end, by the rules and the data of the ``regex`` package.

    A cluster of more than 64 characters is judged by its last 64.

    Thread safety: **confined**.

    Raises:
        ConfigurationError: regex is not installed; the message says what to install.
    """

    BACK = 64

    def __init__(self) -> None:
        self._match = require("regex", extra="text", what="exact=True").compile(r"\X").match
        self._bare = _runs().bare
        self._open = ""  # the end of the cluster that is not over yet

    def ends(self, text: str) -> Sequence[int]:
        """Where clusters end in this text; 0 if the last one was over before it."""
        known = len(self._open)
        text = self._open + text
        starts: list[int] = []
        at = 0
        while at < len(text):
            # For speed: all of these but the last are over by any rules.
            if run := self._bare.match(text, at):
                starts += range(at, run.end() - 1)
                at = run.end() - 1
            starts.append(at)
            at = self._match(text, at).end()
        self._open = text[starts[-1] :][-self.BACK :]
        return [start - known for start in starts if start >= known and start]


def is_break(text: str, at: int, start: int = 0) -> bool:
    """
    Whether text may be cut before position ``at``, 1 or more, without tearing a character.

    Judged by the cluster before and the character after: of a run of flags it keeps all together.
    ``start``, below ``at``, is where the text begins: what stands before it is not looked at.
    """
    before, kind = kind_of(text[at - 1]), kind_of(text[at])
    if before is Kind.PLAIN and kind is Kind.PLAIN:
        return True
    if before is Kind.CR:
        return text[at] != "\n"
    if kind in _EXTENDS or before in (Kind.LINKER, Kind.JOINER, Kind.PREPEND):
        return False
    if kind is Kind.FLAG and before is Kind.FLAG:
        return False
    if before is Kind.EXTEND and _is_linked(text[at]):
        while at > start + 1 and before is Kind.EXTEND:
            at -= 1
            before = kind_of(text[at - 1])
        return before not in (Kind.LINKER, Kind.JOINER)
    return (before, kind) not in _SYLLABLES
