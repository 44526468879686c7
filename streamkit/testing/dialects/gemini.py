"""
Gemini, as its servers write it, as events and as one array; Vertex writes the same.

Source: WIRE_FORMATS.md sections 1.3, 5 and 16, and the recordings it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from streamkit.testing.dialects.base import (
    HOLE,
    Asked,
    Dialect,
    Said,
    around,
    json_writer,
    parsed,
    to_json,
)
from streamkit.testing.speech import Citation, Data, Error, Tool, Usage

__all__ = ["Gemini", "GeminiArray"]

_spaced = json_writer((",", ": "))
_pretty = json_writer((",", ": "), indent=2)

_STATUS: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Gemini(Dialect):
    """
    ``streamGenerateContent`` with ``alt=sse``, and ``generateContent``.

    Thread safety: **confined**.
    """

    name = "gemini"
    content_type = "text/event-stream"
    words: ClassVar[Mapping[str, str]] = {
        "stop": "STOP",
        "length": "MAX_TOKENS",
        "tool_calls": "STOP",
        "content_filter": "SAFETY",
    }

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._sources: list[dict[str, Any]] = []
        self._silent = self.usage() == Usage()
        self._text = self._template({"text": HOLE})
        self._thought = self._template({"text": HOLE, "thought": True})

    @property
    @override
    def wants_stream(self) -> bool:
        return ":stream" in self.path

    def _template(self, part: Mapping[str, Any]) -> tuple[bytes, bytes, bytes]:
        """What stands before the text, between it and the count of answer tokens, and after."""
        head, rest = around(self._event(self._chunk([part], self._counts(Usage(0, 0)))))
        if self._silent:
            return head, rest, b""
        middle, _, tail = rest.partition(b'"usageMetadata": {')
        return head, middle + b'"usageMetadata": {', tail[tail.index(b"}") :]

    def _chunk(
        self, parts: list[Any], counts: Mapping[str, int], **candidate: Any
    ) -> dict[str, Any]:
        content = {"content": {"parts": parts, "role": "model"}, **candidate, "index": 0}
        return {
            "candidates": [content],
            **({} if self._silent else {"usageMetadata": counts}),
            "modelVersion": self.model,
            "responseId": f"local{self.number}",
        }

    def _event(self, value: Mapping[str, Any]) -> bytes:
        return b"data: " + _spaced(value) + b"\r\n\r\n"

    def _spoken(self, template: tuple[bytes, bytes, bytes], piece: str) -> bytes:
        self._deltas += 1
        head, middle, tail = template
        if self._silent:
            return head + to_json(piece) + middle
        prompt, answer = self.prompt_tokens, self.output_so_far()
        counts = b'"promptTokenCount": %d,"candidatesTokenCount": %d,"totalTokenCount": %d'
        filled = counts % (prompt, answer, prompt + answer)
        return b"".join((head, to_json(piece), middle, filled, tail))

    @override
    def text(self, piece: str) -> bytes:
        return self._spoken(self._text, piece)

    @override
    def reasoning(self, piece: str) -> bytes:
        return self._spoken(self._thought, piece)

    @override
    def tool(self, step: Tool) -> list[bytes]:
        self._deltas += 1
        part = _called(step)
        self.tools += 1
        return [self._event(self._chunk([part], self._counts_so_far()))]

    @override
    def citation(self, step: Citation) -> list[bytes]:
        self._sources.append({"web": {"uri": step.url, "title": step.title}})
        counts = self._counts_so_far()
        return [self._event(self._chunk([{"text": ""}], counts, **self._grounding()))]

    def _grounding(self) -> dict[str, Any]:
        return {"groundingMetadata": {"groundingChunks": self._sources}} if self._sources else {}

    @override
    def finish(self, reason: str) -> list[bytes]:
        word = self.word(reason)
        counts = self._counts(self.usage())
        return [self._event(self._chunk([{"text": ""}], counts, finishReason=word))]

    @override
    def done(self) -> list[bytes]:
        return []

    @override
    def error(self, step: Error) -> bytes:
        """An object over several lines, which is no event."""
        code = step.code if isinstance(step.code, int) else 500
        status = "INTERNAL" if step.type == "server_error" else step.type
        return _pretty({"error": {"code": code, "message": step.message, "status": status}}) + b"\n"

    @override
    def whole(self, said: Said) -> bytes:
        parts: list[Any] = []
        if said.reasoning:
            parts.append({"text": said.reasoning, "thought": True})
        if said.text + said.refusal:
            parts.append({"text": said.text + said.refusal})
        parts += map(_called, said.tools)
        for source in said.citations:
            self._sources.append({"web": {"uri": source.url, "title": source.title}})
        more = {"finishReason": self.word(said.reason), **self._grounding()}
        return _pretty(self._chunk(parts, self._counts(self.usage()), **more))

    @override
    def problem(self, status: int, message: str) -> bytes:
        word = _STATUS.get(status, "INTERNAL")
        return _pretty({"error": {"code": status, "message": message, "status": word}})

    @override
    def problem_headers(self, status: int) -> Mapping[str, str]:
        return {"content-type": self.content_type} if self.wants_stream else {}

    def _counts_so_far(self) -> dict[str, int]:
        return self._counts(Usage(self.prompt_tokens, self.output_so_far()))

    @staticmethod
    def _counts(usage: Usage) -> dict[str, int]:
        prompt, answer, thought = usage.input or 0, usage.output or 0, usage.reasoning or 0
        counts = {"promptTokenCount": prompt, "candidatesTokenCount": max(0, answer - thought)}
        counts["totalTokenCount"] = prompt + answer
        if usage.cached is not None:
            counts["cachedContentTokenCount"] = usage.cached
        if usage.reasoning is not None:
            counts["thoughtsTokenCount"] = thought
        return counts


class GeminiArray(Gemini):
    """``streamGenerateContent`` without ``alt=sse``. Thread safety: **confined**."""

    name = "gemini-array"
    content_type = "application/json; charset=UTF-8"

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._begun = False

    @override
    def _event(self, value: Mapping[str, Any]) -> bytes:
        return _pretty(value) + b"\n"

    def _next(self, entry: bytes) -> bytes:
        """An entry of the array, with what separates it from the one before."""
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + entry

    @override
    def _spoken(self, template: tuple[bytes, bytes, bytes], piece: str) -> bytes:
        return self._next(super()._spoken(template, piece))

    @override
    def tool(self, step: Tool) -> list[bytes]:
        return [*map(self._next, super().tool(step))]

    @override
    def citation(self, step: Citation) -> list[bytes]:
        return [*map(self._next, super().citation(step))]

    @override
    def finish(self, reason: str) -> list[bytes]:
        return [*map(self._next, super().finish(reason))]

    @override
    def done(self) -> list[bytes]:
        return [b"]" if self._begun else b"[]"]

    @override
    def ping(self) -> bytes:
        return b"\r\n" if self._begun else b""

    @override
    def data(self, step: Data) -> bytes:
        return self._next(step.text().encode() + b"\n")

    @override
    def error(self, step: Error) -> bytes:
        return self._next(super().error(step)) + b"]"


def _called(step: Tool) -> dict[str, Any]:
    named = {"id": step.id} if step.id else {}
    return {"functionCall": {"name": step.name, "args": parsed(step), **named}}
