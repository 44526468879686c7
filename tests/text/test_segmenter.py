"""The laws that hold for every unit: the split changes nothing, and nothing is lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.text import SEGMENTERS, Segmenter, UnitBuffer, new_buffer

#: Every unit with each option of its own.
KINDS: dict[str, dict[str, Any]] = {
    **{name: {"unit": name} for name in SEGMENTERS},
    "character, exact": {"unit": "character", "exact": True},
    "sentence, fences": {"unit": "sentence", "fences": True},
    "token, 1": {"unit": "token", "threshold": 1},
    "token, 3": {"unit": "token", "threshold": 3},
}

#: What any of the units looks at, so that short texts meet all of their rules.
PIECES = [
    "a", "B", "1", "I", "Dr", "e.g", "etc", "3.14", "No", "Hello", "the ", ".", "?", "!", "…", "..",
    "。", "」", '"', ")", "[1]", "[", "*", "_", "#", "-", " ", "  ", "\u00a0", "\n", "\n\n", "\r",
    "\r\n", "\t", "`", "```", "```py\n", "\n```\n", "~~~", "\u0301", "\u200d", "\ufe0f", "\u20e3",
    "«", "»", "“", "z. ", "B. ", "\u2028", "\u0600",
    "\U0001f469", "\u2695", "\U0001f1e9", "\U0001f1ea", "\U0001f3fd", "\u1100", "\u1161",
    "\u11a8", "\uac00", "\ud55c", "\u0915", "\u094d", "\u0937", "\u304b", "\u3099", "\u6f22",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=25)

kinds = pytest.mark.parametrize("kind", KINDS)


def cut(buffer: Segmenter, pieces: list[str]) -> list[str]:
    units = [unit for piece in pieces for unit in buffer.feed(piece)]
    return [*units, rest] if (rest := buffer.flush()) else units


def pieces_of(text: str, cuts: list[int]) -> list[str]:
    return [text[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), len(text)])]


@st.composite
def split_texts(draw: st.DrawFn) -> tuple[str, list[str]]:
    text = draw(TEXTS)
    return text, pieces_of(text, draw(st.lists(st.integers(0, len(text)), max_size=6)))


def options() -> st.SearchStrategy[dict[str, Any]]:
    holds = st.none() | st.integers(1, 8)
    return st.fixed_dictionaries({"strip": st.booleans(), "max_hold": holds})


@kinds
@given(split_texts(), options())
def test_any_split_gives_the_same_units(
    kind: str, split: tuple[str, list[str]], how: dict[str, Any]
) -> None:
    text, pieces = split
    buffer = new_buffer(**KINDS[kind], **how)
    whole = cut(buffer, [text])
    assert cut(buffer, pieces) == whole  # the same buffer: after a flush it is as new
    assert cut(buffer, list(text)) == whole


@kinds
@given(split_texts(), st.none() | st.integers(1, 8))
def test_units_joined_are_the_text(
    kind: str, split: tuple[str, list[str]], most: int | None
) -> None:
    text, pieces = split
    units = cut(new_buffer(**KINDS[kind], max_hold=most), pieces)
    assert "".join(units) == text
    assert all(units)
    assert most is None or all(len(unit) <= most for unit in units)


@kinds
@given(split_texts())
def test_strip_loses_blanks_and_nothing_else(kind: str, split: tuple[str, list[str]]) -> None:
    text, pieces = split
    units = cut(new_buffer(**KINDS[kind], strip=True), pieces)
    assert "".join("".join(units).split()) == "".join(text.split())
    assert all(units)


@kinds
@given(split_texts())
def test_add_gives_what_feed_gives_joined(kind: str, split: tuple[str, list[str]]) -> None:
    one, other = new_buffer(**KINDS[kind]), new_buffer(**KINDS[kind])
    for piece in split[1]:
        assert one.add(piece) == "".join(other.feed(piece))
    assert one.flush() == other.flush()


@kinds
@given(split_texts(), st.integers(0, 4))
def test_releasing_at_any_moment_loses_nothing(
    kind: str, split: tuple[str, list[str]], after: int
) -> None:
    text, pieces = split
    buffer = new_buffer(**KINDS[kind])
    got = []
    for number, piece in enumerate(pieces):
        got += buffer.feed(piece)
        if number == after:
            got.append(buffer.release())
            assert buffer.release() == ""
    assert "".join([*got, buffer.flush()]) == text


@kinds
def test_reset_forgets_what_was_held(kind: str) -> None:
    buffer = new_buffer(**KINDS[kind])
    buffer.feed("Mr. X said: \u0915\u094d")
    buffer.reset()
    assert buffer.flush() == ""
    text = "\u0937 one. Two!\n\nThree"
    assert cut(buffer, [text]) == cut(new_buffer(**KINDS[kind]), [text])


#: No end of any unit in sight, or an end that is put off again and again.
ENDLESS = {
    "letters": "x", "stops": ".", "blanks": " ", "marks": "\u0301", "returns": "\r", "fence": "`",
    "brackets": ")", "digits in a note": "1", "flags": "\U0001f1e9", "line feeds": "\n",
}  # fmt: skip


@kinds
@pytest.mark.parametrize("what", ENDLESS)
def test_what_is_kept_for_the_next_text_does_not_grow(kind: str, what: str) -> None:
    def state(size: int) -> int:
        buffer = new_buffer(**KINDS[kind])
        for char in "a. [" if what == "digits in a note" else "a.":
            buffer.feed(char)
        for _ in range(size):
            buffer.feed(ENDLESS[what])
        buffer.release()  # the text itself, which is kept in pieces that nobody touches
        return sum(len(text) for text in strings_of(buffer))

    assert state(400) <= state(200)


def strings_of(value: Any, depth: int = 3) -> Iterator[str]:
    """All text that an object keeps, itself or in its parts."""
    if isinstance(value, str):
        yield value
    elif depth and not isinstance(value, type):
        names = list(getattr(value, "__dict__", ())) + list(getattr(type(value), "__slots__", ()))
        for name in names:
            yield from strings_of(getattr(value, name), depth - 1)


@kinds
def test_one_text_of_many_units_and_no_text_at_all(kind: str) -> None:
    buffer = new_buffer(**KINDS[kind])
    assert buffer.feed("") == []
    assert buffer.add("") == ""
    assert len(cut(buffer, ["One. Two.\n\n" * 1000])) >= 400


def test_the_table_makes_what_new_buffer_makes() -> None:
    for name, make in SEGMENTERS.items():
        assert type(make()) is type(new_buffer(name))
        assert isinstance(make(strip=True, max_hold=9), UnitBuffer)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unit": "words"}, "unit must be one of .*, got 'words'; did you mean 'word'"),
        ({"unit": "xyz"}, "got 'xyz'$"),
        ({"unit": 5}, "got 5$"),
        ({"unit": "word", "threshold": 5}, "threshold is an option of 'token', got unit 'word'"),
        ({"unit": "line", "fences": True}, "fences is an option of 'sentence', got unit 'line'"),
        ({"unit": "token", "exact": True}, "exact is an option of 'character', got unit 'token'"),
        ({"unit": "token", "threshold": 0}, "threshold must be at least 1, got 0"),
        ({"unit": "word", "max_hold": 0}, "max_hold must be at least 1, got 0"),
        ({"unit": "word", "max_hold": 2.5}, "max_hold must be a whole number, got 2.5"),
        ({"unit": "word", "max_hold": True}, "max_hold must be a whole number, got True"),
    ],
)
def test_a_bad_option_is_refused_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        new_buffer(**given)
