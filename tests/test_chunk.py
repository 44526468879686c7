"""What comes out of a stream: equal by value, printable, and safe to send to another process."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, fields, replace
from typing import Any, get_args

import pytest

from streamkit import (
    Attempt,
    BatchConfig,
    BufferConfig,
    Chunk,
    FlowConfig,
    Kind,
    Limits,
    Message,
    MetricsConfig,
    Outcome,
    Overloaded,
    Result,
    RetryConfig,
    StreamOptions,
    Timeouts,
    ToolCall,
    Usage,
)
from streamkit.observe import Metrics, Progress

METRICS = Metrics(
    stream_id="s", provider="p", model="m", duration_ms=1.5, chunks_received=3, bytes_received=9,
    chunks_delivered=2, chunks_dropped=1, chunks_merged=0, chunks_per_second=2.0,
    bytes_per_second=6.0, time_to_first_chunk=None, errors=0, retries=0,
)  # fmt: skip
CHUNK = Chunk("hi", 3, 1.5, kind="reasoning", metadata={"a": 1}, model="m", id="r")
RESULT = Result(
    text="Hällo 😀",
    tool_calls=(ToolCall(0, "c", "add", '{"a": 1}'),),
    citations=({"url": "u"},),
    usage=Usage(input_tokens=1),
    outcome="completed",
    metrics=METRICS,
    attempts=(Attempt(1, 200, "req"),),
    dropped=2,
)
VALUES: list[Any] = [
    CHUNK,
    RESULT,
    METRICS,
    RESULT.usage,
    RESULT.tool_calls[0],
    RESULT.attempts[0],
    Progress(tokens_received=1, elapsed=0.5),
    Message.user("Hi"),
    StreamOptions(mode="managed", buffer=BufferConfig(capacity=7), retry=None),
    BatchConfig(),
    FlowConfig(),
    Limits(),
    MetricsConfig(),
    RetryConfig(),
    Timeouts(total=None),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_survives_pickle_copy_and_deepcopy(value: Any) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_shows_what_it_is(value: Any) -> None:
    if not isinstance(value, dict):
        assert repr(value).startswith(f"{type(value).__name__}(")


@pytest.mark.parametrize(
    "value",
    [value for value in VALUES if not isinstance(value, (Chunk, dict))],
    ids=lambda value: type(value).__name__,
)
def test_everything_but_a_chunk_is_frozen(value: Any) -> None:
    name = fields(value)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)


def test_a_chunk_takes_no_attribute_it_does_not_have() -> None:
    with pytest.raises(AttributeError):
        CHUNK.colour = "red"  # type: ignore[attr-defined]


def test_two_chunks_share_no_metadata() -> None:
    Chunk().metadata["a"] = 1
    assert Chunk().metadata == {}


def test_a_chunk_is_plain_text_unless_it_says_otherwise() -> None:
    chunk = Chunk("a")
    assert (chunk.kind, chunk.done, chunk.error, chunk.finish_reason) == ("text", False, None, None)


def test_usage_says_nothing_the_provider_did_not_say() -> None:
    usage = Usage(input_tokens=3, output_tokens=4)
    assert usage.total_tokens is None
    assert usage.estimated is False


@pytest.mark.parametrize(
    ("arguments", "parsed"), [('{"a": 1}', {"a": 1}), ("", {}), ("  \n", {}), ("[1]", [1])]
)
def test_the_arguments_of_a_call_can_be_read_as_values(arguments: str, parsed: Any) -> None:
    assert ToolCall(0, "", "f", arguments).parsed == parsed


def test_arguments_that_were_cut_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        _ = ToolCall(0, "", "f", '{"a": ').parsed


def test_the_vocabularies_are_those_of_the_design() -> None:
    kinds = "text reasoning tool_call citation refusal usage gap retry done"
    quiet = "completed length tool_calls content_filter refused cancelled stopped"
    raising = "truncated timeout provider_error transport_error rejected failed"
    assert " ".join(get_args(Kind)) == kinds
    assert " ".join(get_args(Outcome)) == f"{quiet} {raising}"


def test_a_result_with_a_failed_attempt_survives_pickle() -> None:
    error = Overloaded("busy", status=529)
    result = replace(RESULT, attempts=(Attempt(1, 529, "req", error, 0.5),))
    attempt = pickle.loads(pickle.dumps(result)).attempts[0]
    assert (type(attempt.error), attempt.error.status) == (Overloaded, 529)


def test_arguments_beyond_the_stack_are_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^the arguments are nested too deeply$"):
        _ = ToolCall(0, "", "f", "[" * 100_000).parsed


def test_halves_of_a_character_in_arguments_can_be_encoded() -> None:
    (value,) = ToolCall(0, "", "f", r'{"a": "\ud83d"}').parsed.values()
    assert value == "\ufffd"


def test_partial_arguments_are_read_once_and_kept() -> None:
    pytest.importorskip("jiter")
    call = ToolCall(0, "c", "f", '{"a": [1, "x')
    assert call.partial == {"a": [1, "x"]}
    assert call.partial is call.partial


def test_what_was_read_of_partial_arguments_is_no_part_of_the_call() -> None:
    pytest.importorskip("jiter")
    fresh, used = (ToolCall(0, "c", "f", '{"a": 1') for _ in range(2))
    assert used.partial == {"a": 1}
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert repr(used) == repr(fresh)
    assert asdict(used) == asdict(fresh)
    assert pickle.dumps(used) == pickle.dumps(fresh)
    assert copy.deepcopy(used) == fresh
    assert replace(used, arguments='{"a": 12').partial == {"a": 12}


def test_partial_arguments_that_are_no_json_are_a_value_error_each_time() -> None:
    pytest.importorskip("jiter")
    call = ToolCall(0, "c", "f", "{a")
    for _ in range(2):
        with pytest.raises(ValueError, match="key must be a string"):
            _ = call.partial
