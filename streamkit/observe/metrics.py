"""What a stream did, in numbers: the frozen snapshot for whoever asks, and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from streamkit.errors import ConfigurationError
from streamkit.number import is_number
from streamkit.observe.spent import TimeSpent

__all__ = ["Metrics", "MetricsConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricsConfig:
    """
    Whether and how often numbers are reported.

    Thread safety: **immutable**.

    Args:
        enabled: False switches on_metrics off, and what needs the clock: gaps, stalls, queue wait
            and time spent. Plain counting costs too little to be switched.
        interval: Seconds between two calls of on_metrics; one more call comes at the end.
        stall_threshold: Seconds without content, while we read, that count as a stall. Chosen: a
            reader takes a pause of one second for a halt.

    Raises:
        ConfigurationError: ``enabled`` is no bool, or an interval or threshold no positive number.
    """

    enabled: bool = True
    interval: float = 1.0
    stall_threshold: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.enabled, bool):
            raise ConfigurationError(f"metrics enabled must be True or False, got {self.enabled!r}")
        for name in ("interval", "stall_threshold"):
            value = getattr(self, name)
            if not is_number(value):
                raise ConfigurationError(f"metrics {name} must be seconds, got {value!r}")
            if not value > 0:
                raise ConfigurationError(f"metrics {name} must be over 0 s, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Metrics:
    """
    One stream in numbers. What was not measured, or has no value yet, is None.

    Thread safety: **immutable**.

    Args:
        stream_id: Ours; also in log records and thread names.
        provider: The provider's name.
        model: The model asked for.
        duration_ms: Milliseconds from the first use to the end, or to now.
        chunks_received: Chunks the stages and units made of what the provider sent.
        bytes_received: Bytes of response bodies, after transfer and content coding.
        chunks_delivered: Chunks handed to a loop or callback, gaps aside.
        chunks_dropped: Chunks shed by a lossy buffer policy, or left by a cancel.
        chunks_merged: Chunks that became part of another, by the policy ``coalesce``; with ``rate``
            none, for there they come apart again. At the end received = delivered + dropped +
            merged.
        chunks_per_second: Received, over the time from the first content to the latest; 0.0 before
            the second.
        bytes_per_second: The same for bytes.
        time_to_first_chunk: Seconds from the first use to the first content; None before it.
        errors: Requests that failed, retried ones included, and one more where something else ended
            the stream by raising: a callback, a transform, a wrapped iterable.
        retries: Requests sent again.
        done: Whether the stream has ended: these are its last numbers.
        gap_p50, gap_p90, gap_p99: Seconds of reading between two arrivals of content, as
            percentiles, within 4.4 %. Chunks that one read brought are one arrival; time in which
            we did not read (back-pressure, the body of a ``direct`` loop) is no part of a gap.
        stalls: Gaps over MetricsConfig.stall_threshold.
        backpressure_events: Times the read was stopped because the consumer was behind: at the high
            water mark, or with no room left in the buffer.
        time_paused: Seconds it stood still for that; a pause counts when it is over.
        slow_events: Calls of a handler over FlowConfig.slow_threshold; ``time_slow`` their seconds.
        consumer_errors: Exceptions of a callback that were counted instead of raised.
        queue_wait: Seconds the oldest chunk of a delivery had waited since its read, on average;
            ``queue_wait_peak`` the longest.
        buffer_size: Chunks in the buffer; ``buffer_peak`` the most there ever were.
        buffer_capacity: Slots of the buffer, 0 without one; ``buffer_resizes``, how often their
            number changed, by BufferConfig.max_capacity.
        time_spent: Where the time went, in parts that add up to the duration.
        counters: The user's own, by ``count()``; and ours, where they are not 0:
            ``transform_errors`` and ``rejected``, what the user's functions raised and refused
            without ending the stream; ``invalid_events`` and ``invalid_utf8``, see Limits.
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
    done: bool = False
    gap_p50: float | None = None
    gap_p90: float | None = None
    gap_p99: float | None = None
    stalls: int = 0
    backpressure_events: int = 0
    time_paused: float = 0.0
    slow_events: int = 0
    time_slow: float = 0.0
    consumer_errors: int = 0
    queue_wait: float | None = None
    queue_wait_peak: float | None = None
    buffer_size: int = 0
    buffer_peak: int = 0
    buffer_capacity: int = 0
    buffer_resizes: int = 0
    time_spent: TimeSpent | None = None
    counters: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def handler_time(self) -> float | None:
        """Seconds the user's code had; part of time_spent."""
        return None if self.time_spent is None else self.time_spent.handler
