"""What memory does in a way of its own; what it promises is in test_log.py."""

from __future__ import annotations

from typing import Any

from streamkit.store import MemoryStore


class Watched(dict[int, Any]):
    """A dict from whose front much was deleted: each look for its first entry passes all that."""

    def __iter__(self) -> Any:
        raise AssertionError("the entries were gone through")


def test_trimming_never_goes_through_the_entries() -> None:
    store = MemoryStore(max_entries=3)
    writer = store.claim("a")
    drawer = store._shelf._drawers["a"]
    drawer.records = Watched()
    for n in range(9):
        writer.append([{"n": n}])
    assert (store.info("a").first, len(drawer.records)) == (7, 3)
    assert [entry.seq for entry in store.read("a", 6, until_end=False, block=0.0)] == [7, 8, 9]
    store.close()


def test_trimming_that_was_interrupted_is_made_up_for() -> None:
    store = MemoryStore(max_entries=3)
    writer = store.claim("a")
    writer.append([{"n": n} for n in range(4)])
    drawer = store._shelf._drawers["a"]
    drawer.oldest = 1  # it had deleted the entry, and not noted that
    writer.append([{"n": 4}])
    assert (store.info("a").first, sorted(drawer.records)) == (3, [3, 4, 5])
    store.close()
