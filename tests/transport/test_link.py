"""The Link alone: whom abort() reaches, and whom it must not reach any more."""

from __future__ import annotations

import os
import signal
import socket
import threading

import pytest

from streamkit.deadline import Clocks, Timeouts
from streamkit.transport.base import Link


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def link():
    link = Link(Clocks(Timeouts()))
    yield link
    link.detach()


def test_abort_cuts_the_attached_socket(link, pair):
    ours, theirs = pair
    link.attach(ours, reused=False)
    link.abort()
    assert theirs.recv(1) == b""
    assert ours.recv(1) == b""


def test_attach_after_abort_cuts_at_once(link, pair):
    ours, theirs = pair
    link.abort()
    link.attach(ours, reused=False)
    assert theirs.recv(1) == b""


def test_after_detach_abort_cuts_nothing(link, pair):
    ours, theirs = pair
    link.attach(ours, reused=False)
    link.detach()
    link.abort()
    ours.sendall(b"x")
    assert theirs.recv(1) == b"x"


class Alarm:
    """A timer that is due at given instants, and says at the last that no more is wanted."""

    def __init__(self, *instants, wanted=True):
        self.instants = list(instants)
        self.runs = []
        self.wanted = wanted

    def due(self):
        return self.instants[0] if self.instants else None

    def run(self, now):
        self.runs.append(now)
        self.instants.pop(0)
        return self.wanted or bool(self.instants)


def test_a_timer_shortens_the_wait_and_runs_when_it_is_due():
    time = [100.0]
    link = Link(Clocks(Timeouts(), now=lambda: time[0]))
    usual = link.patience()
    link.timer = alarm = Alarm(100.25, 100.3)
    assert link.patience() == pytest.approx(0.25) and alarm.runs == []
    time[0] = 100.26
    assert link.patience() == pytest.approx(0.04) and alarm.runs == [100.26]
    time[0] = 100.3
    assert link.patience() == usual  # nothing is due any more


def test_a_timer_that_is_late_again_never_makes_the_wait_zero():
    time = [100.0]
    link = Link(Clocks(Timeouts(), now=lambda: time[0]))
    link.timer = Alarm(99.0, 99.5)
    assert link.patience() == pytest.approx(0.001)


def test_a_timer_that_wants_no_more_ends_the_wait():
    link = Link(Clocks(Timeouts(), now=lambda: 100.0))
    link.timer = Alarm(100.0, wanted=False)
    with pytest.raises(TimeoutError, match="no more is wanted"):
        link.patience()
    assert link.expired is None  # it is no clock that ran out


def test_attach_lets_the_former_socket_go(link, pair):
    ours, theirs = pair
    other, far = socket.socketpair()
    far.settimeout(5)
    with other, far:
        link.attach(ours, reused=False)
        link.attach(other, reused=True)
        link.abort()
        assert far.recv(1) == b""
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"


def test_a_descriptor_used_again_is_not_cut(link, pair):
    """The number of a closed socket goes to the next one: that is why the Link holds a twin."""
    ours, _ = pair
    link.attach(ours, reused=False)
    number = ours.detach()
    os.close(number)
    other, far = socket.socketpair()
    with other, far:
        assert number in (other.fileno(), far.fileno())
        link.abort()
        other.sendall(b"x")
        assert far.recv(1) == b"x"


def test_cut_is_seen_although_another_process_holds_the_socket(link, pair):
    ours, theirs = pair
    copy = os.dup(ours.fileno())  # as a forked child has it
    link.attach(ours, reused=False)
    link.cut()
    ours.close()
    assert theirs.recv(1) == b""
    os.close(copy)


def test_abort_in_a_signal_handler_inside_the_lock_does_not_hang(link, pair):
    ours, theirs = pair
    link.attach(ours, reused=False)
    signal.signal(signal.SIGUSR1, lambda *_: link.abort())
    try:
        with link._lock:
            os.kill(os.getpid(), signal.SIGUSR1)
        assert link.aborted
        # Whoever held the lock looks at the flag again: attach() does.
        link.attach(ours, reused=False)
        assert theirs.recv(1) == b""
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def test_abort_and_attach_at_the_same_time_leave_no_reader_waiting():
    for _ in range(200):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            link = Link(Clocks(Timeouts()))
            thread = threading.Thread(target=link.abort)
            thread.start()
            link.attach(ours, reused=False)
            ours.settimeout(5)
            assert ours.recv(1) == b""
            thread.join()
            link.detach()


def test_abort_and_detach_at_the_same_time_never_cut_another_socket():
    for _ in range(200):
        ours, theirs = socket.socketpair()
        link = Link(Clocks(Timeouts()))
        link.attach(ours, reused=False)
        thread = threading.Thread(target=link.abort)
        thread.start()
        link.detach()
        ours.close()
        next_one, far = socket.socketpair()
        with theirs, next_one, far:
            thread.join()
            next_one.sendall(b"x")
            assert far.recv(1) == b"x"


def test_patience_says_why_it_ended():
    link = Link(Clocks(Timeouts(connect=1e-9)))
    with pytest.raises(TimeoutError, match="a clock ran out"):
        link.patience()
    assert link.expired is not None and link.expired.clock == "connect"
    link.begin_attempt()
    assert link.expired is None


def test_patience_is_short_when_an_earlier_end_was_set(link):
    link.until = link.clocks.now() + 0.01
    assert 0 < link.patience() <= 0.01
    link.until = link.clocks.now()
    with pytest.raises(TimeoutError, match="no more patience"):
        link.patience()
    assert link.expired is None
