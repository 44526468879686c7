"""Perplexity's accent of the chat dialect: sources, steps of a search, no end mark."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.providers.base import Endpoint
from streamkit.providers.perplexity import PerplexityChat
from streamkit.request import Call, Message
from streamkit.wire.sse import Event

PERPLEXITY = Endpoint(provider="perplexity", base_url="https://api.perplexity.ai")
HI = (Message.user("Hi"),)
BASE: dict[str, Any] = {
    "model": "sonar",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
}


def body_of(messages: tuple[Message, ...] = HI, **keywords: Any) -> Any:
    call = Call(model="sonar", messages=messages, **keywords)
    return json.loads(PerplexityChat(PERPLEXITY).request(call).body)


def fed(*frames: dict[str, Any]) -> list[Chunk]:
    dialect = PerplexityChat(PERPLEXITY)
    events = [Event("message", json.dumps(frame), "", None) for frame in frames]
    return [chunk for event in events for chunk in dialect.feed(event)]


def delta(**members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": members, "message": {"role": "assistant", "content": "all"}}
    return {"id": "p1", "model": "sonar", "choices": [choice]}


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 7, "temperature": 0.5}, {"max_tokens": 7, "temperature": 0.5}),
        ({"extra_body": {"search_mode": "academic"}}, {"search_mode": "academic"}),
        (
            {"system": "Brief."},
            {"messages": [{"role": "system", "content": "Brief."}, *BASE["messages"]]},
        ),
    ],
)
def test_each_option_has_its_place_in_the_body(
    keywords: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body_of(**keywords) == BASE | expected


def test_a_seed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^perplexity has no seed; "):
        body_of(seed=1)


@pytest.mark.parametrize("kind", ["input_audio", "file"])
def test_parts_it_has_not_are_refused_and_its_own_pass(kind: str) -> None:
    own = {"type": "file_url", "file_url": {"url": "https://a"}}
    assert body_of((Message.user([own]),))["messages"][0]["content"] == [own]
    with pytest.raises(ConfigurationError, match=f"^perplexity takes no {kind} parts; "):
        body_of((Message.user([{"type": kind, kind: {}}]),))


def test_there_is_no_list_of_models() -> None:
    assert PerplexityChat(PERPLEXITY).models_request() is None


def test_only_the_delta_is_text_and_each_source_is_told_once() -> None:
    sources = {"citations": ["https://a"], "search_results": [{"url": "https://a", "title": "A"}]}
    chunks = fed(delta(content="He") | sources, delta(content="y") | sources)
    assert [(c.kind, c.content) for c in chunks] == [
        ("text", "He"),
        ("citation", ""),
        ("text", "y"),
    ]
    assert chunks[1].metadata == {"citation": {"url": "https://a", "title": "A"}}


def test_the_cost_comes_with_the_last_usage() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    cost = {"total_cost": 0.006}
    chunks = fed(
        delta(content="a") | {"usage": usage},
        delta(content="b") | {"usage": {**usage, "cost": cost}},
    )
    assert [c.kind for c in chunks] == ["text", "usage", "text", "usage"]
    assert "details" not in chunks[1].metadata
    assert chunks[3].metadata["details"]["cost"] == cost


def test_images_and_related_questions_are_told_once_in_metadata() -> None:
    found = {"images": [{"image_url": "https://i"}], "related_questions": ["why?"]}
    chunks = fed(delta(content="a") | found, delta(content="b") | found)
    assert [c.metadata for c in chunks] == [
        {}, {"images": found["images"]}, {"related_questions": ["why?"]}, {},
    ]  # fmt: skip


def test_the_steps_of_a_search_are_thoughts_and_tools_of_the_service() -> None:
    search = {"search_keywords": ["k"], "search_results": [{"url": "https://a"}]}
    step = {"thought": "I search", "type": "web_search", "web_search": search}
    chunks = fed(delta(reasoning_steps=[step]), delta(content="a", reasoning_steps=[step]))
    assert [(c.kind, c.content) for c in chunks] == [
        ("reasoning", "I search"), ("text", ""), ("text", "a"),
    ]  # fmt: skip
    assert chunks[1].metadata == {"server_tool": {"name": "web_search", **search}}
