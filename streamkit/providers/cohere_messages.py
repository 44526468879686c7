"""
Messages, tools and options in OpenAI's form -> Cohere's. What is in its form already passes.

The two are close: roles, tool calls and images are the same. Source: the official SDK, cohere 7.3.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.providers.fields import settle_fields
from streamkit.providers.parts import check_messages, image_url_of
from streamkit.providers.roles import check_turns

__all__ = ["choice_of", "convert_messages", "convert_tool", "format_of"]

#: Parts a message may have; thinking is an assistant's, a document is a tool's.
_PARTS = ("text", "image_url", "thinking", "document")


def convert_messages(
    system: str | None, messages: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """
    Messages in OpenAI's form -> Cohere's, with ``system`` first.

    Raises:
        ConfigurationError: A part Cohere has no place for, or what check_messages,
            settle_fields or check_turns refuses.
    """
    messages = list(messages)
    check_messages(messages)
    check_turns("cohere", messages)
    messages = settle_fields("cohere", messages, "tool_plan", "citations")
    above = [] if system is None else [{"role": "system", "content": system}]
    return above + [_convert(message) for message in messages]


def convert_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    A function, with the parameters that Cohere asks for and OpenAI lets one leave out.

    >>> convert_tool({"type": "function", "function": {"name": "now"}})
    {'type': 'function', 'function': {'name': 'now', 'parameters': {'type': 'object'}}}
    """
    function = tool.get("function")
    if not isinstance(function, Mapping) or function.get("parameters"):
        return tool
    return {**tool, "function": {**function, "parameters": {"type": "object"}}}


def choice_of(choice: str | Mapping[str, Any] | None) -> str | None:
    """
    ``auto``, ``none`` or ``required`` -> Cohere's word; auto is what it does without one.

    Raises:
        ConfigurationError: Another word, or one tool by name.
    """
    words = {"auto": None, "none": "NONE", "required": "REQUIRED"}
    if choice is None:
        return None
    if not isinstance(choice, str):
        raise ConfigurationError("cohere has no choice of one tool; give it that tool alone")
    if choice.lower() not in words:
        raise ConfigurationError(
            f"tool_choice must be auto, none or required for cohere, got {choice[:80]!r}"
        )
    return words[choice.lower()]


def format_of(response_format: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """OpenAI's ``json_schema`` object -> a ``json_object`` with that schema; all else passes."""
    if response_format is None or response_format.get("type") != "json_schema":
        return response_format
    named = response_format.get("json_schema")
    schema = named.get("schema") if isinstance(named, Mapping) else None
    return {"type": "json_object", "json_schema": schema}


def _convert(message: Mapping[str, Any]) -> dict[str, Any]:
    converted = dict(message)
    content, calls = message.get("content"), message.get("tool_calls")
    if message.get("role") == "developer":
        converted["role"] = "system"
    if content is not None and not isinstance(content, str):
        converted["content"] = [_part(part) for part in content]
    elif not content and calls:
        converted.pop("content", None)
    if calls:
        converted["tool_calls"] = [_call(call) for call in calls]
    return converted


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part.get("type") not in _PARTS:
        raise ConfigurationError(
            f"cohere takes text and image_url parts, got {str(part.get('type'))[:40]!r}"
        )
    if part["type"] == "image_url" and not isinstance(part.get("image_url"), Mapping):
        return {**part, "image_url": {"url": image_url_of(part)}}
    return part


def _call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """The call, with its arguments as JSON text, if they are an object."""
    function = call.get("function") or {}
    if not isinstance(function.get("arguments"), Mapping):
        return call
    try:
        text = json.dumps(dict(function["arguments"]), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        name = str(function.get("name"))[:80]
        raise ConfigurationError(
            f"the arguments of the tool call {name!r} are not a JSON object"
        ) from None
    return {**call, "function": {**function, "arguments": text}}
