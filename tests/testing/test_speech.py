from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.testing import Citation, Ping, Reasoning, Text, Tool


@given(st.text(), st.none() | st.integers(1, 9))
def test_the_deltas_of_a_text_join_to_it(text: str, size: int | None) -> None:
    assert "".join(Text(text, size=size).deltas()) == text
    assert all(Text(text, size=size).deltas())


def test_given_pieces_are_the_deltas() -> None:
    assert Reasoning(pieces=("He", "", "llo")).deltas() == ("He", "", "llo")
    assert Text("Hello", pieces=("Hel", "lo")).deltas() == ("Hel", "lo")


def test_arguments_are_cut_into_fragments() -> None:
    assert Tool("f", {"a": 1}).fragments() == ('{"a": 1}',)
    assert Tool("f", '{"a"}', size=2).fragments() == ('{"', 'a"', "}")
    assert Tool("f", pieces=("{", "}")).fragments() == ("{", "}")
    assert Tool("f").fragments() == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Text("a", size=0), "size must be at least 1, got 0"),
        (lambda: Text("a", every=-1), "every must be at least 0, got -1"),
        (lambda: Text("a", burst=0), "burst must be at least 1, got 0"),
        (lambda: Text("ab", pieces=("a",)), r"pieces must join to the text, got \('a',\)"),
        (lambda: Tool("f", size=0), "size must be at least 1, got 0"),
        (lambda: Citation("u", start=-1), "start must be at least 0, got -1"),
        (lambda: Ping(0), "n must be at least 1, got 0"),
    ],
)
def test_a_bad_step_is_refused_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}$"):
        make()


def test_a_citation_ends_with_its_words() -> None:
    assert Citation("u", text="wörld", start=6).end == 11
