"""wrap(): somebody else's iterable as a Stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit.api import channel, wrap
from streamkit.chunk import Chunk
from streamkit.errors import ConcurrencyError, ConfigurationError, StreamTimeout, TruncatedStream
from streamkit.testing import Hang, Text


class Foreign:
    """An SDK's stream: gives items, then blocks until released; notes who closes it."""

    def __init__(self, *items: Any, block: bool = False) -> None:
        self._items = iter(items)
        self._block = block
        self.release = threading.Event()
        self.blocked = threading.Event()
        self.closed_by: list[str] = []

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._items)
        except StopIteration:
            if self._block:
                self.blocked.set()
                assert self.release.wait(30)
            raise

    def close(self) -> None:
        self.closed_by.append(threading.current_thread().name)


def test_the_end_of_the_iterable_is_the_end_of_the_answer(mode: Any) -> None:
    stream = wrap(["Hello", " there"], mode=mode)
    assert list(stream) == ["Hello", " there"]
    result = stream.result()
    assert (result.text, result.outcome, result.finish_reason) == ("Hello there", "completed", None)
    assert result.metrics is not None and result.metrics.bytes_received == 11


def test_the_finish_reason_of_the_sdk_is_the_outcome(mode: Any) -> None:
    items = [{"model": "m", "id": "r", "choices": [{"delta": {"content": "a"}}]},
             {"choices": [{"delta": {}, "finish_reason": "length"}]}]  # fmt: skip
    result = wrap(items, mode=mode).result()
    assert (result.text, result.outcome, result.model, result.id) == ("a", "length", "m", "r")


def test_items_after_a_finish_reason_are_not_cut_off() -> None:
    steps = [Chunk("a", finish_reason="tool_calls"), Chunk("b", finish_reason="stop")]
    result = wrap(steps).result()
    assert (result.text, result.finish_reason) == ("ab", "stop")


def test_what_the_iterable_raises_arrives_unchanged_after_the_text(
    mode: Any, drained: Callable[..., Any]
) -> None:
    failure = KeyError("theirs")

    def broken() -> Iterator[str]:
        yield "a"
        raise failure

    stream = wrap(broken(), mode=mode)
    text, error = drained(stream)
    assert text == "a"
    assert error is failure
    assert stream.outcome == "failed"


def test_a_stream_keeps_all_its_kinds(play: Any) -> None:
    result = wrap(play([Text("Hi")])).result()
    assert (result.text, result.finish_reason, result.outcome) == ("Hi", "stop", "completed")


def test_cancelling_cancels_the_stream_inside(play: Any) -> None:
    inner = play([Text("Hi"), Hang()])
    with wrap(inner) as outer:
        assert outer.get(10).content == "Hi"  # type: ignore[union-attr]
    assert (outer.outcome, inner.outcome) == ("cancelled", "cancelled")
    assert play.server.wait_disconnect(10)


def test_a_stream_that_is_cancelled_inside_is_cut_short_outside(mode: Any) -> None:
    feed, inner = channel()
    feed.put("a")
    outer = wrap(inner, mode=mode)
    assert outer.get(10).content == "a"  # type: ignore[union-attr]
    inner.cancel()
    with pytest.raises(TruncatedStream, match="the wrapped stream was cancelled"):
        outer.get(10)
    assert (outer.outcome, inner.outcome) == ("truncated", "cancelled")
    assert outer.partial.text == "a"


def test_a_stream_that_was_cancelled_before_is_no_empty_answer(mode: Any) -> None:
    inner = wrap(["a"])
    inner.cancel()
    with pytest.raises(TruncatedStream):
        wrap(inner, mode=mode).result()


def test_a_stop_inside_is_the_outcome_outside(mode: Any) -> None:
    outer = wrap(wrap(["a", "b STOP c"], stop_when="STOP"), mode=mode)
    *_, done = outer.chunks()
    assert done.metadata["outcome"] == "stopped"
    result = outer.result()
    assert (result.text, result.outcome) == ("ab ", "stopped")


def test_a_stop_outside_ends_the_stream_inside(mode: Any) -> None:
    inner = wrap(iter(lambda: "a", None))
    result = wrap(inner, mode=mode, stop_when="aaa").result()
    assert (result.text, result.outcome, inner.outcome) == ("", "stopped", "cancelled")


def test_what_a_stream_inside_fails_with_is_raised_outside(mode: Any) -> None:
    failure = KeyError("theirs")

    def broken() -> Iterator[str]:
        yield "a"
        raise failure

    outer = wrap(wrap(broken()), mode=mode)
    with pytest.raises(KeyError) as caught:
        outer.result()
    assert caught.value is failure


def test_a_stream_that_ended_before_is_refused(mode: Any) -> None:
    good, bad = wrap(["a"]), wrap(map(int, "x"))
    early = wrap(good, mode=mode)  # used between wrap() and the first read
    good.result()
    with pytest.raises(ValueError, match="invalid literal"):
        bad.result()
    for use in (early.result, lambda: wrap(good), lambda: wrap(bad)):
        with pytest.raises(ConcurrencyError, match=r"wrap\(\) needs an unused stream"):
            use()


def test_a_stream_in_use_is_refused_and_goes_on(mode: Any) -> None:
    inner = wrap(iter(lambda: "a", None))
    early = wrap(inner, mode=mode)
    with inner:
        assert inner.get(10)
        for use in (early.result, lambda: wrap(inner)):
            with pytest.raises(ConcurrencyError, match=r"wrap\(\) needs an unused stream"):
                use()
        assert inner.get(10)


def test_cancel_frees_the_caller_while_the_foreign_read_blocks(
    threaded: Any, run_in_thread: Callable[..., Any]
) -> None:
    foreign = Foreign("a", block=True)
    stream = wrap(foreign, mode=threaded)
    came = threading.Event()
    reading = run_in_thread(lambda: [piece for piece in stream if not came.set()])
    assert foreign.blocked.wait(10) and came.wait(10)
    stream.cancel()
    assert reading.result() == ["a"]
    assert foreign.closed_by == []  # it is in use: its reader closes it
    foreign.release.set()
    stream._run.join(10)
    (closer,) = foreign.closed_by
    assert closer == f"streamkit-producer-{stream.id}"


def test_the_users_cancel_is_called_once_and_at_once(mode: Any) -> None:
    calls: list[str] = []
    endless = iter(lambda: "a", None)
    stream = wrap(endless, cancel=lambda: calls.append("cancel"), mode=mode)
    for _ in stream:
        break
    stream.cancel()
    stream.close()
    assert calls == ["cancel"]


def test_a_cancel_that_breaks_the_blocked_read_ends_it_at_once_and_quietly(
    threaded: Any, run_in_thread: Callable[..., Any]
) -> None:
    blocked, cut = threading.Event(), threading.Event()

    def reads() -> Iterator[str]:
        yield "a"
        blocked.set()
        assert cut.wait(30)
        raise ConnectionError("the connection was closed")

    stream = wrap(reads(), cancel=cut.set, mode=threaded)
    reading = run_in_thread(lambda: list(stream))
    assert blocked.wait(10)
    stream.cancel()
    reading.result()
    stream._run.join(10)
    assert stream.outcome == "cancelled"
    assert stream.result().outcome == "cancelled"


def test_the_users_cancel_is_not_called_after_the_end() -> None:
    calls: list[str] = []
    stream = wrap(["a"], cancel=lambda: calls.append("cancel"))
    stream.result()
    stream.close()
    assert calls == []


def test_a_cancel_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    stream = wrap(iter(lambda: "a", None), cancel=lambda: 1 / 0)
    for _ in stream:
        break
    assert "foreign close failed" in caplog.text


def test_what_is_cancelled_before_its_first_use_is_closed_and_not_read() -> None:
    foreign = Foreign("a")
    stream = wrap(foreign)
    stream.cancel()
    assert foreign.closed_by == [threading.current_thread().name]
    assert list(stream) == []
    assert next(foreign) == "a"


def test_a_generator_is_closed_when_the_loop_is_left(mode: Any) -> None:
    closed = threading.Event()

    def endless() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            closed.set()

    for _ in wrap(endless(), mode=mode, buffer=4):
        break
    assert closed.wait(10)


def test_the_total_clock_is_looked_at_between_items(mode: Any) -> None:
    stream = wrap(iter(lambda: "a", None), mode=mode, timeout={"total": 0.05}, overflow="drop")
    with pytest.raises(StreamTimeout) as caught:
        for _ in stream:
            pass
    assert caught.value.clock == "total"
    assert stream.outcome == "timeout"


def test_an_item_that_came_when_time_was_up_is_delivered(mode: Any, time_scale: float) -> None:
    hold = threading.Event()
    total = 0.1 * time_scale  # the thread that reads has this long to begin

    def late() -> Iterator[str]:
        hold.wait(total)
        yield "a"
        pytest.fail("read beyond its time")

    stream = wrap(late(), mode=mode, timeout={"total": total})
    with pytest.raises(StreamTimeout):
        stream.result()
    assert stream.partial.text == "a"


class Leaving(BaseException):
    """No Exception: what a host uses to end a thread."""


@pytest.mark.parametrize("kind", [Leaving, SystemExit, KeyboardInterrupt])
def test_what_is_no_exception_arrives_unchanged_too(mode: Any, kind: type) -> None:
    failure = kind("theirs")
    closed: list[str] = []

    def broken() -> Iterator[str]:
        try:
            yield "a"
            raise failure
        finally:
            closed.append("closed")

    pieces: list[str] = []
    with pytest.raises(kind) as caught:
        for piece in wrap(broken(), mode=mode):
            pieces.append(piece)
    assert caught.value is failure
    assert (pieces, closed) == (["a"], ["closed"])


def test_a_streamer_that_a_generating_thread_feeds_is_read_to_its_end(
    mode: Any, run_in_thread: Callable[..., Any]
) -> None:
    """The protocol of transformers' TextIteratorStreamer: a queue, and a signal at its end."""

    class Streamer:
        def __init__(self) -> None:
            self.queue: queue.Queue[str | None] = queue.Queue()

        def __iter__(self) -> Iterator[str]:
            return self

        def __next__(self) -> str:
            text = self.queue.get(timeout=10)
            if text is None:
                raise StopIteration
            return text

    streamer = Streamer()
    stream = wrap(streamer, mode=mode)
    for piece in ("Hello", "", " there", None):
        run_in_thread(streamer.queue.put, piece).result()
    assert stream.result().text == "Hello there"


@pytest.mark.parametrize(
    "chunk",
    [Chunk(kind="usage"), Chunk("{", kind="tool_call"), Chunk("u", kind="citation")],
    ids=lambda chunk: chunk.kind,
)
def test_a_chunk_that_lacks_what_its_kind_needs_is_refused_by_name(chunk: Chunk) -> None:
    with pytest.raises(ConfigurationError, match=f"kind {chunk.kind} needs "):
        wrap([chunk]).result()


def test_an_iterable_is_read_once_and_never_again() -> None:
    reads: list[int] = []

    def failing() -> Iterator[str]:
        reads.append(1)
        raise ConnectionError("theirs")
        yield

    with pytest.raises(ConnectionError, match="theirs"):
        wrap(failing()).result()
    assert reads == [1]


async def nobody_awaits() -> None:
    """An ``async def`` where a plain function is due."""


@pytest.mark.parametrize(
    ("given", "keywords", "message"),
    [
        ("text", {}, "wrap\\(\\) needs an iterable"),
        (7, {}, "wrap\\(\\) needs an iterable"),
        ([], {"text": 1}, "text must be callable"),
        ([], {"cancel": 1}, "cancel must be callable"),
        ([], {"cancel": nobody_awaits}, "cancel must be a plain function"),
        ([], {"retry": True}, "has no keyword 'retry'"),
        ([], {"temperature": 1}, "has no keyword 'temperature'"),
        ([], {"bufer": 1}, "did you mean 'buffer'"),
    ],
)
def test_what_cannot_be_wrapped_is_refused_at_once(given: Any, keywords: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        wrap(given, **keywords)
