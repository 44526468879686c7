"""
AWS event-stream: bytes -> binary events (Bedrock).

How it works: an event begins with 12 bytes, the prelude: its length, that of its headers, and a CRC
of these two; headers and payload follow, then a CRC of all before it. So twelve bytes tell how many
more to wait for, and until then nothing is searched or parsed. The headers of nearly all events of
an answer are the same bytes: they are parsed once.

Source: WIRE_FORMATS 1.3; header types and bounds as in botocore 1.44.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple
from zlib import crc32

from streamkit.errors import ProtocolError
from streamkit.wire.lines import MAX_EVENT, StoredError, check_bound, over_limit

__all__ = ["BinaryEvent", "EventStreamDecoder"]

#: Length of the event, length of its headers, CRC of the eight bytes before.
_PRELUDE = Struct(">III")
_CRC = Struct(">I")

#: Bytes of an event without headers and payload.
LEAST = _PRELUDE.size + _CRC.size

#: Bytes of the headers of one event. AWS's own bound; many tiny ones cost a hundred times that.
MAX_HEADERS = 128 * 1024

_TRUE, _FALSE, _BYTES, _TEXT, _UUID = 0, 1, 6, 7, 9

#: Header type -> bytes of its value. The others (bytes, text) say it themselves, in two bytes.
_SIZES = {_TRUE: 0, _FALSE: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, _UUID: 16}

Value = bool | int | bytes | str


class BinaryEvent(NamedTuple):
    """
    One event of an AWS event stream.

    Thread safety: **immutable**.

    Args:
        headers: Names as sent (``:event-type``). A timestamp is epoch milliseconds, a UUID its 16
            bytes; of two headers with one name the last counts.
        payload: What the headers describe, mostly JSON.
    """

    headers: Mapping[str, Value]
    payload: bytes


class EventStreamDecoder:
    """
    Bytes in any split -> binary events; the split changes neither the events nor the error.

    >>> decoder = EventStreamDecoder()
    >>> start = bytes.fromhex("00000012000000007f021b8b")
    >>> decoder.feed(start + b"h"), decoder.feed(b"i" + bytes.fromhex("54a7f415"))
    ([], [BinaryEvent(headers=mappingproxy({}), payload=b'hi')])

    Linear in the bytes fed, however they are cut: each is copied a fixed number of times.

    An error never costs events that were complete before it: a feed() that has some returns them
    and the next call raises; without any it raises at once. From then on feed() raises the same
    error and only flush(), which gives nothing, may be called.

    Thread safety: **confined**.

    Args:
        max_event: Most bytes of one event, at least 1, else ConfigurationError. PROMISES.md P60.
    """

    #: Whether the format begins as JSON does; see Decoder in providers/base.py.
    reads_json = False
    #: Bytes are given as they are; see the same.
    replaced = None

    # Invariant: _tail is the beginning of one event; below _need bytes nothing can be said of it.

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        check_bound("max_event", max_event)
        self._max_event = max_event
        self._stored = StoredError()
        self._tail = bytearray()
        self._need = _PRELUDE.size
        self._offset = 0  # of the event to come, in the bytes of the stream
        self._raw = b""
        self._headers: Mapping[str, Value] = MappingProxyType({})

    def feed(self, data: bytes) -> list[BinaryEvent]:
        """
        Take bytes, give the events they complete.

        Raises:
            ProtocolError: A length or a checksum is wrong, or the headers cannot be read.
            LimitExceeded: An event is over ``max_event``, or its headers are over 128 KiB; found in
                its first twelve bytes, before any more of it is kept.
        """
        self._stored.raise_at_feed()
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return []
            data = bytes(self._tail)
            self._tail.clear()
        events: list[BinaryEvent] = []
        try:
            rest = self._read(data, events)
        except ProtocolError as error:
            # Without its traceback, whose frames hold this object: a cycle.
            self._stored.error = error.with_traceback(None)
        else:
            self._tail += rest
        if not events:
            self._stored.raise_at_feed()
        return events

    def flush(self) -> list[BinaryEvent]:
        """
        End of input: nothing. An event that was cut is left out; whoever reads knows if one lacks.

        Raises:
            ProtocolError, LimitExceeded: Found by a feed() that had events to return.
        """
        self._stored.raise_at_flush()
        self._tail.clear()
        self._need = _PRELUDE.size
        return []

    def _read(self, data: bytes, events: list[BinaryEvent]) -> bytes:
        """Append the whole events; the bytes behind them."""
        start = 0
        self._need = _PRELUDE.size
        while len(data) - start >= _PRELUDE.size:
            length, size, crc = _PRELUDE.unpack_from(data, start)
            self._check_prelude(data[start : start + _PRELUDE.size], length, size, crc)
            if len(data) - start < length:
                self._need = length
                break
            end = start + length
            events.append(self._read_event(data[start:end], size))
            self._offset += length
            start = end
        return data[start:]

    def _check_prelude(self, prelude: bytes, length: int, size: int, crc: int) -> None:
        # The checksum first: a length that is noise says nothing.
        if crc32(prelude[:8]) != crc:
            raise self._error("the checksum of the prelude is wrong", prelude)
        if length < LEAST or size > length - LEAST:
            raise self._error(f"lengths of {length} and {size} bytes do not fit", prelude)
        if size > MAX_HEADERS:
            raise over_limit("the headers of an event", MAX_HEADERS, prelude)
        if length > self._max_event:
            raise over_limit("an event", self._max_event, prelude)

    def _read_event(self, event: bytes, size: int) -> BinaryEvent:
        body = event[: -_CRC.size]
        if crc32(body) != _CRC.unpack_from(event, len(body))[0]:
            raise self._error("the checksum of the event is wrong", event)
        split = _PRELUDE.size + size
        raw = body[_PRELUDE.size : split]
        if raw != self._raw:
            headers = _read_headers(raw)
            if headers is None:
                raise self._error("the headers cannot be read", event)
            self._raw, self._headers = raw, MappingProxyType(headers)
        return BinaryEvent(self._headers, body[split:])

    def _error(self, problem: str, data: bytes) -> ProtocolError:
        return ProtocolError(
            f"{problem} in the event at byte {self._offset} of the stream", data=data[:200]
        )


def _read_headers(raw: bytes) -> dict[str, Value] | None:
    """None for a type nobody has told us about, whose size we cannot know, or a torn header."""
    headers: dict[str, Value] = {}
    at = 0
    try:
        while at < len(raw):
            begin = at + 1
            at = begin + raw[at]
            name, kind = raw[begin:at].decode("utf-8", "replace"), raw[at]
            at += 1
            if kind in (_BYTES, _TEXT):
                size = raw[at] << 8 | raw[at + 1]
                at += 2
            else:
                size = _SIZES[kind]
            headers[name] = _value(kind, raw[at : at + size])
            at += size
    except (IndexError, KeyError):
        return None
    return headers if at == len(raw) else None


def _value(kind: int, raw: bytes) -> Value:
    if kind == _TEXT:
        return raw.decode("utf-8", "replace")
    if kind in (_TRUE, _FALSE):
        return kind == _TRUE
    return raw if kind in (_BYTES, _UUID) else int.from_bytes(raw, "big", signed=True)
