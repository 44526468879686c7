"""
Messages, tools and the like in OpenAI's form -> Anthropic's. What is in its form already passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.providers.documents import document_of
from streamkit.providers.fields import settle_fields
from streamkit.providers.parts import arguments_of, check_messages, image_url_of, split_data_url
from streamkit.providers.roles import check_turns

__all__ = ["choice_of", "convert_messages", "convert_tool", "output_of"]

Json = dict[str, Any]


def convert_messages(
    system: str | None, messages: Iterable[Mapping[str, Any]], service: str = "anthropic"
) -> tuple[str | list[Json] | None, list[Json]]:
    """
    The ``system`` field and the messages below it.

    System messages, wherever they stand, go to the field after ``system``: the API has no such
    role. The results of parallel tool calls go into one message, as the API wants them.

    Raises:
        ConfigurationError: A tool call whose arguments are not JSON, a part the API has not, or
            what check_messages, settle_fields or check_turns refuses.
    """
    messages = list(messages)
    check_messages(messages)
    check_turns(service, messages)
    messages = settle_fields(service, messages)
    above: list[Any] = [] if system is None else [system]
    converted: list[Json] = []
    results: list[Json] | None = None
    for message in messages:
        role, content = message.get("role"), message.get("content")
        if role == "tool":
            if results is None:
                results = []
                converted.append({"role": "user", "content": results})
            results.append(_tool_result(message))
            continue
        results = None
        if role in ("system", "developer"):
            above.append(content)
        elif role == "assistant" and message.get("tool_calls"):
            converted.append({"role": role, "content": _with_calls(message)})
        else:
            converted.append({"role": role, "content": _content(content)})
    return _system(above), converted


def convert_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    A function in OpenAI's form -> a tool with ``input_schema``.

    >>> convert_tool({"type": "function", "function": {"name": "now"}})
    {'name': 'now', 'input_schema': {'type': 'object'}}
    """
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        return tool
    converted = {"name": function.get("name")}
    for name in ("description", "strict"):
        if function.get(name):
            converted[name] = function[name]
    converted["input_schema"] = function.get("parameters") or {"type": "object"}
    return converted


def choice_of(choice: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """
    ``auto``, ``none``, ``required``, or one function -> Anthropic's object.

    Raises:
        ConfigurationError: Another word.
    """
    if isinstance(choice, str):
        words = {"auto": "auto", "none": "none", "required": "any", "any": "any"}
        if choice not in words:
            raise ConfigurationError(
                f"tool_choice must be auto, none, required or a mapping, got {choice[:80]!r}"
            )
        return {"type": words[choice]}
    if choice is not None and choice.get("type") == "function":
        function = choice.get("function")
        named = function if isinstance(function, Mapping) else choice
        return {"type": "tool", "name": named.get("name")}
    return choice


def output_of(response_format: Mapping[str, Any] | None, service: str = "anthropic") -> Json | None:
    """
    OpenAI's ``json_schema`` object -> ``output_config``; text is what comes without one.

    Raises:
        ConfigurationError: Another form, or no schema in it.
    """
    if response_format is None or response_format.get("type") == "text":
        return None
    named = response_format.get("json_schema", response_format)  # or in Anthropic's own form
    schema = named.get("schema") if isinstance(named, Mapping) else None
    if response_format.get("type") != "json_schema" or not isinstance(schema, Mapping):
        raise ConfigurationError(
            f"{service} messages has no response_format but json_schema, which must hold a "
            "schema; for other JSON ask for it in the prompt"
        )
    return {"format": {"type": "json_schema", "schema": schema}}


def _system(above: list[Any]) -> str | list[Json] | None:
    """One text where all are texts, else the list of blocks (they may carry cache marks)."""
    if not above:
        return None
    if all(isinstance(content, str) for content in above):
        return "\n\n".join(above)
    return [block for content in above for block in _blocks(content)]


def _tool_result(message: Mapping[str, Any]) -> Json:
    return {
        "type": "tool_result",
        "tool_use_id": message.get("tool_call_id"),
        "content": _content(message.get("content")),
    }


def _with_calls(message: Mapping[str, Any]) -> list[Json]:
    blocks = _blocks(message.get("content"))
    for call in message["tool_calls"]:
        function = call.get("function") or {}
        blocks.append(
            {
                "type": "tool_use",
                "id": call.get("id"),
                "name": function.get("name"),
                "input": arguments_of(function),
            }
        )
    return blocks


def _blocks(content: Any) -> list[Any]:
    """Content as a list of blocks; the API refuses empty text."""
    if isinstance(content, str) or content is None:
        return [{"type": "text", "text": content}] if content else []
    return [_block(part) for part in content]


def _content(content: Any) -> Any:
    return content if isinstance(content, str) else _blocks(content)


def _block(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A part of a type that OpenAI alone has -> a block."""
    kind = part.get("type")
    if kind == "input_audio":
        raise ConfigurationError("the messages API takes no input_audio part")
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind == "file":
        return document_of(part)
    if kind != "image_url":
        return part
    url = image_url_of(part)
    data = split_data_url(url)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    source = {"type": "base64", "media_type": data[0], "data": data[1]}
    return {"type": "image", "source": source}
