"""
Bodies and heads as HTTP/1.1 bytes: content coding, then framing. Pure.

Source: RFC 9112 sections 4, 6 and 7, RFC 9110 section 8.4.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from http import HTTPStatus

from streamkit.testing.delivery import Framing, Headers
from streamkit.testing.plan import Plan

__all__ = ["Body", "head"]

#: zlib's window bits: 16 more is a gzip wrapper, negative is no wrapper.
_WINDOW = {"gzip": 31, "deflate": 15, "raw-deflate": -15}


class Body:
    """
    What a piece of the body looks like on the connection.

    Thread safety: **confined**.
    """

    def __init__(self, plan: Plan, framing: Framing) -> None:
        self._kind = framing.kind
        self._size = plan.wire.size if plan.wire else None
        self._rewrite = plan.wire.rewrite if plan.wire else None
        self._flush = plan.coding is not None and plan.coding.flush
        names = plan.coding.chain() if plan.coding else ()
        self._coders = [zlib.compressobj(wbits=_WINDOW[name]) for name in names]

    def pieces(self, data: bytes) -> Iterable[tuple[int, bytes]]:
        """Bytes of one send -> how many bytes of body, and what to write."""
        if self._rewrite is not None:
            data = self._rewrite(data)
        for coder in self._coders:
            data = coder.compress(data)
            if self._flush:
                data += coder.flush(zlib.Z_SYNC_FLUSH)
        if self._size is None:
            return ((len(data), self._framed(data)),) if data else ()
        return self._cut(data, self._size)

    def end(self, *, complete: bool) -> Iterator[tuple[int, bytes]]:
        """
        The end of the body; without ``complete`` a compressed one lacks its own end.
        """
        tail = b""
        for coder in self._coders if complete else ():
            tail = (coder.compress(tail) if tail else b"") + coder.flush()
        if tail:
            yield len(tail), self._framed(tail)
        if self._kind == "chunked":
            yield 0, b"0\r\n\r\n"

    def _cut(self, data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
        for start in range(0, len(data), size):
            part = data[start : start + size]
            yield len(part), self._framed(part)

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._kind == "chunked" else data


def head(status: int, fields: Iterable[tuple[str, str]], changes: Iterable[Headers]) -> bytes:
    """The status line and the headers, after what the script changes in them."""
    kept = list(fields)
    for change in changes:
        status = change.status or status
        given = change.headers
        pairs = list(given.items() if hasattr(given, "items") else given)
        replaced = {name.lower() for name, _ in pairs}
        kept = [(name, value) for name, value in kept if name.lower() not in replaced]
        kept += [(name, value) for name, value in pairs if value is not None]
    lines = [f"HTTP/1.1 {status} {_phrase(status)}", *(f"{name}: {value}" for name, value in kept)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Overloaded" if status == 529 else "Unknown"
