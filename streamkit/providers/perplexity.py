"""
Perplexity's chat: the chat dialect with a search before it.

Each event repeats the sources and, in ``message``, the whole text so far; only the delta is read.
The answer has no end mark. Reasoning models write ``<think>`` into the text.

Source: WIRE_FORMATS.md section 7; the official SDK, perplexityai 0.46.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.providers.build import check_lacks
from streamkit.providers.chat_parts import convert_parts
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.shape import as_objects
from streamkit.request import Call
from streamkit.wire.surrogates import clean_deep

__all__ = ["PerplexityChat"]


class PerplexityChat(OpenAIChat):
    """
    The chat dialect of Perplexity. ``search_mode``, ``web_search_options`` and the rest of its own
    fields go in extra_body; ``images`` and ``related_questions``, if asked for, come in metadata.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path = None  # the list it has is of another API

    @override
    def _body(self, call: Call) -> dict[str, Any]:
        check_lacks("perplexity", call, "seed")
        body = super()._body(call)
        del body["stream_options"]  # usage is always sent
        body["messages"] = convert_parts(body["messages"], _checked_part)
        return body

    @override
    def _read_beside(self, frame: dict[str, Any], chunks: list[Chunk]) -> None:
        super()._read_beside(frame, chunks)
        for name in ("images", "related_questions"):
            found = frame.get(name)
            if found and self._is_new(name, found):
                chunks.append(self._chunk("", "text", {name: clean_deep(found)}))

    @override
    def _read_delta(self, delta: dict[str, Any], chunks: list[Chunk]) -> None:
        for step in as_objects(delta.get("reasoning_steps")):
            self._read_step(step, chunks)
        super()._read_delta(delta, chunks)

    def _read_step(self, step: dict[str, Any], chunks: list[Chunk]) -> None:
        """A step of a search: why, and the tool it used, in a member named as the tool."""
        if not self._is_new("step", step):
            return
        thought, name = step.get("thought"), step.get("type")
        if thought and isinstance(thought, str):
            chunks.append(self._chunk(thought, "reasoning"))
        inner = step.get(name) if isinstance(name, str) else None
        if isinstance(inner, dict):
            tool = clean_deep({"name": name, **inner})
            chunks.append(self._chunk("", "text", {"server_tool": tool}))


def _checked_part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part.get("type") in ("input_audio", "file"):
        raise ConfigurationError(
            f"perplexity takes no {part['type']} parts; it has file_url, pdf_url and video_url"
        )
    return part
