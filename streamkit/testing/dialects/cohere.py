"""
Cohere's chat, version 2, as its server writes it: blocks that open and close, each event named.

Source: WIRE_FORMATS.md sections 12 and 16, and the recordings they rest on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from streamkit.testing.dialects.base import HOLE, Asked, Dialect, Said, around, to_json
from streamkit.testing.speech import Citation, Error, Tool, Usage

__all__ = ["Cohere"]


class Cohere(Dialect):
    """Chat v2. Thread safety: **confined**."""

    name = "cohere"
    content_type = "text/event-stream"
    words: ClassVar[Mapping[str, str]] = {
        "stop": "COMPLETE",
        "length": "MAX_TOKENS",
        "tool_calls": "TOOL_CALL",
    }

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._block = -1
        self._open = ""
        self._cited = 0
        self._reason: str | None = None
        self._head = self._tail = b""

    @staticmethod
    def _event(kind: str, message: Any = None, **fields: Any) -> bytes:
        delta = {} if message is None else {"delta": {"message": message}}
        data = to_json({"type": kind, **fields, **delta})
        return f"event: {kind}\ndata: ".encode() + data + b"\n\n"

    @override
    def start(self) -> list[bytes]:
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        identity = f"local-{self.number}"
        return [self._event("message-start", {**message, "citations": []}, id=identity)]

    def _spoken(self, kind: str, piece: str) -> bytes:
        self._deltas += 1
        entered = b"" if self._open == kind else self._enter(kind)
        return entered + self._head + to_json(piece) + self._tail

    def _enter(self, kind: str) -> bytes:
        """Close the open block, open another, and render the template of its deltas."""
        closed = self._leave()
        self._block += 1
        self._open = kind
        begun = self._event(
            "content-start", {"content": {"type": kind, kind: ""}}, index=self._block
        )
        delta = self._event("content-delta", {"content": {kind: HOLE}}, index=self._block)
        self._head, self._tail = around(delta)
        return closed + begun

    def _leave(self) -> bytes:
        if not self._open:
            return b""
        self._open = ""
        return self._event("content-end", index=self._block)

    @override
    def text(self, piece: str) -> bytes:
        return self._spoken("text", piece)

    @override
    def reasoning(self, piece: str) -> bytes:
        return self._spoken("thinking", piece)

    @override
    def tool(self, step: Tool) -> list[bytes]:
        index = self.tools
        fragments = step.fragments()
        self._deltas += 1 + len(fragments)
        call = self.called(step)
        call["function"]["arguments"] = ""
        closed = self._leave()
        self.tools += 1
        return [
            closed + self._event("tool-call-start", {"tool_calls": call}, index=index),
            *(
                self._event(
                    "tool-call-delta",
                    {"tool_calls": {"function": {"arguments": fragment}}},
                    index=index,
                )
                for fragment in fragments
            ),
            self._event("tool-call-end", index=index),
        ]

    @override
    def citation(self, step: Citation) -> list[bytes]:
        index, self._cited = self._cited, self._cited + 1
        cited = {**_cited(step), "content_index": max(0, self._block)}
        return [
            self._event("citation-start", {"citations": cited}, index=index)
            + self._event("citation-end", index=index)
        ]

    @override
    def finish(self, reason: str) -> list[bytes]:
        self._reason = self.word(reason)
        closed = self._leave()
        return [closed] if closed else []

    @override
    def done(self) -> list[bytes]:
        reason = {} if self._reason is None else {"finish_reason": self._reason}
        return [self._end({**reason, **self._report()}), b"data: [DONE]\n\n"]

    @staticmethod
    def _end(delta: Mapping[str, Any]) -> bytes:
        data = to_json({"type": "message-end", "delta": delta})
        return b"event: message-end\ndata: " + data + b"\n\n"

    @override
    def error(self, step: Error) -> bytes:
        return self._end({"error": step.message, "finish_reason": "ERROR"})

    @override
    def whole(self, said: Said) -> bytes:
        content: list[dict[str, Any]] = []
        if said.reasoning:
            content.append({"type": "thinking", "thinking": said.reasoning})
        if said.text + said.refusal:
            content.append({"type": "text", "text": said.text + said.refusal})
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if said.tools:
            message["tool_calls"] = [
                self.called(step) for self.tools, step in enumerate(said.tools)
            ]
        if said.citations:
            message["citations"] = [*map(_cited, said.citations)]
        reason = self.word(said.reason)
        answer = {"id": f"local-{self.number}", "message": message, "finish_reason": reason}
        return to_json({**answer, **self._report()})

    @override
    def problem(self, status: int, message: str) -> bytes:
        return to_json({"id": f"local-{self.number}", "message": message})

    def _report(self) -> dict[str, Any]:
        usage = self.usage()
        if usage == Usage():
            return {}
        counts = {"input_tokens": usage.input or 0, "output_tokens": usage.output or 0}
        report: dict[str, Any] = {"billed_units": counts, "tokens": counts}
        if usage.cached is not None:
            report["cached_tokens"] = usage.cached
        return {"usage": report}


def _cited(step: Citation) -> dict[str, Any]:
    document = {"id": step.url, "title": step.title, "url": step.url}
    return {
        "start": step.start,
        "end": step.end,
        "text": step.text,
        "sources": [{"type": "document", "id": step.url, "document": document}],
        "type": "TEXT_CONTENT",
    }
