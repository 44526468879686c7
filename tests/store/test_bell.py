"""An append wakes those who wait for that stream, and nobody else."""

from __future__ import annotations

from streamkit.store.bell import Bell


def test_a_ring_wakes_all_who_listen_to_that_id() -> None:
    bell = Bell()
    one, two, other = bell.listen("a"), bell.listen("a"), bell.listen("b")
    bell.ring("a")
    assert (one.is_set, two.is_set, other.is_set) == (True, True, False)
    bell.ring_all()
    assert other.is_set


def test_who_is_ignored_leaves_nothing_behind() -> None:
    bell = Bell()
    one, two = bell.listen("a"), bell.listen("a")
    bell.ignore("a", one)
    bell.ring("a")
    assert not one.is_set and two.is_set
    bell.ignore("a", two)
    bell.ignore("never", two)
    bell.ring("a")
    assert bell._waiting == {}
