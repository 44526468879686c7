"""
The five clocks of a stream, and how long the next wait may be.

``connect``, ``total`` and the grace after a finish reason are instants. ``first``, ``content`` and
``wire`` are budgets that only time spent waiting for the network uses up: a full buffer or a slow
loop body stops them. The reader asks ``left()`` before it waits, and reports with ``waited()`` how
long it did. Sending counts for ``wire`` alone: a long prompt on a thin line is no silence of the
model's.

Nothing here waits by itself, and only monotonic time is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from time import monotonic

from streamkit.errors import ConfigurationError, StreamTimeout

__all__ = ["Clocks", "Timeouts"]

#: After a finish reason the usage and the terminal event may still come; how long we wait for them.
#: Source: PROMISES.md P30, "finish-then-hang".
FINISH_GRACE = 1.0

#: A clock that runs longer, 31 years, was meant to be None; a float holds any sum of such.
LONGEST = 1e9


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """
    How long each phase may take, in seconds; None switches one clock off.

    The defaults are DESIGN.md's: connect is twice what the large SDKs use, first is long enough for
    a reasoning model, content and wire are as in field reports, total is an hour.

    Thread safety: **immutable**.

    Args:
        connect: Name lookup, TCP and TLS together.
        first: Waiting for the first content, headers included.
        content: Waiting since the last content; reasoning and tool deltas count, pings do not.
        wire: Waiting since the last byte of any kind, either way.
        total: The whole stream by the wall clock: retries and your own loop included.

    Raises:
        ConfigurationError: A value that is not a positive number.
    """

    connect: float | None = 10.0
    first: float | None = 300.0
    content: float | None = 120.0
    wire: float | None = 120.0
    total: float | None = 3600.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigurationError(
                    f"timeout {field.name} must be seconds or None, got {value!r}"
                )
            if not 0 < value <= LONGEST:
                raise ConfigurationError(
                    f"timeout {field.name} must be positive seconds, or None for no limit, "
                    f"got {value!r}"
                )


class Clocks:
    """
    What is left of each clock of one stream.

    Thread safety: **confined** to the reading thread.
    """

    # An attempt has two phases. While connecting, only connect and total run; from then on first or
    # content, wire, and total.

    def __init__(self, timeouts: Timeouts, *, now: Callable[[], float] = monotonic) -> None:
        self.timeouts = timeouts
        self.now = now
        #: Seconds that finishing() leaves; who plays a recording has all the time it needs.
        self.grace = FINISH_GRACE
        self._started = now()
        self._total_end = self._started + _seconds(timeouts.total)
        self.begin_attempt()

    def begin_attempt(self) -> None:
        """Start connect, first, content and wire afresh; total goes on."""
        self._content_name = "first"
        self._content_limit = _seconds(self.timeouts.first)
        self._wire_limit = _seconds(self.timeouts.wire)
        self._grace_end = math.inf
        self._content_waited = 0.0
        self._wire_waited = 0.0
        self.connecting()

    def connecting(self) -> None:
        """A connection is being made: the connect clock starts now."""
        self._connecting = True
        self._connect_end = self.now() + _seconds(self.timeouts.connect)

    def connected(self) -> None:
        """The connection stands: the connect clock has done its work."""
        self._connecting = False

    def heard(self) -> None:
        """Bytes moved, of any kind."""
        self._wire_waited = 0.0

    def progressed(self) -> None:
        """Content came: text, reasoning, a tool delta."""
        self._content_name = "content"
        self._content_limit = _seconds(self.timeouts.content)
        self._content_waited = 0.0

    def finishing(self) -> None:
        """A finish reason came: the rest has the grace, whether we wait or are flooded."""
        self._grace_end = self.now() + self.grace

    def waited(self, seconds: float) -> None:
        """Charge the time just spent waiting for bytes to come."""
        if not self._connecting:
            self._content_waited += seconds
            self._wire_waited += seconds

    def waited_to_send(self, seconds: float) -> None:
        """Charge the time just spent waiting for the server to take bytes."""
        self._wire_waited += seconds

    def left(self) -> float:
        """Seconds the next wait may take; zero or less when a clock has run out."""
        now = self.now()
        left = self._connect_end - now if self._connecting else self.answer_left()
        end = self._total_end if self._total_end < self._grace_end else self._grace_end
        return left if left < end - now else end - now

    def over(self) -> bool:
        """Whether a clock has run out; for who reads on without ever having to wait."""
        return self.left() <= 0

    def answer_left(self) -> float:
        """What first or content, and wire, leave for the next wait once the connection stands."""
        content = self._content_limit - self._content_waited
        wire = self._wire_limit - self._wire_waited
        return content if content < wire else wire

    def total_left(self) -> float:
        """Seconds until the total clock runs out; infinity without one."""
        return self._total_end - self.now()

    def elapsed(self) -> float:
        """Seconds since the stream began."""
        return self.now() - self._started

    def expired(self) -> StreamTimeout:
        """The error for the clock that is closest to its end (or past it)."""
        now = self.now()
        rows = [(self._total_end - now, "total")]
        if self._connecting:
            rows.append((self._connect_end - now, "connect"))
        else:
            rows.append((self._content_limit - self._content_waited, self._content_name))
            rows.append((self._wire_limit - self._wire_waited, "wire"))
            rows.append((self._grace_end - now, self._content_name))
        name = min(rows)[1]
        limit = getattr(self.timeouts, name) or 0.0
        elapsed = now - self._started
        return StreamTimeout(
            f"{_MEANING[name]} within {limit:g} s (clock {name!r}, "
            f"{elapsed:.2f} s after the start)",
            clock=name,
            limit=limit,
            elapsed=elapsed,
            retryable=name != "total",
            stage="connect" if self._connecting else None,
        )


_MEANING = {
    "connect": "no connection",
    "first": "no content",
    "content": "no further content",
    "wire": "not a byte came",
    "total": "the answer was not complete",
}


def _seconds(limit: float | None) -> float:
    return math.inf if limit is None else limit
