"""Bytes <-> events. Pure: no socket, no thread, no clock."""

from typing import TYPE_CHECKING

from streamkit.lazy import lazy
from streamkit.wire.encode import SSE_HEADERS, encode_comment, encode_event, format_sse_event
from streamkit.wire.jsontext import parse
from streamkit.wire.lines import LineDecoder
from streamkit.wire.sse import Event, SSEDecoder
from streamkit.wire.surrogates import SurrogateJoiner, clean, clean_deep

if TYPE_CHECKING:
    from streamkit.wire.eventstream import BinaryEvent, EventStreamDecoder
    from streamkit.wire.jsonarray import JSONArrayDecoder
    from streamkit.wire.ndjson import NDJSONDecoder
    from streamkit.wire.writer import SSEWriter, write_sse
else:
    __getattr__ = lazy(
        __name__,
        {
            "eventstream": ("BinaryEvent", "EventStreamDecoder"),
            "jsonarray": ("JSONArrayDecoder",),
            "ndjson": ("NDJSONDecoder",),
            "writer": ("SSEWriter", "write_sse"),
        },
    )

__all__ = [
    "SSE_HEADERS",
    "BinaryEvent",
    "Event",
    "EventStreamDecoder",
    "JSONArrayDecoder",
    "LineDecoder",
    "NDJSONDecoder",
    "SSEDecoder",
    "SSEWriter",
    "SurrogateJoiner",
    "clean",
    "clean_deep",
    "encode_comment",
    "encode_event",
    "format_sse_event",
    "parse",
    "write_sse",
]
