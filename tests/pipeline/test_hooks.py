"""Callbacks: what they get, where they run, and what happens when they raise or stop the stream."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit import (
    SKIP,
    BatchConfig,
    ConcurrencyError,
    ConfigurationError,
    MetricsConfig,
    Stream,
    StreamOptions,
    wrap,
)
from streamkit.pipeline.consumer import open_drain
from streamkit.testing import Cut, Gate, Hang, Reasoning, Repeat, Text, Usage

WORDS = ["one", " two", " three", " four", " five"]
SAY = Text("".join(WORDS))
ON_ALL = (
    "on_text", "on_chunk", "on_batch", "on_metrics", "on_progress", "on_error", "on_end",
)  # fmt: skip
CONTENT = ("on_text", "on_chunk", "on_batch")
LOOKING_ON = ("on_metrics", "on_progress", "on_error", "on_end")

#: Ways to run a stream to its end, each in another thread of ours or the user's.
DRIVERS: dict[str, Callable[[Stream], Any]] = {
    "start": lambda s: s.start().wait(10),
    "result": lambda s: s.result(),
    "iter": lambda s: list(s),
    "chunks": lambda s: list(s.chunks()),
    "get": lambda s: list(iter(s.get, None)),
}


@pytest.fixture(params=DRIVERS)
def drive(request: pytest.FixtureRequest) -> Callable[[Stream], Any]:
    return DRIVERS[request.param]


class Log:
    """Records every callback of a stream: (name, value, thread)."""

    def __init__(self, stream: Stream, *names: str) -> None:
        self.calls: list[tuple[str, Any, threading.Thread]] = []
        for name in names or ON_ALL:
            stream.hook(name, self.writer(name))

    def writer(self, name: str) -> Callable[[Any], None]:
        return lambda value: self.calls.append((name, value, threading.current_thread()))

    def of(self, name: str) -> list[Any]:
        return [value for kind, value, _ in self.calls if kind == name]

    @property
    def names(self) -> list[str]:
        return [name for name, _, _ in self.calls]


def test_each_callback_gets_its_share_in_order(
    play: Any, mode: str, drive: Callable[[Stream], Any]
) -> None:
    stream = play(
        [Reasoning("hmm"), SAY, Usage(1, 2)],
        mode=mode,
        batch=BatchConfig(timeout=10, adaptive=False),
    )
    log = Log(stream)
    drive(stream)
    assert log.of("on_text") == WORDS
    chunks = log.of("on_chunk")
    assert [c.kind for c in chunks] == ["reasoning", *["text"] * 5, "usage", "done"]
    batches = log.of("on_batch")
    assert [c for batch in batches for c in batch] == chunks[:-1]
    assert [len(batch) for batch in batches] == [5, 2]
    assert log.of("on_error") == []
    assert log.names[-1] == "on_end"
    assert log.of("on_end") == [stream.result()]
    assert log.of("on_metrics")[-1].chunks_received == 7
    assert log.of("on_progress")[-1] == stream.progress


def test_a_chunk_reaches_on_chunk_before_its_text_reaches_on_text(play: Any, mode: str) -> None:
    stream = play([Text("one two"), Usage()], mode=mode)
    log = Log(stream, "on_text", "on_chunk")
    stream.result()
    assert log.names == ["on_chunk", "on_text", "on_chunk", "on_text", "on_chunk"]


def test_callbacks_run_in_the_thread_that_drains(
    play: Any, mode: str, drive: Callable[[Stream], Any]
) -> None:
    stream = play([SAY], mode=mode)
    log = Log(stream)
    drive(stream)
    threads = {thread for _, _, thread in log.calls}
    if drive is DRIVERS["start"]:
        assert [thread.name for thread in threads] == [f"streamkit-consumer-{stream.id}"]
    else:
        assert threads == {threading.current_thread()}


def test_the_consumer_thread_sees_the_context_of_the_maker(play: Any, mode: str) -> None:
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("maker")
    stream = play([SAY], mode=mode)
    variable.set("later")
    seen: list[str] = []
    stream.on_text(lambda _: seen.append(variable.get())).start().wait(10)
    assert set(seen) == {"maker"}


def test_several_callbacks_of_one_kind_run_in_the_order_given(play: Any, mode: str) -> None:
    seen: list[str] = []
    stream = play([Text("one")], mode=mode, on_text=lambda _: seen.append("keyword"))
    stream.on_text(lambda _: seen.append("first")).on_text(lambda _: seen.append("second"))
    stream.result()
    assert seen == ["keyword", "first", "second"]


@pytest.mark.parametrize("name", ON_ALL)
def test_each_method_returns_the_stream_and_refuses_what_cannot_be_called(
    play: Any, name: str
) -> None:
    stream = play([SAY])
    assert getattr(stream, name)(lambda _: None) is stream
    with pytest.raises(ConfigurationError, match=f"{name} must be callable, got int"):
        getattr(stream, name)(5)


@pytest.mark.parametrize("name", ON_ALL)
def test_a_callback_is_refused_once_the_stream_has_a_consumer(play: Any, name: str) -> None:
    stream = play([Gate()]).start()  # whether or not its thread has come to do anything
    with pytest.raises(ConcurrencyError, match="before the stream is used"):
        getattr(stream, name)(print)


def test_an_unknown_callback_is_refused(play: Any) -> None:
    with pytest.raises(ConfigurationError, match="no callback is called 'on_token'"):
        play([SAY]).hook("on_token", print)


# -- endings


def test_an_error_reaches_on_error_once_and_then_on_end(
    play: Any, mode: str, drive: Callable[[Stream], Any]
) -> None:
    stream = play([SAY, Cut()], mode=mode, batch=BatchConfig(size=3, timeout=10, adaptive=False))
    log = Log(stream)
    with pytest.raises(Exception, match="without a finish reason") as caught:
        drive(stream)
    assert log.of("on_text") == WORDS
    assert [len(batch) for batch in log.of("on_batch")] == [3, 2]
    assert log.of("on_error") == [caught.value]
    assert log.names[-2:] == ["on_error", "on_end"]
    (result,) = log.of("on_end")
    assert (result.text, result.outcome) == (SAY.text, "truncated")


def test_a_cancel_reaches_on_end_and_not_on_error(play: Any, mode: str) -> None:
    stream = play([SAY, Gate()], mode=mode)
    log = Log(stream, "on_error", "on_end")
    stream.start()
    play.server.wait_gate()
    stream.cancel()
    stream.close()  # waits for the callbacks
    assert log.names == ["on_end"]
    assert log.of("on_end")[0].outcome == "cancelled"


def test_a_stream_cancelled_before_its_use_says_so_to_on_end(play: Any, mode: str) -> None:
    stream = play([SAY], mode=mode)
    log = Log(stream)
    stream.cancel()
    stream.cancel()
    assert "on_text" not in log.names
    assert [result.outcome for result in log.of("on_end")] == ["cancelled"]
    assert play.server.requests == []


def test_a_break_reaches_on_end(play: Any, mode: str) -> None:
    stream = play([SAY, Hang()], mode=mode)
    log = Log(stream, "on_end", "on_error")
    for _ in stream:
        break
    assert log.names == ["on_end"]
    assert log.of("on_end")[0].outcome == "cancelled"


@pytest.mark.parametrize("verb", ["wait", "result"])
def test_wait_and_result_return_after_on_end(
    play: Any, mode: str, verb: str, run_in_thread: Callable[..., Any]
) -> None:
    entered, go = threading.Event(), threading.Event()
    ended: list[Any] = []
    stream = play([SAY], mode=mode)
    stream.on_end(lambda result: (entered.set(), go.wait(10), ended.append(result))).start()
    assert entered.wait(10)
    waiting = run_in_thread(getattr(stream, verb))
    assert getattr(stream, verb)(0.01).text == SAY.text  # who has no patience need not wait
    go.set()
    result = waiting.result()
    assert ended == [result]


# -- callbacks that raise


class Mine(Exception):
    pass


def raiser(error: BaseException, at: int = 0) -> Callable[[Any], None]:
    """A callback that raises at its call number ``at``."""
    calls = iter(range(1000))

    def call(_: Any) -> None:
        if next(calls) == at:
            raise error

    return call


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("kind", [Mine, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("name", CONTENT)
def test_what_a_callback_raises_comes_out_of_wait(
    play: Any, mode: str, name: str, kind: type[BaseException], at: int
) -> None:
    batch = BatchConfig(size=1, min_size=1, adaptive=False)
    stream = play([SAY, Hang()], mode=mode, batch=batch)
    error = kind("mine")
    log = Log(stream, "on_error", "on_end")
    stream.hook(name, raiser(error, at)).start()
    for _ in range(2):
        with pytest.raises(kind) as caught:
            stream.wait(10)
        assert caught.value is error
    assert play.server.wait_disconnect(2) is not None
    assert stream.outcome == "failed"
    assert log.names == ["on_error", "on_end"]
    assert log.of("on_error") == [error]


@pytest.mark.parametrize("drive", ["iter", "chunks", "get", "result"])
@pytest.mark.parametrize("kind", [Mine, SystemExit, KeyboardInterrupt])
def test_what_a_callback_raises_comes_out_of_the_loop(
    play: Any, mode: str, drive: str, kind: type[BaseException]
) -> None:
    stream = play([SAY, Hang()], mode=mode)
    error = kind("mine")
    log = Log(stream, "on_end")
    stream.on_text(raiser(error, 2))
    with pytest.raises(kind) as caught:
        DRIVERS[drive](stream)
    assert caught.value is error
    assert play.server.wait_disconnect(2) is not None
    assert log.names == ["on_end"]
    assert list(stream) == []


def test_a_callback_that_raises_at_the_done_chunk_fails_the_stream(play: Any, mode: str) -> None:
    def refuse(chunk: Any) -> None:
        if chunk.done:
            raise Mine

    stream = play([SAY], mode=mode).on_chunk(refuse)
    with pytest.raises(Mine):
        stream.result()
    assert stream.outcome == "failed"
    assert stream.partial.text == SAY.text


@pytest.mark.parametrize("name", LOOKING_ON)
def test_what_an_onlooker_raises_is_logged_once_and_changes_nothing(
    play: Any, drained: Any, mode: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: Any) -> None:
        raise Mine("looking on")

    script = [Repeat([Text(" x"), Gate()], times=3), *([Cut()] if name == "on_error" else [])]
    stream = play(script, mode=mode, metrics=MetricsConfig(interval=1e-6))
    log = Log(stream, "on_end")
    stream.hook(name, refuse).hook(name, refuse)
    play.server.release(3)
    with caplog.at_level(logging.ERROR, "streamkit"):
        text, error = drained(stream)
    assert text == " x x x"
    assert (error is None) == (name != "on_error")
    assert log.names == ["on_end"]
    records = [r for r in caplog.records if r.getMessage() == f"callback failed name={name}"]
    assert len(records) == 1
    assert records[0].exc_info is not None
    assert records[0].exc_info[0] is Mine


# -- callbacks that use the stream


@pytest.mark.parametrize("verb", ["cancel", "close"])
@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize("drive", ["start", "iter", "result", "get"])
def test_a_callback_may_stop_the_stream(
    play: Any, mode: str, name: str, verb: str, drive: str
) -> None:
    stream = play([SAY, Hang()], mode=mode, batch=BatchConfig(size=1, min_size=1, adaptive=False))
    log = Log(stream, "on_error", "on_end")
    calls: list[Any] = []

    def stop(value: Any) -> None:
        calls.append(value)
        if len(calls) == 2:
            getattr(stream, verb)()

    stream.hook(name, stop)
    DRIVERS[drive](stream)
    assert len(calls) == 2  # nothing after the stop
    assert stream.result().outcome == "cancelled"
    assert play.server.wait_disconnect(2) is not None
    stream.close()
    assert log.names == ["on_end"]


@pytest.mark.parametrize("verb", ["result", "wait"])
def test_a_callback_that_waits_for_its_own_stream_is_told_so(
    play: Any, mode: str, verb: str
) -> None:
    stream = play([SAY], mode=mode)
    stream.on_text(lambda _: getattr(stream, verb)())
    with pytest.raises(ConcurrencyError, match="would never end"):
        stream.start().wait(10)
    with pytest.raises(ConcurrencyError):
        stream.result()


@pytest.mark.parametrize("drive", ["start", "result", "iter"])
def test_on_end_may_ask_for_the_result(play: Any, mode: str, drive: str) -> None:
    stream = play([SAY], mode=mode)
    found: list[Any] = []
    stream.on_end(lambda r: found.append((r, stream.result(), stream.wait(), stream.partial)))
    DRIVERS[drive](stream)
    assert found == [(stream.result(),) * 4]
    assert stream.result().outcome == "completed"


def test_on_error_may_cancel(play: Any, mode: str) -> None:
    stream = play([SAY, Cut()], mode=mode)
    stream.on_error(lambda _: stream.cancel())
    with pytest.raises(Exception, match="finish reason"):
        stream.result()
    assert stream.outcome == "truncated"


def test_a_callback_may_run_another_stream(play: Any, mode: str) -> None:
    texts: list[str] = []
    stream = play([Text("one")], mode=mode)
    stream.on_text(lambda _: texts.append(play.open(mode=mode).result().text))
    assert stream.start().wait(10).text == "one"
    assert texts == ["one"]


def test_cancel_from_outside_does_not_wait_for_a_callback_that_blocks(
    play: Any, mode: str, run_in_thread: Callable[..., Any]
) -> None:
    inside, go = threading.Event(), threading.Event()
    stream = play([SAY, Hang()], mode=mode)
    stream.on_text(lambda _: (inside.set(), go.wait(10)))
    stream.start()
    waiting = run_in_thread(stream.wait, 10)
    assert inside.wait(5)
    stream.cancel()
    assert waiting.result(5).outcome == "cancelled"
    assert play.server.wait_disconnect(2) is not None
    go.set()


# -- the timed ones


def test_on_metrics_is_called_on_time_while_nothing_comes(play: Any, threaded: str) -> None:
    ticked = threading.Event()
    stream = play([SAY, Gate()], mode=threaded, metrics=MetricsConfig(interval=0.01))
    stream.on_metrics(lambda _: ticked.set()).start()
    play.server.wait_gate()
    ticked.clear()
    assert ticked.wait(5)
    play.server.release()
    stream.wait(5)


def test_on_batch_is_called_on_time_while_nothing_comes(play: Any, threaded: str) -> None:
    came = threading.Event()
    stream = play([Text("one"), Gate()], mode=threaded, batch=BatchConfig(size=5, timeout=0.01))
    stream.on_batch(lambda _: came.set()).start()
    assert came.wait(5)
    play.server.release()
    stream.wait(5)


@pytest.mark.parametrize("metrics", [None, MetricsConfig(enabled=False)])
def test_metrics_that_are_off_are_never_reported(play: Any, mode: str, metrics: Any) -> None:
    stream = play([SAY], mode=mode, metrics=metrics)
    log = Log(stream, "on_metrics")
    stream.result()
    assert log.calls == []
    assert stream.metrics.chunks_received == 6  # counting goes on


def test_progress_counts_what_was_delivered(play: Any, mode: str) -> None:
    stream = play([SAY, Usage()], mode=mode)
    log = Log(stream, "on_progress")
    stream.result()
    counts = [progress.tokens_received for progress in log.of("on_progress")]
    assert counts == sorted(counts)
    assert counts[-1] == 5


# -- one at a time, and none after close


class Busy:
    """Callbacks that note whether two ever ran at once, and which began after ``closed``."""

    def __init__(self) -> None:
        self.inside = threading.Lock()
        self.first = threading.Event()
        self.closed = False
        self.overlaps = 0
        self.late: list[str] = []

    def named(self, name: str) -> Callable[[Any], None]:
        def call(_: Any) -> None:
            if self.closed:
                self.late.append(name)
            if not self.inside.acquire(blocking=False):
                self.overlaps += 1
                return
            self.first.set()
            self.inside.release()

        return call


@pytest.mark.parametrize("drive", ["start", "iter"])
def test_callbacks_never_overlap_and_none_begins_after_close(
    play: Any, mode: str, drive: str, run_in_thread: Callable[..., Any]
) -> None:
    play.serve([Repeat([Text("tok")])])
    for _ in range(25):
        busy = Busy()
        stream = play.open(mode=mode, metrics=MetricsConfig(interval=0.001), buffer=10)
        for name in ON_ALL:
            stream.hook(name, busy.named(name))
        looping = run_in_thread(list, stream) if drive == "iter" else stream.start()
        assert busy.first.wait(10)
        stream.close()
        busy.closed = True
        if drive == "iter":
            looping.result()
        else:
            stream.wait(10)
        assert stream.outcome == "cancelled"
        assert busy.overlaps == 0
        # close() waits for a consumer thread. A loop in another thread makes its last calls there,
        # and may just have been about to hand out one more chunk, or one more batch.
        assert drive == "iter" or busy.late == []
        content = [name for name in busy.late if name in CONTENT]
        assert content in ([], ["on_text"], ["on_chunk", "on_text"], ["on_batch"])
        play.forget()


def test_who_asks_while_a_cancel_makes_the_last_calls_finds_the_end(
    play: Any, mode: str, run_in_thread: Callable[..., Any]
) -> None:
    stream = play([Text("tok"), Hang()], mode=mode)
    told, asked = threading.Event(), threading.Event()

    def last(_: Any) -> None:
        told.set()
        assert asked.wait(10)

    stream.on_end(last)
    drain = open_drain(stream._run)
    assert drain is not None and drain.next()
    cancel = run_in_thread(stream.cancel)
    assert told.wait(10)
    try:
        assert drain.next() is None
    finally:
        asked.set()
        cancel.result()
        drain.leave()
    assert stream.outcome == "cancelled"


@pytest.mark.parametrize("verb", ["cancel", "close"])
@pytest.mark.parametrize("name", LOOKING_ON)
@pytest.mark.parametrize("drive", ["start", "iter", "result", "get"])
def test_an_onlooker_may_stop_the_stream(
    play: Any, mode: str, name: str, verb: str, drive: str, run_in_thread: Callable[..., Any]
) -> None:
    script = [Repeat([Text("tok")], times=None if name in LOOKING_ON[:2] else 3)]
    if name == "on_error":
        script.append(Cut())
    stream = play(script, mode=mode, metrics=MetricsConfig(interval=0.001))
    log = Log(stream, "on_end")
    calls: list[Any] = []

    def stop(value: Any) -> None:
        calls.append(value)
        getattr(stream, verb)()

    stream.hook(name, stop)

    def run() -> BaseException | None:
        try:
            DRIVERS[drive](stream)
        except Exception as error:
            return error
        return None

    error = run_in_thread(run).result()
    stream.close()
    outcomes = {"on_error": "truncated", "on_end": "completed"}
    assert stream.outcome == outcomes.get(name, "cancelled")
    assert (error is not None) == (name == "on_error")
    assert calls and log.names == ["on_end"]


# -- numbers while the consumer is slow


def count_between(stream: Stream, drive: str, reports: list[Any]) -> list[int]:
    """How many reports there were by each chunk or batch."""
    seen: list[int] = []

    def note(value: Any = None) -> None:
        seen.append(len(reports))

    if drive == "get":
        while stream.get(10) is not None:
            note()
    elif drive in ("iter", "chunks"):
        for _ in stream if drive == "iter" else stream.chunks():
            note()
    elif drive == "batches":
        for _ in stream.batches(1):
            note()
    else:
        stream.hook(drive, note).result()
    return seen


@pytest.mark.parametrize("name", LOOKING_ON[:2])
@pytest.mark.parametrize("drive", ["iter", "chunks", "get", "batches", "on_text", "on_batch"])
def test_numbers_come_between_any_two_chunks_that_were_there_at_once(
    mode: Any, name: str, drive: str
) -> None:
    reports: list[Any] = []
    options = StreamOptions(
        metrics=MetricsConfig(interval=1e-9),
        progress_interval=0,
        batch=BatchConfig(size=1, min_size=1, max_size=1, adaptive=False),
    )
    stream = wrap(["a", "b", "c", "d"], mode=mode, options=options)
    stream.hook(name, reports.append)
    seen = count_between(stream, drive, reports)
    assert len(seen) >= 4
    assert seen == sorted(set(seen))
    assert [report.done for report in reports] == [False] * (len(reports) - 1) + [True]


def test_a_loop_gets_nothing_more_once_a_report_has_stopped_the_stream(mode: Any) -> None:
    got: list[str] = []
    stream = wrap(["a", "cd", "e"], mode=mode, options=StreamOptions(progress_interval=0))
    stream.on_progress(lambda _: got and stream.cancel())
    for text in stream:
        got.append(text)
    assert got == ["a"]
    assert stream.outcome == "cancelled"
    assert stream.metrics.chunks_delivered == 1


@pytest.mark.parametrize("name", ["on_progress", "on_metrics"])
@pytest.mark.parametrize(
    "held", [{"units": "sentence"}, {"transform": lambda _: SKIP}], ids=["units", "transform"]
)
def test_a_direct_stream_reports_while_what_comes_is_held_back(
    name: str, held: dict[str, Any], drive: Callable[[Stream], Any]
) -> None:
    reports: list[Any] = []
    before: list[int] = []

    def words() -> Iterator[str]:
        for word in WORDS:
            before.append(len(reports))
            yield word

    options = StreamOptions(metrics=MetricsConfig(interval=1e-9), progress_interval=0)
    stream = wrap(words(), mode="direct", options=options, **held)
    drive(stream.hook(name, reports.append))
    assert before == [0, 1, 2, 3, 4]
    assert stream.outcome == "completed"
    assert stream.result().text == "".join(WORDS)


def test_a_get_with_a_time_goes_on_after_reads_that_gave_nothing() -> None:
    options = StreamOptions(progress_interval=0, units="sentence")
    stream = wrap(WORDS, mode="direct", options=options).on_progress(lambda _: None)
    late = 0
    got = []
    while not stream.done:
        try:
            chunk = stream.get(0)
        except TimeoutError:
            late += 1
        else:
            got.append(chunk)
    assert late == len(WORDS)
    assert [chunk.content for chunk in got if chunk] == ["".join(WORDS), ""]


def test_a_report_may_cancel_while_what_comes_is_held_back() -> None:
    options = StreamOptions(progress_interval=0, units="sentence")
    stream = wrap(WORDS, mode="direct", options=options)
    assert list(stream.on_progress(lambda _: stream.cancel())) == []
    assert stream.outcome == "cancelled"


@pytest.mark.parametrize("call", [0, "", False, []])
@pytest.mark.parametrize("name", ["on_text", "on_metrics", "on_end"])
def test_what_cannot_be_called_is_refused_if_it_is_false_too(name: str, call: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be callable"):
        wrap(["a"], **{name: call})


def test_a_callback_that_is_false_is_called() -> None:
    class Texts(list[str]):
        def __call__(self, text: str) -> None:
            self.append(text)

    texts = Texts()
    wrap(["a", "b"], on_text=texts).result()
    assert texts == ["a", "b"]
