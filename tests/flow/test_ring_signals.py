"""
abort() from a signal handler, whatever frame it interrupts (PROMISES.md P12).

The storm runs in a process of its own: a deadlock is then a time-out here, and no timer or handler
is left behind. It runs this file as a script.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import streamkit
from streamkit.errors import BufferClosed
from streamkit.flow import StreamBuffer

SIGNALS = 10_000 if os.environ.get("STREAMKIT_BIG_TESTS") == "1" else 2_000

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers"),
]


class Storm:
    """Uses rings in the main thread while a handler aborts the current one every millisecond."""

    def __init__(self) -> None:
        self.ring: StreamBuffer[int] = StreamBuffer(3)
        self.signals = 0
        self.ends = 0

    def handle(self, number: int, frame: Any) -> None:
        self.signals += 1
        self.ring.abort()

    def run(self, signals: int) -> None:
        signal.signal(signal.SIGALRM, self.handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while self.signals < signals:
            self.ring = ring = StreamBuffer(3, overflow=("block", "overwrite")[self.ends % 2])
            self.use(ring)
            ring._check()
            assert ring.pop_many(1) == [] and ring.stats().size == 0
            self.ends += 1
        signal.setitimer(signal.ITIMER_REAL, 0)

    def use(self, ring: StreamBuffer[int]) -> None:
        """Every call that takes the lock, until the ring is aborted; at times blocked in one."""
        try:
            for n in range(200):
                ring.push_many([n, n])
                ring.push(n)
                ring.stats()
                if not ring.pop_many(3):
                    return
                ring.clear()
            if self.ends % 3 == 0:
                ring.pop()
            elif self.ends % 3 == 1:
                ring.push(1)
                ring.wait_below(0)
            else:
                ring.push_many(range(99))
                while not ring.closed:
                    ring.push(1)
        except BufferClosed:
            pass


def test_a_storm_of_signals_that_abort_causes_no_deadlock() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, str(SIGNALS)],
        capture_output=True,
        text=True,
        timeout=60 + SIGNALS / 100,
        env={**os.environ, "PYTHONPATH": str(Path(streamkit.__file__).parents[1])},
    )
    assert (done.returncode, done.stderr) == (0, "")
    signals, ends = map(int, done.stdout.split())
    assert signals >= SIGNALS and ends >= SIGNALS // 20


def test_abort_and_the_properties_work_while_the_lock_is_held() -> None:
    ring: StreamBuffer[int] = StreamBuffer(1, max_capacity=2)
    ring.push(1)
    ring.push(2)
    with ring._lock:
        assert (len(ring), ring.fill, ring.closed, ring.lossy) == (2, 1.0, False, False)
        assert (ring.capacity, ring.peak, ring.merged) == (2, 2, 0)
        assert (ring.resizes, ring.waited) == (1, (0, 0.0))
        ring.abort()
        assert ring.closed and len(ring) == 0 and ring.fill == 0
    assert ring.pop() is None


def test_a_keyboard_interrupt_leaves_a_ring_that_works() -> None:
    """Ctrl-C in a blocked pop raises there; what comes later is still delivered."""
    ring: StreamBuffer[int] = StreamBuffer(1)

    def interrupt() -> None:
        while not ring._hungry:
            pass
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            ring.pop()
    finally:
        thread.join(10)
        signal.signal(signal.SIGINT, before)
    ring.push(7)
    assert ring.pop() == 7
    ring._check()


if __name__ == "__main__":
    storm = Storm()
    storm.run(int(sys.argv[1]))
    print(storm.signals, storm.ends)
