"""StreamingCoordinator: streams by URL and id, with a function of the user's that reads events."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit import coordinator
from streamkit.chunk import Chunk
from streamkit.coordinator import StreamingCoordinator
from streamkit.deadline import Timeouts
from streamkit.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectError,
    Overloaded,
    ProviderError,
    StreamInterrupted,
    StreamTimeout,
    TruncatedStream,
)
from streamkit.pipeline.options import StreamOptions
from streamkit.testing import Cut, Hang, LocalProvider, Raw, Reset, Status, Text

KEY = "sk-marker-0123456789"
HEADERS = {"Authorization": f"Bearer {KEY}"}
ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def parse(data: str) -> Chunk | None:
    """What a user writes for a service that speaks as OpenAI does."""
    choice = json.loads(data)["choices"][0]
    return Chunk(choice["delta"].get("content") or "", finish_reason=choice["finish_reason"])


class Stage:
    """A coordinator, its server, and what the callbacks got."""

    def __init__(self) -> None:
        self.coordinator = StreamingCoordinator()
        self.server: Any = None
        self.chunks: list[Chunk] = []
        self.errors: list[tuple[int | None, str]] = []
        self.came = threading.Event()

    def serve(self, *script: Any) -> str:
        self.server = LocalProvider(list(script))
        return f"{self.server.base_url('openai')}/chat/completions"

    def note(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        self.came.set()

    def fail(self, status: int | None, body: str) -> None:
        self.errors.append((status, body))

    def keywords(self, **keywords: Any) -> dict[str, Any]:
        return {"parse_chunk": parse, "on_error": self.fail, "retry": None, **keywords}

    def start(self, url: str, **keywords: Any) -> str:
        return self.coordinator.start_stream(
            url, ASKED, HEADERS, self.note, **self.keywords(**keywords)
        )

    def simple(self, url: str, **keywords: Any) -> Any:
        return self.coordinator.simple_stream(
            url, ASKED, HEADERS, self.note, **self.keywords(**keywords)
        )

    @property
    def text(self) -> str:
        return "".join(chunk.content for chunk in self.chunks)

    def close(self) -> None:
        self.coordinator.close()
        if self.server is not None:
            self.server.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.close()


def test_a_stream_is_started_waited_for_and_known_by_its_id(stage: Stage) -> None:
    stream_id = stage.start(stage.serve(Text("Hello there")), provider="mine")
    result = stage.coordinator.wait(stream_id, 10)
    assert (result.text, result.finish_reason) == ("Hello there", "stop")
    assert stage.text == "Hello there" and stage.chunks[-1].done
    assert stage.coordinator.status(stream_id) == "completed"
    stream = stage.coordinator.stream(stream_id)
    assert stream.id == stream_id and "mine" in repr(stream)
    assert stage.errors == []


def test_the_request_is_sent_as_it_was_given(stage: Stage) -> None:
    url = stage.serve(Text("Hi")) + "?version=1"
    stage.simple(url)
    (request,) = stage.server.requests
    assert request.path.endswith("?version=1")
    assert json.loads(request.body) == ASKED
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "request_, body", [(b"\x00raw", b"\x00raw"), ("té", "té".encode()), ([1], b"[1]")]
)
def test_a_body_may_be_bytes_text_or_json(stage: Stage, request_: Any, body: bytes) -> None:
    url = stage.serve(Raw(b"data: [DONE]\n\n"))
    pairs = [("Content-Type", "text/plain")]
    with pytest.raises(TruncatedStream):
        stage.coordinator.simple_stream(
            url, request_, pairs, stage.note, parse_chunk=str, retry=None
        )
    assert stage.server.requests[0].body == body
    assert stage.server.requests[0].headers["content-type"] == "text/plain"


def test_simple_stream_runs_in_the_callers_thread(stage: Stage) -> None:
    threads = []
    result = stage.simple(
        stage.serve(Text("Hi")), on_end=lambda _: threads.append(threading.current_thread())
    )
    assert result.text == "Hi" == stage.text
    assert threads == [threading.current_thread()]


def test_lines_of_json_are_read_too(stage: Stage) -> None:
    url = stage.serve(Raw(b'{"t": "Hi"}\n{"t": " you"}\n{"end": 1}\n'))

    def read(line: str) -> Any:
        item = json.loads(line)
        return Chunk(done=True) if "end" in item else item["t"]

    assert stage.simple(url, parse_chunk=read).text == "Hi you"


# -- on_error(status, body), exactly once


@pytest.mark.parametrize("simple", [True, False], ids=["simple", "start"])
@pytest.mark.parametrize(
    ("script", "kind", "status", "body"),
    [
        ([Status(503, body="busy")], Overloaded, 503, "busy"),
        ([Status(401, body=f"bad {KEY}")], AuthenticationError, 401, "bad [redacted]"),
        ([Text("Hi"), Raw(b'data: {"error": {"message": "no"}}\n\n')], ProviderError, None, "no"),
        ([Text("Hi"), Reset()], StreamInterrupted, None, ""),
        ([Text("Hi"), Cut()], TruncatedStream, None, ""),
    ],
    ids=["status", "key", "in the stream", "reset", "cut"],
)
def test_a_failure_is_told_once(
    stage: Stage, script: list[Any], kind: type, status: int | None, body: str, simple: bool
) -> None:
    url = stage.serve(*script)
    with pytest.raises(kind):
        if simple:
            stage.simple(url)
        else:
            stage.coordinator.wait(stage.start(url), 10)
    ((told, said),) = stage.errors
    assert told == status
    assert body in said and said and KEY not in said


def test_a_refused_port_is_told_with_status_none(stage: Stage) -> None:
    url = stage.serve()
    stage.server.close()
    stream_id = stage.start(url, retry={"initial": 0.001, "cap": 0.002})
    with pytest.raises(ConnectError):
        stage.coordinator.wait(stream_id, 10)
    ((status, body),) = stage.errors
    assert status is None and body
    assert stage.coordinator.status(stream_id) == "transport_error"


def test_retries_that_help_are_no_failure(stage: Stage) -> None:
    stage.server = LocalProvider(scripts=[[Status(503)], [Text("Hi")]])
    url = f"{stage.server.base_url('openai')}/chat/completions"
    retries: list[Any] = []
    keywords = {"retry": {"initial": 0.001, "cap": 0.002}, "on_retry": retries.append}
    assert stage.simple(url, **keywords).text == "Hi"
    assert len(retries) == 1 and stage.errors == []


def test_a_clock_a_truncation_and_a_bug_of_the_users_are_failures(stage: Stage) -> None:
    url = stage.serve(Text("Hi"), Hang())
    with pytest.raises(StreamTimeout):
        stage.simple(url, timeout=Timeouts(content=0.05))
    assert [status for status, _ in stage.errors] == [None]

    stage.errors.clear()
    stage.server.close()
    with pytest.raises(TruncatedStream):
        stage.simple(stage.serve(Raw(b'data: {"choices": [{"delta": {"content": "H"}, '
                                     b'"finish_reason": null}]}\n\n')))  # fmt: skip
    assert len(stage.errors) == 1

    stage.errors.clear()
    stage.server.close()
    with pytest.raises(KeyError, match="theirs"):
        stage.simple(stage.serve(Text("Hi")), parse_chunk=lambda data: {}["theirs"])
    assert stage.errors == [(None, "'theirs'")]


def test_a_callback_that_raises_ends_the_stream_and_is_told(stage: Stage) -> None:
    failure = ValueError("theirs")

    def broken(chunk: Chunk) -> None:
        raise failure

    with pytest.raises(ValueError) as caught:
        stage.coordinator.simple_stream(
            stage.serve(Text("Hi")), ASKED, HEADERS, broken, **stage.keywords()
        )
    assert caught.value is failure
    assert stage.errors == [(None, "theirs")]


def test_an_on_error_that_raises_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    url = stage.serve(Status(503))
    with caplog.at_level(logging.ERROR, "streamkit.pipeline"), pytest.raises(Overloaded):
        stage.simple(url, on_error=lambda status, body: 1 / 0)
    assert "callback failed name=on_error" in caplog.text


# -- by id


def test_cancel_by_id_stops_the_stream_and_tells_no_error(stage: Stage) -> None:
    stream_id = stage.start(stage.serve(Text("Hi"), Hang()))
    assert stage.came.wait(10)
    assert stage.coordinator.status(stream_id) == "running"
    with pytest.raises(TimeoutError):
        stage.coordinator.wait(stream_id, 0.0)
    stage.coordinator.cancel(stream_id, "enough")
    assert stage.server.wait_disconnect(10)
    assert stage.coordinator.wait(stream_id, 10).outcome == "cancelled"
    assert stage.coordinator.status(stream_id) == "cancelled"
    stage.coordinator.cancel(stream_id)
    assert stage.errors == []


def test_a_signal_handler_that_interrupts_a_start_may_cancel_and_close(
    stage: Stage, run_in_thread: Callable[..., Any]
) -> None:
    stream_id = stage.start(stage.serve(Text("Hi"), Hang()))
    assert stage.came.wait(10)

    def interrupted() -> None:
        with stage.coordinator._lock:
            stage.coordinator.cancel(stream_id)
            stage.coordinator.close()

    run_in_thread(interrupted).result()
    assert stage.coordinator.status(stream_id) == "cancelled"


def test_close_cancels_what_runs(stage: Stage) -> None:
    stream_id = stage.start(stage.serve(Text("Hi"), Hang()))
    assert stage.came.wait(10)
    with stage.coordinator:
        pass
    assert stage.coordinator.status(stream_id) == "cancelled"
    assert stage.server.wait_disconnect(10)


@pytest.mark.parametrize("verb", ["status", "cancel", "wait", "stream"])
def test_an_unknown_id_is_refused(stage: Stage, verb: str) -> None:
    with pytest.raises(ConfigurationError, match="no stream is known by the id 'nobody'"):
        getattr(stage.coordinator, verb)("nobody")


def test_the_oldest_that_ended_are_forgotten(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator, "REMEMBERED", 2)
    url = stage.serve(Text("Hi"))
    made = []
    for _ in range(4):
        made.append(stage.start(url))
        stage.coordinator.wait(made[-1], 10)
    last = stage.start(url)
    stage.coordinator.wait(last, 10)
    for stream_id in made[:2]:
        with pytest.raises(ConfigurationError):
            stage.coordinator.status(stream_id)
    for stream_id in (*made[2:], last):
        assert stage.coordinator.status(stream_id) == "completed"


def test_many_streams_run_side_by_side(stage: Stage, run_in_thread: Callable[..., Any]) -> None:
    url = stage.serve(Text("Hello there"))
    ids = [task.result() for task in [run_in_thread(stage.start, url) for _ in range(8)]]
    assert len(set(ids)) == 8
    assert {stage.coordinator.wait(stream_id, 10).text for stream_id in ids} == {"Hello there"}


# -- options


def test_the_seeds_options_do_what_they_say(stage: Stage) -> None:
    metrics: list[Any] = []
    stream_id = stage.start(
        stage.serve(Text("Hello there you")),
        track_metrics=True,
        on_metrics=metrics.append,
        transform_chunk=lambda chunk: "skip" if chunk.content == "Hello" else ("ok", chunk),
        validate_chunk=lambda chunk: "ok",
        buffer_chunks=2,
    )
    assert stage.coordinator.wait(stream_id, 10).text == "Hello there you"
    assert stage.text == " there you"
    assert metrics[-1].stream_id == stream_id and metrics[-1].chunks_received > 0


def test_callbacks_within_options_are_called(stage: Stage) -> None:
    seen: list[Any] = []
    errors: list[Any] = []
    options = StreamOptions(on_metrics=seen.append, on_error=errors.append)
    with pytest.raises(Overloaded):
        stage.simple(stage.serve(Status(503)), options=options, retry=None, on_error=None)
    assert seen and len(errors) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stream_recovery": 1}, "stream_recovery must be true or false"),
        ({"temperature": 1}, "has no option 'temperature'.*goes into request"),
        ({"bufer": 1}, "did you mean 'buffer'"),
        ({"recoveries": 5}, "has no option 'recoveries'.*did you mean 'recovery'"),
        ({"parse_chunk": None}, "parse_chunk must be callable"),
        ({"on_error": 7}, "on_error must be callable"),
        ({"track_metrics": True, "options": StreamOptions()}, "options= already says all"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(
    stage: Stage, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        stage.start("http://127.0.0.1:9/", **given)


@pytest.mark.parametrize(
    ("url", "request_", "headers", "message"),
    [
        ("ftp://x", {}, {}, "url must begin with http"),
        (f"http://me:{KEY}@x/", {}, {}, "must not hold a user name or password"),
        (f"https://x/?api_key={KEY}", {}, {}, "send 'api_key' in the headers"),
        (f"https://x/?a=1#{KEY}", {}, {}, "no fragment"),
        ("https://x/", object(), {}, "request must be bytes, text or what JSON can hold"),
        ("https://x/", {"a": float("nan")}, {}, "request must be"),
        ("https://x/", {}, {"X-Y": f"{KEY}\r\nX-Z: 1"}, "X-Y"),
        ("https://x/", {}, None, "headers must be a mapping or pairs"),
        ("https://x/", {}, ["a"], "headers must be a mapping or pairs"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_once_and_shows_no_key(
    stage: Stage, url: str, request_: Any, headers: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        stage.coordinator.start_stream(url, request_, headers, stage.note, parse_chunk=parse)
    assert KEY not in str(caught.value)


def test_plain_http_to_another_machine_must_be_asked_for() -> None:
    url = "http://gpu.invalid/v1"
    with (
        StreamingCoordinator() as own,
        pytest.raises(ConfigurationError, match=r"^url must begin with https://.*allow_http=True"),
    ):
        own.simple_stream(url, {}, {}, print, parse_chunk=parse)
    with (
        StreamingCoordinator(allow_http=True) as own,
        pytest.raises(ConnectError, match=r"cannot look up gpu\.invalid"),
    ):
        own.simple_stream(url, {}, {}, print, parse_chunk=parse, retry=None)
    with pytest.raises(ConfigurationError, match="allow_http must be True or False, got a str"):
        StreamingCoordinator(allow_http="no")  # type: ignore[arg-type]


def test_a_callback_that_cannot_be_called_is_refused(stage: Stage) -> None:
    with pytest.raises(ConfigurationError, match="on_chunk must be callable"):
        stage.coordinator.start_stream("https://x/", {}, {}, 7, parse_chunk=parse)  # type: ignore[arg-type]
