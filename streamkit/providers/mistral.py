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
    def _read_content(self, content: Any, chunks: list[Chunk]) -> None:
        for run in _split(content) if isinstance(content, list) else (content,):
            if isinstance(run, dict) and run.get("type") in _REFERENCES:
                chunks.append(self._chunk("", "citation", {"citation": clean_deep(run)}))
            else:
                super()._read_content(run, chunks)


def _split(parts: list[Any], *, nested: bool = False) -> Iterator[Any]:
    """
    A list of parts -> each reference alone, and between them the lists of the others, in order.

    Thinking is such a list too, and may hold references of its own.
    """
    run: list[Any] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        inner = part.get("thinking") if kind == "thinking" and not nested else None
        if kind in _REFERENCES:
            yield from (run, part)
            run = []
        elif isinstance(inner, list):
            yield run
            for piece in _split(inner, nested=True):
                alone = isinstance(piece, dict)
                yield piece if alone else [{"type": kind, "thinking": piece}]
            run = []
        else:
            run.append(part)
    yield run


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
