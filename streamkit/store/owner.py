"""
Whether the process that writes a stream still lives, where this can be told: on the same host.

A process is told from all others by the boot, its PID namespace, its number there and the tick it
started at, so that a number used again is no sign of life. "Gone" is said only when it is certain;
in all other cases the lease decides:

- Who looks is in the same boot and namespace as who wrote, and /proc shows that namespace: after
  ``unshare --pid`` it may still show the outer one, where the same number is another process.
- The time namespace is the same too: what /proc says of a start is counted in that of the reader.
- That a number is not in use is asked with signal 0, which is delivered to nobody: a /proc that is
  mounted with ``hidepid`` shows only some of the living.
- A zombie has ended, unless threads of it run on: that of main() may end before the others.

Source: proc(5), kill(2), pid_namespaces(7), time_namespaces(7); Linux 4.1 or later for ``NSpid``.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from streamkit.process import generation

__all__ = ["Owners"]


class Owners:
    """
    Names this process to others, and tells whether one that was named so has ended.

    Thread safety: **shared**.

    Args:
        proc: Where /proc is; a test may give its own.
        signal: os.kill, or what a test has in its place.
    """

    def __init__(self, proc: str = "/proc", signal: Callable[[int, int], None] = os.kill) -> None:
        self._proc = proc
        self._signal = signal
        self._me: tuple[int, str | None] = (0, None)

    def me(self) -> str | None:
        """This process; None where nobody could tell whether it lives."""
        known, me = self._me
        if me is None or known != generation():
            self._me = generation(), (me := self._look())
        return me

    def is_gone(self, owner: str) -> bool:
        """Whether it is certain that this process, named by its me(), has ended. Cost: 20 us."""
        me = self.me()
        if me is None or me == owner:
            return False
        try:
            place, pid, start = owner.rsplit(" ", 2)
            if place != me.rsplit(" ", 2)[0]:
                return False
            if not self._is_used(int(pid)):
                return True
            state, threads, started = self._stat(pid)
        except (OSError, ValueError, OverflowError, IndexError):
            return False  # it may have ended just now, and is gone the next time
        return started != start or (state in "ZX" and int(threads) <= 1)

    def _is_used(self, pid: int) -> bool:
        try:
            self._signal(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # by another user
        return True

    def _look(self) -> str | None:
        try:
            pid = str(os.getpid())
            status = self._read("self/status")
            seen_as = next(line.split()[1:] for line in status if line.startswith("NSpid:"))
            if seen_as != [pid]:  # one number per namespace, from that of /proc to our own
                return None
            boot = self._read("sys/kernel/random/boot_id")[0]
            spaces = self._space("pid"), self._space("time", "none")
            return " ".join((boot, *spaces, pid, self._stat("self")[2]))
        except (OSError, ValueError, IndexError, StopIteration):
            return None

    def _space(self, name: str, default: str | None = None) -> str:
        try:
            return os.readlink(f"{self._proc}/self/ns/{name}")
        except FileNotFoundError:
            if default is None:
                raise
            return default  # Linux before 5.6 has one time for all

    def _stat(self, pid: str) -> tuple[str, str, str]:
        """State, number of threads and start, which are fields 3, 20 and 22."""
        text = "".join(self._read(f"{pid}/stat"))
        fields = text[text.rindex(")") :].split()  # the name before it may hold anything
        return fields[1], fields[18], fields[20]

    def _read(self, name: str) -> list[str]:
        with open(f"{self._proc}/{name}", encoding="utf-8", errors="replace") as lines:
            return lines.read().splitlines()
