"""
ChunkBatcher: items one by one -> batches, by size and by time.

Batching only groups a delivery: nothing is lost, and batches joined give the items in order. Pure
and push style: the driver brings the clock, asks due() how long it may wait, and calls tick().
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from streamkit.errors import ConfigurationError

__all__ = ["Batch", "BatchConfig", "ChunkBatcher", "Trigger"]

T = TypeVar("T")

#: Why a batch left: it was full, it was old enough, or the input ended.
Trigger = Literal["size", "timeout", "flush"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchConfig:
    """
    How many items to deliver together, and how long the first may wait for the others.

    Thread safety: **immutable**.

    Args:
        size: Items in a full batch, taken into min_size .. max_size. 5, 3 and 10 are the seeds'.
        timeout: Seconds the first item of a batch waits at most, 0 or more; None for no limit.
            25 ms is the seeds' default: below what a reader sees.
        min_size: Least items of a full batch; never holds back a timeout or a flush.
        max_size: Most items of any batch.
        adaptive: Choose the size from the rate of the stream. Not available yet.

    Raises:
        ConfigurationError: A value outside these ranges, or adaptive=True.
    """

    size: int = 5
    timeout: float | None = 0.025
    min_size: int = 3
    max_size: int = 10
    adaptive: bool = False

    def __post_init__(self) -> None:
        for name in ("size", "min_size", "max_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigurationError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ConfigurationError(f"{name} must be at least 1, got {value}")
        if self.min_size > self.max_size:
            raise ConfigurationError(
                f"min_size must be at most max_size, got {self.min_size} and {self.max_size}"
            )
        wait = self.timeout
        if wait is not None and (not isinstance(wait, (int, float)) or not wait >= 0):
            raise ConfigurationError(
                f"timeout must be at least 0 seconds, or None for no limit, got {self.timeout!r}"
            )
        if self.adaptive:
            raise ConfigurationError("adaptive batches are not available yet, got adaptive=True")

    @property
    def effective_size(self) -> int:
        """``size``, taken into min_size .. max_size."""
        return min(max(self.size, self.min_size), self.max_size)


@dataclass(slots=True)
class Batch(Generic[T]):
    """
    Items to be delivered together, and why now.

    Thread safety: **confined**; handed over by the batcher, which keeps no reference.
    """

    items: list[T]
    trigger: Trigger


class ChunkBatcher(Generic[T]):
    """
    Group items into batches.

    >>> batcher = ChunkBatcher(BatchConfig(size=3, timeout=0.025))
    >>> batcher.feed(["a", "b", "c", "d"], now=0.0)
    [Batch(items=['a', 'b', 'c'], trigger='size')]
    >>> batcher.due()
    0.025
    >>> batcher.tick(now=0.025)
    [Batch(items=['d'], trigger='timeout')]

    ``now`` is any clock that does not go back, in seconds.

    Thread safety: **confined**.
    """

    def __init__(self, config: BatchConfig | None = None) -> None:
        self.config = BatchConfig() if config is None else config
        self._size = self.config.effective_size
        self._pending: list[T] = []
        self._opened = 0.0  # when the first of the pending items came

    def feed(self, items: list[T], now: float) -> list[Batch[T]]:
        """Items, in order -> the batches they complete, and the open one if its time is up."""
        if not self._pending:
            self._opened = now
        pending, size = self._pending, self._size
        pending += items
        if len(pending) < size:
            return self.tick(now)
        whole = len(pending) - len(pending) % size
        batches = [Batch(pending[at : at + size], "size") for at in range(0, whole, size)]
        self._pending = pending[whole:]
        self._opened = now
        return batches + self.tick(now)

    def due(self) -> float | None:
        """The instant at which the open batch must leave; None where none is open or none must."""
        if not self._pending or self.config.timeout is None:
            return None
        return self._opened + self.config.timeout

    def tick(self, now: float) -> list[Batch[T]]:
        """The open batch, if its time is up."""
        due = self.due()
        return self._leave("timeout") if due is not None and due <= now else []

    def flush(self) -> list[Batch[T]]:
        """The end of the input -> what is left, if anything."""
        return self._leave("flush") if self._pending else []

    def _leave(self, trigger: Trigger) -> list[Batch[T]]:
        items, self._pending = self._pending, []
        return [Batch(items, trigger)]
