"""
ChunkBatcher: items one by one -> batches, by size and by time.

Batching only groups a delivery: nothing is lost, and batches joined give the items in order. Pure
and push style: the driver brings the clock, asks due() how long it may wait, and calls tick().

The rule for the size of adaptive batches:

    target = arrival rate x handler time x shift, taken into min_size .. max_size

A handler that is busy for 50 ms while 500 items come each second finds 25 new ones when it is done:
with that target it takes them all, and never falls behind. For items over the TYPICAL size the
shift makes batches smaller, by at most a quarter, for those under it larger, by as much. A batch
that has reached its target takes all that is there, up to max_size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp
from typing import Any, Generic, Literal, TypeVar

from typing_extensions import override

from streamkit.callback import check_callable
from streamkit.errors import BufferClosed, ConfigurationError
from streamkit.flow.checks import check_config
from streamkit.number import is_number

__all__ = ["Batch", "BatchConfig", "BatchMetrics", "ChunkBatcher", "Trigger"]

T = TypeVar("T")

#: Why a batch left: it was full, it was old enough, somebody asked for it, or the input ended.
Trigger = Literal["size", "timeout", "flush", "close"]

#: Characters of an item that needs no shift: a token of English text has four to five.
TYPICAL = 5.0
#: The shift stays within these, so that it colours the rule and does not make it. Chosen.
SHIFTS = (0.75, 1.25)
#: Seconds in which what was measured of the arrival loses its weight. Chosen: long for a token,
#: short for an answer.
MEMORY = 1.0
#: How much of a new handler time, or item size, goes into the mean of those before. Chosen.
SHARE = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchConfig:
    """
    How many items to deliver together, and how long the first may wait for the others.

    Thread safety: **immutable**.

    Args:
        size: Items in a full batch, taken into the bounds that were given; with ``adaptive``, until
            a handler was timed. Not given: 5, within those bounds. 5, 3 and 10 are the seeds'.
        timeout: Seconds the first item of a batch waits at most, 0 or more; None for no limit.
            25 ms is the seeds' default: below what a reader sees.
        min_size: Least items of a full batch; never holds back a timeout, a flush or a close. Not
            given: 3, or size or max_size where one is less.
        max_size: Most items of any batch. Not given: 10, or size or min_size where one is more.
        adaptive: Choose the size by the rule at the top of this file.

    Raises:
        ConfigurationError: A value outside these ranges.
    """

    size: int = None  # type: ignore[assignment]  # an int once made
    timeout: float | None = 0.025
    min_size: int = None  # type: ignore[assignment]
    max_size: int = None  # type: ignore[assignment]
    adaptive: bool = True

    def __post_init__(self) -> None:
        for name in ("size", "min_size", "max_size"):
            if (value := getattr(self, name)) is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigurationError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ConfigurationError(f"{name} must be at least 1, got {value}")
        self._fill()
        if self.min_size > self.max_size:
            raise ConfigurationError(
                f"min_size must be at most max_size, got {self.min_size} and {self.max_size}"
            )
        wait = self.timeout
        if wait is not None and not (is_number(wait) and wait >= 0):
            raise ConfigurationError(
                f"timeout must be at least 0 seconds, or None for no limit, got {wait!r}"
            )
        if not isinstance(self.adaptive, bool):
            raise ConfigurationError(f"adaptive must be True or False, got {self.adaptive!r}")

    def _fill(self) -> None:
        """What was not given makes room for what was."""
        size, low, high = self.size, self.min_size, self.max_size
        if size is None:
            size = max(low or 1, min(5, high or 5))
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "min_size", min(3, size, high or 3) if low is None else low)
        object.__setattr__(self, "max_size", max(10, size, low or 10) if high is None else high)

    @property
    def effective_size(self) -> int:
        """``size``, taken into min_size .. max_size."""
        return self.bounded(self.size)

    def bounded(self, size: int) -> int:
        """Any size, taken into min_size .. max_size."""
        return min(max(size, self.min_size), self.max_size)


class Batch(list[T]):
    """
    A list of items to be delivered together, that knows why now: ``trigger``.

    Thread safety: **confined**; handed over by the batcher, which keeps no reference.
    """

    __slots__ = ("trigger",)

    def __init__(self, items: Iterable[T] = (), trigger: Trigger = "flush") -> None:
        super().__init__(items)
        self.trigger = trigger

    @override
    def __repr__(self) -> str:
        return f"Batch({super().__repr__()}, trigger={self.trigger!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchMetrics:
    """
    What a batcher did so far; ``batches_created`` is the sum of the three kinds of flushes.

    Thread safety: **immutable**.

    Args:
        batches_created: Batches that left.
        chunks_batched: Items in them.
        chunks_pending: Items in the open batch.
        average_batch_size: Items in a batch; 0.0 before the first.
        largest_batch: Items in the largest.
        size_flushes: Batches that were full.
        timeout_flushes: Batches whose time was up.
        forced_flushes: Batches that left by flush() or close().
        target_size: Items that make a batch full, as of now.
    """

    batches_created: int
    chunks_batched: int
    chunks_pending: int
    average_batch_size: float
    largest_batch: int
    size_flushes: int
    timeout_flushes: int
    forced_flushes: int
    target_size: int


class ChunkBatcher(Generic[T]):
    """
    Group items into batches.

    >>> batcher = ChunkBatcher(BatchConfig(size=3, timeout=0.025, adaptive=False))
    >>> batcher.feed(["a", "b", "c", "d"], now=0.0)
    [Batch(['a', 'b', 'c'], trigger='size')]
    >>> batcher.due()
    0.025
    >>> batcher.tick(now=0.025)
    [Batch(['d'], trigger='timeout')]

    ``now`` is any clock that does not go back, in seconds.

    Thread safety: **confined**; metrics() from any thread, each number exact and all of about the
    same moment.

    Args:
        config: Default: BatchConfig().
        size_of: Characters of an item, for the shift of adaptive batches; asked for one item of
            each feed. Without it nothing is shifted.

    Raises:
        ConfigurationError: ``config`` is no BatchConfig, or ``size_of`` cannot be called.
    """

    # Invariant: after feed() and tick() fewer than ``target`` items are pending, none overdue.

    def __init__(
        self, config: BatchConfig | None = None, *, size_of: Callable[[T], int] | None = None
    ) -> None:
        self.config = BatchConfig() if config is None else config
        check_config("config", self.config, BatchConfig)
        check_callable(size_of=size_of)
        #: Items that make a batch full, as of now.
        self.target = self.config.effective_size
        self._pace = _Pace(size_of) if self.config.adaptive else None
        self._pending: list[T] = []
        self._opened = 0.0  # when the first of the pending items came
        self._closed = False
        self._left: dict[Trigger, int] = dict.fromkeys(("size", "timeout", "flush", "close"), 0)
        self._batched = self._largest = 0

    def feed(self, items: list[T], now: float) -> list[Batch[T]]:
        """
        Items, in order -> the batches they complete, and the open one if its time is up.

        Raises:
            BufferClosed: close() was called.
        """
        if self._closed:
            raise BufferClosed("the batcher is closed")
        if self._pace is not None and items:
            self._pace.arrived(items, now)
        if not self._pending:
            self._opened = now
        self._pending += items
        if len(self._pending) < self.target:
            return self.tick(now)
        batches = self._full()
        self._opened = now
        return batches + self.tick(now)

    def handled(self, seconds: float) -> None:
        """Tell how long the handler of a batch took; without this, adaptive batches keep size."""
        if self._pace is not None and (target := self._pace.handled(seconds)) is not None:
            most = self.config.max_size  # first: round() refuses infinity, of a span next to 0
            self.target = self.config.bounded(round(min(target, most)))

    def due(self) -> float | None:
        """
        The instant at which the open batch must leave; None where none is open or none must.

        It may have passed: a batch can become full because the target fell.
        """
        if len(self._pending) >= self.target:
            return self._opened
        if not self._pending or self.config.timeout is None:
            return None
        return self._opened + self.config.timeout

    def tick(self, now: float) -> list[Batch[T]]:
        """The open batch, if its time is up, or if it is full since the target fell."""
        if len(self._pending) >= self.target:
            return self._full()
        due = self.due()
        return self._rest("timeout") if due is not None and due <= now else []

    def flush(self) -> list[Batch[T]]:
        """What is pending, if anything, now; more may follow."""
        return self._rest("flush")

    def close(self) -> list[Batch[T]]:
        """The end of the input -> what is left, if anything. Idempotent."""
        self._closed = True
        return self._rest("close")

    def metrics(self) -> BatchMetrics:
        """What was done so far."""
        left = self._left.copy()
        batches = sum(left.values())
        return BatchMetrics(
            batches_created=batches,
            chunks_batched=self._batched,
            chunks_pending=len(self._pending),
            average_batch_size=self._batched / batches if batches else 0.0,
            largest_batch=self._largest,
            size_flushes=left["size"],
            timeout_flushes=left["timeout"],
            forced_flushes=left["flush"] + left["close"],
            target_size=self.target,
        )

    def _full(self) -> list[Batch[T]]:
        """Batches from the front of what is pending, until less than the target is left."""
        pending, most = self._pending, self.config.max_size if self._pace else self.target
        batches = []
        at = 0
        while len(pending) - at >= self.target:
            batches.append(self._leave(pending[at : at + most], "size"))
            at += most
        self._pending = pending[at:]
        return batches

    def _rest(self, trigger: Trigger) -> list[Batch[T]]:
        items, self._pending = self._pending, []
        return [self._leave(items, trigger)] if items else []

    def _leave(self, items: list[T], trigger: Trigger) -> Batch[T]:
        self._left[trigger] += 1
        self._batched += len(items)
        self._largest = max(self._largest, len(items))
        return Batch(items, trigger)


class _Pace:
    """How fast items come, how large they are, and how long their handler takes."""

    def __init__(self, size_of: Callable[[Any], int] | None) -> None:
        self._size_of = size_of
        self._last: float | None = None
        self._count = self._span = 0.0  # items, and the seconds in which they came; both fade
        self._size: float | None = None
        self._busy: float | None = None

    def arrived(self, items: list[Any], now: float) -> None:
        last, self._last = self._last, now
        if last is not None:  # of the first items nobody knows in what time they came
            fade = exp((last - now) / MEMORY)
            self._count = self._count * fade + len(items)
            self._span = self._span * fade + now - last
        if self._size_of is not None:
            self._size = _mean(self._size, self._size_of(items[0]))

    def handled(self, seconds: float) -> float | None:
        """The target by the rule; None while the arrival rate is not known."""
        self._busy = _mean(self._busy, seconds)
        if not self._span:
            return None
        shift = 1.0
        if self._size is not None:
            shift = min(max(TYPICAL / max(self._size, 1.0), SHIFTS[0]), SHIFTS[1])
        return self._count * self._busy * shift / self._span


def _mean(mean: float | None, value: float) -> float:
    return value if mean is None else mean + SHARE * (value - mean)
