"""
The one consumer of a run: takes chunk lists, runs the callbacks, notices the end.

Every verb that gives out content drains through this class, whichever thread it runs in, so ending,
cancelling and failing are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import current_thread
from time import monotonic, time

from streamkit.chunk import Chunk
from streamkit.errors import ConcurrencyError
from streamkit.pipeline.report import counted
from streamkit.pipeline.run import Run

__all__ = ["Drain", "open_drain"]


class Drain:
    """
    Drain one run.

    Thread safety: **confined**: calls from two threads at the same moment raise ConcurrencyError.
    """

    def __init__(self, run: Run) -> None:
        run.claim()
        self.run = run
        #: The ``done`` chunk, once everything before it was given out.
        self.final: Chunk | None = None
        self._over = False
        self._timed = False
        self._hooked = False
        self._reports = False
        self._between: Callable[[], None] | None = None
        self._clocked = run.counters.timed
        flow = run.options.flow
        managed = run.options.mode == "managed" and flow is not None and flow.enabled
        #: Seconds of a loop body that are too long; None where nobody asked.
        self._slow = flow.slow_threshold if managed and flow is not None else None

    def next(
        self, timeout: float | None = None, *, delivered: bool = False, settles: bool = True
    ) -> list[Chunk] | None:
        """
        The next chunks; [] when none came in time or a callback cancelled, None at the end (then
        ``final`` may be set).

        With ``delivered`` they count as such at once: nobody but the callbacks gets them. Without
        ``settles`` what the reader ended with is raised only; failed() then makes it the outcome.

        Raises:
            BaseException: What ended the stream: its own error, or what a callback raised.
            ConcurrencyError: Another thread is inside.
        """
        run = self.run
        run.check_process()
        if not run.draining.acquire(blocking=False):
            if not run.ended.is_set:
                raise ConcurrencyError("two threads drain one stream", stream_id=run.id)
            if run.error is not None:
                raise run.error
            return None  # who stopped the stream makes the last calls right now
        run.drainer = current_thread()
        try:
            if not run.begun:
                self._begin()
            if self._hooked or self._timed:
                chunks = self._next_hooked(timeout)
            else:
                chunks = self._fetch(timeout)
            if delivered and chunks:
                self.count(chunks)
            if chunks is None and self.final is None and not run.ended.is_set:
                run.settle("cancelled")  # the reader stopped without a word: it was cut
            return chunks
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and run.consumer is None:
                run.settle("cancelled")  # Ctrl-C while waiting: the user's word, not a failure
                run.cut()
            elif (settles or not run.failed_with(error)) and not run.fail(error):
                return None
            raise
        finally:
            run.draining.release()
            if run.ended.is_set:  # looked at last: who cancelled while we drained left it to us
                run.tidy()

    def failed(self, error: Exception) -> bool:
        """next() raised this; False where a cancel was quicker, so that it is nobody's concern."""
        return self.run.fail(error)

    def end(self, *, wait: bool = True) -> None:
        """
        Everything was handed out: the outcome is what the reader judged.

        With ``wait`` the connection is back in its pool when this returns.
        """
        run = self.run
        if self.final is not None and run.settle(self.final.metadata["outcome"]) and wait:
            run.farewell()
        run.release()

    def hand_out(self, chunks: list[Chunk]) -> Iterator[Chunk]:
        """Go through chunks one by one; they count as delivered as the loop comes to them."""
        rest = iter(chunks)
        self.run.rest = rest
        self.count(chunks)
        return self._watched(rest) if self.watches else rest

    def _watched(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """The same, with a look at the time after each loop body."""
        began = monotonic()
        for chunk in chunks:
            yield chunk
            began = self.handled(began)
            if self.run.ended.is_set:
                return  # on_metrics or on_progress stopped it

    @property
    def watches(self) -> bool:
        """Whether handled() has a use."""
        return self._slow is not None or self._reports

    def handled(self, began: float) -> float:
        """A loop body is over: it may have been too long, or time to report; what time it is."""
        now = monotonic()
        if self._slow is not None and now - began > self._slow:
            self.run.counters.slow(now - began)
        if self._reports and self.run.hooks.reports_due(now):
            self._report()
        return now

    def _report(self) -> None:
        """on_metrics and on_progress, while the user's code goes through what was taken."""
        run = self.run
        if not run.draining.acquire(blocking=False):
            return  # a cancel from elsewhere makes the last calls right now
        try:
            if not run.ended.is_set:
                run.hooks.report(run.metrics, run.progress)
        finally:
            run.draining.release()
            if run.ended.is_set:
                run.tidy()

    def handing(self) -> None:
        """What was taken before, and held back, goes out now: until here it waited in a queue."""
        if self._clocked:
            self.run.counters.handed(monotonic())

    def leave(self) -> None:
        """The consumer is gone, maybe before the end, and the rest it took is not delivered."""
        run = self.run
        delivered, run.rest = run.delivered, None
        run.counters.chunks_delivered = delivered
        run.release()

    def count(self, chunks: list[Chunk]) -> None:
        """These are delivered. Gaps are not counted: they were never received."""
        self.run.counters.chunks_delivered += counted(chunks) if self.run.lossy else len(chunks)

    def _begin(self) -> None:
        run = self.run
        hooks = run.hooks
        hooks.begin(run.options, run.counters)
        self._hooked = hooks.any_content
        self._timed = hooks.due() is not None or bool(hooks.on_progress or hooks.on_metrics)
        self._reports = hooks.any_reports
        self._between = self._report_inside if self._reports else None
        if not run.ended.is_set:
            run.begin()

    def _fetch(self, timeout: float | None) -> list[Chunk] | None:
        """What comes next, at the pace the user asked for."""
        run = self.run
        pace = run.pace
        if pace is None:
            return self._take(timeout)
        if run.ended.is_set:
            pace.clear()
        if pace.is_empty:
            until = None if timeout is None else monotonic() + timeout
            chunks = self._take(timeout)
            if not chunks:
                return chunks
            pace.add(chunks)
            timeout = None if until is None else max(0.0, until - monotonic())
        chunks = pace.next(timeout, run.ended)
        if chunks:
            self.handing()
        return chunks

    def _take(self, timeout: float | None) -> list[Chunk] | None:
        if self._over:
            return None
        counters = self.run.counters
        if self._clocked:
            counters.asks(monotonic())
        chunks = self.run.take(timeout)
        if chunks:
            if self._clocked:
                counters.took(monotonic())
                counters.queued(time() - chunks[0].timestamp)
            if chunks[-1].done:
                self.final = chunks.pop()
                self._over = True
                if not chunks:
                    return None
        elif chunks is None:
            self._over = True
        return chunks

    def _next_hooked(self, timeout: float | None) -> list[Chunk] | None:
        """The same, with callbacks, and with the timed ones called on time while nothing comes."""
        run, hooks = self.run, self.run.hooks
        end = None if timeout is None else monotonic() + timeout
        waits = run.options.mode != "direct"  # there nothing but bytes ends a wait
        while True:
            try:
                chunks = self._fetch(self._patience(end) if waits else None)
            except Exception:
                hooks.flush(self._stopped)  # what arrived comes before what ended it
                raise
            if chunks and self._hooked:
                try:
                    hooks.deliver(chunks, self._stopped, self._between)
                except BaseException:
                    self.count(chunks)
                    raise
            elif chunks is None:
                hooks.flush(self._stopped)
                if self.final is not None:
                    hooks.deliver_final(self.final, self._stopped)
                return None
            if hooks.overdue():
                if self._clocked and not chunks:
                    run.counters.took(monotonic())  # from here on it is the callbacks' time
                hooks.tick(run.metrics, run.progress, self._stopped)
            if chunks or (end is not None and monotonic() >= end):
                return chunks

    def _report_inside(self) -> None:
        """The same between two callbacks, where we are the one who drains."""
        if self.run.hooks.reports_due(monotonic()):
            self.run.hooks.report(self.run.metrics, self.run.progress)

    def _patience(self, end: float | None) -> float | None:
        """Seconds until the caller's time or the next timed call, whichever is first."""
        due = self.run.hooks.due()
        if due is None or (end is not None and end < due):
            due = end
        return None if due is None else max(0.0, due - monotonic())

    def _stopped(self) -> bool:
        return self.run.ended.is_set


def open_drain(run: Run) -> Drain | None:
    """
    Become the consumer; None when the stream has ended already.

    Raises:
        ConcurrencyError: There is a consumer, or the stream belongs to the parent process.
    """
    run.check_process()
    return None if run.ended.is_set else Drain(run)
