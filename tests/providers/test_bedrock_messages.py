"""Messages in OpenAI's form become Converse's; native ones pass."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.bedrock_messages import (
    choice_of,
    convert_messages,
    convert_tool,
    output_of,
)
from streamkit.request import Message

CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TOOL_USE = {"toolUse": {"toolUseId": "c1", "name": "add", "input": {"a": 1}}}
TOOL_RESULT = {"toolResult": {"toolUseId": "c1", "content": [{"text": "2"}]}}
NATIVE = {"text": "a"}, {"cachePoint": {"type": "default"}}
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def blocks_of(*parts: Any) -> list[Any]:
    _, (message,) = convert_messages(None, [{"role": "user", "content": parts}])
    content: list[Any] = message["content"]
    return content


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url}


def file(data: Any, **known: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **known}}


@pytest.mark.parametrize(
    ("system", "messages", "expected"),
    [
        (None, [], None),
        ("a", [], [{"text": "a"}]),
        ("a", [Message.system("b")], [{"text": "a"}, {"text": "b"}]),
        (None, [{"role": "developer", "content": "c"}], [{"text": "c"}]),
        ("a", [{"role": "system", "content": NATIVE}], [{"text": "a"}, *NATIVE]),
        (None, [Message.system("")], None),
    ],
)
def test_system_messages_go_to_the_system_field(
    system: str | None, messages: list[Any], expected: Any
) -> None:
    assert convert_messages(system, [*messages, Message.user("Hi")]) == (
        expected,
        [{"role": "user", "content": [{"text": "Hi"}]}],
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message.user("Hi"), {"role": "user", "content": [{"text": "Hi"}]}),
        (Message.assistant("Yes"), {"role": "assistant", "content": [{"text": "Yes"}]}),
        (Message.assistant("", tool_calls=[CALL]), {"role": "assistant", "content": [TOOL_USE]}),
        ({"role": "assistant", "content": None, "tool_calls": [CALL]},
         {"role": "assistant", "content": [TOOL_USE]}),
        (Message.assistant("I add", tool_calls=[CALL]),
         {"role": "assistant", "content": [{"text": "I add"}, TOOL_USE]}),
        (Message.tool("2", tool_call_id="c1"), {"role": "user", "content": [TOOL_RESULT]}),
        ({"role": "user", "content": [*NATIVE, TOOL_RESULT]},
         {"role": "user", "content": [*NATIVE, TOOL_RESULT]}),
    ],
)  # fmt: skip
def test_a_message_becomes_blocks(message: Any, expected: Any) -> None:
    assert convert_messages(None, [message]) == (None, [expected])


def test_the_roles_alternate() -> None:
    _, messages = convert_messages(
        None,
        [
            Message.assistant("", tool_calls=[CALL, {**CALL, "id": "c2"}]),
            Message.tool("2", tool_call_id="c1"),
            Message.tool("3", tool_call_id="c2"),
            Message.user("Go on"),
            Message.assistant("Yes"),
            Message.assistant("No"),
        ],
    )
    assert [message["role"] for message in messages] == ["assistant", "user", "assistant"]
    assert [len(message["content"]) for message in messages] == [2, 3, 2]
    assert messages[1]["content"][2] == {"text": "Go on"}


def test_the_users_messages_are_not_changed() -> None:
    first, second = Message.user([{"type": "text", "text": "a"}]), Message.user("b")
    convert_messages(None, [first, second])
    assert first == Message.user([{"type": "text", "text": "a"}])
    assert second == Message.user("b")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "Hi"}, {"text": "Hi"}),
        (image("data:image/png;base64,iVBO"),
         {"image": {"format": "png", "source": {"bytes": "iVBO"}}}),
        (image({"url": "data:image/jpg;base64,iVBO"}),
         {"image": {"format": "jpeg", "source": {"bytes": "iVBO"}}}),
        (image("s3://bucket/a.JPG"),
         {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://bucket/a.JPG"}}}}),
        ({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
         {"audio": {"format": "wav", "source": {"bytes": "UklG"}}}),
        (file("data:application/pdf;base64,JVBE", filename="dir/My  report_1.final.pdf"),
         {"document": {"format": "pdf", "name": "My report 1", "source": {"bytes": "JVBE"}}}),
        (file("data:text/plain;charset=utf-8;base64,SGk="),
         {"document": {"format": "txt", "name": "document", "source": {"bytes": "SGk="}}}),
        (file(f"data:{SHEET};base64,UEsD", filename="…"),
         {"document": {"format": "xlsx", "name": "document", "source": {"bytes": "UEsD"}}}),
    ],
)  # fmt: skip
def test_each_part_has_its_block(part: Any, expected: Any) -> None:
    assert blocks_of(part) == [expected]


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (image("https://example.com/a.png"), "the image as a data URL"),
        (image(None), "must be a URL, got a NoneType"),
        (file(None, file_id="f1"), "the document as a data URL"),
        ({"type": "file", "file": "f1"}, "got 'file'"),
        ({"type": "video_url"}, "got 'video_url'"),
        ({"type": 5}, "got '5'"),
    ],
)
def test_a_part_the_api_has_not_is_refused(part: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        blocks_of(part)


def test_arguments_that_are_no_object_are_refused() -> None:
    call = {"id": "c1", "function": {"name": "add", "arguments": "["}}
    with pytest.raises(ConfigurationError, match="'add' are not a JSON object"):
        convert_messages(None, [Message.assistant("", tool_calls=[call])])


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function",
          "function": {"name": "add", "description": "Adds.", "strict": True,
                       "parameters": {"type": "object", "properties": {}}}},
         {"toolSpec": {"name": "add", "description": "Adds.", "strict": True,
                       "inputSchema": {"json": {"type": "object", "properties": {}}}}}),
        ({"toolSpec": {"name": "a"}}, {"toolSpec": {"name": "a"}}),
        ({"systemTool": {"name": "nova_grounding"}}, {"systemTool": {"name": "nova_grounding"}}),
    ],
)  # fmt: skip
def test_a_tool_becomes_a_tool_spec(tool: Any, expected: Any) -> None:
    assert convert_tool(tool) == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "add"}}, {"tool": {"name": "add"}}),
        ({"type": "function", "name": "add"}, {"tool": {"name": "add"}}),
        ({"any": {}}, {"any": {}}),
    ],
)
def test_a_choice_becomes_an_object(choice: Any, expected: Any) -> None:
    assert choice_of(choice) == expected


@pytest.mark.parametrize("choice", ["none", "sometimes"])
def test_a_choice_the_api_has_not_is_refused(choice: str) -> None:
    with pytest.raises(ConfigurationError, match=f"got '{choice}'"):
        choice_of(choice)


def test_a_schema_is_sent_as_text() -> None:
    given = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    output = output_of(given)
    assert output is not None
    structure = output["textFormat"]["structure"]["jsonSchema"]
    assert structure == {"name": "n", "schema": '{"type": "object"}'}
    assert json.loads(structure["schema"]) == {"type": "object"}
    assert output_of(None) is output_of({"type": "text"}) is None


@pytest.mark.parametrize(
    "given",
    [
        {"type": "json_object"},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "n"}},
        {"type": "json_schema", "json_schema": {"schema": {"a": object()}}},
        {"type": "json_schema", "json_schema": {"schema": {"a": float("nan")}}},
    ],
)
def test_another_response_format_is_refused(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="response_format"):
        output_of(given)
