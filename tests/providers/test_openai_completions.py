"""Legacy completions: a prompt goes out, text comes in; all else is the chat dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError, ProviderError
from streamkit.providers.base import Endpoint
from streamkit.providers.openai_completions import OpenAICompletions
from streamkit.request import Call, Message
from streamkit.wire.sse import Event

LOCAL = Endpoint(provider="vllm", base_url="http://localhost:8000/v1")
HI = (Message.user("Once"),)
BASE: dict[str, Any] = {
    "model": "m",
    "prompt": "Once",
    "stream": True,
    "stream_options": {"include_usage": True},
}


def event(frame: Any, name: str = "message") -> Event:
    return Event(name, frame if isinstance(frame, str) else json.dumps(frame), "", None)


def frame(text: Any, **members: Any) -> dict[str, Any]:
    return {"id": "c1", "model": "m1", "choices": [{"index": 0, "text": text, **members}]}


def fed(*frames: Any) -> tuple[OpenAICompletions, list[Chunk]]:
    dialect = OpenAICompletions(LOCAL)
    return dialect, [chunk for each in frames for chunk in dialect.feed(event(each))]


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 7, "seed": 0}, {"max_tokens": 7, "seed": 0}),
        (
            {"temperature": 0.5, "top_p": 1.0, "stop": ("a",)},
            {"temperature": 0.5, "top_p": 1.0, "stop": ["a"]},
        ),
        ({"extra_body": {"suffix": "end", "prompt": [1, 2]}}, {"suffix": "end", "prompt": [1, 2]}),
    ],
)
def test_the_text_of_the_message_is_the_prompt(
    keywords: dict[str, Any], expected: dict[str, Any]
) -> None:
    request = OpenAICompletions(LOCAL).request(Call(model="m", messages=HI, **keywords))
    assert request.url == "http://localhost:8000/v1/completions"
    assert json.loads(request.body) == BASE | expected


@pytest.mark.parametrize(
    "keywords",
    [{"system": "s"}, {"tools": ({},)}, {"tool_choice": "auto"}, {"response_format": {}}],
    ids=lambda keywords: next(iter(keywords)),
)
def test_what_completions_has_not_is_refused_by_name(keywords: dict[str, Any]) -> None:
    (name,) = keywords
    problem = rf"^vllm completions has no {name}; use api='chat'$"
    with pytest.raises(ConfigurationError, match=problem):
        OpenAICompletions(LOCAL).request(Call(model="m", messages=HI, **keywords))


@pytest.mark.parametrize(
    "messages",
    [
        (Message.user("a"), Message.user("b")),
        (Message.assistant("a"),),
        (Message.user([{"type": "text", "text": "a"}]),),
    ],
)
def test_a_prompt_is_one_text_of_the_user(messages: tuple[Message, ...]) -> None:
    with pytest.raises(ConfigurationError, match="takes a prompt: one user message"):
        OpenAICompletions(LOCAL).request(Call(model="m", messages=messages))


def test_texts_become_chunks_with_model_and_id() -> None:
    dialect, chunks = fed(frame(""), frame("a"), frame("b", finish_reason="length"), "[DONE]")
    assert [(c.kind, c.content, c.model, c.id) for c in chunks] == [
        ("text", "a", "m1", "c1"), ("text", "b", "m1", "c1"),
    ]  # fmt: skip
    assert (dialect.finish_reason, dialect.finished) == ("length", True)
    assert chunks[1].finish_reason == "length"


def test_usage_logprobs_and_other_choices_are_read_as_in_chat() -> None:
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.5]}
    other = {"choices": [{"index": 1, "text": "no"}]}
    _, chunks = fed(frame("a", logprobs=logprobs), other, {"usage": {"total_tokens": 3}})
    assert [c.kind for c in chunks] == ["text", "text", "usage"]
    assert chunks[0].metadata == {"logprobs": logprobs}
    assert chunks[1].metadata == {"choice": 1, "content": "no"}


def test_a_chat_delta_is_no_text_of_a_completion() -> None:
    assert fed({"choices": [{"delta": {"content": "x"}}]})[1] == []


def test_an_error_in_the_stream_is_raised() -> None:
    for data, name in (({"error": {"message": "no"}}, "message"), ("no", "error")):
        with pytest.raises(ProviderError, match="no"):
            OpenAICompletions(LOCAL).feed(event(data, name))


def test_a_whole_answer_is_read() -> None:
    answer = frame("all of it", finish_reason="stop") | {"usage": {"total_tokens": 3}}
    dialect = OpenAICompletions(LOCAL)
    chunks = dialect.whole(json.dumps(answer).encode())
    assert chunks is not None
    assert [c.kind for c in chunks] == ["text", "usage"]
    assert (dialect.finished, dialect.finish_reason) == (True, "stop")
    assert OpenAICompletions(LOCAL).whole(b'{"choices": [{"message": {"content": "x"}}]}') is None
