"""What is merged while it waits for the rate, and comes apart again when it goes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import BufferConfig, Chunk, RateConfig, wrap
from streamkit.flow.limiter import BurstRateLimiter
from streamkit.pipeline.bundle import Bundle, bundled, opened
from streamkit.pipeline.pace import Pace
from streamkit.pipeline.producer import MERGED, _may_shed, new_ring
from streamkit.stages.regroup import DELTAS

WORDS = [f"w{number} " for number in range(200)]


class Clock:
    """A time that passes only where somebody waits; also what ends no wait."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, timeout: float) -> bool:
        self.now += timeout
        return False


def chunk(text: str, deltas: int = 1, **known: Any) -> Chunk:
    return Chunk(text, metadata={} if deltas == 1 else {DELTAS: deltas}, **known)


# -- bundles


def test_a_bundle_that_did_not_fit_leaves_the_one_before_as_it_was() -> None:
    a, b, c, d = map(Chunk, "abcd")
    two = bundled(a, b, MERGED)
    assert two is not None
    assert two.plus(c).parts() == [a, b, c]
    assert opened([two, d]) == [a, b, d]
    assert opened([two.plus(d)]) == [a, b, d]
    assert (two.weight, two.size) == (2, 2)
    assert bundled(Chunk(), Chunk(), 1) is None


def test_a_bundle_is_as_old_as_its_oldest_and_has_a_bound() -> None:
    first, second = Chunk("x" * 60, 7, 5.0), Chunk("y" * 40, 8, 6.0)
    both = bundled(first, second, 100)
    assert isinstance(both, Bundle)
    assert (both.index, both.timestamp, both.kind, both.weight) == (7, 5.0, "text", 100)
    assert bundled(both, Chunk("z"), 100) is None
    assert bundled(first, Chunk("y" * 41), 100) is None
    assert not _may_shed(both)


@given(
    texts=st.lists(st.tuples(st.text("xyß", max_size=6), st.sampled_from(["text", "reasoning"]))),
    takes=st.lists(st.integers(0, 2)),
    capacity=st.integers(1, 3),
    max_bytes=st.none() | st.integers(1, 20),
)
def test_what_a_paced_ring_merges_comes_apart_into_what_it_was(
    texts: list[tuple[str, Any]], takes: list[int], capacity: int, max_bytes: int | None
) -> None:
    given = [Chunk(text, index, kind=kind) for index, (text, kind) in enumerate(texts)]
    config = BufferConfig(capacity=capacity, overflow="coalesce", max_bytes=max_bytes)
    ring = new_ring(config, paced=True)
    got: list[Chunk] = []
    for number, new in enumerate(given):
        while True:
            try:
                ring.push(new, timeout=0)
                break
            except Exception:
                got += ring.pop_many(1, timeout=0)
        if len(ring) and number < len(takes) and takes[number]:
            got += ring.pop_many(takes[number], timeout=0)
    ring.close()
    while taken := ring.pop_many(10):
        got += taken
    out = opened(got)
    assert len(out) == len(given)
    assert all(mine is theirs for mine, theirs in zip(out, given, strict=True))


# -- the pace


@given(
    texts=st.lists(st.tuples(st.text("xyz ", min_size=1, max_size=9), st.integers(0, 3))),
    rate=st.floats(1, 100),
    burst=st.floats(1, 10),
    weigh=st.sampled_from(["tokens", "characters"]),
)
def test_no_window_shows_more_than_the_rate_and_the_burst_allow(
    texts: list[tuple[str, int]], rate: float, burst: float, weigh: Any
) -> None:
    clock = Clock()
    pace = Pace(RateConfig(rate, burst=burst, weigh=weigh), None)
    pace._limiter = BurstRateLimiter(rate, burst, clock=clock)
    ring = new_ring(BufferConfig(capacity=1, overflow="coalesce"), paced=True)
    ring.push_many([chunk(*text) for text in texts])
    ring.close()
    shown: list[tuple[float, float]] = []
    while taken := ring.pop_many(1):
        pace.add(taken)
        while not pace.is_empty:
            (one,) = pace.next(None, clock)  # type: ignore[arg-type]
            weight = len(one.content) if weigh == "characters" else one.metadata.get(DELTAS, 1)
            shown.append((clock.now, weight))
    assert len(shown) == len(texts)
    shown = [(at, weight) for at, weight in shown if weight]  # what weighs nothing never waits
    for start in range(len(shown)):
        total = 0.0
        for end in range(start + 1, len(shown)):
            total += shown[end - 1][1]  # an item goes first, those after it wait for it
            allowed = rate * (shown[end][0] - shown[start][0]) + burst - 1
            assert total <= allowed * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize("units", [None, "word"])
@pytest.mark.parametrize("buffer", [1, 3, 100])
def test_with_a_rate_the_pieces_are_those_of_direct_mode(
    threaded: Any, buffer: int, units: str | None
) -> None:
    stream = wrap(WORDS, mode=threaded, rate=20_000, buffer=buffer, units=units)
    shown = [(c.content, c.index, c.metadata) for c in stream.chunks()]
    direct = wrap(WORDS, mode="direct", rate=20_000, units=units)
    assert shown == [(c.content, c.index, c.metadata) for c in direct.chunks()]
    metrics = stream.metrics
    assert metrics.chunks_merged == metrics.chunks_dropped == 0
    assert metrics.chunks_delivered == metrics.chunks_received


def test_a_cancel_counts_every_piece_that_waits(threaded: Any, until: Any) -> None:
    stream = wrap(WORDS, mode=threaded, rate=1e-3, buffer=2)
    assert stream.get(10) is not None
    until(lambda: stream.metrics.chunks_received == len(WORDS))
    stream.cancel()
    metrics = stream.metrics
    assert (metrics.chunks_delivered, metrics.chunks_dropped) == (1, len(WORDS) - 1)
