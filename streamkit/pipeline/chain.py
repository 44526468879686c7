"""
What stands between the bytes and the ring: a head per attempt, a tail per stream.

The head is a decoder and a provider: it turns the bytes of one answer into chunks, and knows when
the provider said the last word. The tail joins, takes the chunks through the stages, records and
numbers; it outlives attempts. Both are push style and pure, so the caller's own thread and a
producer thread drive them alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from streamkit.chunk import Chunk, Result, Usage
from streamkit.errors import ConfigurationError, LimitExceeded, ProtocolError, StreamkitError
from streamkit.pipeline.calls import GrowingCall
from streamkit.pipeline.options import Limits
from streamkit.providers.base import Provider
from streamkit.providers.details import read_details
from streamkit.stages import STAGES
from streamkit.stages.join import JoinSurrogates
from streamkit.wire.jsontext import is_whole

__all__ = ["CONTENT", "Head", "Tail", "stage_names"]

#: Kinds that are part of the answer: they end the ``first`` clock, and forbid a retry.
CONTENT = frozenset({"text", "reasoning", "tool_call", "citation", "refusal"})

#: No bound of a decoder is crossed after an event by a read this short: names may have 1 KiB.
SILENT = 1000
_BOM = b"\xef\xbb\xbf"


class Head:
    """
    The bytes of one answer -> its chunks.

    ``feed`` never raises: an error waits in ``error``, so that the chunks of the events before it
    are delivered first. A whole JSON body where a stream in another format was due is collected and
    read at its end; an HTML page is refused.

    Thread safety: **confined**.
    """

    def __init__(self, provider: Provider[Any], limits: Limits) -> None:
        self.provider = provider
        self.error: StreamkitError | None = None
        self._decoder = provider.decoder(max_event=limits.event)
        self._limit = limits.answer
        self._silent = min(SILENT, limits.event)
        self._begun = False
        self._lead = b""
        self._whole: bytearray | None = None
        self._size = 0

    def feed(self, data: bytes) -> list[Chunk]:
        """Bytes in any split -> chunks."""
        if not self._begun:
            data = self._begin(data)
        if self.error is not None:
            return []
        if self._whole is not None:
            self._collect(data)
            return []
        chunks = self._read(self._decoder.feed, data)
        if chunks and len(data) > self._silent and self.error is None:
            # A decoder that has events and an error gives the events first. The server may never
            # send another byte, so ask for the error now.
            self._read(self._decoder.feed, b"")
        return chunks

    def flush(self) -> list[Chunk]:
        """A clean end of the body -> what the format lets it mean, and what the provider held."""
        if self._whole is not None:
            return self._read_whole()
        if not self._begun:
            return []
        chunks = self._read(lambda _: self._decoder.flush(), b"")
        if self.error is None:
            try:
                chunks += self.provider.flush()
            except StreamkitError as error:
                self.error = error
        self.error = self.error or self.provider.failure
        return chunks

    def _read(self, events: Any, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        feed = self.provider.feed
        try:
            for event in events(data):
                chunks += feed(event)
                if self.provider.finished:
                    break  # whatever follows the terminal event is not the answer
        except StreamkitError as error:
            self.error = error
        if self.provider.finished:
            self.error = self.error or self.provider.failure
        return chunks

    def _begin(self, data: bytes) -> bytes:
        """Look at the first byte that says something: the content type does not tell (1.1)."""
        self._lead = data = self._lead + data
        first = data.removeprefix(_BOM).lstrip()[:1]
        if not first or _BOM.startswith(data):
            # Blanks before the first byte mean nothing in any format; a torn BOM has to wait.
            self._lead = data if _BOM.startswith(data) else b""
            return b""
        if first == b"<":
            self.error = ProtocolError(
                "an HTML page came where a stream was due: " + repr(data[:200])[1:], data=data[:200]
            )
        elif first in b"{[" and not self._decoder.reads_json:
            self._whole = bytearray()
        self._begun = True
        self._lead = b""
        return data

    def _collect(self, data: bytes) -> None:
        assert self._whole is not None
        self._whole += data
        self._size += len(data)
        if self._size > self._limit:
            self.error = LimitExceeded(
                f"the answer is over {self._limit} bytes", limit=self._limit, observed=self._size
            )

    def _read_whole(self) -> list[Chunk]:
        body = bytes(self._whole or b"")
        try:
            chunks = self.provider.whole(body)
        except StreamkitError as error:
            self.error = error
            return []
        if chunks is None:
            self.error = self._no_answer(body)
            return []
        self.error = self.provider.failure
        return chunks

    def _no_answer(self, body: bytes) -> StreamkitError:
        text = body.decode("utf-8", "replace")
        if is_whole(text) and read_details(text).message:
            return self.provider.error(200, {}, body)  # an error that was sent as a success
        return ProtocolError(
            "JSON that is no answer came where a stream was due: " + repr(body[:200])[1:],
            data=body[:200],
        )


class Tail:
    """
    Chunks of all attempts -> the chunks the user sees, and the Result so far.

    Thread safety: **confined** to the reading thread, except ``result()``: any thread.

    Args:
        limits: Bounds of the answer.
        stages: Names in ``streamkit.stages.STAGES``, in the order the chunks go through.

    Raises:
        ConfigurationError: There is no stage of that name.
    """

    def __init__(self, limits: Limits, stages: Sequence[str] = ()) -> None:
        for name in stages:
            if name not in STAGES:
                raise ConfigurationError(
                    f"a stage must be one of {', '.join(STAGES)}, got {name!r}"
                )
        self._join = JoinSurrogates()
        self._stages = [STAGES[name]() for name in stages]
        self.limit = limits.answer
        #: Bytes on the wire that may come without content: more than any answer or event needs.
        self.quiet_limit = limits.answer + limits.event
        self._size = 0
        self._index = 0
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._citations: list[Any] = []
        self._calls: dict[int, GrowingCall] = {}
        self._asked = False
        #: How many chunks of content were recorded.
        self.content = 0
        self.usage = Usage()
        #: What the provider reported beside its counts.
        self.details: Mapping[str, Any] | None = None
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.id: str | None = None

    def feed(self, chunks: list[Chunk], wall: float) -> list[Chunk]:
        """Join, stage, record, number. ``wall`` is epoch seconds. Ask ``over`` afterwards."""
        chunks = self._join.feed(chunks)
        for stage in self._stages:
            chunks = stage.feed(chunks)
        return self._record(chunks, wall)

    def _record(self, chunks: list[Chunk], wall: float) -> list[Chunk]:
        index = self._index
        for chunk in chunks:
            chunk.index = index
            chunk.timestamp = wall
            index += 1
            self._size += chunk.weight
            if chunk.kind == "text":
                self._text.append(chunk.content)
                self.content += 1
            else:
                self._fold(chunk)
        self._index = index
        return chunks

    @property
    def over(self) -> LimitExceeded | None:
        """The error to raise once the answer has passed its bound."""
        if self._size <= self.limit:
            return None
        return LimitExceeded(
            f"the answer is over {self.limit} bytes", limit=self.limit, observed=self._size
        )

    def flush(self, wall: float) -> list[Chunk]:
        """The end of an attempt, good or bad -> what was held back."""
        held = self._join.flush()
        for stage in self._stages:
            held = stage.feed(held) + stage.flush()
        return self._record(held, wall)

    def done(self, outcome: str, wall: float) -> Chunk:
        """The chunk that ends a stream quietly."""
        return Chunk(
            "",
            self._index,
            wall,
            True,
            metadata={"outcome": outcome},
            kind="done",
            finish_reason=self.finish_reason,
            model=self.model,
            id=self.id,
        )

    @property
    def has_calls(self) -> bool:
        """Whether the model asked the user's side for a tool."""
        return self._asked

    @property
    def has_refusal(self) -> bool:
        """Whether the model refused in words of their own channel."""
        return bool(self._refusal)

    def result(self, **known: Any) -> Result:
        """The Result so far; ``known`` are the fields that others keep."""
        # tuple() first: the lists may grow in the reading thread while they are joined here.
        return Result(
            text="".join(tuple(self._text)),
            reasoning="".join(tuple(self._reasoning)),
            tool_calls=tuple(call.so_far() for call in self._calls.copy().values()),
            citations=tuple(self._citations),
            refusal="".join(tuple(self._refusal)),
            usage=self.usage,
            finish_reason=self.finish_reason,
            model=self.model,
            id=self.id,
            **known,
        )

    def _fold(self, chunk: Chunk) -> None:
        kind = chunk.kind
        if kind in CONTENT:
            self.content += 1
        if kind == "reasoning":
            self._reasoning.append(chunk.content)
        elif kind == "tool_call":
            index = chunk.metadata["index"]
            call = self._calls.get(index)
            if call is None:
                call = self._calls[index] = GrowingCall(index)
                # Bedrock lists among the calls what it runs itself, and nobody has to answer that.
                self._asked |= chunk.metadata.get("type") != "server_tool_use"
            call.add(chunk.metadata, chunk.content)
        elif kind == "refusal":
            self._refusal.append(chunk.content)
        elif kind == "citation":
            self._citations.append(chunk.metadata["citation"])
        elif kind == "usage":
            self.usage = chunk.metadata["usage"]
            self.details = chunk.metadata.get("details", self.details)


def stage_names(usual: Sequence[str], think: bool | None) -> tuple[str, ...]:
    """The stages of a provider's row, with or without ``think`` if the user said so."""
    if think is None or think == ("think" in usual):
        return tuple(usual)
    return ("think", *usual) if think else tuple(name for name in usual if name != "think")
