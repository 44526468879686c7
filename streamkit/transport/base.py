"""
What a transport is: it opens a Request and gives the bytes of the answer as they come.

Also the Link, which ties one stream to whatever socket serves it now: the reading thread waits
through it by the clocks, any thread cuts it.

How cancel works. ``Link.abort()`` sets a flag, then shuts the socket down through a duplicate of its
descriptor; the blocked read wakes with an end of file, sees the flag, and its own thread closes. The
duplicate is taken before TLS: a handshake detaches the original object, and shutting the TLS object
down would drop the cipher layer and hand ciphertext to the reader (FACTS.md section 5). abort() may
interrupt its own thread anywhere, so it only tries the lock; whoever holds it looks at the flag
again after letting go.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Protocol

from streamkit.deadline import Clocks
from streamkit.errors import StreamTimeout
from streamkit.process import generation
from streamkit.request import Request

__all__ = ["Aborted", "ByteStream", "Link", "Transport"]


class Aborted(Exception):
    """The stream was cancelled; never leaves the library."""


class Link:
    """
    One stream's hold on its socket.

    Thread safety: **shared**; abort() from any thread or signal handler, the rest from the reading
    thread.
    """

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks
        self.aborted = False
        #: Set when a clock ran out; the error to raise, whatever the layers below make of it.
        self.expired: StreamTimeout | None = None
        #: The peer's end of file was seen on the socket.
        self.eof = False
        #: The socket came from the pool, and how many bytes it has given for this request.
        self.reused = False
        self.received = 0
        #: Ask the pool for a new connection, not a kept one.
        self.fresh = False
        #: An instant that ends the present wait earlier than any clock: a drain, an error body.
        self.until: float | None = None
        self._generation = generation()
        self._lock = Lock()
        self._fd = -1  # guarded by _lock

    def abort(self) -> None:
        """Wake the blocked reader and tell the server we are gone; idempotent, never blocks."""
        self.aborted = True
        self._shutdown()

    def begin_attempt(self) -> None:
        """Forget what the last attempt saw; the clocks of one attempt start afresh."""
        self.expired = None
        self.until = None
        self.clocks.begin_attempt()

    def attach(self, sock: socket.socket, *, reused: bool) -> None:
        """The socket that serves from now on; taken before TLS."""
        self.reused = reused
        self.received = 0
        self.eof = False
        descriptor = os.dup(sock.fileno())
        with self._lock:
            old, self._fd = self._fd, descriptor
        if old >= 0:
            os.close(old)
        if self.aborted:
            self._shutdown()

    def detach(self) -> None:
        """Let the socket go, before it is closed or returns to the pool; abort() no longer cuts it."""
        with self._lock:
            old, self._fd = self._fd, -1
        if old >= 0:
            os.close(old)

    def _shutdown(self) -> None:
        # A forked child shares the parent's connection: shutting it down would cut the parent's stream.
        if self._generation != generation() or not self._lock.acquire(blocking=False):
            return
        try:
            if self._fd >= 0:
                sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=self._fd)
                try:
                    with suppress(OSError):  # not connected any more: nothing left to cut
                        sock.shutdown(socket.SHUT_RDWR)
                finally:
                    sock.detach()
        finally:
            self._lock.release()


class ByteStream(Protocol):
    """
    The answer to one request.

    Thread safety: **confined** to the reading thread.
    """

    status: int
    headers: Mapping[str, str]

    def read(self) -> bytes:
        """
        The next bytes as soon as any are there; b"" at a clean end of the body.

        Raises:
            Aborted: The link was cut by us.
            StreamTimeout: A clock ran out.
            StreamInterrupted: The connection broke, or the framing ended early.
            ProtocolError: The framing or the compression is malformed.
        """
        ...

    def read_error_body(self, limit: int) -> bytes:
        """What comes of an error body in 2 s, at most ``limit`` bytes; never raises but Aborted."""
        ...

    def finish(self) -> None:
        """After the terminal event: keep the connection if the body ends within 50 ms and 16 KiB."""
        ...

    def close(self) -> None:
        """Close the connection; idempotent."""
        ...


class Transport(Protocol):
    """
    Opens requests.

    Thread safety: **shared**.
    """

    def open(self, request: Request, link: Link) -> ByteStream:
        """
        Send the request, wait for the status and headers.

        Raises:
            Aborted, ConnectError, StreamTimeout, StreamInterrupted, ProtocolError, LimitExceeded.
        """
        ...

    def close(self) -> None:
        """Close the idle connections; streams that run go on."""
        ...
