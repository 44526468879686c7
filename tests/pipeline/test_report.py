"""The numbers of a stream: metrics, progress, flow control and batches, in every mode."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from streamkit import (
    BatchConfig,
    BufferConfig,
    FlowConfig,
    MetricsConfig,
    ProviderError,
    Stream,
    StreamOptions,
    wrap,
)
from streamkit.testing import Gate, Hang, Repeat, Status, Text, Usage

WORDS = Text("one two three four five")
FLOOD = Text(" tok" * 200, burst=200)


def check_account(stream: Stream) -> None:
    metrics = stream.metrics
    accounted = metrics.chunks_delivered + metrics.chunks_dropped + metrics.chunks_merged
    assert metrics.chunks_received == accounted


# -- metrics


@pytest.mark.parametrize("drive", ["loop", "start", "batches", "get"])
def test_where_the_time_went_adds_up_to_the_whole(
    play: Any, mode: str, drive: str, run_in_thread: Any, until: Any
) -> None:
    stream = play([WORDS, Gate(), Text(" six"), Usage(1, 6)], mode=mode, units="word")

    def pause() -> None:
        """The server says nothing until the consumer has waited for it."""
        play.server.wait_gate()
        until(lambda: stream.metrics.time_spent.provider > 0.01)
        play.server.release()

    run_in_thread(pause)
    if drive == "loop":
        assert sum(1 for _ in stream) == 6
    elif drive == "start":
        stream.on_text(lambda _: None).on_batch(lambda _: None).start().wait(5)
    elif drive == "batches":
        assert sum(len(batch) for batch in stream.batches()) >= 6
    else:
        assert len(list(iter(lambda: stream.get(5), None))) >= 6
    metrics = stream.metrics
    spent = metrics.time_spent
    assert spent.total == pytest.approx(metrics.duration_ms / 1000, abs=1e-6)
    assert min(spent.connect, spent.first_token, spent.provider, spent.queue) >= 0
    assert spent.provider > 0.01  # the pause, which nothing else had
    assert metrics.time_to_first_chunk > 0
    assert metrics.queue_wait is not None
    assert metrics.queue_wait <= metrics.queue_wait_peak
    assert metrics.gap_p99 >= metrics.gap_p50 >= 0
    check_account(stream)


def test_the_time_of_a_handler_is_its_own(play: Any, mode: str) -> None:
    stream = play([Text("one")], mode=mode)
    pause = threading.Event()
    stream.on_text(lambda _: pause.wait(0.05)).start().wait(5)
    metrics = stream.metrics
    assert 0.05 <= metrics.handler_time <= metrics.duration_ms / 1000


def test_on_metrics_comes_on_time_and_once_at_the_end_and_never_after(play: Any, mode: str) -> None:
    seen: list[Any] = []
    script = [Repeat([Text("x"), Gate()], times=3)]
    stream = play(script, mode=mode, metrics=MetricsConfig(interval=1e-6))
    stream.on_metrics(seen.append).start()
    for _ in range(3):
        play.server.wait_gate()
        play.server.release()
    stream.wait(5)
    count = len(seen)
    assert count >= 2
    assert [metrics.done for metrics in seen] == [False] * (count - 1) + [True]
    received = [metrics.chunks_received for metrics in seen]
    assert received == sorted(received)
    assert seen[-1].chunks_delivered == stream.metrics.chunks_delivered
    stream.cancel()
    stream.close()
    assert len(seen) == count


def test_retries_and_errors_are_counted(play: Any, mode: str, quick: Any) -> None:
    stream = play(scripts=[[Status(503)], [WORDS]], mode=mode, retry=quick)
    assert stream.result().text == "one two three four five"
    assert (stream.metrics.retries, stream.metrics.errors) == (1, 1)


def raises(_: Any) -> None:
    raise KeyError("no")


@pytest.mark.parametrize("broken", ["on_text", "on_chunk", "transform", "validate"])
def test_what_ends_the_stream_by_raising_is_one_error(mode: Any, broken: str) -> None:
    keywords: Any = {broken: raises}
    stream = wrap(["a", "b"], mode=mode, **keywords)
    with pytest.raises(KeyError):
        stream.result()
    assert (stream.metrics.errors, stream.partial.metrics.errors) == (1, 1)


def test_what_a_wrapped_iterable_raises_is_one_error_and_a_failed_request_stays_one(
    play: Any, mode: Any
) -> None:
    for stream in (wrap(map(raises, "ab"), mode=mode), play([Status(500)], mode=mode)):
        with pytest.raises((KeyError, ProviderError)):
            stream.result()
        assert stream.metrics.errors == 1
    stream = wrap(["a", "b"], mode=mode)
    for _ in stream:
        break
    assert stream.metrics.errors == 0


def test_counters_of_the_users_own_are_reported(play: Any, mode: str) -> None:
    stream = play([WORDS], mode=mode)
    stream.on_text(lambda _: stream.count("texts")).on_text(lambda t: stream.count("chars", len(t)))
    result = stream.result()
    assert result.metrics.counters == {"texts": 5, "chars": 23}


def test_without_metrics_nothing_is_timed_and_counting_goes_on(play: Any, mode: str) -> None:
    stream = play([WORDS], mode=mode, metrics=None)
    stream.result()
    metrics = stream.metrics
    assert metrics.time_spent is metrics.gap_p50 is metrics.queue_wait is None
    assert metrics.chunks_received == metrics.chunks_delivered > 0


# -- a full buffer, and a slow consumer


def test_a_full_buffer_shows_in_the_numbers(play: Any, until: Any, threaded: str) -> None:
    stream = play([FLOOD, Usage(1, 200)], mode=threaded, buffer=10)
    assert stream.get(5) is not None
    until(lambda: stream.metrics.buffer_size == 10)
    assert stream.metrics.buffer_peak == 10
    assert "".join(chunk.content for chunk in iter(lambda: stream.get(5), None))
    metrics = stream.metrics
    assert metrics.backpressure_events >= 1
    assert metrics.time_paused > 0
    assert metrics.chunks_dropped == metrics.buffer_size == 0
    assert metrics.buffer_peak == 10
    check_account(stream)


def test_a_buffer_may_grow_to_its_maximum(play: Any, until: Any, threaded: str) -> None:
    stream = play([FLOOD, Hang()], mode=threaded, buffer=BufferConfig(capacity=10, max_capacity=80))
    assert stream.get(5) is not None
    until(lambda: stream.metrics.buffer_size == 80)
    assert (stream.metrics.buffer_capacity, stream.metrics.buffer_resizes) == (80, 3)
    stream.close()
    check_account(stream)


def test_the_numbers_of_a_full_buffer_are_there_for_a_signal_handler(
    play: Any, until: Any, threaded: str
) -> None:
    """Metrics take no lock of the ring: cancel() asks for them and may interrupt its holder."""
    ends: list[Any] = []
    stream = play([FLOOD, Hang()], mode=threaded, buffer=10).on_end(ends.append)
    assert stream.get(5) is not None
    until(lambda: stream.metrics.buffer_size == 10)
    with stream._run._ring._lock:
        stream.cancel()
    assert ends[0].metrics.chunks_dropped == ends[0].dropped > 0


@pytest.mark.parametrize("overflow", ["drop", "overwrite"])
def test_a_lossy_policy_reports_pressure_and_waits_for_nobody(
    play: Any, until: Any, overflow: str
) -> None:
    stream = play(
        [Text("first"), Gate(), FLOOD, Usage(1, 200)],
        mode="managed", buffer=10, overflow=overflow,
    )  # fmt: skip
    assert stream.get(5).content == "first"  # type: ignore[union-attr]
    play.server.release()
    until(lambda: len(stream.partial.text) == 805)  # all was read, though nobody consumes
    list(iter(lambda: stream.get(5), None))
    metrics = stream.metrics
    assert metrics.backpressure_events >= 1
    assert metrics.chunks_dropped > 0
    check_account(stream)


@pytest.mark.parametrize("drive", ["start", "loop", "batches", "get"])
def test_managed_mode_notices_a_slow_consumer(play: Any, mode: str, drive: str) -> None:
    stream = play([WORDS], mode=mode, flow=FlowConfig(slow_threshold=1e-9))
    if drive == "start":
        stream.on_text(lambda _: None).start().wait(5)
    elif drive == "loop":
        assert list(stream)
    elif drive == "get":
        assert list(iter(stream.get, None))
    else:
        assert list(stream.batches())
    metrics = stream.metrics
    assert (metrics.slow_events > 0) == (metrics.time_slow > 0) == (mode == "managed")


def test_errors_of_a_consumer_are_survived_and_counted_when_asked(play: Any, mode: str) -> None:
    seen: list[str] = []

    def pick(text: str) -> None:
        seen.append(text)
        if "two" in text:
            raise KeyError(text)

    stream = play([WORDS], mode=mode, flow=FlowConfig(errors="count"))
    ends: list[Any] = []
    result = stream.on_text(pick).on_error(ends.append).start().wait(5)
    assert "".join(seen) == result.text == "one two three four five"
    assert (result.outcome, ends) == ("completed", [])
    assert stream.metrics.consumer_errors == 1
    check_account(stream)


# -- batches


@pytest.mark.parametrize("adaptive", [False, True])
def test_batches_joined_are_the_chunks(play: Any, mode: str, adaptive: bool) -> None:
    batch = BatchConfig(size=3, min_size=2, max_size=4, timeout=60, adaptive=adaptive)
    stream = play([WORDS, Usage(1, 5)], mode=mode, batch=batch)
    batches: list[Any] = []
    chunks: list[Any] = []
    stream.on_batch(batches.append).on_chunk(chunks.append).start().wait(5)
    assert [chunk for batch in batches for chunk in batch] == chunks[:-1]  # the last is done
    assert all(2 <= len(batch) <= 4 for batch in batches[:-1])
    assert {batch.trigger for batch in batches[:-1]} == {"size"}
    assert batches[-1].trigger in ("size", "close")


def test_a_batch_says_why_it_left(play: Any, threaded: str) -> None:
    batch = BatchConfig(size=3, timeout=0.01, adaptive=False)
    script = [Text("a b c d", burst=4), Gate(), Text(" e")]
    stream = play(script, mode=threaded, batch=batch)
    loop = stream.batches()
    assert [(len(b), b.trigger) for b in (next(loop), next(loop))] == [(3, "size"), (1, "timeout")]
    play.server.release()
    last = list(loop)
    assert sum(len(b) for b in last) >= 1
    assert {b.trigger for b in last} <= {"timeout", "close"}


# -- progress


@pytest.mark.parametrize("units", [None, "paragraph"])
def test_progress_counts_tokens_and_not_what_they_are_shown_in(
    play: Any, mode: str, units: Any
) -> None:
    seen: list[Any] = []
    stream = play([WORDS, Usage(1, 5)], mode=mode, units=units, max_tokens=10)
    stream.on_progress(seen.append).result()
    last = seen[-1]
    assert (last.tokens_received, last.estimated_tokens, last.percent) == (5, 10, 50.0)
    assert [progress.done for progress in seen] == [False] * (len(seen) - 1) + [True]
    assert stream.progress == last


def test_on_progress_is_throttled_and_the_last_call_is_made(play: Any, mode: str) -> None:
    seen: list[Any] = []
    stream = play([FLOOD], mode=mode, options=StreamOptions(progress_interval=60))
    stream.on_progress(seen.append).result()
    assert [progress.done for progress in seen] == [False, True]
    assert seen[-1].tokens_received == 200


def test_a_stream_cancelled_before_its_use_is_done_and_has_taken_no_time(
    play: Any, mode: str
) -> None:
    stream = play([WORDS], mode=mode)
    stream.cancel()
    metrics = stream.metrics
    assert (metrics.done, metrics.duration_ms, metrics.time_spent.total) == (True, 0.0, 0.0)
