"""
The wire formats the benchmark server speaks, with the events and field order of the real services.
"""

from __future__ import annotations

import json
from typing import Any

EVENT_SIZE = 300


def compact(value: Any) -> bytes:
    """JSON as services send it."""
    return json.dumps(value, separators=(",", ":")).encode()


class OpenAI:
    """Chat completions; a text event has EVENT_SIZE bytes."""

    kind = b"text/event-stream"

    def frame(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        """One event."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        frame = {
            "id": "chatcmpl-BvH2aT9sQx0Lk3", "object": "chat.completion.chunk",
            "created": 1790000000, "model": "gpt-4o-mini-2024-07-18", "service_tier": "default",
            "system_fingerprint": "fp_34a54ae93c", "choices": [choice], **more,
        }  # fmt: skip
        return b"data: " + compact(frame) + b"\n\n"

    def opening(self) -> list[bytes]:
        """What comes before the first text."""
        return [self.frame({"role": "assistant", "content": ""})]

    def text(self, content: str) -> bytes:
        """One delta."""
        short = EVENT_SIZE - len(self.frame({"content": content}, obfuscation=""))
        return self.frame({"content": content}, obfuscation="x" * max(0, short))

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        return [self.frame({}, "stop"), b"data: [DONE]\n\n"]


class Anthropic:
    """Messages."""

    kind = b"text/event-stream"

    def frame(self, kind: str, **fields: Any) -> bytes:
        """One event."""
        data = compact({"type": kind, **fields})
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

    def opening(self) -> list[bytes]:
        """What comes before the first text."""
        message: dict[str, Any] = {
            "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [], "stop_reason": None, "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 1},
        }  # fmt: skip
        block = {"type": "text", "text": ""}
        return [
            self.frame("message_start", message=message),
            self.frame("content_block_start", index=0, content_block=block),
        ]

    def text(self, content: str) -> bytes:
        """One delta."""
        delta = {"type": "text_delta", "text": content}
        return self.frame("content_block_delta", index=0, delta=delta)

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        delta = {"stop_reason": "end_turn", "stop_sequence": None}
        return [
            self.frame("content_block_stop", index=0),
            self.frame("message_delta", delta=delta, usage={"output_tokens": 9}),
            self.frame("message_stop"),
        ]


class Ollama:
    """One JSON object a line."""

    kind = b"application/x-ndjson"

    def frame(self, content: str, **more: Any) -> bytes:
        """One line."""
        when, message = "2026-11-20T12:00:00.123456789Z", {"role": "assistant", "content": content}
        return compact({"model": "llama3", "created_at": when, "message": message, **more}) + b"\n"

    def opening(self) -> list[bytes]:
        """Nothing comes before the first text."""
        return []

    def text(self, content: str) -> bytes:
        """One delta."""
        return self.frame(content, done=False)

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        return [self.frame("", done=True, done_reason="stop", prompt_eval_count=9, eval_count=9)]


Format = OpenAI | Anthropic | Ollama
#: By the end of the path.
FORMATS: dict[str, Format] = {
    "/chat/completions": OpenAI(), "/v1/messages": Anthropic(), "/api/chat": Ollama(),
}  # fmt: skip
