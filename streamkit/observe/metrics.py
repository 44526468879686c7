"""
What a stream did, in numbers: counters while it runs, a frozen snapshot for whoever asks.

The counters are plain attributes, each written by one thread only and once per batch, so counting
costs a few additions per network read and nothing per chunk. A snapshot may be taken by any thread;
its fields are each exact, and were read within the same microsecond or so.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamkit.errors import ConfigurationError

__all__ = ["Counters", "Metrics", "MetricsConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsConfig:
    """
    Whether and how often numbers are reported.

    Thread safety: **immutable**.

    Args:
        enabled: False switches on_metrics off; counting costs too little to be switched.
        interval: Seconds between two calls of on_metrics; one more call comes at the end.

    Raises:
        ConfigurationError: An interval that is not a positive number.
    """

    enabled: bool = True
    interval: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.interval, bool) or not isinstance(self.interval, (int, float)):
            raise ConfigurationError(f"metrics interval must be seconds, got {self.interval!r}")
        if not self.interval > 0:
            raise ConfigurationError(f"metrics interval must be over 0 s, got {self.interval!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """
    One stream in numbers.

    Thread safety: **immutable**.

    Args:
        stream_id: Ours; also in log records and thread names.
        provider: The provider's name.
        model: The model asked for.
        duration_ms: Milliseconds from the first use to the end, or to now.
        chunks_received: Chunks made from the provider's events.
        bytes_received: Bytes of response bodies, after transfer and content coding.
        chunks_delivered: Chunks handed to a loop or callback, gaps aside.
        chunks_dropped: Chunks shed by a lossy buffer policy, or left by a cancel.
        chunks_merged: Chunks that became part of another, by the policy ``coalesce``. At the end
            received = delivered + dropped + merged.
        chunks_per_second: Received, over the time since the first one; 0.0 before the second.
        bytes_per_second: The same for bytes.
        time_to_first_chunk: Seconds from the first use to the first content; None before it.
        errors: Requests that failed, retried ones included.
        retries: Requests sent again.
    """

    stream_id: str
    provider: str
    model: str
    duration_ms: float
    chunks_received: int
    bytes_received: int
    chunks_delivered: int
    chunks_dropped: int
    chunks_merged: int
    chunks_per_second: float
    bytes_per_second: float
    time_to_first_chunk: float | None
    errors: int
    retries: int


class Counters:
    """
    The running numbers of one stream.

    Thread safety: **shared**: the reading thread writes the received side, the draining thread the
    delivered side, any thread takes snapshots.
    """

    __slots__ = (
        "bytes_received", "chunks_delivered", "chunks_received", "ended", "errors", "first",
        "last", "retries", "started",
    )  # fmt: skip

    def __init__(self) -> None:
        self.started: float | None = None
        self.ended: float | None = None
        self.first: float | None = None
        self.last: float | None = None
        self.chunks_received = 0
        self.bytes_received = 0
        self.chunks_delivered = 0
        self.errors = 0
        self.retries = 0

    def arrived(self, now: float) -> None:
        """Content came, at this monotonic time."""
        if self.first is None:
            self.first = now
        self.last = now

    def elapsed(self, now: float) -> float:
        """Seconds from the first use to the end, or to now; 0.0 before the first use."""
        if self.started is None:
            return 0.0
        return (now if self.ended is None else self.ended) - self.started

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
    ) -> Metrics:
        """All of it, frozen."""
        first, last = self.first, self.last
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
            chunks_per_second=self.chunks_received / span if span else 0.0,
            bytes_per_second=self.bytes_received / span if span else 0.0,
            time_to_first_chunk=None
            if first is None or self.started is None
            else first - self.started,
            errors=self.errors,
            retries=self.retries,
        )
