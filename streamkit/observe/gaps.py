"""
The gaps between arrivals, as a histogram of fixed size.

A bin is 2 ** (1/8) times as wide as the one before it, so that a percentile is off by at most 4.4 %
(half a bin, ``RELATIVE_ERROR``), whatever the gaps are and however many there were.
"""

from __future__ import annotations

from math import ceil, log2

__all__ = ["RELATIVE_ERROR", "Gaps"]

#: Bins per doubling. Chosen: 8 give 2.4 KB a stream, and an error under the noise of any network.
PER_DOUBLING = 8
#: Seconds; a shorter gap is that between two events of one packet, and counts as this.
SHORTEST = 1e-6
#: 37 doublings from 1 us are 38 hours; a longer gap counts as that, or as the longest seen.
BINS = 37 * PER_DOUBLING

RELATIVE_ERROR: float = 2.0 ** (0.5 / PER_DOUBLING) - 1.0

_SCALE = float(PER_DOUBLING)  # a float times an int takes longer
_OFFSET = -log2(SHORTEST) * _SCALE


class Gaps:
    """
    Count gaps, and tell their percentiles.

    >>> gaps = Gaps()
    >>> for seconds in (0.02, 0.02, 0.02, 3.0):
    ...     gaps.add(seconds)
    >>> round(gaps.percentile(50), 3), gaps.percentile(99)
    (0.02, 3.0)

    Thread safety: **shared**: one thread adds, any thread asks.
    """

    __slots__ = ("_bins", "_longest")

    def __init__(self) -> None:
        self._bins = [0] * BINS
        self._longest = 0.0

    def add(self, seconds: float) -> None:
        """Count one gap. Cost: O(1)."""
        if seconds > self._longest:
            self._longest = seconds
        place = int(log2(seconds) * _SCALE + _OFFSET) if seconds > SHORTEST else 0
        self._bins[place if place < BINS else -1] += 1

    def percentile(self, percent: float) -> float | None:
        """
        The gap that ``percent`` of all gaps do not exceed, in seconds; None before the first gap.

        Nearest rank, within RELATIVE_ERROR.
        """
        bins = self._bins.copy()
        left = ceil(sum(bins) * percent / 100.0)
        for place, count in enumerate(bins):
            left -= count
            if count and left <= 0:
                middle: float = SHORTEST * 2.0 ** ((place + 0.5) / PER_DOUBLING)
                return min(middle, self._longest)
        return None
