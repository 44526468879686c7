"""
One running stream: what the user's handle, the reading thread and the draining thread share.

Who does what. The *reader* pulls chunk lists out of the attempt loop: a producer thread that pushes
them into the ring, or in ``direct`` mode the drainer itself. The *drainer* takes them to the user:
a generator in the caller's thread, get()/poll(), or the consumer thread. Nobody here refers to the
user's handle, so dropping the handle is noticed at once.

How it ends. ``settle()`` fixes the outcome, once, whoever comes first: the drainer when it has
handed out everything, or ``cancel()`` from any thread. cancel() may interrupt its own thread
anywhere, also inside a lock of ours, so on its path there are only flags, latches, tried locks and
``abort()``. The final callbacks run in the drainer; if none is active, in the thread that
cancelled.
"""

from __future__ import annotations

import logging
import os
import threading
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import Context, copy_context
from copy import copy
from time import monotonic
from typing import Any

from streamkit.chunk import Chunk, Outcome, Result
from streamkit.deadline import Clocks
from streamkit.errors import ConcurrencyError, ConnectError, StreamkitError
from streamkit.flow.ring import StreamBuffer
from streamkit.flow.watermark import WaterMark
from streamkit.latch import Latch
from streamkit.observe.metrics import Counters, Metrics
from streamkit.observe.progress import Progress
from streamkit.pipeline.account import Account
from streamkit.pipeline.attempts import Attempts
from streamkit.pipeline.chain import Tail, stage_names
from streamkit.pipeline.hooks import Hooks
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.producer import new_ring, produce
from streamkit.pipeline.source import Source
from streamkit.process import forget, generation, remember
from streamkit.recovery.retry import RetryPolicy
from streamkit.request import Call
from streamkit.transport.base import Link

__all__ = ["Run"]

log = logging.getLogger("streamkit.pipeline")

#: How long the end of a stream waits for the producer to give its connection back.
FAREWELL = 0.1

#: Most chunks a drainer takes at once; as many as the default ring holds.
TAKE = 256


class Run:
    """
    The engine of one Stream.

    Thread safety: **shared**; what is not, says so.
    """

    def __init__(
        self,
        source: Source,
        options: StreamOptions,
        *,
        provider: str,
        model: str,
        stages: Sequence[str] = (),
        call: Call | None = None,
        cached_apart: bool = False,
    ) -> None:
        self.id = os.urandom(8).hex()
        self.provider = provider
        self.model = model
        self.options = options
        self.hooks = Hooks()
        self.counters = Counters()
        #: Whether chunks may be shed, so that gaps show up among the others.
        self.lossy = options.buffer.overflow not in ("block", "coalesce")
        self.tail = Tail(options.limits, stage_names(stages, options.think))
        self.context: Context = copy_context()
        self.ended = Latch()
        #: Set once the final callbacks have returned.
        self.told = Latch()
        #: Held by whoever drains right now; only ever tried, never waited for.
        self.draining = allocate_lock()
        #: The thread that drains or drained last. Not its ident, which another may get.
        self.drainer: threading.Thread | None = None
        #: What a loop has taken out and is going through; a list's own iterator.
        self.rest: Iterator[Chunk] | None = None
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.reason = ""
        self._source = source
        self._account = Account(
            call,
            provider=provider,
            model=model,
            price=options.price,
            tokenizer=options.tokenizer,
            cached_apart=cached_apart,
        )
        self._generation = generation()
        self._cancelled = Latch()
        self._settled = allocate_lock()  # taken once, by the first to settle, and never given back
        self._claimed = allocate_lock()  # likewise, by the one consumer
        self._announced = allocate_lock()
        self._link: Link | None = None
        self._attempts: Attempts | None = None
        self._reader: Iterator[list[Chunk]] | None = None
        self._ring: StreamBuffer[Chunk] | None = None
        self._producer: threading.Thread | None = None
        self._failure: BaseException | None = None
        self._result: Result | None = None
        self.consumer: threading.Thread | None = None

    # -- life

    def check_process(self) -> None:
        """
        Refuse to work in a forked child.

        Raises:
            ConcurrencyError: The stream belongs to the parent process.
        """
        if self.inherited:
            raise ConcurrencyError(
                "this stream was opened before a fork and belongs to the parent process; "
                "open a new one here",
                stream_id=self.id,
            )

    @property
    def inherited(self) -> bool:
        """True in a forked child of the process that made this."""
        return self._generation != generation()

    def claim(self) -> None:
        """
        Become the one consumer.

        Raises:
            ConcurrencyError: There is one already.
        """
        self.check_process()
        if not self._claimed.acquire(blocking=False):
            raise ConcurrencyError(
                "this stream has a consumer already; use result() or wait() to wait for its end",
                stream_id=self.id,
            )

    @property
    def claimed(self) -> bool:
        """Whether a consumer exists, or existed."""
        return self._claimed.locked()

    @property
    def begun(self) -> bool:
        """Whether anything was sent, or is about to be."""
        return self.counters.started is not None

    def begin(self) -> None:
        """Open for business: clocks, ring, reader. Called once, by the consumer."""
        self.counters.started = monotonic()
        link = self._link = Link(Clocks(self.options.timeout))
        retry = self.options.retry
        self._attempts = Attempts(
            source=self._source,
            tail=self.tail,
            link=link,
            policy=None if retry is None else RetryPolicy(retry),
            cancelled=self._cancelled,
            counters=self.counters,
            on_retry=self.hooks.retrying if self.hooks.on_retry else None,
        )
        log.debug("stream begins id=%s provider=%s model=%r", self.id, self.provider, self.model)
        remember(self)
        self._reader = self._attempts.run()
        if self.options.mode != "direct":
            self._start_producer()
        if self.ended.is_set:  # cancelled while we set up: cut what was made after it looked
            link.abort()
            if self._ring is not None:
                self._ring.abort()

    def _start_producer(self) -> None:
        assert self._reader is not None
        ring = self._ring = new_ring(self.options.buffer)
        mark: WaterMark | None = None
        flow = self.options.flow
        if (
            self.options.mode == "managed"
            and flow is not None
            and flow.enabled
            # A lossy policy sheds instead of waiting: with the read paused it could never act.
            and not self.lossy
        ):
            mark = WaterMark(flow.backpressure_threshold, flow.resume_threshold)
        self._producer = threading.Thread(
            target=self.context.copy().run,
            args=(produce, self._reader, ring, mark, self._read_failed),
            name=f"streamkit-producer-{self.id}",
            daemon=True,
        )
        self._reader = None  # the thread owns it now
        self._start(self._producer)

    # -- draining

    def take(self, timeout: float | None) -> list[Chunk] | None:
        """
        The next chunks: [] when none came in time, None at the end. The drainer only.

        The last list before a quiet end finishes with the ``done`` chunk.

        Raises:
            BaseException: What ended the stream, after everything before it was taken.
        """
        if self.ended.is_set:
            return None
        if self._ring is None:
            return self._read_directly()
        try:
            items = self._ring.pop_many(TAKE, timeout=timeout)
        except TimeoutError:
            return []
        if items:
            return items
        if self._failure is not None and not self.ended.is_set:
            raise self._failure
        return None

    def _read_directly(self) -> list[Chunk] | None:
        assert self._reader is not None
        try:
            return next(self._reader, None)
        except StreamkitError as error:
            self._read_failed(error)
            raise

    def _read_failed(self, error: BaseException) -> None:
        """The reader ended with this; complete what it can tell. The reading thread."""
        if isinstance(error, StreamkitError) and self._attempts is not None:
            assert self._link is not None
            error.stream_id = self.id
            error.provider = error.provider or self.provider
            error.attempts = self._attempts.made
            error.request_id = error.request_id or self._attempts.request_id
            error.stage = error.stage or ("body" if self._attempts.answered else "connect")
            error.elapsed = self._link.clocks.elapsed()
        self._failure = error

    # -- the end

    def settle(self, outcome: Outcome, error: BaseException | None = None) -> bool:
        """Fix the outcome, unless it is fixed; True for the caller who did."""
        if not self._settled.acquire(blocking=False):
            return False
        try:
            self.counters.ended = monotonic() if self.begun else None
            self.error = error
            self.outcome = outcome
            forget(self)
        finally:
            self.ended.set()  # whatever interrupts us: nobody may wait for ever
        return True

    def cancel(self, reason: str = "") -> None:
        """Stop now, from anywhere; see the top of the file."""
        if not self.settle("cancelled"):
            return
        self.reason = reason
        self.cut()
        if not self.inherited:
            self.tidy()

    stop = cancel  # for process.Stoppable

    def fail(self, error: BaseException) -> None:
        """A callback raised, or the reader did: that is the outcome. The drainer only."""
        outcome: Outcome = "failed"
        if isinstance(error, StreamkitError):
            outcome = error.outcome
            if error is self._failure and self._attempts is not None and self._attempts.answered:
                error.partial = self._settled_result(outcome)
        self.settle(outcome, error)
        self.cut()

    def cut(self) -> None:
        """Close the connection and wake everybody."""
        self._cancelled.set()
        if self._link is not None:
            self._link.abort()
        if self._ring is not None:
            self._ring.abort()

    def release(self) -> None:
        """The drainer leaves for good: whatever is still open is closed."""
        if not self.ended.is_set:
            self.settle("cancelled")
        self._cancelled.set()
        if self.outcome == "cancelled" or self.error is not None:
            self.cut()
        self.tidy()

    def farewell(self) -> None:
        """
        Let the reader take leave of the server, so that the connection serves the next stream.

        The leave takes at most 50 ms (PROMISES.md P54), and next to nothing as a rule.
        """
        if self._producer is not None:
            self.join(FAREWELL)
        if self._reader is not None and self.draining.acquire(blocking=False):
            try:
                next(self._reader, None)
            finally:
                self.draining.release()

    def tidy(self) -> None:
        """
        After the end: close the direct reader's connection, run the final callbacks, once.

        Whoever drains does it when done; who comes while somebody drains leaves it to them.
        """
        if not self.draining.acquire(blocking=False):
            return
        try:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()  # type: ignore[attr-defined]
            self._announce()
        finally:
            self.draining.release()

    def _announce(self) -> None:
        if self._announced.acquire(blocking=False):
            log.debug("stream ended id=%s outcome=%s reason=%r", self.id, self.outcome, self.reason)
            if self.consumer is not None:
                self.counters.chunks_delivered -= self.hooks.undelivered()
            try:
                self.hooks.finish(self.result, self.metrics, self.progress, self.error)
            finally:
                self.told.set()

    def join(self, timeout: float) -> None:
        """Wait for our threads, at most that long."""
        end = monotonic() + timeout
        for thread in (self._producer, self.consumer):
            # A thread without an ident was not started: the process may end at any moment.
            if thread is not None and thread.ident not in (None, get_ident()):
                thread.join(max(0.0, end - monotonic()))

    def start_consumer(self, target: Callable[[], Any]) -> None:
        """Run ``target`` in the consumer thread, in the creator's context."""
        self.consumer = threading.Thread(
            target=self.context.copy().run,
            args=(target,),
            name=f"streamkit-consumer-{self.id}",
            daemon=True,
        )
        try:
            self._start(self.consumer)
        except ConnectError as error:
            self.consumer = None
            self.fail(error)
            self.release()
            raise

    def _start(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError as error:
            raise ConnectError(
                f"no thread for the stream: {error}; mode='direct' works without one",
                kind="resources", retryable=False, stage="connect", stream_id=self.id,
            ) from None  # fmt: skip

    # -- snapshots, any thread

    def result(self) -> Result:
        """The Result so far, or the final one."""
        if self._result is not None:
            return self._result
        if not self.ended.is_set:
            return self._snapshot(self.outcome)
        self._result = self._settled_result(self.outcome)
        return self._result

    def _settled_result(self, outcome: Outcome | None) -> Result:
        answered = self._attempts is not None and self._attempts.answered
        return self._account.settle(self._snapshot(outcome), self.tail.details, answered=answered)

    def _snapshot(self, outcome: Outcome | None) -> Result:
        return self.tail.result(
            outcome=outcome,
            request_id=self.request_id,
            metrics=self.metrics(),
            attempts=() if self._attempts is None else self._attempts.made,
            dropped=self.dropped,
        )

    @property
    def dropped(self) -> int:
        """Chunks the consumer never got: shed by the buffer policy, or left by a cancel."""
        if self.ended.is_set and (self.outcome == "cancelled" or self.error is not self._failure):
            # Stopped by the consumer: what was on its way, wherever it was, reached nobody.
            counters = self.counters
            return counters.chunks_received - self.delivered - self._merged
        return 0 if self._ring is None else self._ring.stats().dropped

    @property
    def _merged(self) -> int:
        return 0 if self._ring is None else self._ring.merged

    @property
    def delivered(self) -> int:
        """Chunks handed out; those a loop has taken but not come to yet are not."""
        rest = self.rest
        return self.counters.chunks_delivered - (0 if rest is None else counted(copy(rest)))

    @property
    def request_id(self) -> str | None:
        """The provider's id of the last request."""
        return None if self._attempts is None else self._attempts.request_id

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the last answer, without secrets."""
        return self._source.headers

    def metrics(self) -> Metrics:
        """The numbers so far."""
        return self.counters.snapshot(
            monotonic(),
            stream_id=self.id,
            provider=self.provider,
            model=self.model,
            dropped=self.dropped,
            merged=self._merged,
            delivered=self.delivered,
        )

    def progress(self) -> Progress:
        """How far the drainer has come."""
        return Progress(
            tokens_received=self.delivered,
            elapsed=self.counters.elapsed(monotonic()),
        )


def counted(chunks: Iterable[Chunk]) -> int:
    """How many were received; gaps never were."""
    return sum(chunk.kind != "gap" for chunk in chunks)
