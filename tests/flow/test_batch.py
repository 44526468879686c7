from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.flow import Batch, BatchConfig, ChunkBatcher

#: Items that come together, and the seconds until they do.
FEEDS = st.lists(st.tuples(st.integers(0, 13), st.floats(0, 0.1)), max_size=30)


@given(
    feeds=FEEDS, size=st.integers(1, 8), timeout=st.none() | st.floats(0, 0.1), ticks=st.booleans()
)
def test_batches_joined_are_the_items_and_each_trigger_tells_the_truth(
    feeds: list[tuple[int, float]], size: int, timeout: float | None, ticks: bool
) -> None:
    config = BatchConfig(size=size, timeout=timeout, min_size=1, max_size=8)
    batcher: ChunkBatcher[int] = ChunkBatcher(config)
    now, serial, out = 0.0, 0, []
    came: dict[int, float] = {}

    def leave(batches: list[Batch[int]]) -> None:
        for batch in batches:
            assert batch.items
            if batch.trigger == "size":
                assert len(batch.items) == size
            else:
                assert len(batch.items) < size
            if batch.trigger == "timeout":
                assert timeout is not None and came[batch.items[0]] + timeout <= now
            out.extend(batch.items)

    for count, pause in feeds:
        now += pause
        if ticks:
            leave(batcher.tick(now))
        items = list(range(serial, serial + count))
        came.update(dict.fromkeys(items, now))
        serial += count
        leave(batcher.feed(items, now))
        due = batcher.due()
        assert due is None or due > now, "nothing overdue stays behind"
        assert (due is None) == (len(out) == serial or timeout is None)
    leave(batcher.flush())
    assert out == list(range(serial))
    assert batcher.flush() == [] and batcher.due() is None


def test_a_full_batch_leaves_at_once() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(BatchConfig(size=3))
    assert batcher.feed(["a", "b"], 0.0) == []
    assert batcher.feed(["c"], 0.001) == [Batch(["a", "b", "c"], "size")]
    assert batcher.due() is None


def test_the_timeout_runs_from_the_first_item_of_the_open_batch() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(BatchConfig(size=3, timeout=1.0))
    batcher.feed(["a", "b"], 10.0)
    batcher.feed(["c", "d"], 10.5)
    assert batcher.due() == 11.5
    assert batcher.tick(11.4) == []
    assert batcher.tick(11.5) == [Batch(["d"], "timeout")]
    batcher.feed(["e"], 20.0)
    assert batcher.due() == 21.0


def test_an_item_that_comes_late_leaves_with_the_overdue_batch() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(BatchConfig(size=3, timeout=1.0))
    batcher.feed(["a"], 0.0)
    assert batcher.feed(["b"], 5.0) == [Batch(["a", "b"], "timeout")]


def test_min_size_holds_back_neither_timeout_nor_flush() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(BatchConfig(min_size=3))
    batcher.feed(["a"], 0.0)
    assert batcher.tick(0.025) == [Batch(["a"], "timeout")]
    batcher.feed(["b"], 1.0)
    assert batcher.flush() == [Batch(["b"], "flush")]


@pytest.mark.parametrize(("size", "effective"), [(1, 3), (3, 3), (5, 5), (10, 10), (50, 10)])
def test_the_size_is_taken_into_its_bounds(size: int, effective: int) -> None:
    config = BatchConfig(size=size, min_size=3, max_size=10)
    assert config.effective_size == effective
    (batch, *_) = ChunkBatcher[int](config).feed(list(range(effective)), 0.0)
    assert len(batch.items) == effective


def test_no_timeout_means_that_only_size_and_flush_count() -> None:
    batcher: ChunkBatcher[str] = ChunkBatcher(BatchConfig(timeout=None))
    batcher.feed(["a"], 0.0)
    assert batcher.due() is None and batcher.tick(1e9) == []


def test_the_fed_list_and_a_delivered_batch_stay_the_callers() -> None:
    batcher: ChunkBatcher[int] = ChunkBatcher(BatchConfig(size=3))
    fed = [1, 2]
    batcher.feed(fed, 0.0)
    (batch,) = batcher.feed([3], 0.0)
    batch.items.append(99)
    fed.append(98)
    assert batcher.flush() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_size": 7, "max_size": 4}, "min_size must be at most max_size, got 7 and 4"),
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"size": 2.0}, "size must be a whole number, got 2.0"),
        ({"max_size": True}, "max_size must be a whole number, got True"),
        ({"timeout": -1}, "timeout must be at least 0 seconds, or None for no limit, got -1"),
        ({"adaptive": True}, "adaptive batches are not available yet"),
    ],
)
def test_a_bad_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        BatchConfig(**options)


def test_the_defaults_are_the_documented_ones() -> None:
    config = ChunkBatcher[int]().config
    assert (config.size, config.timeout, config.min_size, config.max_size) == (5, 0.025, 3, 10)
