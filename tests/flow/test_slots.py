"""Slots alone: slices around the end of the columns. The rest is tested through StreamBuffer."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from streamkit.flow.slots import Slots

STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "extend", "take", "clear", "grow"]), st.integers(1, 9)),
    max_size=60,
)


@given(capacity=st.integers(1, 7), more=st.integers(0, 50), sized=st.booleans(), steps=STEPS)
def test_slots_are_a_bounded_queue(
    capacity: int, more: int, sized: bool, steps: list[tuple[str, int]]
) -> None:
    size_of = (lambda n: n) if sized else None
    slots: Slots[int] = Slots(capacity, max_capacity=capacity + more, size_of=size_of)
    model: deque[int] = deque()
    for serial, (step, count) in enumerate(steps):
        if step == "put":
            room = slots.capacity - len(model)
            assert slots.put(serial, serial) is (room > 0)
            if room:
                model.append(serial)
        elif step == "extend":
            items = list(range(serial, serial + count))
            room = slots.capacity - len(model)
            fitted = slots.extend(items, items if sized else None, 1)
            assert fitted == min(count - 1, room)
            model.extend(items[1 : 1 + fitted])
        elif step == "take":
            taken = slots.take(count)
            assert taken == [model.popleft() for _ in range(min(count, len(model)))]
        elif step == "grow":
            full = len(model) == slots.capacity < capacity + more
            assert slots.grow() is full
        else:
            assert slots.clear() == list(model)
            model.clear()
        slots.check()
        assert (slots.size, slots.bytes) == (len(model), sum(model) if sized else 0)
    assert slots.pushed == slots.popped + slots.dropped + len(model)


def test_slots_double_when_full_and_halve_when_idle() -> None:
    slots: Slots[int] = Slots(4, max_capacity=18)
    seen = []
    for n in range(18):
        assert slots.put(n, 0) or (slots.grow() and slots.put(n, 0))
        seen.append(slots.capacity)
    assert seen == [4] * 4 + [8] * 4 + [16] * 8 + [18] * 2
    assert not slots.put(18, 0) and not slots.grow()
    assert slots.take(99) == list(range(18))
    assert slots.capacity == 18, "all of it was just in use"
    seen = []
    for _ in range(4):
        slots.put(0, 0)
        slots.take(1)
        seen.append(slots.capacity)
    assert seen == [9, 4, 4, 4]
    assert (slots.grown, slots.shrunk, slots.peak) == (3, 2, 18)


def test_bursts_that_need_the_slots_keep_them() -> None:
    slots: Slots[int] = Slots(4, max_capacity=64)
    for _ in range(100):
        for n in range(40):
            assert slots.put(n, 0) or (slots.grow() and slots.put(n, 0))
        while slots.size:
            slots.take(7)
    assert (slots.grown, slots.shrunk) == (4, 0)


def test_changing_the_number_of_slots_is_paid_for_by_the_items() -> None:
    """The worst load there is: grow as often as possible, and shrink as often as possible."""
    slots: Slots[int] = Slots(1, max_capacity=1024)
    pushed = copied = 0
    for _ in range(50):
        while slots.capacity < 1024:
            if not slots.put(0, 0):
                copied += slots.size
                slots.grow()
            pushed += 1
        slots.take(1024)
        while slots.capacity > 4:
            slots.put(0, 0)
            slots.take(1)
            pushed += 1
    assert copied <= 2 * pushed


def test_what_must_stay_is_kept_while_the_slots_change() -> None:
    slots: Slots[int] = Slots(2, max_capacity=16, may_shed=lambda n: False)
    for _ in range(3):
        for n in range(8):
            assert slots.put(n, 0) or (slots.grow() and slots.put(n, 0))
        assert not slots.discard_oldest()  # all of them move aside
        slots.check()
        assert slots.take(99) == list(range(8))
        slots.check()
    for _ in range(3):
        slots.put(0, 0)
        slots.take(1)
        slots.check()
    assert slots.capacity == 2
