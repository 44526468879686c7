"""The conformance suite of overflow policies: every entry of POLICIES, and callables of a user."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from streamkit.errors import BufferClosed, BufferFull, ConfigurationError
from streamkit.flow import POLICIES, FullRing, StreamBuffer, Verdict


def drop_every_second(ring: FullRing[Any], item: Any) -> Verdict:
    return "shed" if item % 2 else "wait"


def merge_else_overwrite(ring: FullRing[Any], item: Any) -> Verdict:
    if ring.merge_newest(item):
        return "merged"
    return "retry" if ring.discard_oldest() else "wait"


def retry_for_nothing(ring: FullRing[Any], item: Any) -> Verdict:
    return "retry"


def discard_and_shed(ring: FullRing[Any], item: Any) -> Verdict:
    ring.discard_oldest()
    return "shed"


OWN = (drop_every_second, merge_else_overwrite, retry_for_nothing, discard_and_shed)
every_policy = pytest.mark.parametrize(
    "overflow", [*POLICIES, *OWN], ids=lambda p: p if isinstance(p, str) else p.__name__
)


def merge(a: int, b: int) -> int | None:
    """Items are positive; two merge into the newer one, a multiple of five never does."""
    return b if a > 0 and b > 0 and a % 5 and b % 5 else None


def make_ring(overflow: Any, capacity: int = 3, **hooks: Any) -> StreamBuffer[int]:
    return StreamBuffer(capacity, overflow=overflow, merge=merge, **hooks)


@every_policy
def test_the_accounting_balances_whatever_happens(overflow: Any) -> None:
    ring = make_ring(overflow, max_bytes=6, size_of=lambda n: n % 4, make_gap=lambda n: -n)
    out, accepted = [], 0
    for n in range(1, 200):
        try:
            ring.push(n, timeout=0)
            accepted += 1
        except BufferFull:
            out += ring.pop_many(1 + n % 3)
        ring._check()
        stats = ring.stats()
        assert stats.pushed == accepted == stats.popped + stats.dropped + stats.merged + stats.size
    ring.close()
    while items := ring.pop_many(2):
        out += items
    stats = ring.stats()
    delivered = [n for n in out if n > 0]
    assert delivered == sorted(set(delivered))
    assert (stats.popped, stats.size) == (len(delivered), 0)
    assert stats.dropped == -sum(n for n in out if n < 0)


@every_policy
def test_items_that_may_not_be_shed_all_arrive_in_order(overflow: Any) -> None:
    ring = make_ring(overflow, may_shed=lambda n: n % 5 != 0)
    out: list[int] = []
    pushed = []
    for n in range(1, 300):
        while True:
            try:
                ring.push(n, timeout=0)
                break
            except BufferFull:
                out += ring.pop_many(1)
        pushed.append(n)
    ring.close()
    while items := ring.pop_many(9):
        out += items
    assert [n for n in out if n % 5 == 0] == [n for n in pushed if n % 5 == 0]
    assert out == sorted(out)


@every_policy
def test_with_room_every_policy_keeps_the_item(overflow: Any) -> None:
    ring = make_ring(overflow)
    assert [ring.push(n) for n in (1, 2, 3)] == [True] * 3
    assert ring.pop_many(9) == [1, 2, 3]


@every_policy
@pytest.mark.parametrize("end", ["close", "abort"])
def test_a_push_that_waits_ends_with_the_ring(overflow: Any, end: str, run_in_thread: Any) -> None:
    ring = make_ring(overflow, capacity=1, may_shed=lambda n: False)
    ring.push(5)
    task = run_in_thread(ring.push, 10)
    while ring._wake_at < 0:
        threading.Event().wait(0.001)
    getattr(ring, end)()
    with pytest.raises(BufferClosed):
        task.result()
    assert ring.stats().pushed == 1


@every_policy
def test_push_many_is_the_sequence_of_pushes(overflow: Any) -> None:
    one, many = make_ring(overflow), make_ring(overflow)
    kept = done = 0
    for n in range(1, 9):
        try:
            kept += one.push(n, timeout=0)
            done += 1
        except BufferFull:
            break
    try:
        assert many.push_many(range(1, 9), timeout=0) == kept
    except BufferFull as full:
        assert full.accepted == done  # type: ignore[attr-defined]
    assert one.stats() == many.stats()
    assert one.pop_many(9) == many.pop_many(9)


@pytest.mark.parametrize(
    ("overflow", "queued", "third"),
    [
        ("block", [1, 2], None),
        ("drop", [1, 2], False),
        ("overwrite", [2, 3], True),
        ("coalesce", [1, 3], True),
        (drop_every_second, [1, 2], False),
        (merge_else_overwrite, [1, 3], True),
        (retry_for_nothing, [1, 2], None),
        (discard_and_shed, [2], False),
    ],
)
def test_what_each_policy_does_with_a_third_item_in_two_slots(
    overflow: Any, queued: list[int], third: bool | None
) -> None:
    ring = make_ring(overflow, capacity=2)
    ring.push_many([1, 2])
    if third is None:
        with pytest.raises(BufferFull):
            ring.push(3, timeout=0)
    else:
        assert ring.push(3, timeout=0) is third
    assert ring.pop_many(9, timeout=0) == queued


def test_items_that_do_not_merge_wait() -> None:
    ring = make_ring("coalesce", capacity=1)
    ring.push(5)
    with pytest.raises(BufferFull):
        ring.push(6, timeout=0)
    assert ring.stats().merged == 0


def test_nothing_is_merged_across_a_gap() -> None:
    answers: list[Verdict] = ["shed", "merged"]

    def shed_then_merge(ring: FullRing[Any], item: Any) -> Verdict:
        answer = answers.pop(0)
        return "wait" if answer == "merged" and not ring.merge_newest(item) else answer

    ring = make_ring(shed_then_merge, capacity=1, make_gap=lambda n: -n)
    ring.push_many([1, 2])
    with pytest.raises(BufferFull):
        ring.push(3, timeout=0)
    assert ring.pop_many(9) == [1, -1]


def test_an_unknown_policy_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigurationError, match="block, drop, overwrite, coalesce"):
        StreamBuffer(1, overflow="keep")
