"""SSEWriter and write_sse: what a client reads, and what it never gets to see."""

from __future__ import annotations

import io
import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit.api import wrap
from streamkit.chunk import Chunk
from streamkit.errors import ConcurrencyError, ConfigurationError, RateLimited
from streamkit.wire import SSE_HEADERS, Event, SSEDecoder, SSEWriter, format_sse_event, write_sse

SECRET = "sk-test-0123456789"


class Out:
    """A sink that remembers each write, and can fail at one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.written: list[bytes] = []
        self.flushed = 0
        self._fail_at = fail_at

    def write(self, data: bytes) -> None:
        if len(self.written) == self._fail_at:
            raise BrokenPipeError("gone")
        self.written.append(data)

    def flush(self) -> None:
        self.flushed += 1

    @property
    def events(self) -> list[Event]:
        return SSEDecoder().feed(b"".join(self.written))


def test_the_format_is_event_data_id_retry_as_the_seeds_have_it() -> None:
    assert format_sse_event("message", "data", "id-123", 1000) == (
        "event: message\ndata: data\nid: id-123\nretry: 1000\n\n"
    )
    assert format_sse_event(data="a\nb") == "data: a\ndata: b\n\n"


@pytest.mark.parametrize("forged", ["x\ndata: y", "x\r", "x\0"])
def test_nothing_can_be_smuggled_in_and_a_refused_call_writes_nothing(forged: str) -> None:
    out = Out()
    writer = SSEWriter(out)
    if "\0" not in forged:
        with pytest.raises(ConfigurationError):
            writer.write_event(forged, "data")
    with pytest.raises(ConfigurationError):
        writer.write_event("e", "data", forged)
    with pytest.raises(ConfigurationError):
        writer.write_json({"a": object()})
    with pytest.raises(ConfigurationError, match="not JSON"):
        writer.write_json({"a": float("nan")})
    writer.write_data(forged)
    assert [e.data for e in out.events] == [forged.replace("\r", "\n")]


def test_each_event_is_one_write_and_one_flush() -> None:
    out = Out()
    writer = SSEWriter(out)
    writer.write_event("e", "a\nb", "7", 10)
    writer.write_data("plain")
    writer.write_json({"k": "ü"}, "j")
    writer.write_progress(50, 100)
    writer.write_progress(5)
    writer.heartbeat()
    writer.write_done()
    assert len(out.written) == out.flushed == 7
    assert [(e.event, e.data) for e in out.events] == [
        ("e", "a\nb"),
        ("message", "plain"),
        ("j", '{"k":"ü"}'),
        ("progress", '{"done":50,"total":100,"percent":50.0}'),
        ("progress", '{"done":5,"total":null,"percent":null}'),
        ("message", "[DONE]"),
    ]
    assert out.written[5] == b": ping\n\n"


def test_a_function_a_binary_and_a_text_file_are_sinks() -> None:
    got: list[bytes] = []
    binary, text = io.BytesIO(), io.StringIO()
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8", newline="") as wrapped:
        for sink in (got.append, binary, text, wrapped):
            SSEWriter(sink).write_data("hé")
        wrapped.seek(0)
        assert wrapped.read() == text.getvalue()
    assert got == [binary.getvalue()] == [text.getvalue().encode()] == ["data: hé\n\n".encode()]
    with pytest.raises(ConfigurationError, match="sink must be callable or have write"):
        SSEWriter(7)  # type: ignore[arg-type]


def test_a_lone_surrogate_in_json_is_escaped() -> None:
    out = Out()
    SSEWriter(out).write_json({"a": "\ud83d"})
    assert json.loads(out.events[0].data) == {"a": "\ud83d"}


def test_an_exception_is_told_by_its_class_and_own_words_as_they_are() -> None:
    out = Out()
    writer = SSEWriter(out)
    writer.write_error(RateLimited(f"key {SECRET}", body=SECRET))
    writer.write_error(ValueError(SECRET))
    writer.write_error("come back tomorrow")
    shown = [json.loads(event.data) for event in out.events]
    assert [event.event for event in out.events] == ["error"] * 3
    assert shown[0]["type"] == "rate_limited" and shown[0]["retryable"]
    assert shown[1]["type"] == "failed" and not shown[1]["retryable"]
    assert shown[2]["message"] == "come back tomorrow"
    assert SECRET.encode() not in b"".join(out.written)


def test_events_of_many_threads_are_never_mixed(run_in_thread: Callable[..., Any]) -> None:
    out = bytearray()

    def slow(data: bytes) -> None:  # one byte at a time, as a thread switch would tear it
        for byte in data:
            out.append(byte)

    writer = SSEWriter(slow)
    start = threading.Barrier(4)

    def write(name: str) -> None:
        start.wait(10)
        for number in range(50):
            writer.write_event(name, f"{number}\n{number}")

    for task in [run_in_thread(write, name) for name in "abcd"]:
        task.result()
    events = SSEDecoder().feed(bytes(out))
    for name in "abcd":
        assert [e.data for e in events if e.event == name] == [f"{n}\n{n}" for n in range(50)]


# -- write_sse


def test_an_answer_is_json_per_chunk_and_done() -> None:
    out = Out()
    write_sse(SSEWriter(out), ["Hi", Chunk(" you", 1), Chunk(kind="done", done=True, model="m")])
    data = [event.data for event in out.events]
    assert [json.loads(d) for d in data[:-1]] == [
        {"kind": "text", "content": "Hi"},
        {"kind": "text", "content": " you"},
        {"kind": "done", "model": "m"},
    ]
    assert data[-1] == "[DONE]"


@pytest.mark.parametrize("as_chunk", [False, True])
def test_an_error_writes_an_error_event_no_done_and_is_raised(as_chunk: bool) -> None:
    failure = ValueError(SECRET)

    def chunks() -> Iterator[Chunk]:
        yield Chunk("a")
        if as_chunk:
            yield Chunk(error=failure)
        raise failure

    out = Out()
    with pytest.raises(ValueError) as caught:
        write_sse(out, chunks())
    assert caught.value is failure
    assert [event.event for event in out.events] == ["message", "error"]
    assert "[DONE]" not in str(out.events) and SECRET not in str(out.events)


def test_what_cannot_be_json_is_an_error_too() -> None:
    out = Out()
    with pytest.raises(ConfigurationError, match="not JSON"):
        write_sse(out, [Chunk("a"), Chunk(kind="citation", metadata={"citation": {1: object()}})])
    assert [event.event for event in out.events] == ["message", "error"]


def test_a_stream_is_written_with_all_its_kinds_and_closed() -> None:
    stream = wrap([Chunk("hm", kind="reasoning"), "Hi"])
    out = Out()
    write_sse(out, stream)
    kinds = [json.loads(event.data)["kind"] for event in out.events[:-1]]
    assert kinds == ["reasoning", "text", "done"]
    assert out.events[-1].data == "[DONE]" and stream.done


def test_a_stream_that_fails_after_text_ends_with_the_error_alone() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise ConnectionError(SECRET)

    out = Out()
    with pytest.raises(ConnectionError):
        write_sse(out, wrap(broken()))
    assert [event.event for event in out.events] == ["message", "error"]
    assert SECRET not in str(out.events) and "[DONE]" not in str(out.events)


def test_a_client_that_left_stops_the_stream() -> None:
    stream = wrap(iter(lambda: "a", None))
    with pytest.raises(BrokenPipeError):
        write_sse(Out(fail_at=2), stream)
    assert stream.outcome == "cancelled"


def test_a_client_that_left_closes_the_chunks_and_is_not_told_more() -> None:
    closed = threading.Event()

    def chunks() -> Iterator[str]:
        try:
            while True:
                yield "a"
        finally:
            closed.set()

    out = Out(fail_at=2)
    with pytest.raises(BrokenPipeError):
        write_sse(out, chunks())
    assert closed.is_set()
    assert len(out.written) == 2


def test_the_headers_are_those_wsgi_allows() -> None:
    assert dict(SSE_HEADERS) == {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
    }


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_a_cancelled_stream_says_so_and_is_not_done(mode: Any) -> None:
    stream = wrap(iter(lambda: "a", None), mode=mode)

    class Leaver(Out):
        def write(self, data: bytes) -> None:
            super().write(data)
            stream.cancel()

    out = Leaver()
    write_sse(out, stream)
    assert json.loads(out.events[-1].data) == {"kind": "done", "outcome": "cancelled"}
    assert "[DONE]" not in str(out.events)


def test_a_stream_that_was_cancelled_before_says_so() -> None:
    stream, out = wrap(["a"]), Out()
    stream.cancel()
    write_sse(out, stream)
    (event,) = out.events
    assert json.loads(event.data) == {"kind": "done", "outcome": "cancelled"}


@pytest.mark.parametrize("fails", [False, True])
def test_a_stream_that_was_used_before_is_refused_and_nothing_is_written(fails: bool) -> None:
    stream, out = wrap(map(int, SECRET) if fails else ["a"]), Out()
    try:
        stream.result()
    except ValueError:
        assert fails
    with pytest.raises(ConcurrencyError, match="the stream was used already"):
        write_sse(out, stream)
    assert out.written == []


@pytest.mark.parametrize("outcome", ["cancelled", "truncated", "failed"])
def test_chunks_whose_end_is_not_whole_are_not_done(outcome: str) -> None:
    out = Out()
    write_sse(out, ["a", Chunk(kind="done", done=True, metadata={"outcome": outcome})])
    assert [json.loads(event.data)["kind"] for event in out.events] == ["text", "done"]


def test_what_is_no_chunk_is_refused_by_name() -> None:
    out = Out()
    with pytest.raises(ConfigurationError, match=r"write_sse\(\) needs chunks or texts, got int"):
        write_sse(out, 5)  # type: ignore[arg-type]
    assert out.events == []
    with pytest.raises(ConfigurationError, match="got int among them"):
        write_sse(out, [1])  # type: ignore[list-item]
    assert [event.event for event in out.events] == ["error"]


@pytest.mark.parametrize(
    ("done", "total", "message"),
    [
        (-5, 10, "done must be at least 0, got -5"),
        (5, -10, "total must be at least 0, got -10"),
        (None, 10, "done must be at least 0, got None"),
        (float("nan"), 10, "done must be at least 0, got nan"),
    ],
)
def test_progress_below_nothing_is_refused(done: Any, total: Any, message: str) -> None:
    out = Out()
    with pytest.raises(ConfigurationError, match=message):
        SSEWriter(out).write_progress(done, total)
    assert out.written == []


def test_progress_is_at_most_100_percent() -> None:
    out = Out()
    SSEWriter(out).write_progress(12, 10)
    assert json.loads(out.events[0].data)["percent"] == 100.0
