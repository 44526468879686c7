"""
High and low water: when a producer should pause, and when it may go on.

Two marks instead of one, so that a ring that hovers at the limit does not switch at each item.
Pure: it is told the fill and keeps one bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streamkit.errors import ConfigurationError
from streamkit.number import is_number

__all__ = ["FlowConfig", "WaterMark"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FlowConfig:
    """
    Flow control of a managed stream.

    Thread safety: **immutable**.

    Args:
        enabled: False switches pauses and the look-out for slow consumers off; the ring's own bound
            stays, and so does ``errors``.
        slow_threshold: Seconds, above 0; a consumer's call that takes longer is a slow event, and
            what it takes beyond is time lost. 50 ms is the seeds' default: 20 calls a second.
        backpressure_threshold: Fill of the ring, above 0 and at most 1, at which the read pauses.
            0.8 is the seeds' default.
        resume_threshold: Fill at which it goes on, below backpressure_threshold. 0.5: chosen, so
            that a pause saves some network reads; not measured.
        errors: What follows when a consumer raises: ``raise`` stops and raises it, ``count`` counts
            it and goes on with the next item.

    Raises:
        ConfigurationError: A value outside these ranges.
    """

    enabled: bool = True
    slow_threshold: float = 0.05
    backpressure_threshold: float = 0.8
    resume_threshold: float = 0.5
    errors: Literal["raise", "count"] = "raise"

    def __post_init__(self) -> None:
        if not isinstance(self.enabled, bool):
            raise ConfigurationError(f"flow enabled must be True or False, got {self.enabled!r}")
        slow = self.slow_threshold
        if not is_number(slow):
            raise ConfigurationError(f"slow_threshold must be seconds, got {slow!r}")
        if not slow > 0:
            raise ConfigurationError(f"slow_threshold must be over 0 s, got {slow!r}")
        if self.errors not in ("raise", "count"):
            raise ConfigurationError(f"errors must be 'raise' or 'count', got {self.errors!r}")
        _check_marks(
            "backpressure_threshold", self.backpressure_threshold,
            "resume_threshold", self.resume_threshold,
        )  # fmt: skip


class WaterMark:
    """
    Pressure with hysteresis: on at ``high``, off at ``low``, unchanged in between.

    >>> mark = WaterMark(high=0.8, low=0.5)
    >>> [mark.update(fill) for fill in (0.7, 0.8, 0.9, 0.6, 0.5, 0.6)]
    [None, True, None, None, False, None]

    Thread safety: **confined**.

    Args:
        high: Fill, above 0 and at most 1, at which pressure begins.
        low: Fill, at least 0 and below high, at which it ends.

    Raises:
        ConfigurationError: Marks outside these ranges.
    """

    def __init__(self, high: float, low: float) -> None:
        _check_marks("high", high, "low", low)
        self.high = high
        self.low = low
        self.pressure = False

    def update(self, fill: float) -> bool | None:
        """Tell the fill: True when pressure begins with it, False when it ends, else None."""
        if not (fill <= self.low if self.pressure else fill >= self.high):
            return None
        self.pressure = not self.pressure
        return self.pressure


def _check_marks(high_name: str, high: float, low_name: str, low: float) -> None:
    for name, value in ((high_name, high), (low_name, low)):
        if not is_number(value):
            raise ConfigurationError(f"{name} must be a number, got {value!r}")
    if not 0 < high <= 1:
        raise ConfigurationError(f"{high_name} must be above 0 and at most 1, got {high!r}")
    if not 0 <= low < high:
        raise ConfigurationError(
            f"{low_name} must be at least 0 and below {high_name} ({high!r}), got {low!r}"
        )
