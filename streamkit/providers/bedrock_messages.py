"""
Messages, tools and the like in OpenAI's form -> Converse's. What is in its form already passes.

Source: WIRE_FORMATS.md section 13; the official SDK, botocore 1.44.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.providers.fields import settle_fields
from streamkit.providers.parts import arguments_of, check_messages, image_url_of, split_data_url
from streamkit.providers.roles import check_turns

__all__ = ["choice_of", "convert_messages", "convert_tool", "output_of"]

Json = dict[str, Any]

#: Media type -> the API's word, where it is not what follows the slash (image/png, audio/wav).
_FORMATS = {
    "image/jpg": "jpeg",
    "text/plain": "txt",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}


def convert_messages(
    system: str | None, messages: Iterable[Mapping[str, Any]]
) -> tuple[list[Json] | None, list[Json]]:
    """
    The ``system`` field and the messages below it.

    System messages, wherever they stand, go to the field after ``system``. Messages that follow
    one of the same role are joined to it, and tool results are of the user's role: the API wants
    the roles to alternate.

    Raises:
        ConfigurationError: A tool call whose arguments are not JSON, a part the API has not, or
            what check_messages, settle_fields or check_turns refuses.
    """
    messages = list(messages)
    check_messages(messages)
    check_turns("bedrock converse", messages)
    messages = settle_fields("bedrock converse", messages)
    above = [] if system is None else _blocks(system)
    converted: list[Json] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            above += _blocks(message.get("content"))
            continue
        blocks = [_tool_result(message)] if role == "tool" else _blocks(message.get("content"))
        blocks += [_tool_use(call) for call in message.get("tool_calls") or ()]
        role = "user" if role == "tool" else role
        if converted and converted[-1]["role"] == role:
            converted[-1]["content"] += blocks
        else:
            converted.append({"role": role, "content": blocks})
    return above or None, converted


def convert_tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """
    A function in OpenAI's form -> a ``toolSpec``.

    >>> convert_tool({"type": "function", "function": {"name": "now"}})
    {'toolSpec': {'name': 'now', 'inputSchema': {'json': {'type': 'object'}}}}
    """
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        return tool
    spec: Json = {"name": function.get("name")}
    for name in ("description", "strict"):
        if function.get(name):
            spec[name] = function[name]
    spec["inputSchema"] = {"json": function.get("parameters") or {"type": "object"}}
    return {"toolSpec": spec}


def choice_of(choice: str | Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """
    ``auto``, ``required``, or one function -> Converse's object.

    Raises:
        ConfigurationError: Another word; ``none`` is one, as the API has no such choice.
    """
    if isinstance(choice, str):
        words = {"auto": "auto", "required": "any", "any": "any"}
        if choice not in words:
            raise ConfigurationError(
                f"tool_choice must be auto, required or a mapping, got {choice[:80]!r}"
            )
        return {words[choice]: {}}
    if choice is not None and choice.get("type") == "function":
        function = choice.get("function")
        named = function if isinstance(function, Mapping) else choice
        return {"tool": {"name": named.get("name")}}
    return choice


def output_of(response_format: Mapping[str, Any] | None) -> Json | None:
    """
    A JSON schema in OpenAI's form -> ``outputConfig``, where it is a text.

    Raises:
        ConfigurationError: Another form, no schema in it, or one that is no JSON.
    """
    if response_format is None or response_format.get("type") == "text":
        return None
    named = response_format.get("json_schema")
    if response_format.get("type") != "json_schema" or not isinstance(named, Mapping):
        raise ConfigurationError(
            "bedrock converse has no response_format but json_schema; "
            "its own fields go in extra_body"
        )
    try:
        schema = json.dumps(named.get("schema"), allow_nan=False, default=dict)
    except (TypeError, ValueError, RecursionError):
        schema = ""
    if not schema or not isinstance(named.get("schema"), Mapping):
        raise ConfigurationError("the schema of response_format must be an object of JSON")
    described = {name: named[name] for name in ("name", "description") if named.get(name)}
    structure = {"jsonSchema": {"schema": schema, **described}}
    return {"textFormat": {"type": "json_schema", "structure": structure}}


def _tool_result(message: Mapping[str, Any]) -> Json:
    content = _blocks(message.get("content"))
    return {"toolResult": {"toolUseId": message.get("tool_call_id"), "content": content}}


def _tool_use(call: Mapping[str, Any]) -> Json:
    function = call.get("function") or {}
    given = arguments_of(function)
    return {"toolUse": {"toolUseId": call.get("id"), "name": function.get("name"), "input": given}}


def _blocks(content: Any) -> list[Any]:
    """Content as a list of blocks; the API refuses empty text."""
    if isinstance(content, str) or content is None:
        return [{"text": content}] if content else []
    return [_block(part) for part in content]


def _block(part: Mapping[str, Any]) -> Any:
    kind = part.get("type")
    if kind is None:
        return part  # the API's own blocks have no type
    if kind == "text":
        return {"text": part.get("text")}
    if kind == "image_url":
        return {"image": _media(image_url_of(part), "image")}
    inner = part.get(str(kind))
    if kind == "file" and isinstance(inner, Mapping):
        document = _media(inner.get("file_data"), "document")
        return {"document": {**document, "name": _document_name(inner.get("filename"))}}
    if kind == "input_audio" and isinstance(inner, Mapping):
        return {"audio": {"format": inner.get("format"), "source": {"bytes": inner.get("data")}}}
    raise ConfigurationError(
        "bedrock converse takes text, image_url, input_audio and file parts, "
        f"got {str(kind)[:40]!r}"
    )


def _media(url: Any, what: str) -> Json:
    """Format and source of a data URL, or of an object in S3, whose name ends in its format."""
    if isinstance(url, str) and url.startswith("s3://"):
        ending = url.rpartition(".")[2].lower()
        return {
            "format": _FORMATS.get(f"image/{ending}", ending),
            "source": {"s3Location": {"uri": url}},
        }
    data = split_data_url(url)
    if data is None:
        raise ConfigurationError(
            f"bedrock converse takes the {what} as a data URL or an s3:// URL, it fetches no other"
        )
    media_type = data[0].partition(";")[0].lower()
    return {
        "format": _FORMATS.get(media_type, media_type.rpartition("/")[2]),
        "source": {"bytes": data[1]},
    }


def _document_name(filename: Any) -> str:
    """A file's name as the API takes it: no dot, nothing but letters, digits and ``- ( ) [ ]``."""
    stem = str(filename or "document").rpartition("/")[2].partition(".")[0]
    allowed = (c if c.isascii() and (c.isalnum() or c in "-()[]") else " " for c in stem)
    return " ".join("".join(allowed).split()) or "document"
