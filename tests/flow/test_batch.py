from __future__ import annotations

import copy
import pickle
from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import StreamOptions
from streamkit.errors import BufferClosed, ConfigurationError
from streamkit.flow import Batch, BatchConfig, ChunkBatcher

#: Items that come together, the seconds until they do, and those their handler takes.
FEEDS = st.lists(st.tuples(st.integers(0, 13), st.floats(0, 0.1), st.floats(0, 0.1)), max_size=30)


def fixed(**options: Any) -> BatchConfig:
    return BatchConfig(adaptive=False, **options)


@given(
    feeds=FEEDS,
    size=st.integers(1, 8),
    timeout=st.none() | st.floats(0, 0.1),
    ticks=st.booleans(),
    adaptive=st.booleans(),
    width=st.integers(0, 300),
)
def test_batches_joined_are_the_items_and_each_trigger_tells_the_truth(
    feeds: list[tuple[int, float, float]],
    size: int,
    timeout: float | None,
    ticks: bool,
    adaptive: bool,
    width: int,
) -> None:
    config = BatchConfig(size=size, timeout=timeout, min_size=1, max_size=8, adaptive=adaptive)
    batcher: ChunkBatcher[int] = ChunkBatcher(config, size_of=lambda n: width)
    now, serial, out = 0.0, 0, []
    came: dict[int, float] = {}

    def leave(batches: list[Batch[int]], target: int) -> None:
        for batch in batches:
            assert batch
            if batch.trigger == "size":
                assert target <= len(batch) <= 8 if adaptive else len(batch) == size
            else:
                assert len(batch) < target
            if batch.trigger == "timeout":
                assert timeout is not None and came[batch[0]] + timeout <= now
            out.extend(batch)

    for count, pause, busy in feeds:
        now += pause
        if ticks:
            leave(batcher.tick(now), batcher.target)
        items = list(range(serial, serial + count))
        came.update(dict.fromkeys(items, now))
        serial += count
        leave(batcher.feed(items, now), batcher.target)
        due = batcher.due()
        assert due is None or due > now, "nothing overdue stays behind"
        assert (due is None) == (len(out) == serial or timeout is None)
        batcher.handled(busy)
        assert adaptive or batcher.target == size
        assert len(out) + batcher.target > serial or batcher.due() <= now, "full, and nobody told"
    leave(batcher.tick(now), batcher.target)
    leave(batcher.close(), batcher.target)
    assert out == list(range(serial))
    assert batcher.close() == batcher.flush() == [] and batcher.due() is None
    metrics = batcher.metrics()
    assert (metrics.chunks_batched, metrics.chunks_pending) == (serial, 0)
    flushes = metrics.size_flushes + metrics.timeout_flushes + metrics.forced_flushes
    assert metrics.batches_created == flushes


def test_a_full_batch_leaves_at_once() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(fixed(size=3))
    assert batcher.feed(["a", "b"], 0.0) == []
    (batch,) = batcher.feed(["c"], 0.001)
    assert (batch, batch.trigger) == (["a", "b", "c"], "size")
    assert batcher.due() is None


def test_the_timeout_runs_from_the_first_item_of_the_open_batch() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(fixed(size=3, timeout=1.0))
    batcher.feed(["a", "b"], 10.0)
    batcher.feed(["c", "d"], 10.5)
    assert batcher.due() == 11.5
    assert batcher.tick(11.4) == []
    (batch,) = batcher.tick(11.5)
    assert (batch, batch.trigger) == (["d"], "timeout")
    batcher.feed(["e"], 20.0)
    assert batcher.due() == 21.0


def test_an_item_that_comes_late_leaves_with_the_overdue_batch() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(fixed(size=3, timeout=1.0))
    batcher.feed(["a"], 0.0)
    (batch,) = batcher.feed(["b"], 5.0)
    assert (batch, batch.trigger) == (["a", "b"], "timeout")


def test_min_size_holds_back_neither_timeout_nor_flush_nor_close() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(BatchConfig(min_size=3))
    batches = batcher.feed(["a"], 0.0) + batcher.tick(0.025)
    batches += batcher.feed(["b"], 1.0) + batcher.flush()
    batches += batcher.feed(["c"], 2.0) + batcher.close()
    assert batches == [["a"], ["b"], ["c"]]
    assert [batch.trigger for batch in batches] == ["timeout", "flush", "close"]


def test_after_close_nothing_is_taken() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher()
    batcher.close()
    with pytest.raises(BufferClosed, match="the batcher is closed"):
        batcher.feed(["a"], 0.0)


@pytest.mark.parametrize(("size", "effective"), [(1, 3), (3, 3), (5, 5), (10, 10), (50, 10)])
def test_the_size_is_taken_into_its_bounds(size: int, effective: int) -> None:
    config = fixed(size=size, min_size=3, max_size=10)
    assert config.effective_size == effective
    (batch, *_) = ChunkBatcher[int](config).feed(list(range(effective)), 0.0)
    assert len(batch) == effective


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ({}, (3, 10)),
        ({"size": 1}, (1, 10)),
        ({"size": 100}, (3, 100)),
        ({"size": 100, "max_size": 10}, (3, 10)),
        ({"size": 1, "min_size": 3}, (3, 10)),
        ({"max_size": 2}, (2, 2)),
        ({"min_size": 20}, (20, 20)),
        ({"size": 5, "max_size": 2}, (2, 2)),
        ({"size": 5, "min_size": 20}, (20, 20)),
    ],
)
def test_bounds_that_were_not_given_make_room_for_the_size(
    given: dict[str, int], bounds: tuple[int, int]
) -> None:
    config = BatchConfig(**given)
    assert (config.min_size, config.max_size) == bounds


@pytest.mark.parametrize(
    ("given", "size"),
    [({}, 5), ({"max_size": 2}, 2), ({"min_size": 20}, 20), ({"max_size": 50}, 5)],
)
def test_a_size_that_was_not_given_is_within_the_bounds_that_were(
    given: dict[str, int], size: int
) -> None:
    config = BatchConfig(**given)
    assert (config.size, config.effective_size) == (size, size)
    assert StreamOptions.from_mapping({"batch_config": given}).batch == config


def test_no_timeout_means_that_only_size_and_flush_count() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(BatchConfig(timeout=None))
    batcher.feed(["a"], 0.0)
    assert batcher.due() is None and batcher.tick(1e9) == []


def test_the_fed_list_and_a_delivered_batch_stay_the_callers() -> None:
    batcher: ChunkBatcher[int] = ChunkBatcher(fixed(size=3))
    fed = [1, 2]
    batcher.feed(fed, 0.0)
    (batch,) = batcher.feed([3], 0.0)
    batch.append(99)
    fed.append(98)
    assert batcher.flush() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_size": 7, "max_size": 4}, "min_size must be at most max_size, got 7 and 4"),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"max_size": 0}, "max_size must be at least 1, got 0"),
        ({"max_size": "2"}, "max_size must be a whole number, got '2'"),
        ({"size": 2.0}, "size must be a whole number, got 2.0"),
        ({"max_size": True}, "max_size must be a whole number, got True"),
        ({"timeout": -1}, "timeout must be at least 0 seconds, or None for no limit, got -1"),
        ({"timeout": True}, "timeout must be at least 0 seconds, or None for no limit, got True"),
        ({"adaptive": 1}, "adaptive must be True or False, got 1"),
    ],
)
def test_a_bad_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BatchConfig(**options)


def test_what_is_no_config_and_no_hook_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="config must be a BatchConfig, got"):
        ChunkBatcher({"size": 5})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="size_of must be callable, got 5"):
        ChunkBatcher(size_of=5)  # type: ignore[arg-type]


def test_the_defaults_are_the_documented_ones() -> None:
    config = ChunkBatcher[int]().config
    assert (config.size, config.timeout, config.min_size, config.max_size) == (5, 0.025, 3, 10)
    assert config.adaptive


def test_a_batch_is_a_list_that_can_be_copied_and_pickled() -> None:
    batch = Batch(["a", "b"], "timeout")
    assert batch == ["a", "b"] and isinstance(batch, list)
    assert repr(batch) == "Batch(['a', 'b'], trigger='timeout')"
    for twin in (copy.copy(batch), copy.deepcopy(batch), pickle.loads(pickle.dumps(batch))):
        assert (twin, twin.trigger) == (["a", "b"], "timeout")


def test_metrics_count_batches_by_their_trigger() -> None:
    batcher: ChunkBatcher[int] = ChunkBatcher(fixed(size=3, timeout=1.0))
    batcher.feed(list(range(7)), 0.0)  # two full ones, one open
    batcher.tick(1.0)
    batcher.feed([7, 8], 2.0)
    batcher.flush()
    batcher.feed([9], 3.0)
    metrics = batcher.metrics()
    assert (metrics.size_flushes, metrics.timeout_flushes, metrics.forced_flushes) == (2, 1, 1)
    assert (metrics.batches_created, metrics.chunks_batched, metrics.chunks_pending) == (4, 9, 1)
    assert (metrics.average_batch_size, metrics.largest_batch) == (2.25, 3)
    assert ChunkBatcher[int]().metrics().average_batch_size == 0.0


# Adaptive: in simulated time, one thread that takes what has come, batches it, and handles it.


class Simulation:
    """Items at an even rate, and a handler that is busy for a while."""

    def __init__(
        self, config: BatchConfig, *, rate: float, busy: float, seconds: float, width: int = 5
    ) -> None:
        self.batcher: ChunkBatcher[float] = ChunkBatcher(config, size_of=lambda item: width)
        self.arrivals = deque(n / rate for n in range(int(rate * seconds)))
        self.busy = busy
        self.now = 0.0
        self.calls: list[float] = []
        self.sizes: list[int] = []
        self.lags: list[float] = []
        while self.arrivals:
            self.step()
        self.handle(self.batcher.close())

    def step(self) -> None:
        waits = [at for at in (self.arrivals[0], self.batcher.due()) if at is not None]
        self.now = max(self.now, min(waits))
        came = []
        while self.arrivals and self.arrivals[0] <= self.now:
            came.append(self.arrivals.popleft())
        feed = self.batcher.feed(came, self.now) if came else self.batcher.tick(self.now)
        self.handle(feed)

    def handle(self, batches: list[Batch[float]]) -> None:
        for batch in batches:
            self.calls.append(self.now)
            self.sizes.append(len(batch))
            self.lags.append(self.now - batch[0])
            self.now += self.busy
            self.batcher.handled(self.busy)


@pytest.mark.parametrize("width", [1, 5, 1_000])
def test_a_slow_handler_is_called_seldom_and_does_not_fall_behind(width: int) -> None:
    config = BatchConfig(max_size=50)
    run = Simulation(config, rate=500, busy=0.05, seconds=20, width=width)
    assert sum(run.sizes) == 10_000
    for start in range(19):
        assert sum(start <= call < start + 1 for call in run.calls) <= 20
    assert max(run.lags) <= 2 * 0.05


def test_without_adapting_the_same_handler_falls_behind_for_ever() -> None:
    run = Simulation(fixed(size=5, max_size=50), rate=500, busy=0.05, seconds=5)
    assert max(run.lags) > 1.0


def test_a_quick_handler_gets_small_batches() -> None:
    run = Simulation(BatchConfig(), rate=1_000, busy=0.0001, seconds=2)
    assert set(run.sizes[5:]) == {3}


@given(
    rate=st.floats(1, 5_000),
    busy=st.floats(0.0001, 0.2),
    low=st.integers(1, 20),
    more=st.integers(0, 200),
)
def test_the_target_stays_within_its_bounds_and_follows_the_rule(
    rate: float, busy: float, low: int, more: int
) -> None:
    config = BatchConfig(size=low, min_size=low, max_size=low + more, timeout=None)
    batcher: ChunkBatcher[int] = ChunkBatcher(config)
    for step in range(50):
        batcher.feed([step], step / rate)
        batcher.handled(busy)
    assert low <= batcher.target <= low + more
    assert abs(batcher.target - min(max(rate * busy, low), low + more)) <= 1


@pytest.mark.parametrize(("width", "target"), [(1, 25), (4, 25), (5, 20), (6, 17), (100, 15)])
def test_large_items_make_smaller_batches_and_small_ones_larger(width: int, target: int) -> None:
    config = BatchConfig(max_size=100, timeout=None)
    batcher: ChunkBatcher[int] = ChunkBatcher(config, size_of=lambda item: width)
    for step in range(50):
        batcher.feed([step], step * 0.01)
        batcher.handled(0.2)
    assert batcher.target == target


def test_a_target_that_falls_sends_the_open_batch_at_once() -> None:
    batcher: ChunkBatcher[int] = ChunkBatcher(BatchConfig(size=9, min_size=2, timeout=None))
    for step in range(5):
        assert batcher.feed([step], float(step)) == []
    assert batcher.due() is None
    batcher.handled(0.001)
    assert batcher.target == 2 and batcher.due() is not None
    (batch,) = batcher.tick(4.0)
    assert (batch, batch.trigger) == ([0, 1, 2, 3, 4], "size")


@pytest.mark.parametrize("busy", [0.0, 1.0])
def test_items_that_come_in_no_time_at_all_break_nothing(busy: float) -> None:
    batcher: ChunkBatcher[int] = ChunkBatcher(BatchConfig())
    batcher.feed([1], 0.0)
    batcher.feed([2], 5e-324)
    batcher.handled(busy)
    assert batcher.target == (10 if busy else 3)


def test_an_untimed_handler_leaves_the_size_alone() -> None:
    batcher: ChunkBatcher[int] = ChunkBatcher(BatchConfig(size=4, timeout=None))
    for step in range(100):
        batcher.feed([step], step * 0.001)
    assert batcher.target == 4
