"""
AWS event-stream frames, written. Pure.

Source: WIRE_FORMATS.md section 1.3, and the recordings of section 13.
"""

from __future__ import annotations

from functools import cache
from zlib import crc32

__all__ = ["frame"]

#: The type of a header whose value is text.
_STRING = 7


def frame(kind: str, payload: bytes, *, message: str = "event") -> bytes:
    """
    A frame whose type is ``kind``, with both checksums.

    >>> frame("chunk", b"{}")[:4]
    b'\\x00\\x00\\x00]'

    Args:
        kind: The event's type, or the exception's.
        payload: JSON.
        message: ``event`` or ``exception``.
    """
    headers = _headers(kind, message)
    total = 12 + len(headers) + len(payload) + 4
    prelude = total.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    data = b"".join((prelude, crc32(prelude).to_bytes(4, "big"), headers, payload))
    return data + crc32(data).to_bytes(4, "big")


@cache
def _headers(kind: str, message: str) -> bytes:
    fields = (
        (f":{message}-type", kind),
        (":content-type", "application/json"),
        (":message-type", message),
    )
    return b"".join(
        bytes((len(name),))
        + name.encode()
        + bytes((_STRING,))
        + len(value).to_bytes(2, "big")
        + value.encode()
        for name, value in fields
    )
