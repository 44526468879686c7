from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.testing import Pause, Raw, Repeat


@given(st.binary(), st.lists(st.integers(0, 50)), st.none() | st.integers(1, 9))
def test_the_pieces_of_raw_bytes_join_to_them(
    data: bytes, cuts: list[int], size: int | None
) -> None:
    assert b"".join(Raw(data, cuts=tuple(cuts), size=size).pieces()) == data


def test_raw_is_cut_where_it_says() -> None:
    assert [*Raw(b"abcdef", cuts=(1, 4)).pieces()] == [b"a", b"bcd", b"ef"]
    assert [*Raw("ä", size=1).pieces()] == [b"\xc3", b"\xa4"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Raw(b"", size=0), "size must be at least 1, got 0"),
        (lambda: Pause(-0.1), "seconds must be at least 0, got -0.1"),
        (lambda: Repeat([]), "steps must hold at least one step, got none"),
        (lambda: Repeat([Pause(1)], -1), "times must be at least 0, got -1"),
    ],
)
def test_a_bad_step_is_refused_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}$"):
        make()


def test_steps_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pause(1).seconds = 2  # type: ignore[misc]
