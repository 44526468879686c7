from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.flow import BurstRateLimiter, RateConfig, RateLimiter
from streamkit.flow.limiter import LATE, SLICE


class Clock:
    """Time that passes only when somebody sleeps; a sleep may end late."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 100.0
        self.late = late
        self.cancel_at = float("inf")

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self.late

    def wait(self, timeout: float) -> bool:
        """As an event that is set at ``cancel_at``."""
        self.now = min(self.now + timeout, max(self.now, self.cancel_at))
        return self.now >= self.cancel_at


def limiter_on(clock: Clock, rate: float, burst: float = 1.0, **options: Any) -> RateLimiter:
    return BurstRateLimiter(rate, burst, clock=clock, sleep=clock.sleep, **options)


STEPS = st.lists(st.tuples(st.floats(0, 20), st.floats(0, 2)), min_size=2, max_size=40)


@given(steps=STEPS, rate=st.floats(0.5, 200), burst=st.floats(1, 30), late=st.floats(0, LATE))
def test_the_rate_is_never_exceeded_in_any_window(
    steps: list[tuple[float, float]], rate: float, burst: float, late: float
) -> None:
    clock = Clock(late)
    limiter = limiter_on(clock, rate, burst)
    gone = []
    for weight, pause in steps:
        clock.now += pause
        assert limiter.wait(weight)
        gone.append((clock.now, weight))
    for first in range(len(gone)):
        weights = 0.0
        for last in range(first + 1, len(gone)):
            weights += gone[last - 1][1]
            seconds = gone[last][0] - gone[first][0] + late
            if gone[last][1] and gone[first][1]:
                assert weights <= (rate * seconds + burst - 1) * (1 + 1e-9) + 1e-6


@given(
    steps=st.lists(
        st.tuples(st.floats(0.5, 200), st.floats(0, 20), st.floats(0, 2)), min_size=2, max_size=40
    ),
    burst=st.floats(1, 30),
)
def test_a_rate_that_changes_is_never_exceeded_in_any_window(
    steps: list[tuple[float, float, float]], burst: float
) -> None:
    clock = Clock()
    limiter = limiter_on(clock, 1.0, burst)
    may = 0.0  # the rates, each by the time it was set
    gone = []
    for rate, weight, pause in steps:
        may += limiter.rate * pause
        clock.now += pause
        limiter.set_rate(rate)
        began = clock.now
        assert limiter.wait(weight)
        may += rate * (clock.now - began)
        if weight:
            gone.append((may, weight))
    for first in range(len(gone)):
        weights = 0.0
        for last in range(first + 1, len(gone)):
            weights += gone[last - 1][1]
            assert weights <= (gone[last][0] - gone[first][0] + burst - 1) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize("late", [0.0, 0.0005, 0.005])
@pytest.mark.parametrize("rate", [10, 50, 90])
def test_ten_seconds_are_ten_seconds_however_late_sleeps_end(rate: int, late: float) -> None:
    clock = Clock(late)
    began = clock.now
    for _ in limiter_on(clock, rate).limit(range(10 * rate + 1)):
        clock.now += 0.002  # the loop body
    assert clock.now - began == pytest.approx(10.0, rel=0.02)


def test_a_suspended_machine_does_not_pour_when_it_wakes() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 10)
    limiter.wait()
    clock.late = 60.0
    limiter.wait()
    clock.late = 0.0
    woke = clock.now
    for _ in range(10):
        limiter.wait()
    assert clock.now - woke == pytest.approx(1.0 - LATE)


def test_the_first_item_goes_at_once_and_a_heavy_one_is_paid_for_by_the_next() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 10)
    began = clock.now
    assert limiter.wait(30) and clock.now == began
    assert limiter.wait(1) and clock.now == pytest.approx(began + 3)


def test_a_burst_goes_at_once_and_grows_back_by_the_rate() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 10, burst=5)
    at = []
    for _ in range(8):
        limiter.wait()
        at.append(clock.now - 100)
    assert at == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.2, 0.3])
    clock.now += 0.2
    began = clock.now
    limiter.wait(), limiter.wait()
    assert clock.now == began
    limiter.wait()
    assert clock.now > began


def test_a_rate_of_zero_is_no_limit_and_reads_no_clock() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 0)
    clock.now = float("nan")
    assert list(limiter.limit(range(1_000))) == list(range(1_000))


def test_what_weighs_nothing_never_waits_and_does_not_count() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 1)
    limiter.wait()
    assert all(limiter.wait(0) for _ in range(5))
    assert clock.now == 100.0


def test_limit_weighs_items() -> None:
    clock = Clock()
    texts = ["four", "", "ab", "x"]
    at = []
    for text in limiter_on(clock, 2).limit(texts, weigh=len):
        at.append((text, clock.now - 100))
    assert at == [("four", 0), ("", 0), ("ab", 2), ("x", 3)]


def test_limit_asks_for_an_item_only_when_the_one_before_was_taken() -> None:
    asked = []

    def source() -> Iterator[int]:
        for n in range(3):
            asked.append(n)
            yield n

    items = RateLimiter(0).limit(source())
    assert asked == []
    assert next(items) == 0 and asked == [0]


def test_set_rate_keeps_what_is_owed() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 10)
    limiter.wait(10)  # paid for in 1 s
    limiter.set_rate(2)  # in 5 s
    assert limiter.rate == 2
    limiter.wait()
    assert clock.now == pytest.approx(105.0)
    limiter.set_rate(0)
    for _ in range(100):
        limiter.wait()
    assert clock.now == pytest.approx(105.0)


@pytest.mark.parametrize("rate", [1_000_000, 0])
def test_set_rate_reaches_those_who_wait(rate: float) -> None:
    clock = Clock()
    limiter = RateLimiter(0.01, clock=clock, sleep=lambda seconds: change(seconds))
    slept = []

    def change(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        if len(slept) == 3:
            limiter.set_rate(rate)

    limiter.wait(2)
    limiter.wait()
    assert slept[:3] == [SLICE] * 3 and clock.now < 100 + 4 * SLICE + 0.01


def test_reset_forgets_what_has_gone() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 1, burst=3)
    limiter.wait(50)
    limiter.reset()
    for _ in range(3):
        limiter.wait()
    assert clock.now == 100.0


def test_a_cancelled_wait_does_not_count() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 1)
    limiter.wait()
    clock.cancel_at = 100.3
    assert not limiter.wait(cancelled=clock)
    assert clock.now == 100.3
    assert limiter.wait() and clock.now == pytest.approx(101.0)


def test_a_cancelled_limit_ends() -> None:
    clock = Clock()
    clock.cancel_at = 102.5
    assert list(limiter_on(clock, 1).limit(range(10), cancelled=clock)) == [0, 1, 2]


def test_cancel_wakes_a_real_wait_at_once(run_in_thread: Any) -> None:
    limiter = RateLimiter(0.001)
    limiter.wait()
    event = threading.Event()
    task = run_in_thread(limiter.wait, cancelled=event)
    event.set()
    assert task.result() is False


def test_max_lag_lets_old_items_go_at_once() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 1, max_lag=2.0)
    limiter.wait(100)
    limiter.wait(age=0.5)
    assert clock.now == pytest.approx(101.5)
    for _ in range(50):
        limiter.wait(age=3.0)
    assert clock.now == pytest.approx(101.5)


@given(
    items=st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 9)), min_size=1, max_size=30),
    rate=st.floats(0.1, 20),
    max_lag=st.floats(0, 5),
)
def test_no_item_trails_its_arrival_by_more_than_max_lag(
    items: list[tuple[float, float]], rate: float, max_lag: float
) -> None:
    clock = Clock()
    limiter = limiter_on(clock, rate, max_lag=max_lag)
    came = clock.now
    for pause, weight in items:
        came += pause
        clock.now = max(clock.now, came)
        limiter.wait(weight, age=clock.now - came)
        assert clock.now <= came + max_lag + 1e-6


def test_after_a_lag_the_pace_begins_anew() -> None:
    clock = Clock()
    limiter = limiter_on(clock, 10, max_lag=1.0)
    for _ in range(100):
        limiter.wait(age=5.0)
    began = clock.now
    limiter.wait()
    assert clock.now - began == pytest.approx(0.1)


def test_threads_share_the_rate(run_in_thread: Any) -> None:
    limiter = RateLimiter(400)
    began = time.monotonic()
    tasks = [run_in_thread(lambda: [limiter.wait() for _ in range(20)]) for _ in range(4)]
    for task in tasks:
        assert task.result() == [True] * 20
    assert time.monotonic() - began >= 79 / 400 - LATE


def test_a_config_makes_its_limiter() -> None:
    config = RateConfig(50, burst=100, max_lag=2.0, weigh="characters")
    limiter = config.limiter()
    assert (limiter.rate, limiter.burst) == (50.0, 100.0)
    assert pickle.loads(pickle.dumps(config)) == config
    assert (RateLimiter(5).burst, RateConfig(5).burst, RateConfig(5).max_lag) == (1.0, 1.0, None)


@pytest.mark.parametrize(
    ("rate", "options", "message"),
    [
        (-1, {}, "rate must be at least 0, got -1"),
        (float("nan"), {}, "rate must be at least 0, got nan"),
        (True, {}, "rate must be a number, got True"),
        ("5", {}, "rate must be a number, got '5'"),
        (5, {"burst": 0.5}, "burst must be at least 1, got 0.5"),
        (5, {"burst": 5, "max_lag": -1}, "max_lag must be at least 0, got -1"),
    ],
)
def test_a_bad_option_is_refused(rate: Any, options: dict[str, Any], message: str) -> None:
    makers: list[Any] = [RateConfig, BurstRateLimiter if options else RateLimiter]
    for make in makers:
        with pytest.raises(ConfigurationError, match=message):
            make(rate, **options)


def test_other_bad_values_are_refused() -> None:
    limiter = RateLimiter(5)
    with pytest.raises(ConfigurationError, match="weigh must be 'tokens' or 'characters'"):
        RateConfig(5, weigh="words")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="rate must be at least 0, got -2"):
        limiter.set_rate(-2)
    for weight in (-1, None, "x", float("inf"), float("nan"), True):
        with pytest.raises(ConfigurationError, match="weight must be at least 0 and finite, got"):
            limiter.wait(weight)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="age must be seconds, got None"):
        limiter.wait(age=None)  # type: ignore[arg-type]
