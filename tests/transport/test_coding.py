"""gzip and deflate undone: the same however the bytes were cut, and always by the clocks."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import DecodeError

from streamkit.deadline import Clocks, Timeouts
from streamkit.errors import ProtocolError, StreamTimeout
from streamkit.testing import Done, Finish, Framing, Headers, Raw
from streamkit.transport.base import Link
from streamkit.transport.coding import PIECE, SMALL, inflated
from streamkit.transport.http import HttpTransport

MODES = ("direct", "buffered", "managed")
WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15, "raw": -15}


def packed(data: bytes, kind: str = "gzip", flush: int = zlib.Z_FINISH) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, WBITS[kind])
    return packer.compress(data) + packer.flush(flush)


def unpack(
    pieces: Iterable[bytes], coding: str = "gzip", link: Link | None = None
) -> tuple[bytes, str]:
    """What came, and how it ended."""
    left = iter(pieces)
    read = inflated(lambda: next(left, b""), coding.split(" "), link or Link(Clocks(Timeouts())))
    out = b""
    try:
        while data := read():
            assert len(data) <= PIECE
            out += data
    except DecodeError as error:
        return out, str(error)
    return out, "end"


def cuts(data: bytes) -> list[list[bytes]]:
    """Whole, at each single place, and byte by byte."""
    halves = [[data[:at], data[at:]] for at in range(1, len(data))]
    return [[data], *halves, [data[at : at + 1] for at in range(len(data))]]


SOUND = {
    "gzip": ("gzip", packed(b"one two")),
    "x-gzip": ("x-gzip", packed(b"one two")),
    "two members": ("gzip", packed(b"one") + packed(b" two")),
    "empty members": ("gzip", packed(b"") * 3 + packed(b"one two") + packed(b"") * 3),
    "zlib": ("deflate", packed(b"one two", "deflate")),
    "raw": ("deflate", packed(b"one two", "raw")),
    "twice": ("gzip gzip", packed(packed(b"one two"))),
    "mixed": ("deflate gzip", packed(packed(b"one two", "raw"))),
    "no end": ("gzip", packed(b"one two", flush=zlib.Z_SYNC_FLUSH)),
    "padding": ("gzip", packed(b"one two") + bytes(9)),
    "garbage after gzip": ("gzip", packed(b"one two") + b"garbage"),
    "garbage after zlib": ("deflate", packed(b"one two", "deflate") + b"\x78garbage"),
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_bytes_in_every_cut(name):
    coding, data = SOUND[name]
    for pieces in cuts(data):
        assert unpack(pieces, coding) == (b"one two", "end")


FLUSHED = packed(b"one", flush=zlib.Z_SYNC_FLUSH)
CORRUPT = {
    "bad block": FLUSHED + b"\xff" * 20,
    "bad checksum": packed(b"one")[:-8] + bytes(8),
    "bad length": packed(b"one")[:-4] + b"\xff" * 4,
    "bad second member": packed(b"one") + b"\x1f\x8b\xff\xff",
}


@pytest.mark.parametrize("name", CORRUPT)
def test_what_came_before_the_bad_byte_is_given_out_in_every_cut(name):
    for pieces in cuts(CORRUPT[name]):
        out, end = unpack(pieces)
        assert out == b"one"
        assert end.startswith("it cannot be decompressed: Error -3")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip gzip"])
@given(data=st.data())
def test_a_damaged_body_gives_the_same_however_it_is_cut(coding, data):
    text = data.draw(st.binary(max_size=300)) * data.draw(st.integers(1, 400))
    body = text
    for kind in coding.split(" "):
        body = packed(body, kind)
    where = data.draw(st.integers(0, len(body) - 1))
    damaged = body[:where] + bytes([data.draw(st.integers(0, 255))]) + body[where + 1 :]
    places = sorted(data.draw(st.sets(st.integers(1, len(damaged)), max_size=8)))
    pieces = [damaged[a:b] for a, b in zip([0, *places], [*places, len(damaged)], strict=True)]
    whole = unpack([damaged], coding)
    assert unpack([piece for piece in pieces if piece], coding) == whole
    assert unpack([damaged[at : at + 1] for at in range(len(damaged))], coding) == whole


@given(st.binary(max_size=50), st.integers(1, 5000), st.sampled_from(["gzip", "deflate", "raw"]))
def test_whatever_was_packed_comes_out(seed, times, kind):
    assert unpack([packed(seed * times, kind)], kind.replace("raw", "deflate")) == (
        seed * times,
        "end",
    )


def test_a_step_in_small_never_fills_a_piece():
    """Deflate's greatest growth: two bits for 258 bytes, and what is left of the byte before."""
    assert (SMALL + 1) * 1032 < PIECE


@pytest.mark.parametrize(
    "bomb",
    [packed(packed(b":\n\n" * (1 << 24))), packed(packed(b"") * 200_000)],
    ids=["comments", "empty members"],
)
def test_total_ends_a_bomb(bomb):
    link = Link(Clocks(Timeouts(total=0.1)))
    link.clocks.connected()
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        unpack([bomb] * 1000, "gzip gzip", link)
    assert link.expired is not None and link.expired.clock == "total"
    assert time.monotonic() - start < 5  # it would take minutes


def test_content_ends_a_bomb_that_brings_nothing():
    link = Link(Clocks(Timeouts(first=0.05)))
    link.clocks.connected()
    with pytest.raises(TimeoutError):
        unpack([packed(packed(b"") * 200_000)] * 1000, "gzip gzip", link)
    assert link.expired is not None and link.expired.clock == "first"


def test_an_abort_ends_a_bomb():
    link = Link(Clocks(Timeouts()))
    link.abort()
    with pytest.raises(ConnectionAbortedError):
        unpack([packed(b"x")], link=link)


def event(text: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % text.encode()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [None, 1, 7])
def test_events_that_arrived_whole_are_delivered_before_the_error(ask, serve, size, mode):
    good = packed(event("one") + event("two"), flush=zlib.Z_SYNC_FLUSH)
    body = Raw(good + b"\xff" * 20, size=size) if size else Raw(good + b"\xff" * 20)
    text, error = ask.fail(serve([Headers({"content-encoding": "gzip"}), body]), mode)
    assert text == "onetwo" == error.partial.text
    assert type(error) is ProtocolError and "cannot be decompressed" in str(error)


def test_keep_alives_twice_gzipped_do_not_outlive_total(ask, serve):
    bomb = packed(packed(b":\n\n" * (1 << 24)))
    provider = serve([Headers({"content-encoding": "gzip, gzip"}), Raw(bomb)])
    transport = HttpTransport()
    link = ask.link(total=0.2)
    stream = transport.open(ask.request(provider.base_url()), link)
    with pytest.raises(StreamTimeout, match="clock 'total'"):
        while stream.read():
            time.sleep(0.01)  # a slow reader: the clock runs on
    stream.close()
    transport.close()


@pytest.mark.parametrize("framing", ["length", "close"])
def test_an_answer_with_a_wrong_checksum_is_whole_once_its_last_event_came(ask, serve, framing):
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    body = gzip.compress(event("one") + end)[:-8] + bytes(8)
    steps = [Headers({"content-encoding": "gzip"}), Framing(framing), Raw(body), Finish(), Done()]
    stream = ask(serve(steps))
    assert list(stream) == ["one"]
    assert stream.outcome == "completed"
