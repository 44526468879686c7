"""The messages dialect: what it sends, and the events it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError, Overloaded, ProtocolError, ProviderError
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.base import Endpoint
from streamkit.request import Call, Message, Secret
from streamkit.wire.sse import Event

ENDPOINT = Endpoint(
    provider="anthropic", base_url="https://api.anthropic.com", api_key=Secret("sk-ant-123456")
)
HI = (Message.user("Hi"),)
BASE = {"model": "m", "max_tokens": 4096, "messages": [Message.user("Hi")], "stream": True}
TOOL = {"name": "add", "input_schema": {"type": "object"}}
FORMAT = {"type": "json_schema", "schema": {"type": "object"}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
STOP = {"type": "message_stop"}


def body_of(**keywords: Any) -> Any:
    call = Call(model="m", **{"messages": HI, **keywords})
    return json.loads(AnthropicMessages(ENDPOINT).request(call).body)


def event(frame: Any, name: str = "message") -> Event:
    data = frame if isinstance(frame, str) else json.dumps(frame)
    return Event(name, data, "", None)


def fed(*frames: Any) -> tuple[AnthropicMessages, list[Chunk]]:
    dialect = AnthropicMessages(ENDPOINT)
    return dialect, [chunk for frame in frames for chunk in dialect.feed(event(frame))]


def start(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


# What goes out.


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 7}, {"max_tokens": 7}),
        ({"system": "Be brief."}, {"system": "Be brief."}),
        ({"temperature": 0.0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
        ({"stop": ("a",)}, {"stop_sequences": ["a"]}),
        ({"tools": (TOOL,), "tool_choice": "required"},
         {"tools": [TOOL], "tool_choice": {"type": "any"}}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": SCHEMA}, {"output_config": {"format": FORMAT}}),
        ({"response_format": FORMAT}, {"output_config": {"format": FORMAT}}),
        ({"response_format": SCHEMA, "extra_body": {"output_config": {"effort": "low"}}},
         {"output_config": {"format": FORMAT, "effort": "low"}}),
        ({"extra_body": {"thinking": {"type": "enabled", "budget_tokens": 1024}}},
         {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
)  # fmt: skip
def test_each_option_has_its_place_in_the_body(
    keywords: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body_of(**keywords) == BASE | expected


@pytest.mark.parametrize(
    "keywords",
    [
        {"seed": 1},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "json_schema", "json_schema": None}},
    ],
)
def test_what_the_api_has_not_is_refused_before_sending(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(keywords))):
        body_of(**keywords)


def test_the_request_goes_to_the_messages_path_with_the_key_in_its_header() -> None:
    request = AnthropicMessages(ENDPOINT).request(Call(model="m", messages=HI))
    assert request.url == "https://api.anthropic.com/v1/messages"
    assert request.headers["x-api-key"] == "sk-ant-123456"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "sk-ant" not in repr(request.headers)


def test_a_header_of_the_user_replaces_that_of_the_dialect() -> None:
    call = Call(model="m", messages=HI, extra_headers={"Anthropic-Version": "2030-01-01"})
    headers = AnthropicMessages(ENDPOINT).request(call).headers
    assert [v for k, v in headers.items() if k.lower() == "anthropic-version"] == ["2030-01-01"]


# What comes in.


def test_a_text_answer_is_read_with_its_usage_and_end() -> None:
    dialect, chunks = fed(
        {"type": "message_start", "message": {
            "id": "msg_1", "model": "claude", "usage": {"input_tokens": 9, "output_tokens": 1}}},
        start(0, type="text", text=""),
        {"type": "ping"},
        delta(0, "text_delta", text="Hel"),
        delta(0, "text_delta", text="lo"),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
         "usage": {"output_tokens": 5, "input_tokens": None}},
        {"type": "message_stop"},
    )  # fmt: skip
    assert shown(chunks) == [("usage", ""), ("text", "Hel"), ("text", "lo"), ("usage", "")]
    assert chunks[0].metadata["usage"] == Usage(input_tokens=9, output_tokens=1)
    assert chunks[-1].metadata["usage"] == Usage(input_tokens=9, output_tokens=5)
    assert [chunk.finish_reason for chunk in chunks] == [None, None, None, "end_turn"]
    assert (dialect.finished, dialect.finish_reason) == (True, "end_turn")
    assert {(chunk.model, chunk.id) for chunk in chunks} == {("claude", "msg_1")}


def test_tool_calls_are_numbered_apart_from_their_blocks() -> None:
    _, chunks = fed(
        start(0, type="text", text="Let me see."),
        start(1, type="tool_use", id="t1", name="add", input={}),
        delta(1, "input_json_delta", partial_json=""),
        delta(1, "input_json_delta", partial_json='{"a":'),
        start(3, type="tool_use", id="t2", name="now", input={}),
        delta(1, "input_json_delta", partial_json="1}"),
    )
    assert shown(chunks) == [
        ("text", "Let me see."), ("tool_call", ""), ("tool_call", '{"a":'),
        ("tool_call", ""), ("tool_call", "1}"),
    ]  # fmt: skip
    assert chunks[2].metadata == {"index": 0, "id": "t1", "name": "add"}
    assert chunks[3].metadata == {"index": 1, "id": "t2", "name": "now"}


@pytest.mark.parametrize("end", [stop(0), STOP, start(0, type="text", text="")])
def test_input_that_is_full_at_the_start_is_the_arguments_once_the_block_ends(end: Any) -> None:
    begin = start(0, type="tool_use", id="t", name="f", input={"x": "é"})
    dialect, chunks = fed(begin, delta(0, "input_json_delta", partial_json=""))
    assert shown(chunks) == [("tool_call", "")]
    (rest,) = dialect.feed(event(end))
    assert (rest.kind, rest.content) == ("tool_call", '{"x": "é"}')
    assert rest.metadata == chunks[0].metadata == {"index": 0, "id": "t", "name": "f"}
    assert dialect.flush() == []


def test_the_end_mark_that_gateways_append_ends_nothing_and_breaks_nothing() -> None:
    dialect, chunks = fed(delta(0, "text_delta", text="a"), "[DONE]", " [DONE] ")
    assert (shown(chunks), dialect.finished) == ([("text", "a")], False)
    dialect, chunks = fed(STOP, "[DONE]")
    assert (chunks, dialect.finished) == ([], True)


def test_input_that_streams_in_replaces_that_of_the_start() -> None:
    dialect, chunks = fed(
        start(0, type="tool_use", id="t", name="f", input={"x": 1}),
        start(1, type="tool_use", id="u", name="g", input={"y": 1}),
        delta(0, "input_json_delta", partial_json=""),
        delta(0, "input_json_delta", partial_json='{"x": '),
        delta(0, "input_json_delta", partial_json="2}"),
        stop(0),
    )
    assert [(c.content, c.metadata["id"]) for c in chunks] == [
        ("", "t"), ("", "u"), ('{"x": ', "t"), ("2}", "t"),
    ]  # fmt: skip
    assert [(c.content, c.metadata["id"]) for c in dialect.flush()] == [('{"y": 1}', "u")]


@pytest.mark.parametrize("kind", ["server_tool_use", "mcp_tool_use"])
def test_a_tool_that_the_service_runs_is_told_with_its_input_before_it_runs(kind: str) -> None:
    block = {"type": kind, "id": "s", "name": "search", "server_name": "n"}
    _, chunks = fed(
        start(0, type="tool_use", id="t", name="f"),  # of a message before: its index comes again
        start(0, **block, input={}),
        delta(0, "input_json_delta", partial_json='{"query": '),
        delta(0, "input_json_delta", partial_json='"x"}'),
        stop(0),
        start(1, type="text", text=""),
    )
    assert shown(chunks) == [("tool_call", ""), ("text", "")]
    assert chunks[1].metadata == {"server_tool": {**block, "input": {"query": "x"}}}


def test_the_result_of_such_a_tool_is_told_as_sent() -> None:
    block = {
        "type": "web_search_tool_result",
        "tool_use_id": "s",
        "content": [{"url": "https://a.example", "encrypted_content": "E"}],
    }
    _, chunks = fed(start(1, **block), stop(1))
    assert [chunk.metadata for chunk in chunks] == [{"server_tool_result": {**block, "id": "s"}}]


def test_a_compaction_is_told_once_with_what_its_delta_said() -> None:
    _, chunks = fed(
        start(0, type="compaction", content=None),
        delta(0, "compaction_delta", content="So far: a.", encrypted_content="E"),
        stop(0),
    )
    block = {"type": "compaction", "content": "So far: a.", "encrypted_content": "E"}
    assert [chunk.metadata for chunk in chunks] == [{"compaction": block}]


@pytest.mark.parametrize("ending", [STOP, None])
def test_a_block_without_an_end_is_told_at_that_of_the_answer(ending: Any) -> None:
    dialect, chunks = fed(
        start(0, type="server_tool_use", id="s", name="f", input={}),
        delta(0, "input_json_delta", partial_json='{"a'),
    )
    assert chunks == []
    (told,) = dialect.feed(event(ending)) if ending else dialect.flush()
    assert told.metadata["server_tool"]["input"] == '{"a'


def test_other_blocks_are_passed_over() -> None:
    _, chunks = fed(start(0, type="fallback", to={"model": "m"}), stop(0), start(1, type=None))
    assert chunks == []


def test_thinking_its_signature_and_redacted_blocks_are_reasoning() -> None:
    _, chunks = fed(
        start(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="EtAB"),
        start(1, type="redacted_thinking", data="xyz"),
    )
    assert shown(chunks) == [("reasoning", "hm"), ("reasoning", ""), ("reasoning", "")]
    assert [c.metadata for c in chunks[1:]] == [{"signature": "EtAB"}, {"redacted": "xyz"}]


def test_citations_are_chunks_of_their_own() -> None:
    _, chunks = fed(delta(0, "citations_delta", citation={"type": "char_location"}))
    assert shown(chunks) == [("citation", "")]
    assert chunks[0].metadata == {"citation": {"type": "char_location"}}


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": "new_event", "delta": {"text": "no"}},
        {"type": "content_block_start"},
        {"type": "content_block_delta"},
        {"type": "content_block_delta", "delta": {"type": "text_delta"}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": ""}},
        {"type": "content_block_delta", "delta": {"type": "new_delta", "text": "no"}},
        {"type": "message_start"},
        {"type": "message_delta"},
        {"type": "message_delta", "delta": None, "usage": None},
        "",
        "[]",
    ],
)
def test_events_that_hold_nothing_give_nothing(frame: Any) -> None:
    assert fed(frame)[1] == []


def test_several_messages_keep_the_first_id_and_the_last_reason() -> None:
    dialect, _ = fed(
        {"type": "message_start", "message": {"id": "one", "model": "m"}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_start", "message": {"id": "two", "model": "n"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_delta", "delta": {"stop_reason": None}},
    )
    assert (dialect.response_id, dialect.model) == ("one", "m")
    assert dialect.finish_reason == "end_turn"


def test_what_is_not_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        fed('{"type":')


@pytest.mark.parametrize("name", ["error", "message"])
def test_an_error_event_is_raised_and_says_whether_it_may_pass(name: str) -> None:
    frame = {
        "type": "error",
        "error": {"type": "overloaded_error", "message": "Overloaded"},
        "request_id": "req_1",
    }
    with pytest.raises(Overloaded) as caught:
        AnthropicMessages(ENDPOINT).feed(event(frame, name))
    error = caught.value
    assert (error.type, error.retryable, error.request_id) == ("overloaded_error", True, "req_1")
    assert str(error) == (
        "anthropic failed in the stream: Overloaded (type overloaded_error, request req_1)"
    )


# A whole JSON answer where a stream was due.


def test_a_whole_message_is_read() -> None:
    message = {
        "type": "message", "id": "msg_1", "model": "claude", "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "text", "text": "Hi", "citations": [{"type": "page_location"}]},
            {"type": "server_tool_use", "id": "s", "name": "g", "input": {"b": 2}},
            {"type": "g_tool_result", "tool_use_id": "s", "content": []},
            {"type": "compaction", "content": "c"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        ],
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }  # fmt: skip
    dialect = AnthropicMessages(ENDPOINT)
    chunks = dialect.whole(json.dumps(message).encode())
    assert chunks is not None
    assert shown(chunks) == [
        ("reasoning", "hm"), ("reasoning", ""), ("text", "Hi"), ("citation", ""),
        ("text", ""), ("text", ""), ("text", ""), ("tool_call", ""), ("tool_call", '{"a": 1}'),
        ("usage", ""),
    ]  # fmt: skip
    assert [list(chunk.metadata) for chunk in chunks[4:7]] == [
        ["server_tool"], ["server_tool_result"], ["compaction"],
    ]  # fmt: skip
    assert chunks[4].metadata["server_tool"]["input"] == {"b": 2}
    assert (dialect.finished, dialect.finish_reason) == (True, "tool_use")
    assert (dialect.model, dialect.response_id) == ("claude", "msg_1")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"type": "message"}'])
def test_a_body_that_is_no_message_is_not_taken_for_one(body: bytes) -> None:
    assert AnthropicMessages(ENDPOINT).whole(body) is None


def test_a_whole_error_is_raised() -> None:
    with pytest.raises(ProviderError, match="nope"):
        AnthropicMessages(ENDPOINT).whole(b'{"type":"error","error":{"message":"nope"}}')


def test_no_lone_surrogate_leaves_in_the_metadata() -> None:
    half = "a\ud83d"
    _, chunks = fed(
        delta(0, "citations_delta", citation={half: [half, {"cited_text": half}]}),
        delta(0, "signature_delta", signature=half),
        start(1, type="redacted_thinking", data=half),
    )
    assert [chunk.metadata for chunk in chunks] == [
        {"citation": {"a\ufffd": ["a\ufffd", {"cited_text": "a\ufffd"}]}},
        {"signature": "a\ufffd"},
        {"redacted": "a\ufffd"},
    ]


def test_unknown_counts_are_not_kept_and_known_ones_stay() -> None:
    dialect, chunks = fed(
        {"type": "message_start", "message": {"usage": {"input_tokens": 7, "output_tokens": 1}}},
        {
            "type": "message_delta",
            "usage": {"output_tokens": 5, "input_tokens": None, "k": "x" * 99},
        },
        {"type": "message_delta", "usage": {"output_tokens": "many"}},
    )
    usages = [chunk.metadata["usage"] for chunk in chunks]
    assert [(usage.input_tokens, usage.output_tokens) for usage in usages] == [(7, 1), (7, 5)]
    assert "x" * 99 not in str(vars(dialect))


def test_what_is_counted_beside_tokens_is_in_the_details_of_the_usage() -> None:
    begun = {"input_tokens": 7, "service_tier": "standard", "cache_creation": {"x_5m": 3}}
    _, chunks = fed(
        {"type": "message_start", "message": {"usage": begun}},
        {"type": "message_delta", "usage": {"output_tokens": 5, "server_tool_use": {"n": 1}}},
    )
    known = {"service_tier": "standard", "cache_creation": {"x_5m": 3}}
    assert [chunk.metadata["details"] for chunk in chunks] == [
        known,
        {**known, "server_tool_use": {"n": 1}},
    ]
