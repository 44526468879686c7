"""
The wire formats the benchmark server speaks, with the events and field order of the real services.
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from zlib import crc32

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


class Named:
    """Server-sent events named by the type in their JSON, as Responses and Cohere have them."""

    kind = b"text/event-stream"

    def frame(self, kind: str, **fields: Any) -> bytes:
        """One event."""
        return (
            b"event: " + kind.encode() + b"\ndata: " + compact({"type": kind, **fields}) + b"\n\n"
        )


class Responses(Named):
    """OpenAI Responses."""

    def opening(self) -> list[bytes]:
        """What comes before the first text."""
        response = {
            "id": "resp_68e1",
            "status": "in_progress",
            "model": "gpt-4o-mini",
            "output": [],
        }
        item = {"id": "msg_68e1", "type": "message", "role": "assistant", "content": []}
        part = {"type": "output_text", "annotations": [], "text": ""}
        where = {"item_id": "msg_68e1", "output_index": 0, "content_index": 0}
        return [
            self.frame("response.created", sequence_number=0, response=response),
            self.frame("response.output_item.added", sequence_number=1, output_index=0, item=item),
            self.frame("response.content_part.added", sequence_number=2, **where, part=part),
        ]

    def text(self, content: str) -> bytes:
        """One delta."""
        return self.frame(
            "response.output_text.delta",
            item_id="msg_68e19c8d8a508190a2",
            output_index=0,
            content_index=0,
            delta=content,
            logprobs=[],
            obfuscation="k3hQ0xZpW2",
        )

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        usage = {"input_tokens": 9, "output_tokens": 9, "total_tokens": 18}
        response = {"id": "resp_68e1", "status": "completed", "model": "gpt-4o-mini", "output": []}
        return [self.frame("response.completed", response={**response, "usage": usage})]


class Cohere(Named):
    """Cohere v2."""

    def opening(self) -> list[bytes]:
        """What comes before the first text."""
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
        part = {"message": {"content": {"type": "text", "text": ""}}}
        return [
            self.frame("message-start", id="29f14a5a", delta={"message": message}),
            self.frame("content-start", index=0, delta=part),
        ]

    def text(self, content: str) -> bytes:
        """One delta."""
        delta = {"message": {"content": {"text": content}}}
        return self.frame("content-delta", index=0, delta=delta)

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        usage = {"tokens": {"input_tokens": 9, "output_tokens": 9}}
        return [
            self.frame("content-end", index=0),
            self.frame("message-end", delta={"finish_reason": "COMPLETE", "usage": usage}),
            b"data: [DONE]\n\n",
        ]


class Completions:
    """OpenAI's older completions."""

    kind = b"text/event-stream"

    def frame(self, text: str, finish: str | None = None) -> bytes:
        """One event."""
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
        frame = {
            "id": "cmpl-CBGWl6rW3nGZ", "object": "text_completion", "created": 1790000000,
            "choices": [choice], "model": "gpt-3.5-turbo-instruct:20230824-v2",
        }  # fmt: skip
        return b"data: " + compact(frame) + b"\n\n"

    def opening(self) -> list[bytes]:
        """Nothing comes before the first text."""
        return []

    def text(self, content: str) -> bytes:
        """One delta."""
        return self.frame(content)

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        return [self.frame("", "stop"), b"data: [DONE]\n\n"]


class Gemini:
    """Gemini; ``array`` is the form without ``alt=sse``."""

    def __init__(self, *, array: bool = False) -> None:
        self.array = array
        self.kind = b"application/json" if array else b"text/event-stream"

    def frame(self, text: str, **more: Any) -> bytes:
        """One chunk of the answer, with what stands before it."""
        counts = {"promptTokenCount": 9, "candidatesTokenCount": 9, "totalTokenCount": 18}
        content = {"parts": [{"text": text}], "role": "model"}
        frame = {
            "candidates": [{"content": content, "index": 0, **more}], "usageMetadata": counts,
            "modelVersion": "gemini-2.5-flash", "responseId": "Vk1vaMC8F4Gx",
        }  # fmt: skip
        return b",\r\n" + compact(frame) if self.array else b"data: " + compact(frame) + b"\r\n\r\n"

    def opening(self) -> list[bytes]:
        """The beginning of the array."""
        return [b"[" + self.frame("").removeprefix(b",\r\n")] if self.array else []

    def text(self, content: str) -> bytes:
        """One delta."""
        return self.frame(content)

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        return [self.frame("", finishReason="STOP"), *([b"\n]"] if self.array else [])]


class Generate:
    """Ollama's generate: one JSON object a line."""

    kind = b"application/x-ndjson"

    def frame(self, content: str, **more: Any) -> bytes:
        """One line."""
        when = "2026-11-20T12:00:00.123456789Z"
        return compact({"model": "llama3", "created_at": when, "response": content, **more}) + b"\n"

    def opening(self) -> list[bytes]:
        """Nothing comes before the first text."""
        return []

    def text(self, content: str) -> bytes:
        """One delta."""
        return self.frame(content, done=False)

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        return [self.frame("", done=True, done_reason="stop", prompt_eval_count=9, eval_count=9)]


def aws_frame(kind: str, payload: bytes) -> bytes:
    """A message of AWS's event-stream framing."""
    pairs = (
        (":event-type", kind),
        (":content-type", "application/json"),
        (":message-type", "event"),
    )
    headers = b"".join(
        bytes([len(name)])
        + name.encode()
        + b"\x07"
        + len(value).to_bytes(2, "big")
        + value.encode()
        for name, value in pairs
    )
    prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(
        4, "big"
    )
    start = prelude + crc32(prelude).to_bytes(4, "big") + headers + payload
    return start + crc32(start).to_bytes(4, "big")


class Converse:
    """Bedrock's own form."""

    kind = b"application/vnd.amazon.eventstream"

    def frame(self, kind: str, **fields: Any) -> bytes:
        """One message."""
        return aws_frame(kind, compact({**fields, "p": "abcdefghijklmnopqrstu"}))

    def opening(self) -> list[bytes]:
        """What comes before the first text."""
        return [self.frame("messageStart", role="assistant")]

    def text(self, content: str) -> bytes:
        """One delta."""
        return self.frame("contentBlockDelta", contentBlockIndex=0, delta={"text": content})

    def closing(self) -> list[bytes]:
        """What follows the last text."""
        usage = {"inputTokens": 9, "outputTokens": 9, "totalTokens": 18}
        return [
            self.frame("contentBlockStop", contentBlockIndex=0),
            self.frame("messageStop", stopReason="end_turn"),
            self.frame("metadata", usage=usage, metrics={"latencyMs": 900}),
        ]


class Invoke(Anthropic):
    """A model's own events in Bedrock's messages."""

    kind = b"application/vnd.amazon.eventstream"

    def frame(self, kind: str, **fields: Any) -> bytes:
        """One message."""
        event = b64encode(compact({"type": kind, **fields})).decode()
        return aws_frame("chunk", compact({"bytes": event, "p": "abcdefghijklmnopqrstu"}))


Format = (
    OpenAI | Anthropic | Ollama | Responses | Cohere | Completions | Gemini | Generate | Converse
)
#: By the end of the path; the first that fits.
FORMATS: dict[str, Format] = {
    "/chat/completions": OpenAI(),
    "/v1/messages": Anthropic(),
    "/api/chat": Ollama(),
    "/responses": Responses(),
    "/completions": Completions(),
    ":streamGenerateContent?alt=sse": Gemini(),
    ":streamGenerateContent": Gemini(array=True),
    ":streamRawPredict": Anthropic(),
    "/v2/chat": Cohere(),
    "/api/generate": Generate(),
    "/converse-stream": Converse(),
    "/invoke-with-response-stream": Invoke(),
}
