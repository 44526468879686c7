"""Tool calls while they stream in: one object per delta, from any thread."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit import Chunk, Limits, ToolCall
from streamkit.pipeline.calls import GrowingCall
from streamkit.pipeline.tail import Tail
from streamkit.testing import Data, Finish, Gate

TEXT = json.dumps({"city": "Z\u00fcrich \U0001f600", "days": [1, 23, {"at": "noon"}]})


def grown(*fragments: str) -> GrowingCall:
    call = GrowingCall(3)
    for fragment in fragments:
        call.add({"id": "c", "name": "f"}, fragment)
    return call


def fragment_of(content: str) -> Chunk:
    return Chunk(content, kind="tool_call", metadata={"index": 0, "id": "c", "name": "f"})


def test_a_call_is_the_same_object_until_its_next_delta() -> None:
    call = grown('{"a"')
    first = call.so_far()
    assert call.so_far() is first
    call.add({}, ": 1}")
    assert call.so_far() is call.so_far()
    assert (first, call.so_far()) == (
        ToolCall(3, "c", "f", '{"a"'),
        ToolCall(3, "c", "f", '{"a": 1}'),
    )


def test_the_first_id_and_name_that_say_something_stay() -> None:
    call = GrowingCall(0)
    for id, name in ((None, ""), ("", None), ("c", ""), ("other", "f"), ("", "g")):
        call.add({"id": id, "name": name}, "")
    assert call.so_far() == ToolCall(0, "c", "f", "")


def test_a_delta_of_one_call_leaves_the_others_as_they_are() -> None:
    tail = Tail(Limits())
    tail.feed([fragment_of("{"), Chunk("[", kind="tool_call", metadata={"index": 1})], 0.0, 0.0)
    before = tail.result().tool_calls
    tail.feed([Chunk("1", kind="tool_call", metadata={"index": 1}), Chunk("text")], 0.0, 0.0)
    after = tail.result().tool_calls
    assert after[0] is before[0]
    assert [call.arguments for call in after] == ["{", "[1"]


@given(st.lists(st.integers(1, 5)), st.integers(1, 4))
@settings(deadline=None)
def test_looking_at_a_call_changes_nothing_wherever_it_was_cut(
    sizes: list[int], every: int
) -> None:
    call = GrowingCall(0)
    at = 0
    for number, size in enumerate([*sizes, len(TEXT)]):
        call.add({}, TEXT[at : at + size])
        at += size
        if number % every == 0:
            assert call.so_far().arguments == TEXT[:at]
    assert call.so_far().arguments == TEXT


@given(st.sets(st.integers(1, len(TEXT) - 1)))
@settings(deadline=None)
def test_the_last_partial_value_is_the_parsed_one_however_the_text_was_cut(cuts: set[int]) -> None:
    pytest.importorskip("jiter")
    tail = Tail(Limits())
    for start, end in pairwise([0, *sorted(cuts), len(TEXT)]):
        tail.feed([fragment_of(TEXT[start:end])], 0.0, 0.0)
        (call,) = tail.result().tool_calls
        assert set(call.partial) <= {"city", "days"}
    assert call.partial == call.parsed == json.loads(TEXT)


def test_any_thread_may_look_at_a_call_that_grows() -> None:
    call = GrowingCall(0)

    def look(_: int) -> list[str]:
        seen = [""]
        while len(seen[-1]) < 2000:
            seen.append(call.so_far().arguments)
        return seen

    with ThreadPoolExecutor(3) as threads:
        looks = threads.map(look, range(3), timeout=20)
        for number in range(2000):
            call.add({}, str(number % 10))
    for seen in looks:
        assert seen[-1] == "0123456789" * 200
        assert all(seen[-1].startswith(part) for part in seen)


def test_partial_arguments_grow_with_the_stream(play: Any, mode: str) -> None:
    pytest.importorskip("jiter")

    def part(arguments: str) -> Data:
        call = {"index": 0, "id": "c", "function": {"name": "add", "arguments": arguments}}
        return Data({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})

    script = [part('{"city": "Par'), Gate(), part('is", "days"'), Gate(), part(": 12}"), Gate()]
    stream = play([*script, Finish("tool_calls")], mode=mode)
    seen: list[Any] = []
    for _ in stream.chunks():
        if len(seen) < 3:
            (call,) = stream.partial.tool_calls
            assert stream.partial.tool_calls[0] is call
            seen.append(call.partial)
            play.server.release()
    assert seen == [{"city": "Par"}, {"city": "Paris"}, {"city": "Paris", "days": 12}]
    assert stream.result().tool_calls[0].parsed == seen[-1]
    assert all(first is not second for first, second in pairwise(seen))
