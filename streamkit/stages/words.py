"""
Finding whole words and phrases in a text that comes in pieces.

A word is a run of letters and digits with their accents and vowel signs; in scripts that write no
blanks (Chinese, Japanese, Thai ...) each character is one. Words are compared without regard to
case, width and characters that nobody sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

from typing_extensions import override

from streamkit.errors import ConfigurationError
from streamkit.stages.basic import refusal_by
from streamkit.stages.rewrite import Editor, Piece

__all__ = ["Words", "phrase_of"]

#: Characters of a run that can be a word; a longer one is judged by nobody, and not held. The
#: longest word of a dictionary has 45. Chosen; not measured.
MAX_WORD = 100
#: Characters between two words of a phrase.
MAX_GAP = 8
#: Letters that each stand as a word: scripts without blanks would be one word to the full stop.
_IDEOGRAPHS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
#: A soft hyphen, blanks and joiners without width.
_UNSEEN = "\u00ad\u200b-\u200d\u2060\ufeff"
#: Part of the letter before them: accents; points of Hebrew and Arabic; vowel signs of India, and
#: of Thai, Lao, Burmese and Khmer.
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0900-\u0903\u093a-\u093c"
    "\u093e-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09d7\u09e2\u09e3\u0a01-\u0a03"
    "\u0a3c-\u0a51\u0a70\u0a71\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82"
    "\u0bbe-\u0bcd\u0bd7\u0c00-\u0c04\u0c3c-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6\u0d00-\u0d03"
    "\u0d3b-\u0d4d\u0d57\u0dca-\u0ddf\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc"
    "\u0ec8-\u0ecd\u102b-\u103e\u17b4-\u17d3" + _UNSEEN
)
_LETTER = rf"(?:(?![{_IDEOGRAPHS}])[^\W_])"
_HIDDEN = re.compile(f"[{_UNSEEN}]")


@cache
def _word() -> re.Pattern[str]:
    """A word; compiled at the first use, as that takes milliseconds and few programs need it."""
    return re.compile(rf"[{_IDEOGRAPHS}][{_MARKS}]*|{_LETTER}(?:{_LETTER}|[{_MARKS}])*")


@cache
def _rest_of_word() -> re.Pattern[str]:
    return re.compile(rf"(?:{_LETTER}|[{_MARKS}])*")


def _folded(word: str) -> str:
    """Case, width, ligatures and what is not seen aside."""
    seen = word if word.isascii() else _HIDDEN.sub("", word)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())


class Words(Editor):
    """
    Text -> pieces, of which words and phrases that are refused stand apart.

    The last word is held until the next character shows that it is over, and so are words that may
    begin a phrase.

    Cost: linear in the text, whatever its split, times the words of the longest phrase.

    Thread safety: **confined**.

    Args:
        phrases: What is refused, as ``phrase_of`` gives it; of two that begin at the same word the
            longer counts.
        check: Instead of phrases, called with each word; answers as Validate's check does.
    """

    def __init__(
        self,
        phrases: frozenset[tuple[str, ...]] = frozenset(),
        check: Callable[[str], Any] | None = None,
    ) -> None:
        self._phrases = phrases
        self._heads = frozenset(phrase[:n] for phrase in phrases for n in range(1, len(phrase)))
        self._check = check
        self._word = _word()
        self._held = ""
        self._inside = False  # of a run that is too long for a word

    @override
    def feed(self, text: str) -> list[Piece]:
        return self._read(text, final=False)

    @override
    def release(self) -> list[Piece]:
        pieces = self._read("", final=True)
        self._inside = False
        return pieces

    def _read(self, text: str, *, final: bool) -> list[Piece]:
        text, self._held = self._held + text, ""
        pieces: list[Piece] = []
        clean, at = 0, self._leave(text)
        while (word := self._word.search(text, at)) is not None:
            at = word.end()
            if at == len(text) and not final and at - word.start() > MAX_WORD:
                self._inside = True
                break
            judged = self._judge(text, word, final=final)
            if judged is None:
                self._held = text[word.start() :]
                break
            end, refused = judged
            if refused is not None:
                pieces += [
                    Piece(text[clean : word.start()]),
                    Piece(text[word.start() : end], refused=refused),
                ]
                clean = at = end
        pieces.append(Piece(text[clean : len(text) - len(self._held)]))
        return [piece for piece in pieces if piece.text]

    def _leave(self, text: str) -> int:
        """Where the run ends that is too long for a word."""
        if not self._inside:
            return 0
        rest = _rest_of_word().match(text)
        end = rest.end() if rest else 0
        self._inside = end == len(text)
        return end

    def _judge(
        self, text: str, word: re.Match[str], *, final: bool
    ) -> tuple[int, str | Exception | None] | None:
        """Where what is refused ends, and why; None while the next text decides."""
        end, refused = 0, None
        words: tuple[str, ...] = ()
        following: re.Match[str] | None = word
        while following is not None and len(following[0]) <= MAX_WORD:
            over = following.end()
            if over == len(text) and not final:
                return None
            if self._check is not None:
                return over, refusal_by(self._check, following[0])
            words += (_folded(following[0]),)
            if words in self._phrases:
                end, refused = over, f"{text[word.start() : over]!r} is on the list"
            if words not in self._heads:
                break
            following = self._word.search(text, over)
            if following is None and not final and len(text) - over <= MAX_GAP:
                return None
            if following is not None and following.start() - over > MAX_GAP:
                break
        return end, refused


def phrase_of(entry: str) -> tuple[str, ...]:
    """
    The words of an entry, as they are compared.

    Raises:
        ConfigurationError: It has none.
    """
    words = tuple(_folded(word) for word in _word().findall(entry))
    if not words:
        raise ConfigurationError(f"words must hold letters or digits, got {entry!r}")
    return words
