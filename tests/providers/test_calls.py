"""Open tool calls: numbered in order of first sight, with their first id and name."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import LimitExceeded
from streamkit.providers.calls import MAX_CALLS, OpenCalls, word


def test_calls_are_numbered_in_order_of_first_sight() -> None:
    calls = OpenCalls()
    assert [calls.open(key).index for key in (7, "a", 3)] == [0, 1, 2]
    assert calls.get(3) is not None
    assert calls.get(0) is None


def test_a_call_is_found_under_each_of_its_keys_until_another_takes_it() -> None:
    calls = OpenCalls()
    first = calls.open("id", "place")
    assert calls.get("id") is calls.get("place") is first
    second = calls.open("place")
    assert (calls.get("id"), calls.get("place")) == (first, second)


def test_the_first_id_and_name_that_say_something_stay() -> None:
    call = OpenCalls().open()
    for id, name in ((None, ""), ("null", "null"), ("a", None), ("b", "f"), ("", "g")):
        call.learn(id=id, name=name)
    assert call.metadata() == {"index": 0, "id": "a", "name": "f"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"),
        ("", ""),
        ("null", ""),
        (None, ""),
        (5, ""),
        ("\ud83d\ude00\ud800", "\U0001f600\ufffd"),
    ],
)
def test_a_word_is_clean_text_or_nothing(value: Any, expected: str) -> None:
    assert word(value) == expected


def test_an_answer_has_at_most_1024_calls() -> None:
    calls = OpenCalls()
    for _ in range(MAX_CALLS):
        calls.open()
    with pytest.raises(LimitExceeded, match="at most 1024 tool calls, got more") as caught:
        calls.open()
    assert (caught.value.limit, caught.value.observed) == (1024, 1025)
