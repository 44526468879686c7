"""
A socket that is never blind: whatever it waits for, it sees the client go.

The socket is non-blocking; every wait is a poll that also watches for the client's bytes, so a
close by the client, or ``abort()`` from another thread, ends a pause, a blocked send and a blocked
read at once. Bytes the client sends meanwhile are kept for the next request. A client that
closes only its own direction counts as gone, as it does with most servers.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
from time import monotonic

from streamkit.testing.record import RecordedRequest

__all__ = ["Gone", "Link"]

# poll knows no FD_SETSIZE, which select hits at 1024 descriptors; epoll would cost one more each.
_Poll = getattr(selectors, "PollSelector", selectors.SelectSelector)
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
#: How long a closed direction waits for the client to close the other. Chosen; not measured.
LINGER = 2.0


class Gone(Exception):
    """The client closed or reset the connection, or abort() did."""


class Link:
    """
    One accepted connection.

    Thread safety: **confined**, but for abort().
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.inbox = bytearray()

    def wrap(self, context: ssl.SSLContext) -> None:
        """
        Put TLS on the socket; nothing is sent yet.

        Raises:
            Gone: The client has gone already.
        """
        try:
            self.sock = context.wrap_socket(
                self.sock, server_side=True, do_handshake_on_connect=False
            )
        except OSError as error:
            raise Gone from error

    def start_tls(self) -> None:
        """
        Shake hands, after wrap().

        Raises:
            Gone: The client does not speak TLS, or does not like ours.
        """
        assert isinstance(self.sock, ssl.SSLSocket)
        while True:
            try:
                return self.sock.do_handshake()
            except ssl.SSLWantWriteError:
                self._poll(selectors.EVENT_WRITE)
            except ssl.SSLWantReadError:
                self._poll(selectors.EVENT_READ)
            except OSError as error:
                raise Gone from error

    def fill(self) -> None:
        """
        Wait for bytes of the client.

        Raises:
            Gone: None will come.
        """
        before = len(self.inbox)
        while self._absorb() == before:
            self._poll(selectors.EVENT_READ)

    def sleep(self, seconds: float | None, wake: socket.socket | None = None) -> None:
        """
        Wait so long, or until ``wake`` is readable; None waits for ever.

        Raises:
            Gone: As soon as the client has closed the connection.
        """
        deadline = None if seconds is None else monotonic() + seconds
        while True:
            self._absorb()
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return
            if wake is not None and self._poll(selectors.EVENT_READ, left, wake):
                return
            if wake is None:
                self._poll(selectors.EVENT_READ, left)

    def send(self, data: bytes, request: RecordedRequest | None = None) -> None:
        """
        Write all of it, waiting for the client to read as long as need be.

        Raises:
            Gone: The client closed the connection.
        """
        rest: bytes | memoryview = data
        while True:
            try:
                taken = self.sock.send(rest)
            except _AGAIN:
                taken = 0
            except OSError as error:
                raise Gone from error
            if request is not None:
                request.bytes_written += taken
            if taken == len(rest):
                return
            rest = memoryview(rest)[taken:]
            self._wait_for_room(request)

    def finish(self) -> None:
        """Say goodbye (over TLS with close_notify), then wait a little for the client to close."""
        if isinstance(self.sock, ssl.SSLSocket):
            # Non-blocking: our close_notify is sent, and its answer not waited for.
            with contextlib.suppress(OSError, ValueError):
                self.sock.unwrap()
        self.fin()

    def fin(self) -> None:
        """
        Send a FIN, then wait a little for the client to close.

        A close with unread bytes would send a reset in place of the FIN.

        Raises:
            Gone: The client has closed, too.
        """
        with contextlib.suppress(OSError):
            # SSLSocket.shutdown() would drop its SSL layer under our hands; this is only the FIN.
            socket.socket.shutdown(self.sock, socket.SHUT_WR)
        self.sleep(LINGER)

    def reset(self) -> None:
        """Make the close send a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def abort(self) -> None:
        """Wake whatever the other thread waits for. Any thread."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _wait_for_room(self, request: RecordedRequest | None) -> None:
        if request is not None:
            request.blocked_since = monotonic()
        try:
            self._poll(selectors.EVENT_WRITE | selectors.EVENT_READ)
            self._absorb()
        finally:
            if request is not None and request.blocked_since is not None:
                request.blocked_before += monotonic() - request.blocked_since
                request.blocked_since = None

    def _absorb(self) -> int:
        """Take what the client sent, without waiting; how much there is now."""
        try:
            while data := self.sock.recv(1 << 16):
                self.inbox += data
        except _AGAIN:
            return len(self.inbox)
        except OSError as error:
            raise Gone from error
        raise Gone

    def _poll(
        self, events: int, timeout: float | None = None, wake: socket.socket | None = None
    ) -> bool:
        """Wait for the socket or ``wake``; whether it was ``wake``."""
        with _Poll() as poll:
            poll.register(self.sock, events)
            if wake is not None:
                poll.register(wake, selectors.EVENT_READ)
            return any(key.fileobj is wake for key, _ in poll.select(timeout))
