"""
OpenAI's older completions, as a server writes them: text, and nothing beside it.

Source: WIRE_FORMATS.md section 2, and the recordings it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from streamkit.testing.dialects.base import HOLE, Said, around, to_json
from streamkit.testing.dialects.openai import OpenAI
from streamkit.testing.speech import Citation, Tool, Usage

__all__ = ["Completions"]


class Completions(OpenAI):
    """
    Completions; thinking, tool calls and sources have no place here and are left out.

    Thread safety: **confined**.
    """

    name = "completions"
    words: ClassVar[Mapping[str, str]] = {"tool_calls": "stop"}

    @override
    def _fields(self) -> dict[str, Any]:
        return {
            "id": f"cmpl-local{self.number}",
            "object": "text_completion",
            "created": int(self.created),
            "model": self.model,
        }

    @override
    def _prepare(self) -> None:
        self._text = around(self._choice({"content": HOLE}))

    @override
    def _choice(self, delta: Mapping[str, Any], reason: str | None = None, **fields: Any) -> bytes:
        text = delta.get("content", "")
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
        silent = {"usage": None} if self._reports else {}
        return self._event(choices=[choice], **{**silent, **fields})

    @override
    def start(self) -> list[bytes]:
        return []

    @override
    def reasoning(self, piece: str) -> bytes:
        return b""

    @override
    def refusal(self, piece: str) -> bytes:
        return self.text(piece)

    @override
    def tool(self, step: Tool) -> list[bytes]:
        return []

    @override
    def citation(self, step: Citation) -> list[bytes]:
        return []

    @override
    def whole(self, said: Said) -> bytes:
        text, reason = said.text + said.refusal, self.word(said.reason)
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}
        report = {"usage": self._counts()} if self.usage() != Usage() else {}
        return to_json({**self._base, "choices": [choice], **report})
