"""At most one call per interval, and the last one always."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.observe import Progress, Throttled, throttled


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """A callback that remembers what it was called with, and when."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.calls: list[tuple[float, Any]] = []

    def __call__(self, value: Any) -> None:
        self.calls.append((self.clock.now, value))

    @property
    def values(self) -> list[Any]:
        return [value for _, value in self.calls]

    def throttled(self, interval: float = 1.0) -> Throttled[Any]:
        return throttled(self, interval, clock=self.clock)


def test_the_first_call_is_made_at_once() -> None:
    shown = Shown()
    shown.throttled()("a")
    assert shown.values == ["a"]


def test_a_call_within_the_interval_is_kept_and_the_next_one_replaces_it() -> None:
    shown = Shown()
    call = shown.throttled()
    for value in "abc":
        call(value)
    assert shown.values == ["a"]
    shown.clock.now += 1.0
    call("d")
    assert shown.values == ["a", "d"]


def test_flush_makes_the_kept_call_whatever_the_time_is_and_only_once() -> None:
    shown = Shown()
    call = shown.throttled()
    call("a")
    call("b")
    call.flush()
    call.flush()
    assert shown.values == ["a", "b"]


def test_after_a_flush_the_interval_starts_anew() -> None:
    shown = Shown()
    call = shown.throttled()
    call("a")
    call("b")
    shown.clock.now += 0.9
    call.flush()
    shown.clock.now += 0.9
    call("c")
    assert shown.values == ["a", "b"]


def test_a_flush_without_a_kept_call_lets_no_later_one_through() -> None:
    shown = Shown()
    call = shown.throttled()
    call("a")
    call.flush()
    call("b")
    assert shown.values == ["a"]


def test_a_value_that_is_done_comes_at_once() -> None:
    shown = Shown()
    call = shown.throttled()
    last = Progress(tokens_received=2, elapsed=0.0, done=True)
    call(Progress(tokens_received=1, elapsed=0.0))
    call(last)
    assert shown.values[-1] is last


def test_done_is_a_fact_and_not_a_method_of_that_name() -> None:
    class Future:
        def done(self) -> bool:
            return False

    shown = Shown()
    call = shown.throttled()
    call(Future())
    call(Future())
    assert len(shown.values) == 1


def test_the_end_of_a_with_block_flushes_also_after_an_error() -> None:
    shown = Shown()
    with pytest.raises(KeyError), shown.throttled() as call:
        call("a")
        call("b")
        raise KeyError
    assert shown.values == ["a", "b"]


def test_it_decorates_functions() -> None:
    shown = []

    @throttled(interval=60)
    def show(value: int, *, twice: bool = False) -> None:
        """Show a value."""
        shown.append(value * 2 if twice else value)

    show(1)
    show(2)
    show(3, twice=True)
    show.flush()
    assert shown == [1, 6]
    assert (getattr(show, "__name__", ""), show.__doc__) == ("show", "Show a value.")


def test_an_interval_of_zero_throttles_nothing() -> None:
    shown = Shown()
    call = shown.throttled(0)
    for value in range(5):
        call(value)
    assert shown.values == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("interval", [-1, float("nan"), True, "100ms", None])
def test_an_interval_that_is_no_time_is_refused(interval: Any) -> None:
    with pytest.raises(ConfigurationError, match="interval must be at least 0 seconds"):
        throttled(print, interval)


def test_a_callback_that_cannot_be_called_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="callback must be callable, got 5"):
        throttled(5)  # type: ignore[call-overload]


@given(st.lists(st.floats(0, 3), max_size=40), st.floats(0.01, 2))
def test_any_schedule_keeps_the_interval_and_ends_with_the_last_value(
    pauses: list[float], interval: float
) -> None:
    shown = Shown()
    call = shown.throttled(interval)
    for value, pause in enumerate(pauses):
        shown.clock.now += pause
        call(value)
    times = [at for at, _ in shown.calls]
    assert all(b - a >= interval for a, b in pairwise(times))
    call.flush()
    assert shown.values[-1:] == list(range(len(pauses)))[-1:]
    assert shown.values == sorted(set(shown.values))


def test_what_the_callback_raises_reaches_its_caller_and_breaks_nothing() -> None:
    clock = Clock()
    calls: list[int] = []

    def show(value: int) -> None:
        calls.append(value)
        if value == 1:
            raise KeyError(value)

    call = throttled(show, 1.0, clock=clock)
    with pytest.raises(KeyError):
        call(1)
    clock.now += 1.0
    call(2)
    assert calls == [1, 2]


def test_a_callback_that_calls_it_again_is_not_nested() -> None:
    calls: list[int] = []

    def show(value: int) -> None:
        calls.append(value)
        if value < 3:
            call(value + 1)
            assert calls[-1] == value

    call = throttled(show, 0)
    call(1)
    assert calls == [1, 2, 3]


@pytest.mark.parametrize("fails", [False, True])
def test_a_flush_while_another_thread_calls_back_is_made_by_that_thread(
    run_in_thread: Any, fails: bool
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    calls: list[tuple[int, int]] = []

    def show(value: int) -> None:
        calls.append((value, threading.get_ident()))
        if value == 1:
            inside.set()
            assert go_on.wait(10)
            if fails:
                raise KeyError(value)

    call = throttled(show, 60)
    task = run_in_thread(call, 1)
    assert inside.wait(10)
    call(2)
    call(3)
    call.flush()  # returns: the other thread is busy
    assert len(calls) == 1
    go_on.set()
    if fails:
        with pytest.raises(KeyError):
            task.result()
    else:
        task.result()
    assert [value for value, _ in calls] == [1, 3]
    assert {thread for _, thread in calls} == {calls[0][1]}


def test_many_threads_never_run_the_callback_at_once_and_the_last_call_comes(
    run_in_thread: Any,
) -> None:
    running = threading.Lock()
    seen: list[int] = []

    def show(value: int) -> None:
        assert running.acquire(blocking=False)
        seen.append(value)
        running.release()

    call = throttled(show, 0)

    def work(start: int) -> None:
        for value in range(start, start + 500):
            call(value)

    for task in [run_in_thread(work, 1000 * i) for i in range(4)]:
        task.result()
    call(9999)
    assert seen[-1] == 9999


def test_a_callback_that_was_forgotten_is_no_decorator() -> None:
    with pytest.raises(ConfigurationError, match="callback must be callable, got None"):
        throttled(None, 0.5)  # type: ignore[call-overload]
    with pytest.raises(ConfigurationError, match="callback must be callable, got 5"):
        throttled(interval=0.5)(5)  # type: ignore[arg-type]
