"""
What a store of streams is: one append-only log per stream id, one writer, any number of readers.

Each entry has a number, ``seq``, from 1 without a gap, so that the ``id:`` of an SSE event is all
that a reader needs to come back. A stream is written by whoever holds its lease; each time it is
taken over its ``epoch`` grows, and what an earlier writer still wants to say is refused (Fenced).

Source: FACTS.md 4.3 and 4.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

__all__ = [
    "RENEW",
    "TERMINAL",
    "AppendReply",
    "Entry",
    "EntryKind",
    "Stoppable",
    "StreamInfo",
    "StreamState",
    "StreamStore",
    "Writer",
]

StreamState = Literal["open", "ended", "failed", "cancelled", "lost", "expired"]
EntryKind = Literal["chunk", "takeover", "end", "failed", "cancelled", "lost"]

#: The entries that end a stream -> the state it is in from then on. All but "ended" may be claimed
#: again with ``on_lost="takeover"``; the log then goes on behind such an entry.
TERMINAL: Mapping[str, StreamState] = {
    "end": "ended",
    "failed": "failed",
    "cancelled": "cancelled",
    "lost": "lost",
}

#: A writer renews its lease after this part of it: two renewals may fail before it is lost.
RENEW = 1 / 3


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One record of a stream.

    ``seq`` counts from 1, ``epoch`` is that of the writer, ``ts`` the wall clock in seconds at
    which it was appended (for people; no rule depends on it). ``data`` of a "chunk" is what was
    given to append(); of "end", "failed" and "cancelled" what the writer said; of "takeover"
    ``{"policy": "continue" | "restart"}``; of "lost" ``{"last_seq": seq of the entry before}``.

    Thread safety: **immutable**; do not change ``data``.
    """

    seq: int
    epoch: int
    kind: str
    data: Mapping[str, Any]
    ts: float


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamInfo:
    """
    A stream as it stands.

    ``first`` and ``last`` are the seq of the oldest entry kept and of the newest (``first`` is
    ``last + 1`` where none is). ``lease_left`` is in seconds: 0.0 where the lease ran out, the
    writer's process is known to be gone, or the stream is not open. An "open" stream with
    ``lease_left == 0.0`` has lost its writer, and nobody who reads it has noticed yet. ``updated``
    is the wall clock of the last append or renewal.

    Thread safety: **immutable**.
    """

    id: str
    state: StreamState
    first: int
    last: int
    epoch: int
    lease_left: float
    meta: Mapping[str, Any] = field(default_factory=dict)
    cancel_requested: bool = False
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class AppendReply:
    """
    What the store says to a writer: how far the log goes, and whether somebody asked to cancel.

    Thread safety: **immutable**.
    """

    last_seq: int
    cancel_requested: bool = False
    reason: str = ""


class Stoppable(Protocol):
    """What ends a blocked read: a latch.Latch, or anything with ``is_set`` as a plain attribute."""

    @property
    def is_set(self) -> bool:
        """True from the moment on at which the reader shall stop."""
        ...


class Writer(Protocol):
    """
    The right to append to one stream, until it is ended, given up or taken over.

    Each method raises Fenced when another writer took the stream over or its readers gave it up as
    lost, StreamEnded when it has ended, UnknownStream when it was deleted, StoreUnavailable when
    the store cannot be written just now; the call may then be repeated as it was, and nothing is
    written twice. ConcurrencyError in a forked child: the parent has the lease.

    Any thread may call; calls wait for each other.
    """

    @property
    def id(self) -> str:
        """The stream."""
        ...

    @property
    def epoch(self) -> int:
        """1 for the first writer of a stream, one more with each takeover."""
        ...

    @property
    def lease(self) -> float:
        """Seconds from an append or renewal until others may take the stream over."""
        ...

    @property
    def last_seq(self) -> int:
        """The number of the newest entry known to be written."""
        ...

    def append(self, batch: Sequence[Mapping[str, Any]]) -> AppendReply:
        """
        Write one "chunk" entry per item, all of them or none; renews the lease.

        Each item is an entry's whole ``data``: a mapping that JSON can say (keys are text, no NaN,
        no lone surrogate). After StoreUnavailable repeat the same batch; it may have grown at its
        end.

        Raises:
            ConfigurationError: JSON cannot say an item; nothing was written.
        """
        ...

    def renew(self) -> AppendReply:
        """Keep the lease for another ``lease`` seconds."""
        ...

    def end(self, result: Mapping[str, Any]) -> AppendReply:
        """Write the entry "end"; the stream is "ended", and nobody can write to it any more."""
        ...

    def fail(self, error: Mapping[str, Any]) -> AppendReply:
        """Write the entry "failed"."""
        ...

    def cancelled(self, result: Mapping[str, Any]) -> AppendReply:
        """Write the entry "cancelled"."""
        ...

    def close(self) -> None:
        """
        Give the lease up: a stream that has not ended is "lost" at once, and may be taken over.

        Never raises a StoreError: where the store cannot be written, the lease runs out by itself.
        """
        ...


class StreamStore(Protocol):
    """
    Keeps streams, for those who come later, and for other threads and processes.

    An id is any text of 1 to 512 characters without NUL and lone surrogates, else
    ConfigurationError. Every method may raise StoreUnavailable; StoreError where the data is not
    what we wrote, or the store was closed. Any thread may call.
    """

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
        """
        Become the one writer of a stream, new or lost.

        Args:
            lease: Seconds without append or renewal after which the writer counts as lost; it also
                does as soon as its process is known to be gone.
            meta: What JSON can say about the stream, for info(); None keeps that of the writer
                before.
            retain: Seconds to keep the stream after its end.
            on_busy: With "takeover" a writer whose lease lives is fenced out as well.
            on_lost: With "takeover" a stream that is failed, cancelled or lost, or whose lease ran
                out, is carried on: the entry "takeover" follows, the epoch is one higher, and a
                request to cancel is forgotten.
            policy: What the takeover tells readers: "continue", or "restart" (forget the text).

        Raises:
            StreamBusy: Another writer's lease lives.
            StreamEnded: It has ended, or is over in another way and ``on_lost`` is "fail".
            ConfigurationError: A bad id, number or meta.
        """
        ...

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
        """
        The entries ``after + 1`` and on, in order, without gap or repeat; waits for those to come.

        Ends behind the entry that ends the stream. Such an entry ("end", "failed", "cancelled",
        "lost") is the end only if nothing follows it: after a takeover the log goes on. Wherever
        the last entry is "lost", ProducerLost follows; one ``lease`` after its writer was last
        heard of, the reader writes that entry itself. It need not wait for that where it can see
        that the writer's process has ended: with SQLite, on Linux, in the same PID namespace.

        A wait ends within 100 ms of ``stop`` or of the store's close(). An iterator that another
        thread is inside of cannot be closed (Python raises ValueError): use ``stop``.

        Args:
            after: The last seq already seen.
            block: Longest wait, in seconds, before the store is asked again.
            limit: Most entries to fetch at once.
            until_end: When False the iterator ends as soon as ``block`` seconds brought nothing; a
                lost writer is then not looked for.
            stop: Ends the iterator, as if it were closed, once its ``is_set`` is true.

        Raises:
            UnknownStream: There is none of that id.
            Expired: It ended longer than ``retain`` ago.
            Gap: Entries behind ``after`` are no longer kept, or ``after`` is beyond the newest.
            ProducerLost: After the last entry; the writer went without a word.
        """
        ...

    def info(self, id: str) -> StreamInfo:
        """
        A stream as it stands; changes nothing. Of an expired one only the numbers are left.

        Raises:
            UnknownStream: There is none of that id.
        """
        ...

    def streams(self) -> list[StreamInfo]:
        """All streams that are not expired, the oldest first."""
        ...

    def cancel(self, id: str, reason: str = "") -> bool:
        """
        Ask the writer to stop; it sees this in the reply to its next append or renewal.

        Returns:
            False where the stream is over already.

        Raises:
            UnknownStream: There is none of that id.
        """
        ...

    def delete(self, id: str) -> bool:
        """Forget a stream as if it had never been; False where there was none."""
        ...

    def sweep(self) -> int:
        """
        Delete the entries of the streams whose time is over; how many those were.

        That is ``retain`` seconds after the end; for an open stream 20 leases after its last
        renewal, and not before lease + retain. For a day more the id is known as expired.
        claim() sweeps by itself, once a minute.
        """
        ...

    def close(self) -> None:
        """Free what the store holds; blocked readers end with StoreError. ``memory://`` forgets."""
        ...
