"""Chunks taken together: byte for byte what http.client gives one by one, and never a wait more."""

from __future__ import annotations

import http.client
import io
import itertools
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from streamkit.deadline import Clocks, Timeouts
from streamkit.transport.base import Link
from streamkit.transport.reading import Response, sending

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

BODIES = {
    "chunks": b"3\r\none\r\n4\r\n two\r\n1\r\n!\r\n0\r\n\r\n",
    "extensions": b"3;a=b\r\none\r\n4;\r\n two\r\n1\r\n!\r\n0;x\r\n\r\n",
    "trailers": b"3\r\none\r\n4\r\n two\r\n0\r\nX-A: 1\r\nB: 2\r\n\r\n",
    "odd sizes": b"03\r\none\r\n0x4\r\n two\r\n 1 \r\n!\r\n00\r\n\r\n",
    "CRLF in the data": b"2\r\n\r\n\r\n7\r\n0\r\n\r\n5\r\r\n3\r\none\r\n0\r\n\r\n",
    "surplus": b"3\r\none\r\n1\r\n!\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
    "bare LF": b"3\none\n4\r\n two\r\n0\n\n",
    "no size": b"3\r\none\r\n4\r\n two\r\nzz\r\nhello\r\n0\r\n\r\n",
    "empty size": b"3\r\none\r\n\r\nhello\r\n0\r\n\r\n",
    "negative size": b"3\r\none\r\n-5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"3\r\none\r\n1_0\r\nhello\r\n0\r\n\r\n",
    "cut in a chunk": b"3\r\none\r\n4\r\n tw",
    "cut before a size": b"3\r\none\r\n4\r\n two",
    "cut before the last": b"3\r\none\r\n4\r\n two\r\n",
}


class Cut:
    """A socket that gives these pieces, one per recv."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = list(pieces)

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO())  # type: ignore[arg-type]

    def settimeout(self, _: float) -> None:
        pass

    def recv_into(self, buffer: Any) -> int:
        piece = self.pieces.pop(0) if self.pieces else b""
        now, later = piece[: len(buffer)], piece[len(buffer) :]
        if later:
            self.pieces.insert(0, later)
        buffer[: len(now)] = now
        return len(now)


class OneByOne(Response):
    """Reads each chunk as http.client does."""

    def _read1_chunked(self, n: int) -> bytes:
        data: bytes = http.client.HTTPResponse._read1_chunked(self, n)  # type: ignore[attr-defined]
        return data


def ended(kind: type[Response], pieces: list[bytes], size: int) -> tuple[bytes, object, bool]:
    """The bytes, how it ended, and whether bytes were left over."""
    link = Link(Clocks(Timeouts()))
    with sending(link):
        response = kind(Cut([HEAD, *pieces]), method="POST")  # type: ignore[arg-type]
        response.begin()
    out, end = b"", object()
    try:
        while data := response.read1(size):
            assert len(data) <= size
            out += data
        end = "end"
    except (ValueError, http.client.HTTPException) as error:
        end = type(error)
    response.close()
    return out, end, link.surplus


def in_pieces(body: bytes) -> Iterator[list[bytes]]:
    yield [body]
    for count in (1, 2):
        for places in itertools.combinations(range(1, len(body)), count):
            ends = [*places, len(body)]
            yield [body[a:b] for a, b in zip([0, *places], ends, strict=True)]
    yield [body[at : at + 1] for at in range(len(body))]


@pytest.mark.parametrize("size", [5, 65536])
@pytest.mark.parametrize("name", BODIES)
def test_every_one_and_two_cuts_give_what_http_client_gives(name, size):
    for pieces in in_pieces(BODIES[name]):
        assert ended(Response, pieces, size) == ended(OneByOne, pieces, size), pieces


def test_chunks_that_wait_together_come_together():
    assert ended(Response, [BODIES["chunks"]], 65536)[0] == b"one two!"
    link = Link(Clocks(Timeouts()))
    with sending(link):
        response = Response(Cut([HEAD + BODIES["chunks"]]), method="POST")  # type: ignore[arg-type]
        response.begin()
    assert (response.read1(65536), response.read1(65536)) == (b"one two!", b"")


@pytest.mark.parametrize("at", range(4, len(BODIES["chunks"])))
def test_no_read_waits_while_bytes_of_the_body_are_there(at):
    """The socket holds a part of the body and stays open: a read too many would never return."""
    link = Link(Clocks(Timeouts()))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(HEAD + BODIES["chunks"][:at])
        with sending(link):
            response = Response(ours, method="POST")
            response.begin()
        there = b"one"[: at - 3] + b" two"[: max(0, at - 11)] + b"!"[: max(0, at - 20)]
        out = b""
        while out != there:
            out += response.read1(65536)
        link.abort()
        response.close()
