"""EventStreamDecoder: binary events of AWS, against an encoder of ours and botocore's reader."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from struct import pack
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError, LimitExceeded, ProtocolError
from streamkit.wire import BinaryEvent, EventStreamDecoder

#: Type code, and how the value is written.
FORMS: dict[str, tuple[int, Any]] = {
    "true": (0, lambda _: b""),
    "false": (1, lambda _: b""),
    "byte": (2, lambda value: pack(">b", value)),
    "short": (3, lambda value: pack(">h", value)),
    "int": (4, lambda value: pack(">i", value)),
    "long": (5, lambda value: pack(">q", value)),
    "bytes": (6, lambda value: pack(">H", len(value)) + value),
    "text": (7, lambda value: pack(">H", len(value.encode())) + value.encode()),
    "time": (8, lambda value: pack(">q", value)),
    "uuid": (9, lambda value: value),
}


def integers(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)


HEADERS = st.dictionaries(
    st.text(min_size=1, max_size=20).filter(lambda name: len(name.encode()) < 256),
    st.one_of(
        st.just(("true", True)),
        st.just(("false", False)),
        st.tuples(st.just("byte"), integers(8)),
        st.tuples(st.just("short"), integers(16)),
        st.tuples(st.just("int"), integers(32)),
        st.tuples(st.sampled_from(["long", "time"]), integers(64)),
        st.tuples(st.just("bytes"), st.binary(max_size=300)),
        st.tuples(st.just("text"), st.text(max_size=50)),
        st.tuples(st.just("uuid"), st.binary(min_size=16, max_size=16)),
    ),
    max_size=6,
)


def raw_header(name: bytes, kind: int, value: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([kind]) + value


def framed(headers: bytes, payload: bytes = b"") -> bytes:
    prelude = pack(">II", 16 + len(headers) + len(payload), len(headers))
    event = prelude + pack(">I", crc32(prelude)) + headers + payload
    return event + pack(">I", crc32(event))


def encoded(headers: Mapping[str, tuple[str, Any]], payload: bytes = b"") -> bytes:
    parts = []
    for name, (form, value) in headers.items():
        kind, write = FORMS[form]
        parts.append(raw_header(name.encode(), kind, write(value)))
    return framed(b"".join(parts), payload)


def with_prelude(length: int, size: int, rest: bytes = b"") -> bytes:
    prelude = pack(">II", length, size)
    return prelude + pack(">I", crc32(prelude)) + rest


TEXT = encoded({":event-type": ("text", "chunk"), ":n": ("byte", -1)}, b'{"a":1}')
PLAIN = framed(b"", b"hi")


def events(data: bytes) -> list[BinaryEvent]:
    decoder = EventStreamDecoder()
    return decoder.feed(data) + decoder.flush()


# What is read.


@pytest.mark.parametrize(
    ("data", "count"),
    [(b"", 0), (PLAIN, 1), (PLAIN * 2 + PLAIN[:-1], 2), (TEXT, 1), (TEXT + PLAIN + TEXT[:3], 2)],
)
def test_every_split_gives_the_same_events(
    data: bytes, count: int, same_for_all_splits: Any
) -> None:
    got, error = same_for_all_splits(EventStreamDecoder, data)
    assert error is None
    assert len(got) == count


@given(st.lists(st.tuples(HEADERS, st.binary(max_size=200)), max_size=4), st.integers(1, 60))
def test_what_is_written_is_read_back_as_botocore_reads_it(
    written: list[tuple[dict[str, tuple[str, Any]], bytes]], step: int
) -> None:
    buffers = pytest.importorskip("botocore.eventstream")
    data = b"".join(encoded(headers, payload) for headers, payload in written)
    decoder = EventStreamDecoder()
    got = [e for i in range(0, len(data), step) for e in decoder.feed(data[i : i + step])]
    assert decoder.flush() == []
    plain = [({n: v for n, (_, v) in headers.items()}, payload) for headers, payload in written]
    assert [(dict(event.headers), event.payload) for event in got] == plain
    theirs = buffers.EventStreamBuffer()
    theirs.add_data(data)
    assert [(message.headers, message.payload) for message in theirs] == plain


def test_headers_that_change_are_read_anew() -> None:
    data = TEXT + PLAIN + TEXT + encoded({"x": ("true", True)})
    assert [dict(event.headers) for event in events(data)] == [
        {":event-type": "chunk", ":n": -1},
        {},
        {":event-type": "chunk", ":n": -1},
        {"x": True},
    ]


def test_headers_cannot_be_changed_under_the_next_event() -> None:
    (event,) = events(TEXT)
    with pytest.raises(TypeError):
        event.headers["x"] = 1  # type: ignore[index]


def test_text_that_is_not_utf8_is_replaced() -> None:
    (event,) = events(framed(raw_header(b"\xff", 7, b"\x00\x02a\xff")))
    assert event.headers == {"\ufffd": "a\ufffd"}


def test_of_two_headers_with_one_name_the_last_counts() -> None:
    (event,) = events(framed(raw_header(b"a", 0, b"") + raw_header(b"a", 1, b"")))
    assert event.headers == {"a": False}


def test_an_event_that_was_cut_gives_nothing_at_the_end() -> None:
    for cut in range(len(TEXT)):
        decoder = EventStreamDecoder()
        assert decoder.feed(TEXT + TEXT[:cut]) == events(TEXT)
        assert decoder.flush() == []
        assert decoder.flush() == []


# What is refused.


def broken(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


BAD = {
    "the checksum of the prelude is wrong": broken(PLAIN, 8),
    "the checksum of the event is wrong": broken(PLAIN, 12),
    "lengths of 15 and 0 bytes do not fit": with_prelude(15, 0),
    "lengths of 20 and 5 bytes do not fit": with_prelude(20, 5),
    "the headers cannot be read": framed(raw_header(b"a", 10, b"")),
}
TORN_HEADERS = [b"\x05ab", b"\x01a", b"\x01a\x07\x00", b"\x01a\x07\x00\x05abc", b"\x01a\x05\x00"]


@pytest.mark.parametrize("problem", BAD)
def test_every_split_gives_the_same_error(problem: str, same_for_all_splits: Any) -> None:
    for before in (b"", PLAIN, TEXT):
        data = before + BAD[problem] + PLAIN
        got, error = same_for_all_splits(EventStreamDecoder, data)
        assert got == events(before)
        text, shown = error
        assert text == f"{problem} in the event at byte {len(before)} of the stream"
        assert BAD[problem].startswith(shown)


@pytest.mark.parametrize("headers", TORN_HEADERS)
def test_headers_that_end_in_the_middle_are_an_error(headers: bytes) -> None:
    with pytest.raises(ProtocolError, match="the headers cannot be read"):
        events(framed(headers))


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_no_changed_byte_goes_unseen(at: int, change: int) -> None:
    data = TEXT[:at] + bytes([TEXT[at] ^ change]) + TEXT[at + 1 :]
    with pytest.raises(ProtocolError):
        EventStreamDecoder().feed(data)


@given(st.binary(max_size=400), st.integers(1, 60))
def test_noise_gives_events_or_our_error(data: bytes, step: int) -> None:
    decoder = EventStreamDecoder()
    try:
        for i in range(0, len(data), step):
            decoder.feed(data[i : i + step])
    except ProtocolError as error:
        assert error.data
        with pytest.raises(ProtocolError) as again:
            decoder.feed(b"")
        assert again.value is error
    assert decoder.flush() == []


def test_an_error_comes_after_the_events_before_it_and_stays() -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(PLAIN + broken(PLAIN, 12)) == events(PLAIN)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="at byte 18"):
            decoder.feed(PLAIN)
    assert decoder.flush() == []


def test_flush_raises_what_no_feed_has_raised() -> None:
    decoder = EventStreamDecoder()
    decoder.feed(PLAIN + broken(PLAIN, 8))
    with pytest.raises(ProtocolError):
        decoder.flush()


# Bounds.


def test_an_event_over_the_bound_is_found_in_its_first_twelve_bytes(
    same_for_all_splits: Any,
) -> None:
    data = PLAIN + with_prelude(19, 0)
    got, error = same_for_all_splits(partial(EventStreamDecoder, max_event=18), data)
    assert got == events(PLAIN)
    assert error == ("an event may have at most 18 bytes, got more", 18, 19, data[18:])


def test_headers_have_a_bound_of_their_own() -> None:
    size = 128 * 1024
    assert events(framed(raw_header(b"a", 6, b"\xff\xff" + bytes(0xFFFF))))
    with pytest.raises(LimitExceeded, match="the headers of an event may have at most 131072"):
        EventStreamDecoder().feed(with_prelude(size + 17, size + 1))


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_event must be at least 1, got 0"):
        EventStreamDecoder(max_event=0)


def test_a_long_event_in_small_pieces_is_copied_a_fixed_number_of_times(
    counting_tail: Any,
) -> None:
    data = framed(b"", bytes(200_000)) * 2
    decoder = EventStreamDecoder()
    decoder._tail = counting_tail
    got = [event for i in range(0, len(data), 64) for event in decoder.feed(data[i : i + 64])]
    assert len(got) == 2
    assert counting_tail.copied < 2.1 * len(data)


def test_recordings_have_the_indexed_number_of_events(recordings: Any, splits: Any) -> None:
    entries = json.loads((recordings / "index.json").read_text("utf-8"))["recordings"]
    entries = [entry for entry in entries if entry["framing"]["type"] == "aws-eventstream"]
    assert entries
    for entry in entries:
        body = (recordings / entry["file"]).read_bytes()
        for pieces in splits(body):
            decoder = EventStreamDecoder()
            got = [event for piece in pieces for event in decoder.feed(piece)] + decoder.flush()
            assert len(got) == entry["framing"]["messages"], entry["id"]
            types = {event.headers[":event-type"] for event in got}
            assert types == set(entry["framing"]["event_types"])
