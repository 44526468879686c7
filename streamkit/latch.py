"""
A one-shot event that may be set from anywhere, a signal handler and ``__del__`` included.

``threading.Event`` takes a lock in ``set()``; a signal handler that interrupts its own thread
inside that lock would wait for itself. Here the lock is the event: it is held from birth, ``set()``
releases it, and each waiter that gets through passes it on.
"""

from __future__ import annotations

import _thread
from _thread import allocate_lock
from time import monotonic

from streamkit.errors import ConcurrencyError

__all__ = ["Latch", "Once", "check_locks"]

#: Longest single wait, so that Ctrl-C is seen on platforms where a lock wait cannot be interrupted.
#: Source: FACTS.md F21.
SLICE = 0.5


class Latch:
    """
    Wait for one thing to happen, once.

    Thread safety: **shared**; ``set()`` never blocks and takes no lock.
    """

    __slots__ = ("_lock", "is_set")

    def __init__(self) -> None:
        self.is_set = False
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let every waiter through, now and later; further calls change nothing."""
        self.is_set = True
        try:
            self._lock.release()
        except RuntimeError:
            pass  # set already: the lock is free, or a waiter is just passing it on

    def wait(self, timeout: float | None = None) -> bool:
        """Block until set, at most ``timeout`` seconds; True when set."""
        end = None if timeout is None else monotonic() + timeout
        while not self.is_set:
            left = SLICE if end is None else min(SLICE, end - monotonic())
            if left <= 0:
                return False
            if self._lock.acquire(timeout=left):
                self._pass_on()
        return True

    def _pass_on(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:
            pass  # set() ran between our acquire and this release, and did it for us


class Once:
    """
    Something that only the first who asks gets.

    A lock that is tried and never given back would do, but for gevent: a failed try of its locks
    lets other greenlets run, which a signal handler and ``__del__`` must not, and cannot at exit.

    Thread safety: **shared**; never waits, takes no lock.
    """

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = [None]

    def take(self) -> bool:
        """True for the first call of all threads, False for every other."""
        try:
            self._left.pop()  # atomic, also in free-threaded builds
        except IndexError:
            return False
        return True

    @property
    def taken(self) -> bool:
        """Whether there was a first."""
        return not self._left


def check_locks() -> None:
    """
    Refuse to go on where the locks of this process were replaced after this module took them.

    gevent's and eventlet's patches turn threads into greenlets of one thread. Who waits there on a
    lock from before stops all of them, the one that should let it go included; and TLS sockets
    made by modules that were loaded before block as well.

    Raises:
        ConcurrencyError: They were.
    """
    if _thread.allocate_lock is not allocate_lock:
        raise ConcurrencyError(
            "monkey.patch_all() must come before streamkit is imported: the threads of this "
            "process were patched after it (with gunicorn --preload, patch in gunicorn.conf.py)"
        )
