"""What a Result counts is what the consumer got, whichever way the stream ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit import BatchConfig, Chunk, FlowConfig, Result, Stream, StreamOptions, process, wrap
from streamkit.observe.counters import Counters
from streamkit.pipeline.hooks import Hooks


class Broken(Exception):
    """What the source raises."""


def words(*, fails: bool = False) -> Iterator[str]:
    yield from ("one ", "two ", "three ")
    if fails:
        raise Broken


def ended(stream: Stream) -> tuple[list[Result], list[list[str]]]:
    """The Results that on_end got, and what the consumer held when it did."""
    results: list[Result] = []
    held: list[list[str]] = [[]]

    def note(result: Result) -> None:
        results.append(result)
        held.append([*held[0]])

    stream.on_end(note)
    return results, held


def accounts(result: Result) -> tuple[int, int, int]:
    assert result.metrics is not None
    metrics = result.metrics
    return metrics.chunks_received, metrics.chunks_delivered, metrics.chunks_dropped


@pytest.mark.parametrize("fails", [False, True], ids=["whole", "broken"])
def test_poll_gives_everything_out_before_the_end(fails: bool) -> None:
    stream = wrap(words(fails=fails))
    results, held = ended(stream)
    error: list[Exception] = []
    while not stream.done:
        try:
            held[0] += [chunk.content for chunk in stream.poll() if not chunk.done]
        except Broken as caught:
            error.append(caught)

    assert len(error) == fails
    assert held[1] == ["one ", "two ", "three "]
    assert accounts(results[0]) == accounts(stream.partial) == (3, 3, 0)


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_batches_give_everything_out_before_an_error_ends_the_stream(mode: Any) -> None:
    stream = wrap(words(fails=True), mode=mode)
    results, held = ended(stream)

    with pytest.raises(Broken) as caught:
        for batch in stream.batches(10, max_wait=60):
            held[0] += [chunk.content for chunk in batch]

    assert held[1] == ["one ", "two ", "three "]
    assert accounts(results[0]) == (3, 3, 0)
    with pytest.raises(Broken) as again:
        stream.result()
    assert again.value is caught.value


def test_leaving_the_last_batch_before_an_error_is_a_cancel() -> None:
    stream = wrap(words(fails=True))

    for _ in stream.batches(10, max_wait=60):
        break

    assert stream.outcome == "cancelled"


def test_a_callback_that_ends_the_stream_is_no_counted_error() -> None:
    def call(text: str) -> None:
        raise Broken

    stream = wrap(words(), mode="managed", flow=FlowConfig(errors="raise")).on_text(call)

    with pytest.raises(Broken):
        stream.wait(10)

    assert (stream.metrics.consumer_errors, stream.metrics.errors) == (0, 1)


def test_a_stream_that_is_cancelled_while_it_begins_is_held_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The other thread was quicker: its cancel had nothing to forget yet."""
    stream = wrap(words())

    def remember(run: Any) -> None:
        stream.cancel()
        process.remember(run)

    monkeypatch.setattr("streamkit.pipeline.run.remember", remember)

    assert list(stream) == []
    assert stream._run not in process._running.values()


@pytest.mark.parametrize("drive", [Stream.wait, Stream.result], ids=["thread", "here"])
def test_batches_that_nobody_got_are_not_delivered(drive: Callable[[Stream], Any]) -> None:
    """One read fills several batches, and the first callback stops the stream."""
    one = BatchConfig(size=1, min_size=1, max_size=1, adaptive=False)
    stream = wrap(["four"], units="character", batch=one)
    got: list[list[Chunk]] = []
    stream.on_batch(lambda batch: (got.append(batch), stream.cancel()))

    drive(stream)
    stream._run.join(10)

    assert len(got) == 1
    assert accounts(stream.partial) == (4, 1, 3)


def test_a_gap_in_a_batch_that_nobody_got_is_no_chunk() -> None:
    """It was never received, so it is not taken off what was delivered either."""
    hooks = Hooks()
    hooks.on_batch.append(print)
    hooks.begin(StreamOptions(batch=BatchConfig(size=10)), Counters(None))

    hooks.deliver([Chunk("a"), Chunk(kind="gap", metadata={"dropped": 2}), Chunk("b")], bool)

    assert hooks.undelivered() == 2
