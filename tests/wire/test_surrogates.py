"""SurrogateJoiner and clean: text that can always be encoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.wire import SurrogateJoiner, clean, clean_deep

#: Any text, lone surrogates likely.
AWKWARD = st.lists(
    st.sampled_from(["a", "é", "漢", "😀", "\ud83d", "\ude00", "\ud800", "\udfff", "\ufffd"])
    | st.characters()
).map("".join)


def join(pieces: list[str]) -> str:
    joiner = SurrogateJoiner()
    return "".join([joiner.feed(piece) for piece in pieces] + [joiner.flush()])


def slow_clean(text: str) -> str:
    """The rule, one character at a time."""
    out, held = "", ""
    for character in text:
        if held and "\udc00" <= character <= "\udfff":
            out += chr(0x10000 + (ord(held) - 0xD800) * 0x400 + ord(character) - 0xDC00)
            held = ""
            continue
        out += "\ufffd" * bool(held)
        held = character if "\ud800" <= character <= "\udbff" else ""
        if not held:
            out += "\ufffd" if "\udc00" <= character <= "\udfff" else character
    return out + "\ufffd" * bool(held)


@given(AWKWARD)
def test_clean_joins_pairs_and_replaces_every_other_half(text: str) -> None:
    assert clean(text) == slow_clean(text)
    clean(text).encode("utf-8")


@given(st.lists(AWKWARD))
def test_any_split_gives_the_text_that_clean_gives_for_the_whole(pieces: list[str]) -> None:
    assert join(pieces) == clean("".join(pieces))


@given(st.lists(AWKWARD))
def test_every_piece_can_be_encoded(pieces: list[str]) -> None:
    joiner = SurrogateJoiner()
    for piece in pieces:
        joiner.feed(piece).encode("utf-8")
    joiner.flush().encode("utf-8")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_proper_text_cut_between_utf16_units_comes_out_unchanged(text: str) -> None:
    units = text.encode("utf-16-le")
    halves = [
        units[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(units), 2)
    ]
    assert join(halves) == text


def test_text_without_surrogates_is_returned_as_the_same_object() -> None:
    for text in ("", "plain", "größe 漢字 😀"):
        assert SurrogateJoiner().feed(text) is text
        assert clean(text) is text


@pytest.mark.parametrize(
    ("pieces", "got"),
    [
        (["Hi \ud83d", "\ude00!"], ["Hi ", "😀!", ""]),
        (["\ud83d", "", "\ude00"], ["", "", "😀", ""]),
        (["\ud83d", "x"], ["", "\ufffdx", ""]),
        (["\ud83d", "\ud83d", "\ude00"], ["", "\ufffd", "😀", ""]),
        (["a\ud83d"], ["a", "\ufffd"]),
        (["\ude00a"], ["\ufffda", ""]),
    ],
)
def test_a_high_half_at_the_end_waits_for_the_next_text(pieces: list[str], got: list[str]) -> None:
    joiner = SurrogateJoiner()
    assert [joiner.feed(piece) for piece in pieces] + [joiner.flush()] == got


VALUES = st.recursive(
    st.none() | st.integers() | AWKWARD,
    lambda inner: st.lists(inner) | st.dictionaries(AWKWARD, inner),
)


@given(VALUES)
def test_clean_deep_leaves_no_half_anywhere(value: Any) -> None:
    text = clean(json.dumps(value, ensure_ascii=False))
    assert clean_deep(value) == json.loads(text)


def test_clean_deep_needs_no_stack() -> None:
    value: Any = "\ud83d"
    for _ in range(100_000):
        value = [value]
    value = clean_deep(value)
    for _ in range(100_000):
        value = value[0]
    assert value == "\ufffd"
