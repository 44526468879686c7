"""
Events -> bytes of server-sent events, the mirror of sse.py.

Source: SSE_RULES W1 to W8. Everything is checked before the first byte is made: a refused call
leaves nothing on the wire.
"""

from __future__ import annotations

import re

from streamkit.errors import ConfigurationError
from streamkit.wire.sse import MAX_RETRY

__all__ = ["encode_comment", "encode_event"]

#: What a reader takes for the end of a line; U+2028 and its like stay inside (W2).
_LINE_END = re.compile(r"\r\n|\n|\r")


def encode_event(
    event: str | None, data: str, id: str | None = None, retry: int | None = None
) -> bytes:
    r"""
    One event, closed by its empty line.

    >>> encode_event("delta", "a\nb", "7")
    b'event: delta\ndata: a\ndata: b\nid: 7\n\n'

    Line ends in ``data`` arrive as LF, whatever they were; all else arrives as it is.

    Args:
        event: The type; None leaves the field out.
        data: Any text; "" is an event with empty data.
        id: None leaves the field out; "" is a value and resets the reader's id (W8).
        retry: The reader's reconnection time in ms, 0 to 10**15.

    Raises:
        ConfigurationError: A line end in ``event`` or ``id``, U+0000 in ``id``, a lone surrogate
            anywhere, or a ``retry`` out of range.
    """
    lines: list[str] = []
    if event is not None:
        lines.append("event: " + _single_line("event", event))
    lines += ["data: " + line for line in _LINE_END.split(data)]
    if id is not None:
        if "\0" in id:
            raise ConfigurationError(f"id must not hold U+0000, got {id[:40]!r}")
        lines.append("id: " + _single_line("id", id))
    if retry is not None:
        # The value is shown only where it is short: repr() refuses ints of over 4,300 digits.
        if isinstance(retry, bool) or not isinstance(retry, int):
            raise ConfigurationError(f"retry must be whole milliseconds, got {retry!r}")
        if not 0 <= retry <= MAX_RETRY:
            got = "less" if retry < 0 else "more"
            raise ConfigurationError(f"retry must be from 0 to {MAX_RETRY} ms, got {got}")
        lines.append(f"retry: {retry}")
    return _encode(lines)


def encode_comment(text: str) -> bytes:
    r"""
    A comment, which readers ignore and proxies take for a sign of life.

    >>> encode_comment("ping")
    b': ping\n\n'

    Each line of ``text`` is prefixed (W6). The empty line after it keeps the comment apart for
    readers that cut the stream at empty lines.

    Raises:
        ConfigurationError: A lone surrogate.
    """
    return _encode([": " + line for line in _LINE_END.split(text)])


def _single_line(name: str, value: str) -> str:
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
