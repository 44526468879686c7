"""
A stream read from a store: ``follow()``. What another thread or process publishes, as a Stream.

Each entry becomes a chunk, whose ``metadata["seq"]`` is the entry's number: what a client sends
back as Last-Event-ID to go on behind it. The end is the publisher's: its outcome, its usage, its
error. Stopping the follower stops the reading, and nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf
from time import monotonic

from typing_extensions import override

from streamkit.chunk import Chunk, Outcome, Result, Seam
from streamkit.errors import ConfigurationError
from streamkit.pipeline.failures import error_from_json
from streamkit.pipeline.foreign import ForeignRun, ItemFeed
from streamkit.pipeline.ledger import Ending, chunk_from_json, end_from_json
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.shapes import ItemReader
from streamkit.pipeline.stream import Stream
from streamkit.pipeline.tail import Tail
from streamkit.store import TERMINAL, Entry, StreamStore, open_store
from streamkit.transport.base import Aborted, Link

__all__ = ["followed", "read_position"]

#: Longest wait, in seconds, before a store is asked again that cannot tell of news by itself.
BLOCK = 0.5


class Ears:
    """
    What ends a wait for the store: the end of the stream, or of the time it has.

    Thread safety: **shared**; ``until`` is set by the reading thread alone.
    """

    def __init__(self) -> None:
        self.stopped = False
        self.until = inf

    @property
    def is_set(self) -> bool:
        """See store.Stoppable."""
        return self.stopped or monotonic() >= self.until


class StoreSource:
    """
    The entries of one stream in a store; opened once.

    Thread safety: **confined** to the reading thread; abort() from anywhere.

    Args:
        store: Where it is.
        id: Which stream.
        after: The seq of the last entry already seen.
        marks: Whether each chunk gets its seq: not where what is shown is cut otherwise.
    """

    headers: Mapping[str, str] = {}
    tally: Mapping[str, float] = {}

    def __init__(self, store: StreamStore, id: str, after: int, *, marks: bool) -> None:
        self.store = store
        self.id = id
        self.after = after
        self.marks = marks
        self.ears = Ears()
        #: How the stream ended, once it has.
        self.ending: Ending | None = None
        #: Where the chunks go: a stream that begins anew is forgotten there.
        self.tail: Tail | None = None

    def open(self, link: Link) -> StoreFeed:
        """
        Look where to begin.

        Raises:
            UnknownStream, Expired, Gap, StoreUnavailable: As the store says.
        """
        if self.after:
            # Who has seen the last entry too is told the end once more.
            info = self.store.info(self.id)
            if info.state in TERMINAL.values() and self.after == info.last:
                self.after -= 1
        return StoreFeed(self, link)

    def abort(self) -> None:
        """Stop reading."""
        self.ears.stopped = True


class StoreFeed(ItemFeed):
    """
    Entries as chunks.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, source: StoreSource, link: Link) -> None:
        super().__init__(ItemReader(), link)
        self._source = source
        self._seq = source.after
        self._entries: Iterator[Entry] | None = None

    def read(self) -> list[Chunk] | None:
        """See Feed."""
        entry = self._next()
        if entry is None:
            self.finished = True
            return None
        self._seq = entry.seq
        chunk = self._read_entry(entry)
        if chunk is None:
            return []
        if self._source.marks:
            chunk.metadata["seq"] = entry.seq
        if chunk.kind != "text" or chunk.finish_reason:
            self._reader.finish_reason = chunk.finish_reason or self._reader.finish_reason
        self._reader.model = self._reader.model or chunk.model
        self._reader.id = self._reader.id or chunk.id
        self.received += chunk.weight
        return [chunk]

    def _next(self) -> Entry | None:
        """The next entry; waits for it, and looks after the clocks meanwhile."""
        source, ears, link = self._source, self._source.ears, self._link
        while True:
            self.check()
            try:
                timed = link.tick()
            except TimeoutError:
                return None  # a stop of the user ended the answer
            ears.until = monotonic() + min(timed, link.clocks.total_left())
            if self._entries is None:
                self._entries = source.store.read(source.id, self._seq, block=BLOCK, stop=ears)
            entry = next(self._entries, None)
            if link.aborted:
                raise Aborted
            if entry is not None:
                return entry
            self._entries = None
            if not ears.is_set:
                return None

    def _read_entry(self, entry: Entry) -> Chunk | None:
        if entry.kind == "chunk":
            self._source.ending = None
            return chunk_from_json(entry.data)
        if entry.kind == "takeover":
            return self._taken_over(entry)
        if entry.kind in ("end", "cancelled"):
            self._end(end_from_json(entry.data))
        elif entry.kind == "failed" and self._is_last(entry):
            raise error_from_json(entry.data)
        # Behind "lost" the store raises ProducerLost, unless somebody took the stream over.
        return None

    def _is_last(self, entry: Entry) -> bool:
        """Whether nobody took the stream over after this end of it."""
        return self._source.store.info(self._source.id).last == entry.seq

    def _end(self, ending: Ending) -> None:
        self._source.ending = ending
        self._reader.finish_reason = ending.finish_reason
        self._reader.model = ending.model or self._reader.model
        self._reader.id = ending.id or self._reader.id

    def _taken_over(self, entry: Entry) -> Chunk:
        """Another writer goes on, or begins anew; of the text, ``seam.at`` characters stay."""
        tail = self._source.tail
        assert tail is not None  # since the run was made
        self._source.ending = None
        self._reader.finish_reason = None
        if entry.data.get("policy") == "restart":
            tail.forget()
            seam = Seam(entry.epoch, 0, "again")
        else:
            seam = Seam(entry.epoch, tail.characters, "appended")
        return Chunk(kind="retry", metadata={"seam": seam})

    def close(self) -> None:
        """See Feed."""
        self._source.ears.stopped = True
        self._entries = None


class FollowRun(ForeignRun):
    """
    A ForeignRun whose end is that of the stream it follows.

    Thread safety: **shared**, as Run.
    """

    def __init__(self, source: StoreSource, options: StreamOptions) -> None:
        super().__init__(source, options, provider="store", model=source.id)
        source.tail = self.tail
        self._followed = source

    @override
    def take(self, timeout: float | None) -> list[Chunk] | None:
        """See Run."""
        chunks = super().take(timeout)
        ending = self._followed.ending
        if chunks and chunks[-1].done and ending is not None:
            said = chunks[-1].metadata
            if said["outcome"] != "stopped":  # which is the follower's own word
                said["outcome"] = ending.outcome
        return chunks

    @override
    def settled_result(self, outcome: Outcome | None) -> Result:
        result = super().settled_result(outcome)
        result = replace(result, dropped=result.dropped + self.tail.shed)
        ending = self._followed.ending
        if ending is None:
            return result
        cost = ending.cost if result.cost is None else result.cost
        return replace(
            result, usage=ending.usage, cost=cost, request_id=ending.request_id or result.request_id
        )


def followed(
    store: str | StreamStore, id: str, after: int | str | None, options: StreamOptions
) -> Stream:
    """
    A Stream of what is, and will be, in the store.

    Raises:
        ConfigurationError: No such store, no id, or a position that is none.
    """
    if not isinstance(id, str) or not id:
        raise ConfigurationError(f"follow() needs the id of a stream, got {id!r:.80}")
    # What regroups or holds text back shows a part of an entry: its seq would skip the rest.
    marks = options.units is None and options.stop_when is None and not options.think
    source = StoreSource(open_store(store), id, read_position(after), marks=marks)
    return Stream(FollowRun(source, options))


def read_position(after: int | str | None) -> int:
    """
    A seq, or the text of a Last-Event-ID header, as a seq; None and "" are 0.

    >>> read_position("17"), read_position("")
    (17, 0)

    Raises:
        ConfigurationError: It is neither.
    """
    if after is None or after == "":
        return 0
    if isinstance(after, str) and after.isascii() and after.isdecimal() and len(after) <= 18:
        return int(after)
    if type(after) is int and 0 <= after < 10**18:
        return after
    raise ConfigurationError(
        f"after must be the number of an entry, as of a Last-Event-ID header, got {after!r:.40}"
    )
