"""Waking the readers of a stream within one process."""

from __future__ import annotations

from threading import RLock

from streamkit.latch import Latch

__all__ = ["Bell"]


class Bell:
    """
    Each waiting reader leaves a latch with the id it waits for; an append sets those of its id.

    A reader listens first and looks afterwards, so that nothing is appended between the two
    unheard.

    Thread safety: **shared**.
    """

    # Guarded by _lock: _waiting. Latches are set after it is released. It may be entered twice: a
    # reader that nobody holds any more is closed wherever the garbage collector comes by.

    def __init__(self) -> None:
        self._lock = RLock()
        self._waiting: dict[str, list[Latch]] = {}

    def listen(self, id: str) -> Latch:
        """A latch that the next ring of that id sets; ignore() it when it is over."""
        latch = Latch()
        with self._lock:
            waiting = self._waiting.get(id, [])
            waiting.append(latch)
            self._waiting[id] = waiting  # again: an ignore() in between took an empty list away
        return latch

    def ignore(self, id: str, latch: Latch) -> None:
        """Forget a latch, rung or not."""
        with self._lock:
            waiting = self._waiting.get(id, [])
            if latch in waiting:
                waiting.remove(latch)
            if not waiting:
                self._waiting.pop(id, None)

    def ring(self, id: str) -> None:
        """Something happened to that stream."""
        if id in self._waiting:  # a dict lookup is atomic; most appends find nobody waiting
            with self._lock:
                waiting = self._waiting.pop(id, [])
            for latch in waiting:
                latch.set()

    def ring_all(self) -> None:
        """Something happened to all of them."""
        for id in list(self._waiting):
            self.ring(id)
