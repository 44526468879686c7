"""SSEDecoder against a slow reader that follows the rules one byte at a time."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.wire import Event, SSEDecoder
from streamkit.wire.sse import MAX_RETRY

BOM = b"\xef\xbb\xbf"

#: What readers get wrong, most likely in combination.
TOKENS = [
    b"data", b"data:", b"data: ", b"data: x\n\n", b"event: ", b"event", b"id: ", b"id", b"retry: ",
    b"error: {", b"error", b":", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\n\n", BOM, b"\xef\xbb",
    b"\0", b"7", b"12", b"x", b"{", b"\xff", b"\xe2\x80", b"\xa8", b"\xf0\x9f\x98", b"\x0b",
    b"\x85", "😀".encode(), "\u2028".encode(), "\x85".encode(), "٣".encode(), "\ufffd".encode(),
]  # fmt: skip
BODIES = st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join)


class SlowReader:
    """The steps of the standard, plus our bounds and our error field. Slow and plain."""

    def __init__(self, max_event: int, max_lines: int, max_name: int, lenient: bool) -> None:
        self.bounds = max_event, max_lines, max_name
        self.lenient = lenient
        self.events: list[Event] = []
        self.error: tuple[str, int, int, bytes] | None = None
        self.last_event_id, self.id = "", ""
        self.retry: int | None = None
        self.comments = 0
        self.size, self.lines = 0, 0
        self.begin()

    def begin(self) -> None:
        self.data: list[str] = []
        self.type, self.failure = "", ""
        self.block_retry: int | None = None

    def read(self, body: bytes) -> None:
        line, after_cr = b"", False
        for byte in body[3:] if body.startswith(BOM) else body:
            if byte == 0x0A and after_cr:
                after_cr = False
                continue
            after_cr = byte == 0x0D
            if byte in (0x0A, 0x0D):
                self.line(line)
                line = b""
                continue
            line += bytes([byte])
            self.check(line)
            if self.error:
                return
        if self.lenient:
            if line:
                self.line(line)
            self.line(b"")

    def check(self, line: bytes) -> None:
        """Bounds, after each byte of a line."""
        max_event, max_lines, max_name = self.bounds
        self.size += 1
        self.lines += len(line) == 1
        for over, what, limit, unit in (
            (self.lines > max_lines, "an event", max_lines, "lines"),
            (self.size > max_event, "an event", max_event, "bytes"),
            (len(line) > max_name and b":" not in line, "a field name", max_name, "bytes"),
        ):
            if over:
                message = f"{what} may have at most {limit} {unit}, got more"
                self.error = (message, limit, limit + 1, line[:200])
                return

    def line(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace")
        if line == "":
            self.dispatch()
            self.size = self.lines = 0
        elif line[0] == ":":
            self.comments += 1
        else:
            match = re.fullmatch(r"([^:]*)(?:: ?(.*))?", line, re.DOTALL)
            assert match
            self.field(match[1], match[2] or "")

    def field(self, name: str, value: str) -> None:
        if name == "data":
            self.data.append(value)
        elif name == "event":
            self.type = value
        elif name == "id" and "\0" not in value:
            self.id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            self.retry = self.block_retry = min(int(value), MAX_RETRY)
        elif name == "error" and value.strip(" \t\n\r\x0b\f"):
            self.failure = value

    def dispatch(self) -> None:
        self.last_event_id = self.id
        if self.failure:
            self.events.append(Event("error", self.failure, self.id, self.block_retry))
        if self.data:
            kind, data = self.type or "message", "\n".join(self.data)
            self.events.append(Event(kind, data, self.id, self.block_retry))
        self.begin()


def agree(body: bytes, pieces: list[bytes], outcome: Any, **options: Any) -> None:
    options = {"max_event": 99, "max_lines": 99, "max_name": 99, "lenient": False} | options
    slow = SlowReader(**options)
    slow.read(body)
    decoder = SSEDecoder(**options)
    assert outcome(decoder, pieces) == (slow.events, slow.error)
    assert decoder.last_event_id == slow.last_event_id
    assert decoder.retry == slow.retry
    assert decoder.comments == slow.comments


@given(BODIES, st.booleans(), st.data())
def test_the_decoder_agrees_with_the_slow_reader(
    outcome: Any, body: bytes, lenient: bool, draw: st.DataObject
) -> None:
    body = body[:2000]
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    agree(body, pieces, outcome, lenient=lenient, max_event=9999)


# Events from 2 bytes: those of a half byte-order mark are held uncounted until the third.
@given(BODIES, st.integers(2, 30), st.integers(1, 5), st.integers(5, 9), st.data())
def test_the_decoder_agrees_with_the_slow_reader_at_narrow_bounds(
    outcome: Any, body: bytes, size: int, lines: int, name: int, draw: st.DataObject
) -> None:
    step = draw.draw(st.integers(1, max(1, len(body))))
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    agree(body, pieces, outcome, max_event=size, max_lines=lines, max_name=name)


@pytest.mark.parametrize(
    "body",
    [
        BOM + "event: é\r\ndata: 😀\r\n\r\nid: 1\r\r".encode(),
        b"data: a\r\n\r\ndata: b\r\rdata: c\n\n\r\n",
        b"data\rdata:\ndata: \r\n\n:c\n\ndata: [DONE]\n",
        b"retry: 10\nid: 2\n\nerror: {}\n\n\nerror: {}",
        b"data: \xe2\x80\n\ndata: \xf0\x9f\x98\x80\xff\xe2\n\n",
        b"event: a\n\ndata: long enough to cross\n\ndata: no\n\n",
        b"a_name_without_end\ndata: x\n\n",
        b":\n:\n:\ndata:x\n:\n:\n:\n:\n:\n:\n:\n:\n:\n:\n:\n:\n:\n",
    ],
)
@pytest.mark.parametrize("bounds", [(999, 999, 999), (20, 9, 9), (14, 3, 5), (1, 1, 5)])
def test_every_split_agrees_with_the_slow_reader(
    body: bytes, bounds: tuple[int, int, int], splits: Any, outcome: Any
) -> None:
    max_event, max_lines, max_name = bounds
    options = {"max_event": max_event, "max_lines": max_lines, "max_name": max_name}
    for pieces in splits(body):
        agree(body, pieces, outcome, **options)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_long_stream_gives_the_same_events_however_it_is_cut(
    end: bytes, same_for_all_splits: Any
) -> None:
    delta = ["event: delta", 'data: {"text": "größe 😀"}', "", ": ping", ""]
    block = [*delta, "data: a", "data: b", "id: 7", ""]
    body = end.join(line.encode() for line in block * 300) + end
    got, error = same_for_all_splits(partial(SSEDecoder, max_event=200), body)
    assert error is None
    assert got[-2:] == [Event("delta", '{"text": "größe 😀"}', "7"), Event(data="a\nb", id="7")]
    assert len(got) == 600
