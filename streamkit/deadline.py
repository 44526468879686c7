"""
The five clocks of a stream, and how long the next wait may be.

``connect`` and ``total`` are instants. ``first``, ``content`` and ``wire`` are budgets that only
time spent waiting for the network uses up: a full buffer or a slow loop body stops them. The
reader asks ``left()`` before it waits, and reports with ``waited()`` how long it did.

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """
    How long each phase may take, in seconds; None switches one clock off.

    The defaults are DESIGN.md's: connect twice what the large SDKs use, first long enough for
    a reasoning model, content and wire as measured in field reports, total one hour.

    Thread safety: **immutable**.

    Args:
        connect: Name lookup, TCP and TLS together.
        first: Waiting for the first content, headers included.
        content: Waiting since the last content; reasoning and tool deltas count, pings do not.
        wire: Waiting since the last byte of any kind.
        total: The whole stream, retries included.

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
            if not value > 0 or math.isinf(value):
                raise ConfigurationError(
                    f"timeout {field.name} must be positive seconds, or None for no limit, got {value!r}"
                )


class Clocks:
    """
    What is left of each clock of one stream.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, timeouts: Timeouts, *, now: Callable[[], float] = monotonic) -> None:
        self.timeouts = timeouts
        self.now = now
        self._started = now()
        self._total = _instant(self._started, timeouts.total)
        self.begin_attempt()

    def begin_attempt(self) -> None:
        """Start connect, first, content and wire afresh; total goes on."""
        self._connect: float | None = _instant(self.now(), self.timeouts.connect)
        self._content_name = "first"
        self._content_limit = _budget(self.timeouts.first)
        self._wire_limit = _budget(self.timeouts.wire)
        self._content_waited = 0.0
        self._wire_waited = 0.0

    def connected(self) -> None:
        """The connection stands: the connect clock has done its work."""
        self._connect = None

    def reconnecting(self) -> None:
        """A connection is being made: the connect clock starts now."""
        self._connect = _instant(self.now(), self.timeouts.connect)

    def heard(self) -> None:
        """Bytes of any kind came."""
        self._wire_waited = 0.0

    def progressed(self) -> None:
        """Content came: text, reasoning, a tool delta."""
        self._content_name = "content"
        self._content_limit = _budget(self.timeouts.content)
        self._content_waited = 0.0

    def finishing(self) -> None:
        """A finish reason came: from here on, wait no longer than the grace."""
        self._wire_limit = min(self._wire_limit, FINISH_GRACE)
        self._content_limit = self._content_waited + FINISH_GRACE

    def waited(self, seconds: float) -> None:
        """Charge the time just spent waiting for bytes."""
        self._content_waited += seconds
        self._wire_waited += seconds

    def left(self) -> float:
        """Seconds the next wait may take; zero or less when a clock has run out."""
        left = self._content_limit - self._content_waited
        wire = self._wire_limit - self._wire_waited
        if wire < left:
            left = wire
        if self._connect is not None:
            left = min(left, self._connect - self.now())
        if self._total is not None:
            left = min(left, self._total - self.now())
        return left

    def total_left(self) -> float:
        """Seconds until the total clock runs out; infinity without one."""
        return math.inf if self._total is None else self._total - self.now()

    def elapsed(self) -> float:
        """Seconds since the stream began."""
        return self.now() - self._started

    def expired(self) -> StreamTimeout:
        """The error for the clock that is closest to its end (or past it)."""
        now = self.now()
        t = self.timeouts
        rows = [
            (self._content_limit - self._content_waited, self._content_name),
            (self._wire_limit - self._wire_waited, "wire"),
        ]
        if self._connect is not None:
            rows.append((self._connect - now, "connect"))
        if self._total is not None:
            rows.append((self._total - now, "total"))
        name = min(rows)[1]
        limit = getattr(t, name) or 0.0
        return StreamTimeout(
            f"{_MEANING[name]} within {limit:g} s (clock {name!r}, {now - self._started:.2f} s after the start)",
            clock=name,
            limit=limit,
            elapsed=now - self._started,
            retryable=name != "total",
            stage="connect" if name == "connect" else "body" if name == "content" else None,
        )


_MEANING = {
    "connect": "no connection",
    "first": "no content",
    "content": "no further content",
    "wire": "not a byte came",
    "total": "the answer was not complete",
}


def _budget(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _instant(start: float, limit: float | None) -> float | None:
    return None if limit is None else start + limit
