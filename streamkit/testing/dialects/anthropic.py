"""
Anthropic messages, as a server writes them: blocks that open and close, each event named.

Vertex sends the same events; Bedrock puts them into frames, see ``bedrock.py``.

Source: WIRE_FORMATS.md section 4, and the recordings it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from streamkit.testing.dialects.base import HOLE, Asked, Dialect, Said, around, parsed, to_json
from streamkit.testing.speech import Citation, Error, Tool, Usage

__all__ = ["Anthropic"]


class Anthropic(Dialect):
    """Messages. Thread safety: **confined**."""

    name = "anthropic"
    content_type = "text/event-stream; charset=utf-8"
    request_id = "request-id"
    words: ClassVar[Mapping[str, str]] = {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
    }

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._block = -1
        self._open = ""
        self._pinged = False
        self._head = self._tail = b""

    def _event(self, kind: str, **fields: Any) -> bytes:
        return self._framed(kind.encode(), to_json({"type": kind, **fields}))

    def _framed(self, kind: bytes, payload: bytes) -> bytes:
        return b"event: " + kind + b"\ndata: " + payload + b"\n\n"

    def _message(self, **fields: Any) -> dict[str, Any]:
        return {
            "id": f"msg_local{self.number}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            **fields,
        }

    @override
    def start(self) -> list[bytes]:
        counts = self._counts()
        if counts:
            counts["output_tokens"] = 1
        return [self._event("message_start", message=self._message(usage=counts))]

    def _enter(self, kind: str, block: Mapping[str, Any]) -> bytes:
        """Close the open block and open one; the first is followed by a ping, as real ones are."""
        closed = self._leave()
        self._block += 1
        self._open = kind
        begun = self._event("content_block_start", index=self._block, content_block=block)
        ping = b"" if self._pinged else self.ping()
        self._pinged = True
        return closed + begun + ping

    def _leave(self) -> bytes:
        if not self._open:
            return b""
        signed = b""
        if self._open == "thinking":
            signed = self._delta({"type": "signature_delta", "signature": "bG9jYWw="})
        self._open = ""
        return signed + self._event("content_block_stop", index=self._block)

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return self._event("content_block_delta", index=self._block, delta=delta)

    def _begin(self, kind: str) -> bytes:
        """Enter a block that grows, and render the template of its deltas."""
        block = {"type": kind, kind: "", **({"signature": ""} if kind == "thinking" else {})}
        entered = self._enter(kind, block)
        fields = {"index": self._block, "delta": {"type": f"{kind}_delta", kind: HOLE}}
        self._head, self._tail = around(to_json({"type": "content_block_delta", **fields}))
        return entered

    def _spoken(self, kind: str, piece: str) -> bytes:
        self._deltas += 1
        entered = b"" if self._open == kind else self._begin(kind)
        payload = self._head + to_json(piece) + self._tail
        return entered + self._framed(b"content_block_delta", payload)

    @override
    def text(self, piece: str) -> bytes:
        return self._spoken("text", piece)

    @override
    def reasoning(self, piece: str) -> bytes:
        return self._spoken("thinking", piece)

    @override
    def tool(self, step: Tool) -> list[bytes]:
        block = {"type": "tool_use", "id": self.tool_id(step), "name": step.name, "input": {}}
        self.tools += 1
        fragments = step.fragments() or ("",)
        self._deltas += len(fragments)
        events = [self._enter("tool_use", block)]
        for part in fragments:
            events.append(self._delta({"type": "input_json_delta", "partial_json": part}))
        return events

    @override
    def citation(self, step: Citation) -> list[bytes]:
        entered = b"" if self._open == "text" else self._begin("text")
        return [entered + self._delta({"type": "citations_delta", "citation": _cited(step)})]

    @override
    def ping(self) -> bytes:
        return self._event("ping")

    @override
    def finish(self, reason: str) -> list[bytes]:
        delta = {"stop_reason": self.word(reason), "stop_sequence": None}
        closed = self._leave()
        event = self._event("message_delta", delta=delta, usage=self._counts())
        return [closed, event] if closed else [event]

    @override
    def done(self) -> list[bytes]:
        return [self._event("message_stop")]

    @override
    def error(self, step: Error) -> bytes:
        return self._event("error", error={"type": step.type, "message": step.message})

    @override
    def whole(self, said: Said) -> bytes:
        blocks: list[dict[str, Any]] = []
        if said.reasoning:
            thinking = {"type": "thinking", "thinking": said.reasoning, "signature": "bG9jYWw="}
            blocks.append(thinking)
        if said.text + said.refusal:
            cited = {"citations": [*map(_cited, said.citations)]} if said.citations else {}
            blocks.append({"type": "text", "text": said.text + said.refusal, **cited})
        for self.tools, step in enumerate(said.tools):
            called = {"id": self.tool_id(step), "name": step.name, "input": parsed(step)}
            blocks.append({"type": "tool_use", **called})
        reason = self.word(said.reason)
        return to_json(self._message(content=blocks, stop_reason=reason, usage=self._counts()))

    @override
    def problem(self, status: int, message: str) -> bytes:
        error = {"type": _ANTHROPIC_ERRORS.get(status, "api_error"), "message": message}
        return to_json({"type": "error", "error": error, "request_id": f"req_local{self.number}"})

    def _counts(self) -> dict[str, Any]:
        usage = self.usage()
        if usage == Usage():
            return {}
        counts: dict[str, Any] = {
            "input_tokens": usage.input or 0,
            "cache_creation_input_tokens": usage.cache_write or 0,
            "cache_read_input_tokens": usage.cached or 0,
            "output_tokens": usage.output or 0,
        }
        if usage.reasoning is not None:
            counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
        return counts


def _cited(step: Citation) -> dict[str, Any]:
    return {
        "type": "web_search_result_location",
        "url": step.url,
        "title": step.title,
        "cited_text": step.text,
        "encrypted_index": "bG9jYWw=",
    }


_ANTHROPIC_ERRORS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
