"""
Our urllib3 connections and pools: clocks at each recv, abort in every phase.

requests sends through an adapter, which owns pool managers, which own pools, which own connections;
ours differ from urllib3's in three places. A connection ties its socket to the Link of the stream
that uses it, before TLS, before the first byte is sent. Its responses read through ``ClockedIO``,
which arms the socket's time-out from the nearest clock at each recv, headers included: urllib3's own
time-out starts again with every byte, so a trickle never trips it. A pool drops what it cannot keep
without a warning, and makes a new connection when asked for a fresh one.

The Link of the request being sent travels in a thread-local: nothing between requests and the
connection passes an argument of ours through.
"""

from __future__ import annotations

import http.client
import io
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager, ProxyManager

from streamkit.transport.base import Link

__all__ = ["Adapter", "ClockedIO", "adopt", "sending"]

#: Bytes asked of the kernel at once; one recv then serves many events, at 32 KiB a stream.
BUFFER = 32 * 1024

#: Longest time-out armed on a socket. A wait longer than this goes round the loop again; a fixed
#: value saves the system call that changing it costs at every recv.
SLICE = 5.0

#: Idle connections kept per host; more streams than that may run, their connections are not kept.
POOL_SIZE = 32

_local = threading.local()


@contextmanager
def sending(link: Link) -> Iterator[None]:
    """Requests sent by this thread inside the block belong to this link."""
    _local.link = link
    try:
        yield
    finally:
        _local.link = None


def _current() -> Link | None:
    return getattr(_local, "link", None)


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
        self._ahead = ahead
        self._sock = sock
        self._file = file
        self._link = link
        self._armed: float | None = None

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
        """
        if self._ahead:
            piece = self._ahead[: len(buffer)]
            buffer[: len(piece)] = piece
            self._ahead = self._ahead[len(piece) :]
            return len(piece)
        link = self._link
        clocks = link.clocks
        while True:
            self._arm()
            start = clocks.now()
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError:
                clocks.waited(clocks.now() - start)
                if link.aborted:
                    raise
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

    def _arm(self) -> None:
        link = self._link
        left = link.clocks.left()
        if left <= 0:
            link.expired = link.clocks.expired()
            raise TimeoutError("a clock ran out")
        if link.until is not None:
            left = min(left, link.until - link.clocks.now())
            if left <= 0:
                raise TimeoutError("no more patience")
        wanted = left if left < SLICE else SLICE
        if wanted != self._armed:
            self._sock.settimeout(wanted)
            self._armed = wanted

    @override
    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()


class Response(http.client.HTTPResponse):
    """An HTTP response that reads by the clocks and skips every interim answer, not only 100."""

    def __init__(self, sock: socket.socket, *args: Any, **keywords: Any) -> None:
        super().__init__(sock, *args, **keywords)
        link = _current()
        if link is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(ClockedIO(sock, raw, link), BUFFER)

    def _read_status(self) -> tuple[str, int, str]:
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            # 102 and 103 precede the real answer; http.client takes them for it (FACTS.md section 5).
            # 100 is left to http.client, 101 would be an answer to a question we never ask.
            if status not in (102, 103):
                return version, status, reason
            http.client.parse_headers(self.fp)


class _Linked:
    """What our plain and TLS connections have in common."""

    sock: Any
    timeout: Any
    response_class: Any = Response

    def _new_conn(self) -> socket.socket:
        link = _current()
        if link is not None:
            link.clocks.reconnecting()
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        if link is not None:
            link.attach(sock, reused=False)
            # The rest of the connect clock is what the TLS handshake gets.
            sock.settimeout(max(0.001, link.clocks.left()))
        return sock

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        link = _current()
        if link is not None:
            link.clocks.connected()
            # Sending a long prompt is waiting for the first content; urllib3 would allow the
            # connect time-out for it, in all.
            self.sock.settimeout(max(0.001, min(link.clocks.left(), 1e6)))

    def request(self, *args: Any, **keywords: Any) -> None:
        link = _current()
        if link is not None and self.sock is not None:
            link.attach(self.sock, reused=True)
            link.clocks.connected()
        super().request(*args, **keywords)  # type: ignore[misc]


def adopt(body: Any, link: Link) -> None:
    """
    Put the body of a foreign session's answer under our clocks and our abort.

    The session's own connection class read the headers; from here on its socket waits by the link.
    What its buffered file holds already is taken over. A body without a socket (a mock) is left.
    """
    file = getattr(body, "fp", None)
    raw = getattr(file, "raw", None)
    sock = getattr(raw, "_sock", None)
    if not isinstance(file, io.BufferedReader) or sock is None or not hasattr(sock, "recv_into"):
        return
    link.attach(sock, reused=False)
    sock.settimeout(0)
    try:
        ahead = bytes(file.peek())
    except OSError:  # TLS says "want read" as an error: nothing is there yet
        ahead = b""
    link.received = len(ahead)
    body.fp = io.BufferedReader(ClockedIO(sock, file.detach(), link, ahead), BUFFER)


_KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]


class Connection(_Linked, HTTPConnection):
    default_socket_options = [*HTTPConnection.default_socket_options, *_KEEPALIVE]


class TLSConnection(_Linked, HTTPSConnection):
    default_socket_options = [*HTTPSConnection.default_socket_options, *_KEEPALIVE]


class _QuietPool:
    """Keeps what fits, closes the rest without urllib3's warning, which would reach stderr."""

    pool: Any

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            try:
                self.pool.put(conn, block=False)
                return
            except (queue.Full, AttributeError):  # AttributeError: the pool was closed meanwhile
                conn.close()

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn = super()._get_conn(timeout)  # type: ignore[misc]
        link = _current()
        if link is not None and link.fresh:
            conn.close()  # it connects again by itself
        return conn


class Pool(_QuietPool, HTTPConnectionPool):
    ConnectionCls = Connection


class TLSPool(_QuietPool, HTTPSConnectionPool):
    ConnectionCls = TLSConnection


_POOLS = {"http": Pool, "https": TLSPool}


class Adapter(HTTPAdapter):
    """
    requests' adapter with our pools, for direct and proxied connections.

    A SOCKS proxy keeps its own pools: there the clocks start with the headers.
    """

    def __init__(self) -> None:
        super().__init__(pool_connections=POOL_SIZE, pool_maxsize=POOL_SIZE, max_retries=0)

    @override
    def init_poolmanager(self, *args: Any, **keywords: Any) -> None:
        super().init_poolmanager(*args, **keywords)
        _install(self.poolmanager)

    @override
    def proxy_manager_for(self, proxy: str, **keywords: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(proxy, **keywords)
        if type(manager) is ProxyManager:
            _install(manager)
        return manager


def _install(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = dict(_POOLS)
