"""A one-shot event that may be set from anywhere."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from streamkit.errors import ConcurrencyError
from streamkit.latch import Latch, Once, check_locks


def test_wait_returns_at_once_when_set():
    latch = Latch()
    latch.set()
    assert latch.is_set and latch.wait() and latch.wait(0) and latch.wait(-1)


def test_wait_times_out_and_the_latch_still_works():
    latch = Latch()
    assert not latch.wait(0) and not latch.wait(-1) and not latch.wait(0.01)
    latch.set()
    assert latch.wait(0)


def test_set_wakes_every_waiter(run_in_thread):
    for _ in range(20):
        latch = Latch()
        tasks = [run_in_thread(latch.wait, 5) for _ in range(8)]
        for thread in [threading.Thread(target=latch.set) for _ in range(4)]:
            thread.start()
        start = time.monotonic()
        assert all(task.result() for task in tasks)
        assert time.monotonic() - start < 2


def test_set_again_changes_nothing():
    latch = Latch()
    for _ in range(3):
        latch.set()
        assert latch.wait(0)


def test_wait_is_not_early():
    start = time.monotonic()
    assert not Latch().wait(0.05)
    assert time.monotonic() - start >= 0.05


def test_a_handler_may_set_what_its_thread_waits_for():
    latch = Latch()
    signal.signal(signal.SIGALRM, lambda *_: latch.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert latch.wait(5)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_a_waiter_that_dies_with_an_exception_does_not_stop_the_others(run_in_thread):
    class Stop(Exception):
        pass

    def stop(*_):
        raise Stop

    latch = Latch()
    other = run_in_thread(latch.wait, 5)
    signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with pytest.raises(Stop):
            latch.wait(5)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    latch.set()
    assert other.result()


def test_only_the_first_of_many_threads_takes_what_is_there_once(run_in_thread) -> None:
    once, ready = Once(), threading.Barrier(8)

    def take() -> bool:
        ready.wait(10)
        return once.take()

    assert not once.taken
    tasks = [run_in_thread(take) for _ in range(8)]
    assert sorted(task.result() for task in tasks) == [False] * 7 + [True]
    assert once.taken and not once.take()


def test_locks_that_were_replaced_later_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_locks()
    monkeypatch.setattr("_thread.allocate_lock", lambda: None)
    with pytest.raises(ConcurrencyError, match="must come before streamkit is imported"):
        check_locks()
