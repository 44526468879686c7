"""Ollama's chat API: what goes out, and the lines it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError, ProtocolError, ProviderError
from streamkit.providers.base import Endpoint
from streamkit.providers.ollama import OllamaChat
from streamkit.request import Call, Message, Secret

ENDPOINT = Endpoint(provider="ollama", base_url="http://127.0.0.1:11434")
BASE = {"model": "m", "messages": [Message.user("Hi")], "stream": True}
TOOL = {"type": "function", "function": {"name": "add"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}


def body_of(**keywords: Any) -> Any:
    call = Call(model="m", **{"messages": (Message.user("Hi"),), **keywords})
    return json.loads(OllamaChat(ENDPOINT).request(call).body)


def fed(*frames: Any) -> tuple[OllamaChat, list[Chunk]]:
    dialect = OllamaChat(ENDPOINT)
    return dialect, [chunk for frame in frames for chunk in dialect.feed(json.dumps(frame))]


def line(done: bool = False, **message: Any) -> dict[str, Any]:
    return {"model": "m1", "message": {"role": "assistant", **message}, "done": done}


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
         {"options": {
             "num_predict": 7, "temperature": 0.0, "top_p": 0.5, "seed": 1, "stop": ["a"]}}),
        ({"max_tokens": 7, "extra_body": {"think": True, "options": {"num_ctx": 8192}}},
         {"think": True, "options": {"num_predict": 7, "num_ctx": 8192}}),
        ({"tools": (TOOL,), "tool_choice": "auto"}, {"tools": [TOOL]}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}},
         {"format": {"type": "array"}}),
        ({"response_format": {"type": "object", "properties": {}}},
         {"format": {"type": "object", "properties": {}}}),
    ],
)  # fmt: skip
def test_each_option_has_its_place_in_the_body(
    keywords: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body_of(**keywords) == BASE | expected


def test_the_request_goes_to_the_chat_path_with_a_key_only_if_there_is_one() -> None:
    call = Call(model="m", messages=(Message.user("Hi"),))
    request = OllamaChat(ENDPOINT).request(call)
    assert request.url == "http://127.0.0.1:11434/api/chat"
    assert "Authorization" not in request.headers
    cloud = Endpoint(provider="ollama", base_url="https://ollama.com", api_key=Secret("key-12345"))
    assert OllamaChat(cloud).request(call).headers["Authorization"] == "Bearer key-12345"


def test_the_list_of_models_is_that_of_the_tags() -> None:
    request = OllamaChat(ENDPOINT).models_request()
    assert request is not None
    assert request.url == "http://127.0.0.1:11434/api/tags"
    names = OllamaChat(ENDPOINT).model_names(b'{"models": [{"name": "m:1b", "model": "m:1b"}]}')
    assert names == ["m:1b"]


def test_images_of_the_answer_are_told_in_metadata() -> None:
    line = {"model": "m", "message": {"role": "assistant", "images": ["iVBO", 5, ""]}}
    (chunk,) = OllamaChat(ENDPOINT).feed(json.dumps(line))
    assert (chunk.content, chunk.metadata) == ("", {"image": {"data": "iVBO"}})


def test_developer_messages_are_system_messages() -> None:
    assert body_of(messages=({"role": "developer", "content": "a"},))["messages"] == [
        Message.system("a")
    ]


def test_arguments_become_objects_and_results_get_the_name_of_their_tool() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    messages = (
        Message.assistant("", tool_calls=[call]),
        Message.tool("2", tool_call_id="c1"),
        {"role": "tool", "content": "3", "tool_name": "own"},
    )
    sent = body_of(messages=messages)["messages"]
    assert sent[0]["tool_calls"] == [{**call, "function": {"name": "add", "arguments": {"a": 1}}}]
    assert sent[1] == {"role": "tool", "content": "2", "tool_call_id": "c1", "tool_name": "add"}
    assert sent[2] == messages[2]
    assert call["function"] == {"name": "add", "arguments": '{"a": 1}'}


def test_parts_become_one_text_and_a_list_of_images() -> None:
    parts = [{"type": "text", "text": "What"}, IMAGE, {"type": "text", "text": "is it?"}]
    sent = body_of(messages=(Message.user(parts), {"role": "assistant", "content": None}))
    assert sent["messages"] == [
        {"role": "user", "content": "What\nis it?", "images": ["iVBO"]},
        {"role": "assistant", "content": ""},
    ]


@pytest.mark.parametrize(
    "keywords",
    [
        {"tool_choice": "required"},
        {"messages": (Message.user([{"type": "image_url", "image_url": "https://h/i.png"}]),)},
        {"messages": (Message.user([{"type": "input_audio"}]),)},
    ],
)
def test_what_ollama_cannot_do_is_refused_before_sending(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^ollama "):
        body_of(**keywords)


# What comes in.


def test_an_answer_is_read_with_its_counts_and_the_text_of_its_last_line() -> None:
    last = line(True, content="!") | {
        "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 4, "total_duration": 1
    }  # fmt: skip
    dialect, chunks = fed(line(content="Hel"), line(content="lo"), line(content=""), last)
    assert shown(chunks) == [("text", "Hel"), ("text", "lo"), ("text", "!"), ("usage", "")]
    assert chunks[-1].metadata == {
        "usage": Usage(input_tokens=3, output_tokens=4),
        "details": {"total_duration": 1},
    }
    assert chunks[-1].finish_reason == "stop"
    assert {chunk.model for chunk in chunks} == {"m1"}
    assert (dialect.finished, dialect.finish_reason, dialect.response_id) == (True, "stop", None)


def test_done_without_a_reason_is_still_the_end() -> None:
    dialect, chunks = fed({"model": "m1", "done": True})
    assert (dialect.finished, dialect.finish_reason, chunks) == (True, None, [])


def test_logprobs_are_kept_beside_their_text() -> None:
    logprobs = [{"token": "b", "logprob": -0.5}]
    _, chunks = fed(line(content="a"), line(content="b") | {"logprobs": logprobs})
    assert [chunk.metadata for chunk in chunks] == [{}, {"logprobs": logprobs}]


def test_thinking_is_reasoning_and_comes_first() -> None:
    _, chunks = fed(line(content="b", thinking="a"))
    assert shown(chunks) == [("reasoning", "a"), ("text", "b")]


def test_tool_calls_come_whole_and_are_counted_over_lines() -> None:
    _, chunks = fed(
        line(content="", tool_calls=[{"function": {"name": "f", "arguments": {"x": "é"}}}]),
        line(content="", tool_calls=[{"id": "c", "function": {"index": 0, "name": "g"}}, None, {}]),
    )
    assert shown(chunks) == [("tool_call", '{"x": "é"}'), ("tool_call", "")]
    assert chunks[0].metadata == {"index": 0, "id": "", "name": "f"}
    assert chunks[1].metadata == {"index": 1, "id": "c", "name": "g"}


@pytest.mark.parametrize(
    "frame", [5, [], None, {}, {"message": None}, {"message": {"content": 5}}, line(content=None)]
)
def test_lines_that_hold_nothing_give_nothing(frame: Any) -> None:
    assert fed(frame)[1] == []


def test_an_error_line_is_raised() -> None:
    with pytest.raises(ProviderError, match=r"^ollama failed in the stream: out of memory$"):
        fed(line(content="x"), {"error": "out of memory"})


@pytest.mark.parametrize("end", [False, True])
def test_an_error_that_comes_with_content_waits_for_it(end: bool) -> None:
    dialect, chunks = fed(line(content="x"), line(end, content="y") | {"error": "out of memory"})
    assert shown(chunks)[:2] == [("text", "x"), ("text", "y")]
    assert str(dialect.failure) == "ollama failed in the stream: out of memory"
    assert dialect.finished


def test_what_is_not_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        OllamaChat(ENDPOINT).feed("{oops")


def test_a_whole_answer_is_read() -> None:
    dialect = OllamaChat(ENDPOINT)
    chunks = dialect.whole(json.dumps(line(True, content="Hi"), indent=1).encode())
    assert chunks is not None
    assert shown(chunks) == [("text", "Hi")]
    assert dialect.finished


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"message": "no"}'])
def test_a_body_that_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    assert OllamaChat(ENDPOINT).whole(body) is None


def test_a_whole_error_is_raised() -> None:
    with pytest.raises(ProviderError, match="no such model"):
        OllamaChat(ENDPOINT).whole(b'{"error": "no such model"}')


def test_arguments_are_json_whatever_their_numbers() -> None:
    given = '{"message": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1e999}}}]}}'
    (chunk,) = OllamaChat(ENDPOINT).feed(given)
    assert chunk.content == '{"a": null}'
