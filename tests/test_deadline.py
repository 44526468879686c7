"""The arithmetic of the five clocks, without a socket and without waiting."""

from __future__ import annotations

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.deadline import FINISH_GRACE, Clocks, Timeouts
from streamkit.errors import ConfigurationError, StreamTimeout

NAMES = ("connect", "first", "content", "wire", "total")


class Time:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time():
    return Time()


def clocks(time, **seconds):
    off = dict.fromkeys(NAMES)
    return Clocks(Timeouts(**{**off, **seconds}), now=time)


def test_the_defaults_are_finite():
    t = Timeouts()
    assert (t.connect, t.first, t.content, t.wire, t.total) == (10, 300, 120, 120, 3600)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, -1, 0.0, math.inf, math.nan, -math.inf, 10**400])
def test_a_time_out_is_positive_and_finite(name, value):
    with pytest.raises(ConfigurationError, match=f"timeout {name} must be positive seconds"):
        Timeouts(**{name: value})


@pytest.mark.parametrize("value", ["1", True, [1], object()])
def test_a_time_out_is_a_number(value):
    with pytest.raises(ConfigurationError, match="timeout wire must be seconds or None"):
        Timeouts(wire=value)


def test_all_clocks_off_wait_for_ever(time):
    c = clocks(time)
    assert c.left() == c.answer_left() == c.total_left() == math.inf
    c.connected()
    assert c.left() == math.inf
    c.finishing()
    assert c.left() == FINISH_GRACE


def test_while_connecting_only_connect_and_total_run(time):
    c = clocks(time, connect=3.0, first=1.0, wire=1.0, total=100.0)
    assert c.left() == 3.0
    time.now += 2.0
    c.waited(2.0)
    assert c.left() == 1.0
    time.now += 1.0
    assert c.left() == 0.0
    assert c.expired().clock == "connect"


def test_once_connected_connect_is_over(time):
    c = clocks(time, connect=3.0, first=10.0)
    c.connected()
    time.now += 100.0
    assert c.left() == 10.0


def test_each_new_connection_has_the_whole_connect_time(time):
    c = clocks(time, connect=3.0)
    time.now += 2.9
    c.connecting()
    assert c.left() == 3.0


def test_only_waiting_counts(time):
    c = clocks(time, first=5.0, wire=4.0)
    c.connected()
    time.now += 1000.0
    assert c.left() == 4.0
    c.waited(1.5)
    assert c.left() == 2.5
    c.heard()
    assert c.left() == 3.5
    c.waited(3.5)
    assert c.left() <= 0
    assert c.expired().clock == "first"


def test_sending_counts_for_wire_alone(time):
    c = clocks(time, first=5.0, wire=4.0)
    c.connected()
    c.waited_to_send(3.0)
    assert c.left() == 1.0
    c.heard()
    assert c.left() == 4.0
    assert c.answer_left() == 4.0


def test_content_takes_over_from_first(time):
    c = clocks(time, first=5.0, content=2.0)
    c.connected()
    c.waited(4.0)
    assert c.left() == 1.0
    c.progressed()
    assert c.left() == 2.0
    c.waited(2.0)
    assert c.expired().clock == "content"


def test_total_runs_through_everything_and_every_attempt(time):
    c = clocks(time, connect=100.0, total=10.0)
    time.now += 4.0
    assert c.left() == 6.0
    c.begin_attempt()
    time.now += 4.0
    assert c.left() == c.total_left() == 2.0
    c.connected()
    time.now += 2.0
    assert c.left() == 0.0
    error = c.expired()
    assert (error.clock, error.limit, error.elapsed, error.retryable) == (
        "total",
        10.0,
        10.0,
        False,
    )


@pytest.mark.parametrize("busy", [False, True])
def test_a_finish_reason_leaves_a_grace_and_no_more(time, busy):
    c = clocks(time, content=60.0, wire=60.0, total=100.0)
    c.connected()
    c.progressed()
    c.waited(5.0)
    c.heard()
    c.finishing()
    for _ in range(4):
        assert not c.over()
        assert 0 < c.left() <= FINISH_GRACE
        time.now += FINISH_GRACE / 4
        c.waited(0.0 if busy else FINISH_GRACE / 4)
        c.heard()
    assert c.over()
    assert c.left() <= 0
    assert c.expired().clock == "content"


def test_a_second_farewell_has_a_grace_of_its_own(time):
    c = clocks(time)
    c.connected()
    c.finishing()
    time.now += 60.0
    assert c.over()
    c.finishing()
    assert c.left() == FINISH_GRACE


def test_a_grace_never_outlives_total(time):
    c = clocks(time, total=0.5)
    c.connected()
    c.finishing()
    assert c.left() == 0.5


def test_a_grace_never_lengthens_a_shorter_clock(time):
    c = clocks(time, wire=0.1)
    c.connected()
    c.finishing()
    assert c.left() == pytest.approx(0.1)


def test_a_new_attempt_forgets_the_last_but_not_total(time):
    c = clocks(time, connect=1.0, first=5.0, wire=5.0)
    c.connected()
    c.progressed()
    c.finishing()
    c.begin_attempt()
    assert c.left() == 1.0
    c.connected()
    assert c.left() == 5.0


def test_the_error_names_clock_limit_and_elapsed(time):
    c = clocks(time, first=2.5)
    c.connected()
    time.now += 3.0
    c.waited(2.5)
    error = c.expired()
    assert str(error) == "no content within 2.5 s (clock 'first', 3.00 s after the start)"
    assert isinstance(error, StreamTimeout) and isinstance(error, TimeoutError)
    assert (error.clock, error.limit, error.elapsed) == ("first", 2.5, 3.0)
    again = pickle.loads(pickle.dumps(error))
    assert (again.clock, again.limit, str(again)) == ("first", 2.5, str(error))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("waited"), st.floats(0, 10)),
            st.tuples(st.just("waited_to_send"), st.floats(0, 10)),
            st.sampled_from([("heard",), ("progressed",), ("connected",), ("finishing",)]),
        )
    )
)
def test_left_is_never_above_any_limit_and_expired_names_one_that_is_nearest(steps):
    time = Time()
    c = Clocks(Timeouts(connect=3, first=7, content=5, wire=4, total=50), now=time)
    for name, *args in steps:
        time.now += sum(args)
        getattr(c, name)(*args)
        assert c.left() <= 7
        assert c.expired().clock in NAMES
        assert c.left() <= c.total_left()
