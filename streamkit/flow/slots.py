"""
The ring's memory: a bounded number of slots, the accounting, and where items were lost.

Pure: no lock, no thread, no clock. StreamBuffer owns one and touches it only under its lock.

        kept            slots
    [ C1  C2 ]   [ t3  t4  C5  t6  .  . ]        oldest first; C must not be shed, t may be
                   head            tail

Items enter at the tail and leave at the head. To discard the oldest item that may be shed, the
ones before it that must stay move aside into ``kept``. Each moves at most once in its life and
nothing is ever shifted, so a discard is O(1) amortised.

Items have ordinals, in the order they entered. ``_marks[n]`` says how many were lost just before
the item with ordinal n; the ordinal of the next item to come marks a loss at the end. Losses that
become neighbours become one mark. Marks exist only where ``make_gap`` can show them.

The number of slots may vary. It doubles when an item finds all of them taken, which copies the
items in them, and so costs no more than putting them there did. It halves when the consumer has
emptied them, and since it did so before no more than a quarter was in use; then there is nothing to
copy. So each change is paid for by the pushes before it, and is not undone by the next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

__all__ = ["Slots"]

T = TypeVar("T")


class Slots(Generic[T]):
    """
    A bounded queue that counts what happens to its items. Satisfies FullRing.

    Nothing here drops the last reference to an item, for its ``__del__`` would run under the
    ring's lock: what is thrown away goes to ``trash`` or to the caller, who frees it later.

    Thread safety: **confined**; guarded by the ring's lock.
    """

    __slots__ = (
        "_first", "_head", "_items", "_kept", "_least", "_make_gap", "_marks", "_max_bytes",
        "_may_shed", "_merge", "_peak", "_recent", "_size_of", "_sizes", "_tail", "bytes",
        "capacity", "dropped", "grown", "max_capacity", "merged", "popped", "shrunk", "size",
        "trash",
    )  # fmt: skip

    # Invariant: 0 <= size <= capacity, and every slot outside head..tail is None.
    # Invariant: bytes <= max_bytes, or a single item is queued.

    def __init__(
        self,
        capacity: int,
        *,
        max_capacity: int | None = None,
        max_bytes: int | None = None,
        size_of: Callable[[T], int] | None = None,
        may_shed: Callable[[T], bool] | None = None,
        merge: Callable[[T, T], T | None] | None = None,
        make_gap: Callable[[int], T] | None = None,
    ) -> None:
        self.capacity = self._least = capacity
        self.max_capacity = capacity if max_capacity is None else max_capacity
        self.grown = self.shrunk = 0
        self._peak = 0
        self._recent = 0  # the peak since _shrink() last looked
        self.size = self.bytes = 0
        self.popped = self.dropped = self.merged = 0
        self.trash: list[T] = []
        self._max_bytes = max_bytes
        self._size_of = size_of
        self._may_shed = may_shed
        self._merge = merge
        self._make_gap = make_gap
        self._items: list[Any] = [None] * capacity
        # Sizes are stored, not asked for again at pop: the sum must come out even if items change.
        self._sizes: list[int] | None = None if size_of is None else [0] * capacity
        self._head = self._tail = 0
        self._first = 0  # ordinal of the item at head
        self._kept: deque[tuple[int, T, int]] = deque()  # (ordinal, item, bytes)
        self._marks: dict[int, int] = {}

    @property
    def pushed(self) -> int:
        """Items ever accepted or shed. Not stored, so that the accounting cannot come apart."""
        return self.popped + self.dropped + self.merged + self.size

    @property
    def peak(self) -> int:
        """The most items there ever were, as of the last note_peak()."""
        return max(self._peak, self._recent)

    @property
    def ready(self) -> bool:
        """Whether take() would return something."""
        return self.size > 0 or bool(self._marks)

    def may_shed(self, item: T) -> bool:
        """Whether a lossy policy may throw the item away."""
        return self._may_shed is None or self._may_shed(item)

    def put(self, item: T, nbytes: int) -> bool:
        """
        Add one item; False if it has no room.

        One that is over the byte bound by itself has room when it is alone: else it never would.
        """
        size = self.size
        if size >= self.capacity:
            return False
        tail = self._tail
        if self._sizes is not None:
            total = self.bytes + nbytes
            if self._max_bytes is not None and total > self._max_bytes and size:
                return False
            self._sizes[tail] = nbytes
            self.bytes = total
        self._items[tail] = item
        tail += 1
        self._tail = tail if tail < self.capacity else 0
        self.size = size + 1
        return True

    def extend(self, items: list[T], sizes: list[int] | None, start: int) -> int:
        """Add as many of ``items[start:]`` as there is room for, by slices; how many that was."""
        count = min(len(items) - start, self.capacity - self.size)
        if sizes is not None:
            count = self._fitting(sizes, start, count)
        if count <= 0:
            return 0
        end = start + count
        if sizes is not None and self._sizes is not None:
            _write(self._sizes, self._tail, sizes[start:end])
            self.bytes += sum(sizes[start:end])
        self._tail = _write(self._items, self._tail, items[start:end])
        self.size += count
        return count

    def grow(self) -> bool:
        """Make more slots, if all are taken and there may be more; whether there are now."""
        old = self.capacity
        if self.size < old or old == self.max_capacity:
            return False
        new = min(2 * old, self.max_capacity)
        queued = self.size - len(self._kept)
        # Made before anything is changed: there may be no memory for them.
        items = _read(self._items, self._head, queued) + [None] * (new - queued)
        if self._sizes is not None:
            self._sizes = _read(self._sizes, self._head, queued) + [0] * (new - queued)
        self._items, self._head, self._tail, self.capacity = items, 0, queued, new
        self.grown += 1
        return True

    def take(self, limit: int) -> list[T]:
        """Remove up to ``limit`` of the oldest items, with a gap item wherever some were lost."""
        self.note_peak()
        if self._kept or self._marks:
            return self._take_with_gaps(limit)
        count = min(limit, self.size)
        return self._take_slots(count) if count else []

    def note_peak(self) -> None:
        """Called before the size may shrink, which spares put() the comparison."""
        if self.size > self._recent:
            self._recent = self.size

    def discard_oldest(self) -> bool:
        """Throw away and count the oldest item that may be shed; False where there is none."""
        self.note_peak()
        while self.size > len(self._kept):
            sheddable = self.may_shed(self._items[self._head])
            ordinal = self._first
            item, nbytes = self._shift()
            if sheddable:
                self.size -= 1
                self.bytes -= nbytes
                self.dropped += 1
                self.trash.append(item)
                self._mark(ordinal + 1, 1 + self._marks.pop(ordinal, 0))
                return True
            self._kept.append((ordinal, item, nbytes))
        return False

    def merge_newest(self, item: T) -> bool:
        """Make ``item`` part of the newest queued one; False where the two do not go together."""
        if self._merge is None or self.size == len(self._kept):
            return False
        if self._next_ordinal() in self._marks:
            return False  # the gap belongs between the two
        at = self._tail - 1  # -1 is the last slot, which is right
        newest = self._items[at]
        merged = self._merge(newest, item)
        if merged is None:
            return False
        if self._sizes is not None and self._size_of is not None:
            grown = self._size_of(merged) - self._sizes[at]
            if self._max_bytes is not None and self.bytes + grown > self._max_bytes:
                return False
            self._sizes[at] += grown
            self.bytes += grown
        self._items[at] = merged
        self.merged += 1
        self.trash.append(newest)
        return True

    def lose_new(self) -> None:
        """Count an item that was shed instead of being added."""
        self.dropped += 1
        self._mark(self._next_ordinal(), 1)

    def clear(self) -> list[T]:
        """Throw everything away and count it: one loss, at the end. Returns it, to be freed."""
        self.note_peak()
        count = self.size
        gone = [item for _, item, _ in self._kept]
        gone += _read(self._items, self._head, count - len(gone))
        lost = sum(self._marks.values()) + count
        self._first = self._next_ordinal()
        self._head = _write(self._items, self._head, [None] * (count - len(self._kept)))
        self._kept.clear()
        self._marks.clear()
        self.size = self.bytes = 0
        self.dropped += count
        if lost:
            self._mark(self._first, lost)
        return gone

    def forget_losses(self) -> None:
        """Nobody will take any more: no gap is to be shown."""
        self._marks.clear()

    def check(self) -> None:
        """Assert the invariants; for tests."""
        queued = self.size - len(self._kept)
        assert 0 <= self.size <= self.capacity == len(self._items)
        assert self._least <= self.capacity <= self.max_capacity
        assert (self._head + queued - self._tail) % self.capacity == 0
        inside = {(self._head + step) % self.capacity for step in range(queued)}
        assert all(self._items[at] is None for at in range(self.capacity) if at not in inside)
        assert self._max_bytes is None or self.bytes <= self._max_bytes or self.size == 1
        if self._sizes is not None:
            kept = sum(nbytes for _, _, nbytes in self._kept)
            assert self.bytes == kept + sum(self._sizes[at] for at in inside)
        assert not any(self.may_shed(item) for _, item, _ in self._kept)
        places = {ordinal for ordinal, _, _ in self._kept}
        places.update(range(self._first, self._next_ordinal() + 1))
        assert self._marks.keys() <= places and all(lost > 0 for lost in self._marks.values())

    def _shrink(self) -> None:
        """Give up half of the slots, which are empty, if no more than a quarter was in use."""
        recent = self._recent
        self._peak = max(self._peak, recent)  # first: peak may be read without the lock
        self._recent = 0
        if 4 * recent > self.capacity:
            return
        self.capacity = max(self.capacity // 2, self._least)
        self._head = self._tail = 0
        del self._items[self.capacity :]
        if self._sizes is not None:
            del self._sizes[self.capacity :]
        self.shrunk += 1

    def _next_ordinal(self) -> int:
        return self._first + self.size - len(self._kept)

    def _mark(self, ordinal: int, lost: int) -> None:
        if self._make_gap is not None:
            self._marks[ordinal] = self._marks.get(ordinal, 0) + lost

    def _fitting(self, sizes: list[int], start: int, count: int) -> int:
        """How many of ``sizes[start : start + count]`` the byte bound admits."""
        if self._max_bytes is None or count <= 0:
            return count
        free = self._max_bytes - self.bytes
        if sum(sizes[start : start + count]) <= free:
            return count
        for done in range(count):
            free -= sizes[start + done]
            if free < 0:
                return max(done, 1) if self.size == 0 else done
        return count

    def _shift(self) -> tuple[T, int]:
        """Empty the slot at head, without any accounting."""
        head = self._head
        item: T = self._items[head]
        self._items[head] = None
        self._head = head + 1 if head + 1 < self.capacity else 0
        self._first += 1
        return item, 0 if self._sizes is None else self._sizes[head]

    def _take_slots(self, count: int) -> list[T]:
        taken: list[T]
        if count == 1:  # the usual case of a slow stream, without slices
            item, nbytes = self._shift()
            taken = [item]
            self.bytes -= nbytes
        else:
            head = self._head
            taken = _read(self._items, head, count)
            if self._sizes is not None:
                self.bytes -= sum(_read(self._sizes, head, count))
            self._head = _write(self._items, head, [None] * count)
            self._first += count
        self.size -= count
        self.popped += count
        if not self.size:
            # Start again at the first slot: a large ring that is hardly used stays in the cache.
            self._head = self._tail = 0
            if self.capacity > self._least:
                self._shrink()
        return taken

    def _take_with_gaps(self, limit: int) -> list[T]:
        taken: list[T] = []
        while len(taken) < limit:
            lost = self._marks.pop(self._kept[0][0] if self._kept else self._first, 0)
            if lost and self._make_gap is not None:
                taken.append(self._make_gap(lost))
            elif self._kept:
                _, item, nbytes = self._kept.popleft()
                self.size -= 1
                self.bytes -= nbytes
                self.popped += 1
                taken.append(item)
                if not self.size and self.capacity > self._least:
                    self._shrink()
            elif self.size:
                taken += self._take_slots(1 if self._marks else min(limit - len(taken), self.size))
            else:
                break
        return taken


def _read(column: list[Any], at: int, count: int) -> list[Any]:
    """``count`` entries from ``at`` on, around the end of the column."""
    end = at + count
    if end <= len(column):
        return column[at:end]
    return column[at:] + column[: end - len(column)]


def _write(column: list[Any], at: int, values: list[Any]) -> int:
    """Put the values at ``at`` and on, around the end of the column; the place after the last."""
    end = at + len(values)
    if end < len(column):
        column[at:end] = values
        return end
    split = len(column) - at
    column[at:] = values[:split]
    column[: end - len(column)] = values[split:]
    return end - len(column)
