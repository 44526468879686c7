"""Cohere's chat API: what goes out, and the events it reads."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError, ProtocolError, ProviderError
from streamkit.providers.base import Endpoint
from streamkit.providers.cohere import CohereChat
from streamkit.request import Call, Message, Secret
from streamkit.wire.sse import Event

ENDPOINT = Endpoint(
    provider="cohere", base_url="https://api.cohere.com", api_key=Secret("co-key-12345")
)
BASE = {"model": "m", "messages": [Message.user("Hi")], "stream": True}
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
COUNTS = {"billed_units": {"input_tokens": 1}, "tokens": {"input_tokens": 3, "output_tokens": 4}}


def body_of(**keywords: Any) -> Any:
    call = Call(model="m", **{"messages": (Message.user("Hi"),), **keywords})
    return json.loads(CohereChat(ENDPOINT).request(call).body)


def sent(*messages: Any) -> Any:
    return body_of(messages=messages)["messages"]


def event(type: Any, index: Any = 0, /, **message: Any) -> dict[str, Any]:
    return {"type": type, "index": index, "delta": {"message": message}}


def end(**delta: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": delta}


def call_event(type: str, index: Any = 0, /, **item: Any) -> dict[str, Any]:
    return event(type, index, tool_calls=item)


def wire(*frames: Any) -> list[Event]:
    return [Event(str(f.get("type")), json.dumps(f)) for f in frames]


def fed(*frames: Any) -> tuple[CohereChat, list[Chunk]]:
    dialect = CohereChat(ENDPOINT)
    return dialect, [chunk for one in wire(*frames) for chunk in dialect.feed(one)]


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


# What goes out.


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"system": "Be brief."},
         {"messages": [Message.system("Be brief."), Message.user("Hi")]}),
        ({"max_tokens": 7, "temperature": 0.0, "top_p": 0.5, "seed": 1, "stop": ("a",)},
         {"max_tokens": 7, "temperature": 0.0, "p": 0.5, "seed": 1, "stop_sequences": ["a"]}),
        ({"tool_choice": "auto"}, {}),
        ({"tool_choice": "required"}, {"tool_choice": "REQUIRED"}),
        ({"tool_choice": "NONE"}, {"tool_choice": "NONE"}),
        ({"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}),
        ({"response_format": {"type": "json_object", "json_schema": {"type": "object"}}},
         {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}},
         {"response_format": {"type": "json_object", "json_schema": {}}}),
        ({"extra_body": {"documents": [{"data": {"text": "x"}}], "k": 5}},
         {"documents": [{"data": {"text": "x"}}], "k": 5}),
    ],
)  # fmt: skip
def test_each_option_has_its_place_in_the_body(
    keywords: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body_of(**keywords) == BASE | expected


def test_the_request_goes_to_the_chat_path_and_the_key_into_a_header() -> None:
    request = CohereChat(ENDPOINT).request(Call(model="m", messages=(Message.user("Hi"),)))
    assert request.url == "https://api.cohere.com/v2/chat"
    assert request.headers["Authorization"] == "Bearer co-key-12345"
    models = CohereChat(ENDPOINT).models_request()
    assert models is not None
    assert models.url == "https://api.cohere.com/v1/models?page_size=1000"


def test_developer_messages_are_system_messages() -> None:
    messages = sent({"role": "developer", "content": "a"}, Message.user("b"))
    assert messages == [Message.system("a"), Message.user("b")]


def test_tools_get_the_parameters_that_cohere_asks_for() -> None:
    full = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    bare = {"type": "function", "function": {"name": "add"}}
    assert body_of(tools=(full, bare, {"own": 1}))["tools"] == [full, full, {"own": 1}]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message.assistant("", tool_calls=[CALL]), {"role": "assistant", "tool_calls": [CALL]}),
        (
            {"role": "assistant", "content": None, "tool_plan": "p", "tool_calls": [CALL]},
            {"role": "assistant", "tool_plan": "p", "tool_calls": [CALL]},
        ),
        (
            Message.assistant("So:", tool_calls=[CALL]),
            {"role": "assistant", "content": "So:", "tool_calls": [CALL]},
        ),
        (
            Message.assistant(
                "x", tool_calls=[{"id": "c1", "function": {"name": "add", "arguments": {"é": 1}}}]
            ),
            {
                "role": "assistant",
                "content": "x",
                "tool_calls": [{"id": "c1", "function": {"name": "add", "arguments": '{"é": 1}'}}],
            },
        ),
        (
            Message.tool("2", tool_call_id="c1"),
            {"role": "tool", "content": "2", "tool_call_id": "c1"},
        ),
        (
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "document", "x": 1}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "document", "x": 1}]},
        ),
        (
            Message.user([{"type": "image_url", "image_url": "https://h/i.png"}]),
            Message.user([{"type": "image_url", "image_url": {"url": "https://h/i.png"}}]),
        ),
        (
            Message.user([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]),
            Message.user([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]),
        ),
    ],
)
def test_a_message_becomes_one_of_coheres(message: Any, expected: Any) -> None:
    before = json.dumps(message)
    assert sent(message) == [expected]
    assert json.dumps(message) == before


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "one tool"),
        ({"tool_choice": "any"}, "must be auto, none or required"),
        ({"messages": (Message.user([{"type": "input_audio"}]),)}, "'input_audio'"),
        ({"messages": (Message.user([{"type": "file"}]),)}, "'file'"),
        ({"messages": ({"role": "user", "content": 5},)}, "content of message 0"),
        ({"messages": ({"role": "assistant", "tool_calls": [
            {"function": {"name": "f", "arguments": {"a": {1}}}}]},)}, "not a JSON object"),
    ],
)  # fmt: skip
def test_what_cohere_cannot_do_is_refused_before_sending(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        body_of(**keywords)


# What comes in.


def test_an_answer_is_read_with_its_id_counts_and_finish_reason() -> None:
    dialect, chunks = fed(
        event("message-start", content=[], tool_plan="", citations=[]) | {"id": "i"},
        event("content-start", content={"type": "text", "text": ""}),
        event("content-delta", content={"text": "Hel"}),
        event("content-delta", content={"text": "lo"}),
        event("content-end"),
        end(finish_reason="COMPLETE", usage=COUNTS),
    )  # fmt: skip
    assert shown(chunks) == [("text", "Hel"), ("text", "lo"), ("usage", "")]
    assert chunks[-1].metadata == {
        "usage": Usage(input_tokens=3, output_tokens=4),
        "details": COUNTS,
    }
    assert chunks[-1].finish_reason == "COMPLETE"
    assert {(chunk.model, chunk.id) for chunk in chunks} == {(None, "i")}
    assert (dialect.finished, dialect.finish_reason, dialect.model) == (True, "COMPLETE", None)


def test_reasoning_and_cached_tokens_are_counted_where_they_are_told() -> None:
    usage = {"tokens": {"output_tokens": 4, "reasoning_tokens": 2}, "cached_tokens": 1}
    _, (chunk,) = fed(end(usage=usage))
    assert chunk.metadata["usage"] == Usage(
        output_tokens=4, reasoning_tokens=2, cached_input_tokens=1
    )


def test_thinking_and_plans_are_reasoning() -> None:
    _, chunks = fed(
        event("content-start", content={"type": "thinking", "thinking": "a"}),
        event("content-delta", content={"thinking": "b"}),
        event("tool-plan-delta", tool_plan="c"),
        event("content-delta", content={"thinking": "d", "text": "e"}),
    )
    assert shown(chunks) == [*(("reasoning", x) for x in "abcd"), ("text", "e")]


def test_calls_are_told_apart_by_index_and_may_have_no_arguments() -> None:
    _, chunks = fed(
        call_event("tool-call-start", 0, id="c0", function={"name": "f", "arguments": ""}),
        call_event("tool-call-start", 1, id="c1", function={"name": "g", "arguments": "{"}),
        call_event("tool-call-delta", 1, function={"arguments": "}"}),
        call_event("tool-call-delta", 0, function={"arguments": ""}),
        call_event("tool-call-delta", 7, function={"arguments": "lost"}),
        event("tool-call-end", 1),
    )
    assert shown(chunks) == [("tool_call", ""), ("tool_call", "{"), ("tool_call", "}")]
    assert [chunk.metadata for chunk in chunks] == [
        {"index": 0, "id": "c0", "name": "f"},
        {"index": 1, "id": "c1", "name": "g"},
        {"index": 1, "id": "c1", "name": "g"},
    ]


def test_a_citation_comes_as_it_was_sent_once() -> None:
    citation = {"start": 0, "end": 2, "text": "Hi", "sources": [{"type": "document", "id": "d"}]}
    _, chunks = fed(event("citation-start", citations=citation), event("citation-end"))
    assert [(c.kind, c.metadata) for c in chunks] == [("citation", {"citation": citation})]


def test_logprobs_are_kept_beside_their_text() -> None:
    logprobs = {"text": "a", "token_ids": [1], "logprobs": [-0.5]}
    _, (chunk,) = fed(event("content-delta", content={"text": "a"}) | {"logprobs": logprobs})
    assert (chunk.content, chunk.metadata) == ("a", {"logprobs": logprobs})


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": None},
        {"type": []},
        {"type": "debug", "delta": {"message": {"content": {"text": "x"}}}},
        event("content-end", content={"text": "x"}),
        event("content-delta", content=None),
        event("content-delta", content={"text": 5}),
        event("content-delta", content="x"),
        {"type": "content-delta", "delta": None},
        event("tool-call-start", tool_calls=5),
        end(),
        end(usage=5),
    ],
)
def test_events_that_hold_nothing_give_nothing(frame: Any) -> None:
    assert fed(frame)[1] == []


def test_the_end_mark_ends_nothing_before_message_end_nor_after_it() -> None:
    dialect, _ = fed(event("content-delta", content={"text": "a"}))
    assert dialect.feed(Event("message", "[DONE]")) == []
    assert not dialect.finished
    dialect, _ = fed(end(finish_reason="COMPLETE"))
    assert dialect.feed(Event("message", "[DONE]")) == []
    assert (dialect.finished, dialect.finish_reason) == (True, "COMPLETE")


def test_counts_may_be_floats() -> None:
    usage = {"tokens": {"input_tokens": 5.0, "output_tokens": 7.5}}
    _, (chunk,) = fed(end(usage=usage))
    assert chunk.metadata == {"usage": Usage(5), "details": usage}


def test_what_is_not_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        CohereChat(ENDPOINT).feed(Event("message", "{oops"))


# Errors in the stream.

FAILED = r"^cohere failed in the stream: out of luck$"


@pytest.mark.parametrize(
    "frame", [{"id": "x", "message": "out of luck"}, {"error": {"message": "out of luck"}}]
)
def test_an_error_in_place_of_an_event_is_raised(frame: Any) -> None:
    with pytest.raises(ProviderError, match=FAILED):
        fed(event("content-delta", content={"text": "a"}), frame)


def test_an_event_named_error_is_raised_whatever_it_holds() -> None:
    with pytest.raises(ProviderError, match=FAILED):
        CohereChat(ENDPOINT).feed(Event("error", "out of luck"))


@pytest.mark.parametrize(("usage", "kinds"), [(COUNTS, ["usage"]), (None, [])])
def test_an_error_at_the_end_waits_for_what_it_came_with(usage: Any, kinds: list[str]) -> None:
    dialect, chunks = fed(end(finish_reason="ERROR", error="out of luck", usage=usage))
    assert ([chunk.kind for chunk in chunks], dialect.finish_reason) == (kinds, "ERROR")
    assert dialect.finished
    assert dialect.failure is not None
    assert re.search(FAILED, str(dialect.failure))


def test_without_an_error_nothing_is_left_at_the_end() -> None:
    dialect, _ = fed(end(finish_reason="TIMEOUT"))
    assert (dialect.flush(), dialect.finish_reason) == ([], "TIMEOUT")


# Whole answers.


def test_a_whole_answer_is_read() -> None:
    answer = {
        "id": "i",
        "finish_reason": "TOOL_CALL",
        "message": {
            "role": "assistant",
            "tool_plan": "p",
            "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "Hi"}],
            "citations": [{"start": 0}],
            "tool_calls": [CALL, {"id": "c2", "function": {"name": "g", "arguments": {"x": 1}}}],
        },
        "usage": COUNTS,
    }
    dialect = CohereChat(ENDPOINT)
    chunks = dialect.whole(json.dumps(answer).encode())
    assert chunks is not None
    assert shown(chunks) == [
        ("reasoning", "p"),
        ("reasoning", "t"),
        ("text", "Hi"),
        ("citation", ""),
        ("tool_call", '{"a": 1}'),
        ("tool_call", '{"x": 1}'),
        ("usage", ""),
    ]
    assert [c.metadata["id"] for c in chunks if c.kind == "tool_call"] == ["c1", "c2"]
    assert (dialect.finished, dialect.finish_reason) == (True, "TOOL_CALL")
    assert dialect.response_id == "i"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message": 5}'])
def test_a_body_that_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    assert CohereChat(ENDPOINT).whole(body) is None


def test_a_whole_error_is_raised() -> None:
    with pytest.raises(ProviderError, match="invalid api token"):
        CohereChat(ENDPOINT).whole(b'{"id": "i", "message": "invalid api token"}')


def test_no_half_of_a_character_reaches_the_metadata() -> None:
    _, chunks = fed(
        event("citation-start", citations={"text": "\ud83d"}),
        call_event("tool-call-start", id="\ud83d", function={"name": "\ud83d"}),
        end(finish_reason="\ud83d", usage={"tokens": {}, "\ud83d": "\ud83d"}),
    )
    assert len(chunks) == 3
    for chunk in chunks:
        json.dumps([str(chunk.metadata), chunk.finish_reason], ensure_ascii=False).encode()
