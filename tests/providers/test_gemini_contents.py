"""Messages, tools and formats in OpenAI's form become Gemini's; native ones pass."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.gemini_contents import (
    choice_of,
    convert_messages,
    convert_tools,
    format_of,
)
from streamkit.request import Message

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
MADE = {"functionCall": {"name": "add", "args": {"a": 1}, "id": "c1"}}


def contents(*messages: Any) -> list[Any]:
    return convert_messages(None, messages)[1]


def result(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c1", "content": content, **more}


@pytest.mark.parametrize(
    ("system", "messages", "expected"),
    [
        (None, [], None),
        ("a", [], [{"text": "a"}]),
        (None, [Message.system("b")], [{"text": "b"}]),
        ("a", [{"role": "developer", "content": "b"}], [{"text": "a"}, {"text": "b"}]),
        (None, [{"role": "system", "parts": [{"text": "c"}]}], [{"text": "c"}]),
    ],
)
def test_system_messages_go_to_the_instruction(
    system: str | None, messages: list[Any], expected: Any
) -> None:
    instruction, rest = convert_messages(system, [*messages, Message.user("Hi")])
    assert instruction == (expected and {"parts": expected})
    assert rest == [{"role": "user", "parts": [{"text": "Hi"}]}]


@pytest.mark.parametrize(
    ("message", "role", "parts"),
    [
        (Message.user("Hi"), "user", [{"text": "Hi"}]),
        (Message.assistant("So"), "model", [{"text": "So"}]),
        (Message.assistant("So", tool_calls=[CALL]), "model", [{"text": "So"}, MADE]),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]}, "model", [MADE]),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "thoughtSignature": "s"}]},
            "model",
            [{**MADE, "thoughtSignature": "s"}],
        ),
        (
            {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]},
            "model",
            [{"functionCall": {"name": "f", "args": {}}}],
        ),
        ({"role": "model", "parts": [MADE]}, "model", [MADE]),
        ({"role": "user", "content": []}, "user", []),
    ],
)
def test_a_message_is_converted(message: Any, role: str, parts: Any) -> None:
    assert contents(message) == [{"role": role, "parts": parts}]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, {"text": "a"}),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
            {"inlineData": {"mimeType": "image/png", "data": "iVBO"}},
        ),
        (
            {"type": "image_url", "image_url": "https://h/i.png?w=1"},
            {"fileData": {"fileUri": "https://h/i.png?w=1", "mimeType": "image/png"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
            {"inlineData": {"mimeType": "audio/wav", "data": "UklG"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        (
            {"type": "file", "file": {"file_id": "https://h/v1beta/files/abc"}},
            {"fileData": {"fileUri": "https://h/v1beta/files/abc"}},
        ),
        ({"inlineData": {"data": "x"}}, {"inlineData": {"data": "x"}}),
    ],
)
def test_a_part_is_converted_or_passes(part: Any, expected: Any) -> None:
    assert contents(Message.user([part])) == [{"role": "user", "parts": [expected]}]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "video"}, "'video'"),
        ({"type": "image_url"}, "must be a URL, got a NoneType"),
        ({"type": "file", "file": {}}, "must be a URL"),
        ({"type": "input_audio", "input_audio": 5}, "'input_audio'"),
    ],
)
def test_a_part_that_has_no_place_is_refused(part: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        contents(Message.user([part]))


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("5", {"output": "5"}),
        ('{"sum": 5}', {"sum": 5}),
        ("", {"output": ""}),
        (None, {"output": ""}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": "ab"}),
    ],
)
def test_a_tool_result_becomes_an_object_with_the_name_of_its_call(
    content: Any, response: Any
) -> None:
    _, converted = contents(Message.assistant(tool_calls=[CALL]), result(content))
    assert converted == {
        "role": "user",
        "parts": [{"functionResponse": {"name": "add", "id": "c1", "response": response}}],
    }


def test_results_of_parallel_calls_share_one_content() -> None:
    roles = [
        (content["role"], len(content["parts"]))
        for content in contents(
            Message.assistant(tool_calls=[CALL, CALL]),
            result("1"),
            result("2"),
            Message.user("and?"),
            result("3"),
        )
    ]
    assert roles == [("model", 2), ("user", 2), ("user", 1), ("user", 1)]


def test_a_tool_result_may_bring_its_name_itself() -> None:
    (made,) = contents({"role": "tool", "name": "add", "content": "5"})
    assert made["parts"] == [{"functionResponse": {"name": "add", "response": {"output": "5"}}}]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([result("5")], "message 0 answers no tool call before it"),
        ([Message.assistant(tool_calls=[CALL]), result([{"type": "image_url"}])], "must be text"),
        ([Message.user([5])], "content of message 0"),  # type: ignore[list-item]
        (
            [Message.assistant(tool_calls=[{"function": {"name": "f", "arguments": "{oops"}}])],
            "'f' are not a JSON object",
        ),
    ],
)
def test_a_message_that_cannot_be_converted_is_refused(messages: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        contents(*messages)


def test_the_users_messages_are_not_changed() -> None:
    message = Message.assistant("", tool_calls=[CALL])
    contents(message, result("5"))
    assert message == {"role": "assistant", "content": "", "tool_calls": [CALL]}


def test_functions_are_gathered_in_one_tool_and_native_tools_pass() -> None:
    schema = {"type": "object", "additionalProperties": False}
    tools: list[dict[str, Any]] = [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}},
        {"googleSearch": {}},
        {"type": "function", "function": {"name": "g"}},
    ]
    declared = [{"name": "f", "description": "d", "parametersJsonSchema": schema}, {"name": "g"}]
    assert convert_tools(tools) == [{"functionDeclarations": declared}, {"googleSearch": {}}]
    assert convert_tools([{"functionDeclarations": []}]) == [{"functionDeclarations": []}]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "f"}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        ({"functionCallingConfig": {"mode": "VALIDATED"}}, {"mode": "VALIDATED"}),
    ],
)
def test_tool_choice_is_converted_or_passes(choice: Any, expected: Any) -> None:
    assert choice_of(choice) == (expected and {"functionCallingConfig": expected})


def test_an_unknown_tool_choice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tool_choice must be auto, none, required"):
        choice_of("always")


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}}, {"a": 1}),
        ({"type": "object", "properties": {}}, {"type": "object", "properties": {}}),
    ],
)
def test_a_schema_is_sent_as_a_json_schema(given: Any, schema: Any) -> None:
    assert format_of(given) == {
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }


def test_a_format_of_text_is_not_sent() -> None:
    assert format_of(None) == format_of({"type": "text"}) == {}


def test_a_malformed_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="malformed host"):
        contents(Message.user([{"type": "image_url", "image_url": "https://["}]))
