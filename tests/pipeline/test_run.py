"""What a run shares between handle, reader and drainer: ends, limits, connections, clients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import streamkit
from streamkit import (
    Client,
    ConfigurationError,
    ConnectError,
    LimitExceeded,
    Limits,
    ProviderError,
    StreamOptions,
    TransportError,
)
from streamkit.pipeline.run import Run
from streamkit.testing import Data, Error, Finish, Gate, Hang, Headers, Ping, Repeat, Status, Text

KEY = "sk-CANARY-123456789"
SAY = Text("one two three")


def limited(**limits: int) -> StreamOptions:
    return StreamOptions(limits=Limits(**limits))


def test_sequential_streams_share_one_connection(play: Any, mode: str) -> None:
    play.serve([SAY])
    for _ in range(10):
        assert "".join(play.open(mode=mode)) == "one two three"
        assert play.open(mode=mode).result().outcome == "completed"
        assert play.open(mode=mode).wait().outcome == "completed"
    assert len(play.server.requests) == 30
    assert play.server.connections == 1


def test_streamkit_close_leaves_streams_alone_that_are_not_used_yet(play: Any, mode: str) -> None:
    url = play.serve([SAY]).base_url()
    stream = streamkit.stream("x", "Hi", base_url=url, mode=mode)
    streamkit.close()
    assert stream.result().text == "one two three"
    assert streamkit.stream("x", "Hi", base_url=url, mode=mode).result().text == "one two three"
    streamkit.close()


def test_a_closed_client_refuses_new_streams_and_finishes_old_ones(play: Any, mode: str) -> None:
    client = Client(provider="openai", base_url=play.serve([SAY]).base_url(), api_key=KEY)
    stream = client.stream("x", "Hi", mode=mode)
    client.close()
    with pytest.raises(ConfigurationError, match="client is closed"):
        client.stream("x", "Hi")
    assert stream.result().text == "one two three"
    client.close()


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1", True, 1e300])
@pytest.mark.parametrize("verb", ["result", "wait", "get"])
def test_a_timeout_that_is_none_sends_nothing(play: Any, verb: str, timeout: Any) -> None:
    stream = play([SAY])
    with pytest.raises(ValueError, match="seconds, 0 or more"):
        getattr(stream, verb)(timeout)
    assert play.server.requests == []


def test_poll_tells_of_an_error_when_everything_before_it_was_taken(play: Any) -> None:
    told: list[Any] = []
    stream = play([Text("a b c d"), Error("broken")], mode="buffered", on_end=told.append)
    taken: list[Any] = []
    with pytest.raises(ProviderError):
        while not stream.done:
            chunks = stream.poll(1)
            assert not (chunks and told), "on_end came before the last chunks"
            taken += chunks
    assert "".join(c.content for c in taken) == "a b c d" and len(told) == 1


def test_a_thread_that_polled_and_died_is_nobody(
    play: Any, run_in_thread: Callable[..., Any]
) -> None:
    stream = play([Text("one"), Gate(), Text("two")], mode="buffered")
    run_in_thread(stream.get).result()
    with pytest.raises(TimeoutError, match="has not ended"):
        run_in_thread(stream.result, 0.05).result()
    stream.close()


def test_an_echoed_key_does_not_come_back_as_a_request_id(play: Any, mode: str) -> None:
    stream = play([Headers({"x-request-id": f"Bearer {KEY}"}), SAY], mode=mode, api_key=KEY)
    result = stream.result()
    assert KEY not in repr(result) + repr(stream.request_id) + repr(dict(stream.headers))


def test_a_malformed_redirect_is_a_redirect(play: Any, mode: str) -> None:
    stream = play([Status(302, headers={"Location": "http://[::1"})], mode=mode)
    with pytest.raises(TransportError, match="a malformed place"):
        stream.result()


def test_metadata_counts_towards_the_answer(play: Any, mode: str) -> None:
    call = {"index": 0, "id": "x" * 5000, "function": {"name": "f", "arguments": ""}}
    chunk = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    stream = play([Repeat((Data(chunk),), times=None)], mode=mode, options=limited(answer=200_000))
    with pytest.raises(LimitExceeded):
        stream.result()


def test_characters_beyond_ascii_count_as_bytes(play: Any) -> None:
    stream = play([Text("é" * 600)], options=limited(answer=1000))
    with pytest.raises(LimitExceeded, match="1000 bytes"):
        stream.result()


@pytest.mark.parametrize("content", [False, True])
def test_a_flood_without_content_ends(play: Any, mode: str, content: bool) -> None:
    script = [*([Text("one")] * content), Repeat((Ping(50),), times=None)]
    stream = play(script, mode=mode, options=limited(answer=99_000, event=1000), retry=None)
    with pytest.raises(LimitExceeded, match="without content") as caught:
        stream.result()
    assert stream.partial.text == "one" * content
    assert caught.value.partial.text == "one" * content


def test_a_flood_after_the_finish_reason_ends_with_the_grace(play: Any, mode: str) -> None:
    stream = play([Text("one"), Finish("stop"), Repeat((Ping(),), times=None)], mode=mode)
    result = stream.result()
    assert (result.text, result.outcome) == ("one", "completed")
    assert result.metrics.duration_ms < 3000


# -- a machine that has no thread left


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith(("streamkit-producer", "streamkit-consumer")):
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)


USES: dict[str, Callable[[Any], Any]] = {
    "start": lambda s: s.start(),
    "wait": lambda s: s.wait(),
    "result": lambda s: s.result(),
    "result in time": lambda s: s.result(5),
    "loop": list,
    "get": lambda s: s.get(5),
}


@pytest.mark.parametrize(
    ("mode", "use"),
    [
        *(("direct", use) for use in ("start", "wait", "result in time")),
        *((mode, use) for mode in ("buffered", "managed") for use in USES),
    ],
)
def test_a_thread_that_cannot_start_is_an_error_and_an_end(
    play: Any, mode: str, use: str, no_threads: None, run_in_thread: Callable[..., Any]
) -> None:
    ends: list[Any] = []
    errors: list[BaseException] = []
    stream = play([SAY], mode=mode, on_end=ends.append, on_error=errors.append)
    with pytest.raises(ConnectError, match="can't start new thread; mode='direct' works") as caught:
        USES[use](stream)
    error = caught.value
    assert (error.kind, error.retryable, error.stage) == ("resources", False, "connect")
    for again in (stream.result, stream.wait):
        with pytest.raises(ConnectError) as caught:
            run_in_thread(again).result()
        assert caught.value is error
    stream.close()
    assert stream.done and stream.outcome == error.outcome
    assert (errors, ends) == ([error], [stream.partial])
    assert play.server.requests == []


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("use", ["start", "wait", "result in time"])
def test_ctrl_c_while_a_thread_begins_ends_the_stream(
    play: Any, mode: str, use: str, begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if not thread.name.startswith("streamkit-consumer"):
            begin(thread)
            return
        if begun:
            begin(thread)
        raise KeyboardInterrupt

    stream = play([SAY, Hang()], mode=mode)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(KeyboardInterrupt):
            USES[use](stream)
    assert stream.outcome == "cancelled"
    assert stream.result(5).outcome == "cancelled"
    assert play.server.wait_idle(2)


def test_a_join_has_one_time_for_both_threads() -> None:
    waited: list[float] = []

    def slow(seconds: float) -> None:
        waited.append(seconds)
        time.sleep(0.05)

    thread = SimpleNamespace(ident=1, join=slow)
    Run.join(SimpleNamespace(_producer=thread, consumer=thread), 0.2)  # type: ignore[arg-type]
    assert waited[0] <= 0.2
    assert waited[1] <= 0.2 - 0.05 + 0.01


@pytest.mark.parametrize("use", ["loop", "result", "get"])
def test_direct_mode_needs_no_thread(play: Any, use: str, no_threads: None) -> None:
    stream = play([SAY], mode="direct")
    assert USES[use](stream)
    stream.close()
    assert stream.partial.text.startswith("one")
