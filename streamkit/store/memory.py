"""``memory://``: streams of this process, for its threads; gone when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from streamkit.errors import StoreError
from streamkit.latch import Latch
from streamkit.store.bell import Bell
from streamkit.store.head import Head
from streamkit.store.log import MAX_BYTES, MAX_ENTRIES, LogStore
from streamkit.store.record import Record
from streamkit.store.turn import Turn

__all__ = ["MemoryStore"]


class MemoryStore(LogStore):
    """
    Streams in dicts, behind one lock that is held for microseconds.

    A forked child gets an empty one: the writers of its streams are in the parent.

    Thread safety: **shared**.

    Args:
        max_entries: Most entries kept per stream; the oldest go first, and a reader that has not
            had them gets Gap.
        max_bytes: Most bytes kept per stream, of the entries' JSON; the newest entry always stays.
        clock: Monotonic seconds; a test may give its own.
    """

    # Guarded by _turn: _shelf.

    def __init__(
        self,
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(max_entries=max_entries, max_bytes=max_bytes, clock=clock)
        self._turn = Turn()
        self._shelf = _Drawers()

    @contextmanager
    def _write(self) -> Iterator[_Drawers]:
        with self._turn:
            if self._closed:
                raise StoreError("the store is closed")
            yield self._shelf

    _read = _write

    def listen(self, id: str) -> _MemoryEar:
        """An ear for what happens to a stream."""
        return _MemoryEar(self._bell, id)

    def forked(self) -> None:
        """This is a child process now."""
        super().forked()
        self._turn = Turn()
        self._shelf = _Drawers()

    def close(self) -> None:
        """Forget all streams; blocked readers end with StoreError."""
        super().close()
        with self._turn:
            self._shelf = _Drawers()


class _MemoryEar:
    """A latch at the bell."""

    def __init__(self, bell: Bell, id: str) -> None:
        self._bell = bell
        self._id = id
        self._latch: Latch = bell.listen(id)

    def heard(self, timeout: float) -> bool:
        return self._latch.wait(timeout)

    def close(self) -> None:
        self._bell.ignore(self._id, self._latch)


class _Drawer:
    """One stream. A dict of entries by seq: the oldest go and the newest come in O(1)."""

    __slots__ = ("head", "meta", "oldest", "records")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.meta = b"{}"
        self.records: dict[int, Record] = {}
        self.oldest = 1  # asked of the dict, it would go over all that were deleted before it


class _Drawers:
    """
    A Shelf.

    It undoes nothing when an exception comes between: entries are added first, and until the head
    says that they are there nobody sees them; they are deleted last, when it has said so.
    """

    def __init__(self) -> None:
        self._drawers: dict[str, _Drawer] = {}

    def head(self, id: str) -> Head | None:
        drawer = self._drawers.get(id)
        return None if drawer is None else drawer.head

    def heads(self) -> list[Head]:
        heads = (drawer.head for drawer in self._drawers.values())
        return [head for head in heads if head.state != "expired"]

    def overdue(self, now: float) -> list[str]:
        return [id for id, drawer in self._drawers.items() if drawer.head.is_overdue(now)]

    def put(self, head: Head) -> Head:
        drawer = self._drawers.get(head.id)
        if drawer is None:
            self._drawers[head.id] = _Drawer(head)
        else:
            drawer.head = head
        return head

    def meta(self, head: Head) -> bytes:
        return self._drawers[head.id].meta

    def put_meta(self, head: Head, meta: bytes) -> None:
        self._drawers[head.id].meta = meta

    def add(self, head: Head, records: Sequence[Record]) -> None:
        kept = self._drawers[head.id].records
        for record in records:
            kept[record.seq] = record

    def records(self, head: Head, after: int, limit: int) -> list[Record]:
        kept = self._drawers[head.id].records
        return [kept[seq] for seq in range(after + 1, min(after + limit, head.last) + 1)]

    def sizes(self, head: Head) -> Iterator[tuple[int, int]]:
        kept = self._drawers[head.id].records
        return ((seq, len(kept[seq].data)) for seq in range(head.first, head.last + 1))

    def cut(self, head: Head, first: int) -> None:
        drawer = self._drawers[head.id]
        for seq in range(drawer.oldest, first):
            drawer.records.pop(seq, None)  # an exception may have come between
        drawer.oldest = max(drawer.oldest, first)
        if not drawer.records:
            drawer.records.clear()  # the room it had: an expired id is known for a day

    def drop(self, head: Head) -> None:
        del self._drawers[head.id]
