"""
What every store does the same: the rules of claim, append, read and expiry, over a few primitives.

A store brings a Shelf, which it opens in a transaction: what is done to the shelf happens at once
for all others, or not at all. Every rule is decided inside of one, so that two processes never
decide differently: who gets the lease, whether a batch was written before, who writes "lost".

Readers are in ``reading``, the writer's numbering is in ``writer``.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Literal, NoReturn
from weakref import WeakSet

from streamkit.errors import (
    Expired,
    Fenced,
    StoreError,
    StreamEnded,
    UnknownStream,
)
from streamkit.process import on_fork
from streamkit.store.base import TERMINAL, AppendReply, Entry, Stoppable, StreamInfo, Writer
from streamkit.store.bell import Bell
from streamkit.store.head import Head, check_choice, check_id, check_number, check_seconds
from streamkit.store.reading import Ask, beyond, entries, gap
from streamkit.store.record import Record, dump, load
from streamkit.store.shelf import Ear, Shelf
from streamkit.store.writer import LogWriter

__all__ = ["LogStore"]

#: Entries kept per stream: twice the longest answers of today (128 k tokens, one entry for each).
MAX_ENTRIES = 262_144

#: Bytes kept per stream, of the entries' JSON: what pipeline.Limits allows an answer.
MAX_BYTES = 64 * 1024 * 1024

#: claim() sweeps when the last sweep was longer ago, in seconds. Chosen; not measured.
SWEEP_EVERY = 60.0

#: Streams swept in one transaction, for which all other writers of the store wait: 6 ms where each
#: has 100 entries (SQLite, measured).
PORTION = 50


class LogStore(ABC):
    """
    A StreamStore but for where things are kept: subclasses say that, in the abstract methods.

    Thread safety: **shared**.

    Args:
        max_entries: Most entries kept per stream; the oldest go first, and a reader that has not
            had them gets Gap.
        max_bytes: Most bytes kept per stream, of the entries' JSON; the newest entry always stays.
        clock: Seconds that pass alike for all who use the store; a test may give its own.
    """

    def __init__(
        self,
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = check_number("max_entries", max_entries, 1)
        self._max_bytes = check_number("max_bytes", max_bytes, 1)
        self._clock = clock
        self._swept = clock()
        self._due: list[str] = []  # found, and not swept yet
        self._bell = Bell()
        self._closed = False
        _alive.add(self)

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a store belongs to its process and cannot be pickled or copied: give its URL instead"
        )

    # What a subclass brings.

    @abstractmethod
    def _write(self) -> AbstractContextManager[Shelf]:
        """A transaction nobody else writes in; undone by an exception."""

    @abstractmethod
    def _read(self) -> AbstractContextManager[Shelf]:
        """A shelf that stands still."""

    @abstractmethod
    def listen(self, id: str) -> Ear:
        """An ear for what happens to a stream."""

    def owner(self) -> str | None:
        """This process, as is_gone() of others knows it; None where only the lease can tell."""
        return None

    def is_gone(self, owner: str) -> bool:
        """Whether it is certain that such a process has ended."""
        return False

    def forked(self) -> None:
        """This is a child process now: let go of what belongs to the parent."""
        self._bell = Bell()

    # StreamStore.

    def claim(
        self,
        id: str,
        *,
        lease: float = 15.0,
        meta: Mapping[str, Any] | None = None,
        retain: float = 600.0,
        on_busy: Literal["raise", "takeover"] = "raise",
        on_lost: Literal["fail", "takeover"] = "fail",
        policy: Literal["continue", "restart"] = "continue",
    ) -> Writer:
        """See StreamStore."""
        check_choice("on_busy", on_busy, "raise", "takeover")
        check_choice("on_lost", on_lost, "fail", "takeover")
        check_choice("policy", policy, "continue", "restart")
        fresh = Head(
            id=check_id(id), born=secrets.token_hex(8), state="open", epoch=1, first=1, last=0,
            size=0, lease=check_seconds("lease", lease, above_zero=True),
            retain=check_seconds("retain", retain), heard=0.0, updated=time.time(),
            owner=self.owner(),
        )  # fmt: skip
        about = None if meta is None else dump("meta", meta)
        self._tidy()
        with self._write() as shelf:
            now = self._clock()
            head = shelf.head(id)
            if head is None:
                head = shelf.put(replace(fresh, heard=now))
                shelf.put_meta(head, about or b"{}")
            else:
                head.check_claim(now, self.lease_left(head), on_busy=on_busy, on_lost=on_lost)
                head = replace(
                    head, state="open", epoch=head.epoch + 1, lease=fresh.lease,
                    retain=fresh.retain, heard=now, updated=fresh.updated, cancel=None,
                    owner=fresh.owner,
                )  # fmt: skip
                if about is not None:
                    shelf.put_meta(head, about)
                head = self._add(shelf, head, [("takeover", dump("policy", {"policy": policy}))])
        self._bell.ring(id)
        return LogWriter(self, head)

    def read(
        self,
        id: str,
        after: int = 0,
        *,
        block: float = 1.0,
        limit: int = 256,
        until_end: bool = True,
        stop: Stoppable | None = None,
    ) -> Iterator[Entry]:
        """See StreamStore. Arguments are checked at once, the rest happens as it is iterated."""
        check_id(id)
        check_number("after", after, 0)
        check_number("limit", limit, 1)
        ask = Ask(id, check_seconds("block", block), limit, until_end, stop)
        return entries(self, ask, after)

    def info(self, id: str) -> StreamInfo:
        """See StreamStore."""
        check_id(id)
        with self._read() as shelf:
            head = _known(shelf.head(id), id)
            return head.info(self._clock(), self.lease_left(head), load(shelf.meta(head)))

    def streams(self) -> list[StreamInfo]:
        """See StreamStore."""
        found = []
        with self._read() as shelf:
            now = self._clock()
            for head in shelf.heads():
                if head.is_expired(now):
                    continue
                try:
                    found.append(head.info(now, self.lease_left(head), load(shelf.meta(head))))
                except StoreError:
                    pass  # one that is damaged hides no other; info() of it says so
        return found

    def cancel(self, id: str, reason: str = "") -> bool:
        """See StreamStore."""
        check_id(id)
        dump("reason", {"reason": reason})
        with self._write() as shelf:
            head = _known(shelf.head(id), id)
            if head.state != "open" or head.is_expired(self._clock()):
                return False
            if head.cancel is None:
                shelf.put(replace(head, cancel=str(reason)))
            return True

    def delete(self, id: str) -> bool:
        """See StreamStore."""
        check_id(id)
        with self._write() as shelf:
            head = shelf.head(id)
            if head is not None:
                shelf.drop(head)
        self._bell.ring(id)
        return head is not None

    def sweep(self) -> int:
        """See StreamStore."""
        due = self._overdue()
        swept, took = 0, 0.0
        for start in range(0, len(due), PORTION):
            if start:  # a writer in another process that waits for its turn must meet a gap
                time.sleep(took)
            began = time.monotonic()
            swept += self._sweep_some(due[start : start + PORTION])
            took = time.monotonic() - began
        return swept

    def close(self) -> None:
        """See StreamStore."""
        self._closed = True
        self._bell.ring_all()

    # Sweeping.

    def _tidy(self) -> None:
        """Sweep a little if it is time; the next claim goes on where there is more."""
        try:
            if not self._due and self._clock() > self._swept + SWEEP_EVERY:
                self._due = self._overdue()
            if self._due:
                # Two threads may take the same: the second one finds it done.
                some, self._due = self._due[:PORTION], self._due[PORTION:]
                self._sweep_some(some)
        except StoreError:
            if self._closed:  # as that of a file that was removed, which is said once
                raise
            # Else who claims is told so by the claim, if it concerns that stream too.

    def _overdue(self) -> list[str]:
        """Look what there is to sweep, which holds no writer up."""
        self._swept = self._clock()
        with self._read() as shelf:
            return shelf.overdue(self._clock())

    def _sweep_some(self, ids: Sequence[str]) -> int:
        """One transaction of a sweep; how many streams expired."""
        swept = []
        with self._write() as shelf:
            now = self._clock()
            for id in ids:
                try:
                    head = shelf.head(id)
                except StoreError:
                    continue  # it is damaged, and stays as it is
                if head is None or not head.is_overdue(now):
                    continue
                if head.state == "expired":
                    shelf.drop(head)
                    continue
                first = head.last + 1
                shelf.put(replace(head, state="expired", first=first, size=0, heard=now))
                shelf.put_meta(head, b"{}")
                shelf.cut(head, first)
                swept.append(id)
        for id in swept:
            self._bell.ring(id)
        return len(swept)

    # What writers and readers need.

    def write(
        self, id: str, born: str, epoch: int, first: int, items: Sequence[tuple[str, bytes]]
    ) -> AppendReply:
        """
        Append what is not there yet of ``items``, whose first has the number ``first``, and renew.

        Raises:
            StoreError: See Writer.
        """
        with self._write() as shelf:
            head = _known(shelf.head(id), id)
            if (head.born, head.epoch) != (born, epoch):
                raise Fenced(f"stream {id[:80]!r} was taken over by another writer", stream_id=id)
            _check_kept(head)  # first: of entries that are gone nothing can tell what they were
            new = items[_written(shelf, head, first, items) :]
            if new or not items or head.state == "open":
                _check_open(head)
                head = replace(head, heard=self._clock(), updated=time.time())
                head = self._add(shelf, head, new)
        if new:
            self._bell.ring(id)
        return AppendReply(first + len(items) - 1, head.cancel is not None, head.cancel or "")

    def _add(self, shelf: Shelf, head: Head, items: Sequence[tuple[str, bytes]]) -> Head:
        """Append entries, put the head, and trim."""
        records = [
            Record(seq, head.epoch, kind, data, head.updated)
            for seq, (kind, data) in enumerate(items, head.last + 1)
        ]
        state = TERMINAL.get(records[-1].kind, head.state) if records else head.state
        size = head.size + sum(len(record.data) for record in records)
        last = head.last + len(records)
        shelf.add(head, records)
        head = replace(head, state=state, last=last, size=size)
        if last - head.first < self._max_entries and size <= self._max_bytes:
            return shelf.put(head)
        head = shelf.put(self._trimmed(shelf, head))
        shelf.cut(head, head.first)
        return head

    def _trimmed(self, shelf: Shelf, head: Head) -> Head:
        first, size = head.first, head.size
        for seq, length in shelf.sizes(head):
            fits = head.last - first < self._max_entries and size <= self._max_bytes
            if fits or seq == head.last:
                break
            first, size = seq + 1, size - length
        return replace(head, first=first, size=size)

    def lease_left(self, head: Head) -> float:
        """Seconds until that writer counts as lost: none where its process is known to be gone."""
        left = head.lease_left(self._clock())
        if left > 0 and head.owner is not None and self.is_gone(head.owner):
            return 0.0
        return left

    def page(self, id: str, after: int, limit: int, born: str | None) -> tuple[Head, list[Record]]:
        """
        What stands behind ``after`` now.

        Raises:
            StoreError: See StreamStore.read().
        """
        with self._read() as shelf:
            head = _known(shelf.head(id), id)
            if born not in (None, head.born):
                raise UnknownStream(f"stream {id[:80]!r} was deleted", stream_id=id)
            if head.is_expired(self._clock()):
                raise Expired(f"stream {id[:80]!r} is no longer kept", stream_id=id)
            if after > head.last:
                raise beyond(id, after, head)
            if after < head.first - 1:
                raise gap(id, after, head.first)
            records = shelf.records(head, after, limit) if after < head.last else []
            if after < head.last and not records:
                raise gap(id, after, head.last + 1)
            return head, records

    def give_up(self, seen: Head) -> None:
        """Write "lost", unless another reader has, or the writer was heard of just now."""
        with self._write() as shelf:
            head = shelf.head(seen.id)
            if head is None or (head.born, head.epoch) != (seen.born, seen.epoch):
                return
            now = self._clock()
            if head.state != "open" or self.lease_left(head) > 0:
                return
            # It is kept from now on, however long ago its writer was heard of.
            head = replace(head, heard=now, updated=time.time())
            self._add(shelf, head, [("lost", dump("entry", {"last_seq": head.last}))])
        self._bell.ring(seen.id)


def _known(head: Head | None, id: str) -> Head:
    if head is None:
        raise UnknownStream(f"there is no stream {id[:80]!r}", stream_id=id)
    return head


def _check_kept(head: Head) -> None:
    if head.state in ("lost", "expired"):
        raise Fenced(
            f"the lease of stream {head.id[:80]!r} ran out, and it was given up as lost",
            stream_id=head.id,
        )


def _check_open(head: Head) -> None:
    if head.state != "open":
        raise StreamEnded(f"stream {head.id[:80]!r} has ended", stream_id=head.id)


def _written(shelf: Shelf, head: Head, first: int, items: Sequence[tuple[str, bytes]]) -> int:
    """How many of the items are in the log already, from an append whose reply was lost."""
    if first > head.last + 1:
        raise StoreError(
            f"stream {head.id[:80]!r} has lost entries: {first - 1} were written, {head.last} "
            "are there",
            stream_id=head.id,
        )
    if first > head.last or not items:
        return 0
    for record in shelf.records(head, max(first, head.first) - 1, len(items)):
        index = record.seq - first
        if index < len(items) and items[index] != (record.kind, record.data):
            _check_open(head)  # it may be the entry that ended the stream
            raise StoreError(
                f"entry {record.seq} of stream {head.id[:80]!r} is there already, and differs",
                stream_id=head.id,
            )
    return min(len(items), head.last - first + 1)


# Fork: locks may be held by threads that do not exist in the child.

_alive: WeakSet[LogStore] = WeakSet()


def _reset() -> None:
    for store in list(_alive):
        store.forked()


on_fork(_reset)
