"""
Reading an HTTP answer by the clocks, headers included.

urllib3's own time-out starts again with every byte, so a trickle never trips it. Here every recv is
armed from the nearest clock, and http.client reads through it without knowing.

The Link of the request being sent travels in a thread-local: nothing between requests and the
connection passes an argument of ours through.
"""

from __future__ import annotations

import http.client
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typing_extensions import override
from urllib3.exceptions import InvalidHeader

from streamkit.transport.base import Link

__all__ = ["ClockedIO", "Response", "adopt", "current", "sending"]

#: Bytes asked of the kernel at once; one recv then serves many events, at 32 KiB a stream.
BUFFER = 32 * 1024

#: Interim answers (1xx) read past before the real one; more are an attack. Chosen; not measured.
MAX_INTERIM = 100

#: Bytes of status lines and headers (PROMISES.md P64), give or take a BUFFER. http.client bounds
#: each line alone, to as much, and their number to 100.
MAX_HEAD = 64 * 1024

_local = threading.local()


@contextmanager
def sending(link: Link) -> Iterator[None]:
    """Requests sent by this thread inside the block belong to this link."""
    outer = getattr(_local, "link", None)
    _local.link = link
    try:
        yield
    finally:
        _local.link = outer


def current() -> Link:
    """The link of the request that this thread is sending."""
    link: Link = _local.link  # our connections are used inside ``sending`` only
    return link


class ClockedIO(io.RawIOBase):
    """
    The bytes of a socket, as a raw file that waits no longer than the clocks allow.

    Thread safety: **confined** to the reading thread.

    Args:
        sock: A plain or TLS socket.
        file: The socket's own raw file; closing it is what lets the socket close.
        link: Whose clocks to obey.
        ahead: Bytes that were read from the socket already; they come first.
    """

    def __init__(
        self, sock: socket.socket, file: io.RawIOBase, link: Link, ahead: bytes = b""
    ) -> None:
        super().__init__()
        self.link = link
        #: No more is read: what the buffer above holds is all.
        self.stopped = False
        #: What comes belongs to the head of the answer.
        self.in_head = False
        self._ahead = ahead
        self._sock = sock
        self._file = file
        self._armed = 0.0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any) -> int:
        """
        Wait for bytes, at most until the nearest clock runs out.

        Raises:
            TimeoutError: A clock ran out (``link.expired`` says which), or ``link.until`` came.
            OSError: The link was aborted, or the connection broke.
            LineTooLong: The head of the answer is too long.
        """
        if self.stopped:
            return 0
        if self._ahead:
            piece = self._ahead[: len(buffer)]
            buffer[: len(piece)] = piece
            self._ahead = self._ahead[len(piece) :]
            return len(piece)
        link = self.link
        if self.in_head and link.received > MAX_HEAD:
            raise http.client.LineTooLong("head")
        clocks = link.clocks
        while True:
            patience = link.patience()
            if patience != self._armed:
                self._sock.settimeout(patience)
                self._armed = patience
            start = clocks.now()
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError as error:
                clocks.waited(clocks.now() - start)
                if error.errno is not None:
                    raise  # the kernel gave the connection up
                continue
            clocks.waited(clocks.now() - start)
            if link.aborted:
                # What a shut-down TLS socket still hands out is not the answer.
                raise ConnectionAbortedError("aborted")
            if count:
                link.received += count
                clocks.heard()
            else:
                link.eof = True
            return count

    @override
    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()


class Response(http.client.HTTPResponse):
    """An HTTP response that reads by the clocks, and knows an answer from what surrounds it."""

    def __init__(self, sock: socket.socket, *args: Any, **keywords: Any) -> None:
        super().__init__(sock, *args, **keywords)
        self._clocked = ClockedIO(sock, self.fp.detach(), current())
        self.fp = io.BufferedReader(self._clocked, BUFFER)

    @override
    def begin(self) -> None:
        """
        Read the head.

        urllib3 would log a warning, which reaches stderr where logging is not set up, about a line
        that is no header and about a Content-Length beside chunks; both are dropped, as it does.

        Raises:
            InvalidHeader: The body has a transfer coding that is not undone.
        """
        self._clocked.in_head = True
        super().begin()
        self._clocked.in_head = False
        message = self.msg
        codings = ", ".join(message.get_all("transfer-encoding", ())).lower()
        if codings not in ("", "identity", "chunked"):
            raise InvalidHeader(f"transfer-encoding {codings[:40]!r}")
        message.defects.clear()
        message.set_payload("")
        if self.chunked:
            del message["content-length"]

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # http.client reads past 100 only, and takes 102 and 103 for the answer (FACTS.md
            # section 5). 101 would be the answer to a question we never ask.
            if status >= 200 or status == 101:
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException(f"got more than {MAX_INTERIM} interim answers")

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:  # int() reads a sign, and http.client would take what follows for the body
            raise ValueError("a negative chunk size")
        return size

    def _read1_chunked(self, n: int) -> bytes:
        """
        What http.client gives, one chunk, and the whole chunks that wait in the buffer behind it.

        Servers send each event as a chunk. When the reader has fallen behind, one recv holds
        dozens; taken together, all that a read costs from here to the user's loop is paid once.
        Never blocks where http.client would not. Anything unusual is left to the next call.
        """
        first: bytes = super()._read1_chunked(n)  # type: ignore[misc]
        if not first or self.chunk_left:
            return first
        self._clocked.stopped = True  # peek() on an empty buffer would receive
        ahead = self.fp.peek()
        self._clocked.stopped = False
        parts, size, at = [first], len(first), 0
        # Each turn: the CRLF that ends the chunk before, a size, its CRLF, and all of its bytes.
        while ahead[at : at + 2] == b"\r\n":
            end = ahead.find(b"\r\n", at + 2, at + 20)
            digits = ahead[at + 2 : end]
            if end < 0 or not digits.isalnum():
                break
            try:
                length = int(digits, 16)
            except ValueError:
                break
            size += length
            if not length or size > n or end + 2 + length > len(ahead):
                break
            at = end + 2 + length
            parts.append(ahead[end + 2 : at])
        self.fp.read(at)
        return b"".join(parts)

    def _close_conn(self) -> None:
        # The buffer goes with the file. Bytes in it belong to no answer, and the rest of them may
        # still be on the way: that connection must not be kept.
        self._clocked.stopped = True
        self._clocked.link.surplus = bool(self.fp.peek())
        super()._close_conn()  # type: ignore[misc]


def adopt(body: Any, link: Link) -> None:
    """
    Put the body of a foreign connection's answer under our clocks and our abort.

    The connection's own class read the headers; from here on its socket waits by the link. What its
    buffered file holds already is taken over. A body without a socket (a mock) is left.
    """
    file: Any = getattr(body, "fp", None)
    sock: Any = getattr(getattr(file, "raw", None), "_sock", None)
    if not isinstance(file, io.BufferedReader) or not hasattr(sock, "recv_into"):
        return
    link.attach(sock, reused=False)
    sock.settimeout(0)
    try:
        ahead = bytes(file.peek())
    except OSError:  # TLS says "want read" as an error: nothing is there yet
        ahead = b""
    link.received = len(ahead)
    body.fp = io.BufferedReader(ClockedIO(sock, file.detach(), link, ahead), BUFFER)
