"""Stream bodies for web frameworks: what a client reads, however the stream ends."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from streamkit.api import channel, wrap
from streamkit.errors import ConcurrencyError, Overloaded
from streamkit.pipeline.bodies import NDJSONBody, SSEBody
from streamkit.testing import Hang, Status, Text
from streamkit.wire import SSE_HEADERS, Event, SSEDecoder

SECRET = "sk-test-0123456789"


def events(body: SSEBody) -> list[Event]:
    return SSEDecoder().feed(b"".join(body))


def lines(body: NDJSONBody) -> list[Any]:
    return [json.loads(line) for line in b"".join(body).splitlines()]


def test_an_answer_ends_with_its_done_chunk_and_done(play: Any) -> None:
    got = events(SSEBody(play([Text("Hello there")])))
    first, *_, last, done = [event.data for event in got]
    assert json.loads(first) == {"kind": "text", "content": "Hello"}
    assert json.loads(last)["outcome"] == "completed"
    assert done == "[DONE]"
    assert {event.event for event in got} == {"message"}


def test_lines_of_json_say_the_same(play: Any) -> None:
    got = lines(NDJSONBody(play([Text("Hello there")])))
    assert "".join(line.get("content", "") for line in got) == "Hello there"
    assert got[-1]["kind"] == "done" and got[-1]["outcome"] == "completed"


def test_a_refusal_is_told_in_safe_words_and_without_done(play: Any) -> None:
    stream = play([Status(503, body=f'{{"error": {{"message": "{SECRET}"}}}}')])
    (event,) = events(SSEBody(stream))
    assert event.event == "error"
    assert json.loads(event.data)["type"] == "overloaded"
    assert SECRET not in event.data
    with pytest.raises(Overloaded):
        stream.result()


def test_text_comes_before_the_error_and_a_bug_of_the_users_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise ValueError(SECRET)

    seen: list[BaseException] = []
    with caplog.at_level(logging.WARNING, "streamkit.pipeline"):
        got = lines(NDJSONBody(wrap(broken(), on_error=seen.append)))
    assert [line["kind"] for line in got] == ["text", "error"]
    assert SECRET not in str(got)
    assert [str(error) for error in seen] == [SECRET]
    (record,) = caplog.records
    assert "body ends with an error" in record.message and record.exc_info is not None


def test_a_cancelled_stream_says_so() -> None:
    feed, stream = channel()
    feed.put("a")
    body = iter(NDJSONBody(stream))
    assert json.loads(next(body))["content"] == "a"
    stream.cancel()
    assert [json.loads(line) for line in body] == [{"kind": "done", "outcome": "cancelled"}]


def test_a_stream_that_was_cancelled_before_the_first_bytes_says_so() -> None:
    for make in (NDJSONBody, SSEBody):
        stream = wrap(["a"])
        stream.cancel()
        (data,) = make(stream)
        assert b'"outcome":"cancelled"' in data and b"[DONE]" not in data


@pytest.mark.parametrize("fails", [False, True])
def test_a_stream_that_was_used_before_is_no_empty_answer(fails: bool) -> None:
    stream = wrap(map(int, SECRET) if fails else ["a"])
    bodies = SSEBody(stream), NDJSONBody(stream)
    try:
        stream.result()
    except ValueError:
        assert fails
    (event,) = events(bodies[0])
    assert event.event == "error" and json.loads(event.data)["type"] == "failed"
    (line,) = lines(bodies[1])
    assert line == json.loads(event.data) and SECRET not in event.data
    assert list(bodies[0]) == []  # it was told


def test_nothing_comes_after_close() -> None:
    body = SSEBody(wrap(["a", "b"]))
    loop = iter(body)
    next(loop)
    body.close()
    assert list(loop) == list(body) == []


def test_nothing_is_sent_before_the_first_bytes_are_asked_for(play: Any) -> None:
    body = SSEBody(play([Text("Hi")]))
    body.close()
    assert list(body) == []
    assert play.server.requests == []


def test_close_from_another_thread_ends_the_loop_and_the_stream(
    play: Any, run_in_thread: Callable[..., Any]
) -> None:
    stream = play([Text("Hi"), Hang()])
    body = SSEBody(stream)
    begun = threading.Event()

    def read() -> list[bytes]:
        got = []
        for data in body:
            got.append(data)
            begun.set()
        return got

    task = run_in_thread(read)
    assert begun.wait(10)
    body.close()
    (only,) = SSEDecoder().feed(b"".join(task.result()))
    assert json.loads(only.data)["content"] == "Hi"  # the client is gone: no last words
    assert stream.outcome == "cancelled"
    assert play.server.wait_disconnect(10)


def test_a_loop_that_is_left_stops_the_stream(play: Any) -> None:
    stream = play([Text("Hi"), Hang()])
    for _ in SSEBody(stream):
        break
    assert stream.outcome == "cancelled"
    assert play.server.wait_disconnect(10)


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
def test_a_wsgi_server_sends_it_and_stops_the_stream_of_a_client_that_left(
    play: Any, leaves: bool
) -> None:
    stream = play([Text("Hello there"), *([Hang()] if leaves else [])])

    def app(environ: Any, start_response: Any) -> SSEBody:
        start_response("200 OK", list(SSE_HEADERS.items()))
        return SSEBody(stream)

    class Client(io.BytesIO):
        def write(self, data: Any) -> int:
            if leaves and b"there" in bytes(data):
                raise BrokenPipeError("gone")
            return super().write(data)

    client, environ = Client(), {"REQUEST_METHOD": "GET", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    log = io.StringIO()
    handler = SimpleHandler(io.BytesIO(), client, log, environ)
    handler.run(validator(app))
    assert leaves or not log.getvalue()
    head, _, body = client.getvalue().partition(b"\r\n\r\n")
    assert b"Content-Type: text/event-stream; charset=utf-8" in head
    got = SSEDecoder().feed(body)
    assert json.loads(got[0].data)["content"] == "Hello"
    if leaves:
        assert len(got) == 1 and stream.outcome == "cancelled"
        assert play.server.wait_disconnect(10)
    else:
        assert got[-1].data == "[DONE]" and stream.outcome == "completed"


def test_a_second_loop_is_refused_while_the_first_runs_and_empty_after_it() -> None:
    body = NDJSONBody(wrap(["a", "b"]))
    first = iter(body)
    next(first)
    with pytest.raises(ConcurrencyError):
        next(iter(body))
    assert len(list(first)) == 2
    assert list(body) == []
