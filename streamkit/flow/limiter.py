"""
RateLimiter and BurstRateLimiter: items no faster than so much weight per second.

How it works. One number is the whole state: the instant up to which the weight that has gone is
paid for. An item may go when that instant is no further away than the burst allows, and then moves
it on by weight / rate. So the item itself goes first and those after it wait for it: the first
token is shown at once, and however heavy an item is, it goes. For the instants t of any items i < j

    weight of i .. j-1  <=  rate * (t[j] - t[i])  +  burst - 1

A sleep that ends late is made up for by the next one, or a rate of 50 would become 47 on a machine
that wakes a millisecond late; by LATE at most, so that a machine that was suspended does not pour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from math import inf
from threading import Lock
from time import monotonic, sleep
from typing import Any, Literal, Protocol, TypeVar

from streamkit.errors import ConfigurationError
from streamkit.number import is_number

__all__ = ["BurstRateLimiter", "Cancellable", "RateConfig", "RateLimiter"]

T = TypeVar("T")

#: Seconds of lateness that are made up for. Chosen: some switch intervals of the interpreter.
LATE = 0.05
#: Longest single sleep, in seconds, so that set_rate() and reset() are seen. Chosen.
SLICE = 0.1


class Cancellable(Protocol):
    """Something to wait for while waiting: ``threading.Event`` fits."""

    def wait(self, timeout: float, /) -> bool:
        """Wait at most that many seconds; True if there is nothing more to wait for."""


@dataclass(frozen=True, slots=True)
class RateConfig:
    """
    How fast to show an answer.

    Thread safety: **immutable**.

    Args:
        rate: Tokens or characters per second, at least 0; 0 is unlimited.
        burst: How many may go at once after a silence, at least 1.
        max_lag: Seconds an item may trail its arrival; it goes then, whatever the rate. None: no
            bound.
        weigh: What is counted.

    Raises:
        ConfigurationError: A value outside these ranges.
    """

    rate: float
    _: KW_ONLY
    burst: float = 1.0
    max_lag: float | None = None
    weigh: Literal["tokens", "characters"] = "tokens"

    def __post_init__(self) -> None:
        _check(self.rate, self.burst, self.max_lag)
        if self.weigh not in ("tokens", "characters"):
            raise ConfigurationError(f"weigh must be 'tokens' or 'characters', got {self.weigh!r}")

    def limiter(self) -> RateLimiter:
        """A limiter with these settings; one for each stream that is to have the whole rate."""
        return BurstRateLimiter(self.rate, self.burst, max_lag=self.max_lag)


class RateLimiter:
    """
    Let items through at an even pace.

    >>> limiter = RateLimiter(1000)
    >>> list(limiter.limit(["one ", "two ", "three"]))
    ['one ', 'two ', 'three']

    Thread safety: **shared**: threads that wait on one limiter share its rate; who goes first is
    not promised.

    Args:
        rate: Weight per second, at least 0; 0 is unlimited.
        max_lag: See RateConfig; it needs ``age``.
        clock: Seconds that never go back.
        sleep: How to wait, in seconds, where no ``cancelled`` is given.

    Raises:
        ConfigurationError: A value outside these ranges.
    """

    # Guarded by _lock: _rate and _paid.

    def __init__(
        self,
        rate: float,
        *,
        max_lag: float | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Any] = sleep,
    ) -> None:
        _check(rate, 1.0, max_lag)
        self._burst = 1.0
        self._max_lag = max_lag
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._rate = float(rate)
        self._paid = clock()  # what has gone is paid for at this instant

    @property
    def rate(self) -> float:
        """Weight per second; 0 is unlimited."""
        return self._rate

    @property
    def burst(self) -> float:
        """Weight that may go at once after a silence."""
        return self._burst

    def set_rate(self, rate: float) -> None:
        """
        Change the rate, also for those who wait: within 0.1 s they go by the new one.

        What has gone and is not paid for stays owed, at the new rate.

        Raises:
            ConfigurationError: A rate below 0.
        """
        _check(rate, 1.0, None)
        with self._lock:
            now = self._clock()
            owed = max(0.0, self._paid - now) * self._rate
            self._rate = float(rate)
            self._paid = now + owed / rate if rate else now

    def reset(self) -> None:
        """Forget what has gone: the next item goes at once, with the whole burst."""
        with self._lock:
            self._paid = self._clock()

    def wait(
        self, weight: float = 1.0, *, age: float = 0.0, cancelled: Cancellable | None = None
    ) -> bool:
        """
        Wait until an item of that weight may go, and count it as gone.

        Blocks as long as the rate asks for; ``cancelled`` wakes it at once, set_rate() and reset()
        within 0.1 s. What weighs nothing never waits.

        Args:
            weight: At least 0.
            age: Seconds since the item came, for ``max_lag``.
            cancelled: An event; once it is set the wait ends, and the item does not count.

        Returns:
            False if the wait was cancelled.

        Raises:
            ConfigurationError: A weight that is no number, below 0 or infinite; an age that is no
                number.

        Cost: one clock reading and one lock round trip where nothing has to wait.
        """
        if not (is_number(weight) and 0 <= weight < inf):
            raise ConfigurationError(f"weight must be at least 0 and finite, got {weight!r}")
        if not is_number(age):
            raise ConfigurationError(f"age must be seconds, got {age!r}")
        if not weight or not self._rate:
            return True
        pause = self._sleep if cancelled is None else cancelled.wait
        latest = None if self._max_lag is None else self._clock() + self._max_lag - age
        slept = False
        while (left := self._go(weight, latest, slept)) > 0:
            if pause(min(left, SLICE)):
                return False
            slept = True
        return True

    def limit(
        self,
        items: Iterable[T],
        *,
        weigh: Callable[[T], float] | None = None,
        age: Callable[[T], float] | None = None,
        cancelled: Cancellable | None = None,
    ) -> Iterator[T]:
        """
        The same items, paced; ends early once ``cancelled``, without the item that waited.

        Args:
            items: Anything to iterate; an item is asked for when the one before it was taken.
            weigh: The weight of an item; 1 by default. ``len`` paces text by characters.
            age: Seconds since an item came; 0 by default.
            cancelled: As in wait().
        """
        for item in items:
            weight = 1.0 if weigh is None else weigh(item)
            if not self.wait(weight, age=0.0 if age is None else age(item), cancelled=cancelled):
                return
            yield item

    def _go(self, weight: float, latest: float | None, slept: bool) -> float:
        """Let the item go and return 0.0, or return how many seconds it has to wait."""
        with self._lock:
            if not self._rate:
                return 0.0
            now = self._clock()
            due = self._paid - (self._burst - 1.0) / self._rate
            if latest is not None and latest < due:
                if now < latest:
                    return latest - now
                # It lags. What is owed is let off, or after a pause all would lag that follows.
                self._paid = due = now
            elif now < due:
                return due - now
            late = min(now - due, LATE) if slept else 0.0
            self._paid = max(self._paid, now - late) + weight / self._rate
            return 0.0


class BurstRateLimiter(RateLimiter):
    """
    The same with a burst: after a silence that much may go at once, then it goes by the rate.

    >>> limiter = BurstRateLimiter(50, burst=100)
    >>> limiter.rate, limiter.burst
    (50.0, 100.0)

    Thread safety: **shared**, as RateLimiter.

    Args:
        rate: Weight per second, at least 0; 0 is unlimited.
        burst: Weight that may go at once, at least 1; it grows back by the rate.
        max_lag, clock, sleep: As for RateLimiter.

    Raises:
        ConfigurationError: A value outside these ranges.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        *,
        max_lag: float | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Any] = sleep,
    ) -> None:
        super().__init__(rate, max_lag=max_lag, clock=clock, sleep=sleep)
        _check(rate, burst, max_lag)
        self._burst = float(burst)


def _check(rate: Any, burst: Any, max_lag: Any) -> None:
    least = (("rate", rate, 0), ("burst", burst, 1), ("max_lag", max_lag, 0))
    for name, value, bound in least:
        if name == "max_lag" and value is None:
            continue
        if not is_number(value):
            raise ConfigurationError(f"{name} must be a number, got {value!r}")
        if not bound <= value < inf:
            raise ConfigurationError(f"{name} must be at least {bound}, got {value!r}")
