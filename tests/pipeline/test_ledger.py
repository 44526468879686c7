"""Chunks, endings and errors as JSON, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import (
    Chunk,
    ConfigurationError,
    RateLimited,
    Result,
    Seam,
    StoreError,
    StreamkitError,
    StreamTimeout,
    Usage,
    errors,
)
from streamkit.pipeline.failures import error_from_json, error_to_json, may_be_resumed
from streamkit.pipeline.ledger import chunk_from_json, chunk_to_json, end_from_json, end_to_json
from streamkit.pipeline.saved import Place, call_from_json, call_to_json, describe, read_meta
from streamkit.request import Secret, build_call

CHUNKS = [
    Chunk("Hi"),
    Chunk("é🙂\n"),
    Chunk("hm", kind="reasoning"),
    Chunk("", kind="reasoning", metadata={"signature": "abc"}),
    Chunk('{"a', kind="tool_call", metadata={"index": 0, "id": "c1", "name": "add"}),
    Chunk("", kind="citation", metadata={"citation": {"url": "https://example.com"}}),
    Chunk("no", kind="refusal"),
    Chunk("", kind="usage", metadata={"usage": Usage(1, 2, 3, estimated=True)}),
    Chunk("", kind="gap", metadata={"dropped": 3}),
    Chunk("", kind="retry", metadata={"seam": Seam(2, 7, "overlap", 21, 1, "StreamTimeout: x")}),
    Chunk("", finish_reason="stop", model="m", id="i"),
]


@pytest.mark.parametrize("chunk", CHUNKS, ids=lambda c: f"{c.kind}-{c.content[:3]!r}")
def test_every_kind_of_chunk_comes_back(chunk: Chunk) -> None:
    assert chunk_from_json(json.loads(json.dumps(chunk_to_json(chunk)))) == chunk


def test_names_that_are_no_text_are_left_out() -> None:
    odd: Any = {"id": 5, "model": b"m", "finish_reason": 7}
    assert chunk_to_json(Chunk("Hi", **odd)) == {"content": "Hi"}
    end = end_to_json(Result(outcome="completed", request_id=odd["id"], **odd))
    assert end == {"outcome": "completed", "usage": {}}
    assert end_from_json(end).id is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


#: What a store can hold: JSON, with whatever Python's reader takes for it.
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.text(), st.dictionaries(st.text(), ANY, max_size=4))
def test_any_chunk_can_be_said_and_keeps_its_text(text: str, metadata: dict[str, Any]) -> None:
    data = chunk_to_json(Chunk(text, metadata=metadata))
    said = json.dumps(data, allow_nan=False, ensure_ascii=False).encode()
    assert chunk_from_json(json.loads(said)).content == text


def test_half_a_character_is_not_kept() -> None:
    data = chunk_to_json(Chunk("a\ud83d", metadata={"x": ["\ud83d"]}))
    json.dumps(data, ensure_ascii=False).encode()
    assert chunk_from_json({"content": "a\ud83d"}).content == "a\ufffd"


def test_what_may_be_a_key_is_left_out() -> None:
    metadata = {"a": Secret("sk-1234567890"), "b": [Secret("sk-1234567890")], "c": 1}
    assert chunk_to_json(Chunk("x", metadata=metadata))["metadata"] == {"b": [], "c": 1}


@given(DATA, DATA)
def test_any_data_is_a_chunk_or_a_store_error(value: Any, other: Any) -> None:
    for name in ("type", "content", "metadata", "finish_reason", "model", "id"):
        try:
            chunk_from_json({"content": "x", name: value, "else": other})
        except StoreError:
            pass


@given(st.dictionaries(st.sampled_from(["outcome", "usage", "cost", "model", "id"]), DATA))
def test_any_data_is_an_ending_or_a_store_error(data: dict[str, Any]) -> None:
    try:
        end_from_json(data)
    except StoreError:
        pass


def test_an_ending_comes_back() -> None:
    result = Result(
        text="x", usage=Usage(1, 2), outcome="length", finish_reason="max", cost=0.5, model="m"
    )
    ending = end_from_json(json.loads(json.dumps(end_to_json(result))))
    assert (ending.usage, ending.outcome, ending.cost) == (Usage(1, 2), "length", 0.5)
    assert (ending.finish_reason, ending.model, ending.id) == ("max", "m", None)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_comes_back_as_its_class(name: str) -> None:
    kind: type[StreamkitError] = getattr(errors, name)
    error = kind("it broke", status=503, provider="p", stage="body")
    back = error_from_json(json.loads(json.dumps(error_to_json(error))))
    assert type(back) is kind
    assert (str(back), back.status, back.provider, back.stage) == ("it broke", 503, "p", "body")
    assert (back.outcome, back.retryable) == (error.outcome, error.retryable)


def test_an_error_keeps_what_its_class_says_and_no_body() -> None:
    error = RateLimited("slow", retry_after=2.5, code="rate", body="the body", message="slow down")
    data = error_to_json(error)
    assert "the body" not in repr(data)
    back = error_from_json(data)
    assert isinstance(back, RateLimited)
    assert (back.retry_after, back.code, back.message) == (2.5, "rate", "slow down")
    clock = error_from_json(error_to_json(StreamTimeout("late", clock="wire", limit=3.0)))
    assert isinstance(clock, StreamTimeout) and (clock.clock, clock.limit) == ("wire", 3.0)


@given(st.dictionaries(st.sampled_from(["class", "said", "status", "outcome", "limit"]), DATA))
def test_any_data_is_an_error(data: dict[str, Any]) -> None:
    assert isinstance(error_from_json(data), StreamkitError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.StreamInterrupted(), True),
        (errors.TruncatedStream(), True),
        (errors.RateLimited(), True),
        (errors.InvalidRequest(), False),
        (ValueError(), False),
    ],
    ids=repr,
)
def test_an_error_says_whether_the_answer_may_be_resumed(error: Any, expected: bool) -> None:
    assert may_be_resumed(error_to_json(error)) is expected
    assert may_be_resumed(error_to_json(error, recoverable=not expected)) is not expected
    assert not may_be_resumed({"recoverable": "yes"})


def test_a_call_comes_back_without_its_headers() -> None:
    call = build_call(
        "m",
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        {"system": "s", "temperature": 0.5, "stop": ["a"], "tools": [{"type": "function"}],
         "extra_body": {"x": 1}, "extra_headers": {"X-Key": "secret"}, "max_tokens": 5},
    )  # fmt: skip
    data = json.loads(json.dumps(call_to_json(call)))
    assert "secret" not in repr(data)
    back = call_from_json({**data, "model": "m"})
    assert back.extra_headers is None
    assert (back.messages, back.system, back.stop) == (call.messages, "s", ("a",))
    assert (back.temperature, back.max_tokens, back.extra_body) == (0.5, 5, {"x": 1})


@pytest.mark.parametrize(
    ("prompt", "given", "named"),
    [
        ([{"role": "user", "content": b"x"}], {}, "messages"),
        ("Hi", {"extra_body": {"x": object()}}, "extra_body"),
        ("Hi", {"extra_body": {"x": float("nan")}}, "extra_body"),
        ("Hi", {"extra_body": {"api_key": Secret("sk-1234567890")}}, "extra_body"),
    ],
)
def test_a_call_that_json_cannot_say_is_refused(prompt: Any, given: Any, named: str) -> None:
    call = build_call("m", prompt, given)
    with pytest.raises(ConfigurationError, match=f"^{named} cannot be kept") as caught:
        call_to_json(call)
    assert "sk-1234567890" not in str(caught.value)


def test_the_place_is_kept_without_secrets() -> None:
    place = Place(provider="p", api="a", base_url="https://u:secret@h:1/v1?key=secret", model="m")
    meta = json.loads(json.dumps(describe(place, build_call("m", "Hi", {}), "exact")))
    assert "secret" not in repr(meta)
    back, call, strategy = read_meta(meta)
    assert back == Place(provider="p", api="a", base_url="https://h:1/v1", model="m")
    assert (call.messages, strategy) == (({"role": "user", "content": "Hi"},), "exact")


@given(
    st.sampled_from(["format", "provider", "api", "base_url", "model", "call", "strategy"]), DATA
)
def test_any_meta_is_read_or_a_store_error(name: str, value: Any) -> None:
    meta = describe(Place(provider="p", model="m"), build_call("m", "Hi", {}))
    for changed in ({**meta, name: value}, {**meta, "call": {**meta["call"], "messages": value}}):
        try:
            read_meta(changed)
        except StoreError:
            pass
