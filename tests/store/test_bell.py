"""An append wakes those who wait for that stream, and nobody else."""

from __future__ import annotations

from streamkit.latch import Latch
from streamkit.store.bell import Bell


def test_a_ring_wakes_all_who_listen_to_that_id() -> None:
    bell = Bell()
    one, two, other = bell.listen("a"), bell.listen("a"), bell.listen("b")
    bell.ring("a")
    assert (one.is_set, two.is_set, other.is_set) == (True, True, False)
    bell.ring_all()
    assert other.is_set


def test_who_begins_to_listen_while_another_is_ignored_hears() -> None:
    """A garbage collection may close a reader anywhere, in the same thread."""

    class Waiting(dict[str, list[Latch]]):
        def get(self, id: str, *default: object) -> object:  # type: ignore[override]
            found = super().get(id, *default)
            if gone:
                bell.ignore(id, gone.pop())
            return found

    bell = Bell()
    gone: list[Latch] = []
    bell._waiting = Waiting()
    gone.append(bell.listen("a"))
    new = bell.listen("a")
    bell.ring("a")
    assert new.is_set and not gone


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
