"""
Where services put the message, code and type of an error: one reader for all shapes.

Source: WIRE_FORMATS.md section 16. The body may be JSON, SSE, HTML or text, and cut anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from streamkit.errors import ProtocolError
from streamkit.wire.jsontext import parse
from streamkit.wire.surrogates import clean

__all__ = ["Details", "printable", "read_details"]

#: Characters of a message that are shown. Source: PROMISES.md P36.
MAX_MESSAGE = 500

#: Where a message stands, best first; each may hold text, an object with a message, or a list.
_PLACES = ("message", "Message", "detail", "errors", "msg", "error")  # Message: AWS, at its front
#: Objects and lists within each other that are looked into; Mistral's are four deep.
_LEVELS = 6


class Details(NamedTuple):
    """
    What an error body says; None where it is silent.

    Thread safety: **immutable**.
    """

    message: str | None = None  # as it is; printable() shows it
    code: str | int | None = None
    type: str | None = None
    request_id: str | None = None


def read_details(text: str) -> Details:
    """What the body of an error says; nothing is lost by that, the raw text is kept beside it."""
    text = text.lstrip("\ufeff \t\r\n")
    if text[:1] in ("{", "["):
        try:
            return _read_value(parse(text))
        except ProtocolError:
            pass  # cut in the middle: shown as it is
    for data in _data_lines(text):
        try:
            details = _read_value(parse(data))
        except ProtocolError:
            continue
        if details.message:
            return details
    if not text or text[:1] == "<":
        return Details()  # a web page is no message; the status line says more
    return Details(message=_words(text.strip()))


def _data_lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if line.startswith("data:"):
            yield line[5:].strip()


def _read_value(value: Any) -> Details:
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        return Details(message=_words(value))
    error = value.get("error")
    source = error if isinstance(error, dict) else _first(value.get("errors")) or value
    said = _message(error, _LEVELS) or _message(value, _LEVELS)
    # ``type: error`` says that this is an error, not which.
    words = [_code(source.get("type")), _code(source.get("status")), _code(value.get("error_type"))]
    kind = next((word for word in words if isinstance(word, str) and word != "error"), None)
    code, request = _code(source.get("code")), _text(value.get("request_id"))
    return Details(_words(said), code, kind, request)


def _message(value: Any, levels: int) -> str:
    """The text in a value: itself, the best place of an object, all that a list says."""
    if isinstance(value, str):
        return value if value.strip() else ""
    if isinstance(value, list) and levels:
        # No more are read than are shown.
        texts = (_message(item, levels - 1) for item in value[:MAX_MESSAGE])
        return "; ".join(dict.fromkeys(text for text in texts if text))
    if isinstance(value, dict) and levels:
        texts = (_message(value.get(place), levels - 1) for place in _PLACES)
        return next((text for text in texts if text), "")
    return ""


def _first(value: Any) -> dict[str, Any] | None:
    """The first element of a list of objects."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def _text(value: Any) -> str | None:
    return printable(value, MAX_MESSAGE) if isinstance(value, str) and value.strip() else None


def _words(value: Any) -> str | None:
    return clean(value) if isinstance(value, str) and value.strip() else None


def _code(value: Any) -> str | int | None:
    if isinstance(value, str):
        return printable(value, 100) or None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def printable(text: str, limit: int) -> str:
    """At most ``limit`` characters, with control, format and bidi characters shown escaped."""
    head = clean(text[:limit]).strip()
    if head.isprintable():
        return head
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in head)
    return "".join(shown)[:limit]
