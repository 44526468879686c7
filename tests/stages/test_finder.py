"""Strings found in a text, however it is cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.stages.finder import Finder, strings_of

STRINGS = st.lists(st.text("abé", min_size=1, max_size=4), max_size=4)
TEXTS = st.text("abéx", max_size=30)


def cut(text: str, cuts: Iterable[int]) -> list[str]:
    return [text[a:b] for a, b in pairwise([0, *sorted(cuts), len(text)])]


def merged(pieces: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    out: list[tuple[str, bool]] = []
    for text, found in pieces:
        if out and not found and not out[-1][1]:
            text = out.pop()[0] + text
        out.append((text, found))
    return out


def found_in(strings: list[str], parts: Iterable[str]) -> list[tuple[str, bool]]:
    finder = Finder(strings)
    return merged([piece for part in parts for piece in finder.feed(part)] + finder.flush())


def by_the_rule(strings: list[str], text: str) -> list[tuple[str, bool]]:
    """Character by character: of the strings that end here, the longest."""
    out: list[tuple[str, bool]] = []
    at = 0
    for end in range(1, len(text) + 1):
        ending = [s for s in strings if text[at:end].endswith(s)]
        if ending:
            size = max(map(len, ending))
            out += [(text[at : end - size], False), (text[end - size : end], True)]
            at = end
    return [piece for piece in [*out, (text[at:], False)] if piece[0]]


@given(strings=STRINGS, text=TEXTS, data=st.data())
def test_the_split_changes_nothing_that_is_found(
    strings: list[str], text: str, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert found_in(strings, cut(text, cuts)) == by_the_rule(strings, text)


def test_every_two_cut_split_finds_the_same() -> None:
    strings = ["abab", "ba", "STOP", "T"]
    text = "ababa STOP babab ST"
    for cuts in combinations(range(len(text) + 1), 2):
        assert found_in(strings, cut(text, cuts)) == by_the_rule(strings, text), cuts


@given(strings=STRINGS, text=TEXTS)
def test_less_is_held_than_the_longest_string(strings: list[str], text: str) -> None:
    finder = Finder(strings)
    for n in range(len(text)):
        finder.feed(text[n])
        assert len(finder._held) <= max(map(len, strings), default=1) - 1


def test_a_text_of_beginnings_in_single_characters_is_read_in_linear_time() -> None:
    finder = Finder(["a" * 300 + "b"])
    for _ in range(60_000):  # quadratic in the text this would take minutes
        finder.feed("a")
    assert finder.feed("b") == [("a" * 300 + "b", True)]


@pytest.mark.parametrize("value", [5, [""], "", ["a", 5], None])
def test_only_strings_that_are_not_empty_can_be_found(value: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^words must be"):
        strings_of(value, "words")
    assert strings_of("ab", "words") == strings_of(["ab"], "words") == ("ab",)
