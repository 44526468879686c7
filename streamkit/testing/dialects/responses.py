"""
OpenAI Responses, as a server writes them: items and their parts open and close, events are counted.

Source: WIRE_FORMATS.md section 3, and the recordings it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from streamkit.testing.dialects.accents import accent_of, problem_of
from streamkit.testing.dialects.base import HOLE, Asked, Dialect, Said, around, to_json
from streamkit.testing.speech import Citation, Error, Tool, Usage

__all__ = ["Responses"]


@dataclass(frozen=True, slots=True)
class Part:
    """
    A part that grows: the prefix of its events, and where it is kept.

    Thread safety: **immutable**.
    """

    events: str
    item: str
    empty: Mapping[str, Any]
    parts: str = "content_part"
    index: str = "content_index"

    @property
    def member(self) -> str:
        """Where its text is kept."""
        return "refusal" if "refusal" in self.empty else "text"


_TEXT = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
_SUMMARY = {"type": "summary_text", "text": ""}
_PARTS: Mapping[str, Part] = {
    "text": Part("output_text", "message", _TEXT),
    "refusal": Part("refusal", "message", {"type": "refusal", "refusal": ""}),
    "thinking": Part("reasoning_text", "reasoning", {"type": "reasoning_text", "text": ""}),
    "summary": Part(
        "reasoning_summary_text", "reasoning", _SUMMARY, "reasoning_summary_part", "summary_index"
    ),
}


class Responses(Dialect):
    """The Responses API, in the accent of the path. Thread safety: **confined**."""

    name = "responses"
    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        super().__init__(asked, usage)
        self.accent = accent_of(asked.path)
        self._sequence = -1
        self._output: list[dict[str, Any]] = []
        self._reason = "stop"
        self._open = ""
        self._item: dict[str, Any] = {}
        self._place: dict[str, Any] = {}
        self._pieces: list[str] = []
        self._cited: list[dict[str, Any]] = []
        self._head = self._tail = b""

    def _event(self, kind: str, **fields: Any) -> bytes:
        self._sequence += 1
        return self._framed(kind, {"type": kind, **fields, "sequence_number": self._sequence})

    def _framed(self, kind: str, value: Mapping[str, Any]) -> bytes:
        name = b"" if self.accent.bare else f"event: {kind}\n".encode()
        return name + b"data: " + to_json(value) + b"\n\n"

    def _response(self, status: str, **fields: Any) -> dict[str, Any]:
        return {
            "id": f"resp_local{self.number}",
            "object": "response",
            "created_at": int(self.created),
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": self._output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": None,
            "metadata": {},
            **fields,
        }

    @override
    def start(self) -> list[bytes]:
        kinds = "response.created", "response.in_progress"
        return [self._event(kind, response=self._response("in_progress")) for kind in kinds]

    def _spoken(self, kind: str, piece: str) -> bytes:
        self._deltas += 1
        entered = b"" if self._open == kind else self._enter(kind)
        self._pieces.append(piece)
        self._sequence += 1
        return entered + self._head + to_json(piece) + self._tail + b"%d}\n\n" % self._sequence

    def _enter(self, kind: str) -> bytes:
        """Close the open part and its item, open others, and render the template of the delta."""
        closed = self._leave()
        part = _PARTS[kind]
        self._open = kind
        index = len(self._output)
        self._item = {"id": f"{part.item[:3]}_local{self.number}_{index}", "type": part.item}
        if part.item == "message":
            self._item |= {"role": "assistant", "status": "in_progress"}
        self._place = {"item_id": self._item["id"], "output_index": index, part.index: 0}
        added = self._event(
            "response.output_item.added", item={**self._item, **_held(part, [])}, output_index=index
        )
        opened = self._event(f"response.{part.parts}.added", **self._place, part=part.empty)
        delta = f"response.{part.events}.delta"
        fields = {"type": delta, **self._place, "delta": HOLE, "sequence_number": 0}
        self._head, tail = around(self._framed(delta, fields))
        self._tail = tail[: -len(b"0}\n\n")]
        return closed + added + opened

    def _leave(self) -> bytes:
        if not self._open:
            return b""
        part = _PARTS[self._open]
        text = "".join(self._pieces)
        whole = {**part.empty, part.member: text}
        if self._cited:
            whole["annotations"] = self._cited
        item = {**self._item, **_held(part, [whole])}
        if "status" in item:
            item["status"] = "completed"
        events = [
            self._event(f"response.{part.events}.done", **self._place, **{part.member: text}),
            self._event(f"response.{part.parts}.done", **self._place, part=whole),
            self._done_item(item),
        ]
        self._open, self._pieces, self._cited = "", [], []
        return b"".join(events)

    def _done_item(self, item: dict[str, Any]) -> bytes:
        index = len(self._output)
        self._output.append(item)
        return self._event("response.output_item.done", item=item, output_index=index)

    @override
    def text(self, piece: str) -> bytes:
        return self._spoken("text", piece)

    @override
    def refusal(self, piece: str) -> bytes:
        return self._spoken("refusal", piece)

    @override
    def reasoning(self, piece: str) -> bytes:
        return self._spoken("thinking" if self.accent.raw_reasoning else "summary", piece)

    @override
    def tool(self, step: Tool) -> list[bytes]:
        closed = self._leave()
        fragments = step.fragments()
        self._deltas += 1 + len(fragments)
        arguments = "".join(fragments)
        index = len(self._output)
        called = f"fc_local{self.number}_{index}"
        item = {"id": called, "type": "function_call", "status": "in_progress", "name": step.name}
        item |= {"call_id": self.tool_id(step), "arguments": ""}
        self.tools += 1
        place = {"item_id": called, "output_index": index}
        delta = "response.function_call_arguments.delta"
        return [
            closed + self._event("response.output_item.added", item=item, output_index=index),
            *(self._event(delta, **place, delta=fragment) for fragment in fragments),
            self._event("response.function_call_arguments.done", **place, arguments=arguments)
            + self._done_item({**item, "status": "completed", "arguments": arguments}),
        ]

    @override
    def citation(self, step: Citation) -> list[bytes]:
        entered = b"" if self._open == "text" else self._enter("text")
        found = _annotation(step)
        number = len(self._cited)
        self._cited.append(found)
        kind = "response.output_text.annotation.added"
        event = self._event(kind, **self._place, annotation_index=number, annotation=found)
        return [entered + event]

    @override
    def finish(self, reason: str) -> list[bytes]:
        self._reason = reason
        closed = self._leave()
        return [closed] if closed else []

    @override
    def done(self) -> list[bytes]:
        closed = self._leave()
        response = self._final()
        end = closed + self._event(f"response.{response['status']}", response=response)
        return [end, b"data: [DONE]\n\n"] if self.accent.bare else [end]

    def _final(self) -> dict[str, Any]:
        counts = self._counts()
        if self._reason in ("stop", "tool_calls"):
            return self._response("completed", usage=counts)
        word = "max_output_tokens" if self._reason == "length" else self._reason
        return self._response("incomplete", usage=counts, incomplete_details={"reason": word})

    @override
    def error(self, step: Error) -> bytes:
        error = {"code": step.code or step.type, "message": step.message}
        event = self._event("error", error={"type": step.type, **error, "param": None})
        failed = self._response("failed", error=error)
        return event + self._event("response.failed", response=failed)

    @override
    def whole(self, said: Said) -> bytes:
        counted = self._deltas
        for kind in ("reasoning", "text", "refusal"):
            text = getattr(said, kind)
            if text:
                getattr(self, kind)(text)
            if kind == "text":
                for source in said.citations:
                    self.citation(source)
        for step in said.tools:
            self.tool(step)
        self._deltas = counted
        self.finish(said.reason)
        return to_json(self._final())

    @override
    def problem(self, status: int, message: str) -> bytes:
        return to_json(problem_of(self.path, status, message))

    def _counts(self) -> dict[str, Any] | None:
        usage = self.usage()
        if usage == Usage():
            return None
        prompt, answer = usage.input or 0, usage.output or 0
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": usage.cached or 0},
            "output_tokens": answer,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
            "total_tokens": prompt + answer,
        }


def _annotation(step: Citation) -> dict[str, Any]:
    place = {"start_index": step.start, "end_index": step.end}
    return {"type": "url_citation", "url": step.url, "title": step.title, **place}


def _held(part: Part, parts: list[Any]) -> dict[str, Any]:
    """The members of an item that hold its parts."""
    if part.index == "summary_index":
        return {"summary": parts}
    return {"content": parts} if part.item == "message" else {"summary": [], "content": parts}
