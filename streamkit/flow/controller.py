"""
FlowController: a producer, a ring, and a consumer that may be slower.

How it works. The producer calls push(), which waits while there is pressure and then puts the item
into a StreamBuffer. One thread of ours takes items out and hands them, or batches of them, to the
consumer, a callback. Pressure and slow calls are the matter of watch.py.

    running ──complete()──▶ completing ──everything delivered──▶ completed
       └───────────────abort(), or the consumer raised──────────────────▲

Every item is accounted for: received = delivered + dropped + merged + pending, at any moment, and
once completed nothing is pending.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock, Thread, current_thread
from time import monotonic
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

from typing_extensions import Self

from streamkit.callback import check_callable
from streamkit.errors import BufferClosed, BufferFull, ConcurrencyError, ConfigurationError
from streamkit.flow.batch import BatchConfig, BatchMetrics, ChunkBatcher
from streamkit.flow.bounds import BufferConfig
from streamkit.flow.checks import check_config
from streamkit.flow.ring import StreamBuffer
from streamkit.flow.watch import Backpressure, ConsumerWatch, FlowEvent
from streamkit.flow.watermark import FlowConfig
from streamkit.latch import Latch

__all__ = ["FlowController", "FlowState", "FlowStats"]

T = TypeVar("T")

log = logging.getLogger("streamkit.flow")

FlowState = Literal["running", "completing", "completed"]

#: Seconds that leaving a block by an exception waits for the consumer's running call. Chosen.
FAREWELL = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowStats:
    """
    The accounting of a controller: ``received == delivered + dropped + merged + pending``.

    Thread safety: **immutable**.

    Args:
        state: ``running``, ``completing`` (no more is accepted) or ``completed``.
        received: Items pushed, those that the policy shed included.
        delivered: Items handed to the consumer, those on which it raised included.
        dropped: Items shed, overwritten, or left by an abort or by a consumer that raised.
        merged: Items that became part of another.
        pending: Items on their way.
        capacity: Slots of the ring as of now; ``resizes``, how often their number changed.
        peak: The most items that were in the ring.
        backpressure_events: How often the fill reached the high mark.
        time_paused: Seconds that producers were held, or waited for room in the ring.
        handler_time: Seconds spent in the consumer.
        slow_events: Calls of the consumer over ``slow_threshold``.
        time_lost: Seconds that they took beyond it.
        errors: Calls of the consumer that raised.
        batches: How items were grouped; None where they were not.
    """

    state: FlowState
    received: int
    delivered: int
    dropped: int
    merged: int
    pending: int
    capacity: int
    resizes: int
    peak: int
    backpressure_events: int
    time_paused: float
    handler_time: float
    slow_events: int
    time_lost: float
    errors: int
    batches: BatchMetrics | None


class FlowController(Generic[T]):
    """
    Deliver what one thread produces to a callback in another, which may be slower.

    >>> shown = []
    >>> with FlowController(shown.append) as flow:
    ...     for word in ("one", "two", "three"):
    ...         _ = flow.push(word)
    >>> shown
    ['one', 'two', 'three']

    Leaving the block delivers what is queued; leaving it by an exception aborts. Without a block:
    start(), push(), complete(). One that is forgotten keeps its thread.

    Thread safety: **shared**: any number of producers; ``consume`` runs in one thread of ours.

    Args:
        consume: Called with an item, or with a Batch if ``batch`` is given.
        buffer: The ring. Its ``max_bytes`` counts only with ``size_of``, which also tells an
            adaptive ``batch`` how large items are.
        flow: Water marks, what is slow, and what follows when ``consume`` raises.
        batch: How to group; None hands over item by item.
        size_of, may_shed, merge: As for StreamBuffer.
        on_event: Called with each FlowEvent, in the thread that caused it. What it raises is
            logged.
        clock: Seconds that never go back.

    Raises:
        ConfigurationError: A callback or hook that cannot be called, options of another kind, or a
            policy without the hook that it needs.
    """

    # Guarded by _lock: _thread and _capacity. Written by the consuming thread alone: _delivered,
    # _left and _error.

    def __init__(
        self,
        consume: Callable[[Any], Any],
        *,
        buffer: BufferConfig | None = None,
        flow: FlowConfig | None = None,
        batch: BatchConfig | None = None,
        size_of: Callable[[T], int] | None = None,
        may_shed: Callable[[T], bool] | None = None,
        merge: Callable[[T, T], T | None] | None = None,
        on_event: Callable[[FlowEvent], Any] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        if not callable(consume):
            raise ConfigurationError(f"consume must be callable, got {consume!r}")
        buffer = BufferConfig() if buffer is None else buffer
        flow = FlowConfig() if flow is None else flow
        check_config("buffer", buffer, BufferConfig)
        check_config("flow", flow, FlowConfig)
        check_callable(consume=consume, on_event=on_event, clock=clock)
        self._consume = consume
        self._clock = clock
        self._on_event = on_event
        tell = None if on_event is None else self._tell
        self._ring: StreamBuffer[T] = StreamBuffer(
            buffer.capacity,
            overflow=buffer.overflow,
            max_capacity=buffer.max_capacity,
            max_bytes=None if size_of is None else buffer.max_bytes,
            size_of=size_of,
            may_shed=may_shed,
            merge=merge,
        )
        self._capacity = buffer.capacity  # as last told by an event
        self._pressure = Backpressure(self._ring, flow, on_event=tell, clock=clock)
        self._watch = ConsumerWatch(flow, on_event=tell, clock=clock)
        self._batcher: ChunkBatcher[T] | None = None
        if batch is not None:
            check_config("batch", batch, BatchConfig)
            self._batcher = ChunkBatcher(batch, size_of=size_of)
        self._delivered = 0
        self._left = 0  # taken out of the ring and not delivered, at the end
        self._aborted = False
        self._error: BaseException | None = None
        self._completed = Latch()
        self._lock = Lock()
        self._thread: Thread | None = None

    def start(self) -> Self:
        """
        Start the consuming thread; further calls change nothing.

        Raises:
            RuntimeError: The system has no thread left.
        """
        with self._lock:
            if self._thread is None:
                self._thread = Thread(
                    target=self._run, name=f"streamkit-consumer-{id(self):x}", daemon=True
                )
                try:
                    self._thread.start()
                except RuntimeError:
                    self._thread = None  # so that a later call may try again
                    raise
        return self

    def push(self, item: T, timeout: float | None = None) -> bool:
        """
        Add one item; True if it is kept or merged, False if the policy shed it.

        Blocks while there is pressure, or the ring is full, and the policy is one that waits.

        Args:
            item: Anything.
            timeout: Seconds to wait; 0 never waits, None waits for ever.

        Raises:
            BufferFull: No room came in time; the item is not counted.
            BufferClosed: complete() or abort() was called, or the consumer raised, which is then
                the ``__cause__``.
            ConcurrencyError: Called by the consumer, it would have waited for itself.
            ValueError: A negative timeout.
        """
        own = current_thread() is self._thread
        if self._pressure.holds and not own:
            timeout = self._hold(timeout)
        try:
            kept = self._ring.push(item, 0 if own else timeout)
        except BufferClosed as closed:
            raise closed from self._error
        except BufferFull:
            if not own or timeout == 0:
                raise
            raise ConcurrencyError("push() waits for the consumer, and was called by it") from None
        self._pressure.note()
        self._note_size()
        return kept

    def complete(self, timeout: float | None = None) -> FlowStats:
        """
        Accept no more, deliver everything, and wait until that is done.

        Args:
            timeout: Seconds to wait; None waits for ever.

        Raises:
            TimeoutError: It is not done yet; the delivery goes on.
            ConcurrencyError: Called by the consumer, which would wait for itself.
            BaseException: What the consumer raised, the same object.
        """
        self._ring.close()
        self.start()
        if current_thread() is self._thread:
            raise ConcurrencyError("complete() waits for the consumer, and was called by it")
        if not self._completed.wait(timeout):
            raise TimeoutError(f"not everything was delivered within {timeout:g} s")
        if self._error is not None:
            raise self._error
        return self.stats()

    def abort(self) -> None:
        """
        Stop now: what is queued is dropped, who waits wakes. The consumer ends its running call.

        From any thread, a signal handler or ``__del__``; never blocks. Idempotent.
        """
        self._aborted = True
        self._ring.abort()

    @property
    def state(self) -> FlowState:
        """``running``, ``completing`` or ``completed``."""
        if self._completed.is_set:
            return "completed"
        return "completing" if self._ring.closed else "running"

    def stats(self) -> FlowStats:
        """The accounting, at one moment; from any thread."""
        state = self.state
        delivered, left = self._delivered, self._left  # before the ring's, or pending could be < 0
        ring, watch, pressure = self._ring.stats(), self._watch, self._pressure
        dropped = ring.dropped + left
        return FlowStats(
            state=state,
            received=ring.pushed,
            delivered=delivered,
            dropped=dropped,
            merged=ring.merged,
            pending=ring.pushed - delivered - dropped - ring.merged,
            capacity=ring.capacity,
            resizes=ring.grown + ring.shrunk,
            peak=ring.peak,
            backpressure_events=pressure.events,
            time_paused=pressure.time_paused + ring.time_waited,
            handler_time=watch.handler_time,
            slow_events=watch.slow_events,
            time_lost=watch.time_lost,
            errors=watch.errors,
            batches=None if self._batcher is None else self._batcher.metrics(),
        )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self.complete()
            return
        self.abort()
        self._completed.wait(FAREWELL)

    def _hold(self, timeout: float | None) -> float | None:
        """Wait while there is pressure; what is left of the time."""
        began = self._clock()
        if not self._pressure.hold(timeout):
            raise BufferFull(f"no room came within {timeout:g} s", accepted=0)
        return None if timeout is None else max(0.0, timeout - (self._clock() - began))

    def _run(self) -> None:
        """The consuming thread."""
        try:
            if self._batcher is None:
                self._run_single()
            else:
                self._run_batched(self._batcher)
        except BaseException as error:
            self._error = error
            self._ring.abort()
        finally:
            self._left = self._ring.stats().popped - self._delivered
            self._completed.set()

    def _run_single(self) -> None:
        # One at a time: what was taken out ahead could no longer be overwritten, nor hold the
        # producer. The way from one water mark to the other spares the threads most switches.
        while items := self._ring.pop_many(1):
            self._note_size()
            self._delivered += 1
            self._watch.call(self._consume, items[0])

    def _run_batched(self, batcher: ChunkBatcher[T]) -> None:
        more = True
        while more:
            due = batcher.due()
            wait = None if due is None else max(0.0, due - self._clock())
            try:
                items = self._ring.pop_many(batcher.config.max_size, timeout=wait)
            except TimeoutError:
                batches = batcher.tick(self._clock())
            else:
                self._note_size()
                more = bool(items)
                batches = batcher.feed(items, self._clock()) if more else batcher.close()
            for batch in batches:
                if self._aborted:
                    return
                self._delivered += len(batch)
                batcher.handled(self._watch.call(self._consume, batch))

    def _note_size(self) -> None:
        """Tell of a change in the number of slots."""
        if self._on_event is None or self._ring.capacity == self._capacity:
            return
        with self._lock:
            capacity = self._ring.capacity
            changed = capacity != self._capacity
            self._capacity = capacity
        if changed:
            self._tell(FlowEvent(kind="resize", value=capacity))

    def _tell(self, event: FlowEvent) -> None:
        assert self._on_event is not None
        try:
            self._on_event(event)
        except Exception:
            log.exception("callback failed name=on_event kind=%s", event.kind)
