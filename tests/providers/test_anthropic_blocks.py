"""Blocks that the service fills by itself."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import LimitExceeded
from streamkit.providers import anthropic_blocks
from streamkit.providers.anthropic_blocks import ServerBlocks
from streamkit.providers.calls import MAX_CALLS

TOOL = {"type": "server_tool_use", "id": "s", "name": "f", "input": {"a": 1}}


def piece(text: Any) -> dict[str, Any]:
    return {"type": "input_json_delta", "partial_json": text}


def told_of(*pieces: Any) -> Any:
    blocks = ServerBlocks()
    assert blocks.start(0, TOOL) == []
    assert all(blocks.add(0, piece(text)) for text in pieces)
    (told,) = blocks.stop(0)
    return told["server_tool"]["input"]


@pytest.mark.parametrize(
    ("pieces", "value"),
    [
        ((), {"a": 1}),
        (("", " "), {"a": 1}),
        (('{"b"', ": 2}"), {"b": 2}),
        (('{"b', None, 5), '{"b'),
        (('["\\ud83d"]',), ["\ufffd"]),
        (("\ud83d",), "\ufffd"),
        (("[" * 100_000,), "[" * 100_000),
    ],
)
def test_the_input_is_what_streamed_in_or_what_the_start_gave(pieces: Any, value: Any) -> None:
    assert told_of(*pieces) == value


def test_a_block_that_begins_in_the_place_of_another_ends_it() -> None:
    blocks = ServerBlocks()
    blocks.start(0, TOOL)
    (told,) = blocks.start(0, {"type": "text"})
    assert told == {"server_tool": TOOL}
    assert blocks.stop(0) == []
    assert blocks.stop_all() == []


def test_a_delta_of_another_kind_or_place_is_left_to_others() -> None:
    blocks = ServerBlocks()
    blocks.start(0, TOOL)
    assert not blocks.add(0, {"type": "text_delta", "text": "a"})
    assert not blocks.add(1, piece("{}"))


def test_inputs_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anthropic_blocks, "MAX_INPUT", 10)
    blocks = ServerBlocks()
    for index in range(2):
        blocks.start(index, TOOL)
        blocks.add(index, piece("12345"))
    with pytest.raises(LimitExceeded, match="may have 10 characters, got more"):
        blocks.add(0, piece("6"))


def test_open_blocks_are_bounded() -> None:
    blocks = ServerBlocks()
    for index in range(MAX_CALLS):
        blocks.start(index, TOOL)
    with pytest.raises(LimitExceeded, match="at most 1024 open blocks"):
        blocks.start(MAX_CALLS, TOOL)
