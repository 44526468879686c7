from __future__ import annotations

import time
from typing import Any

import pytest

from streamkit.flow import Backpressure, ConsumerWatch, FlowConfig, FlowEvent, StreamBuffer


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


def fill(ring: StreamBuffer[int], pressure: Backpressure, count: int) -> None:
    for n in range(count):
        ring.push(n)
        pressure.note()


def test_pressure_begins_at_the_high_mark_and_ends_at_the_low_one() -> None:
    ring: StreamBuffer[int] = StreamBuffer(10)
    events: list[FlowEvent] = []
    pressure = Backpressure(ring, FlowConfig(), on_event=events.append)
    fill(ring, pressure, 7)
    assert not pressure.holds and pressure.events == 0
    fill(ring, pressure, 1)
    assert pressure.holds and pressure.events == 1
    ring.pop_many(2)
    assert not pressure.hold(timeout=0), "still above the low mark"
    ring.pop_many(1)
    assert pressure.hold(timeout=0) and not pressure.holds
    assert [(event.kind, event.value) for event in events] == [("pressure", 0.8), ("relief", 0.5)]


def test_a_held_producer_goes_on_at_the_low_mark_and_the_pause_is_timed(run_in_thread: Any) -> None:
    ring: StreamBuffer[int] = StreamBuffer(10)
    clock = Clock()
    pressure = Backpressure(ring, FlowConfig(), clock=clock)
    fill(ring, pressure, 8)
    task = run_in_thread(pressure.hold)
    give_up = time.monotonic() + 10
    while ring._wake_at < 0:  # until it waits
        assert time.monotonic() < give_up
        time.sleep(0)
    clock.now = 3.0
    ring.pop_many(3)
    assert task.result() is True
    assert pressure.time_paused == 3.0


@pytest.mark.parametrize("how", ["close", "abort"])
def test_ending_the_ring_lets_a_held_producer_go(how: str, run_in_thread: Any) -> None:
    ring: StreamBuffer[int] = StreamBuffer(4)
    pressure = Backpressure(ring, FlowConfig())
    fill(ring, pressure, 4)
    task = run_in_thread(pressure.hold)
    getattr(ring, how)()
    assert task.result() is True


@pytest.mark.parametrize("overflow", ["drop", "overwrite"])
def test_under_a_lossy_policy_pressure_is_only_reported(overflow: str) -> None:
    ring: StreamBuffer[int] = StreamBuffer(10, overflow=overflow)
    pressure = Backpressure(ring, FlowConfig())
    fill(ring, pressure, 20)
    assert not pressure.holds and pressure.hold(timeout=0)
    assert (pressure.events, pressure.time_paused) == (1, 0.0)
    assert ring.stats().dropped == 10, "the policy acts"


def test_flow_control_that_is_off_neither_holds_nor_counts() -> None:
    ring: StreamBuffer[int] = StreamBuffer(10)
    pressure = Backpressure(ring, FlowConfig(enabled=False))
    fill(ring, pressure, 10)
    assert not pressure.holds and pressure.events == 0


def test_in_a_ring_that_may_grow_pressure_is_measured_by_what_it_may_hold() -> None:
    ring: StreamBuffer[int] = StreamBuffer(10, max_capacity=100)
    pressure = Backpressure(ring, FlowConfig())
    fill(ring, pressure, 79)
    assert not pressure.holds and ring.capacity == 80
    fill(ring, pressure, 1)
    assert pressure.holds


def test_slow_calls_are_counted_with_the_time_they_lost() -> None:
    clock = Clock()
    events: list[FlowEvent] = []
    watch = ConsumerWatch(FlowConfig(slow_threshold=0.25), on_event=events.append, clock=clock)
    for seconds in (0.125, 0.25, 0.5, 1.0):
        assert watch.call(clock.spend, seconds) == seconds
    assert (watch.calls, watch.handler_time) == (4, 1.875)
    assert (watch.slow_events, watch.time_lost) == (2, 1.0)
    assert [(event.kind, event.value) for event in events] == [("slow", 0.5), ("slow", 1.0)]


def test_with_flow_control_off_no_call_is_slow() -> None:
    clock = Clock()
    watch = ConsumerWatch(FlowConfig(enabled=False), clock=clock)
    watch.call(clock.spend, 60.0)
    assert (watch.slow_events, watch.handler_time) == (0, 60.0)


def raising(item: Any) -> None:
    raise KeyError(item)


def test_an_error_of_the_consumer_arrives_unchanged_and_is_counted() -> None:
    watch = ConsumerWatch(FlowConfig())
    with pytest.raises(KeyError, match="7"):
        watch.call(raising, 7)
    assert (watch.errors, watch.calls) == (1, 1)


def test_errors_are_survived_when_the_user_says_so() -> None:
    events: list[FlowEvent] = []
    watch = ConsumerWatch(FlowConfig(errors="count"), on_event=events.append)
    for item in range(3):
        watch.call(raising, item)
    assert (watch.errors, watch.calls) == (3, 3)
    assert [(event.kind, event.error.args) for event in events if event.error] == [
        ("error", (0,)),
        ("error", (1,)),
        ("error", (2,)),
    ]


def test_what_is_no_exception_is_never_survived() -> None:
    def interrupt(item: object) -> None:
        raise KeyboardInterrupt

    watch = ConsumerWatch(FlowConfig(errors="count"))
    with pytest.raises(KeyboardInterrupt):
        watch.call(interrupt, None)
    assert (watch.errors, watch.calls) == (0, 1)
