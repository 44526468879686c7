"""What a ring may hold, and what it held: its options and its accounting, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.flow.overflow import Policy, resolve

__all__ = ["BufferConfig", "BufferStats", "check_bounds"]

#: Beyond these a number is a slip: slots are allocated at once, eight bytes each.
MOST = {"capacity": 2**24, "max_capacity": 2**24, "max_bytes": 2**40}


@dataclass(frozen=True, kw_only=True, slots=True)
class BufferConfig:
    """
    How much may wait between producer and consumer, and what happens beyond that.

    Thread safety: **immutable**.

    Args:
        capacity: Most items, at least 1. 100 is the seeds' default, 2 s of text at 50 tokens/s.
        max_capacity: Where given, capacity is but the beginning: it doubles, up to this, when an
            item finds no room, and halves, down to where it began, when little of it is used.
        max_bytes: Most bytes, at least 1; None for no bound. 4 MiB, about what the kernel's socket
            buffers hold anyway on loopback (3.9 to 4.2 MB measured, PROMISES.md P10).
        overflow: A name in POLICIES, or a callable with the same signature.

    Raises:
        ConfigurationError: A value outside these ranges.
    """

    capacity: int = 100
    max_capacity: int | None = None
    max_bytes: int | None = 4 * 1024 * 1024
    overflow: str | Policy = "block"

    def __post_init__(self) -> None:
        check_bounds(self.capacity, self.max_capacity, self.max_bytes)
        resolve(self.overflow)


@dataclass(frozen=True, kw_only=True, slots=True)
class BufferStats:
    """
    The accounting of a ring at one instant: ``pushed == popped + dropped + merged + size``.

    Thread safety: **immutable**.

    Args:
        capacity: Slots, as of now.
        grown: How often capacity was doubled; ``shrunk``, how often it was halved.
        size: Items queued now; ``peak`` is the most there ever were.
        bytes: Bytes queued now; 0 without ``size_of``.
        pushed: Items accepted, shed or merged. A push that raised is not counted.
        popped: Items delivered; neither gaps nor the final item count.
        dropped: Items shed, overwritten, cleared, or still queued at abort().
        merged: Items that became part of another.
        waits: Pushes that found no room and waited; ``time_waited``, the seconds they did. Both are
            counted as a wait ends, or every half second of it.
        closed: Whether the ring takes no more items.
    """

    capacity: int
    size: int
    peak: int
    bytes: int
    pushed: int
    popped: int
    dropped: int
    merged: int
    grown: int
    shrunk: int
    waits: int
    time_waited: float
    closed: bool


def check_bounds(capacity: Any, max_capacity: Any, max_bytes: Any) -> None:
    """Raise ConfigurationError for a number that is no bound of a ring."""
    bounds = {"capacity": capacity, "max_capacity": max_capacity, "max_bytes": max_bytes}
    for name, value in bounds.items():
        if value is None and name != "capacity":
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigurationError(f"{name} must be a whole number, got {value!r}")
        if value < 1:
            raise ConfigurationError(f"{name} must be at least 1, got {value}")
        if value > MOST[name]:
            raise ConfigurationError(f"{name} must be at most {MOST[name]}, got {value}")
    if max_capacity is not None and max_capacity < capacity:
        raise ConfigurationError(
            f"max_capacity must be at least capacity, got {max_capacity} and {capacity}"
        )
