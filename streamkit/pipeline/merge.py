"""
Several streams -> one iterator, in the order in which chunks arrive.

Each stream has its consumer thread, whose callbacks put what comes into one ring; a full ring makes
them wait, and so each provider. How a stream ended must never wait: it may be told by the very
thread that empties the ring, when that thread cancels a stream. So ends have a list of their own,
and the ring only carries a nudge for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, Literal, get_args

from streamkit.chunk import Chunk, Outcome, Result
from streamkit.errors import BufferClosed, BufferFull, ConcurrencyError, ConfigurationError
from streamkit.flow.bounds import BufferConfig
from streamkit.flow.ring import StreamBuffer
from streamkit.pipeline.stream import Stream

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Merge", "OnError"]

#: What the failure of one stream means for the others.
OnError = Literal["continue", "stop", "yield"]

#: What all streams together may have waiting for the loop: as much as one stream by itself.
BUFFER = BufferConfig()

Item = tuple[str, Chunk]


class Merge:
    """
    An iterable of (name, chunk). The streams are started by the first loop, and stopped with it.

    The last chunk of each stream is of kind ``done`` and says in ``metadata["outcome"]`` how it
    ended, with the ``error`` if it failed.

    Thread safety: **shared**: one loop, cancel() and close() from any thread.

    Args:
        streams: Unused streams by name, at least one, none of them twice.
        on_error: What happens when one fails. ``continue``: the others go on, and the first error
            is raised when all have ended. ``stop``: the others are cancelled, and it is raised at
            once. ``yield``: the others go on, and nothing is raised: the chunk has it.

    Raises:
        ConfigurationError: Something else than these.
    """

    def __init__(self, streams: Mapping[str, Stream], on_error: OnError = "continue") -> None:
        if not streams:
            raise ConfigurationError("merge() needs at least one stream")
        if len({id(stream) for stream in streams.values()}) < len(streams):
            raise ConfigurationError("merge() got the same stream under two names")
        if on_error not in get_args(OnError):
            raise ConfigurationError(
                f"on_error must be one of {', '.join(get_args(OnError))}, got {on_error!r}"
            )
        self._streams = dict(streams)
        self._on_error = on_error
        self._inlet = Inlet()

    def __iter__(self) -> Iterator[Item]:
        """
        The chunks of all streams, each stream's in its order.

        Raises, inside the loop:
            BaseException: What ended a stream, as ``on_error`` says; the same object.
            ConcurrencyError: One of the streams was used.
        """
        if self._inlet.closed:
            return
        for name, stream in self._streams.items():
            self._inlet.connect(name, stream)  # nothing is started if one of them is taken
        try:
            for name, stream in self._streams.items():
                self._inlet.start(name, stream)
            yield from self._items()
        finally:
            self.cancel()

    def _items(self) -> Iterator[Item]:
        inlet, running = self._inlet, set(self._streams)
        first: BaseException | None = None
        while running:
            items = inlet.take()
            if items is None:
                return
            for item in items:
                name, chunk = item
                if chunk.done and name not in running:
                    continue  # cancelled while it was started: its end was told twice
                if chunk.error is not None and self._on_error == "stop":
                    raise chunk.error
                if first is None:
                    first = chunk.error
                if chunk.done:
                    running.discard(name)
                yield item
                if inlet.closed:
                    return
        if first is not None and self._on_error == "continue":
            raise first

    def cancel(self, reason: str = "") -> None:
        """Stop all streams and the loop; idempotent, from anywhere."""
        self._inlet.abort()
        for stream in self._streams.values():
            stream.cancel(reason)

    def close(self) -> None:
        """The same as cancel()."""
        self.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel()


class Inlet:
    """
    Where the streams' callbacks leave what the loop takes out.

    Thread safety: **hand-off**: the streams' threads put, the loop takes.
    """

    def __init__(self) -> None:
        self._ring: StreamBuffer[Item | None] = StreamBuffer(
            BUFFER.capacity, max_bytes=BUFFER.max_bytes, size_of=_size
        )
        self._ends: deque[Item] = deque()

    def connect(self, name: str, stream: Stream) -> None:
        """Register the callbacks of one stream, unless somebody uses it."""
        if stream._run.claimed:
            raise ConcurrencyError(f"merge() needs unused streams, got {name!r} that was used")
        failure: list[BaseException] = []
        stream.on_chunk(lambda chunk: None if chunk.done else self._put((name, chunk)))
        stream.on_error(failure.append)
        stream.on_end(lambda result: self._end(name, result, failure))

    def start(self, name: str, stream: Stream) -> None:
        """Start it; one that was cancelled before has no thread that would tell its end."""
        if stream.start()._run.consumer is None:
            self._finish((name, _last(stream.outcome, stream.partial, None)))

    def take(self) -> list[Item] | None:
        """The next items, in order; waits for one. None after abort()."""
        ends = [self._ends.popleft() for _ in range(len(self._ends))]
        # Ends are taken out first: what their streams put before is in the ring by then.
        try:
            came = self._ring.pop_many(BUFFER.capacity, timeout=0.0 if ends else None)
        except TimeoutError:
            came = []
        if not came and not ends:
            return None
        return [item for item in came if item is not None] + ends

    @property
    def closed(self) -> bool:
        """Whether abort() was called."""
        return self._ring.closed

    def abort(self) -> None:
        """Wake everybody; nothing comes out any more."""
        self._ring.abort()

    def _put(self, item: Item) -> None:
        with suppress(BufferClosed):  # the loop is gone, and cancels the streams
            self._ring.push(item)

    def _end(self, name: str, result: Result, failure: list[BaseException]) -> None:
        self._finish((name, _last(result.outcome, result, failure.pop() if failure else None)))

    def _finish(self, item: Item) -> None:
        self._ends.append(item)
        with suppress(BufferClosed, BufferFull):  # full: the loop has reason enough to look
            self._ring.push(None, 0.0)


def _size(item: Item | None) -> int:
    return 0 if item is None else item[1].weight


def _last(outcome: Outcome | None, result: Result, error: BaseException | None) -> Chunk:
    return Chunk(
        timestamp=time(),
        done=True,
        error=error,
        metadata={"outcome": outcome},
        kind="done",
        finish_reason=result.finish_reason,
        model=result.model,
        id=result.id,
    )
