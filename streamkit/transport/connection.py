"""
Our urllib3 connections and pools: abort in every phase, sending by the clocks.

requests sends through an adapter, which owns pool managers, which own pools, which own connections;
ours differ from urllib3's in four places. A connection ties its socket to the Link of the stream
that uses it, before TCP connect and TLS. It sends long bodies piece by piece, so that a slow server
is timed by its progress. Its responses read by the clocks (reading.py). A pool drops what it cannot
keep without a warning, and makes a new connection when asked for a fresh one.
"""

from __future__ import annotations

import queue
import socket
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError, NameResolutionError, NewConnectionError
from urllib3.poolmanager import PoolManager, ProxyManager
from urllib3.util.connection import allowed_gai_family

from streamkit.transport.base import Link
from streamkit.transport.reading import Response, current

__all__ = ["LONGEST", "Adapter", "Linked"]

#: Bytes offered to the kernel at once; what a slow server takes of them is its sign of life.
PIECE = 256 * 1024

#: The longest time-out given to a socket: a C timeval holds no infinity.
LONGEST = 1e6

#: Idle connections kept per host; more streams than that may run, their connections are not kept.
POOL_SIZE = 32

#: Small writes go out at once, and a peer that vanished during a long silence is found after 6
#: minutes, as with the SDKs of openai and anthropic. The kernel's own keep-alive waits two hours.
_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 60), ("TCP_KEEPCNT", 5))
        if hasattr(socket, name)
    ),
]


class Linked:
    """What our plain and TLS connections have in common."""

    sock: Any
    response_class: Any = Response

    def _new_conn(self) -> socket.socket:
        link = current()
        link.clocks.connecting()
        return dial(self, link)

    def _tunnel(self) -> None:
        super()._tunnel()  # type: ignore[misc]
        self.sock.settimeout(_handshake_time(current()))

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        current().clocks.connected()

    def request(self, *args: Any, **keywords: Any) -> None:
        link = current()
        if self.sock is not None and not link.attached:
            link.attach(self.sock, reused=True)
            link.clocks.connected()
        super().request(*args, **keywords)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        """
        Send all of it; a server that is slow to take it is waited for as long as it takes some.

        sendall() would allow the time-out for the whole body, be it a prompt of 50 MB.
        """
        link = current()
        clocks = link.clocks
        if self.sock is None:
            self.connect()
        rest = memoryview(data)
        while rest:
            self.sock.settimeout(link.patience())
            start = clocks.now()
            taken = 0
            try:
                taken = self.sock.send(rest[:PIECE])
            except TimeoutError as error:
                if error.errno is not None:
                    raise
            clocks.waited_to_send(clocks.now() - start)
            if taken:
                clocks.heard()
            rest = rest[taken:]


def dial(connection: Any, link: Link) -> socket.socket:
    """
    Connect to the host of a connection; the link reaches the socket from the start.

    The time that the connect clock leaves is shared among the addresses still to try, so that one
    that swallows everything does not keep us from the next. What is left then is the time-out of
    the socket, for its handshakes.

    Raises:
        NameResolutionError, NewConnectionError: As urllib3's own; nothing was reached.
        TimeoutError, ConnectionAbortedError: As Link.patience().
    """
    host = connection.host.strip("[]")
    try:
        found = socket.getaddrinfo(host, connection.port, allowed_gai_family(), socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:  # UnicodeError: no DNS name looks like that
        raise NameResolutionError(host, connection, error) from error  # type: ignore[arg-type]
    failed: OSError | None = None
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        link.patience()
        share = link.clocks.left() / (len(found) - tried)
        try:
            return _dial_one(socket.socket(family, kind, protocol), address, share, link)
        except OSError as error:
            failed = error
    link.patience()
    raise NewConnectionError(connection, str(failed)) from failed


def _dial_one(sock: socket.socket, address: Any, timeout: float, link: Link) -> socket.socket:
    try:
        for option in _OPTIONS:
            sock.setsockopt(*option)
        link.attach(sock, reused=False)
        sock.settimeout(min(timeout, LONGEST))
        sock.connect(address)
        if link.aborted:  # the kernel calls a connect that was shut down a success
            raise ConnectionAbortedError("aborted")
        sock.settimeout(_handshake_time(link))
    except BaseException:
        sock.close()
        raise
    return sock


def _handshake_time(link: Link) -> float:
    """What is left to shake hands: the ssl module keeps to it over all its reads and writes."""
    link.patience()
    return min(link.clocks.left(), LONGEST)


class Connection(Linked, HTTPConnection):
    """Plain HTTP, to the server or to a proxy."""


class TLSConnection(Linked, HTTPSConnection):
    """HTTPS, direct or through a tunnel."""


class _QuietPool:
    """Keeps what fits, closes the rest without urllib3's warning, which would reach stderr."""

    pool: Any

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            try:
                self.pool.put(conn, block=False)
            except (queue.Full, AttributeError):  # AttributeError: the pool was closed meanwhile
                conn.close()

    def _get_conn(self, timeout: float | None = None) -> Any:
        try:
            conn = super()._get_conn(timeout)  # type: ignore[misc]
        except ClosedPoolError:  # between finding the pool and this; the connection is not kept
            conn = self._new_conn()  # type: ignore[attr-defined]
        if current().fresh:
            conn.close()  # it connects again by itself
        return conn


class Pool(_QuietPool, HTTPConnectionPool):
    """Connections to one host, plain."""

    ConnectionCls = Connection


class TLSPool(_QuietPool, HTTPSConnectionPool):
    """Connections to one host, TLS."""

    ConnectionCls = TLSConnection


class Adapter(HTTPAdapter):
    """
    requests' adapter with our pools, for direct and proxied connections.

    A SOCKS proxy keeps its own pools; there clocks and abort begin with the headers.
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

    @override
    def close(self) -> None:
        """
        Close the idle connections, now.

        A pool alone does so when nothing refers to it any more, and the traceback of an error that
        the user keeps may refer to it for long. Pools in use go on: they are emptied, not closed.
        """
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - it has no __iter__
                if (pool := manager.pools.get(key)) is not None and pool.pool is not None:
                    _empty(pool.pool)
        super().close()

    @override
    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """As requests does, but without its cookies, whose parser warns of odd ones."""
        message: Any = getattr(resp._original_response, "msg", ())
        for name in ("Set-Cookie", "Set-Cookie2"):
            if name in message:
                del message[name]
        return super().build_response(req, resp)


def _install(manager: PoolManager) -> None:
    manager.pool_classes_by_scheme = {"http": Pool, "https": TLSPool}


def _empty(idle: queue.LifoQueue[Any]) -> None:
    try:
        while True:
            if (connection := idle.get(block=False)) is not None:
                connection.close()
    except queue.Empty:
        pass
