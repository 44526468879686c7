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
import threading
from _thread import allocate_lock, get_ident
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import Context, copy_context
from time import monotonic
from typing import TYPE_CHECKING, Any

from streamkit.chunk import Chunk, Outcome
from streamkit.deadline import Clocks
from streamkit.errors import (
    ConcurrencyError,
    ConfigurationError,
    ConnectError,
    RecoveryFailed,
    StreamkitError,
)
from streamkit.flow.watch import Backpressure
from streamkit.latch import Latch, Once, check_locks
from streamkit.pipeline.attempts import Attempts
from streamkit.pipeline.carry import Carry, explain
from streamkit.pipeline.hooks import Hooks
from streamkit.pipeline.http import HttpSource
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.pace import Pace
from streamkit.pipeline.producer import Overdue, new_ring, produce
from streamkit.pipeline.report import Report
from streamkit.pipeline.source import Source
from streamkit.process import forget, generation, remember
from streamkit.recovery.retry import RetryPolicy
from streamkit.request import Call
from streamkit.transport.base import Link

if TYPE_CHECKING:
    from streamkit.pipeline.saver import Saver

__all__ = ["Run"]

log = logging.getLogger("streamkit.pipeline")

#: How long the end of a stream waits for the producer to give its connection back.
FAREWELL = 0.1

#: Most chunks a drainer takes at once; more than the default ring holds.
TAKE = 256


class Run(Report):
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
        super().__init__(
            options, provider=provider, model=model, stages=stages, call=call,
            cached_apart=cached_apart,
        )  # fmt: skip
        self.hooks = Hooks()
        #: Whether chunks may be shed, so that gaps show up among the others.
        self.lossy = options.buffer.overflow not in ("block", "coalesce")
        self.pace = None if options.rate is None else Pace(options.rate, options.tokenizer)
        self.context: Context = copy_context()
        #: Tells what was asked, and where, without any key; None where that is not known.
        self.describe: Callable[[], dict[str, Any]] | None = None
        #: Set once the final callbacks have returned.
        self.told = Latch()
        #: Held by whoever drains right now; only ever tried, never waited for.
        self.draining = allocate_lock()
        #: The thread that drains or drained last. Not its ident, which another may get.
        self.drainer: threading.Thread | None = None
        self.reason = ""
        #: The stream begins with the rest of an answer that broke before it was made, and whose
        #: last entry in the store had this number; None begins an answer.
        self.resumes: int | None = None
        self._source = source
        self._let_pass = source.tally
        self._generation = generation()
        self._cancelled = Latch()
        self._settled = Once()  # by the first to settle
        self._claimed = Once()  # by the one consumer
        self._announced = Once()
        self._link: Link | None = None
        self._reader: Iterator[list[Chunk]] | None = None
        self._producer: threading.Thread | None = None
        self.consumer: threading.Thread | None = None
        #: Nobody but the callbacks gets the chunks.
        self.only_calls = False

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
        if not self._claimed.take():
            raise ConcurrencyError(
                "this stream has a consumer already; use result() or wait() to wait for its end",
                stream_id=self.id,
            )

    @property
    def claimed(self) -> bool:
        """Whether a consumer exists, or existed."""
        return self._claimed.taken

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the last answer, without secrets."""
        return self._source.headers

    @property
    def begun(self) -> bool:
        """Whether anything was sent, or is about to be."""
        return self.counters.started is not None

    def begin(self) -> None:
        """
        Open for business: clocks, ring, reader. Called once, by the consumer.

        Raises:
            ConcurrencyError: gevent patched the locks after we took ours.
        """
        check_locks()
        now, ended = monotonic(), self.counters.ended
        self.counters.started = now if ended is None else min(now, ended)
        link = self._link = Link(Clocks(self.options.timeout))
        saver = self._saver(link)  # first: an id that is taken is told before anything is sent
        self._attempts = Attempts(
            source=self._source,
            tail=self.tail,
            link=link,
            policy=self._retry_policy(),
            cancelled=self._cancelled,
            counters=self.counters,
            on_retry=self.hooks.retrying if self.hooks.on_retry else None,
            carry=self._carry(),
            beats=self.options.mode == "direct" and self.hooks.any_reports,
        )
        log.debug("stream begins id=%s provider=%s model=%r", self.id, self.provider, self.model)
        remember(self)
        reader = self._attempts.run()
        self._reader = reader if saver is None else saver.watch(reader, self)
        if self.options.mode != "direct":
            self._start_producer()
        elif self.tail.is_timed:
            link.timer = Overdue(self.tail, self._attempts.late.extend, self.counters)
        if self.ended.is_set:  # cancelled while we set up: cut what was made after it looked
            forget(self)
            link.abort()
            if self._ring is not None:
                self._ring.abort()

    def _saver(self, link: Link) -> Saver | None:
        """What keeps the answer in a store; None where nobody asked for one."""
        config = self.options.recovery
        if config is None or config.store is None:
            return None
        if self.describe is None:
            raise ConfigurationError(
                "a recovery store needs a stream that streamkit itself asks for"
            )
        from streamkit.pipeline.saver import Saver  # for who keeps answers

        saver = Saver(
            config.store, config.id or self.id, self.describe(), config.ttl,
            behind=self.resumes, clock=link.clocks.now,
        )  # fmt: skip
        self.tail.keep(saver)
        return saver

    def _carry(self) -> Carry | None:
        """What carries a broken answer on; None where that is switched off."""
        config = self.options.recovery
        if config is None or not isinstance(self._source, HttpSource):
            return None
        self._source.carries = True
        return Carry(config, self._source, self.options.retry, resumes=self.resumes is not None)

    def _retry_policy(self) -> RetryPolicy | None:
        retry = self.options.retry
        return None if retry is None else RetryPolicy(retry)

    def _start_producer(self) -> None:
        assert self._reader is not None
        assert self._link is not None
        ring = self._ring = new_ring(self.options.buffer, paced=self.pace is not None)
        if self.tail.is_timed:
            self._link.timer = Overdue(self.tail, ring.push_many, self.counters)
        options, flow = self.options, self.options.flow
        # Who paces and merges wants the network to be read on: DESIGN.md 3.6.
        merges = self.pace is not None and options.buffer.overflow == "coalesce"
        if options.mode == "managed" and flow is not None and flow.enabled and not merges:
            self._pressure = Backpressure(ring, flow)
        self._producer = threading.Thread(
            target=self.context.copy().run,
            args=(produce, self._reader, ring, self._pressure, self._read_failed),
            name=f"streamkit-producer-{self.id}",
            daemon=True,
        )
        reader, self._reader = self._reader, None  # the thread owns it now
        try:
            self._start(self._producer)
        except ConnectError as error:
            self._producer = None
            reader.throw(error)  # type: ignore[attr-defined]  # who keeps the answer is told

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
            # What is paced stays in the ring, where it can be merged and holds the reader.
            items = self._ring.pop_many(TAKE if self.pace is None else 1, timeout=timeout)
        except TimeoutError:
            return []
        if items:
            return items
        if self._failure is not None and not self.ended.is_set:
            raise self._failure
        return None

    @property
    def has_more(self) -> bool:
        """Whether the next take finds chunks, and so is not the end. The drainer only."""
        paced = self.pace is not None and not self.pace.is_empty
        return paced or (self._ring is not None and len(self._ring) > 0)

    def _read_directly(self) -> list[Chunk] | None:
        assert self._reader is not None
        try:
            return next(self._reader, None)
        except Exception as error:
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
            if isinstance(self._source, HttpSource):
                carried = self.options.recovery is not None
                explain(error, self.tail.characters, carried=carried)
        self._failure = error

    # -- the end

    def failed_with(self, error: BaseException) -> bool:
        """Whether the reader ended with this; else it is the user's, or a misuse."""
        return error is self._failure

    def settle(self, outcome: Outcome, error: BaseException | None = None) -> bool:
        """Fix the outcome, unless it is fixed; True for the caller who did."""
        if not self._settled.take():
            return False
        try:
            self.counters.ended = monotonic()
            self.error = error
            self.outcome = outcome
            self.counters.raised = error is not None and not self._failed_with(error)
        finally:
            self.ended.set()  # whatever interrupts us: nobody may wait for ever
        forget(self)  # after that: who begins just now looks at it once it is remembered
        return True

    def _failed_with(self, error: BaseException) -> bool:
        """Whether it is what the last request failed with, which is counted there."""
        attempts = self._attempts
        if isinstance(error, RecoveryFailed):
            error = error.__cause__ or error
        return attempts is not None and any(made.error is error for made in attempts.made[-1:])

    def cancel(self, reason: str = "") -> None:
        """Stop now, from anywhere; see the top of the file."""
        if not self.settle("cancelled"):
            return
        self.reason = reason
        self.cut()
        if not self.inherited:
            self.tidy()

    stop = cancel  # for process.Stoppable

    def fail(self, error: BaseException) -> bool:
        """
        A callback raised, or the reader did: that is the outcome. The drainer only.

        False where a cancel was quicker than the reader, so that its error is nobody's concern.
        """
        outcome: Outcome = "failed"
        if isinstance(error, StreamkitError):
            outcome = error.outcome
            if error is self._failure and self._attempts is not None and self._attempts.answered:
                error.partial = self.settled_result(outcome)
        first = self.settle(outcome, error)
        self.cut()
        return first or error is not self._failure

    def break_off(self, error: BaseException) -> None:
        """Somebody beside the stream found that it cannot go on: end it so, from any thread."""
        outcome: Outcome = "failed"
        if isinstance(error, StreamkitError):
            outcome = error.outcome
            error.partial = error.partial or self.settled_result(outcome)
        if self.settle(outcome, error):
            self.cut()
            self.tidy()

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
        if self._announced.take():
            log.debug("stream ended id=%s outcome=%s reason=%r", self.id, self.outcome, self.reason)
            if self.only_calls:
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
        except BaseException:
            # Ctrl-C while we waited for it to begin: it may run or not, so nobody waits for it, and
            # if it runs it finds the stream stopped.
            self.cancel("interrupted")
            raise
