"""
A stream that is fed by calls instead of reads: ``channel()``.

Two ends and a ring between them. The Channel is the producing end: ``put``, ``fail``, ``finish``.
The Stream is the other one. The ring belongs to neither, so each end notices when the other is
gone: a Channel that is dropped without a word ends the stream as truncated, a Stream that is
cancelled or dropped sets ``cancelled`` and makes ``put`` raise.

The function given to ``channel(fn)`` runs in a thread of its own, which is the producer; the
reading thread of the stream (in ``direct`` mode the caller's) takes from the ring as it would from
a socket.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from inspect import isgeneratorfunction
from operator import attrgetter
from threading import current_thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import ReferenceType, ref

from streamkit.callback import async_kind
from streamkit.chunk import Chunk
from streamkit.errors import (
    BufferClosed,
    BufferFull,
    ConcurrencyError,
    ConfigurationError,
    ConnectError,
    TruncatedStream,
)
from streamkit.flow.bounds import BufferConfig
from streamkit.flow.ring import WAIT_SLICE, StreamBuffer
from streamkit.pipeline.foreign import ForeignRun, ItemFeed, close
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.run import Run
from streamkit.pipeline.shapes import ItemReader
from streamkit.pipeline.stream import Stream
from streamkit.transport.base import Aborted, Link

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Channel", "Produce", "new_channel", "run_channel"]

#: How long the stream's own consumer waits in put() for its reading thread to make room. Without
#: one, or if that is stuck behind this very consumer, no wait would end.
OWN_PATIENCE = 0.1

#: Most items the reading thread takes at once.
TAKE = 256


class Conduit:
    """
    What the two ends share.

    Thread safety: **shared**.
    """

    def __init__(self, buffer: BufferConfig) -> None:
        self.ring: StreamBuffer[Chunk] = StreamBuffer(
            buffer.capacity, max_bytes=buffer.max_bytes, size_of=attrgetter("weight")
        )
        self.reader = ItemReader()
        self.error: BaseException | None = None
        #: The Stream's end is gone, or has all it wanted.
        self.cancelled = False
        #: The Channel's end is gone, without a word.
        self.dropped = False
        self.run: ReferenceType[Run] | None = None

    def abort(self) -> None:
        """The stream has ended; from anywhere, idempotent."""
        self.cancelled = True
        self.ring.abort()

    @property
    def drained_here(self) -> bool:
        """Whether this thread is the one that drains the stream."""
        run = None if self.run is None else self.run()
        return run is not None and run.drainer is current_thread() and not run.ended.is_set


class Channel:
    """
    The producing end of a channel.

    >>> from streamkit import channel
    >>> feed, stream = channel()
    >>> with feed:
    ...     feed.put("Hello")
    ...     feed.put(" there")
    >>> stream.result().text
    'Hello there'

    Leaving the ``with`` block finishes the answer, or fails it with what was raised. A channel that
    is dropped with neither ends its stream with TruncatedStream.

    Thread safety: **shared**: any number of producing threads.
    """

    def __init__(self, conduit: Conduit) -> None:
        self._conduit = conduit
        self._lock = threading.Lock()  # guards the reader, and which end comes first

    @property
    def cancelled(self) -> bool:
        """Whether the stream has ended on the other side: nobody wants the rest."""
        return self._conduit.cancelled

    def put(self, item: Any) -> None:
        """
        Add a piece: text, a Chunk, or what a library's streaming callback gets; None adds nothing.

        Blocks while the buffer is full; the consumer, and the end of the stream, wake it.

        A chunk that carries an ``error`` fails the stream with it, as fail() does.

        Raises:
            BufferClosed: The stream has ended, or finish() or fail() was called.
            ConcurrencyError: The buffer is full and this thread drains the stream: it would wait
                for itself.
            ConfigurationError: No text is known in such an item.
        """
        conduit = self._conduit
        if isinstance(item, Chunk) and item.error is not None:
            return self.fail(item.error)
        with self._lock:
            chunks = conduit.reader.read(item)
            last = conduit.reader.done
        if conduit.ring.closed:
            raise BufferClosed("the stream of this channel has ended; stop producing")
        try:
            conduit.ring.push_many(chunks, OWN_PATIENCE if conduit.drained_here else None)
        except BufferFull:
            raise ConcurrencyError(
                "the buffer is full and this thread drains the stream: put() would wait for "
                "itself; produce in a thread of its own"
            ) from None
        if last:
            self.finish()

    def finish(self, reason: str | None = None) -> None:
        """The answer is complete; ``reason`` as providers say it (``stop``, ``length``)."""
        conduit = self._conduit
        with self._lock:
            if not conduit.ring.closed:
                conduit.reader.finish_reason = reason or conduit.reader.finish_reason
                conduit.ring.close()

    def fail(self, error: BaseException) -> None:
        """
        End the stream with this very exception, once everything before it was delivered.

        Raises:
            ConfigurationError: It is no exception.
        """
        if not isinstance(error, BaseException):
            raise ConfigurationError(f"fail() needs an exception, got {error!r}")
        conduit = self._conduit
        with self._lock:
            if not conduit.ring.closed:
                conduit.error = error
                conduit.ring.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.fail(error)

    def __del__(self) -> None:
        conduit = getattr(self, "_conduit", None)
        if conduit is not None:  # else __init__ refused what it was given
            conduit.dropped = True  # no lock: the collector may have interrupted who holds it

    def __reduce__(self) -> NoReturn:
        raise TypeError("a channel belongs to one thread's work and cannot be pickled or copied")

    def __repr__(self) -> str:
        state = "closed" if self._conduit.ring.closed else "open"
        return f"<Channel {state}, {len(self._conduit.ring)} queued>"


Produce = Callable[[Channel], Any]


class ChannelSource:
    """
    The other end: a source that takes what a Channel puts.

    Thread safety: **confined** to the reading thread; abort() from anywhere.

    Args:
        conduit: Shared with the Channel.
        start: Starts the thread of the producing function; None where the user has one.
    """

    headers: Mapping[str, str] = {}
    tally: Mapping[str, float] = {}

    def __init__(self, conduit: Conduit, start: Callable[[], None] | None = None) -> None:
        self._conduit = conduit
        self._start = start

    def open(self, link: Link) -> ChannelFeed:
        """Let the producing function begin."""
        start, self._start = self._start, None
        if start is not None and not link.aborted:
            start()
        return ChannelFeed(self._conduit, link)

    def abort(self) -> None:
        """Tell the producer to stop, and wake both sides."""
        self._conduit.abort()


class ChannelFeed(ItemFeed):
    """
    What was put, as chunks.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, conduit: Conduit, link: Link) -> None:
        super().__init__(conduit.reader, link)
        self._conduit = conduit

    def read(self) -> list[Chunk] | None:
        """See Feed; raises what the producer failed with."""
        chunks = self._wait()
        if self._link.aborted:
            raise Aborted
        if chunks:
            self.received += sum(chunk.weight for chunk in chunks)
            return chunks
        # Taken out: error -> traceback -> frames of the producer -> conduit would be a cycle.
        error, self._conduit.error = self._conduit.error, None
        if error is not None:
            raise error
        self.finished = True
        return None

    def _wait(self) -> list[Chunk]:
        """What is there, or comes; [] once the channel is closed and empty."""
        conduit = self._conduit
        while True:
            self.check()
            dropped = conduit.dropped  # asked before the ring: nothing is put after it
            try:
                timed = self._link.tick()
            except TimeoutError:
                return []  # a stop of the user ended the answer
            left = 0.0 if dropped else min(self._link.clocks.total_left(), timed, WAIT_SLICE)
            try:
                return conduit.ring.pop_many(TAKE, timeout=max(0.0, left))
            except TimeoutError:
                if dropped:
                    raise TruncatedStream(
                        "the channel was dropped without finish() or fail()", stage="body"
                    ) from None

    def close(self) -> None:
        """See Feed."""
        self._conduit.abort()
        self._conduit.error = None  # one that nobody took would be a cycle, too


def new_channel(options: StreamOptions) -> tuple[Channel, Stream]:
    """Both ends of a channel, for code that has a thread of its own."""
    conduit = Conduit(options.buffer)
    return Channel(conduit), _stream(conduit, ChannelSource(conduit), options, "channel")


def run_channel(produce: Produce, options: StreamOptions) -> Stream:
    """
    A Stream of what ``produce(channel)`` puts, run in a thread of its own at the first use.

    Raises:
        ConfigurationError: It is not callable, or is a generator or coroutine function: calling
            one of these runs nothing.
    """
    if not callable(produce):
        raise ConfigurationError(
            f"channel() needs a function of a channel, got {type(produce).__name__}"
        )
    if kind := "a generator" if isgeneratorfunction(produce) else async_kind(produce):
        raise ConfigurationError(
            f"channel() needs a plain function that calls put(), got {kind} function"
        )
    conduit = Conduit(options.buffer)
    source = ChannelSource(conduit, lambda: _start(produce, conduit))
    return _stream(conduit, source, options, getattr(produce, "__name__", "function"))


def _stream(conduit: Conduit, source: ChannelSource, options: StreamOptions, name: str) -> Stream:
    run = ForeignRun(source, options, provider="channel", model=name)
    conduit.run = ref(run)  # weak: the producer must not keep a stream alive that nobody wants
    return Stream(run)


def _start(produce: Produce, conduit: Conduit) -> None:
    run = None if conduit.run is None else conduit.run()
    assert run is not None  # it is what opens the source
    thread = threading.Thread(
        target=run.context.copy().run,
        args=(_produce, produce, conduit),
        name=f"streamkit-channel-{run.id}",
        daemon=True,
    )
    try:
        thread.start()
    except RuntimeError as error:
        raise ConnectError(
            f"no thread for the channel: {error}", kind="resources", retryable=False
        ) from None


def _produce(produce: Produce, conduit: Conduit) -> None:
    """The producing thread: however the function leaves, the consumer is told."""
    channel = Channel(conduit)
    try:
        _check_ran(produce(channel))
    except BaseException as error:
        channel.fail(error)  # after a cancel this changes nothing: put() raised to stop it
    else:
        channel.finish()


def _check_ran(result: object) -> None:
    """Refuse what a lambda, or an object with an async call, hides from run_channel()."""
    if isinstance(result, (Awaitable, Generator, AsyncGenerator)):
        close(result)  # a coroutine that is dropped unrun warns
        raise ConfigurationError(
            "channel() needs a plain function that calls put(), got one that returns "
            f"{type(result).__name__} and did not run it"
        )
