"""The lock of a store, which tells a thread that it would wait for itself."""

from __future__ import annotations

from threading import RLock
from typing import Any

from streamkit.errors import StoreUnavailable

__all__ = ["Turn"]


class Turn:
    """
    One transaction at a time, whichever thread has it.

    A cancel may come from a signal handler, or from ``__del__`` in a garbage collection, and say so
    to the store (a ``direct`` stream that is kept has no other thread to do it). If it interrupted
    its own thread inside a transaction, waiting would never end, and a second transaction inside
    the first would spoil it: so it is told that the store is busy, and the lease runs out instead.
    The opening of stores and files is guarded so too: a handler may open one.

    Thread safety: **shared**.
    """

    def __init__(self) -> None:
        self.lock: Any = RLock()  # who holds it keeps all other threads out
        self._taken = False  # guarded by lock

    def __enter__(self) -> None:
        self.lock.acquire()
        if self._taken:
            self.lock.release()
            raise StoreUnavailable("the store is in use by the very code that this interrupts")
        self._taken = True

    def __exit__(self, *_: object) -> None:
        self._taken = False
        self.lock.release()
