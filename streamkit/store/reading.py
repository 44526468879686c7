"""
The reader's side: look, give what is new, wait, look again.

A reader holds nothing in the store while it waits or while its user is busy, so it slows nobody. It
waits at most until the lease of the writer runs out, and looks now and then whether its process
still lives; whoever finds it lost first says so in the log, in a transaction, so that all readers
see the same end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from streamkit.errors import Gap, ProducerLost
from streamkit.store.base import Entry, Stoppable
from streamkit.store.head import Head
from streamkit.store.record import Record
from streamkit.store.shelf import Ear

__all__ = ["Ask", "beyond", "entries", "gap"]

#: How long a wait may overlook ``stop``, in seconds: followers stop within 100 ms.
STOP_SLICE = 0.05

#: Seconds between two looks at the process of the writer. Chosen: 20 us each, and a reader hears of
#: a killed writer while its user still waits for the next word.
LOOK = 0.25

#: Shortest wait, in seconds, of a reader that would rather not wait and yet wants the end.
LEAST_BLOCK = 0.01


class Log(Protocol):
    """The store, as a reader sees it."""

    def page(self, id: str, after: int, limit: int, born: str | None) -> tuple[Head, list[Record]]:
        """What stands behind ``after`` now."""
        ...

    def lease_left(self, head: Head) -> float:
        """Seconds, by the clock of the store."""
        ...

    def give_up(self, seen: Head) -> None:
        """Write "lost", if it still is."""
        ...

    def listen(self, id: str) -> Ear:
        """An ear for what happens to a stream."""
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """What a reader wants: see StreamStore.read()."""

    id: str
    block: float
    limit: int
    until_end: bool
    stop: Stoppable | None

    @property
    def stopped(self) -> bool:
        """Whether the reader shall end."""
        return self.stop is not None and self.stop.is_set


def entries(log: Log, ask: Ask, after: int) -> Iterator[Entry]:
    """The entries behind ``after``: see StreamStore.read()."""
    born = None
    ear = log.listen(ask.id)
    idle_since: float | None = None
    try:
        while not ask.stopped:
            head, records = log.page(ask.id, after, ask.limit, born)
            born = head.born
            for record in records:
                if record.seq != after + 1:
                    raise gap(ask.id, after, record.seq)
                entry, after = record.entry(), record.seq
                yield entry
                if ask.stopped:
                    return
            if records:
                idle_since = None
                if after < head.last:
                    continue
            if head.state == "lost":
                raise lost(head)
            if head.state != "open":
                return
            idle_since = idle_since or time.monotonic()
            left = patience(log, ask, head, idle_since)
            if left <= 0:
                if not ask.until_end:
                    return
                log.give_up(head)
                continue
            wait(ear, left, ask)
            ear.close()
            ear = log.listen(ask.id)
    finally:
        ear.close()


def patience(log: Log, ask: Ask, head: Head, idle_since: float) -> float:
    """How long to wait for news; 0 or less: not at all."""
    if ask.until_end:
        most = max(ask.block, LEAST_BLOCK)
        return min(most if head.owner is None else min(most, LOOK), log.lease_left(head))
    return idle_since + ask.block - time.monotonic()


def wait(ear: Ear, left: float, ask: Ask) -> None:
    """Until something is heard, or the reader shall stop, at most ``left`` seconds."""
    if ask.stop is None:
        ear.heard(left)
        return
    end = time.monotonic() + left
    while not ask.stopped and (left := end - time.monotonic()) > 0:
        if ear.heard(min(left, STOP_SLICE)):
            return


def gap(id: str, after: int, first: int) -> Gap:
    """The log does not go on behind ``after``."""
    return Gap(
        f"stream {id[:80]!r} does not go on behind entry {after}: the next it has is {first}",
        first_available=first,
        stream_id=id,
    )


def beyond(id: str, after: int, head: Head) -> Gap:
    """Nobody can have seen that entry: it is of another stream, or of one that was deleted."""
    return Gap(
        f"stream {id[:80]!r} has no entry {after}: the last it has is {head.last}",
        first_available=head.first,
        stream_id=id,
    )


def lost(head: Head) -> ProducerLost:
    """The last entry of the stream is "lost"."""
    return ProducerLost(
        f"the writer of stream {head.id[:80]!r} went without a word after entry {head.last - 1}",
        last_seq=head.last - 1,
        stream_id=head.id,
    )
