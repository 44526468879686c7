from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.testing import Coding, Framing, Headers, Wire
from streamkit.testing.framing import Body, head
from streamkit.testing.plan import plan

SENDS = st.lists(st.binary(min_size=1, max_size=200), max_size=5)
WINDOWS = {"gzip": 31, "deflate": 15, "raw-deflate": -15}


def written(script: list[Any], framing: Framing, sends: list[bytes], complete: bool = True) -> Any:
    body = Body(plan(script), framing)
    out = [piece for data in sends for piece in body.pieces(data)]
    out += body.end(complete=complete)
    return sum(size for size, _ in out), b"".join(data for _, data in out)


@given(SENDS)
def test_each_send_is_a_chunk(sends: list[bytes]) -> None:
    size, data = written([], Framing("chunked"), sends)
    assert size == len(b"".join(sends))
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(send), send) for send in sends)
    assert data == chunks + b"0\r\n\r\n"


@given(SENDS, st.sampled_from(["length", "close"]))
def test_other_framings_add_nothing(sends: list[bytes], kind: Any) -> None:
    assert written([], Framing(kind), sends)[1] == b"".join(sends)


@given(SENDS, st.sampled_from([*WINDOWS]), st.booleans(), st.none() | st.integers(1, 5))
def test_a_coded_body_decodes_to_what_was_sent(
    sends: list[bytes], name: str, flush: bool, size: int | None
) -> None:
    script = [Coding(name, flush=flush), Wire(size=size)]
    _, data = written(script, Framing("close"), sends)
    assert zlib.decompressobj(WINDOWS[name]).decompress(data) == b"".join(sends)


@given(SENDS)
def test_flushing_lets_each_send_be_decoded_at_once(sends: list[bytes]) -> None:
    body = Body(plan([Coding(("gzip", "deflate"))]), Framing("close"))
    outer, inner = zlib.decompressobj(15), zlib.decompressobj(31)
    for send in sends:
        ((_, coded),) = body.pieces(send)
        assert inner.decompress(outer.decompress(coded)) == send


def test_a_cut_compressed_body_lacks_its_end() -> None:
    decoder = zlib.decompressobj(31)
    decoder.decompress(written([Coding("gzip")], Framing("close"), [b"abc"], False)[1])
    assert not decoder.eof


def test_bytes_are_rewritten_before_they_are_cut() -> None:
    wire = Wire(size=2, rewrite=lambda data: data.upper())
    assert written([wire], Framing(), [b"abc"])[1] == b"2\r\nAB\r\n1\r\nC\r\n0\r\n\r\n"


def test_headers_are_replaced_added_repeated_and_removed() -> None:
    changes = [
        Headers({"Content-Type": "text/html", "x-gone": None}),
        Headers([("set-cookie", "a=1"), ("set-cookie", "b=2")], status=529),
    ]
    assert head(200, [("content-type", "a"), ("x-gone", "1"), ("x", "y")], changes) == (
        b"HTTP/1.1 529 Overloaded\r\nx: y\r\nContent-Type: text/html\r\n"
        b"set-cookie: a=1\r\nset-cookie: b=2\r\n\r\n"
    )


@pytest.mark.parametrize(("status", "phrase"), [(404, b"Not Found"), (799, b"Unknown")])
def test_the_status_line_names_the_status(status: int, phrase: bytes) -> None:
    assert head(status, [], []) == b"HTTP/1.1 %d %b\r\n\r\n" % (status, phrase)
