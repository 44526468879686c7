"""
The running numbers of a stream.

They are plain attributes, each written by one thread only, and once per read or delivery, so that
counting costs next to nothing per chunk. A snapshot may be taken by any thread; its fields are each
exact, and were read within the same microsecond or so.
"""

from __future__ import annotations

from math import inf
from threading import RLock

from streamkit.observe.gaps import Gaps
from streamkit.observe.metrics import Metrics, MetricsConfig
from streamkit.observe.spent import Ledger, TimeSpent, divide

__all__ = ["Counters"]


class Counters:
    """
    The running numbers of one stream.

    Thread safety: **shared**: each method says whose it is; any thread takes snapshots.

    Args:
        config: What to measure with the clock; None only counts.
    """

    # The reader writes what was received, the drainer what was delivered. What the drainer knows of
    # its time is one tuple that is swapped as a whole: a snapshot never counts a moment twice.

    __slots__ = (
        "_asked", "_gaps", "_ledger", "_named", "_named_lock", "_reading", "_stall", "_waited",
        "_waited_peak", "_waits", "backpressure_events", "bytes_received", "chunks_delivered",
        "chunks_received", "consumer_errors", "ended", "errors", "first", "last", "opened",
        "raised", "retries", "slow_events", "stalls", "started", "time_paused", "time_slow",
    )  # fmt: skip

    def __init__(self, config: MetricsConfig | None = None) -> None:
        self.started: float | None = None
        self.ended: float | None = None
        self.opened: float | None = None
        self.first: float | None = None
        self.last: float | None = None
        self.chunks_received = 0
        self.bytes_received = 0
        self.chunks_delivered = 0
        self.errors = 0
        self.raised = False  # the stream ended so, and by no request that failed
        self.retries = 0
        self.stalls = 0
        self.backpressure_events = 0
        self.time_paused = 0.0
        self.slow_events = 0
        self.time_slow = 0.0
        self.consumer_errors = 0
        timed = config is not None and config.enabled
        self._gaps = Gaps() if timed else None
        self._stall = 0.0 if config is None else config.stall_threshold
        #: When the read began that the next content ends.
        self._reading = 0.0
        self._ledger: Ledger = (0.0, 0.0, 0.0, 0.0, inf)
        #: Since when the drainer waits; before the ledger's instant, or None: it does not.
        self._asked: float | None = None
        self._waits = 0
        self._waited = 0.0
        self._waited_peak = 0.0
        self._named: dict[str, float] = {}
        # Re-entrant: a signal handler that counts may interrupt its own thread right there.
        self._named_lock = RLock()

    @property
    def timed(self) -> bool:
        """Whether resumed(), asks(), took(), handed() and queued() have a use."""
        return self._gaps is not None

    # -- the reader

    def answered(self, now: float) -> None:
        """The headers of an answer were read, at this monotonic time."""
        if self.first is None:
            self.opened = now

    def failed(self) -> None:
        """An attempt failed; what it took is part of connecting while no content has come."""
        self.errors += 1
        if self.first is None:
            self.opened = None

    def arrived(self, now: float) -> None:
        """Content came, at this monotonic time."""
        if self.first is None:
            self.first = now
        elif self._gaps is not None:
            gap = now - self._reading
            self._gaps.add(gap)
            if gap > self._stall:
                self.stalls += 1
        self.last = self._reading = now

    def resumed(self, now: float) -> None:
        """What came is passed on, and the next read begins: only from here on is time a gap."""
        self._reading = now

    # -- the drainer

    def asks(self, now: float) -> None:
        """The drainer wants chunks at this monotonic time; asking again goes on with the wait."""
        if self._asked is None:
            if self._ledger[4] == inf:  # the first time; what came before was setting up
                self._ledger = (0.0, 0.0, 0.0, 0.0, now)
            self._asked = now

    def took(self, now: float) -> None:
        """It has some, and hands them to the user's code, which has the time until it asks."""
        ended = self.ended
        if ended is not None and now > ended:
            now = ended  # a handler may return long after another thread has cancelled
        self._ledger = self._charged(now)
        self._asked = None

    def handed(self, now: float) -> None:
        """What it took was held back until now, by a batch or a rate limit: that was queue."""
        self._ledger = (*self._ledger[:4], now)

    def queued(self, seconds: float) -> None:
        """The oldest chunk of a delivery was read that long ago, by the wall clock."""
        self._waits += 1
        if seconds > 0.0:  # somebody may set that clock back
            self._waited += seconds
            if seconds > self._waited_peak:
                self._waited_peak = seconds

    def slow(self, seconds: float) -> None:
        """A handler took that long, which is too long."""
        self.slow_events += 1
        self.time_slow += seconds

    # -- any thread

    def count(self, name: str, n: float = 1) -> None:
        """Add to a counter of the user's own."""
        with self._named_lock:
            self._named[name] = self._named.get(name, 0) + n

    def elapsed(self, now: float) -> float:
        """Seconds from the first use to the end, or to now; 0.0 before the first use."""
        if self.started is None:
            return 0.0
        return (now if self.ended is None else self.ended) - self.started

    def time_spent(self, now: float) -> TimeSpent | None:
        """Where the time went so far; None if it is not measured."""
        if self._gaps is None:
            return None
        elapsed = self.elapsed(now)
        connect, first_token, provider, handler, _ = self._charged(
            now if self.ended is None else self.ended
        )
        # A cancel may fix the end a moment before an instant that the drainer has noted already.
        queue = max(elapsed - connect - first_token - provider - handler, 0.0)
        return TimeSpent(
            connect=connect, first_token=first_token, provider=provider, queue=queue,
            handler=handler,
        )  # fmt: skip

    def _charged(self, until: float) -> Ledger:
        """The ledger with everything up to that instant in it."""
        # In this order: with took() in between, an old asked is told by the new ledger; the other
        # way round, a wait would be taken for the handler's.
        asked = self._asked
        ledger = connect, first_token, provider, handler, since = self._ledger
        if until <= since:
            return ledger
        if asked is None or asked < since:
            return connect, first_token, provider, handler + (until - since), until
        if asked > until:
            asked = until
        handler += asked - since
        first, last = self.first, self.last
        if first is None or last is None or asked < first:
            parts = divide(asked, until, self.opened, first, last)
            return connect + parts[0], first_token + parts[1], provider + parts[2], handler, until
        # divide() for the usual case, in line: this runs for each delivery.
        provider += (last if asked < last < until else until) - asked
        return connect, first_token, provider, handler, until

    def snapshot(
        self,
        now: float,
        *,
        stream_id: str,
        provider: str,
        model: str,
        delivered: int,
        dropped: int,
        merged: int,
        buffer_size: int = 0,
        buffer_peak: int = 0,
        buffer_capacity: int = 0,
        buffer_resizes: int = 0,
    ) -> Metrics:
        """All of it, frozen."""
        first, last, gaps = self.first, self.last, self._gaps
        span = 0.0 if first is None or last is None else last - first
        return Metrics(
            stream_id=stream_id,
            provider=provider,
            model=model,
            duration_ms=self.elapsed(now) * 1000.0,
            chunks_received=self.chunks_received,
            bytes_received=self.bytes_received,
            chunks_delivered=delivered,
            chunks_dropped=dropped,
            chunks_merged=merged,
            chunks_per_second=self.chunks_received / span
            if span and self.chunks_received > 1
            else 0.0,
            bytes_per_second=self.bytes_received / span if span else 0.0,
            time_to_first_chunk=None
            if first is None or self.started is None
            else first - self.started,
            errors=self.errors + self.raised,
            retries=self.retries,
            done=self.ended is not None,
            gap_p50=None if gaps is None else gaps.percentile(50),
            gap_p90=None if gaps is None else gaps.percentile(90),
            gap_p99=None if gaps is None else gaps.percentile(99),
            stalls=self.stalls,
            backpressure_events=self.backpressure_events,
            time_paused=self.time_paused,
            slow_events=self.slow_events,
            time_slow=self.time_slow,
            consumer_errors=self.consumer_errors,
            queue_wait=self._waited / self._waits if self._waits else None,
            queue_wait_peak=self._waited_peak if self._waits else None,
            buffer_size=buffer_size,
            buffer_peak=buffer_peak,
            buffer_capacity=buffer_capacity,
            buffer_resizes=buffer_resizes,
            time_spent=self.time_spent(now),
            counters=self._named.copy(),
        )
