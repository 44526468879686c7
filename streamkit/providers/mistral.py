"""
Mistral's chat: the chat dialect with lists of parts, and some fields under other names.

Source: WIRE_FORMATS.md section 6; the official SDK, mistralai 3.7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.providers.chat_parts import convert_parts
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.shape import as_objects
from streamkit.request import Call
from streamkit.wire.surrogates import clean_deep

__all__ = ["MistralChat"]

#: Parts of an answer that name what it rests on.
_REFERENCES = ("reference", "tool_reference")


class MistralChat(OpenAIChat):
    """
    The chat dialect of Mistral. References are citations; ``safe_prompt`` goes in extra_body.

    Thread safety: **confined**; one instance reads one attempt.
    """

    @override
    def _body(self, call: Call) -> dict[str, Any]:
        body = super()._body(call)
        del body["stream_options"]  # unknown there, and an unknown field is an error
        if "seed" in body:
            body["random_seed"] = body.pop("seed")
        if call.tool_choice == "required":
            body["tool_choice"] = "any"
        body["messages"] = convert_parts(body["messages"], _convert_part)
        if "tools" in body:
            body["tools"] = [_with_parameters(tool) for tool in body["tools"]]
        return body

    @override
    def _read_delta(self, delta: dict[str, Any], chunks: list[Chunk]) -> None:
        super()._read_delta(delta, chunks)
        for part in _references(delta, "content"):
            chunks.append(self._chunk("", "citation", {"citation": clean_deep(part)}))


def _references(holder: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """What a list of parts rests on, and the lists of thinking in it."""
    for part in as_objects(holder.get(name)):
        if part.get("type") in _REFERENCES:
            yield part
        elif part.get("type") == "thinking" and name == "content":
            yield from _references(part, "thinking")


def _with_parameters(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """A function that takes nothing has to say so."""
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or function.get("parameters") is not None:
        return tool
    return {**tool, "function": {**function, "parameters": {"type": "object", "properties": {}}}}


def _convert_part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """OpenAI's audio and file parts -> Mistral's; all others are the same, or its own."""
    kind = part.get("type")
    inner = part.get(kind) if isinstance(kind, str) else None
    if kind == "input_audio" and isinstance(inner, Mapping):
        return {"type": kind, kind: inner.get("data")}
    if kind == "file" and isinstance(inner, Mapping):
        if inner.get("file_id"):
            return {"type": kind, "file_id": inner["file_id"]}
        if not inner.get("file_data"):
            raise ConfigurationError("a file part must have file_id or file_data")
        document = {"type": "document_url", "document_url": inner["file_data"]}
        name = inner.get("filename")
        return {**document, "document_name": name} if name else document
    return part
