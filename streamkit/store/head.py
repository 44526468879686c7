"""
What a store knows about a stream besides its entries, and what follows from it. Pure.

Times are of the monotonic clock, which on Linux, macOS and Windows counts from the start of the
machine and is the same in all its processes, so that a lease can be judged by any of them, and a
clock that is set, or steps, ends no lease. It stands still while the machine sleeps, as the writers
do. After a restart it begins anew: an age is then smaller than the truth, never larger.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from streamkit.errors import ConfigurationError, StreamBusy, StreamEnded
from streamkit.number import is_number
from streamkit.store.base import StreamInfo, StreamState

__all__ = ["Head", "check_choice", "check_id", "check_number", "check_seconds"]

#: An open stream is kept this many leases after its last renewal. Source: FACTS.md 4.3.
OPEN_LEASES = 20

#: Seconds for which an id is known as expired. Chosen: a browser tab that sleeps overnight still
#: gets the right answer.
TOMBSTONE = 86_400.0

#: Longest id, in characters: longer than any hash, path or URL that is used as one.
ID_LENGTH = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """
    The row of a stream.

    ``born`` is drawn when the stream is created: with ``epoch`` it tells one writer from all
    others, also from those of an earlier stream of the same id. ``size`` is the bytes of the
    entries kept, ``heard`` and ``updated`` the monotonic and the wall clock of the last append or
    renewal, ``cancel`` the reason somebody gave for cancelling, ``owner`` the process of the writer
    where others can tell whether it lives (see ``owner.py``).

    Thread safety: **immutable**.
    """

    id: str
    born: str
    state: StreamState
    epoch: int
    first: int
    last: int
    size: int
    lease: float
    retain: float
    heard: float
    updated: float
    cancel: str | None = None
    owner: str | None = None
    #: Where the store keeps it, if it needs a place of its own for that.
    key: int = 0

    def lease_left(self, now: float) -> float:
        """Seconds for which the writer need not be heard of."""
        return max(0.0, self.heard + self.lease - now) if self.state == "open" else 0.0

    def is_expired(self, now: float) -> bool:
        """Whether its time is over, swept or not."""
        if self.state == "expired":
            return True
        kept = self.retain
        if self.state == "open":  # nobody noticed that its writer is gone
            kept = max(OPEN_LEASES * self.lease, self.lease + self.retain)
        return now > self.heard + kept

    def is_overdue(self, now: float) -> bool:
        """Whether a sweep has something to do with it: its time is over, or that of its id."""
        if self.state == "expired":
            return now > self.heard + TOMBSTONE
        return self.is_expired(now)

    def info(self, now: float, left: float, meta: dict[str, Any]) -> StreamInfo:
        """What users see of it; ``left`` is what the store finds left of the lease."""
        expired = self.is_expired(now)
        return StreamInfo(
            id=self.id,
            state="expired" if expired else self.state,
            first=self.first,
            last=self.last,
            epoch=self.epoch,
            lease_left=0.0 if expired else left,
            meta={} if expired else meta,
            cancel_requested=self.cancel is not None,
            updated=self.updated,
        )

    def check_claim(self, now: float, left: float, *, on_busy: str, on_lost: str) -> None:
        """
        Whether a new writer may carry the stream on.

        Raises:
            StreamBusy, StreamEnded: It may not.
        """
        name = repr(self.id[:80])
        if self.state == "ended" or self.is_expired(now):
            raise StreamEnded(f"stream {name} has ended", stream_id=self.id)
        if left > 0:
            if on_busy == "takeover":
                return
            raise StreamBusy(
                f"stream {name} has a writer, whose lease lives for {left:.3g} s more",
                stream_id=self.id,
            )
        if on_lost != "takeover":
            state = "lost" if self.state == "open" else self.state
            raise StreamEnded(
                f'stream {name} is {state}: claim it with on_lost="takeover" to carry it on',
                stream_id=self.id,
            )


def check_id(id: object) -> str:
    """
    The id of a stream, which is any text, within reason.

    Raises:
        ConfigurationError: It is empty, too long, no text, or text that UTF-8 or C cannot say.
    """
    if not isinstance(id, str):
        raise ConfigurationError(f"a stream id must be text, got a {type(id).__name__}")
    if not 1 <= len(id) <= ID_LENGTH:
        raise ConfigurationError(
            f"a stream id must have 1 to {ID_LENGTH} characters, got {len(id)}"
        )
    if "\0" in id or not is_utf8(id):
        raise ConfigurationError("a stream id must have no NUL and no half of a character")
    return str(id)


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can say it, that is, whether it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_seconds(name: str, value: object, *, above_zero: bool = False) -> float:
    """
    A finite number of seconds.

    Raises:
        ConfigurationError: It is none.
    """
    if not is_number(value) or not isfinite(value) or value < 0 or (above_zero and value == 0):  # type: ignore[arg-type, operator]
        least = "above 0" if above_zero else "at least 0"
        raise ConfigurationError(f"{name} must be seconds, {least}, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def check_number(name: str, value: object, least: int) -> int:
    """
    A whole number of at least ``least``.

    Raises:
        ConfigurationError: It is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be an int of at least {least}, got {value!r}")
    return value


def check_choice(name: str, value: object, *choices: str) -> None:
    """
    One of some words.

    Raises:
        ConfigurationError: It is none of them.
    """
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
