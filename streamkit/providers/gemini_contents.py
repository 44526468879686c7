"""
Messages, tools, tool_choice and response_format in OpenAI's form -> Gemini's. What is in its form
already passes.

Source: WIRE_FORMATS.md section 5; field names as in google-genai 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from mimetypes import guess_type
from typing import Any
from urllib.parse import urlsplit

from streamkit.errors import ConfigurationError, ProtocolError
from streamkit.providers.answered import Asked
from streamkit.providers.fields import settle_fields
from streamkit.providers.parts import arguments_of, check_messages, image_url_of, split_data_url
from streamkit.providers.roles import ROLES, check_turns
from streamkit.wire.jsontext import parse

__all__ = ["choice_of", "convert_messages", "convert_tools", "format_of"]

Json = dict[str, Any]

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}


def convert_messages(
    system: str | None, messages: Iterable[Mapping[str, Any]]
) -> tuple[Json | None, list[Any]]:
    """
    ``systemInstruction`` and ``contents``.

    System messages, wherever they stand, go to the instruction after ``system``. The results of
    parallel tool calls go into one content, as the API wants them; a result needs no id, as the
    calls of models before Gemini 3 have none: see Asked. A tool call may carry the
    ``thoughtSignature`` it came with, as the API wants it back.

    Raises:
        ConfigurationError: A tool call whose arguments are not JSON, a tool result that answers no
            call before it, a part that has no place here, or what check_messages, settle_fields or
            check_turns refuses.
    """
    messages = list(messages)
    check_messages(messages)
    check_turns("gemini", messages, (*ROLES, "model"), ids=False)
    messages = settle_fields("gemini", messages, "parts")
    above: list[Any] = [] if system is None else [{"text": system}]
    contents: list[Any] = []
    asked = Asked()
    results: list[Any] | None = None
    for number, message in enumerate(messages):
        role = message["role"]
        if role == "tool":
            if results is None:
                results = []
                contents.append({"role": "user", "parts": results})
            results.append(_tool_result(message, number, asked))
            continue
        results = None
        parts = _parts(message)
        if message.get("tool_calls"):
            asked.ask(message["tool_calls"])
        if role in ("system", "developer"):
            above += parts
        else:
            contents.append({"role": "model" if role == "assistant" else role, "parts": parts})
    return {"parts": above} if above else None, contents


def convert_tools(tools: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """
    Functions in OpenAI's form, gathered in one tool; native tools pass.

    ``strict`` is a hint that the API has no field for: it is left out.

    >>> convert_tools([{"type": "function", "function": {"name": "now"}}, {"googleSearch": {}}])
    [{'functionDeclarations': [{'name': 'now'}]}, {'googleSearch': {}}]
    """
    declared: list[Json] = []
    native: list[Mapping[str, Any]] = []
    for tool in tools:
        function = tool.get("function")
        if tool.get("type") != "function" or not isinstance(function, Mapping):
            native.append(tool)
            continue
        declaration = {"name": function.get("name")}
        if function.get("description"):
            declaration["description"] = function["description"]
        if function.get("parameters"):
            # ``parameters`` takes a dialect of OpenAPI, which most JSON schemas are not.
            declaration["parametersJsonSchema"] = function["parameters"]
        declared.append(declaration)
    return [{"functionDeclarations": declared}, *native] if declared else native


def choice_of(choice: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """
    ``auto``, ``none``, ``required``, or one function -> ``toolConfig``; a mapping in Gemini's form
    passes.

    Raises:
        ConfigurationError: Another word.
    """
    if isinstance(choice, str):
        if choice not in _MODES:
            raise ConfigurationError(
                f"tool_choice must be auto, none, required or a mapping, got {choice[:80]!r}"
            )
        return {"functionCallingConfig": {"mode": _MODES[choice]}}
    if choice is not None and choice.get("type") == "function":
        function = choice.get("function")
        named = function if isinstance(function, Mapping) else choice
        allowed = [named.get("name")]
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": allowed}}
    return choice


def format_of(response_format: Mapping[str, Any] | None) -> Json:
    """
    OpenAI's object -> the fields of ``generationConfig``; a bare JSON schema passes as one.

    >>> format_of({"type": "json_object"})
    {'responseMimeType': 'application/json'}
    """
    if response_format is None or response_format.get("type") == "text":
        return {}
    fields: Json = {"responseMimeType": "application/json"}
    if response_format.get("type") == "json_schema":
        named = response_format.get("json_schema")
        fields["responseJsonSchema"] = named.get("schema") if isinstance(named, Mapping) else named
    elif response_format.get("type") != "json_object":
        fields["responseJsonSchema"] = response_format
    return fields


def _parts(message: Mapping[str, Any]) -> list[Any]:
    """The parts of a message that is no tool result."""
    if isinstance(message.get("parts"), (list, tuple)):
        return list(message["parts"])
    content, calls = message.get("content"), message.get("tool_calls") or ()
    if isinstance(content, str) or content is None:
        parts: list[Any] = [] if calls and not content else [{"text": content or ""}]
    else:
        parts = [_part(part) for part in content]
    for call in calls:
        function = call.get("function") or {}
        made: Json = {"functionCall": _with_id(call.get("id"), name=function.get("name"))}
        made["functionCall"]["args"] = arguments_of(function)
        if call.get("thoughtSignature"):
            made["thoughtSignature"] = call["thoughtSignature"]
        parts.append(made)
    return parts


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part in OpenAI's form; one without a type is in Gemini's."""
    kind = part.get("type")
    if kind is None:
        return part
    if kind == "text":
        return {"text": part.get("text")}
    if kind == "image_url":
        return _media(image_url_of(part))
    inner = part.get(str(kind))
    if kind == "input_audio" and isinstance(inner, Mapping):
        return _inline(f"audio/{inner.get('format')}", inner.get("data"))
    if kind == "file" and isinstance(inner, Mapping):
        return _media(inner.get("file_data") or inner.get("file_id"))
    raise ConfigurationError(
        "gemini takes text, image_url, input_audio and file parts, or parts in its own form,"
        f" got {str(kind)[:40]!r}"
    )


def _media(url: Any) -> Json:
    """A data URL is sent inline, any other for the service to fetch."""
    data = split_data_url(url)
    if data is not None:
        return _inline(*data)
    if not isinstance(url, str):
        raise ConfigurationError(f"an image or file must be a URL, got a {type(url).__name__}")
    try:
        kind = guess_type(urlsplit(url).path)[0]
    except ValueError:
        raise ConfigurationError("the URL of an image or file has a malformed host") from None
    return {"fileData": {"fileUri": url, **({"mimeType": kind} if kind else {})}}


def _inline(kind: str, data: Any) -> Json:
    return {"inlineData": {"mimeType": kind, "data": data}}


def _tool_result(message: Mapping[str, Any], number: int, asked: Asked) -> Json:
    id, name = asked.answer(message)
    if not name:
        raise ConfigurationError(
            f"message {number} answers no tool call before it; gemini needs the function's name"
        )
    response = _response(message.get("content"))
    return {"functionResponse": _with_id(id, name=name) | {"response": response}}


def _with_id(id: Any, **fields: Any) -> Json:
    """Gemini 3 gives calls ids, the models before it do not."""
    return {**fields, "id": id} if id else fields


def _response(content: Any) -> Any:
    """A tool's result must be an object; what is none becomes the ``output`` of one."""
    if not isinstance(content, str) and content is not None:
        if any(part.get("type") != "text" for part in content):
            raise ConfigurationError("the result of a tool must be text for gemini")
        content = "".join(str(part.get("text")) for part in content)
    try:
        value = parse(content or "null")
    except ProtocolError:
        value = None
    return value if isinstance(value, dict) else {"output": content or ""}
