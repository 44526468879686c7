"""
Any event of a Converse answer -> its chunks. The deltas of text are read in bedrock.py.

The headers of an event name its type, the payload is JSON. Its members ``p`` are padding. The usage
comes after the finish reason, in the last event, ``metadata``.

Source: WIRE_FORMATS.md section 13; the official SDK, botocore 1.44.
"""

from __future__ import annotations

from typing import Any

from streamkit.chunk import Chunk
from streamkit.providers.aws import problem_of
from streamkit.providers.base import Endpoint
from streamkit.providers.calls import word
from streamkit.providers.dialect import Dialect
from streamkit.providers.shape import as_index, as_list, as_object
from streamkit.providers.usage import BEDROCK, holds_more, read_usage
from streamkit.wire.eventstream import BinaryEvent
from streamkit.wire.jsontext import encode, parse
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["ConverseReader", "payload_of"]


class ConverseReader(Dialect):
    """
    The state of an answer and the slow way to read it.

    Thread safety: **confined**; one instance reads one attempt.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        #: Block -> the call whose result it is.
        self._results: dict[int | None, str] = {}
        #: Block -> what its beginning says of the image in it.
        self._images: dict[int | None, dict[str, Any]] = {}

    def _read(self, event: BinaryEvent) -> list[Chunk]:
        problem = problem_of(event)
        if problem is not None:
            raise self._failure(problem)
        kind = event.headers.get(":event-type")
        if kind == "contentBlockStart":
            frame = payload_of(event)
            return self._read_start(
                as_index(frame.get("contentBlockIndex")), as_object(frame.get("start"))
            )
        if kind == "messageStop":
            self._finish(payload_of(event).get("stopReason"), [])
        elif kind == "metadata":
            return self._read_metadata(payload_of(event))
        return []

    def _read_start(self, index: int | None, start: dict[str, Any]) -> list[Chunk]:
        use, result, image = start.get("toolUse"), start.get("toolResult"), start.get("image")
        if isinstance(use, dict):
            return [self._open_call(index, use, "")]
        if isinstance(result, dict):
            self._results[index] = id = word(result.get("toolUseId"))
            known = {name: result[name] for name in ("type", "status") if name in result}
            return [
                self._chunk("", "text", {"server_tool_result": {"id": id, **clean_deep(known)}})
            ]
        if isinstance(image, dict):
            self._images[index] = image
        return []

    def _read_delta(self, index: int | None, delta: dict[str, Any]) -> list[Chunk]:
        use, thought = delta.get("toolUse"), delta.get("reasoningContent")
        citation, result = delta.get("citation"), delta.get("toolResult")
        image = delta.get("image")
        if isinstance(use, dict):
            call, fragment = self._calls.get(index), use.get("input")
            if call and fragment and isinstance(fragment, str):
                return [self._call_chunk(call, fragment)]
        elif isinstance(thought, dict):
            return self._read_thought(thought, thought.get("redactedContent"))
        elif citation and isinstance(citation, dict):
            return [self._chunk("", "citation", {"citation": clean_deep(citation)})]
        elif result and isinstance(result, list):
            told = {"id": self._results.get(index, ""), "content": clean_deep(result)}
            return [self._chunk("", "text", {"server_tool_result": told})]
        elif image and isinstance(image, dict):
            whole = clean_deep({**self._images.get(index, {}), **image})
            return [self._chunk("", "text", {"image": whole})]
        return []

    def _read_thought(self, thought: dict[str, Any], redacted: Any) -> list[Chunk]:
        chunks = []
        text, signature = thought.get("text"), thought.get("signature")
        if text and isinstance(text, str):
            chunks.append(self._chunk(text, "reasoning"))
        if signature and isinstance(signature, str):
            chunks.append(self._chunk("", "reasoning", {"signature": clean(signature)}))
        if redacted and isinstance(redacted, str):
            chunks.append(self._chunk("", "reasoning", {"redacted": clean(redacted)}))
        return chunks

    def _read_metadata(self, frame: dict[str, Any]) -> list[Chunk]:
        """The end: counts and times, and the model where a router has chosen it."""
        self.finished = True
        trace = as_object(frame.get("trace"))
        self._identify(as_object(trace.get("promptRouter")).get("invokedModelId"), None)
        usage = as_object(frame.get("usage"))
        details = {
            name: frame[name]
            for name in ("metrics", "trace", "performanceConfig", "serviceTier")
            if frame.get(name)
        }
        if holds_more(usage, BEDROCK):
            details["usage"] = usage
        return self._report_usage(read_usage(usage, BEDROCK), details)

    def _read_block(self, index: int, block: dict[str, Any]) -> list[Chunk]:
        """A block of a whole answer, which differs from its delta in form."""
        use, thought = block.get("toolUse"), block.get("reasoningContent")
        cited = block.get("citationsContent")
        if isinstance(use, dict):
            given = use.get("input")
            return [self._open_call(index, use, encode(given) if given else "")]
        if isinstance(thought, dict):
            said = as_object(thought.get("reasoningText"))
            return self._read_thought(said, thought.get("redactedContent"))
        chunks = self._read_delta(index, {"image": block.get("image")})
        parts = [block, *as_list(as_object(cited).get("content"))]
        for text in (as_object(part).get("text") for part in parts):
            if text and isinstance(text, str):
                chunks.append(self._chunk(text, "text"))
        for citation in as_list(as_object(cited).get("citations")):
            chunks += self._read_delta(index, {"citation": citation})
        return chunks

    def _open_call(self, index: int | None, use: dict[str, Any], arguments: str) -> Chunk:
        call = self._calls.open(index)
        call.learn(id=use.get("toolUseId"), name=use.get("name"))
        chunk = self._call_chunk(call, arguments)
        if use.get("type") == "server_tool_use":
            chunk.metadata["type"] = "server_tool_use"
        return chunk


def payload_of(event: BinaryEvent) -> dict[str, Any]:
    """The JSON object of an event; empty where it is none."""
    frame = parse(event.payload.decode("utf-8", "replace"))
    return frame if frame.__class__ is dict else {}
