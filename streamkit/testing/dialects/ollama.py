"""
Ollama's native chat and generate, as a server writes them: one JSON object per line.

Source: WIRE_FORMATS.md section 10, and the recordings it rests on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from streamkit.testing.dialects.base import Asked, Dialect, Said, parsed, to_json
from streamkit.testing.speech import Data, Error, Tool, Usage

__all__ = ["Ollama", "OllamaGenerate"]


class Ollama(Dialect):
    """The native chat API. Thread safety: **confined**."""

    name = "ollama"
    content_type = "application/x-ndjson"
    streams_by_default = True
    words: ClassVar[Mapping[str, str]] = {"tool_calls": "stop"}

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._reason: str | None = None
        self._head = b'{"model":' + to_json(self.model) + b',"created_at":"'

    def _stamped(self, fields: bytes) -> bytes:
        """A line; ``fields`` is what follows the time, the closing brace included."""
        # The zeros make up the nanoseconds: time.time() has none, and every line is equally long,
        # so that a Content-Length counted beforehand is right.
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}"
        return self._head + stamp.encode() + b'000Z",' + fields + b"\n"

    def _line(self, message: bytes) -> bytes:
        """A line that is not the last; ``message`` is what follows the role."""
        return self._stamped(b'"message":{"role":"assistant",' + message + b'},"done":false}')

    @override
    def text(self, piece: str) -> bytes:
        self._deltas += 1
        return self._line(b'"content":' + to_json(piece))

    @override
    def reasoning(self, piece: str) -> bytes:
        self._deltas += 1
        return self._line(b'"content":"","thinking":' + to_json(piece))

    @override
    def tool(self, step: Tool) -> list[bytes]:
        self._deltas += 1
        call = self._call(step, self.tools)
        self.tools += 1
        return [self._line(b'"content":"","tool_calls":' + to_json([call]))]

    @staticmethod
    def _call(step: Tool, index: int) -> dict[str, Any]:
        function = {"index": index, "name": step.name, "arguments": parsed(step)}
        return {**({"id": step.id} if step.id else {}), "function": function}

    @override
    def ping(self) -> bytes:
        return b"\n"

    @override
    def data(self, step: Data) -> bytes:
        return step.text().encode() + b"\n"

    @override
    def finish(self, reason: str) -> list[bytes]:
        self._reason = self.word(reason)
        return []

    @override
    def done(self) -> list[bytes]:
        return [self._last(Said(), self._reason)]

    def _last(self, said: Said, reason: str | None) -> bytes:
        line = {**self._spoken(said), "done": True, **self._counts()}
        if reason is not None:
            line["done_reason"] = reason
        return self._stamped(to_json(line)[1:])

    def _spoken(self, said: Said) -> dict[str, Any]:
        """What a line says."""
        message: dict[str, Any] = {"role": "assistant", "content": said.text + said.refusal}
        if said.reasoning:
            message["thinking"] = said.reasoning
        if said.tools:
            message["tool_calls"] = [self._call(step, n) for n, step in enumerate(said.tools)]
        return {"message": message}

    @override
    def error(self, step: Error) -> bytes:
        return to_json({"error": step.message}) + b"\n"

    @override
    def whole(self, said: Said) -> bytes:
        return self._last(said, self.word(said.reason))

    @override
    def problem(self, status: int, message: str) -> bytes:
        return to_json({"error": message})

    def _counts(self) -> dict[str, Any]:
        usage = self.usage()
        if usage == Usage():
            return {}
        # Made up but steady: a load of 1 ms, prompt and answer at 1 ms a token, in nanoseconds.
        prompt, answer = usage.input or 0, usage.output or 0
        return {
            "total_duration": (1 + prompt + answer) * 1_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": prompt,
            "prompt_eval_duration": prompt * 1_000_000,
            "eval_count": answer,
            "eval_duration": answer * 1_000_000,
        }


class OllamaGenerate(Ollama):
    """The native generate API; it has no tool calls. Thread safety: **confined**."""

    name = "ollama-generate"

    @override
    def text(self, piece: str) -> bytes:
        self._deltas += 1
        return self._stamped(b'"response":' + to_json(piece) + b',"done":false}')

    @override
    def reasoning(self, piece: str) -> bytes:
        self._deltas += 1
        return self._stamped(b'"response":"","thinking":' + to_json(piece) + b',"done":false}')

    @override
    def tool(self, step: Tool) -> list[bytes]:
        return []

    @override
    def _spoken(self, said: Said) -> dict[str, Any]:
        thought = {"thinking": said.reasoning} if said.reasoning else {}
        return {"response": said.text + said.refusal, **thought, "context": [1, 2, 3]}
