"""The five clocks, each against a server that would wait for ever: never early, never much late."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from streamkit.errors import StreamTimeout
from streamkit.testing import (
    FAULTS,
    BeforeHeaders,
    Done,
    Finish,
    Framing,
    Gate,
    Hang,
    Headers,
    OnAccept,
    Pause,
    Ping,
    Raw,
    Repeat,
    Text,
)
from streamkit.transport.http import HttpTransport

MODES = ("direct", "buffered", "managed")
LIMIT = 0.15
#: Far beyond any limit here; a clock that restarts with every byte would run on for ever.
LATE = 3.0

TRICKLE = Raw(b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 60_000, size=1, every=0.02)
EXTENSION = Raw(b"5;" + b"x" * 60_000, size=1, every=0.02, framed=False)


def timed_out(ask, where, mode, clock, **limits):
    """The error, checked: which clock, its limit, and when."""
    start = time.monotonic()
    text, error = ask.fail(where, mode, timeout=limits)
    took = time.monotonic() - start
    assert isinstance(error, StreamTimeout) and isinstance(error, TimeoutError), repr(error)
    assert (error.clock, error.limit) == (clock, LIMIT)
    assert LIMIT <= error.elapsed <= took < LATE
    assert f"{LIMIT:g} s" in str(error) and repr(clock) in str(error)
    return text, error


@pytest.mark.parametrize("mode", MODES)
def test_connect_ends_a_connection_nobody_takes(ask, black_hole, mode):
    url = f"http://127.0.0.1:{black_hole}/v1"
    _, error = timed_out(ask, url, mode, "connect", connect=LIMIT)
    assert error.stage == "connect" and error.retryable and error.partial is None


@pytest.mark.parametrize("mode", MODES)
def test_connect_ends_a_tls_handshake_nobody_answers(ask, serve, tls, trusted, mode):
    provider = serve([OnAccept([Hang()])], tls=tls)
    _, error = timed_out(ask, provider, mode, "connect", connect=LIMIT)
    assert error.stage == "connect"


def test_connect_ends_a_tls_handshake_that_trickles(ask, serve, tls, trusted):
    hello = Raw(b"\x16\x03\x03\x40\x00" + bytes(10_000), size=1, every=0.02)
    timed_out(ask, serve([OnAccept([hello, Hang()])], tls=tls), "direct", "connect", connect=LIMIT)


def test_first_does_not_count_the_connect(ask, black_hole):
    url = f"http://127.0.0.1:{black_hole}/v1"
    timed_out(ask, url, "direct", "connect", connect=LIMIT, first=0.01, wire=0.01)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", ["accept-hang", "hang-before-headers", "headers-then-hang"])
def test_first_ends_the_wait_for_content(ask, serve, fault, mode):
    _, error = timed_out(ask, serve(FAULTS[fault]), mode, "first", first=LIMIT)
    assert error.stage == ("body" if fault == "headers-then-hang" else "headers")
    assert error.retryable


def test_first_goes_on_through_the_headers(ask, serve):
    script = [BeforeHeaders([Pause(0.1)]), Hang()]
    timed_out(ask, serve(script), "direct", "first", first=LIMIT)


@pytest.mark.parametrize("mode", MODES)
def test_first_is_not_fooled_by_pings(ask, serve, mode):
    timed_out(ask, serve([Repeat([Ping(), Pause(0.02)])]), mode, "first", first=LIMIT)


@pytest.mark.parametrize("mode", MODES)
def test_content_is_not_fooled_by_pings(ask, serve, mode):
    provider = serve([Text("one"), Repeat([Ping(), Pause(0.02)])])
    text, error = timed_out(ask, provider, mode, "content", content=LIMIT)
    assert text == "one" == error.partial.text
    assert error.stage == "body"


@pytest.mark.parametrize("mode", MODES)
def test_wire_ends_silence(ask, serve, mode):
    text, error = timed_out(ask, serve([Text("one"), Hang()]), mode, "wire", wire=LIMIT)
    assert text == "one" == error.partial.text


def test_wire_starts_again_with_every_byte(ask, serve):
    provider = serve([Text("a b c d e f", every=0.06)])
    assert "".join(ask(provider, timeout={"wire": LIMIT})) == "a b c d e f"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "script",
    [
        [Repeat([Text("and "), Pause(0.02)])],
        [Repeat([Text("and so on ")])],
        [BeforeHeaders([TRICKLE])],
        [Text("one"), EXTENSION],
        FAULTS["loris"],
    ],
    ids=["drip", "flood", "header trickle", "chunk extension trickle", "header after header"],
)
def test_total_ends_whatever_never_ends(ask, serve, script, mode):
    _, error = timed_out(ask, serve(script), mode, "total", total=LIMIT)
    assert not error.retryable


def test_total_counts_all_attempts_together(ask, serve):
    provider = serve(FAULTS["hang-before-headers"])
    start = time.monotonic()
    _, error = ask.fail(
        provider, timeout={"first": 0.2, "total": 0.5}, retry={"max_retries": 9, "initial": 0.01}
    )
    assert error.clock == "total"
    assert 0.5 <= time.monotonic() - start < LATE
    assert 1 < len(provider.requests) <= 3  # as many as a slow machine begins in that time


def test_a_slow_loop_body_is_no_silence_of_the_provider(ask, serve):
    provider = serve([Text("a b c", every=0.03)])
    words = []
    for word in ask(provider, timeout={"first": LIMIT, "content": LIMIT, "wire": LIMIT}):
        words.append(word)
        threading.Event().wait(2 * LIMIT)
    assert words == ["a", " b", " c"]


@pytest.mark.parametrize("mode", ["buffered", "managed"])
def test_back_pressure_is_no_silence_of_the_provider(ask, serve, mode):
    provider = serve([Text("word " * 200, burst=200)])
    pieces = iter(
        ask(provider, mode, buffer=2, timeout={"first": LIMIT, "content": LIMIT, "wire": LIMIT})
    )
    got = next(pieces)
    threading.Event().wait(2 * LIMIT)
    assert got + "".join(pieces) == "word " * 200


@pytest.mark.parametrize("mode", MODES)
def test_silence_after_a_finish_reason_is_the_end(ask, serve, mode):
    stream = ask(serve([Text("one"), Finish(), Hang()]), mode)
    start = time.monotonic()
    assert list(stream) == ["one"]
    assert time.monotonic() - start < LATE
    assert stream.outcome == "completed"


@pytest.mark.parametrize("mode", MODES)
def test_pings_after_a_finish_reason_are_the_end(ask, serve, mode):
    stream = ask(serve([Text("one"), Finish(), Repeat([Ping(), Pause(0.05)])]), mode)
    start = time.monotonic()
    assert list(stream) == ["one"]
    assert time.monotonic() - start < LATE


@pytest.mark.parametrize("mode", MODES)
def test_after_the_terminal_event_nothing_is_waited_for(ask, serve, mode):
    provider = serve([Text("one"), Finish(), Done(), Hang()])
    stream = ask(provider, mode)
    start = time.monotonic()
    assert list(stream) == ["one"]
    assert time.monotonic() - start < 0.8  # 50 ms of farewell; a finish reason alone waits 1 s
    assert provider.wait_disconnect() is not None


def test_an_error_body_that_hangs_does_not_hide_the_status(ask, serve):
    start = time.monotonic()
    _, error = ask.fail(serve(FAULTS["error-body-hang"]))
    assert error.status == 500
    assert 1.9 < time.monotonic() - start < 2 + LATE


def test_an_endless_error_body_is_cut(ask, serve):
    provider = serve(FAULTS["error-body-endless"])
    _, error = ask.fail(provider)
    assert error.status == 500
    assert provider.wait_disconnect() is not None
    assert provider.bytes_written < 8_000_000


class SlowServer:
    """Takes a request a little at a time, or stops taking it; then answers."""

    ANSWER = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
        b"data: [DONE]\n\n"
    )

    def __init__(self, size: int, *, stop_after: int | None = None) -> None:
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.size, self.stop_after = size, stop_after
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.over = threading.Event()
        self.thread.start()

    def run(self) -> None:
        sock, _ = self.listener.accept()
        with sock:
            taken, pace = 0, self.size // 12
            while taken < self.size:
                if self.stop_after is not None and taken > self.stop_after:
                    self.over.wait(10)
                    return
                taken += len(sock.recv(min(pace, self.size - taken), socket.MSG_WAITALL))
                self.over.wait(0.05)
            sock.sendall(self.ANSWER)

    def close(self) -> None:
        self.over.set()
        self.thread.join(5)
        self.listener.close()


def test_a_long_prompt_may_take_longer_than_any_clock_while_it_moves(ask):
    body = b" " * 30_000_000
    server = SlowServer(len(body))
    transport = HttpTransport()
    limits = {"connect": 0.2, "first": 0.3, "wire": 0.4}
    start = time.monotonic()
    stream = transport.open(ask.request(server.url, body), ask.link(**limits))
    assert time.monotonic() - start > max(limits.values())
    assert b"Hi" in stream.read()
    stream.close()
    transport.close()
    server.close()


def test_wire_ends_a_prompt_that_nobody_takes(ask):
    body = b" " * 30_000_000
    server = SlowServer(len(body), stop_after=1_000_000)
    transport = HttpTransport()
    start = time.monotonic()
    with pytest.raises(StreamTimeout) as caught:
        transport.open(ask.request(server.url, body), ask.link(wire=0.2))
    assert caught.value.clock == "wire"
    assert 0.2 <= time.monotonic() - start < LATE
    transport.close()
    server.close()


def test_a_time_out_is_no_stale_connection(ask, serve):
    provider = serve(scripts=[[Text("one")], FAULTS["hang-before-headers"]])
    assert list(ask(provider)) == ["one"]
    _, error = ask.fail(provider, timeout={"first": LIMIT})
    assert error.clock == "first"
    assert len(provider.requests) == 2


def test_time_outs_of_one_request_leave_the_next_on_the_same_connection_alone(ask, serve):
    provider = serve(scripts=[[Text("one")], [Gate(), Text("two")]])
    assert list(ask(provider, timeout=0.2)) == ["one"]
    pieces = iter(ask(provider))
    threading.Timer(0.5, provider.release).start()
    assert next(pieces) == "two"
    list(pieces)
    assert provider.connections == 1


def test_framing_by_length_times_out_alike(ask, serve):
    provider = serve([Framing("length", 10_000), Headers(), Text("one"), Hang()])
    text, _ = timed_out(ask, provider, "direct", "wire", wire=LIMIT)
    assert text == "one"
