"""Each named fault, as a client sees it that reads every byte."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import (
    FAULTS,
    PREFIX,
    AfterAnswer,
    BeforeHeaders,
    Coding,
    Cut,
    Fin,
    Framing,
    Hang,
    Headers,
    NextRequest,
    Pause,
    Raw,
    Repeat,
    Status,
    Text,
    Whole,
)
from streamkit.testing.plan import plan

Exchange = Callable[..., tuple[bytes, bytes, str]]
Unframed = Callable[[bytes], tuple[bytes, bool]]

DONE = b"data: [DONE]\n\n"


def endless(name: str) -> bool:
    def goes_on(step: Any) -> bool:
        inner = getattr(step, "steps", ())
        forever = isinstance(step, Repeat) and step.times is None
        return isinstance(step, Hang) or forever or any(map(goes_on, inner))

    return any(map(goes_on, FAULTS[name]))


BIG = {"gzip-bomb", "gzip-bomb-comments", "redirect-bomb"}
ENDING = [name for name in FAULTS if not endless(name) and name not in BIG]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_can_be_planned(name: str) -> None:
    plan(FAULTS[name])


@pytest.mark.parametrize("name", ENDING)
@pytest.mark.parametrize("dialect", ["openai", "anthropic", "ollama"])
def test_every_fault_that_ends_does_end(exchange: Exchange, name: str, dialect: str) -> None:
    assert exchange(FAULTS[name], dialect)[2] in ("eof", "reset")


@pytest.mark.parametrize("name", [name for name in FAULTS if endless(name) and name not in BIG])
def test_every_fault_that_never_ends_keeps_the_connection(
    local_provider: Any, connect: Any, name: str
) -> None:
    provider = local_provider(FAULTS[name])
    client = connect(provider)
    client.ask()
    request = provider.wait_request()
    if name not in ("accept-hang", "hang-before-headers"):
        client.read(until=b"\r\n")
    assert request.finished is None and request.disconnected is None
    client.sock.close()
    assert provider.wait_disconnect()


@pytest.mark.parametrize(
    ("name", "heard", "ending"),
    [
        ("accept-close", b"", "eof"),
        ("accept-rst", b"", "reset"),
        ("banner", b"SSH-2.0-OpenSSH_9.6\r\n", "eof"),
        ("garbage-status", b"HTTP/1.1 abc \x1b[31m", "eof"),
        ("half-status-line", b"HTTP/1.1 2", "eof"),
        ("close-before-headers", b"", "eof"),
        ("rst-before-headers", b"", "reset"),
    ],
)
def test_faults_before_the_head(exchange: Exchange, name: str, heard: bytes, ending: str) -> None:
    head, _, ended = exchange(FAULTS[name])
    assert (head, ended) == (heard.removesuffix(b"\r\n\r\n"), ending)


@pytest.mark.parametrize("code", [100, 102, 103])
def test_interim_answers_come_before_the_final_one(exchange: Exchange, code: int) -> None:
    head, rest, _ = exchange(FAULTS[f"interim-{code}"])
    assert head.startswith(b"HTTP/1.1 %d" % code)
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n") and DONE in rest


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("many-headers", b"\r\nx-199: 1"),
        ("huge-header", b"a" * 100_000),
        ("redirect", b"location: http://other.invalid/v1"),
        ("html-200", b"content-type: text/html"),
        ("unknown-encoding", b"content-encoding: zork"),
        ("latin1-label", b"charset=iso-8859-1"),
        ("set-cookie", b"set-cookie: session=1; Path=/"),
        ("te-and-cl", b"content-length: 7"),
        ("gzip-chain", b"content-encoding: gzip, gzip, gzip, gzip, gzip, gzip"),
        ("raw-deflate", b"content-encoding: deflate"),
        ("cut-length", b"content-length: 1048576"),
        ("error-length-lie", b"HTTP/1.1 500 Internal Server Error"),
        ("slow-headers", b"transfer-encoding: chunked"),
    ],
)
def test_faults_of_the_head(exchange: Exchange, name: str, header: bytes) -> None:
    assert header in exchange(FAULTS[name])[0]


def test_headers_can_be_removed_and_doubled(exchange: Exchange) -> None:
    assert b"content-type" not in exchange(FAULTS["no-content-type"])[0]
    assert exchange(FAULTS["dup-cl"])[0].count(b"content-length") == 2


@pytest.mark.parametrize(
    ("name", "whole", "ending"),
    [
        ("rst-after", False, "reset"),
        ("rst-mid-event", False, "reset"),
        ("truncated-chunked", False, "eof"),
        ("truncated-in-chunk", False, "eof"),
        ("no-finish", True, "eof"),
        ("cut-json", True, "eof"),
        ("cut-utf8", True, "eof"),
        ("no-done", True, "eof"),
        ("error-mid", True, "eof"),
    ],
)
def test_faults_in_the_stream_come_after_the_prefix(
    exchange: Exchange, unframed: Unframed, name: str, whole: bool, ending: str
) -> None:
    _, rest, ended = exchange(FAULTS[name])
    body, complete = unframed(rest)
    assert (complete, ended) == (whole, ending)
    assert PREFIX.split()[-1].encode() in body
    assert DONE not in body


def test_a_length_that_lies_leaves_the_body_short(exchange: Exchange) -> None:
    head, body, _ = exchange(FAULTS["cut-length"])
    assert b"content-length: 1048576" in head and 0 < len(body) < 1_048_576


def test_a_bad_chunk_size_stands_where_a_chunk_should(exchange: Exchange) -> None:
    assert b"\r\nzz\r\nhello\r\n" in exchange(FAULTS["bad-chunk-size"])[1]


def test_a_length_is_counted_beforehand(exchange: Exchange) -> None:
    for dialect in ("openai", "anthropic", "ollama"):
        head, body, _ = exchange([Framing("length"), Text("one two")], dialect)
        assert head.endswith(b"content-length: %d" % len(body))
        assert b"transfer-encoding" not in head
    coded = [Framing("length"), Coding("gzip"), Text("a", size=1), Cut()]
    head, body, _ = exchange(coded)
    assert head.endswith(b"content-length: %d" % len(body))


def test_a_body_can_be_delimited_by_the_close(exchange: Exchange) -> None:
    head, body, ended = exchange([Framing("close"), Text("one two")])
    assert b"connection: close" in head and b"transfer-encoding" not in head
    assert body.endswith(DONE) and ended == "eof"


@pytest.mark.parametrize("name", ["gzip", "gzip-noflush"])
def test_a_compressed_stream_is_whole(exchange: Exchange, unframed: Unframed, name: str) -> None:
    body, _ = unframed(exchange(FAULTS[name])[1])
    decoder = zlib.decompressobj(31)
    assert decoder.decompress(body).endswith(DONE) and decoder.eof


def test_a_truncated_compressed_stream_ends_cleanly_in_http(
    exchange: Exchange, unframed: Unframed
) -> None:
    body, complete = unframed(exchange(FAULTS["gzip-truncated"])[1])
    decoder = zlib.decompressobj(31)
    assert b"world" in decoder.decompress(body)
    assert complete and not decoder.eof


def test_a_bomb_is_small_on_the_wire(local_provider: Any, connect: Any) -> None:
    provider = local_provider([Coding("gzip"), Repeat([Raw(bytes(1 << 20))], times=8)])
    client = connect(provider)
    client.ask(head="connection: close")
    assert len(client.read()) < 20_000


def test_bytes_come_one_at_a_time(exchange: Exchange, unframed: Unframed) -> None:
    rest = exchange(FAULTS["byte-at-a-time"])[1]
    body, complete = unframed(rest)
    assert complete and rest.count(b"1\r\n") >= len(body)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("crlf", b"\r\n\r\ndata: "),
        ("cr", b"\r\rdata: "),
        ("no-space", b"data:{"),
        ("multi-line-data", b',\ndata: "'),
        ("unknown-fields", b"x-new: 1\nid: 7\nretry: 9\ndata: {"),
        ("comments", b": ping\n\n"),
        ("invalid-utf8", b"H\xffllo"),
        ("done-nospace", b"data:[DONE]"),
        ("lone-surrogate", rb'"\ud83d"'),
        ("bom", b"\xef\xbb\xbfdata"),
        ("invalid-json", b'data: {"choices": [oops\n\n'),
        ("unicode-lines", "a\u2028b".encode()[1:4]),
    ],
)
def test_faults_of_the_format(
    exchange: Exchange, unframed: Unframed, name: str, seen: bytes
) -> None:
    assert seen in unframed(exchange(FAULTS[name])[1])[0]


def test_a_whole_answer_can_be_given_where_a_stream_is_due(exchange: Exchange) -> None:
    head, body, _ = exchange([Whole(), Text("hi")])
    assert b"application/json" in head and b'"content":"hi"' in body
    assert b"content-length: %d" % len(body) in head
    assert b'"message":"broke"' in exchange(FAULTS["error-mid"], stream=False)[1]
    assert exchange([Pause(0), Text("hi"), Cut()], stream=False)[1] == b""


def test_a_status_can_have_any_body(exchange: Exchange) -> None:
    assert exchange([Status(500, b"\x00raw")])[1] == b"\x00raw"
    assert exchange([Status(500, "text")])[1] == b"text"
    assert exchange([Status(500, ["json"])])[1] == b'["json"]'
    head, body, _ = exchange([Status(429, message="slow down", headers={"retry-after": "1"})])
    assert b"retry-after: 1" in head and b'"message":"slow down"' in body


def test_a_pooled_connection_goes_stale(local_provider: Any, connect: Any) -> None:
    provider = local_provider(FAULTS["stale-rst"])
    client = connect(provider)
    client.ask()
    client.read(until=b"\r\n0\r\n\r\n")
    assert client.is_open()
    with pytest.raises(ConnectionError):
        client.ask()
        client.sock.recv(1)
    assert len(provider.requests) == 1


def test_an_answer_can_be_followed_by_a_close_at_once(local_provider: Any, connect: Any) -> None:
    client = connect(local_provider([Text("hi"), AfterAnswer([Fin()])]))
    client.ask()
    assert b"connection: keep-alive" in client.read()


def test_steps_before_the_headers_are_played_in_order(local_provider: Any, connect: Any) -> None:
    early = [Raw("HTTP/1.1 103 Early Hints\r\n\r\n", size=9, every=0.001), NextRequest()]
    client = connect(local_provider([BeforeHeaders(early), Headers({"x": "y"}), Text("hi")]))
    client.ask()
    assert client.read(until=b"\r\n\r\n").endswith(b"Hints\r\n\r\n")
    client.sock.sendall(b"POST")
    assert b"HTTP/1.1 200" in client.read(until=b"[DONE]")
