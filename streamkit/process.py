"""
What happens to streams when their process forks or ends.

After a fork the child owns none of its parent's streams: their threads do not exist there and
their sockets are shared. ``generation`` changes in the child, so one comparison tells an inherited
object. uWSGI forks its workers without telling Python, so no hook runs there: the process id, asked
anew each time, is what tells. At exit the streams still running are stopped, so that the
interpreter meets no thread of ours in the middle of something.

Nothing starts here: importing only registers two hooks.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from time import monotonic
from typing import Protocol

__all__ = ["Stoppable", "forget", "generation", "on_exit", "on_fork", "remember"]


class Stoppable(Protocol):
    """Something that runs until it is stopped."""

    def stop(self) -> None:
        """Begin to stop; never blocks, never raises."""
        ...

    def join(self, timeout: float) -> None:
        """Wait until stopped, at most that many seconds."""
        ...


#: Told apart from the process id by its size; makes a number that the system reuses another one.
_forks = 0
FORK = 2**32
#: What is running, by its id(), with the generation it began in.
_running: dict[int, tuple[int, Stoppable]] = {}
_after_fork: list[Callable[[], None]] = []
_after_streams: list[Callable[[], None]] = []

#: All streams together get this long at interpreter exit; PROMISES.md P18 allows 250 ms.
EXIT_PATIENCE = 0.2


def generation() -> int:
    """A number that is the same for everything made in this process, and differs after a fork."""
    return _forks + os.getpid()


def remember(run: Stoppable) -> None:
    """Stop this at interpreter exit, unless forgotten before. A dict write: atomic, no lock."""
    _running[id(run)] = generation(), run


def forget(run: Stoppable) -> None:
    """The end has come by itself."""
    _running.pop(id(run), None)


def on_fork(reset: Callable[[], None]) -> None:
    """
    Call ``reset()`` in every forked child; for module-level state only, it is kept for ever.

    In uWSGI's workers it is not called, so nothing but a lock held at the fork may depend on it.
    """
    _after_fork.append(reset)


def on_exit(close: Callable[[], None]) -> None:
    """Call ``close()`` at interpreter exit, when the streams have stopped; it is kept for ever."""
    _after_streams.append(close)


def _in_child() -> None:
    global _forks
    _forks += FORK
    _running.clear()
    for reset in _after_fork:
        reset()


def _at_exit() -> None:
    now = generation()
    running = [run for begun, run in list(_running.values()) if begun == now]
    for run in running:
        run.stop()
    end = monotonic() + EXIT_PATIENCE
    for run in running:
        try:
            run.join(max(0.0, end - monotonic()))
        except RuntimeError:
            pass  # its thread is about to be started, and will find itself stopped
    for close in _after_streams:
        close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
atexit.register(_at_exit)
