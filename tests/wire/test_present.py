"""What a web client is shown of chunks and errors."""

from __future__ import annotations

import pickle
from typing import get_args

import pytest

from streamkit import errors
from streamkit.chunk import Chunk, Kind, Seam, Usage
from streamkit.wire.present import present_chunk, present_error, to_json

SECRET = "sk-test-0123456789"


def test_metadata_is_shown_where_it_is_the_message() -> None:
    call = Chunk('{"a"', kind="tool_call", metadata={"index": 0, "id": "c1", "name": "add"}, id="r")
    assert present_chunk(call) == {
        "kind": "tool_call", "content": '{"a"', "index": 0, "id": "c1", "name": "add",
    }  # fmt: skip
    usage = Chunk(kind="usage", metadata={"usage": Usage(output_tokens=3)})
    assert present_chunk(usage) == {
        "kind": "usage",
        "usage": {"output_tokens": 3, "estimated": False},
    }
    done = Chunk(kind="done", done=True, metadata={"outcome": "length"}, finish_reason="length")
    assert present_chunk(done) == {"kind": "done", "outcome": "length", "finish_reason": "length"}


@pytest.mark.parametrize("kind", get_args(Kind))
def test_other_metadata_stays_on_the_server(kind: Kind) -> None:
    secret = {"signature": SECRET, "details": {"cost": SECRET}, "kind": SECRET, "content": SECRET}
    chunk = Chunk("a", metadata=secret, kind=kind)
    assert present_chunk(chunk) == {"kind": kind, "content": "a"}


def test_metadata_cannot_take_the_place_of_what_a_chunk_is() -> None:
    chunk = Chunk("a", kind="citation", metadata={"kind": "done", "citation": {"url": "u"}})
    assert present_chunk(chunk) == {"kind": "citation", "content": "a", "citation": {"url": "u"}}


@pytest.mark.parametrize("name", errors.__all__)
def test_no_error_shows_its_message_or_body(name: str) -> None:
    kind = getattr(errors, name)
    shown = present_error(kind(SECRET, body=SECRET, code=SECRET))
    assert SECRET not in str(shown)
    assert shown["kind"] == "error" and shown["type"] and shown["message"]
    assert pickle.loads(pickle.dumps(shown)) == shown


def test_what_is_not_json_is_named_with_its_place_and_not_quoted() -> None:
    loop: list[object] = []
    loop.append(loop)
    for value, message in (
        (object(), "object at value"),
        ({"a": [1, {2}]}, r"set at value\['a'\]\[1\]"),
        ({"a": {"b": float("nan")}}, r"nan at value\['a'\]\['b'\]"),
        ([float("inf")], r"inf at value\[0\]"),
        ({"a": {(1, 2): 3}}, r"a key of type tuple in value\['a'\]"),
        ({float("nan"): 3}, "a key of type float in value"),
        ([b"secret"], r"bytes at value\[0\]"),
        (loop, "a list that is nested too deep, or in itself"),
        ([10**5000], "a number of too many digits"),
    ):
        with pytest.raises(errors.ConfigurationError, match=f"not JSON: {message}$"):
            to_json(value)


def test_a_seam_is_shown_without_what_broke() -> None:
    seam = Seam(2, 30, "overlap", trimmed=25, error="StreamInterrupted: 10.0.0.7 broke off")
    assert present_chunk(Chunk(kind="retry", metadata={"seam": seam})) == {
        "kind": "retry",
        "seam": {"attempt": 2, "at": 30, "how": "overlap", "trimmed": 25, "abandoned": 0},
    }
