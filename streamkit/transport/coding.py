"""
Undoing gzip and deflate: the same text however the bytes were cut, and the clocks always looking.

urllib3's decoders lose what they had decoded when the same bytes end in an error, so how much text
arrives would depend on how the network cut it. They also take as long as their input makes them:
73 KB of empty gzip members took 4.8 s in one call. Here each step is small and starts from a copy
of the state. A step that fails, or gives too much, is undone and tried again in smaller steps; so
everything before the one bad byte is given out before the error.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

from urllib3.exceptions import DecodeError

from streamkit.transport.base import Link

__all__ = ["INFLATED", "WIRE", "inflated"]

#: The codings undone here (RFC 9110 section 8.4.1); br and zstd are left to urllib3.
INFLATED = ("gzip", "x-gzip", "deflate")
#: Compressed bytes taken at once.
WIRE = 2048
#: Decoded bytes given out at once, at most (PROMISES.md P62).
PIECE = 65536
#: Compressed bytes of a second try. Deflate grows at most 1032-fold, so PIECE is never reached.
SMALL = 32


def inflated(
    source: Callable[[], bytes], codings: Sequence[str], link: Link
) -> Callable[[], bytes]:
    """What the source gives, with these codings undone, the last one first; b"" at the end."""
    for coding in reversed(codings):
        source = _Layer(source, coding, link).read
    return source


class _Layer:
    """
    One coding undone.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, source: Callable[[], bytes], coding: str, link: Link) -> None:
        self._source = source
        self._deflate = coding == "deflate"
        self._link = link
        #: A zlib object; None between the members of a gzip file.
        self._inflate: Any = None
        self._members = 0
        #: Taken from the source and not decoded yet, and how much of it the next step may take.
        self._rest = b""
        self._step = WIRE

    def read(self) -> bytes:
        """
        The next bytes, at most PIECE; b"" at the end of the source.

        Raises:
            DecodeError: The bytes are not what they should be.
            TimeoutError, ConnectionAbortedError: As Link.patience(), which is asked at each step.
        """
        clocks = self._link.clocks
        while True:
            if not self._rest:
                self._step = WIRE
                self._rest = self._source()
                if not self._rest:
                    return b""
            self._link.patience()
            start = clocks.now()
            if data := self._decode():
                return data
            clocks.waited(clocks.now() - start)  # work that brings nothing is the provider's

    def _decode(self) -> bytes:
        """One step."""
        if self._inflate is None and not self._begin(self._rest[0]):
            self._rest = b""
            return b""
        piece = self._rest[: self._step]
        before = self._inflate.copy()
        data: bytes | None = None
        try:
            data = self._inflate.decompress(piece, PIECE)
        except zlib.error as error:
            if len(piece) == 1:
                raise DecodeError(f"it cannot be decompressed: {error}") from error
        if data is None or len(data) == PIECE:
            self._inflate = before
            self._step = SMALL if self._step > SMALL else 1
            return b""
        self._rest = self._inflate.unused_data + self._rest[len(piece) :]
        if self._inflate.eof:
            self._inflate = None
        return data

    def _begin(self, first: int) -> bool:
        """Begin to decode at this byte; False if what follows the end is no part of the answer."""
        if self._members and (self._deflate or first != 0x1F):  # gzip begins with 1F 8B
            return False
        self._members += 1
        if self._deflate:  # in the zlib format, as it should be (low bits 8), or raw, as some send
            self._inflate = zlib.decompressobj(15 if first & 15 == 8 else -15)
        else:
            self._inflate = zlib.decompressobj(31)
        return True
