"""
Retry: whether a failed request is sent again, and how long to wait before.

Asked only before the first content of an answer; after it, sending again would repeat text that the
user has seen. The policy sees no clock and never sleeps: the caller hands in what is left of the
total clock, and waits.

Source: PROMISES.md P50 to P52, which follow the back-off of the openai and anthropic SDKs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from random import Random

from streamkit.errors import ConfigurationError, ConnectError, StreamkitError, StreamTimeout

__all__ = ["RetryConfig", "RetryPolicy", "retry_after"]

#: Clocks that may run out because one server hung, so that the next request may do better.
#: ``total`` bounds all attempts together, and ``content`` starts only where retrying ends.
RETRYABLE_CLOCKS = frozenset({"connect", "first", "wire"})

#: The random part of a back-off: clients that failed together must not return together.
JITTER = 0.25

#: No number of seconds and no HTTP-date is longer; a longer value is not worth parsing.
LONGEST_VALUE = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryConfig:
    """
    How often, and how patiently, a request that failed before its first content is sent again.

    Thread safety: **immutable**.

    Args:
        max_retries: Requests after the first; 0 never sends again. 2 as in the large SDKs.
        initial: Seconds before the first retry; doubles with each further one.
        cap: Most seconds the doubling reaches.
        max_retry_after: Most seconds a server may ask for; if it asks for more, the error is raised
            at once with ``retry_after`` set, since nobody expects a call to sleep longer.

    Raises:
        ConfigurationError: A negative, infinite or non-numeric value.
    """

    max_retries: int = 2
    initial: float = 0.5
    cap: float = 8.0
    max_retry_after: float = 60.0

    def __post_init__(self) -> None:
        if type(self.max_retries) is not int or self.max_retries < 0:
            raise ConfigurationError(
                f"retry max_retries must be a whole number of at least 0, got {self.max_retries!r}"
            )
        for name in ("initial", "cap", "max_retry_after"):
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 <= value < math.inf:
                raise ConfigurationError(
                    f"retry {name} must be seconds, at least 0 and finite, got {value!r}"
                )


class RetryPolicy:
    """
    Decide whether to send a request again, and after how many seconds.

    >>> from streamkit.errors import InvalidRequest, RateLimited
    >>> policy = RetryPolicy(RetryConfig(), random=lambda: 0.0)
    >>> policy.delay(RateLimited("slow down"), failures=2, total_left=60)
    0.75
    >>> policy.delay(InvalidRequest("no such model"), failures=1, total_left=60) is None
    True

    Thread safety: **immutable**, as far as ``random`` allows; the default one may be shared.

    Args:
        config: The numbers.
        random: Gives floats in [0, 1); ``random.Random(7).random`` makes the delays repeatable.
        judge: Which errors are worth another request; None is ``is_retryable``.
    """

    def __init__(
        self,
        config: RetryConfig,
        *,
        random: Callable[[], float] | None = None,
        judge: Callable[[StreamkitError], bool] | None = None,
    ) -> None:
        self.config = config
        self._judge = is_retryable if judge is None else judge
        self._random = Random().random if random is None else random

    def delay(self, error: StreamkitError, *, failures: int, total_left: float) -> float | None:
        """
        Seconds to wait before the next request; None to give up and raise ``error``.

        A wait that the server asked for is kept to the fraction, without jitter.

        Args:
            error: What ended the last request, before its first content.
            failures: Requests that have failed so far, at least 1.
            total_left: Seconds left of the total clock; a wait that would use them up is refused.
        """
        if failures > self.config.max_retries or not self._judge(error):
            return None
        asked = _asked_for(error)
        if asked is not None and asked > self.config.max_retry_after:
            return None
        delay = self._back_off(failures) if asked is None else asked
        return delay if delay < total_left else None

    def _back_off(self, failures: int) -> float:
        # The bound keeps the power within a float; half a second times 2**63 is past any cap.
        doubled: float = self.config.initial * 2 ** min(failures - 1, 63)
        return min(doubled, self.config.cap) * (1 - JITTER + JITTER * self._random())


def is_retryable(error: StreamkitError) -> bool:
    """
    Whether the same request may do better, as far as the error tells.

    ``retryable`` set on the error itself (from ``x-should-retry``, say) wins over its class.
    """
    if "retryable" in vars(error):
        return error.retryable
    if isinstance(error, StreamTimeout):
        return error.clock in RETRYABLE_CLOCKS
    if isinstance(error, ConnectError) and error.kind == "tls":
        return False  # a certificate that is wrong now is wrong in half a second
    return error.retryable


def retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """
    Seconds a response asks its client to wait; None if it does not say, or not sensibly.

    ``retry-after-ms`` goes first, then ``Retry-After`` as seconds (fractions too) or HTTP-date.
    Negative, NaN, infinite, past, empty and other text count as not said. Never raises.

    >>> retry_after({"Retry-After": "1.5"}, now=0.0)
    1.5

    Args:
        headers: Names in any case.
        now: Wall clock, epoch seconds: what an HTTP-date is measured against.

    Source: RFC 9110 section 10.2.3; ``retry-after-ms`` is read by the openai and anthropic SDKs.
    """
    values = {name.lower(): value.strip() for name, value in headers.items()}
    milliseconds = _number(values.get("retry-after-ms", ""))
    seconds = values.get("retry-after", "")
    candidates = (
        None if milliseconds is None else milliseconds / 1000,
        _number(seconds),
        _seconds_until(seconds, now),
    )
    return next((value for value in candidates if value is not None and value >= 0), None)


def _asked_for(error: StreamkitError) -> float | None:
    value = getattr(error, "retry_after", None)
    sensible = isinstance(value, (int, float)) and 0 <= value < math.inf
    return value if sensible else None


def _number(text: str) -> float | None:
    # float() also reads digits of other scripts, and underscores between digits.
    if len(text) > LONGEST_VALUE or not text.isascii() or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _seconds_until(date: str, now: float) -> float | None:
    if len(date) > LONGEST_VALUE or not date[:1].isalpha():
        return None
    try:
        instant = parsedate_to_datetime(date)
        if instant.tzinfo is None:  # an asctime date, or "-0000": both mean UTC
            instant = instant.replace(tzinfo=timezone.utc)
        return instant.timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None  # the parser of the standard library lets all four escape
