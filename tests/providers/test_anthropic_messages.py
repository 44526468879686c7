"""Messages in OpenAI's form become Anthropic's; native ones pass."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.anthropic_messages import choice_of, convert_messages, convert_tool
from streamkit.request import Message

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TOOL_USE = {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
NATIVE = [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    ("system", "messages", "expected"),
    [
        (None, [], None),
        ("a", [], "a"),
        (None, [Message.system("b")], "b"),
        ("a", [Message.system("b"), {"role": "developer", "content": "c"}], "a\n\nb\n\nc"),
        ("a", [{"role": "system", "content": NATIVE}], [{"type": "text", "text": "a"}, *NATIVE]),
    ],
)
def test_system_messages_go_to_the_system_field(
    system: str | None, messages: list[Any], expected: Any
) -> None:
    assert convert_messages(system, [*messages, Message.user("Hi")]) == (
        expected,
        [Message.user("Hi")],
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message.user("Hi"), {"role": "user", "content": "Hi"}),
        (Message.user(NATIVE), {"role": "user", "content": NATIVE}),
        (
            Message.assistant("So:", tool_calls=[CALL]),
            {"role": "assistant", "content": [{"type": "text", "text": "So:"}, TOOL_USE]},
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "assistant", "content": [TOOL_USE]},
        ),
        (
            {"role": "assistant", "content": [TOOL_USE]},
            {"role": "assistant", "content": [TOOL_USE]},
        ),
        (
            Message.user([{"type": "text", "text": "What?"}, IMAGE]),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What?"},
                    {
                        "type": "image",
                        "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"},
                    },
                ],
            },
        ),
        (
            Message.user([{"type": "image_url", "image_url": "https://h/i.png"}]),
            {
                "role": "user",
                "content": [{"type": "image", "source": {"type": "url", "url": "https://h/i.png"}}],
            },
        ),
    ],
)
def test_a_message_is_converted(message: Any, expected: Any) -> None:
    assert convert_messages(None, [message]) == (None, [expected])


def test_results_of_parallel_calls_share_one_message() -> None:
    def result(id: str, content: str) -> dict[str, Any]:
        return {"type": "tool_result", "tool_use_id": id, "content": content}

    _, messages = convert_messages(
        None,
        [
            Message.tool("1", tool_call_id="a"),
            Message.tool("2", tool_call_id="b"),
            Message.user("and?"),
            Message.tool("3", tool_call_id="c"),
        ],
    )
    assert messages == [
        {"role": "user", "content": [result("a", "1"), result("b", "2")]},
        {"role": "user", "content": "and?"},
        {"role": "user", "content": [result("c", "3")]},
    ]


def test_the_users_messages_are_not_changed() -> None:
    message = Message.assistant("", tool_calls=[CALL])
    convert_messages("s", [message])
    assert message == {"role": "assistant", "content": "", "tool_calls": [CALL]}


def test_arguments_that_are_not_json_are_refused() -> None:
    call = {"id": "c", "function": {"name": "add", "arguments": "{oops"}}
    with pytest.raises(ConfigurationError, match="'add'"):
        convert_messages(None, [Message.assistant("", tool_calls=[call])])


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
            },
            {"name": "f", "description": "d", "input_schema": {"type": "object"}},
        ),
        ({"name": "f", "input_schema": {}}, {"name": "f", "input_schema": {}}),
        ({"type": "web_search_20250305", "name": "web_search"},) * 2,
    ],
)
def test_tools_are_converted_or_pass(tool: Any, expected: Any) -> None:
    assert convert_tool(tool) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "tool", "name": "f"}, {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choice_is_converted_or_passes(choice: Any, expected: Any) -> None:
    assert choice_of(choice) == expected


def test_an_unknown_tool_choice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tool_choice must be auto, none, required"):
        choice_of("always")
