"""The producer thread: chunk lists from the attempt loop -> the ring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import attrgetter
from time import time

from streamkit.chunk import Chunk
from streamkit.errors import BufferClosed
from streamkit.flow.ring import BufferConfig, StreamBuffer
from streamkit.flow.watermark import WaterMark

__all__ = ["new_ring", "produce"]

#: What a lossy policy may shed (DESIGN.md 3.4).
SHEDDABLE = frozenset({"text", "reasoning"})
#: coalesce merges neighbours up to this many characters, then it waits (DESIGN.md 3.4).
MERGED = 64 * 1024


def new_ring(config: BufferConfig) -> StreamBuffer[Chunk]:
    """A ring that knows what a chunk is."""
    return StreamBuffer(
        config.capacity,
        overflow=config.overflow,
        max_bytes=config.max_bytes,
        size_of=attrgetter("weight"),
        may_shed=_may_shed,
        merge=_merge,
        make_gap=_gap,
    )


def produce(
    reader: Iterator[list[Chunk]],
    ring: StreamBuffer[Chunk],
    mark: WaterMark | None,
    failed: Callable[[BaseException], None],
) -> None:
    """
    Read to the end, in this thread; the ring is closed whatever happens.

    With a water mark the read pauses above it, so that TCP slows the provider, until the consumer
    has brought the ring below the low one.
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
            if mark is not None and mark.update(ring.fill):
                ring.wait_below(int(mark.low * ring.capacity))
                mark.update(ring.fill)
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
    if chunk.kind not in SHEDDABLE:
        return False
    return bool(chunk.content or not chunk.metadata or "content" in chunk.metadata)


def _merge(old: Chunk, new: Chunk) -> Chunk | None:
    """Two deltas of the same kind as one, or None where they must stay two."""
    if old.kind != new.kind or old.kind not in SHEDDABLE or old.metadata or new.metadata:
        return None
    if len(old.content) + len(new.content) > MERGED:
        return None
    return replace(
        new,
        content=old.content + new.content,
        index=old.index,
        finish_reason=new.finish_reason or old.finish_reason,
    )


def _gap(lost: int) -> Chunk:
    # A gap is not one of the chunks that were numbered.
    return Chunk("", -1, time(), metadata={"dropped": lost}, kind="gap")
