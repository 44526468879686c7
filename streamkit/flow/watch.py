"""
The two look-outs of flow control: how full the ring is, and how long the consumer takes.

Backpressure watches the ring's fill. At the high water mark pressure begins, and the producer is
held until the ring has drained to the low one, if the policy is one that waits. A lossy policy
could then never act, so under it the marks are only reported. ConsumerWatch times each call of the
consumer, and counts those that are slow and those that raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any, Literal, TypeVar

from streamkit.flow.ring import StreamBuffer
from streamkit.flow.watermark import FlowConfig, WaterMark

__all__ = ["Backpressure", "ConsumerWatch", "FlowEvent"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowEvent:
    """
    Something that happened to the flow.

    Thread safety: **immutable**.

    Args:
        kind: ``pressure`` and ``relief``: the fill reached the high mark, or fell to the low one;
            ``slow`` and ``error``: of a consumer's call; ``resize``: the ring has more or fewer
            slots.
        value: The fill, 0 to 1; the seconds that the call took; the slots there are now.
        error: What the consumer raised; else None.
    """

    kind: Literal["pressure", "relief", "slow", "error", "resize"]
    value: float
    error: Exception | None = None


#: What looks on; it must not raise.
OnEvent = Callable[[FlowEvent], Any]


class Backpressure:
    """
    Hold a producer while the ring it fills is over the high water mark.

    After a push call note(), and before the next one hold(), where the producer can wait: a network
    read that is not made stops the sender.

    Thread safety: **shared** by the producers of one ring; the counts are read from any thread.

    Args:
        ring: What is filled. Where its policy is lossy, nothing is ever held.
        config: The water marks; ``enabled=False`` makes note() and hold() do nothing.
        on_event: Called with ``pressure`` and ``relief``, in the producer's thread.
        clock: Seconds that never go back.
    """

    # Guarded by _lock: everything below it.

    def __init__(
        self,
        ring: StreamBuffer[Any],
        config: FlowConfig,
        *,
        on_event: OnEvent | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._ring = ring
        self._enabled = config.enabled
        self._low = int(config.resume_threshold * ring.max_capacity)
        self._on_event = on_event
        self._clock = clock
        self._lock = Lock()
        self._mark = WaterMark(config.backpressure_threshold, config.resume_threshold)
        #: How often pressure began.
        self.events = 0
        #: Seconds that producers were held, each counted by itself.
        self.time_paused = 0.0

    @property
    def holds(self) -> bool:
        """Whether hold() would wait."""
        return self._mark.pressure and not self._ring.lossy

    def note(self) -> None:
        """Look at the fill."""
        fill = self._ring.fill
        mark = self._mark
        # Without the lock: most pushes change nothing, and who comes late finds it at the next.
        if not self._enabled or not (mark.pressure or fill >= mark.high):
            return
        with self._lock:
            changed = mark.update(fill)
            self.events += changed is True
        if changed is not None and self._on_event is not None:
            self._on_event(FlowEvent(kind="pressure" if changed else "relief", value=fill))

    def hold(self, timeout: float | None = None) -> bool:
        """
        Wait while there is pressure; False if it has not ended in time.

        Blocks until the ring has drained to the low mark; closing or aborting the ring wakes it,
        and is True.

        Args:
            timeout: Seconds to wait; 0 never waits, None waits for ever.
        """
        if not self.holds:
            return True
        began = self._clock()
        eased = self._ring.wait_below(self._low, timeout)
        with self._lock:
            self.time_paused += self._clock() - began
        self.note()
        return eased


class ConsumerWatch:
    """
    Call a consumer, and keep account of slow and failing calls.

    Thread safety: **confined** to the consuming thread; the counts are read from any thread.

    Args:
        config: ``slow_threshold`` and ``errors``.
        on_event: Called with ``slow`` and ``error``, after the call.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        config: FlowConfig,
        *,
        on_event: OnEvent | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._slow = config.slow_threshold if config.enabled else float("inf")
        self._survives = config.errors == "count"
        self._on_event = on_event
        self._clock = clock
        self.calls = 0
        #: Seconds spent in the consumer.
        self.handler_time = 0.0
        #: Calls that took longer than the threshold, and the seconds they took beyond it.
        self.slow_events = 0
        self.time_lost = 0.0
        #: Calls that raised an Exception.
        self.errors = 0

    def call(self, consume: Callable[[T], Any], item: T) -> float:
        """
        Call ``consume(item)``; how many seconds it took.

        Raises:
            Exception: What it raised, unless ``errors`` is ``count``.
        """
        error: Exception | None = None
        began = self._clock()
        try:
            consume(item)
        except Exception as caught:
            self.errors += 1
            error = caught
            if not self._survives:
                raise
        finally:
            took = self._clock() - began
            self.calls += 1
            self.handler_time += took
            if took > self._slow:
                self.slow_events += 1
                self.time_lost += took - self._slow
            if self._on_event is not None:
                self._tell(self._on_event, took, error)
        return took

    def _tell(self, on_event: OnEvent, took: float, error: Exception | None) -> None:
        if took > self._slow:
            on_event(FlowEvent(kind="slow", value=took))
        if error is not None:
            on_event(FlowEvent(kind="error", value=took, error=error))
