"""
OpenAI chat completions, as a server writes them.

A delta is made from a template rendered once per answer: it costs one JSON string and one join.

Source: WIRE_FORMATS.md sections 2 and 16, and the recordings they rest on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from streamkit.testing.dialects.base import Dialect, Said, to_json
from streamkit.testing.script import Error, Tool, Usage

__all__ = ["OpenAI"]


class OpenAI(Dialect):
    """Chat completions. Thread safety: **confined**."""

    name = "openai"
    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, asked: Mapping[str, Any], usage: Usage | None, number: int) -> None:
        super().__init__(asked, usage, number)
        self._base = {
            "id": f"chatcmpl-local{number}",
            "object": "chat.completion.chunk",
            "created": int(self.created),
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_local",
        }
        options = asked.get("stream_options") or {}
        self._reports = bool(options.get("include_usage")) and self.usage() != Usage()
        head, tail = self._choice({"DELTA": 0}).split(b'"DELTA":0')
        self._text = head + b'"content":'
        self._reasoning = head + b'"reasoning_content":'
        self._refusal = head + b'"refusal":'
        self._tail = tail

    def _event(self, **fields: Any) -> bytes:
        return b"data: " + to_json({**self._base, **fields}) + b"\n\n"

    def _choice(self, delta: Mapping[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        silent = {"usage": None} if self._reports else {}
        return self._event(choices=[choice], **silent)

    @override
    def start(self) -> list[bytes]:
        return [self._choice({"role": "assistant", "content": "", "refusal": None})]

    @override
    def text(self, piece: str) -> bytes:
        self._deltas += 1
        return self._text + to_json(piece) + self._tail

    @override
    def reasoning(self, piece: str) -> bytes:
        self._deltas += 1
        return self._reasoning + to_json(piece) + self._tail

    @override
    def refusal(self, piece: str) -> bytes:
        self._deltas += 1
        return self._refusal + to_json(piece) + self._tail

    @override
    def tool(self, step: Tool) -> list[bytes]:
        index = self.tools
        first = {
            "index": index,
            "id": self.tool_id(step),
            "type": "function",
            "function": {"name": step.name, "arguments": ""},
        }
        self.tools += 1
        fragments = step.fragments()
        self._deltas += 1 + len(fragments)
        return [
            self._choice({"tool_calls": [first]}),
            *(
                self._choice({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
                for part in fragments
            ),
        ]

    @override
    def finish(self, reason: str) -> list[bytes]:
        return [self._choice({}, self.word(reason))]

    @override
    def done(self) -> list[bytes]:
        report = [self._event(choices=[], usage=self._counts())] if self._reports else []
        return [*report, b"data: [DONE]\n\n"]

    @override
    def error(self, step: Error) -> bytes:
        error = {"message": step.message, "type": step.type, "param": None, "code": step.code}
        return b"data: " + to_json({"error": error}) + b"\n\n"

    @override
    def whole(self, said: Said) -> bytes:
        calls = [
            {
                "id": self.tool_id(step),
                "type": "function",
                "function": {"name": step.name, "arguments": "".join(step.fragments())},
            }
            for self.tools, step in enumerate(said.tools)
        ]
        message = {
            "role": "assistant",
            "content": said.text or None,
            "refusal": said.refusal or None,
            **({"reasoning_content": said.reasoning} if said.reasoning else {}),
            **({"tool_calls": calls} if calls else {}),
        }
        reason = self.word(said.reason)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        report = {"usage": self._counts()} if self.usage() != Usage() else {}
        return to_json({**self._base, "object": "chat.completion", "choices": [choice], **report})

    @override
    def problem(self, status: int, message: str) -> bytes:
        kind, code = _OPENAI_ERRORS.get(status, ("server_error", None))
        error = {"message": message, "type": kind, "param": None, "code": code}
        return to_json({"error": error})

    def _counts(self) -> dict[str, Any]:
        usage = self.usage()
        prompt, completion = usage.input or 0, usage.output or 0
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": usage.cached or 0},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        }


_OPENAI_ERRORS: Mapping[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", None),
    404: ("invalid_request_error", "model_not_found"),
    422: ("invalid_request_error", None),
    429: ("requests", "rate_limit_exceeded"),
}
