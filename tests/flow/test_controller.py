from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import BufferClosed, BufferFull, ConcurrencyError, ConfigurationError
from streamkit.flow import (
    Batch,
    BatchConfig,
    BufferConfig,
    FlowConfig,
    FlowController,
    FlowEvent,
    FlowStats,
)

PATIENCE = 10.0


class Gate:
    """A consumer that stands still until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.got: list[Any] = []

    def __call__(self, item: Any) -> None:
        self.entered.set()
        assert self.open.wait(PATIENCE)
        self.got.append(item)


def balanced(stats: FlowStats) -> bool:
    ways = (stats.delivered, stats.dropped, stats.merged, stats.pending)
    return min(ways) >= 0 and stats.received == sum(ways)


def test_everything_is_delivered_in_order() -> None:
    got: list[int] = []
    with FlowController(got.append, buffer=BufferConfig(capacity=7)) as flow:
        for n in range(500):
            assert flow.push(n)
    assert got == list(range(500))
    stats = flow.stats()
    assert (stats.received, stats.delivered, stats.dropped, stats.pending) == (500, 500, 0, 0)


def test_the_states_are_running_completing_and_completed(run_in_thread: Any) -> None:
    gate = Gate()
    flow = FlowController(gate).start()
    assert flow.state == "running"
    flow.push("a")
    flow.push("b")
    with pytest.raises(TimeoutError, match="not everything was delivered within 0 s"):
        flow.complete(timeout=0)
    assert flow.state == flow.stats().state == "completing"
    with pytest.raises(BufferClosed):
        flow.push("c")
    gate.open.set()
    assert flow.complete(PATIENCE).delivered == 2
    assert flow.state == "completed" and gate.got == ["a", "b"]


def test_a_slow_consumer_holds_the_producer_from_the_high_to_the_low_mark() -> None:
    gate = Gate()
    events: list[FlowEvent] = []
    flow = FlowController(gate, buffer=BufferConfig(capacity=10), on_event=events.append)
    with flow:
        flow.push(0)
        assert gate.entered.wait(PATIENCE)  # it is out of the ring
        for n in range(1, 9):
            flow.push(n, timeout=0)
        with pytest.raises(BufferFull, match="no room came within 0 s"):
            flow.push(9, timeout=0)
        assert flow.stats().backpressure_events == 1
        assert flow.stats().pending == 8, "what is in the consumer's hands is delivered"
        gate.open.set()
        flow.push(9)
    assert gate.got == list(range(10))
    assert [e.kind for e in events if e.kind in ("pressure", "relief")] == ["pressure", "relief"]
    assert flow.stats().time_paused > 0


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop", [0, 1, 2, 3]), ("overwrite", [0, 17, 18, 19])]
)
def test_a_lossy_policy_never_holds_and_counts_the_loss(overflow: str, kept: list[int]) -> None:
    gate = Gate()
    with FlowController(gate, buffer=BufferConfig(capacity=3, overflow=overflow)) as flow:
        flow.push(0)
        assert gate.entered.wait(PATIENCE)
        for n in range(1, 20):
            flow.push(n)
        gate.open.set()
    stats = flow.stats()
    assert gate.got == kept
    assert (stats.received, stats.delivered, stats.dropped) == (20, 4, 16)
    assert stats.backpressure_events == 1, "it is reported all the same"


def test_coalesced_items_count_as_merged() -> None:
    gate = Gate()
    config = BufferConfig(capacity=1, overflow="coalesce")
    flow: FlowController[str] = FlowController(
        gate, buffer=config, flow=FlowConfig(enabled=False), merge=lambda a, b: a + b
    )
    with flow:
        flow.push("a")
        assert gate.entered.wait(PATIENCE)
        for text in "bcd":
            flow.push(text)
        gate.open.set()
    assert gate.got == ["a", "bcd"]
    assert (flow.stats().received, flow.stats().merged, flow.stats().delivered) == (4, 2, 2)


def test_batches_are_handed_over_with_their_trigger() -> None:
    got: list[Batch[int]] = []
    config = BatchConfig(size=4, timeout=None, adaptive=False)
    with FlowController(got.append, batch=config) as flow:
        for n in range(10):
            flow.push(n)
    assert got == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [batch.trigger for batch in got] == ["size", "size", "close"]
    assert flow.stats().delivered == 10


def test_batches_are_counted() -> None:
    config = BatchConfig(size=4, timeout=None, adaptive=False)
    with FlowController(lambda batch: None, batch=config) as flow:
        flow.push(1)
    batches = flow.stats().batches
    assert batches is not None
    assert (batches.batches_created, batches.forced_flushes, batches.chunks_batched) == (1, 1, 1)
    with FlowController(lambda item: None) as flow:
        assert flow.stats().batches is None


@pytest.mark.parametrize(("width", "target"), [(5, 20), (1_000, 15)])
def test_adaptive_batches_know_how_large_items_are(width: int, target: int) -> None:
    """Twenty items come in each 0.2 s that the handler takes, by a clock of our own."""
    now = [0.0]
    entered, open_ = threading.Semaphore(0), threading.Semaphore(0)

    def consume(batch: Batch[str]) -> None:
        entered.release()
        assert open_.acquire(timeout=PATIENCE)
        now[0] += 0.2

    config = BatchConfig(size=1, min_size=1, max_size=50, timeout=None)
    with FlowController(
        consume, batch=config, size_of=lambda item: width, clock=lambda: now[0]
    ) as flow:
        flow.push("x")
        for _ in range(5):
            assert entered.acquire(timeout=PATIENCE)
            for _ in range(20):
                flow.push("x")
            open_.release()
        open_.release()
    batches = flow.stats().batches
    assert batches is not None
    assert (batches.target_size, batches.largest_batch, batches.size_flushes) == (target, 20, 6)


def test_an_open_batch_leaves_when_its_time_is_up() -> None:
    arrived = threading.Event()
    got: list[Batch[int]] = []

    def consume(batch: Batch[int]) -> None:
        got.append(batch)
        arrived.set()

    with FlowController(consume, batch=BatchConfig(timeout=0.001)) as flow:
        flow.push(1)
        assert arrived.wait(PATIENCE), "without a push after it"
    assert [batch.trigger for batch in got] == ["timeout"]


@pytest.mark.parametrize("batch", [None, BatchConfig(size=3, timeout=None, adaptive=False)])
def test_a_consumer_that_raises_stops_the_flow(batch: BatchConfig | None) -> None:
    error = KeyError("mine")

    def consume(item: object) -> None:
        raise error

    flow = FlowController(consume, batch=batch).start()
    with pytest.raises(BufferClosed) as caught:
        for n in range(1_000_000):
            flow.push(n)
    assert caught.value.__cause__ is error
    for _ in range(2):
        with pytest.raises(KeyError) as raised:
            flow.complete(PATIENCE)
        assert raised.value is error
    stats = flow.stats()
    assert (stats.state, stats.errors, stats.pending) == ("completed", 1, 0)
    assert balanced(stats) and stats.delivered == (1 if batch is None else 3)


def test_leaving_a_block_raises_what_the_consumer_raised() -> None:
    def consume(item: int) -> None:
        raise ValueError(item)

    with pytest.raises(ValueError, match="1"), FlowController(consume) as flow:
        flow.push(1)
    assert flow.state == "completed"


def test_errors_are_counted_and_survived_when_asked() -> None:
    got: list[int] = []
    events: list[FlowEvent] = []

    def consume(n: int) -> None:
        if n % 3 == 0:
            raise ValueError(n)
        got.append(n)

    config = FlowConfig(errors="count")
    with FlowController(consume, flow=config, on_event=events.append) as flow:
        for n in range(9):
            flow.push(n)
    assert got == [1, 2, 4, 5, 7, 8]
    stats = flow.stats()
    assert (stats.received, stats.delivered, stats.errors) == (9, 9, 3)
    assert [str(event.error) for event in events if event.kind == "error"] == ["0", "3", "6"]


def test_slow_calls_are_events_and_their_time_is_counted() -> None:
    now = [0.0]

    def consume(seconds: float) -> None:
        now[0] += seconds

    config = FlowConfig(slow_threshold=0.25)
    events: list[FlowEvent] = []
    flow: FlowController[float] = FlowController(
        consume, flow=config, on_event=events.append, clock=lambda: now[0]
    )
    with flow:
        for seconds in (0.125, 0.75, 0.25, 1.25):
            flow.push(seconds)
    stats = flow.stats()
    assert (stats.slow_events, stats.time_lost, stats.handler_time) == (2, 1.5, 2.375)
    assert [event.value for event in events if event.kind == "slow"] == [0.75, 1.25]


def test_the_ring_grows_under_pressure_and_each_change_is_an_event() -> None:
    gate = Gate()
    events: list[FlowEvent] = []
    config = BufferConfig(capacity=2, max_capacity=16)
    with FlowController(gate, buffer=config, on_event=events.append) as flow:
        flow.push(0)
        assert gate.entered.wait(PATIENCE)
        for n in range(1, 11):
            flow.push(n, timeout=0)
        assert flow.stats().capacity == 16
        gate.open.set()
    assert gate.got == list(range(11))
    sizes = [event.value for event in events if event.kind == "resize"]
    assert sizes[:3] == [4, 8, 16]
    assert flow.stats().resizes == len(sizes)


def test_abort_drops_what_is_queued_and_wakes_the_producer(run_in_thread: Any) -> None:
    gate = Gate()
    flow = FlowController(gate, buffer=BufferConfig(capacity=2)).start()
    flow.push(0)
    assert gate.entered.wait(PATIENCE)
    flow.push(1)
    flow.push(2)
    task = run_in_thread(flow.push, 3)
    flow.abort()
    with pytest.raises(BufferClosed):
        task.result()
    gate.open.set()
    stats = flow.complete(PATIENCE)
    assert gate.got == [0]
    assert (stats.received, stats.delivered, stats.dropped, stats.pending) == (3, 1, 2, 0)


def test_abort_leaves_no_batch_behind() -> None:
    gate = Gate()
    config = BatchConfig(size=2, min_size=1, max_size=2, timeout=None, adaptive=False)
    flow = FlowController(gate, batch=config).start()
    for n in range(5):
        flow.push(n)
    assert gate.entered.wait(PATIENCE)
    flow.abort()
    gate.open.set()
    stats = flow.complete(PATIENCE)
    assert gate.got == [[0, 1]]
    assert (stats.received, stats.delivered, stats.dropped) == (5, 2, 3)


def test_an_exception_in_the_block_aborts() -> None:
    gate = Gate()
    gate.open.set()
    with pytest.raises(KeyError), FlowController(gate) as flow:
        raise KeyError
    assert flow.state == "completed"


def test_the_consumer_cannot_wait_for_itself() -> None:
    caught: list[BaseException] = []

    def consume(item: object) -> None:
        try:
            flow.complete()
        except ConcurrencyError as error:
            caught.append(error)

    flow = FlowController(consume)
    with flow:
        flow.push(1)
    assert "called by it" in str(caught[0])


@pytest.mark.parametrize(("timeout", "error"), [(None, ConcurrencyError), (0, BufferFull)])
def test_the_consumer_may_push_where_there_is_room(
    timeout: float | None, error: type[Exception]
) -> None:
    caught: list[Exception] = []
    got: list[int] = []
    last = threading.Event()

    def consume(n: int) -> None:
        got.append(n)
        if n == 3:
            last.set()
        if n == 0:
            with pytest.raises(error) as raised:
                for more in range(1, 10):
                    flow.push(more, timeout)
            caught.append(raised.value)

    flow = FlowController(consume, buffer=BufferConfig(capacity=3)).start()
    flow.push(0)
    assert last.wait(PATIENCE)
    flow.complete(PATIENCE)
    assert len(caught) == 1 and got == [0, 1, 2, 3]


def test_a_start_that_failed_may_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    got: list[int] = []
    flow = FlowController(got.append)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            flow.start()
    flow.start().push(1)
    flow.complete(PATIENCE)
    assert got == [1]


def test_what_on_event_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def look(event: FlowEvent) -> None:
        raise KeyError(event.kind)

    config = BufferConfig(capacity=1, max_capacity=4)
    caplog.set_level(logging.ERROR, logger="streamkit.flow")
    gate = Gate()
    with FlowController(gate, buffer=config, on_event=look) as flow:
        flow.push(1)
        assert gate.entered.wait(PATIENCE)
        flow.push(2)
        flow.push(3)
        gate.open.set()
    assert gate.got == [1, 2, 3]
    assert "callback failed name=on_event kind=resize" in caplog.text


def test_completing_before_starting_delivers_all_the_same() -> None:
    got: list[int] = []
    flow = FlowController(got.append)
    flow.push(1)
    flow.complete(PATIENCE)
    assert got == [1]


@given(
    overflow=st.sampled_from(["block", "drop", "overwrite", "coalesce"]),
    capacity=st.integers(1, 6),
    more=st.integers(0, 20),
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=3),
    batch=st.none() | st.builds(BatchConfig, timeout=st.sampled_from([None, 0.0, 0.001])),
    fails=st.none() | st.integers(0, 60),
    survives=st.booleans(),
)
def test_received_is_delivered_and_dropped_whatever_happens(
    overflow: str,
    capacity: int,
    more: int,
    counts: list[int],
    batch: BatchConfig | None,
    fails: int | None,
    survives: bool,
) -> None:
    calls = [0]
    got: list[int] = []

    def consume(item: Any) -> None:
        calls[0] += 1
        got.extend(item if batch is not None else [item])
        assert balanced(flow.stats())
        if calls[0] == fails:
            raise ValueError

    flow: FlowController[int] = FlowController(
        consume,
        buffer=BufferConfig(capacity=capacity, max_capacity=capacity + more, overflow=overflow),
        flow=FlowConfig(errors="count" if survives else "raise"),
        batch=batch,
        merge=lambda old, new: None,
    ).start()

    def produce(first: int, count: int) -> None:
        try:
            for n in range(first, first + count):
                flow.push(n)
                assert balanced(flow.stats())
        except BufferClosed:
            pass

    threads = [
        threading.Thread(target=produce, args=(1_000 * n, count)) for n, count in enumerate(counts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    try:
        stats = flow.complete(PATIENCE)
    except ValueError:
        stats = flow.stats()
        assert not survives
    else:
        assert stats.received == sum(counts)
        if overflow in ("block", "coalesce"):
            assert sorted(got) == sorted(
                n for at, count in enumerate(counts) for n in range(1_000 * at, 1_000 * at + count)
            )
    assert balanced(stats) and stats.pending == 0
    assert stats.delivered == len(got) == len(set(got))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: FlowController(print, buffer=BufferConfig(capacity=0)),
            "capacity must be at least 1, got 0",
        ),
        (
            lambda: FlowController(print, buffer=BufferConfig(overflow="coalesce")),
            "overflow 'coalesce' needs merge, got None",
        ),
        (lambda: FlowController("print"), "consume must be callable, got 'print'"),
        (lambda: FlowController(print, buffer=5), "buffer must be a BufferConfig, got 5"),
        (lambda: FlowController(print, flow={"errors": "count"}), "flow must be a FlowConfig, got"),
        (lambda: FlowController(print, batch=True), "batch must be a BatchConfig, got True"),
        (lambda: FlowController(print, on_event=5), "on_event must be callable, got 5"),
        (lambda: FlowController(print, size_of=5), "size_of must be callable, got 5"),
        (lambda: FlowController(print, clock=5.0), "clock must be callable, got 5.0"),
    ],
)
def test_a_bad_option_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
