"""Ollama's completion API: what goes out, and the lines it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError, ProviderError
from streamkit.providers.base import Endpoint
from streamkit.providers.ollama_generate import OllamaGenerate
from streamkit.request import Call, Message

ENDPOINT = Endpoint(provider="ollama", base_url="http://127.0.0.1:11434")
BASE = {"model": "m", "prompt": "Hi", "stream": True}
TEXT = {"type": "text", "text": "What?"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}


def body_of(**keywords: Any) -> Any:
    call = Call(model="m", **{"messages": (Message.user("Hi"),), **keywords})
    return json.loads(OllamaGenerate(ENDPOINT).request(call).body)


def line(done: bool = False, **members: Any) -> dict[str, Any]:
    return {"model": "m1", "done": done, **members}


def fed(*frames: Any) -> tuple[OllamaGenerate, list[Chunk]]:
    dialect = OllamaGenerate(ENDPOINT)
    return dialect, [chunk for frame in frames for chunk in dialect.feed(json.dumps(frame))]


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


# What goes out.


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"system": "a"}, {"system": "a"}),
        ({"system": "a", "messages": (
            Message.system("b"), {"role": "developer", "content": [TEXT]}, Message.user("Hi"))},
         {"system": "a\n\nb\n\nWhat?"}),
        ({"messages": (Message.user([TEXT, IMAGE]),)}, {"prompt": "What?", "images": ["iVBO"]}),
        ({"messages": ({"role": "user", "content": "Hi", "images": ["iVBO"]},)},
         {"images": ["iVBO"]}),
        ({"max_tokens": 7, "stop": ("a",)}, {"options": {"num_predict": 7, "stop": ["a"]}}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        ({"extra_body": {"raw": True, "context": [1, 2]}}, {"raw": True, "context": [1, 2]}),
    ],
)  # fmt: skip
def test_each_option_has_its_place_in_the_body(
    keywords: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body_of(**keywords) == BASE | expected


def test_the_request_goes_to_the_generate_path() -> None:
    request = OllamaGenerate(ENDPOINT).request(Call(model="m", messages=(Message.user("Hi"),)))
    assert request.url == "http://127.0.0.1:11434/api/generate"


@pytest.mark.parametrize(
    "keywords",
    [
        {"tools": ({"type": "function"},)},
        {"tool_choice": "auto"},
        {"messages": (Message.user("a"), Message.assistant("b"))},
        {"messages": (Message.user("a"), Message.tool("b", tool_call_id="c"))},
        {"messages": (Message.user("a"), Message.user("b"))},
        {"messages": (Message.system("a"),)},
        {"messages": ({"role": "system", "content": [TEXT, IMAGE]}, Message.user("a"))},
        {"messages": ({**Message.user("a"), "name": "Ada"},)},
        {"messages": (Message.user([{"type": "input_audio"}]),)},
        {"messages": (Message.user([{"type": "image_url", "image_url": "https://h/i.png"}]),)},
    ],
)
def test_what_generate_cannot_do_is_refused_before_sending(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^ollama "):
        body_of(**keywords)


# What comes in.


def test_an_answer_is_read_with_its_counts_times_and_context() -> None:
    last = line(True, response="!", done_reason="stop", context=[1, 2], total_duration=5,
                prompt_eval_count=3, eval_count=4)  # fmt: skip
    dialect, chunks = fed(line(response="Hel"), line(response="lo"), line(response=""), last)
    assert shown(chunks) == [("text", "Hel"), ("text", "lo"), ("text", "!"), ("usage", "")]
    assert chunks[-1].metadata == {
        "usage": Usage(input_tokens=3, output_tokens=4),
        "details": {"total_duration": 5, "context": [1, 2]},
    }
    assert chunks[-1].finish_reason == "stop"
    assert {chunk.model for chunk in chunks} == {"m1"}
    assert (dialect.finished, dialect.finish_reason) == (True, "stop")


def test_logprobs_are_kept_beside_their_text() -> None:
    logprobs = [{"token": "b", "logprob": -0.5}]
    _, chunks = fed(line(response="a"), line(response="b", logprobs=logprobs))
    assert [chunk.metadata for chunk in chunks] == [{}, {"logprobs": logprobs}]


def test_thinking_is_reasoning_and_comes_first() -> None:
    _, chunks = fed(line(thinking="a"), line(response="c", thinking="b"), line(response="d"))
    assert shown(chunks) == [("reasoning", "a"), ("reasoning", "b"), ("text", "c"), ("text", "d")]


@pytest.mark.parametrize("frame", [5, [], None, {}, line(), line(response=5), line(response=None)])
def test_lines_that_hold_nothing_give_nothing(frame: Any) -> None:
    assert fed(frame)[1] == []


def test_an_error_line_is_raised() -> None:
    with pytest.raises(ProviderError, match=r"^ollama failed in the stream: out of memory$"):
        fed(line(response="x"), line(error="out of memory"))


def test_an_error_that_comes_with_text_waits_for_it() -> None:
    dialect, chunks = fed(line(response="x"), line(response="y", error="out of memory"))
    assert shown(chunks) == [("text", "x"), ("text", "y")]
    assert str(dialect.failure) == "ollama failed in the stream: out of memory"
    assert dialect.finished


def test_a_whole_answer_is_read() -> None:
    dialect = OllamaGenerate(ENDPOINT)
    chunks = dialect.whole(json.dumps(line(True, response="Hi"), indent=1).encode())
    assert chunks is not None
    assert shown(chunks) == [("text", "Hi")]
    assert dialect.finished


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"response": 5}', b'{"message": {}}'])
def test_a_body_that_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    assert OllamaGenerate(ENDPOINT).whole(body) is None


def test_an_image_is_told_in_metadata() -> None:
    _, chunks = fed(line(response="", completed=1), line(response="a", image="iVBO"))
    assert shown(chunks) == [("text", "a"), ("text", "")]
    assert chunks[1].metadata == {"image": {"data": "iVBO"}}
    whole = OllamaGenerate(ENDPOINT).whole(json.dumps(line(done=True, image="iVBO")).encode())
    assert whole is not None
    assert whole[0].metadata == {"image": {"data": "iVBO"}}
