"""channel(): what is put in one thread comes out of a stream, however either end leaves."""

from __future__ import annotations

import copy
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from streamkit.api import channel
from streamkit.chunk import Chunk, Usage
from streamkit.errors import (
    BufferClosed,
    ConcurrencyError,
    ConfigurationError,
    ConnectError,
    StreamTimeout,
    TruncatedStream,
)
from streamkit.pipeline.channel import Channel


class Gone:
    """Notes how a producing function that never stops by itself was stopped."""

    def __init__(self) -> None:
        self.left = threading.Event()
        self.error: BaseException | None = None
        self.cancelled: bool | None = None

    def __call__(self, feed: Channel) -> None:
        try:
            while True:
                feed.put("a")
        except BaseException as error:
            self.error, self.cancelled = error, feed.cancelled
            raise
        finally:
            self.left.set()


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    """Neither end may need the garbage collector to notice that the other is gone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def join_channel_threads() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("streamkit-channel-"):
            thread.join(10)
            assert not thread.is_alive()


# -- channel(fn)


def test_what_a_function_puts_comes_out_in_order(mode: Any) -> None:
    def produce(feed: Channel) -> None:
        for number in range(500):  # more than the buffer holds
            feed.put(f"{number} ")

    stream = channel(produce, mode=mode)
    assert "".join(stream) == "".join(f"{number} " for number in range(500))
    result = stream.result()
    assert (result.outcome, result.finish_reason, result.dropped) == ("completed", None, 0)
    assert result.metrics is not None and result.metrics.bytes_received == len(result.text)


def test_nothing_runs_before_the_first_use() -> None:
    began = threading.Event()
    stream = channel(lambda feed: began.set())
    assert not began.is_set()
    stream.result()
    assert began.is_set()


def test_it_runs_in_a_thread_of_its_own_in_the_callers_context(mode: Any) -> None:
    who = ContextVar("who", default="nobody")
    who.set("me")
    seen: list[str] = []

    def produce(feed: Channel) -> None:
        seen.extend((who.get(), threading.current_thread().name))

    stream = channel(produce, mode=mode)
    stream.result()
    assert seen == ["me", f"streamkit-channel-{stream.id}"]


def test_chunks_and_items_of_libraries_are_taken_too(mode: Any) -> None:
    def produce(feed: Channel) -> None:
        feed.put(Chunk("hm", kind="reasoning", model="m", id="r"))
        feed.put({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "length"}]})
        feed.put(Chunk(kind="usage", metadata={"usage": Usage(output_tokens=1)}))
        feed.put(None)
        feed.put("")

    result = channel(produce, mode=mode).result()
    assert (result.text, result.reasoning, result.usage.output_tokens) == ("Hi", "hm", 1)
    assert (result.outcome, result.model, result.id) == ("length", "m", "r")


def test_the_reason_of_finish_is_the_finish_reason(mode: Any) -> None:
    def produce(feed: Channel) -> None:
        feed.put("a")
        feed.finish("length")
        feed.finish("stop")  # the first end counts

    result = channel(produce, mode=mode).result()
    assert (result.text, result.finish_reason, result.outcome) == ("a", "length", "length")


@pytest.mark.parametrize("kind", [KeyError, StopIteration, SystemExit, GeneratorExit])
def test_a_function_that_dies_ends_the_stream_after_its_text(mode: Any, kind: type) -> None:
    failure = kind("theirs")

    def produce(feed: Channel) -> None:
        feed.put("a")
        raise failure

    stream = channel(produce, mode=mode)
    pieces: list[str] = []
    with pytest.raises(BaseException) as caught:
        for piece in stream:
            pieces.append(piece)
    assert pieces == ["a"]
    # A StopIteration may not leave a generator (PEP 479).
    assert failure in (caught.value, caught.value.__cause__)
    assert stream.outcome == "failed"


def test_fail_ends_the_stream_with_this_very_error(mode: Any) -> None:
    failure = ValueError("theirs")

    def produce(feed: Channel) -> None:
        feed.put("a")
        feed.fail(failure)
        with pytest.raises(BufferClosed):
            feed.put("b")

    stream = channel(produce, mode=mode)
    with pytest.raises(ValueError) as caught:
        stream.result()
    assert caught.value is failure
    assert stream.partial.text == "a"


def test_a_chunk_that_carries_an_error_fails_the_stream(mode: Any) -> None:
    failure = ValueError("theirs")
    stream = channel(lambda feed: feed.put(Chunk(error=failure)), mode=mode)
    with pytest.raises(ValueError) as caught:
        stream.result()
    assert caught.value is failure


def test_a_done_chunk_ends_it(mode: Any) -> None:
    def produce(feed: Channel) -> None:
        feed.put(Chunk("a", done=True, finish_reason="stop"))
        with pytest.raises(BufferClosed):
            feed.put("b")

    assert channel(produce, mode=mode).result().text == "a"


def test_leaving_the_loop_stops_a_function_that_never_stops(mode: Any) -> None:
    gone = Gone()
    stream = channel(gone, mode=mode, buffer=4)
    for _ in stream:
        break
    assert gone.left.wait(10)
    assert isinstance(gone.error, BufferClosed) and gone.cancelled
    assert stream.outcome == "cancelled"


def test_cancel_frees_the_caller_of_a_function_that_does_not_listen(
    threaded: Any, run_in_thread: Callable[..., Any]
) -> None:
    working, release, seen = threading.Event(), threading.Event(), []

    def produce(feed: Channel) -> None:
        working.set()
        assert release.wait(30)
        seen.append(feed.cancelled)
        with pytest.raises(BufferClosed):
            feed.put("late")

    stream = channel(produce, mode=threaded)
    reading = run_in_thread(list, stream)
    assert working.wait(10)
    stream.cancel()
    assert reading.result() == []
    assert stream.outcome == "cancelled"
    release.set()
    join_channel_threads()
    assert seen == [True]


def test_a_stream_that_is_dropped_stops_the_function() -> None:
    gone = Gone()
    stream = channel(gone, buffer=4)
    assert stream.get(10) is not None
    with pytest.warns(ResourceWarning, match="unclosed stream"):
        del stream
    assert gone.left.wait(10)


def test_the_total_clock_ends_a_silent_function(mode: Any) -> None:
    release = threading.Event()
    stream = channel(lambda feed: release.wait(30), mode=mode, timeout={"total": 0.05})
    with pytest.raises(StreamTimeout) as caught:
        stream.result()
    assert caught.value.clock == "total"
    release.set()
    join_channel_threads()


def test_what_shapes_a_stream_shapes_this_one(mode: Any) -> None:
    def produce(feed: Channel) -> None:
        for piece in ("Hel", "lo wor", "ld"):
            feed.put(piece)

    stream = channel(produce, mode=mode, units="word")
    assert list(stream) == ["Hello ", "world"]


def test_where_no_thread_can_be_started_the_stream_says_so(
    mode: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name.startswith("streamkit-channel-"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    stream = channel(lambda feed: feed.put("a"), mode=mode)
    with pytest.raises(ConnectError, match="no thread for the channel"):
        stream.result()
    assert stream.outcome == "transport_error"


# -- bare channel()


def test_both_ends_can_be_held(mode: Any, run_in_thread: Callable[..., Any]) -> None:
    feed, stream = channel(mode=mode)

    def produce() -> None:
        with feed:
            for _ in range(300):
                feed.put("a")

    run_in_thread(produce)
    assert stream.result().text == "a" * 300


def test_a_with_block_that_raises_fails_the_stream() -> None:
    feed, stream = channel()
    failure = ValueError("theirs")
    with pytest.raises(ValueError), feed:
        feed.put("a")
        raise failure
    with pytest.raises(ValueError) as caught:
        stream.result()
    assert caught.value is failure
    assert repr(feed) == "<Channel closed, 0 queued>"


def test_a_channel_dropped_without_a_word_ends_its_stream_as_truncated(mode: Any) -> None:
    feed, stream = channel(mode=mode)
    feed.put("a")
    del feed
    with pytest.raises(TruncatedStream, match="dropped without finish"):
        stream.result()
    assert stream.partial.text == "a"


def test_a_channel_dropped_while_the_stream_waits_is_noticed(
    threaded: Any, run_in_thread: Callable[..., Any]
) -> None:
    feed, stream = channel(mode=threaded)
    feed.put("a")
    assert stream.get(10) is not None
    reading = run_in_thread(stream.get, 10)
    del feed
    with pytest.raises(TruncatedStream):
        reading.result()


def test_putting_more_than_fits_from_the_consuming_thread_is_told(mode: Any) -> None:
    feed, stream = channel(mode=mode, buffer=4)
    feed.put("a")
    with pytest.raises(ConcurrencyError, match="this thread drains the stream"):
        for _ in stream:
            for _ in range(100):
                feed.put("b")
    assert stream.outcome == "cancelled"


def test_the_consuming_thread_may_put_what_fits(mode: Any) -> None:
    feed, stream = channel(mode=mode, buffer=4)
    feed.put("3")
    pieces = []
    for piece in stream:
        pieces.append(piece)
        if piece == "0":
            feed.finish()
        else:
            feed.put(str(int(piece) - 1))
    assert pieces == ["3", "2", "1", "0"]


def test_what_is_put_after_the_end_is_refused() -> None:
    feed, stream = channel()
    feed.finish()
    with pytest.raises(BufferClosed, match="has ended"):
        feed.put("a")
    assert stream.result().text == ""


def test_a_put_that_waits_is_freed_by_cancel(run_in_thread: Callable[..., Any]) -> None:
    feed, stream = channel(buffer=2)
    waiting = run_in_thread(lambda: [feed.put("a") for _ in range(3)])
    stream.cancel()
    with pytest.raises(BufferClosed):
        waiting.result()
    assert feed.cancelled


def test_many_threads_may_put(run_in_thread: Callable[..., Any]) -> None:
    feed, stream = channel(buffer=4)
    left = threading.Semaphore(0)

    def produce(name: str) -> None:
        for _ in range(100):
            feed.put(name)
        left.release()

    def finish() -> None:
        for _ in range(4):
            assert left.acquire(timeout=10)
        feed.finish()

    for name in "abcd":
        run_in_thread(produce, name)
    run_in_thread(finish)
    text = stream.result().text
    assert {name: text.count(name) for name in "abcd"} == dict.fromkeys("abcd", 100)


@pytest.mark.parametrize(
    ("given", "keywords", "message"),
    [
        (7, {}, "channel\\(\\) needs a function"),
        (None, {"retry": True}, "channel\\(\\) has no keyword 'retry'"),
        (None, {"buffer": 0}, "capacity must be at least 1"),
    ],
)
def test_what_cannot_be_a_channel_is_refused(given: Any, keywords: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        channel(given, **keywords)


def test_a_copy_that_is_dropped_cannot_end_the_stream(mode: Any) -> None:
    feed, stream = channel(mode=mode)
    with pytest.raises(TypeError, match="cannot be pickled or copied"):
        copy.copy(feed)
    feed.put("one")
    feed.finish()
    assert list(stream) == ["one"]


def test_a_channel_made_of_nothing_is_one_plain_error() -> None:
    with pytest.raises(TypeError, match="conduit"):
        Channel()  # type: ignore[call-arg]
    gc.collect()


def test_an_item_of_an_unknown_kind_is_refused_where_it_is_put() -> None:
    feed, stream = channel()
    with pytest.raises(ConfigurationError, match="no text is known"):
        feed.put(7)
    with feed:
        feed.put("a")
    assert stream.result().text == "a"


async def _coroutine(feed: Channel) -> None:
    feed.put("a")


def _generator(feed: Channel) -> Iterator[None]:
    feed.put("a")
    yield


async def _async_generator(feed: Channel) -> AsyncIterator[None]:
    feed.put("a")
    yield


@pytest.mark.parametrize(
    ("produce", "kind"),
    [
        (_coroutine, "a coroutine"),
        (_generator, "a generator"),
        (_async_generator, "an async generator"),
        (partial(_coroutine), "a coroutine"),
    ],
)
def test_a_function_whose_call_runs_nothing_is_refused_at_once(produce: Any, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"a plain function that calls put.*got {kind}"):
        channel(produce)


@pytest.mark.parametrize(
    ("produce", "kind"),
    [(_coroutine, "coroutine"), (_generator, "generator"), (_async_generator, "async_generator")],
)
def test_one_that_hides_it_fails_and_is_no_empty_answer(produce: Any, kind: str) -> None:
    stream = channel(lambda feed: produce(feed))
    with pytest.raises(ConfigurationError, match=f"returns {kind} and did not run it"):
        stream.result()
    assert stream.outcome == "failed"


@pytest.mark.parametrize("error", [None, "text", ValueError])
def test_only_an_exception_is_a_failure(error: Any) -> None:
    feed, stream = channel()
    with pytest.raises(ConfigurationError, match=r"fail\(\) needs an exception, got"):
        feed.fail(error)
    feed.put("a")
    feed.finish()
    assert stream.result().text == "a"
