"""
Events -> bytes of server-sent events, the mirror of sse.py.

Source: SSE_RULES W1 to W8. Everything is checked before the first byte is made: a refused call
leaves nothing on the wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from streamkit.errors import ConfigurationError
from streamkit.wire.sse import MAX_RETRY

__all__ = ["DONE", "SSE_HEADERS", "encode_comment", "encode_event", "format_sse_event"]

#: The headers of a response that carries events. ``no-transform`` and ``X-Accel-Buffering`` keep
#: proxies from holding it back; there is no ``Connection``, which WSGI forbids (PEP 3333).
#: Source: FACTS.md 1.2 and F17.
SSE_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache, no-transform",
        "X-Accel-Buffering": "no",
    }
)

#: The data of the last event of an answer that came whole, as OpenAI has it.
DONE = "[DONE]"

#: What a reader takes for the end of a line; U+2028 and its like stay inside (W2).
_LINE_END = re.compile(r"\r\n|\n|\r")


def encode_event(
    event: str | None, data: str, id: str | int | None = None, retry: int | None = None
) -> bytes:
    r"""
    One event, closed by its empty line.

    >>> encode_event("delta", "a\nb", "7")
    b'event: delta\ndata: a\ndata: b\nid: 7\n\n'

    Line ends in ``data`` arrive as LF, whatever they were; all else arrives as it is.

    Args:
        event: The type; None leaves the field out.
        data: Any text; "" is an event with empty data.
        id: None leaves the field out; "" is a value and resets the reader's id (W8). A whole
            number is written in digits.
        retry: The reader's reconnection time in ms, 0 to 10**15.

    Raises:
        ConfigurationError: A value that is no text, a line end in ``event`` or ``id``, U+0000 in
            ``id``, a lone surrogate anywhere, or a ``retry`` out of range.
    """
    lines: list[str] = []
    if event is not None:
        lines.append("event: " + _single_line("event", event))
    lines += ["data: " + line for line in _LINE_END.split(_text("data", data))]
    if id is not None:
        line = "id: " + _single_line("id", str(id) if type(id) is int else id)
        if "\0" in line:
            raise ConfigurationError(f"id must not hold U+0000, got {line[4:44]!r}")
        lines.append(line)
    if retry is not None:
        # The value is shown only where it is short: repr() refuses ints of over 4,300 digits.
        if isinstance(retry, bool) or not isinstance(retry, int):
            raise ConfigurationError(f"retry must be whole milliseconds, got {retry!r}")
        if not 0 <= retry <= MAX_RETRY:
            got = "less" if retry < 0 else "more"
            raise ConfigurationError(f"retry must be from 0 to {MAX_RETRY} ms, got {got}")
        lines.append(f"retry: {retry}")
    return _encode(lines)


def format_sse_event(
    event: str | None = None,
    data: str = "",
    id: str | int | None = None,
    retry: int | None = None,
) -> str:
    r"""
    One event as text; see encode_event.

    >>> format_sse_event("message", "data", "id-123", 1000)
    'event: message\ndata: data\nid: id-123\nretry: 1000\n\n'
    """
    return encode_event(event, data, id, retry).decode()


def encode_comment(text: str) -> bytes:
    r"""
    A comment, which readers ignore and proxies take for a sign of life.

    >>> encode_comment("ping")
    b': ping\n\n'

    Each line of ``text`` is prefixed (W6). The empty line after it keeps the comment apart for
    readers that cut the stream at empty lines.

    Raises:
        ConfigurationError: No text, or one with a lone surrogate.
    """
    return _encode([": " + line for line in _LINE_END.split(_text("comment", text))])


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{name} must be text, got {type(value).__name__}")
    return value


def _single_line(name: str, value: object) -> str:
    value = _text(name, value)
    if "\n" in value or "\r" in value:
        raise ConfigurationError(f"{name} must be one line, got {value[:40]!r}")
    return value


def _encode(lines: list[str]) -> bytes:
    try:
        return ("\n".join(lines) + "\n\n").encode()
    except UnicodeEncodeError as error:
        position, bad = error.start, error.object[error.start]
    # Raised out here: the error above holds the whole text, and would be the context of ours.
    raise ConfigurationError(f"a lone surrogate cannot be UTF-8, got {bad!r} at {position}")
