"""
StreamBuffer against a model: a plain list that does everything the slow and obvious way.

One thread and no waiting: where the ring would wait, it must say so at once, and change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from streamkit.errors import BufferClosed, BufferFull
from streamkit.flow import POLICIES, StreamBuffer

PROGRAMS = 2_000 if os.environ.get("STREAMKIT_BIG_TESTS") == "1" else 100

pytestmark = pytest.mark.timeout(1_200)


@dataclass(frozen=True)
class Item:
    size: int
    control: bool
    parts: tuple[int, ...]  # the serial numbers merged into it


@dataclass(frozen=True)
class Gap:
    lost: int


def merge(a: Item, b: Item) -> Item | None:
    if a.control or b.control or len(a.parts) >= 3:
        return None
    return Item(a.size + b.size, False, a.parts + b.parts)


@dataclass
class Model:
    """The queue with its gaps, as one list."""

    least: int
    most: int
    overflow: str
    max_bytes: int | None
    may_shed: Callable[[Item], bool]
    gaps: bool
    entries: list[Item | Gap] = field(default_factory=list)
    popped: int = 0
    dropped: int = 0
    merged: int = 0
    grown: int = 0
    shrunk: int = 0
    recent: int = 0  # the most items since the consumer last emptied a grown ring

    def __post_init__(self) -> None:
        self.capacity = self.least

    @property
    def items(self) -> list[Item]:
        return [entry for entry in self.entries if isinstance(entry, Item)]

    @property
    def bytes(self) -> int:
        return sum(item.size for item in self.items)

    def push(self, item: Item) -> bool | None:
        """True: kept. False: shed. None: would wait."""
        while not self.has_room(item.size):
            if len(self.items) == self.capacity < self.most:
                self.capacity = min(2 * self.capacity, self.most)
                self.grown += 1
                continue
            if self.overflow == "drop" and self.may_shed(item):
                self.lose(len(self.entries))
                return False
            if self.overflow == "coalesce" and self.merge(item):
                return True
            victims = [e for e in self.items if self.may_shed(e)]
            if self.overflow != "overwrite" or not victims:
                return None
            at = self.entries.index(victims[0])
            del self.entries[at]
            self.lose(at)
        self.entries.append(item)
        self.recent = max(self.recent, len(self.items))
        return True

    def has_room(self, size: int) -> bool:
        items = self.items
        fits = self.max_bytes is None or self.bytes + size <= self.max_bytes or not items
        return len(items) < self.capacity and fits

    def merge(self, item: Item) -> bool:
        newest = self.entries[-1]
        both = None if isinstance(newest, Gap) else merge(newest, item)
        if both is None or (self.max_bytes is not None and self.bytes + item.size > self.max_bytes):
            return False
        self.entries[-1] = both
        self.merged += 1
        return True

    def lose(self, at: int, count: int = 1) -> None:
        self.dropped += count
        self.gap(at, count)

    def gap(self, at: int, count: int) -> None:
        if self.gaps:
            self.entries.insert(at, Gap(count))
            for left in range(len(self.entries) - 1, 0, -1):
                a, b = self.entries[left - 1 : left + 1]
                if isinstance(a, Gap) and isinstance(b, Gap):
                    self.entries[left - 1 : left + 1] = [Gap(a.lost + b.lost)]

    def take(self, limit: int) -> list[Item | Gap]:
        taken, self.entries = self.entries[:limit], self.entries[limit:]
        popped = sum(isinstance(entry, Item) for entry in taken)
        self.popped += popped
        if popped and not self.items and self.capacity > self.least:
            if 4 * self.recent <= self.capacity:
                self.capacity = max(self.capacity // 2, self.least)
                self.shrunk += 1
            self.recent = 0
        return taken

    def clear(self) -> int:
        count = len(self.items)
        shown = sum(entry.lost for entry in self.entries if isinstance(entry, Gap))
        self.entries = []
        self.dropped += count
        if count + shown:
            self.gap(0, count + shown)
        return count


FINAL = Item(0, True, (-1,))


class RingMachine(RuleBasedStateMachine):
    serial = 0
    error: KeyError | None = None
    final: Item | None = None
    closed = aborted = False

    @initialize(
        capacity=st.integers(1, 5),
        more=st.just(0) | st.integers(0, 30),
        overflow=st.sampled_from(sorted(POLICIES)),
        max_bytes=st.none() | st.integers(1, 12),
        picky=st.booleans(),
        gaps=st.booleans(),
    )
    def start(
        self,
        capacity: int,
        more: int,
        overflow: str,
        max_bytes: int | None,
        picky: bool,
        gaps: bool,
    ) -> None:
        def may_shed(item: Item) -> bool:
            return not (picky and item.control)

        self.model = Model(capacity, capacity + more, overflow, max_bytes, may_shed, gaps)
        self.ring: StreamBuffer[Any] = StreamBuffer(
            capacity,
            overflow=overflow,
            max_capacity=capacity + more if more else None,
            max_bytes=max_bytes,
            size_of=None if max_bytes is None else lambda item: item.size,
            may_shed=may_shed if picky else None,
            merge=merge,
            make_gap=Gap if gaps else None,
        )

    def new_item(self, shape: tuple[int, bool]) -> Item:
        self.serial += 1
        return Item(shape[0], shape[1], (self.serial,))

    shapes = st.tuples(st.integers(0, 15), st.booleans())

    @rule(shape=shapes)
    def push(self, shape: tuple[int, bool]) -> None:
        item = self.new_item(shape)
        if self.closed:
            with pytest.raises(BufferClosed):
                self.ring.push(item)
            return
        kept = self.model.push(item)
        if kept is None:
            with pytest.raises(BufferFull):
                self.ring.push(item, timeout=0)
        else:
            assert self.ring.push(item, timeout=0) is kept

    @rule(shapes=st.lists(shapes, max_size=9))
    def push_many(self, shapes: list[tuple[int, bool]]) -> None:
        items = [self.new_item(shape) for shape in shapes]
        kept = []
        while not self.closed and len(kept) < len(items):
            one = self.model.push(items[len(kept)])
            if one is None:
                break
            kept.append(one)
        if len(kept) == len(items):
            assert self.ring.push_many(items, timeout=0) == sum(kept)
        else:
            with pytest.raises(BufferClosed if self.closed else BufferFull) as caught:
                self.ring.push_many(items, timeout=0)
            assert caught.value.accepted == len(kept)

    @rule(limit=st.integers(1, 9))
    def pop_many(self, limit: int) -> None:
        self.compare_pop(limit, lambda: self.ring.pop_many(limit, timeout=0))

    @rule()
    def pop(self) -> None:
        def pop_one() -> list[Any]:
            item = self.ring.pop(timeout=0)
            return [] if item is None else [item]

        self.compare_pop(1, pop_one)

    def compare_pop(self, limit: int, pop: Callable[[], list[Any]]) -> None:
        expected = [] if self.aborted else self.model.take(limit)
        if self.final is not None and len(expected) < limit:
            expected.append(self.final)
            self.final = None
        if expected or (self.closed and self.error is None):
            assert pop() == expected
        elif self.error is not None:
            with pytest.raises(KeyError) as caught:
                pop()
            assert caught.value is self.error
        else:
            with pytest.raises(TimeoutError):
                pop()

    @rule()
    def clear(self) -> None:
        assert self.ring.clear() == self.model.clear()

    # Rarely, so that most programs run for a while before their end.
    @precondition(lambda self: self.serial > 12)
    @rule(final=st.none() | st.just(FINAL), error=st.none() | st.builds(KeyError))
    def close(self, final: Item | None, error: KeyError | None) -> None:
        self.ring.close(error, final=final)
        if not self.closed:
            self.closed, self.final, self.error = True, final, error

    @precondition(lambda self: self.serial > 20)
    @rule()
    def abort(self) -> None:
        self.ring.abort()
        self.model.clear()
        self.closed = self.aborted = True
        self.final = self.error = None

    @invariant()
    def the_ring_agrees_with_the_model(self) -> None:
        if not hasattr(self, "ring"):
            return
        model, size = self.model, len(self.model.items)
        assert len(self.ring) == size
        assert self.ring.fill == size / model.most
        assert self.ring.closed == self.closed
        self.ring._check()
        stats = self.ring.stats()
        assert (stats.popped, stats.dropped, stats.merged, stats.size) == (
            model.popped,
            model.dropped,
            model.merged,
            size,
        )
        assert stats.bytes == (0 if model.max_bytes is None else model.bytes)
        assert stats.size <= stats.peak <= model.most
        assert (stats.capacity, stats.grown, stats.shrunk) == (
            model.capacity,
            model.grown,
            model.shrunk,
        )


def test_the_ring_behaves_as_the_model() -> None:
    run_state_machine_as_test(
        RingMachine, settings=settings(max_examples=PROGRAMS, stateful_step_count=50, deadline=None)
    )
