"""The producer thread: chunk lists from the attempt loop -> the ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import attrgetter
from time import time
from typing import Any

from streamkit.chunk import Chunk
from streamkit.errors import BufferClosed
from streamkit.flow.bounds import BufferConfig
from streamkit.flow.ring import StreamBuffer
from streamkit.flow.watch import Backpressure
from streamkit.observe.counters import Counters
from streamkit.pipeline.bundle import Bundle, bundled
from streamkit.pipeline.tail import Tail
from streamkit.stages.regroup import DELTAS

__all__ = ["Overdue", "deltas", "new_ring", "produce"]

#: What a lossy policy may shed (DESIGN.md 3.4).
SHEDDABLE = frozenset({"text", "reasoning"})
#: coalesce merges neighbours up to this many characters, then it waits (DESIGN.md 3.4).
MERGED = 64 * 1024


def new_ring(config: BufferConfig, *, paced: bool = False) -> StreamBuffer[Chunk]:
    """
    A ring that knows what a chunk is.

    With ``paced`` what it merges can be told apart again, so that it goes out piece by piece.
    """
    return StreamBuffer(
        config.capacity,
        max_capacity=config.max_capacity,
        overflow=config.overflow,
        max_bytes=config.max_bytes,
        size_of=attrgetter("weight"),
        may_shed=_may_shed,
        merge=_bundle if paced else _merge,
        make_gap=_gap,
    )


class Overdue:
    """
    The timed flushes of a tail, made while the reading thread waits for bytes; see Timer.

    Thread safety: **confined** to the reading thread.

    Args:
        tail: Says when, and what.
        give: Takes the chunks.
        counters: Counts them as received.
    """

    def __init__(self, tail: Tail, give: Callable[[list[Chunk]], Any], counters: Counters) -> None:
        self._tail = tail
        self._give = give
        self._counters = counters

    def due(self) -> float | None:
        """See Timer."""
        return self._tail.due()

    def run(self, now: float) -> bool:
        """See Timer."""
        chunks = self._tail.tick(time(), now)
        self._counters.chunks_received += len(chunks)
        try:
            self._give(chunks)
        except BufferClosed:
            return False  # cancelled
        return not self._tail.ended


def produce(
    reader: Iterator[list[Chunk]],
    ring: StreamBuffer[Chunk],
    pressure: Backpressure | None,
    failed: Callable[[BaseException], None],
) -> None:
    """
    Read to the end, in this thread; the ring is closed whatever happens.

    With ``pressure`` the read pauses above the high water mark, so that TCP slows the provider,
    until the consumer has brought the ring below the low one.
    """
    try:
        for chunks in reader:
            if chunks[-1].done:
                ring.push_many(chunks[:-1])
                ring.close(final=chunks[-1])
                continue  # the reader still says goodbye to the server
            if len(chunks) == 1:
                ring.push(chunks[0])  # the usual case while the reader keeps up, at half the cost
            else:
                ring.push_many(chunks)
            if pressure is not None:
                pressure.note()
                if pressure.holds:
                    pressure.hold()
    except BufferClosed:
        pass  # cancelled: nobody is left to deliver to
    except BaseException as error:
        failed(error)
    finally:
        ring.close()
        reader.close()  # type: ignore[attr-defined]


def _may_shed(chunk: Chunk) -> bool:
    """
    Text may be shed, also that of other choices; what a chunk says in metadata alone may not.

    There are signatures that must be sent back, calls the service made, the ends of other choices.
    """
    if chunk.kind not in SHEDDABLE or isinstance(chunk, Bundle):
        return False  # a bundle is many, and would count as one
    return bool(chunk.content or not chunk.metadata or "content" in chunk.metadata)


def _merge(old: Chunk, new: Chunk) -> Chunk | None:
    """Two deltas of the same kind as one, or None where they must stay two."""
    if old.kind != new.kind or old.kind not in SHEDDABLE or not (_is_plain(old) and _is_plain(new)):
        return None
    if len(old.content) + len(new.content) > MERGED:
        return None
    return replace(
        new,
        content=old.content + new.content,
        index=old.index,
        timestamp=old.timestamp,  # so that what waited longest is seen to have waited
        metadata={DELTAS: deltas(old) + deltas(new)},
        finish_reason=new.finish_reason or old.finish_reason,
    )


def _bundle(old: Chunk, new: Chunk) -> Chunk | None:
    """Two neighbours of the same kind in one slot, or None where they must have two."""
    if old.kind != new.kind or old.kind not in SHEDDABLE:
        return None
    return bundled(old, new, MERGED)


def _is_plain(chunk: Chunk) -> bool:
    """Whether it says nothing but its text, and how many deltas that was."""
    return not chunk.metadata or chunk.metadata.keys() == {DELTAS}


def deltas(chunk: Chunk) -> int:
    """How many deltas of the provider a chunk stands for."""
    count: int = chunk.metadata.get(DELTAS, 1)
    return count


def _gap(lost: int) -> Chunk:
    # A gap is not one of the chunks that were numbered.
    return Chunk("", -1, time(), metadata={"dropped": lost}, kind="gap")
