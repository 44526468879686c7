"""
Any event of an Anthropic answer -> its chunks. The deltas of text are read in anthropic.py.

Each event names its type in the JSON; the SSE event name repeats it and is not asked. Blocks are
told apart by index. Only ``tool_use`` blocks are calls for the user's side; what the service does
itself is read in anthropic_blocks.py.

Source: WIRE_FORMATS.md section 4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.providers.anthropic_blocks import ServerBlocks
from streamkit.providers.base import Endpoint
from streamkit.providers.calls import OpenCall
from streamkit.providers.events import EventDialect
from streamkit.providers.shape import as_index, as_list, as_object
from streamkit.providers.usage import MESSAGES, read_usage
from streamkit.wire.jsontext import encode
from streamkit.wire.surrogates import clean, clean_deep

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["MessagesReader"]

#: What usage objects hold beside the counts, each a state: requests of server tools, cache writes
#: by lifetime, the turns of a tool loop, and how the answer was served.
EXTRAS = (
    "server_tool_use",
    "cache_creation",
    "iterations",
    "service_tier",
    "inference_geo",
    "speed",
    "fallback_credit",
)


class MessagesReader(EventDialect):
    """
    The state of a message and the slow way to read it.

    Thread safety: **confined**; one instance reads one attempt.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._server = ServerBlocks()
        #: Block -> its call and the input its start gave, which counts if no other streams in.
        self._given: dict[int | None, tuple[OpenCall, str]] = {}

    @override
    def flush(self) -> list[Chunk]:
        """What blocks that did not end still held."""
        chunks = self._told(self._server.stop_all())
        for index in list(self._given):
            chunks += self._stop_block(index)
        return chunks

    @override
    def _read_odd(self, event: Event) -> list[Chunk]:
        """As elsewhere, but the end mark says nothing: only message_stop makes a message whole."""
        if event.event != "error" and event.data.lstrip().startswith("[DONE]"):
            return []
        return super()._read_odd(event)

    @override
    def _read(self, frame: dict[str, Any]) -> list[Chunk]:
        kind = frame.get("type")
        if kind == "error" or frame.get("error"):
            raise self._failure(frame)
        index = as_index(frame.get("index"))
        if kind == "content_block_delta":
            return self._read_delta(index, as_object(frame.get("delta")))
        if kind == "content_block_start":
            return self._start_block(index, as_object(frame.get("content_block")))
        if kind == "message_start":
            message = as_object(frame.get("message"))
            self._identify(message.get("model"), message.get("id"))
            return self._merge_usage(message.get("usage"))
        if kind == "message_delta":
            chunks = self._merge_usage(frame.get("usage"))
            self._finish(as_object(frame.get("delta")).get("stop_reason"), chunks)
            return chunks
        if kind == "content_block_stop":
            return self._stop_block(index)
        if kind == "message_stop":
            self.finished = True
            return self.flush()
        return []

    def _start_block(self, index: int | None, block: dict[str, Any]) -> list[Chunk]:
        """A block's beginning, which in a whole answer is all of it."""
        chunks = self._stop_block(index)  # one that never ended makes room
        chunks += self._told(self._server.start(index, block))
        kind = block.get("type")
        if kind == "tool_use":
            call = self._calls.open(index)
            call.learn(id=block.get("id"), name=block.get("name"))
            chunks.append(self._call_chunk(call, ""))
            if given := block.get("input"):  # full at the start only in programmatic calls
                self._given[index] = call, encode(given)
        elif kind == "redacted_thinking":
            redacted = {"redacted": clean_deep(block.get("data"))}
            chunks.append(self._chunk("", "reasoning", redacted))
        elif kind == "thinking":
            chunks += self._read_delta(index, {**block, "type": "thinking_delta"})
            chunks += self._read_delta(index, {**block, "type": "signature_delta"})
        elif kind == "text":
            chunks += self._read_delta(index, {**block, "type": "text_delta"})
            for citation in as_list(block.get("citations")):
                delta = {"type": "citations_delta", "citation": citation}
                chunks += self._read_delta(index, delta)
        return chunks

    def _stop_block(self, index: int | None) -> list[Chunk]:
        """A block's end, whichever kind it is of."""
        chunks = self._told(self._server.stop(index))
        if held := self._given.pop(index, None):
            chunks.append(self._call_chunk(*held))
        return chunks

    def _read_delta(self, index: int | None, delta: dict[str, Any]) -> list[Chunk]:
        kind = delta.get("type")
        if self._server.add(index, delta):
            return []
        if kind == "input_json_delta":
            call, fragment = self._calls.get(index), _string(delta.get("partial_json"))
            if call is None or not fragment:
                return []
            self._given.pop(index, None)
            return [self._call_chunk(call, fragment)]
        if kind == "thinking_delta":
            thinking = _string(delta.get("thinking"))
            return [self._chunk(thinking, "reasoning")] if thinking else []
        if kind == "text_delta":
            text = _string(delta.get("text"))
            return [self._chunk(text, "text")] if text else []
        if kind == "signature_delta":
            signature = _string(delta.get("signature"))
            return (
                [self._chunk("", "reasoning", {"signature": clean(signature)})] if signature else []
            )
        if kind == "citations_delta":
            citation = as_object(delta.get("citation"))
            return (
                [self._chunk("", "citation", {"citation": clean_deep(citation)})]
                if citation
                else []
            )
        return []

    def _merge_usage(self, usage: Any) -> list[Chunk]:
        """The counts of message_start, overlaid by those of each message_delta."""
        if not isinstance(usage, dict):
            return []
        details = {name: usage[name] for name in EXTRAS if usage.get(name) is not None}
        found = read_usage(usage, MESSAGES)
        known = {name: n for name in MESSAGES.counts if (n := getattr(found, name)) is not None}
        return self._report_usage(replace(self._usage, **known), details)

    def _told(self, told: list[dict[str, Any]]) -> list[Chunk]:
        return [self._chunk("", "text", metadata) for metadata in told]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
