"""Slots alone: slices around the end of the columns. The rest is tested through StreamBuffer."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from streamkit.flow.slots import Slots

STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "extend", "take", "clear"]), st.integers(1, 9)), max_size=60
)


@given(capacity=st.integers(1, 7), sized=st.booleans(), steps=STEPS)
def test_slots_are_a_bounded_queue(
    capacity: int, sized: bool, steps: list[tuple[str, int]]
) -> None:
    slots: Slots[int] = Slots(capacity, size_of=(lambda n: n) if sized else None)
    model: deque[int] = deque()
    for serial, (step, count) in enumerate(steps):
        if step == "put":
            assert slots.put(serial, serial) is (len(model) < capacity)
            if len(model) < capacity:
                model.append(serial)
        elif step == "extend":
            items = list(range(serial, serial + count))
            fitted = slots.extend(items, items if sized else None, 1)
            assert fitted == min(count - 1, capacity - len(model))
            model.extend(items[1 : 1 + fitted])
        elif step == "take":
            taken = slots.take(count)
            assert taken == [model.popleft() for _ in range(min(count, len(model)))]
        else:
            assert slots.clear() == list(model)
            model.clear()
        slots.check()
        assert (slots.size, slots.bytes) == (len(model), sum(model) if sized else 0)
    assert slots.pushed == slots.popped + slots.dropped + len(model)
