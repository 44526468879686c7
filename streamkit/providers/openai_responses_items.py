"""
What the output items of a Responses answer say: parts of text, calls, server tools, images.

Pure functions of one parsed item or event, of which nothing may be taken for granted.

Source: WIRE_FORMATS.md section 3; the official SDK, openai 3.52.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streamkit.chunk import Kind
from streamkit.providers.shape import as_objects
from streamkit.wire.jsontext import encode
from streamkit.wire.surrogates import clean_deep

__all__ = [
    "CALLS",
    "arguments_text",
    "describe_tool",
    "is_server_tool",
    "notes_of",
    "parts_of",
    "read_partial_image",
]

Json = dict[str, Any]

#: Items that are calls of the user's tools.
CALLS = ("function_call", "custom_tool_call")

#: Type of a part -> what its text is, and the member that holds it.
_PARTS: Mapping[Any, tuple[Kind, str]] = {
    "output_text": ("text", "text"),
    "refusal": ("refusal", "refusal"),
    "summary_text": ("reasoning", "text"),
    "reasoning_text": ("reasoning", "text"),
}
#: What is told of an image beside its data, where it is sent.
_IMAGE = ("output_format", "size", "quality", "background", "revised_prompt")


def parts_of(item: Json) -> Iterator[tuple[Kind, str]]:
    """The texts of a whole item, in order: a message's parts, or reasoning's summary and text."""
    for part in (*as_objects(item.get("summary")), *as_objects(item.get("content"))):
        kind = part.get("type")
        if isinstance(kind, str) and kind in _PARTS:
            what, member = _PARTS[kind]
            text = part.get(member)
            if text and isinstance(text, str):
                yield what, text


def arguments_text(source: Json) -> str:
    """The arguments of a call, or its input, from its item or the event that ends it."""
    value = source.get("arguments") or source.get("input")
    if isinstance(value, dict):  # not the format, but one meaning only
        return encode(value)
    return value if isinstance(value, str) else ""


def is_server_tool(kind: Any) -> bool:
    """
    Whether an item is about a tool the service offers, whoever runs it.

    Some of them (computer_call, local_shell_call, mcp_approval_request) wait for an answer; what
    they ask is in what describe_tool() gives.
    """
    return (
        isinstance(kind, str)
        and (kind.endswith("_call") or kind == "mcp_approval_request")
        and kind not in CALLS
    )


def describe_tool(item: Json) -> Json:
    """The item, with its type as ``name``, and its own name (MCP) as ``tool``."""
    known: Json = {"name": item["type"], "id": item.get("id")}
    if item.get("name"):
        known["tool"] = item["name"]
    left = {"type", *known} | ({"result"} if item["type"] == "image_generation_call" else set())
    known.update((name, value) for name, value in item.items() if name not in left)
    cleaned: Json = clean_deep(known)
    return cleaned


def notes_of(item: Json, cited: Mapping[int, int]) -> Iterator[tuple[Kind, Json]]:
    """
    What a whole item says beside its texts and arguments: kind and metadata of each chunk.

    Args:
        item: As it ended.
        cited: Number of a part -> how many of its annotations have been told already.
    """
    kind = item.get("type")
    if is_server_tool(kind) and kind != "mcp_approval_request":  # which has no result
        yield "text", {"server_tool_result": describe_tool(item)}
    if kind == "image_generation_call":
        image = _image(item, item.get("id"), item.get("result"), partial=False)
        if image:
            yield "text", {"image": image}
    encrypted = item.get("encrypted_content")
    if encrypted and isinstance(encrypted, str):
        yield "reasoning", clean_deep({"encrypted": encrypted, "id": item.get("id"), "type": kind})
    for number, part in enumerate(as_objects(item.get("content"))):
        for annotation in as_objects(part.get("annotations"))[cited.get(number, 0) :]:
            yield "citation", {"citation": clean_deep(annotation)}


def read_partial_image(frame: Json) -> Json | None:
    """
    A preview of an image: ``id``, ``data`` (base64), ``partial`` and ``number``; None without data.

    The finished one is the same, without a number.
    """
    data, number = frame.get("partial_image_b64"), frame.get("partial_image_index")
    return _image(frame, frame.get("item_id"), data, partial=True, number=number)


def _image(source: Json, id: Any, data: Any, **known: Any) -> Json | None:
    if not data or not isinstance(data, str):
        return None
    told = {name: source[name] for name in _IMAGE if source.get(name)}
    cleaned: Json = clean_deep({"id": id, "data": data, **known, **told})
    return cleaned
