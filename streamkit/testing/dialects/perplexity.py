"""
Perplexity's chat, as its server writes it: every event repeats all the answer so far.

CRLF, blanks in the JSON, usage that grows, sources on top, thinking in tags, and no ``[DONE]``.

Source: WIRE_FORMATS.md section 7, and the recordings it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from typing_extensions import override

from streamkit.testing.dialects.base import Asked, Said, json_writer, to_json
from streamkit.testing.dialects.openai import OpenAI
from streamkit.testing.speech import Citation, Usage

__all__ = ["Perplexity"]

_spaced = json_writer((", ", ": "))


class Perplexity(OpenAI):
    """Chat with sources. Thread safety: **confined**."""

    name = "perplexity"
    content_type = "text/event-stream"

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._said = ""
        self._thinks = False
        self._sources: list[Citation] = []

    @override
    def _fields(self) -> dict[str, Any]:
        return {"id": f"local-{self.number}", "model": self.model, "created": int(self.created)}

    @override
    def _prepare(self) -> None:
        pass  # an event holds what was said before it, so there is no template

    @override
    def _event(self, **fields: Any) -> bytes:
        return b"data: " + _spaced({**self._base, **fields}) + b"\r\n\r\n"

    @override
    def _choice(self, delta: Mapping[str, Any], reason: str | None = None, **fields: Any) -> bytes:
        self._said += delta.get("content") or ""
        return self._event(
            **self._report(final=reason is not None),
            **self._found(),
            object="chat.completion",
            choices=[
                {
                    "index": 0,
                    "finish_reason": reason,
                    "message": {"role": "assistant", "content": self._said},
                    "delta": {"role": "assistant", "content": "", **delta},
                }
            ],
        )

    def _report(self, *, final: bool) -> dict[str, Any]:
        usage = self.usage()
        if usage == Usage():
            return {}
        prompt = self.prompt_tokens
        answer = (usage.output or 0) if final else self.output_so_far()
        counts = {"prompt_tokens": prompt, "completion_tokens": answer}
        return {"usage": {**counts, "total_tokens": prompt + answer, "search_context_size": "low"}}

    def _found(self) -> dict[str, Any]:
        if not self._sources:
            return {}
        results = [
            {"title": source.title, "url": source.url, "snippet": source.text}
            for source in self._sources
        ]
        return {"citations": [source.url for source in self._sources], "search_results": results}

    @override
    def start(self) -> list[bytes]:
        return []

    @override
    def text(self, piece: str) -> bytes:
        self._deltas += 1
        return self._choice({"content": self._closed() + piece})

    @override
    def refusal(self, piece: str) -> bytes:
        return self.text(piece)

    @override
    def reasoning(self, piece: str) -> bytes:
        self._deltas += 1
        opened = "" if self._thinks else "<think>"
        self._thinks = True
        return self._choice({"content": opened + piece})

    def _closed(self) -> str:
        thought, self._thinks = self._thinks, False
        return "</think>" if thought else ""

    @override
    def citation(self, step: Citation) -> list[bytes]:
        self._sources.append(step)
        return [self._choice({})]

    @override
    def finish(self, reason: str) -> list[bytes]:
        return [self._choice({"content": self._closed()}, self.word(reason))]

    @override
    def done(self) -> list[bytes]:
        return []

    @override
    def whole(self, said: Said) -> bytes:
        self._sources = said.citations
        choice = {"index": 0, "finish_reason": self.word(said.reason)}
        found = {**self._report(final=True), **self._found(), "object": "chat.completion"}
        return to_json(
            {**self._base, **found, "choices": [{**choice, "message": self._message(said)}]}
        )

    @override
    def _message(self, said: Said) -> dict[str, Any]:
        thought = f"<think>{said.reasoning}</think>" if said.reasoning else ""
        text = thought + said.text + said.refusal
        return super()._message(Said(text=text, tools=said.tools))

    @override
    def problem(self, status: int, message: str) -> bytes:
        if status == 401:
            return f"<html><body><h1>{escape(message)}</h1></body></html>".encode()
        error = {"message": message, "type": "request_error", "code": status}
        return to_json({"error": error})

    @override
    def problem_headers(self, status: int) -> Mapping[str, str]:
        return {"content-type": "text/html"} if status == 401 else {}
