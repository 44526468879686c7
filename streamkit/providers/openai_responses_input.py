"""
A call -> the body of a Responses request; what is in OpenAI's chat form is converted.

What is in its form already passes. The two forms differ mostly in depth: chat holds what a thing
says in a member named after its type, Responses holds it beside the type.

Source: WIRE_FORMATS.md section 3; the official SDK, openai 3.52.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.providers.build import check_lacks, without_none
from streamkit.providers.fields import settle_fields
from streamkit.providers.parts import arguments_of, check_messages, image_url_of
from streamkit.providers.roles import check_roles
from streamkit.request import Call

__all__ = ["build_body", "choice_of", "convert_messages", "convert_tool", "lifted"]

Json = dict[str, Any]


def build_body(call: Call, provider: str) -> Json:
    """
    The fields that the call has a value for; ``provider`` is named in errors.

    Raises:
        ConfigurationError: It asks for what the API has not (stop, seed), or as convert_messages().
    """
    service = f"{provider} responses"
    check_lacks(service, call, "stop", "seed")
    instructions, items = convert_messages(call.system, call.messages, service)
    form = call.response_format
    return without_none(
        model=call.model,
        instructions=instructions,
        input=items,
        stream=True,
        temperature=call.temperature,
        top_p=call.top_p,
        max_output_tokens=call.max_tokens,
        tools=call.tools and [convert_tool(tool) for tool in call.tools],
        tool_choice=choice_of(call.tool_choice),
        text=None if form is None else {"format": lifted(form)},
    )


def convert_messages(
    system: str | None, messages: Iterable[Mapping[str, Any]], service: str = "openai responses"
) -> tuple[str | None, list[Any]]:
    """
    The ``instructions`` and the ``input`` items.

    ``system``, or else a text that is the only system message and stands above all others, becomes
    the instructions; other system messages keep their place. A mapping whose ``type`` is not
    ``message`` is an item of the API already (reasoning to be sent back, a call's output): it goes
    as it is, without the role that messages must have here.

    Raises:
        ConfigurationError: A tool call whose arguments are no JSON object, or what check_messages,
            settle_fields or check_roles refuses.
    """
    messages = list(messages)
    check_messages(messages)
    check_roles(messages)
    messages = settle_fields(service, messages, "phase")
    above = [m for m in messages if m.get("role") in ("system", "developer")]
    if system is None and len(above) == 1 and above[0] is messages[0] and messages[1:]:
        content = messages[0].get("content")
        if isinstance(content, str):
            system, messages = content, messages[1:]
    items: list[Any] = []
    custom: set[Any] = set()
    for message in messages:
        if message.get("type") not in (None, "message"):
            items.append({name: value for name, value in message.items() if name != "role"})
        elif message.get("role") == "tool":
            items.append(_output(message, custom))
        else:
            items += _message(message)
            for call in message.get("tool_calls") or ():
                items.append(_call(call, custom))
    return system, items


def convert_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    A function or custom tool in the chat form -> the flat form.

    >>> convert_tool({"type": "custom", "custom": {"name": "shell"}})
    {'type': 'custom', 'name': 'shell'}

    A function that does not say ``strict`` is sent as not strict: that is what it means in chat,
    while Responses would make its optional parameters required.
    """
    flat = lifted(tool)
    if flat is tool:
        return tool
    if flat["type"] == "function":
        empty = {"type": "object", "properties": {}}
        return {"type": "function", "strict": False, "parameters": empty, **flat}
    if isinstance(flat.get("format"), Mapping):
        return {**flat, "format": lifted(flat["format"])}
    return flat


def choice_of(choice: str | Mapping[str, Any] | None) -> str | Mapping[str, Any] | None:
    """A word, or the tool that must be called, or the tools that may be."""
    if not isinstance(choice, Mapping):
        return choice
    flat = lifted(choice)
    tools = flat.get("tools")
    if isinstance(tools, Sequence) and all(isinstance(tool, Mapping) for tool in tools):
        return {**flat, "tools": [lifted(tool) for tool in tools]}
    return flat


def lifted(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    A mapping with the members of the one that its type names beside the type.

    >>> lifted({"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}})
    {'type': 'json_schema', 'name': 'answer', 'schema': {}}

    One that holds no such mapping is given back itself.
    """
    kind = value.get("type")
    inner = value.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, Mapping) else value


def _message(message: Mapping[str, Any]) -> list[Any]:
    """One item; none for an assistant that said nothing and called tools."""
    content = message.get("content")
    if not content and message.get("tool_calls"):
        return []
    if message.get("type") == "message":
        return [message]
    role = message.get("role")
    said = _content(content, "output" if role == "assistant" else "input")
    phase = {"phase": message["phase"]} if message.get("phase") else {}
    return [{"role": role, "content": said, **phase}]


def _call(call: Mapping[str, Any], custom: set[Any]) -> Json:
    inner = call.get("custom")
    if call.get("type") == "custom" and isinstance(inner, Mapping):
        custom.add(str(call.get("id")))
        name, text = inner.get("name"), inner.get("input")
        return {"type": "custom_tool_call", "call_id": call.get("id"), "name": name, "input": text}
    function = call.get("function") or {}
    return {
        "type": "function_call",
        "call_id": call.get("id"),
        "name": function.get("name"),
        "arguments": _arguments(function),
    }


def _arguments(function: Mapping[str, Any]) -> str:
    """The JSON text as it was streamed; an object is dumped."""
    arguments = arguments_of(function)
    text = function.get("arguments")
    if isinstance(text, str) and text.strip():
        return text
    try:
        return json.dumps(arguments, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError(
            f"the arguments of the tool call {str(function.get('name'))[:80]!r} are no JSON"
        ) from None


def _output(message: Mapping[str, Any], custom: set[Any]) -> Json:
    id = message.get("tool_call_id")
    kind = "custom_tool_call_output" if str(id) in custom else "function_call_output"
    return {"type": kind, "call_id": id, "output": _content(message.get("content"), "input")}


def _content(content: Any, direction: str) -> Any:
    """Text, or a list of parts; ``direction`` is that of their text: input or output."""
    if isinstance(content, str) or content is None:
        return content or ""
    return [_part(part, direction) for part in content]


def _part(part: Mapping[str, Any], direction: str) -> Mapping[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": f"{direction}_text", "text": part.get("text")}
    if kind == "image_url":
        image = part.get("image_url")
        detail = image.get("detail") if isinstance(image, Mapping) else None
        return {"type": "input_image", "image_url": image_url_of(part), "detail": detail or "auto"}
    if kind == "file" and isinstance(part.get("file"), Mapping):
        return {"type": "input_file", **part["file"]}
    return part
