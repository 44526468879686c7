"""Mistral's accent of the chat dialect: names of fields, lists of parts, references."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.base import Endpoint
from streamkit.providers.mistral import MistralChat
from streamkit.request import Call, Message
from streamkit.wire.sse import Event

MISTRAL = Endpoint(provider="mistral", base_url="https://api.mistral.ai/v1")
HI = (Message.user("Hi"),)
BASE: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
}

EMPTY = {"type": "object", "properties": {}}
ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def body_of(messages: tuple[Message, ...] = HI, **keywords: Any) -> Any:
    return json.loads(
        MistralChat(MISTRAL).request(Call(model="m", messages=messages, **keywords)).body
    )


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 7, "seed": 0}, {"max_tokens": 7, "random_seed": 0}),
        ({"tool_choice": "required"}, {"tool_choice": "any"}),
        ({"tool_choice": "auto"}, {"tool_choice": "auto"}),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
        ),
        ({"extra_body": {"safe_prompt": True}}, {"safe_prompt": True}),
        (
            {"tools": [{"type": "function", "function": {"name": "now"}}]},
            {"tools": [{"type": "function", "function": {"name": "now", "parameters": EMPTY}}]},
        ),
        ({"tools": [ADD, {"type": "web_search"}]}, {"tools": [ADD, {"type": "web_search"}]}),
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


def test_a_developer_speaks_as_the_system() -> None:
    (message,) = body_of((Message(role="developer", content="x"),))["messages"]
    assert message == {"role": "system", "content": "x"}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, None),
        ({"type": "image_url", "image_url": {"url": "u"}}, None),
        ({"type": "document_url", "document_url": "u"}, None),
        ({"type": "input_audio", "input_audio": "AAAA"}, None),
        ({"type": "file", "file_id": "f"}, None),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "input_audio", "input_audio": "AAAA"},
        ),
        ({"type": "file", "file": {"file_id": "f"}}, {"type": "file", "file_id": "f"}),
        (
            {"type": "file", "file": {"file_data": "data:a/b;base64,AA", "filename": "n"}},
            {
                "type": "document_url",
                "document_url": "data:a/b;base64,AA",
                "document_name": "n",
            },
        ),
    ],
)
def test_parts_go_in_its_own_form(part: dict[str, Any], expected: dict[str, Any] | None) -> None:
    (message,) = body_of((Message.user([part]),))["messages"]
    assert message["content"] == [expected or part]


@pytest.mark.parametrize(
    "content", [[{"type": "file", "file": {}}], 5, ["text"]], ids=["empty file", "5", "list of str"]
)
def test_a_message_that_cannot_be_converted_is_refused(content: Any) -> None:
    with pytest.raises(ConfigurationError):
        body_of((Message(role="user", content=content),))


def test_thinking_text_and_references_come_apart() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "so"},
        {"type": "reference", "reference_ids": [1, 2]},
        {"type": "tool_reference", "tool": "web_search", "url": "https://a", "title": "A"},
        {"type": "unknown"},
    ]
    frame = {"choices": [{"index": 0, "delta": {"content": parts}}]}
    chunks = MistralChat(MISTRAL).feed(Event("message", json.dumps(frame), "", None))
    assert [(c.kind, c.content) for c in chunks] == [
        ("reasoning", "hm"), ("text", "so"), ("citation", ""), ("citation", ""),
    ]  # fmt: skip
    assert [c.metadata["citation"] for c in chunks[2:]] == parts[2:4]


def test_references_of_thinking_are_citations_too() -> None:
    reference = {"type": "reference", "reference_ids": [3]}
    thinking = [{"type": "text", "text": "hm"}, reference, {"type": "thinking", "thinking": []}]
    frame = {
        "choices": [
            {"index": 0, "delta": {"content": [{"type": "thinking", "thinking": thinking}]}}
        ]
    }
    chunks = MistralChat(MISTRAL).feed(Event("message", json.dumps(frame), "", None))
    assert [(c.kind, c.content) for c in chunks] == [("reasoning", "hm"), ("citation", "")]
    assert chunks[1].metadata["citation"] == reference


def test_parts_keep_their_order() -> None:
    texts = [{"type": "text", "text": text} for text in "abc"]
    reference = {"type": "reference", "reference_ids": [3]}
    thinking = {"type": "thinking", "thinking": [texts[0], reference, texts[1]]}
    content = [texts[0], reference, texts[1], texts[2], thinking, texts[2]]
    frame = {"choices": [{"index": 0, "delta": {"content": content}}]}
    chunks = MistralChat(MISTRAL).feed(Event("message", json.dumps(frame), "", None))
    assert [(c.kind, c.content) for c in chunks] == [
        ("text", "a"), ("citation", ""), ("text", "bc"),
        ("reasoning", "a"), ("citation", ""), ("reasoning", "b"), ("text", "c"),
    ]  # fmt: skip
