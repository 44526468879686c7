"""
OpenAI chat completions, as a server writes them, and the services that speak them in their own way.

A delta is made from a template rendered once per answer: it costs one JSON string and one join.

Source: WIRE_FORMATS.md sections 2, 6, 11 and 16, and the recordings they rest on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from typing_extensions import override

from streamkit.testing.dialects.accents import accent_of, problem_of
from streamkit.testing.dialects.base import HOLE, Asked, Dialect, Said, around, to_json
from streamkit.testing.speech import Citation, Error, Tool, Usage

__all__ = ["Mistral", "OpenAI"]


class OpenAI(Dialect):
    """Chat completions, in the accent of the path. Thread safety: **confined**."""

    name = "openai"
    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self.accent = accent_of(asked.path)
        self._base = self._fields()
        options = asked.body.get("stream_options")
        wanted = isinstance(options, dict) and bool(options.get("include_usage"))
        self._reports = self.usage() != Usage() and (wanted or self.accent.usage != "asked")
        self._prepare()

    def _fields(self) -> dict[str, Any]:
        """What every chunk has."""
        return {
            "id": f"chatcmpl-local{self.number}",
            "object": "chat.completion.chunk",
            "created": int(self.created),
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_local",
            **self.accent.fields,
        }

    def _prepare(self) -> None:
        """Render the templates."""
        self._text = around(self._choice({"content": HOLE}))
        self._reasoning = around(self._choice(self.accent.reasoning))
        self._refusal = around(self._choice({"refusal": HOLE}))

    def _event(self, **fields: Any) -> bytes:
        return b"data: " + to_json({**self._base, **fields}) + b"\n\n"

    def _choice(self, delta: Mapping[str, Any], reason: str | None = None, **fields: Any) -> bytes:
        if self.accent.role:
            delta = {"role": "assistant", **delta}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        silent = {"usage": None} if self._reports else {}
        return self._event(choices=[{**choice, **self.accent.choice}], **{**silent, **fields})

    @override
    def start(self) -> list[bytes]:
        begun = self._choice({"role": "assistant", "content": "", "refusal": None})
        return [self.accent.first, begun] if self.accent.first else [begun]

    @override
    def text(self, piece: str) -> bytes:
        self._deltas += 1
        head, tail = self._text
        return head + to_json(piece) + tail

    @override
    def reasoning(self, piece: str) -> bytes:
        self._deltas += 1
        head, tail = self._reasoning
        return head + to_json(piece) + tail

    @override
    def refusal(self, piece: str) -> bytes:
        self._deltas += 1
        head, tail = self._refusal
        return head + to_json(piece) + tail

    @override
    def tool(self, step: Tool) -> list[bytes]:
        index = self.tools
        fragments = step.fragments()
        self._deltas += 1 + len(fragments)
        call = self.called(step)
        self.tools += 1
        if self.accent.whole_tools:
            return [self._choice({"tool_calls": [{"index": index, **call}]})]
        call["function"]["arguments"] = ""
        return [
            self._choice({"tool_calls": [{"index": index, **call}]}),
            *(
                self._choice({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
                for part in fragments
            ),
        ]

    @override
    def citation(self, step: Citation) -> list[bytes]:
        return [self._choice({"annotations": [_annotation(step)]})]

    @override
    def finish(self, reason: str) -> list[bytes]:
        more: dict[str, Any] = {}
        if self._reports and self.accent.usage == "finish":
            more["usage"] = self._counts()
        if self.accent.x_groq:
            more["x_groq"] = {"id": f"req_local{self.number}", **more}
        return [self._choice({}, self.word(reason), **more)]

    @override
    def done(self) -> list[bytes]:
        apart = self._reports and self.accent.usage != "finish"
        report = [self._event(choices=[], usage=self._counts())] if apart else []
        return [*report, b"data: [DONE]\n\n"]

    @override
    def error(self, step: Error) -> bytes:
        error = {"message": step.message, "type": step.type, "param": None, "code": step.code}
        return b"data: " + to_json({"error": error}) + b"\n\n"

    @override
    def whole(self, said: Said) -> bytes:
        reason = self.word(said.reason)
        message = self._message(said)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        report = {"usage": self._counts()} if self.usage() != Usage() else {}
        return to_json({**self._base, "object": "chat.completion", "choices": [choice], **report})

    def _message(self, said: Said) -> dict[str, Any]:
        calls = [self.called(step) for self.tools, step in enumerate(said.tools)]
        thinking = dict.fromkeys(self.accent.reasoning, said.reasoning)
        return {
            "role": "assistant",
            "content": said.text or None,
            "refusal": said.refusal or None,
            **(thinking if said.reasoning else {}),
            **({"tool_calls": calls} if calls else {}),
            **({"annotations": [*map(_annotation, said.citations)]} if said.citations else {}),
        }

    @override
    def problem(self, status: int, message: str) -> bytes:
        return to_json(problem_of(self.path, status, message))

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


class Mistral(OpenAI):
    """Chat completions whose content is a list where it is not all text."""

    name = "mistral"

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._references = 0

    @override
    def citation(self, step: Citation) -> list[bytes]:
        part = {"type": "reference", "reference_ids": [self._references]}
        self._references += 1
        return [self._choice({"content": [part]})]

    @override
    def _message(self, said: Said) -> dict[str, Any]:
        message = super()._message(replace(said, reasoning="", citations=[]))
        if said.reasoning:
            thinking = {"type": "thinking", "thinking": [{"type": "text", "text": said.reasoning}]}
            message["content"] = [thinking, {"type": "text", "text": said.text}]
        return message


def _annotation(step: Citation) -> dict[str, Any]:
    place = {"start_index": step.start, "end_index": step.end}
    return {"type": "url_citation", "url_citation": {"url": step.url, "title": step.title, **place}}
