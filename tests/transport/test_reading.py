"""Each event reaches the user before the next is sent, whatever the framing and the coding."""

from __future__ import annotations

import gzip
import io
import socket

import pytest

from streamkit.testing import (
    FAULTS,
    PREFIX,
    BeforeHeaders,
    Coding,
    Framing,
    Gate,
    Headers,
    Raw,
    Text,
)
from streamkit.transport.http import HttpTransport
from streamkit.transport.reading import ClockedIO

MODES = ("direct", "buffered", "managed")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("coding", ["identity", "gzip", "deflate", "raw-deflate", "gzip twice"])
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_each_event_is_seen_before_the_next_is_sent(ask, serve, mode, coding, framing):
    steps = [Framing(framing), Text("one"), Gate(), Text(" two"), Gate(), Text(" three")]
    if coding != "identity":
        steps.append(Coding(("gzip", "gzip") if "twice" in coding else coding))
    provider = serve(steps)
    pieces = iter(ask(provider, mode))
    assert next(pieces) == "one"
    provider.wait_gate()
    provider.release()
    assert next(pieces) == " two"
    provider.wait_gate()
    provider.release()
    assert list(pieces) == [" three"]


@pytest.mark.parametrize(
    "fault", ["torn-utf8", "byte-at-a-time", "te-and-cl", "wrong-content-type"]
)
def test_the_text_is_exact_however_it_is_cut(ask, serve, fault):
    provider = serve(FAULTS[fault])
    assert "".join(ask(provider)) == PREFIX


@pytest.mark.parametrize("fault", ["interim-100", "interim-102", "interim-103"])
def test_interim_answers_are_read_past(ask, serve, fault):
    assert "".join(ask(serve(FAULTS[fault]))) == PREFIX


def test_several_interim_answers_are_read_past(ask, serve):
    early = Raw(b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" * 3)
    assert "".join(ask(serve([BeforeHeaders([early]), Text("Hi")]))) == "Hi"


def test_an_answer_of_another_1xx_status_is_not_the_answer(ask, serve):
    assert (
        "".join(ask(serve([BeforeHeaders([Raw("HTTP/1.1 104 New\r\n\r\n")]), Text("Hi")]))) == "Hi"
    )


def test_compression_is_not_asked_for(ask, serve):
    provider = serve([Text("Hi")])
    list(ask(provider))
    assert provider.requests[0].headers["accept-encoding"] == "identity"


def test_ipv6_works(ask, serve):
    provider = serve([Text("Hi")], host="::1")
    assert list(ask(provider)) == ["Hi"]


def test_localhost_is_reached_whichever_address_answers(ask, serve):
    provider = serve([Text("Hi")])
    assert list(ask(f"http://localhost:{provider.port}/v1")) == ["Hi"]


def test_a_gzip_bomb_comes_in_small_pieces(ask, serve):
    bomb = gzip.compress(bytes(50_000_000))
    provider = serve([Headers({"content-encoding": "gzip"}), Raw(bomb, size=8192)])
    transport = HttpTransport()
    stream = transport.open(ask.request(provider.base_url()), ask.link())
    total = 0
    while data := stream.read():
        assert len(data) <= 65536
        total += len(data)
    assert total == 50_000_000
    stream.close()
    transport.close()


def test_bytes_read_ahead_come_first_and_in_order(ask):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"rest")
        file = io.BytesIO()
        raw = ClockedIO(ours, file, ask.link(), b"ahead ")  # type: ignore[arg-type]
        buffer = bytearray(4)
        pieces = []
        for _ in range(3):
            count = raw.readinto(buffer)
            pieces.append(bytes(buffer[:count]))
        assert pieces == [b"ahea", b"d ", b"rest"]
        raw.close()
        assert file.closed
