"""What services that share a format do in their own way, byte by byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import Citation, Data, Error, Finish, Reasoning, Status, Text, Tool, Usage
from streamkit.testing.dialects import Asked, dialect_for
from streamkit.testing.dialects.frames import frame

Exchange = Callable[..., tuple[bytes, bytes, str]]
Body = Callable[..., bytes]

CHAT = "/{}/v1/chat/completions"
SAID = [Reasoning("hm"), Text("one two"), Tool("f", "{}", size=1), Usage(11, 7, reasoning=3)]
ASKED = {"stream_options": {"include_usage": True}}


@pytest.fixture
def body(exchange: Exchange, unframed: Callable[[bytes], tuple[bytes, bool]]) -> Body:
    def play(script: Any, path: str, **asked: Any) -> bytes:
        return unframed(exchange(script, path=path, **asked)[1])[0]

    return play


def chunks_of(sent: bytes) -> list[Any]:
    payloads = [line[6:] for line in sent.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(payload) for payload in payloads if payload != "[DONE]"]


def deltas_of(sent: bytes) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks_of(sent) if chunk["choices"]]


@pytest.mark.parametrize(
    ("service", "member"),
    [
        ("openai", "reasoning_content"),
        ("deepseek", "reasoning_content"),
        ("vllm", "reasoning_content"),
        ("groq", "reasoning"),
        ("together", "reasoning"),
        ("openrouter", "reasoning"),
        ("cerebras", "reasoning"),
    ],
)
def test_thinking_is_where_the_service_puts_it(body: Body, service: str, member: str) -> None:
    deltas = deltas_of(body(SAID, CHAT.format(service)))
    assert [delta[member] for delta in deltas if member in delta] == ["hm"]


@pytest.mark.parametrize(
    ("service", "asked", "place"),
    [
        ("openai", True, "apart"),
        ("openai", False, "nowhere"),
        ("azure", False, "nowhere"),
        ("together", False, "apart"),
        ("openrouter", False, "apart"),
        ("groq", False, "finish"),
        ("mistral", False, "finish"),
        ("deepseek", True, "finish"),
        ("cerebras", False, "finish"),
    ],
)
def test_usage_is_reported_where_the_service_does(
    body: Body, service: str, asked: bool, place: str
) -> None:
    chunks = chunks_of(body(SAID, CHAT.format(service), **(ASKED if asked else {})))
    reported = [chunk for chunk in chunks if chunk.get("usage")]
    assert len(reported) == (place != "nowhere")
    assert reported == ([] if place == "nowhere" else chunks[-1:])
    assert [bool(chunk["choices"]) for chunk in reported] == [place == "finish"] * len(reported)


@pytest.mark.parametrize("service", ["groq", "mistral", "xai"])
def test_a_tool_call_comes_whole_at_some(body: Body, service: str) -> None:
    calls = [d.get("tool_calls") for d in deltas_of(body(SAID, CHAT.format(service)))]
    assert [call[0]["function"]["arguments"] for call in calls if call] == ["{}"]


def test_groq_says_its_usage_twice(body: Body) -> None:
    last = chunks_of(body(SAID, CHAT.format("groq")))[-1]
    assert last["usage"] == last["x_groq"]["usage"]


def test_mistral_thinks_in_lists(body: Body) -> None:
    deltas = deltas_of(body([*SAID, Citation("https://example.com")], CHAT.format("mistral")))
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    reference = {"type": "reference", "reference_ids": [0]}
    lists = [d["content"] for d in deltas if isinstance(d.get("content"), list)]
    assert lists == [[thinking], [reference]]


def test_azure_begins_with_what_its_filter_found(body: Body) -> None:
    path = "/azure/openai/deployments/gpt/chat/completions?api-version=1"
    chunks = chunks_of(body("hi", path, model=None))
    assert chunks[0]["choices"] == [] and chunks[0]["prompt_filter_results"]
    assert {chunk["model"] for chunk in chunks[1:]} == {"gpt"}


def test_openrouter_begins_with_a_comment(body: Body) -> None:
    assert body("hi", CHAT.format("openrouter")).startswith(b": OPENROUTER PROCESSING\n\ndata: {")


def test_perplexity_repeats_all_it_said(body: Body) -> None:
    script = [Reasoning("hm"), Text("one two"), Citation("https://example.com", "A"), Usage(1, 2)]
    sent = body(script, "/perplexity/chat/completions")
    chunks = chunks_of(sent)
    choices = [chunk["choices"][0] for chunk in chunks]
    assert sent.count(b"\r\n\r\n") == len(chunks) and b"[DONE]" not in sent
    assert [c["delta"]["content"] for c in choices] == ["<think>hm", "</think>one", " two", "", ""]
    assert choices[-1]["message"]["content"] == "<think>hm</think>one two"
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks] == [1, 2, 2, 2, 2]
    assert chunks[-1]["citations"] == ["https://example.com"]
    assert chunks[-1]["search_results"][0]["title"] == "A"


def test_responses_without_names_of_events_end_with_done(body: Body) -> None:
    sent = body(SAID, "/openrouter/v1/responses")
    assert b"event:" not in sent and sent.endswith(b"data: [DONE]\n\n")
    assert b"[DONE]" not in body(SAID, "/v1/responses")


@pytest.mark.parametrize(
    ("reason", "status", "why"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("odd", "incomplete", "odd"),
    ],
)
def test_a_response_says_why_it_is_incomplete(
    body: Body, reason: str, status: str, why: str | None
) -> None:
    last = chunks_of(body([Text("a"), Finish(reason)], "/v1/responses"))[-1]
    assert (last["type"], last["response"]["status"]) == (f"response.{status}", status)
    assert last["response"]["incomplete_details"] == (why and {"reason": why})


def test_a_failing_response_says_so_twice(body: Body) -> None:
    events = chunks_of(body([Text("a"), Error("boom", code="c")], "/v1/responses"))[-2:]
    assert [event["type"] for event in events] == ["error", "response.failed"]
    error = {"code": "c", "message": "boom"}
    assert events[1]["response"]["error"] == error
    assert events[0]["error"].items() >= error.items()


def test_the_array_of_gemini_is_one_json_value(body: Body) -> None:
    path = "/v1beta/models/m:streamGenerateContent"
    sent = body([Reasoning("hm"), Text("one two"), Data({"x": 1}), Usage(3, 2)], path)
    entries = json.loads(sent)
    assert sent.startswith(b"[{\n") and b"}\n,\r\n{" in sent
    assert [e["candidates"][0]["content"]["parts"][0] for e in entries[:3]] == [
        {"text": "hm", "thought": True},
        {"text": "one"},
        {"text": " two"},
    ]
    assert [e["usageMetadata"]["candidatesTokenCount"] for e in entries[:3]] == [1, 2, 2]
    assert entries[3] == {"x": 1}
    assert entries[-1]["candidates"][0]["finishReason"] == "STOP"
    failed = json.loads(body([Text("a"), Error("boom", type="UNAVAILABLE", code=503)], path))
    error = {"code": 503, "message": "boom", "status": "UNAVAILABLE"}
    assert failed[-1] == {"error": error}


def test_an_error_of_gemini_is_no_event(body: Body) -> None:
    sent = body([Text("a"), Error("boom")], "/v1beta/models/m:streamGenerateContent?alt=sse")
    assert json.loads(sent.partition(b"\r\n\r\n")[2])["error"]["status"] == "INTERNAL"


def test_cohere_tells_an_error_at_the_end_of_the_message(body: Body) -> None:
    last = chunks_of(body([Text("a"), Error("boom")], "/v2/chat"))[-1]
    error = {"error": "boom", "finish_reason": "ERROR"}
    assert last == {"type": "message-end", "delta": error}


def test_data_of_your_own_goes_out_in_frames(body: Body) -> None:
    sent = body([Data({"x": 1}, event="odd"), Text("hi")], "/model/m/converse-stream")
    assert sent.startswith(frame("odd", b'{"x": 1}'))
    sent = body([Data({"x": 1})], "/model/m/invoke-with-response-stream")
    assert b'{"bytes":"eyJ4IjogMX0="' in sent


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        (CHAT.format("mistral"), 401, {"detail": "no"}),
        (CHAT.format("openrouter"), 402, {"error": {"message": "no", "code": 402}}),
        (CHAT.format("huggingface"), 400, {"error": "no"}),
        (CHAT.format("azure"), 429, {"error": {"code": "rate_limit_exceeded", "message": "no"}}),
        ("/v2/chat", 401, {"id": "local-1", "message": "no"}),
        ("/model/m/converse-stream", 400, {"message": "no"}),
        (
            "/v1beta/models/m:streamGenerateContent",
            429,
            {"error": {"code": 429, "message": "no", "status": "RESOURCE_EXHAUSTED"}},
        ),
        (
            CHAT.format("cerebras"),
            404,
            {
                "message": "no",
                "type": "invalid_request_error",
                "param": None,
                "code": "model_not_found",
            },
        ),
    ],
)
def test_an_http_error_has_the_shape_of_the_service(
    exchange: Exchange, path: str, status: int, expected: Any
) -> None:
    assert json.loads(exchange(Status(status, message="no"), path=path)[1]) == expected


def test_the_headers_of_an_error_are_those_of_the_service(exchange: Exchange) -> None:
    head, page, _ = exchange(Status(401, message="<no>"), path="/perplexity/chat/completions")
    assert b"\r\ncontent-type: text/html" in head and b"&lt;no&gt;" in page
    head, _, _ = exchange(Status(429), path="/model/m/converse-stream")
    assert b"\r\nx-amzn-errortype: ThrottlingException" in head
    # Gemini says so of an error too, but its body is plain JSON.
    path = "/v1beta/models/m:streamGenerateContent?alt=sse"
    head, page, _ = exchange(Status(400), path=path)
    assert b"\r\ncontent-type: text/event-stream" in head and json.loads(page)


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/model/anthropic.claude-v1:0/converse-stream", "anthropic.claude-v1:0"),
        ("/model/anthropic.claude-v1%3A0/converse-stream", "anthropic.claude-v1:0"),
        ("/v1beta/models/gemini-x:streamGenerateContent?alt=sse", "gemini-x"),
        ("/v1/projects/p/locations/l/publishers/google/models/g:streamGenerateContent", "g"),
        ("/v2/chat", "local"),
    ],
)
def test_the_model_may_be_in_the_path(path: str, model: str) -> None:
    kind = dialect_for(path)
    assert kind is not None
    assert kind(Asked({}, path, 1), None).model == model
