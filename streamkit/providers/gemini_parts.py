"""
What Gemini's frames hold: the parts of a candidate, the sources it cites, enums and delays.

Source: WIRE_FORMATS.md section 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from streamkit.chunk import Chunk
from streamkit.providers.base import Endpoint
from streamkit.providers.calls import OpenCall, word
from streamkit.providers.dialect import Dialect
from streamkit.providers.gemini_arguments import ArgumentWriter
from streamkit.providers.shape import as_object, as_objects
from streamkit.wire.jsontext import encode
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["PartReader", "name_of", "retry_delay"]

#: Part -> the name of the tool, and the member of the metadata. ``toolCall`` names its tool itself.
_SERVER_TOOLS = {
    "executableCode": ("code_execution", "server_tool"),
    "codeExecutionResult": ("code_execution", "server_tool_result"),
    "toolCall": ("", "server_tool"),
    "toolResponse": ("", "server_tool_result"),
}

#: A duration as protobuf writes it in JSON.
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s")


class PartReader(Dialect):
    """
    The half of the dialect that knows what parts there are.

    Thread safety: **confined**; one instance reads one attempt.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        #: The call whose arguments are being streamed, and what writes them.
        self._streamed: tuple[OpenCall, ArgumentWriter] | None = None
        self._cited: set[str] = set()

    def _read_candidate(self, candidate: dict[str, Any], chunks: list[Chunk]) -> None:
        """The first candidate, all but its finish reason."""
        for part in _parts_of(candidate):
            call = self._read_part(part, chunks)
            signature = part.get("thoughtSignature")
            if signature and isinstance(signature, str):
                # Gemini wants it back with the part it came with, so a call's is told apart.
                told: dict[str, Any] = {"signature": clean(signature)}
                if call is not None:
                    told["tool_call"] = call.index
                chunks.append(self._chunk("", "reasoning", told))
        for source in _sources_of(candidate):
            text = encode(source)
            if text not in self._cited:  # later frames repeat the list, grown
                self._cited.add(text)
                chunks.append(self._chunk("", "citation", {"citation": clean_deep(source)}))

    def _read_other(
        self, number: int, candidate: dict[str, Any], finish: str | None, chunks: list[Chunk]
    ) -> None:
        """A candidate beside the first: its text and its end, in metadata."""
        for part in _parts_of(candidate):
            text = part.get("text")
            if text and isinstance(text, str) and not part.get("thought"):
                told = {"choice": number, "content": clean(text)}
                chunks.append(self._chunk("", "text", told))
        if finish:
            chunks.append(self._chunk("", "text", {"choice": number, "finish_reason": finish}))

    def _read_part(self, part: dict[str, Any], chunks: list[Chunk]) -> OpenCall | None:
        """Chunks of one part; the call it belongs to, if it is one."""
        text = part.get("text")
        if text and isinstance(text, str):
            chunks.append(self._chunk(text, "reasoning" if part.get("thought") else "text"))
        call = part.get("functionCall")
        if isinstance(call, dict):
            return self._read_call(call, chunks)
        data = part.get("inlineData")
        if data and isinstance(data, dict):
            chunks.append(self._chunk("", "text", {"inline_data": clean_deep(data)}))
        for member, (name, key) in _SERVER_TOOLS.items():
            tool = part.get(member)
            if isinstance(tool, dict):
                id, kind = word(tool.get("id")), word(tool.get("toolType"))
                told = {**clean_deep(tool), "name": name or kind, "id": id}
                chunks.append(self._chunk("", "text", {key: told}))
        return None

    def _read_call(self, raw: dict[str, Any], chunks: list[Chunk]) -> OpenCall | None:
        """
        A call: whole, or the next piece of the one being streamed.

        Vertex, if asked to stream arguments, sends the name, then pieces without it, then a last
        one that does not say ``willContinue``.
        """
        name, more = word(raw.get("name")), bool(raw.get("willContinue"))
        pieces = raw.get("partialArgs")
        if name and self._streamed is not None:
            chunks.append(self._end_call())
        if self._streamed is None:
            if not name:
                return None
            call = self._calls.open()
            call.learn(id=raw.get("id"), name=name)
            if not more and not pieces:
                text = encode(as_object(raw.get("args")))
                chunks.append(self._call_chunk(call, text))
                return call
            self._streamed = call, ArgumentWriter()
        call, writer = self._streamed
        chunks.append(self._call_chunk(call, writer.write(pieces)))
        if not more:
            chunks[-1].content += self._end_call().content
        return call

    def _end_call(self) -> Chunk:
        """The rest of the arguments being streamed."""
        assert self._streamed is not None
        call, writer = self._streamed
        self._streamed = None
        return self._call_chunk(call, writer.close())


def name_of(value: Any, words: tuple[str, ...]) -> str | None:
    """A member of an enum as its name; a number that has none here as its digits."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return words[value] if value < len(words) else str(value)
    return clean(value) if value and isinstance(value, str) else None


def retry_delay(frame: Any) -> float | None:
    """
    Seconds that an error asks to wait, in the ``RetryInfo`` among its details; None without one.

    >>> retry_delay({"error": {"details": [{"retryDelay": "48.5s"}]}})
    48.5
    """
    if isinstance(frame, list):
        frame = frame[0] if frame else None
    error = as_object(as_object(frame).get("error"))
    for detail in as_objects(error.get("details")):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and _SECONDS.fullmatch(delay):
            return float(delay[:-1])
    return None


def _parts_of(candidate: dict[str, Any]) -> list[dict[str, Any]]:
    return as_objects(as_object(candidate.get("content")).get("parts"))


def _sources_of(candidate: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """``citationSources`` are the Gemini API's, ``citations`` Vertex's; both are quotations."""
    for holder, name in (
        ("citationMetadata", "citationSources"),
        ("citationMetadata", "citations"),
        ("groundingMetadata", "groundingChunks"),
    ):
        yield from as_objects(as_object(candidate.get(holder)).get(name))
