"""Bytes <-> events. Pure: no socket, no thread, no clock."""

from streamkit.wire.encode import encode_comment, encode_event
from streamkit.wire.eventstream import BinaryEvent, EventStreamDecoder
from streamkit.wire.jsonarray import JSONArrayDecoder
from streamkit.wire.jsontext import parse
from streamkit.wire.lines import LineDecoder
from streamkit.wire.ndjson import NDJSONDecoder
from streamkit.wire.sse import Event, SSEDecoder
from streamkit.wire.surrogates import SurrogateJoiner, clean, clean_deep

__all__ = [
    "BinaryEvent",
    "Event",
    "EventStreamDecoder",
    "JSONArrayDecoder",
    "LineDecoder",
    "NDJSONDecoder",
    "SSEDecoder",
    "SurrogateJoiner",
    "clean",
    "clean_deep",
    "encode_comment",
    "encode_event",
    "parse",
]
