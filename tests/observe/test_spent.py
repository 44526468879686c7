"""Where the time went: the parts are right one by one, and add up to the whole."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.observe import MetricsConfig, TimeSpent
from streamkit.observe.counters import Counters
from streamkit.observe.spent import divide


def begun(at: float = 0.0) -> Counters:
    counters = Counters(MetricsConfig())
    counters.started = at
    return counters


def spent(counters: Counters, now: float) -> TimeSpent:
    found = counters.time_spent(now)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("opened", "first", "last", "parts"),
    [
        (None, None, None, (10.0, 0.0, 0.0)),  # no headers yet
        (14.0, None, None, (4.0, 6.0, 0.0)),  # no content yet
        (5.0, None, None, (0.0, 10.0, 0.0)),
        (14.0, 18.0, 18.0, (4.0, 4.0, 0.0)),  # the 2 s from the first content on are our own
        (14.0, 18.0, 19.0, (4.0, 4.0, 1.0)),
        (None, 18.0, 18.0, (8.0, 0.0, 0.0)),  # a source without headers
        (1.0, 2.0, 3.0, (0.0, 0.0, 10.0)),  # nothing came all the while
        (1.0, 2.0, 16.0, (0.0, 0.0, 6.0)),  # it came after 6 s, and was handed over later
        (1.0, 2.0, 25.0, (0.0, 0.0, 10.0)),  # it came since
        (30.0, 40.0, 50.0, (10.0, 0.0, 0.0)),  # all of it after the wait
    ],
)
def test_a_wait_is_divided_by_what_had_come(
    opened: float | None,
    first: float | None,
    last: float | None,
    parts: tuple[float, float, float],
) -> None:
    assert divide(10.0, 20.0, opened, first, last) == parts


def test_each_part_of_a_plain_stream_is_counted_as_what_it_is() -> None:
    counters = begun(100.0)
    counters.asks(100.0)
    counters.answered(101.0)  # connect: 1 s
    counters.arrived(103.0)  # first token: 2 s
    counters.took(103.5)  # queue: 0.5 s
    counters.asks(107.5)  # handler: 4 s
    counters.arrived(110.5)  # provider: 3 s
    counters.took(110.75)  # queue: 0.25 s
    counters.handed(111.0)  # a rate limit: queue, 0.25 s
    counters.asks(112.0)  # handler: 1 s
    counters.ended = 120.0  # provider: 8 s, until the end
    expected = TimeSpent(connect=1.0, first_token=2.0, provider=11.0, queue=1.0, handler=5.0)
    assert spent(counters, 500.0) == expected
    assert expected.total == 20.0


def test_attempts_that_failed_are_part_of_connecting() -> None:
    counters = begun()
    counters.asks(0.0)
    counters.answered(1.0)
    counters.failed()
    assert spent(counters, 3.0).connect == 3.0
    counters.answered(4.0)
    assert spent(counters, 5.0) == TimeSpent(connect=4.0, first_token=1.0)


def test_an_attempt_after_the_first_content_is_a_gap_of_the_provider() -> None:
    counters = begun()
    counters.asks(0.0)
    counters.answered(1.0)
    counters.arrived(2.0)
    counters.took(2.0)
    counters.asks(2.0)
    counters.failed()
    counters.answered(7.0)
    assert spent(counters, 8.0) == TimeSpent(connect=1.0, first_token=1.0, provider=6.0)


def test_asking_again_without_chunks_goes_on_with_the_wait() -> None:
    counters = begun()
    for now in (0.0, 1.0, 2.0):
        counters.asks(now)
    assert spent(counters, 3.0) == TimeSpent(connect=3.0)


def test_a_handler_that_outlives_the_stream_counts_up_to_its_end() -> None:
    counters = begun()
    counters.asks(0.0)
    counters.answered(0.0)
    counters.arrived(1.0)
    counters.took(1.0)
    counters.ended = 5.0  # cancelled by another thread
    assert spent(counters, 6.0).handler == 4.0
    counters.asks(7.0)
    counters.took(8.0)
    assert spent(counters, 9.0) == TimeSpent(first_token=1.0, handler=4.0)


def test_before_the_first_use_no_time_was_spent() -> None:
    assert spent(Counters(MetricsConfig()), 9.0) == TimeSpent()


def test_before_anybody_asked_the_time_is_our_own() -> None:
    assert spent(begun(), 2.0) == TimeSpent(queue=2.0)


EVENTS = ("answered", "failed", "arrived", "resumed", "asks", "took", "handed", "look", "end")


@given(
    st.lists(
        st.tuples(st.sampled_from(EVENTS), st.floats(0, 100, allow_subnormal=False)), max_size=40
    )
)
def test_the_parts_add_up_to_the_duration_at_every_moment_of_any_run(
    events: list[tuple[str, float]],
) -> None:
    now = 1000.0
    counters = begun(now)
    calls: dict[str, Callable[[], Any]] = {
        "failed": counters.failed,
        "look": lambda: None,
        "end": lambda: setattr(counters, "ended", counters.ended or now),
    }
    asked = False
    for name, seconds in events:
        now += seconds
        if name in ("took", "handed") and not asked:
            continue  # only who asked gets something
        asked = asked or name == "asks"
        call = calls.get(name)
        call() if call is not None else getattr(counters, name)(now)
        parts = spent(counters, now)
        assert parts.total == pytest.approx(counters.elapsed(now), abs=1e-6)
        assert min(parts.connect, parts.first_token, parts.provider, parts.queue) >= 0
        assert parts.handler >= 0


@pytest.mark.parametrize("attribute", ["_asked", "_ledger"])
def test_a_delivery_in_the_middle_of_a_snapshot_makes_no_handler_of_a_wait(attribute: str) -> None:
    slot = getattr(Counters, attribute)
    armed = False

    def read(counters: Counters) -> Any:
        nonlocal armed
        value = slot.__get__(counters)
        if armed:
            armed = False
            counters.took(10.0)  # the drainer comes in right after this read
        return value

    interrupted = type("Interrupted", (Counters,), {attribute: property(read, slot.__set__)})
    counters = interrupted(MetricsConfig())
    counters.started = 0.0
    counters.asks(0.0)
    armed = True
    assert spent(counters, 10.0) == TimeSpent(connect=10.0)
    assert not armed


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns every few steps."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_a_snapshot_from_another_thread_adds_up_and_mistakes_no_wait(run_in_thread: Any) -> None:
    counters = begun()
    now = 0.0
    stop = threading.Event()

    def drain() -> None:
        nonlocal now
        while not stop.is_set():
            counters.asks(now)
            counters.arrived(now)
            now += 1.0
            counters.took(now)

    def look() -> None:
        earliest = now
        parts = spent(counters, earliest)
        latest = now
        assert earliest <= parts.total <= latest
        assert parts.handler == 0.0

    task = run_in_thread(drain)
    try:
        for _ in range(500):
            look()
    finally:
        stop.set()
    task.result()
