"""
Bedrock, as AWS writes it: Converse, and Invoke, which carries Anthropic's events in base64.

Source: WIRE_FORMATS.md section 13, and the recordings it rests on.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar

from typing_extensions import override

from streamkit.testing.dialects.anthropic import Anthropic
from streamkit.testing.dialects.base import HOLE, Asked, Dialect, Said, around, parsed, to_json
from streamkit.testing.dialects.frames import frame
from streamkit.testing.speech import Citation, Data, Error, Tool, Usage

__all__ = ["BedrockConverse", "BedrockInvoke"]

#: What the body and the header of an HTTP error call it.
_ERRORS: Mapping[int, str] = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


class _Bedrock(Dialect):
    """
    What both APIs share: the path says whether to stream, and errors are AWS's.

    Thread safety: **confined**.
    """

    content_type = "application/vnd.amazon.eventstream"
    request_id = "x-amzn-requestid"

    @property
    @override
    def wants_stream(self) -> bool:
        return self.path.partition("?")[0].endswith("-stream")

    @override
    def error(self, step: Error) -> bytes:
        kind = "internalServerException" if step.type == "server_error" else step.type
        return frame(kind, to_json({"message": step.message}), message="exception")

    @override
    def problem(self, status: int, message: str) -> bytes:
        return to_json({"message": message})

    @override
    def problem_headers(self, status: int) -> Mapping[str, str]:
        return {"x-amzn-errortype": _ERRORS.get(status, "InternalServerException")}


class BedrockConverse(_Bedrock):
    """``converse-stream`` and ``converse``. Thread safety: **confined**."""

    name = "bedrock"
    words: ClassVar[Mapping[str, str]] = {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "content_filtered",
    }

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self._block = -1
        self._open = ""
        self._head = self._tail = b""

    @staticmethod
    def _event(kind: str, **fields: Any) -> bytes:
        return frame(kind, to_json({**fields, "p": "abcdefgh"}))

    @override
    def start(self) -> list[bytes]:
        return [self._event("messageStart", role="assistant")]

    def _spoken(self, kind: str, piece: str) -> bytes:
        self._deltas += 1
        entered = b"" if self._open == kind else self._enter(kind)
        return entered + frame("contentBlockDelta", self._head + to_json(piece) + self._tail)

    def _enter(self, kind: str) -> bytes:
        """Close the open block and begin another, which no event announces."""
        closed = self._leave()
        self._block += 1
        self._open = kind
        delta = {"text": HOLE} if kind == "text" else {"reasoningContent": {"text": HOLE}}
        fields = {"contentBlockIndex": self._block, "delta": delta, "p": "abcdefgh"}
        self._head, self._tail = around(to_json(fields))
        return closed

    def _leave(self) -> bytes:
        if not self._open:
            return b""
        signed = b""
        if self._open == "reasoning":
            signed = self._delta({"reasoningContent": {"signature": "bG9jYWw="}})
        self._open = ""
        return signed + self._event("contentBlockStop", contentBlockIndex=self._block)

    def _delta(self, delta: Mapping[str, Any]) -> bytes:
        return self._event("contentBlockDelta", contentBlockIndex=self._block, delta=delta)

    @override
    def text(self, piece: str) -> bytes:
        return self._spoken("text", piece)

    @override
    def reasoning(self, piece: str) -> bytes:
        return self._spoken("reasoning", piece)

    @override
    def tool(self, step: Tool) -> list[bytes]:
        closed = self._leave()
        self._block += 1
        self._open = "tool"
        fragments = step.fragments()
        self._deltas += 1 + len(fragments)
        start = {"toolUse": {"toolUseId": self.tool_id(step), "name": step.name}}
        self.tools += 1
        return [
            closed + self._event("contentBlockStart", contentBlockIndex=self._block, start=start),
            *(self._delta({"toolUse": {"input": fragment}}) for fragment in fragments),
        ]

    @override
    def citation(self, step: Citation) -> list[bytes]:
        entered = b"" if self._open == "text" else self._enter("text")
        return [entered + self._delta({"citation": _cited(step)})]

    @override
    def ping(self) -> bytes:
        """AWS has none; an event of a type that nobody knows stands for it."""
        return self._event("ping")

    @override
    def data(self, step: Data) -> bytes:
        return frame(step.event or "data", step.text().encode())

    @override
    def finish(self, reason: str) -> list[bytes]:
        return [self._leave() + self._event("messageStop", stopReason=self.word(reason))]

    @override
    def done(self) -> list[bytes]:
        return [self._leave() + self._event("metadata", **self._report())]

    @override
    def whole(self, said: Said) -> bytes:
        content: list[dict[str, Any]] = []
        if said.reasoning:
            thought = {"text": said.reasoning, "signature": "bG9jYWw="}
            content.append({"reasoningContent": {"reasoningText": thought}})
        text = said.text + said.refusal
        if said.citations:
            cited = [*map(_cited, said.citations)]
            content.append({"citationsContent": {"content": [{"text": text}], "citations": cited}})
        elif text:
            content.append({"text": text})
        for self.tools, step in enumerate(said.tools):
            called = {"toolUseId": self.tool_id(step), "name": step.name, "input": parsed(step)}
            content.append({"toolUse": called})
        message = {"message": {"role": "assistant", "content": content}}
        reason = self.word(said.reason)
        return to_json({"output": message, "stopReason": reason, **self._report()})

    def _report(self) -> dict[str, Any]:
        usage = self.usage()
        report: dict[str, Any] = {"metrics": {"latencyMs": 1}}
        if usage == Usage():
            return report
        prompt, answer = usage.input or 0, usage.output or 0
        report["usage"] = {
            "inputTokens": prompt,
            "outputTokens": answer,
            "totalTokens": prompt + answer,
            "cacheReadInputTokens": usage.cached or 0,
            "cacheWriteInputTokens": usage.cache_write or 0,
        }
        return report


class BedrockInvoke(_Bedrock, Anthropic):
    """``invoke-with-response-stream`` and ``invoke`` of a Claude. Thread safety: **confined**."""

    name = "bedrock-invoke"

    @override
    def _framed(self, kind: bytes, payload: bytes) -> bytes:
        return frame("chunk", b'{"bytes":"' + b64encode(payload) + b'","p":"abcdefgh"}')

    @override
    def data(self, step: Data) -> bytes:
        return self._framed(b"", step.text().encode())

    @override
    def done(self) -> list[bytes]:
        usage = self.usage()
        counted = {"inputTokenCount": usage.input or 0, "outputTokenCount": usage.output or 0}
        metrics = {**counted, "invocationLatency": 1, "firstByteLatency": 1}
        return [self._event("message_stop", **{"amazon-bedrock-invocationMetrics": metrics})]


def _cited(step: Citation) -> dict[str, Any]:
    return {
        "title": step.title,
        "sourceContent": [{"text": step.text}],
        "location": {"web": {"url": step.url}},
    }
