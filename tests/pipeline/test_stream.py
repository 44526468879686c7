"""The verbs of a stream: the table of DESIGN.md section 2, row by row."""

from __future__ import annotations

import gc
import pickle
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

from streamkit import ConcurrencyError, ConfigurationError, ProviderError, Stream, TruncatedStream
from streamkit.pipeline.run import Run
from streamkit.testing import Cut, Error, Gate, Hang, Reasoning, Repeat, Status, Text, Usage

WORDS = ["one", " two", " three", " four", " five"]
SAID = "".join(WORDS)
SAY = Text(SAID)
HELD = [Text("one"), Gate(), Text(" two")]

#: Every verb that gives out content, as a function from a stream to the text it gave.
VERBS: dict[str, Callable[[Stream], str]] = {
    "iter": lambda s: "".join(s),
    "chunks": lambda s: "".join(c.content for c in s.chunks() if c.kind == "text"),
    "batches": lambda s: "".join(c.content for b in s.batches(2) for c in b if c.kind == "text"),
    "get": lambda s: "".join(c.content for c in iter(s.get, None) if c.kind == "text"),
    "result": lambda s: s.result().text,
    "wait": lambda s: s.wait(10).text,
    "start": lambda s: s.start().result(10).text,
}


@pytest.fixture(params=VERBS)
def verb(request: pytest.FixtureRequest) -> Callable[[Stream], str]:
    return VERBS[request.param]


def poll_to_the_end(stream: Stream, *, max_items: int | None = None) -> list[Any]:
    """The idiom of a timer: poll until done; waits for the next item without a busy loop."""
    found = []
    for _ in range(10_000):
        found += stream.poll(max_items)
        if stream.done:
            return found
        threading.Event().wait(0.001)
    raise AssertionError("the stream never ended")


# -- what all of them share


def test_every_verb_gives_the_whole_text(
    play: Any, mode: str, verb: Callable[[Stream], str]
) -> None:
    stream = play([SAY], mode=mode)
    assert verb(stream) == SAID
    assert stream.done
    assert stream.outcome == "completed"
    assert len(play.server.requests) == 1


def test_every_verb_raises_what_ended_the_stream(
    play: Any, mode: str, verb: Callable[[Stream], str]
) -> None:
    stream = play([SAY, Cut()], mode=mode)
    with pytest.raises(TruncatedStream) as first:
        verb(stream)
    for again in (stream.result, stream.wait):
        with pytest.raises(TruncatedStream) as second:
            again()
        assert second.value is first.value
    assert stream.outcome == "truncated"
    assert len(play.server.requests) == 1


def test_nothing_is_sent_before_the_first_use(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    iter(stream), stream.chunks(), stream.batches()
    assert stream.partial.text == ""
    assert (stream.outcome, stream.done, stream.request_id, stream.headers) == (
        None,
        False,
        None,
        {},
    )
    assert stream.metrics.chunks_received == 0
    assert stream.progress.elapsed == 0.0
    assert "not started" in repr(stream)
    assert play.server.requests == []
    stream.close()
    assert play.server.connections == 0


def test_after_the_end_there_is_nothing_more_and_no_second_request(
    play: Any, mode: str, verb: Callable[[Stream], str]
) -> None:
    stream = play([SAY], mode=mode)
    verb(stream)
    assert list(stream) == []
    assert list(stream.chunks()) == []
    assert list(stream.batches()) == []
    assert stream.get() is None
    if mode != "direct":
        assert stream.poll() == []
    assert stream.start() is stream
    assert stream.wait().text == stream.result().text == SAID
    assert len(play.server.requests) == 1


def test_after_an_error_a_loop_gives_nothing_and_result_raises(play: Any, mode: str) -> None:
    stream = play([SAY, Error("broke")], mode=mode)
    with pytest.raises(ProviderError):
        list(stream)
    assert list(stream) == []
    assert stream.get() is None
    with pytest.raises(ProviderError):
        stream.result()


# -- loops


def test_iter_gives_text_only(play: Any, mode: str) -> None:
    assert list(play([Reasoning("hmm"), SAY, Usage(1, 2)], mode=mode)) == WORDS


def test_chunks_gives_every_kind_and_done_last(play: Any, mode: str) -> None:
    stream = play([Reasoning("hmm"), SAY, Usage(1, 2)], mode=mode)
    chunks = list(stream.chunks())
    assert [c.kind for c in chunks] == ["reasoning", *["text"] * 5, "usage", "done"]
    assert [c.index for c in chunks] == list(range(8))
    last = chunks[-1]
    assert (last.done, last.finish_reason, last.model, last.id) == (
        True,
        "stop",
        "m",
        "chatcmpl-local1",
    )
    assert last.metadata == {"outcome": "completed"}
    assert all(chunk.timestamp > 1e9 for chunk in chunks)


def test_batches_are_full_and_the_last_one_is_what_is_left(play: Any, mode: str) -> None:
    batches = list(play([SAY, Usage()], mode=mode).batches(2, max_wait=10))
    assert [[c.content for c in batch] for batch in batches] == [
        ["one", " two"],
        [" three", " four"],
        [" five"],
    ]


def test_a_batch_leaves_when_its_time_is_up(play: Any, threaded: str) -> None:
    stream = play(HELD, mode=threaded)
    batches = stream.batches(10, max_wait=0.01)
    assert [c.content for c in next(batches)] == ["one"]  # the gate is closed: time did it
    play.server.release()
    assert [c.content for batch in batches for c in batch if c.kind == "text"] == [" two"]


def test_the_tail_batch_comes_before_the_error(play: Any, mode: str) -> None:
    batches = play([SAY, Cut()], mode=mode).batches(3, max_wait=10)
    assert [c.content for c in next(batches)] == WORDS[:3]
    assert [c.content for c in next(batches)] == WORDS[3:]
    with pytest.raises(TruncatedStream):
        next(batches)


@pytest.mark.parametrize(
    "arguments", [{"size": 0}, {"size": -1}, {"size": 2, "max_wait": -1.0}, {"size": 1.5}]
)
def test_impossible_batches_are_refused_before_anything_is_sent(
    play: Any, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        play([SAY]).batches(**arguments)
    assert play.server.requests == []


def stop_by_break(stream: Stream) -> None:
    for _ in stream:
        break


def stop_by_error(stream: Stream) -> None:
    try:
        for _ in stream:
            raise LookupError
    except LookupError:
        pass


def stop_by_zip(stream: Stream) -> None:
    assert list(zip([1, 2], stream, strict=False))


def stop_by_islice(stream: Stream) -> None:
    assert list(islice(stream, 1)) == ["and"]


def stop_by_generator(stream: Stream) -> None:
    def upper() -> Iterator[str]:
        for piece in stream:
            yield piece.upper()

    for _ in upper():
        break


def stop_by_close(stream: Stream) -> None:
    next(iter(stream.chunks()))
    stream.close()


def stop_by_with(stream: Stream) -> None:
    with stream:
        assert stream.get() is not None


@pytest.mark.parametrize(
    "leave",
    [
        stop_by_break,
        stop_by_error,
        stop_by_zip,
        stop_by_islice,
        stop_by_generator,
        stop_by_close,
        stop_by_with,
    ],
    ids=lambda leave: leave.__name__,
)
def test_leaving_a_loop_closes_the_stream_without_the_garbage_collector(
    play: Any, mode: str, leave: Callable[[Stream], None]
) -> None:
    stream = play([Text("and so on"), Hang()], mode=mode)
    gc.disable()
    try:
        leave(stream)
        assert play.server.wait_disconnect(2) is not None
    finally:
        gc.enable()
    assert stream.outcome == "cancelled"
    assert stream.done
    assert stream.result().text.startswith("and")
    assert list(stream) == []


# -- one consumer


def test_a_second_consumer_is_refused_whatever_the_thread(
    play: Any, mode: str, run_in_thread: Callable[..., Any]
) -> None:
    stream = play(HELD, mode=mode)
    loop = iter(stream)
    assert next(loop) == "one"

    def refused() -> None:
        for second in (
            lambda: next(iter(stream)),
            lambda: next(iter(stream.chunks())),
            lambda: next(iter(stream.batches())),
            stream.get,
            stream.start,
        ):
            with pytest.raises(ConcurrencyError) as caught:
                second()
            assert caught.value.stream_id == stream.id

    refused()
    run_in_thread(refused).result()
    play.server.release()
    assert list(loop) == [" two"]  # nothing was stolen, and nothing broke


def test_two_threads_in_one_generator_are_refused(
    play: Any, run_in_thread: Callable[..., Any]
) -> None:
    stream = play(HELD)
    assert stream.get().content == "one"
    waiting = run_in_thread(stream.get)
    play.server.wait_gate()
    deadline = threading.Event()
    while True:  # until the other thread is inside
        try:
            stream.get(timeout=0)
        except TimeoutError:
            deadline.wait(0.001)
        except ConcurrencyError:
            break
    play.server.release()
    assert waiting.result().content == " two"


def test_result_from_the_thread_that_drains_is_refused(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    for _ in stream:
        for wait in (stream.result, stream.wait):
            with pytest.raises(ConcurrencyError, match="would never end"):
                wait()
    assert stream.result().text == SAID


def test_result_and_wait_elsewhere_only_wait(
    play: Any, mode: str, run_in_thread: Callable[..., Any]
) -> None:
    stream = play(HELD, mode=mode)
    loop = iter(stream)
    next(loop)
    tasks = [run_in_thread(stream.result), run_in_thread(stream.wait, 10)]
    play.server.release()
    list(loop)
    assert [task.result().text for task in tasks] == ["one two"] * 2


@pytest.mark.parametrize("name", ["result", "wait"])
def test_many_threads_may_ask_for_the_result_of_an_unused_stream(
    play: Any, mode: str, name: str, run_in_thread: Callable[..., Any]
) -> None:
    for _ in range(5):
        stream = play([SAY], mode=mode)
        barrier = threading.Barrier(6)

        def ask(stream: Stream = stream, barrier: threading.Barrier = barrier) -> str:
            barrier.wait(5)
            return str(getattr(stream, name)().text)

        tasks = [run_in_thread(ask) for _ in range(6)]
        assert [task.result() for task in tasks] == [SAID] * 6
        assert len(play.server.requests) == 1


@pytest.mark.parametrize("name", ["result", "wait"])
def test_who_finds_the_stream_taken_between_look_and_try_waits(
    play: Any, mode: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = play([SAY], mode=mode).start()
    monkeypatch.setattr(Run, "claimed", False)  # we looked a moment before it was
    assert getattr(stream, name)(10).text == SAID


# -- get and poll


def test_get_gives_chunks_then_done_then_none(play: Any, mode: str) -> None:
    stream = play([Text("one"), Usage()], mode=mode)
    assert stream.get().content == "one"
    assert not stream.done
    last = stream.get()
    assert (last.kind, last.done) == ("done", True)
    assert stream.done
    assert stream.get() is None
    assert stream.get(0) is None


def test_get_that_runs_out_of_time_leaves_the_stream_running(play: Any, threaded: str) -> None:
    stream = play(HELD, mode=threaded)
    assert stream.get(5).content == "one"
    for seconds in (0, 0.01):
        with pytest.raises(TimeoutError) as caught:
            stream.get(seconds)
        assert type(caught.value) is TimeoutError
    play.server.release()
    assert stream.get(5).content == " two"


def test_get_raises_the_error_once_after_the_last_chunk(play: Any, mode: str) -> None:
    stream = play([Text("one"), Cut()], mode=mode)
    assert stream.get().content == "one"
    with pytest.raises(TruncatedStream):
        stream.get()
    assert stream.get() is None
    assert stream.done


def test_get_refuses_a_negative_time(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    with pytest.raises(ValueError, match="0 or more"):
        stream.get(-1)
    assert play.server.requests == []


def test_poll_never_blocks_and_empty_means_nothing_now(play: Any, threaded: str) -> None:
    stream = play([Gate(), SAY, Usage()], mode=threaded)
    assert stream.poll() == []
    play.server.wait_gate()
    assert stream.poll() == []
    assert not stream.done
    play.server.release()
    found = poll_to_the_end(stream)
    assert [c.content for c in found] == [*WORDS, ""]
    assert found[-1].done
    assert stream.poll() == []


@pytest.mark.parametrize("max_items", [1, 2, 4, 100])
def test_poll_gives_no_more_than_asked_for(play: Any, threaded: str, max_items: int) -> None:
    stream = play([SAY, Usage()], mode=threaded)
    sizes = []
    texts = []
    while not stream.done:
        chunks = stream.poll(max_items)
        sizes.append(len(chunks))
        texts += [c.content for c in chunks]
        threading.Event().wait(0.001)
    assert max(sizes) <= max_items
    assert texts == [*WORDS, ""]


@pytest.mark.parametrize("max_items", [None, 1, 2])
def test_polling_until_done_never_misses_the_error(
    play: Any, threaded: str, max_items: int | None
) -> None:
    stream = play([SAY, Cut()], mode=threaded)
    found: list[str] = []
    with pytest.raises(TruncatedStream):
        while not stream.done:
            found += [c.content for c in stream.poll(max_items)]
            threading.Event().wait(0.001)
    assert found == WORDS
    assert stream.done
    assert stream.poll() == []  # once


def test_one_poll_of_an_endless_flood_returns(
    play: Any, threaded: str, run_in_thread: Callable[..., Any]
) -> None:
    stream = play([Repeat([Text("x " * 50, burst=50)])], mode=threaded)
    while not (first := stream.poll()):
        threading.Event().wait(0.001)
    assert len(first) <= 1000
    assert len(run_in_thread(stream.poll).result(5)) <= 1000


def test_poll_in_direct_mode_names_the_mode_to_use(play: Any) -> None:
    stream = play([SAY], mode="direct")
    with pytest.raises(ConfigurationError, match="buffered"):
        stream.poll()
    assert play.server.requests == []
    assert list(stream) == WORDS


@pytest.mark.parametrize("value", [0, -1])
def test_poll_refuses_less_than_one_item(play: Any, value: int) -> None:
    with pytest.raises(ConfigurationError, match="max_items must be a number of at least 1"):
        play([SAY]).poll(value)


def test_get_and_poll_are_one_consumer(play: Any, threaded: str) -> None:
    stream = play([SAY, Usage()], mode=threaded)
    assert stream.get(5).content == "one"
    rest = poll_to_the_end(stream)
    assert [c.content for c in rest] == [*WORDS[1:], ""]


def test_cancel_throws_away_what_get_had_not_given_out(play: Any, mode: str) -> None:
    stream = play([Text(SAID, burst=5), Hang()], mode=mode)
    assert stream.get().content == "one"
    stream.cancel()
    assert stream.done
    assert stream.get() is None
    if mode != "direct":
        assert stream.poll() == []


# -- start, wait, result


def test_start_returns_the_stream_and_runs_it(play: Any, mode: str) -> None:
    stream = play(HELD, mode=mode)
    assert stream.start() is stream
    play.server.wait_gate()
    assert not stream.done
    play.server.release()
    assert stream.wait(5).text == "one two"


def test_time_running_out_is_the_builtin_and_the_stream_goes_on(play: Any, mode: str) -> None:
    stream = play(HELD, mode=mode)
    for wait in (stream.wait, stream.result):
        with pytest.raises(TimeoutError) as caught:
            wait(0.01)
        assert type(caught.value) is TimeoutError
    assert stream.outcome is None
    play.server.wait_gate()
    play.server.release()
    assert stream.result(5).text == "one two"
    assert len(play.server.requests) == 1


def test_a_negative_time_is_refused(play: Any) -> None:
    stream = play([SAY])
    for wait in (stream.wait, stream.result):
        with pytest.raises(ValueError, match="0 or more"):
            wait(-1)


def test_result_of_a_cancelled_unused_stream_sends_nothing(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    stream.cancel("changed my mind")
    assert stream.result().outcome == stream.wait().outcome == "cancelled"
    assert stream.result().text == ""
    assert list(stream) == []
    assert stream.get() is None
    assert stream.start() is stream
    assert play.server.requests == []


def test_result_after_a_break_is_what_came(play: Any, mode: str) -> None:
    stream = play([Text("one"), Hang()], mode=mode)
    for _ in stream:
        break
    result = stream.result()
    assert (result.text, result.outcome) == ("one", "cancelled")


def test_the_result_is_one_object(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    assert stream.result() is stream.result() is stream.partial


# -- cancel, close, with, del


def test_cancel_and_close_are_idempotent_and_keep_the_outcome(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    stream.result()
    for _ in range(3):
        stream.cancel("late")
        stream.close()
    with stream:
        pass
    assert stream.outcome == "completed"


@pytest.mark.parametrize("verb", ["iter", "chunks", "batches", "get", "result", "wait"])
def test_cancel_from_another_thread_frees_whoever_waits(
    play: Any, mode: str, verb: str, run_in_thread: Callable[..., Any]
) -> None:
    stream = play([Gate()], mode=mode)
    task = run_in_thread(VERBS[verb], stream)
    play.server.wait_gate()
    stream.cancel()
    assert task.result(5) == ""
    assert stream.outcome == "cancelled"
    assert play.server.wait_disconnect(2) is not None


def test_a_dropped_stream_is_closed_with_a_warning(play: Any, mode: str) -> None:
    stream = play([Text("one"), Hang()], mode=mode)
    gc.disable()
    try:
        play.forget()
        assert stream.get().content == "one"
        with pytest.warns(ResourceWarning, match=r"unclosed stream .* made at .*conftest\.py:\d+"):
            del stream
        assert play.server.wait_disconnect(2) is not None
    finally:
        gc.enable()


def test_an_unused_or_finished_stream_is_dropped_in_silence(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    play.forget()
    del stream
    stream = play([SAY], mode=mode)
    play.forget()
    stream.result()
    del stream  # a ResourceWarning would fail the test


# -- snapshots


def test_snapshots_follow_the_stream(play: Any, mode: str) -> None:
    stream = play(HELD, mode=mode)
    loop = iter(stream)
    next(loop)
    play.server.wait_gate()
    assert stream.partial.text == "one"
    assert stream.partial.outcome is None
    assert stream.progress.tokens_received == 1
    assert stream.request_id == "req_local1"
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.metrics.provider == "openai"
    assert stream.metrics.stream_id == stream.id
    assert "running" in repr(stream)
    play.server.release()
    list(loop)
    metrics = stream.metrics
    assert metrics.duration_ms == stream.metrics.duration_ms > 0  # it stands still
    assert 0 < metrics.time_to_first_chunk <= metrics.duration_ms / 1000
    assert repr(stream) == f"<Stream {stream.id} openai/m completed>"


def test_the_headers_of_an_error_answer_are_there_too(play: Any, drained: Any, mode: str) -> None:
    stream = play(Status(429, headers={"X-Left": "0"}), mode=mode)
    _, error = drained(stream)
    assert stream.headers["x-left"] == "0"
    assert stream.request_id == error.request_id == "req_local1"


def test_two_streams_have_two_ids(play: Any) -> None:
    first = play([SAY])
    assert first.id != play.open().id


def test_a_stream_is_not_an_iterator_and_cannot_be_pickled(play: Any) -> None:
    stream = play([SAY])
    assert not hasattr(stream, "__next__")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(stream)


def test_the_class_called_in_place_of_the_function_is_one_plain_error() -> None:
    with pytest.raises(TypeError, match="positional"):
        Stream("openai/x", "hi")  # type: ignore[call-arg,arg-type]
    gc.collect()  # nothing is said of an object that never was one


# -- what interrupts, and what poll() owes


def test_a_signal_handler_inside_the_rings_lock_may_look_at_everything(
    play: Any, threaded: str, run_in_thread: Callable[..., Any]
) -> None:
    stream = play([Text("one"), Hang()], mode=threaded)
    assert stream.get().content == "one"

    def handle() -> str:
        seen = stream.partial.text, stream.metrics, stream.progress, stream.done, repr(stream)
        stream.cancel()
        assert stream.partial.outcome == "cancelled" and stream.metrics.chunks_delivered == 1
        return seen[0]

    with stream._run._ring._lock:
        assert run_in_thread(handle).result() == "one"


def test_get_raises_the_error_that_poll_met(play: Any, threaded: str) -> None:
    stream = play([Gate(), SAY, Cut()], mode=threaded)
    assert stream.poll() == []  # it is sent now
    play.server.wait_gate()
    play.server.release()
    stream._run._producer.join(10)  # now all is there, the error too
    got = stream.poll()
    assert not stream.done
    with pytest.raises(TruncatedStream) as caught:
        stream.get(5)
    assert "".join(c.content for c in got) == SAID
    assert stream.get() is None and stream.done
    with pytest.raises(TruncatedStream) as again:
        stream.result()
    assert again.value is caught.value


@pytest.mark.parametrize("verb", ["iter", "chunks", "batches", "get", "result"])
def test_an_interrupt_while_waiting_is_never_swallowed(
    play: Any, mode: str, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = play([SAY, Hang()], mode=mode)
    take, taken = Run.take, []

    def interrupted(run: Run, timeout: float | None) -> Any:
        if sum(map(len, taken)) == len(WORDS):
            raise KeyboardInterrupt
        taken.append(list(take(run, timeout) or []))
        return list(taken[-1])

    monkeypatch.setattr(Run, "take", interrupted)
    with pytest.raises(KeyboardInterrupt):
        VERBS[verb](stream)
    assert stream.result().outcome == "cancelled"
    assert play.server.wait_disconnect(2) is not None


def test_an_interrupt_gives_out_no_open_batch(
    play: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = play([SAY, Hang()], mode=mode)
    take, first = Run.take, []

    def interrupted(run: Run, timeout: float | None) -> Any:
        if first:
            raise KeyboardInterrupt
        first.extend(take(run, timeout) or [])
        return list(first)

    monkeypatch.setattr(Run, "take", interrupted)
    batches = stream.batches(100, max_wait=60)
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert list(batches) == []
    assert stream.result().outcome == "cancelled"
    assert stream.metrics.chunks_delivered == 0
