"""Cancel, 50 times in each phase and mode: caller free, reader awake, server told."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from streamkit.testing import BeforeHeaders, Gate, Headers, OnAccept, Raw, Repeat, Status, Text
from streamkit.transport.base import Aborted
from streamkit.transport.http import HttpTransport

MODES = ("direct", "buffered", "managed")
TIMES = 50
#: Generous: the bench holds the budgets (10, 100 and 200 ms), here a busy machine must pass.
PROMPTLY = 0.5

PHASES = {
    "waiting for the headers": [BeforeHeaders([Gate()])],
    "before the first content": [Gate()],
    "in the middle": [Text("one"), Gate()],
    "at full speed": [Repeat([Text("and so on ")])],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("phase", PHASES)
def test_cancel_fifty_of_fifty(ask, serve, tls, trusted, run_in_thread, phase, secure, mode):
    provider = serve(PHASES[phase], tls=tls if secure else None)
    for number in range(1, TIMES + 1):
        flowing = threading.Event()
        stream = ask(provider, mode)

        def drain(stream=stream, flowing=flowing):
            for _ in stream:
                flowing.set()

        task = run_in_thread(drain)
        request = provider.wait_request(number)
        if phase == "at full speed":
            assert flowing.wait(5)
        else:
            provider.wait_gate()
        start = time.monotonic()
        stream.cancel()
        free = time.monotonic() - start
        task.result()
        assert free < PROMPTLY and time.monotonic() - start < 2 * PROMPTLY
        assert stream.outcome == "cancelled"
        assert provider.wait_disconnect(request=request) is not None
        assert request.disconnected - start < 2 * PROMPTLY


@pytest.mark.parametrize("mode", MODES)
def test_cancel_during_the_tls_handshake(ask, serve, tls, trusted, run_in_thread, mode):
    provider = serve([OnAccept([Gate()])], tls=tls)
    for _ in range(TIMES):
        stream = ask(provider, mode)
        task = run_in_thread(lambda stream=stream: list(stream))
        provider.wait_gate()
        stream.cancel()
        assert task.result(PROMPTLY * 4) == []
        assert provider.wait_idle()


@pytest.mark.parametrize("mode", MODES)
def test_cancel_during_the_connect(ask, black_hole, run_in_thread, mode, eventually):
    for _ in range(5):
        stream = ask(f"http://127.0.0.1:{black_hole}/v1", mode)
        task = run_in_thread(lambda stream=stream: list(stream))
        eventually(lambda stream=stream: stream._run._link and stream._run._link.attached)
        stream.cancel()
        assert task.result(PROMPTLY * 4) == []


@pytest.mark.parametrize("mode", MODES)
def test_cancel_during_the_wait_for_a_retry(ask, serve, run_in_thread, mode):
    provider = serve([Status(429, headers={"retry-after": "30"})])
    for number in range(1, TIMES + 1):
        waiting = threading.Event()
        stream = ask(provider, mode, retry=True, on_retry=lambda _, w=waiting: w.set())
        task = run_in_thread(lambda stream=stream: list(stream))
        assert waiting.wait(5)
        stream.cancel()
        assert task.result(PROMPTLY * 4) == []
        assert len(provider.requests) == number


def test_an_abort_before_the_request_sends_nothing(ask, serve):
    provider = serve([Text("Hi")])
    transport = HttpTransport()
    link = ask.link()
    link.abort()
    with pytest.raises(Aborted):
        transport.open(ask.request(provider.base_url()), link)
    assert provider.connections == 0
    transport.close()


def test_an_abort_while_a_prompt_is_sent(ask, run_in_thread, eventually):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        transport = HttpTransport()
        link = ask.link()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        request = ask.request(url, b" " * 30_000_000)
        task = run_in_thread(transport.open, request, link)
        sock, _ = listener.accept()
        with sock:
            sock.recv(1)
            link.abort()
            with pytest.raises(Aborted):
                task.result(PROMPTLY * 4)
        transport.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_nothing_that_arrived_is_given_out_after_an_abort(ask, serve, tls, trusted, secure):
    provider = serve([Text("one"), Gate(), Text(" two")], tls=tls if secure else None)
    transport = HttpTransport()
    link = ask.link()
    stream = transport.open(ask.request(provider.base_url()), link)
    while b"one" not in stream.read():
        pass
    provider.wait_gate()
    provider.release()
    provider.wait_finished()  # the rest is in the kernel by now
    link.abort()
    with pytest.raises(Aborted):
        stream.read()
    stream.close()
    transport.close()


def test_an_abort_during_an_error_body(ask, serve, run_in_thread):
    provider = serve([Headers(status=500), Raw('{"err'), Gate()])
    stream = ask(provider)
    task = run_in_thread(lambda: list(stream))
    provider.wait_gate()
    start = time.monotonic()
    stream.cancel()
    assert task.result() == []
    assert time.monotonic() - start < 1.5  # the patience with such a body is 2 s
