"""Counters while a stream runs, and the Metrics that come of them."""

from __future__ import annotations

import pickle
import signal
import threading
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.observe import Metrics, MetricsConfig
from streamkit.observe.counters import Counters
from streamkit.observe.gaps import RELATIVE_ERROR


def snapshot(counters: Counters, now: float = 100.0, **more: Any) -> Metrics:
    named: dict[str, Any] = {"stream_id": "s", "provider": "p", "model": "m"}
    return counters.snapshot(now, **{**named, "delivered": 0, "dropped": 0, "merged": 0, **more})


def timed(**options: Any) -> Counters:
    counters = Counters(MetricsConfig(**options))
    counters.started = 0.0
    return counters


@pytest.mark.parametrize("name", ["interval", "stall_threshold"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), True, "1s", None])
def test_a_time_that_is_no_positive_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"metrics {name} must be"):
        MetricsConfig(**{name: value})


def test_a_new_stream_has_no_numbers_yet() -> None:
    metrics = snapshot(Counters(MetricsConfig()))
    assert (metrics.duration_ms, metrics.chunks_received, metrics.done) == (0.0, 0, False)
    assert metrics.time_to_first_chunk is None
    assert (metrics.gap_p50, metrics.gap_p90, metrics.gap_p99) == (None, None, None)
    assert (metrics.queue_wait, metrics.queue_wait_peak) == (None, None)
    assert metrics.handler_time == 0.0


def test_what_is_given_to_the_snapshot_stands_in_it() -> None:
    buffer = {"size": 3, "peak": 9, "capacity": 16, "resizes": 2}
    given = {f"buffer_{name}": number for name, number in buffer.items()}
    metrics = snapshot(Counters(), delivered=5, dropped=2, merged=1, **given)
    assert (metrics.stream_id, metrics.provider, metrics.model) == ("s", "p", "m")
    assert (metrics.chunks_delivered, metrics.chunks_dropped, metrics.chunks_merged) == (5, 2, 1)
    assert {name: getattr(metrics, name) for name in given} == given


def test_rates_are_over_the_time_since_the_first_content() -> None:
    counters = timed()
    counters.arrived(10.0)
    counters.chunks_received, counters.bytes_received = 1, 100
    assert snapshot(counters, 10.0).chunks_per_second == 0.0
    counters.arrived(14.0)
    assert snapshot(counters, 14.0).chunks_per_second == 0.0  # one, that took two reads
    counters.chunks_received, counters.bytes_received = 8, 1000
    metrics = snapshot(counters, 20.0)
    assert (metrics.chunks_per_second, metrics.bytes_per_second) == (2.0, 250.0)
    assert (metrics.time_to_first_chunk, metrics.duration_ms) == (10.0, 20_000.0)


def test_the_numbers_stand_still_once_the_stream_has_ended() -> None:
    counters = timed()
    counters.asks(0.0)
    counters.ended = 3.0
    assert snapshot(counters, 5.0) == snapshot(counters, 50.0)
    assert snapshot(counters).done
    assert snapshot(counters).duration_ms == 3000.0


def test_a_gap_is_the_time_of_reading_between_two_contents() -> None:
    counters = timed()
    for now in (1.0, 1.1, 1.2):
        counters.arrived(now)
    counters.resumed(9.0)  # back-pressure stopped the read
    counters.arrived(9.1)
    metrics = snapshot(counters)
    assert metrics.gap_p50 == pytest.approx(0.1, rel=RELATIVE_ERROR)
    assert metrics.gap_p99 == pytest.approx(0.1, rel=RELATIVE_ERROR)
    assert metrics.stalls == 0


def test_the_wait_for_the_first_content_is_no_gap_and_no_stall() -> None:
    counters = timed()
    counters.arrived(60.0)
    assert snapshot(counters).gap_p50 is None
    assert snapshot(counters).stalls == 0


def test_a_gap_over_the_threshold_is_a_stall() -> None:
    counters = timed(stall_threshold=2.0)
    for now in (1.0, 3.0, 5.1, 5.2, 9.0):
        counters.arrived(now)
    assert snapshot(counters).stalls == 2


def test_the_waits_of_deliveries_have_a_mean_and_a_peak() -> None:
    counters = timed()
    for seconds in (0.2, 0.4, -3600.0):  # the clock was set back
        counters.queued(seconds)
    metrics = snapshot(counters)
    assert metrics.queue_wait == pytest.approx(0.2)
    assert metrics.queue_wait_peak == 0.4


def test_slow_handlers_are_counted_with_their_seconds() -> None:
    counters = timed()
    counters.slow(0.25)
    counters.consumer_errors += 1
    metrics = snapshot(counters)
    assert (metrics.slow_events, metrics.time_slow, metrics.consumer_errors) == (1, 0.25, 1)


@pytest.mark.parametrize("config", [None, MetricsConfig(enabled=False)])
def test_switched_off_it_counts_and_leaves_the_clock_alone(config: MetricsConfig | None) -> None:
    counters = Counters(config)
    counters.started = 0.0
    counters.chunks_received = 2
    counters.failed()
    counters.arrived(1.0)
    counters.arrived(11.0)
    metrics = snapshot(counters)
    assert not counters.timed
    assert (metrics.chunks_received, metrics.errors, metrics.time_to_first_chunk) == (2, 1, 1.0)
    assert (metrics.gap_p50, metrics.stalls) == (None, 0)
    assert (metrics.time_spent, metrics.handler_time) == (None, None)


def test_the_time_spent_adds_up_to_the_duration() -> None:
    counters = timed()
    counters.asks(0.0)
    counters.arrived(1.5)
    counters.took(1.5)
    metrics = snapshot(counters, 4.0)
    assert metrics.time_spent is not None
    assert metrics.time_spent.total * 1000.0 == metrics.duration_ms
    assert metrics.handler_time == 2.5


# Counters of the user's own.


def test_a_counter_of_the_users_adds_up_and_stands_in_the_metrics() -> None:
    counters = Counters()
    counters.count("links")
    counters.count("links", 2)
    counters.count("seconds", 0.5)
    assert snapshot(counters).counters == {"links": 3, "seconds": 0.5}


def test_a_snapshot_does_not_change_when_counting_goes_on() -> None:
    counters = Counters()
    counters.count("links")
    before = snapshot(counters)
    counters.count("links")
    assert before.counters == {"links": 1}


def test_no_count_of_any_thread_is_lost(run_in_thread: Any) -> None:
    counters = Counters()
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(10)
        for _ in range(2000):
            counters.count("n")

    for task in [run_in_thread(work) for _ in range(4)]:
        task.result()
    assert snapshot(counters).counters == {"n": 8000}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signals of POSIX")
def test_a_signal_handler_may_count_while_its_own_thread_counts() -> None:
    counters = Counters()
    enough = threading.Event()
    hits = 0

    def handler(*_: object) -> None:
        nonlocal hits
        counters.count("signals")
        snapshot(counters)
        hits += 1
        if hits >= 20:
            enough.set()

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while not enough.is_set():
            counters.count("own")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert snapshot(counters).counters["own"] > 0


# The value itself.


def test_metrics_are_values() -> None:
    counters = timed()
    counters.count("links")
    metrics = snapshot(counters)
    assert pickle.loads(pickle.dumps(metrics)) == metrics
    assert hash(metrics) == hash(replace(metrics, counters={}))
    assert metrics != replace(metrics, counters={})


@given(st.lists(st.floats(0, 50), min_size=1, max_size=50))
def test_percentiles_are_in_order(gaps: list[float]) -> None:
    counters = timed()
    now = 0.0
    counters.arrived(now)
    for gap in gaps:
        counters.resumed(now)
        now += gap
        counters.arrived(now)
    metrics = snapshot(counters, now)
    assert metrics.gap_p50 is not None
    assert metrics.gap_p90 is not None
    assert metrics.gap_p99 is not None
    assert metrics.gap_p50 <= metrics.gap_p90 <= metrics.gap_p99 <= max(gaps) + 1e-9


@pytest.mark.parametrize("value", ["false", "no", 0, 1, None])
def test_whether_they_are_enabled_is_true_or_false(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"enabled must be True or False, got {value!r}"):
        MetricsConfig(enabled=value)
