from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.testing import Pause, Ping, Raw, Reasoning, Repeat, Text, Tool


@given(st.text(), st.none() | st.integers(1, 9))
def test_the_deltas_of_a_text_join_to_it(text: str, size: int | None) -> None:
    assert "".join(Text(text, size=size).deltas()) == text
    assert all(Text(text, size=size).deltas())


@given(st.binary(), st.lists(st.integers(0, 50)), st.none() | st.integers(1, 9))
def test_the_pieces_of_raw_bytes_join_to_them(
    data: bytes, cuts: list[int], size: int | None
) -> None:
    assert b"".join(Raw(data, cuts=tuple(cuts), size=size).pieces()) == data


def test_raw_is_cut_where_it_says() -> None:
    assert [*Raw(b"abcdef", cuts=(1, 4)).pieces()] == [b"a", b"bcd", b"ef"]
    assert [*Raw("ä", size=1).pieces()] == [b"\xc3", b"\xa4"]


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
        (lambda: Raw(b"", size=0), "size must be at least 1, got 0"),
        (lambda: Ping(0), "n must be at least 1, got 0"),
        (lambda: Pause(-0.1), "seconds must be at least 0, got -0.1"),
        (lambda: Repeat([]), "steps must hold at least one step, got none"),
        (lambda: Repeat([Ping()], -1), "times must be at least 0, got -1"),
    ],
)
def test_a_bad_step_is_refused_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}$"):
        make()


def test_steps_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Text("a").text = "b"  # type: ignore[misc]
