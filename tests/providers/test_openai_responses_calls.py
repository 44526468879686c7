"""Calls among the items of a Responses answer: no argument is told twice, none is lost."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import LimitExceeded
from streamkit.providers.calls import MAX_CALLS, OpenCalls
from streamkit.providers.openai_responses_calls import ItemCalls, place_of

CALL = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f"}


@pytest.mark.parametrize(
    ("at_start", "fragments", "at_end", "told"),
    [
        ("", ['{"a"', ": 1}"], '{"a": 1}', ["", '{"a"', ": 1}"]),
        ("", [], '{"a": 1}', ["", '{"a": 1}']),
        ("", ['{"a"'], '{"a": 1}', ["", '{"a"', ": 1}"]),
        ('{"a": 1}', [], '{"a": 1}', ["", '{"a": 1}']),
        ('{"a": 1}', ['{"a"', ": 1}"], '{"a": 1}', ["", '{"a"', ": 1}"]),
        ('{"a": 1}', ['{"a"'], "", ["", '{"a"', ": 1}"]),
        ("", ["{}"], '{"b": 2}', ["", "{}"]),
        ("", [None, 5, ""], "", [""]),
    ],
    ids=["deltas", "none", "some", "at once", "twice", "only at the start", "otherwise", "strange"],
)
def test_the_end_tells_what_the_fragments_have_not_however_often_it_comes(
    at_start: str, fragments: list[Any], at_end: str, told: list[str]
) -> None:
    items = ItemCalls(OpenCalls())
    pieces = items.begin(0, {**CALL, "arguments": at_start})
    for fragment in fragments:
        pieces += items.extend(0, fragment)
    pieces += items.end(0, {"arguments": at_end}) + items.end(0, {"arguments": at_end})
    pieces += items.end_all() + items.end_all()
    assert [fragment for _, fragment in pieces] == told
    assert {(call.index, call.id, call.name) for call, _ in pieces} == {(0, "c", "f")}


def test_an_item_that_is_no_call_or_never_began_has_no_pieces() -> None:
    items = ItemCalls(OpenCalls())
    assert items.begin(0, {"type": "message"}) == []
    assert 0 in items and 1 not in items
    for place in (0, 1):
        assert not items.is_call(place)
        assert items.extend(place, "x") == items.end(place, {"arguments": "x"}) == []


def test_names_that_the_end_alone_gives_are_learned_and_told() -> None:
    items = ItemCalls(OpenCalls())
    ((call, _),) = items.begin(0, {"type": "function_call", "id": "fc", "call_id": "", "name": ""})
    assert call.metadata() == {"index": 0, "id": "", "name": ""}
    assert items.end(0, {**CALL, "arguments": ""}, ended=True) == [(call, "")]
    assert call.metadata() == {"index": 0, "id": "c", "name": "f"}
    assert items.end(0, CALL, ended=True) == items.end_all() == []


def test_the_id_of_its_item_is_a_calls_last_resort() -> None:
    items = ItemCalls(OpenCalls())
    ((call, _),) = items.begin(0, {"type": "function_call", "id": "fc", "name": "f"})
    assert items.end(0, {"id": "other", "arguments": "{}"}) == [(call, "{}")]
    assert items.end_all() == [(call, "")]
    assert call.id == "fc"


def test_calls_are_limited() -> None:
    items = ItemCalls(OpenCalls())
    for place in range(MAX_CALLS):
        items.begin(place, CALL)
    with pytest.raises(LimitExceeded):
        items.begin(MAX_CALLS, CALL)


@pytest.mark.parametrize(
    ("frame", "id", "place"),
    [({"output_index": 2}, "x", 2), ({}, "x", "x"), ({"output_index": "2"}, [], "")],
)
def test_an_item_is_known_by_its_place_and_else_by_its_id(frame: Any, id: Any, place: Any) -> None:
    assert place_of(frame, id) == place
