"""What the Responses dialect sends: the chat form converted, its own form as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.base import Endpoint
from streamkit.providers.openai_responses import OpenAIResponses
from streamkit.request import Call, Message, Secret

ENDPOINT = Endpoint(
    provider="openai", base_url="https://api.openai.com/v1", api_key=Secret("sk-0123456789")
)
HI = {"role": "user", "content": "Hi"}
EMPTY = {"type": "object", "properties": {}}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA=="}


def body_of(*messages: Any, **keywords: Any) -> Any:
    call = Call(model="gpt-5", messages=messages or (Message.user("Hi"),), **keywords)
    return json.loads(OpenAIResponses(ENDPOINT).request(call).body)


def calls(*functions: dict[str, Any], content: Any = None) -> dict[str, Any]:
    """An assistant's message with these calls, numbered from 1."""
    made = [
        {"id": f"c{number}", "type": "function", "function": function}
        for number, function in enumerate(functions, 1)
    ]
    return {"role": "assistant", "content": content, "tool_calls": made}


def test_the_request_goes_to_responses_with_the_key_as_bearer() -> None:
    request = OpenAIResponses(ENDPOINT).request(Call(model="gpt-5", messages=(HI,)))
    assert (request.method, request.url) == ("POST", "https://api.openai.com/v1/responses")
    assert request.headers["Authorization"] == "Bearer sk-0123456789"
    assert "sk-0123456789" not in repr(dict(request.headers))
    assert request.headers["Accept"] == "text/event-stream"


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"temperature": 0.0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
        ({"max_tokens": 7}, {"max_output_tokens": 7}),
        ({"system": "Be brief."}, {"instructions": "Be brief."}),
        ({"tool_choice": "required"}, {"tool_choice": "required"}),
        ({"response_format": {"type": "json_object"}},
         {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": CITY}}},
         {"text": {"format": {"type": "json_schema", "name": "a", "schema": CITY}}}),
        ({"response_format": {"type": "json_schema", "name": "a", "schema": CITY}},
         {"text": {"format": {"type": "json_schema", "name": "a", "schema": CITY}}}),
        ({"response_format": {"type": "text"}, "extra_body": {"text": {"verbosity": "low"}}},
         {"text": {"format": {"type": "text"}, "verbosity": "low"}}),
        ({"extra_body": {"store": False, "include": ["reasoning.encrypted_content"]}},
         {"store": False, "include": ["reasoning.encrypted_content"]}),
    ],
)  # fmt: skip
def test_each_keyword_has_its_field(keywords: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body_of(**keywords) == {"model": "gpt-5", "input": [HI], "stream": True, **expected}


@pytest.mark.parametrize("keywords", [{"stop": ("a",)}, {"seed": 1}])
def test_what_the_api_has_not_is_refused_before_anything_is_sent(keywords: dict[str, Any]) -> None:
    name = next(iter(keywords))
    with pytest.raises(ConfigurationError, match=f"^openai responses has no {name}; its own"):
        body_of(**keywords)


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "function": {"name": "now", "description": "The time"}},
         {"type": "function", "name": "now", "description": "The time", "parameters": EMPTY,
          "strict": False}),
        ({"type": "function", "function": {"name": "f", "parameters": CITY, "strict": True}},
         {"type": "function", "name": "f", "parameters": CITY, "strict": True}),
        ({"type": "function", "name": "f", "parameters": CITY},
         {"type": "function", "name": "f", "parameters": CITY}),
        ({"type": "web_search"}, {"type": "web_search"}),
        ({"type": "custom", "custom": {"name": "sh"}}, {"type": "custom", "name": "sh"}),
        ({"type": "custom", "custom": {"name": "sh", "format": {
            "type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}}},
         {"type": "custom", "name": "sh", "format": {
             "type": "grammar", "syntax": "regex", "definition": "a+"}}),
        ({"type": []}, {"type": []}),
    ],
)  # fmt: skip
def test_tools_are_flattened(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body_of(tools=(tool,))["tools"] == [expected]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "function", "name": "f"}, {"type": "function", "name": "f"}),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
            {"type": "function", "function": {"name": "f"}}]}},
         {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}),
        ({"type": "web_search"}, {"type": "web_search"}),
    ],
)  # fmt: skip
def test_the_choice_of_a_tool_is_flattened(choice: Any, expected: Any) -> None:
    assert body_of(tool_choice=choice)["tool_choice"] == expected


# System messages.


def test_a_text_above_all_other_messages_becomes_the_instructions() -> None:
    body = body_of(Message.system("Be brief."), HI)
    assert body["instructions"] == "Be brief."
    assert body["input"] == [HI]


@pytest.mark.parametrize(
    "messages",
    [
        [HI, Message.system("Be brief.")],
        [Message.system("One."), HI, {"role": "developer", "content": "Two."}],
        [Message.system("Alone.")],
    ],
)
def test_other_system_messages_keep_their_place(messages: list[Any]) -> None:
    body = body_of(*messages)
    assert "instructions" not in body
    assert body["input"] == messages


def test_with_the_keyword_system_messages_are_not_moved() -> None:
    body = body_of(Message.system("Two."), HI, system="One.")
    assert body["instructions"] == "One."
    assert body["input"] == [Message.system("Two."), HI]


def test_a_system_message_of_parts_stays_a_message() -> None:
    body = body_of({"role": "system", "content": [{"type": "text", "text": "a"}]}, HI)
    assert body["input"][0] == {
        "role": "system",
        "content": [{"type": "input_text", "text": "a"}],
    }


# Parts.


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "text", "text": "a"}, {"type": "input_text", "text": "a"}),
        ({"type": "image_url", "image_url": {"url": "https://h/a.png", "detail": "low"}},
         {"type": "input_image", "image_url": "https://h/a.png", "detail": "low"}),
        ({"type": "image_url", "image_url": "data:image/png;base64,iVBO"},
         {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "auto"}),
        ({"type": "file", "file": {"file_id": "f1"}}, {"type": "input_file", "file_id": "f1"}),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:,"}},
         {"type": "input_file", "filename": "a.pdf", "file_data": "data:,"}),
        ({"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
         {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}),
        ({"type": "input_file", "file_url": "https://h/a.pdf"},
         {"type": "input_file", "file_url": "https://h/a.pdf"}),
    ],
)  # fmt: skip
def test_parts_are_converted(part: dict[str, Any], expected: dict[str, Any]) -> None:
    assert body_of(Message.user([part]))["input"] == [{"role": "user", "content": [expected]}]


def test_the_text_of_an_assistant_is_output() -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": "a"}]}
    assert body_of(message, HI)["input"][0] == {
        "role": "assistant",
        "content": [{"type": "output_text", "text": "a"}],
    }
    assert body_of(Message.assistant("a"), HI)["input"][0] == Message.assistant("a")


def test_a_field_of_a_chat_message_that_the_api_has_not_is_refused_if_it_says_anything() -> None:
    assert body_of({**HI, "name": None})["input"] == [HI]
    with pytest.raises(ConfigurationError, match=r"^openai responses has no place for .* 'name'"):
        body_of({**HI, "name": "Ada"})


def test_the_phase_of_an_assistant_s_message_is_sent_back() -> None:
    said = {"role": "assistant", "content": "a", "phase": "commentary"}
    assert body_of(HI, said)["input"][1] == said


def test_an_image_without_a_url_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must be a URL, got a NoneType"):
        body_of(Message.user([{"type": "image_url", "image_url": {}}]))


# Calls and their results.


def test_calls_and_results_become_items_of_their_own() -> None:
    add = {"name": "add", "arguments": '{"a": 1}'}
    body = body_of(HI, calls(add, content="Let me add."), Message.tool("2", tool_call_id="c1"))
    assert body["input"][1:] == [
        {"role": "assistant", "content": "Let me add."},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "2"},
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", "{}"), (None, "{}"), ({"a": "\u00e9"}, '{"a": "\u00e9"}'), ('{"a":1 }', '{"a":1 }')],
)
def test_arguments_are_sent_as_json_text(arguments: Any, expected: str) -> None:
    body = body_of(HI, calls({"name": "add", "arguments": arguments}))
    assert [item["arguments"] for item in body["input"][1:]] == [expected]


@pytest.mark.parametrize("arguments", ["{", "[1]", {"a": object()}, {"a": float("nan")}])
def test_arguments_that_are_no_json_object_are_refused(arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^the arguments of the tool call 'add' are "):
        body_of(HI, calls({"name": "add", "arguments": arguments}))


def test_the_result_of_a_call_may_be_a_list_of_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://h/a.png"}}
    tool = {"role": "tool", "tool_call_id": "c1", "content": [image]}
    assert body_of(HI, calls({"name": "see"}), tool)["input"][-1] == {
        "type": "function_call_output",
        "call_id": "c1",
        "output": [{"type": "input_image", "image_url": "https://h/a.png", "detail": "auto"}],
    }


def test_a_custom_call_and_its_result_are_items_of_that_kind() -> None:
    call = {"id": "c9", "type": "custom", "custom": {"name": "sh", "input": "ls"}}
    asked = {"role": "assistant", "content": None, "tool_calls": [call]}
    assert body_of(HI, asked, Message.tool("a.txt", tool_call_id="c9"))["input"][1:] == [
        {"type": "custom_tool_call", "call_id": "c9", "name": "sh", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "c9", "output": "a.txt"},
    ]


# The API's own form.


def test_items_of_the_api_go_as_they_are_without_the_role() -> None:
    output = {"type": "function_call_output", "call_id": "c1", "output": "2"}
    body = body_of(HI, {"role": "assistant", **REASONING}, {"role": "user", **output})
    assert body["input"] == [HI, REASONING, output]


def test_a_message_of_the_api_goes_as_it_is() -> None:
    content = [{"type": "output_text", "text": "a", "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": content}
    assert body_of(message, HI)["input"][0] == message


@pytest.mark.parametrize(
    "message",
    [{"role": "user", "content": 5}, {"role": "assistant", "tool_calls": "x"},
     {"role": "user", "content": ["x"]}],
)  # fmt: skip
def test_what_cannot_be_taken_apart_is_refused(message: Any) -> None:
    with pytest.raises(ConfigurationError, match="of message 0 must be"):
        body_of(message)
