"""What a place to keep streams must be able to do; the rules above it are in ``log``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from streamkit.store.head import Head
from streamkit.store.record import Record

__all__ = ["Ear", "Shelf"]


class Shelf(Protocol):
    """Where streams are kept, within one transaction. ``head`` is always one that came from it."""

    def head(self, id: str) -> Head | None:
        """The row of a stream."""

    def heads(self) -> list[Head]:
        """
        Those that no sweep has expired, the oldest first; rows that are damaged are left out.

        Cost: next to nothing for the expired ones, though a day's may be a thousand times as many.
        """

    def overdue(self, now: float) -> list[str]:
        """The ids of those that a sweep is due for; there may be others among them."""

    def put(self, head: Head) -> Head:
        """Write a row, new or changed; the head to go on with."""

    def meta(self, head: Head) -> bytes:
        """What put_meta() was given."""

    def put_meta(self, head: Head, meta: bytes) -> None:
        """Keep the JSON that goes with a stream."""

    def add(self, head: Head, records: Sequence[Record]) -> None:
        """Append entries."""

    def records(self, head: Head, after: int, limit: int) -> list[Record]:
        """The first ``limit`` entries behind ``after``, in order."""

    def sizes(self, head: Head) -> Iterable[tuple[int, int]]:
        """(seq, bytes of data) of each entry, in order."""

    def cut(self, head: Head, first: int) -> None:
        """Delete the entries before ``first``."""

    def drop(self, head: Head) -> None:
        """Delete all there is of a stream."""


class Ear(Protocol):
    """Hears what is appended from the moment on at which it was made."""

    def heard(self, timeout: float) -> bool:
        """Wait until something may have been appended, at most that many seconds."""

    def close(self) -> None:
        """It is not needed any more."""
