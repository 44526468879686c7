"""InvokeModel with Anthropic's models: the body it sends, and the events in its events."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk, Usage
from streamkit.errors import (
    ConfigurationError,
    Overloaded,
    ProtocolError,
    ProviderError,
    RateLimited,
)
from streamkit.providers.base import Endpoint
from streamkit.providers.bedrock_invoke import METRICS, BedrockInvoke
from streamkit.request import Call, Message, Secret
from streamkit.wire.eventstream import BinaryEvent, EventStreamDecoder

ENDPOINT = Endpoint(
    provider="bedrock",
    base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
    api_key=Secret("bedrock-api-key-123"),
)
CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
CHUNK = {":message-type": "event", ":event-type": "chunk"}


def request_of(model: str = CLAUDE, **keywords: Any) -> Any:
    call = Call(model=model, messages=(Message.user("Hi"),), **keywords)
    return BedrockInvoke(ENDPOINT).request(call)


def event(frame: Any) -> BinaryEvent:
    coded = b64encode(json.dumps(frame).encode()).decode()
    return BinaryEvent(CHUNK, json.dumps({"bytes": coded, "p": "abc"}).encode())


def fed(*events: BinaryEvent) -> tuple[BedrockInvoke, list[Chunk]]:
    dialect = BedrockInvoke(ENDPOINT)
    return dialect, [chunk for one in events for chunk in dialect.feed(one)]


# What goes out.


def test_the_body_is_that_of_the_messages_api_without_model_and_stream() -> None:
    request = request_of(max_tokens=7, extra_body={"anthropic_beta": ["b"], "top_k": 5})
    assert request.url.endswith(
        "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke-with-response-stream"
    )
    assert json.loads(request.body) == {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 7,
        "messages": [{"role": "user", "content": "Hi"}],
        "anthropic_beta": ["b"],
        "top_k": 5,
    }


def test_a_key_goes_as_bearer_and_no_header_of_anthropics_own_api_is_sent() -> None:
    request = request_of()
    assert request.sign is None
    assert {name.lower(): value for name, value in request.headers.items()} == {
        "content-type": "application/json",
        "accept": "application/vnd.amazon.eventstream",
        "authorization": "Bearer bedrock-api-key-123",
    }


@pytest.mark.parametrize(
    "model",
    [
        "anthropic.claude-v2:1",
        "us-gov.anthropic.claude-3-5-sonnet-20240620-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2",
        "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2c3",
    ],
)
def test_models_of_anthropic_and_arns_that_do_not_tell_are_taken(model: str) -> None:
    assert request_of(model).url.endswith("/invoke-with-response-stream")


@pytest.mark.parametrize(
    "model",
    ["amazon.titan-text-lite-v1", "us.meta.llama3-1-8b-instruct-v1:0", "arn:x/mistral.large"],
)
def test_models_of_others_are_referred_to_converse(model: str) -> None:
    with pytest.raises(ConfigurationError, match='use api="converse"'):
        request_of(model)


@pytest.mark.parametrize("keywords", [{"seed": 1}, {"response_format": {"type": "json_object"}}])
def test_what_the_api_has_not_is_refused_before_sending(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(keywords))):
        request_of(**keywords)


def test_the_list_of_models_is_on_another_host() -> None:
    assert BedrockInvoke(ENDPOINT).models_request() is None


# What comes back.


def test_the_frames_are_those_of_aws() -> None:
    assert isinstance(BedrockInvoke(ENDPOINT).decoder(max_event=99), EventStreamDecoder)


def test_the_events_in_the_chunks_are_read() -> None:
    text = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta"}}
    text["delta"] = {"type": "text_delta", "text": "Olá 👋"}
    message = {"id": "msg_1", "model": "claude", "usage": {"input_tokens": 3}}
    counted = {"inputTokenCount": 3, "firstByteLatency": 9}
    dialect, chunks = fed(
        event({"type": "message_start", "message": message}),
        event(text),
        event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
        event({"type": "message_stop", METRICS: counted}),
    )
    assert [(chunk.kind, chunk.content) for chunk in chunks] == [
        ("usage", ""), ("text", "Olá 👋"), ("usage", ""),
    ]  # fmt: skip
    assert (dialect.model, dialect.response_id) == ("claude", "msg_1")
    assert (dialect.finish_reason, dialect.finished) == ("end_turn", True)
    assert chunks[-1].metadata == {
        "usage": Usage(input_tokens=3),
        "details": {METRICS: counted},
    }


def test_a_whole_answer_is_read() -> None:
    body = {"type": "message", "content": [{"type": "text", "text": "Hi"}]}
    chunks = BedrockInvoke(ENDPOINT).whole(json.dumps(body).encode())
    assert [chunk.content for chunk in chunks or ()] == ["Hi"]


@pytest.mark.parametrize("payload", [b"{}", b"[]", b'{"bytes": 5}', b'{"bytes": ""}'])
def test_a_chunk_without_an_event_gives_nothing(payload: bytes) -> None:
    assert fed(BinaryEvent(CHUNK, payload))[1] == []


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"{", "must be JSON"),
        (b'{"bytes": "eyJ"}', "a chunk must hold base64"),
        ('{"bytes": "é"}'.encode(), "a chunk must hold base64"),
        (b'{"bytes": "eyJh"}', "must be JSON"),
    ],
)
def test_a_chunk_that_cannot_be_read_is_a_protocol_error(payload: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem) as caught:
        fed(BinaryEvent(CHUNK, payload))
    assert caught.value.__context__ is None


def test_exceptions_and_errors_of_the_model_are_provider_errors() -> None:
    headers = {":message-type": "exception", ":exception-type": "modelTimeoutException"}
    with pytest.raises(Overloaded, match=r"Slow \(type modelTimeoutException\)"):
        fed(BinaryEvent(headers, b'{"message": "Slow"}'))
    with pytest.raises(Overloaded, match="Busy"):
        fed(event({"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}}))


def test_an_http_error_names_its_type_in_a_header() -> None:
    headers = {"x-amzn-errortype": "ThrottlingException"}
    error = BedrockInvoke(ENDPOINT).error(429, headers, b'{"message": "Slow down"}')
    assert isinstance(error, RateLimited)
    assert error.type == "ThrottlingException"


@given(
    st.sampled_from(["chunk", "other", 5]),
    st.one_of(
        st.binary(max_size=30),
        st.text(max_size=30).map(lambda text: json.dumps({"bytes": text}).encode()),
        st.binary(max_size=30).map(
            lambda data: json.dumps({"bytes": b64encode(data).decode()}).encode()
        ),
        st.dictionaries(
            st.sampled_from(["type", "delta", METRICS, "usage"]),
            st.sampled_from([None, 5, "message_stop", {}, {"a": "\ud83d"}, []]),
        ).map(lambda frame: event(frame).payload),
    ),
)
def test_no_event_breaks_the_dialect(kind: Any, payload: bytes) -> None:
    try:
        _, chunks = fed(BinaryEvent({":event-type": kind}, payload))
    except (ProviderError, ProtocolError) as error:
        str(error).encode()
    else:
        json.dumps([chunk.metadata for chunk in chunks], default=str).encode()


def test_a_tool_that_the_service_runs_is_told_as_in_anthropics_own_api() -> None:
    block = {"type": "server_tool_use", "id": "s", "name": "web_search"}
    piece = {"type": "input_json_delta", "partial_json": '{"query": "x"}'}
    _, chunks = fed(
        event({"type": "content_block_start", "index": 0, "content_block": block}),
        event({"type": "content_block_delta", "index": 0, "delta": piece}),
        event({"type": "content_block_stop", "index": 0}),
    )
    told = {"server_tool": {**block, "input": {"query": "x"}}}
    assert [(chunk.kind, chunk.metadata) for chunk in chunks] == [("text", told)]
