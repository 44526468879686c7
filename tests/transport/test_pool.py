"""Connections are kept where that is safe, dropped where it is not, and replaced when stale."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import streamkit
from streamkit import Client
from streamkit.errors import AuthenticationError, StreamInterrupted
from streamkit.testing import (
    FAULTS,
    AfterAnswer,
    BeforeHeaders,
    Coding,
    Done,
    Fin,
    Finish,
    Framing,
    Gate,
    Hang,
    Headers,
    LocalProvider,
    NextRequest,
    Pause,
    Raw,
    Repeat,
    Reset,
    Status,
    Text,
)
from streamkit.transport.connection import Pool
from streamkit.transport.http import HttpTransport

HI = Text("Hi")


@pytest.mark.parametrize("coding", [(), (Coding("gzip"),)], ids=["identity", "gzip"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_twenty_streams_in_a_row_use_one_connection(ask, serve, mode, framing, coding):
    provider = serve([Framing(framing), HI, *coding])
    for _ in range(20):
        assert ask(provider, mode).result().text == "Hi"
        assert provider.wait_finished() is not None
    assert provider.connections == 1


def test_over_tls_too(ask, serve, tls, trusted):
    provider = serve([HI], tls=tls)
    for _ in range(5):
        assert list(ask(provider)) == ["Hi"]
    assert provider.connections == 1


def test_a_refusal_keeps_the_connection(ask, serve):
    provider = serve(scripts=[[Status(429)], [Status(500)], [HI]])
    assert "".join(ask(provider, retry={"initial": 0.0})) == "Hi"
    assert (len(provider.requests), provider.connections) == (3, 1)


@pytest.mark.parametrize(
    "script",
    [
        [HI, Finish(), Done(), Hang()],
        [HI, Finish(), Done(), Repeat([Raw(b":" * 4096)])],
        [HI, Finish(), Done(), Repeat([Raw(b":"), Pause(0.01)])],
        [Framing("close"), HI],
        [Headers({"connection": "close"}), HI],
    ],
    ids=["done then hang", "endless tail", "slow tail", "close-delimited", "connection: close"],
)
def test_what_cannot_be_kept_is_closed(ask, serve, script):
    provider = serve(script)
    for _ in range(2):
        assert list(ask(provider)) == ["Hi"]
        assert provider.wait_disconnect() is not None
    assert provider.connections == 2


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_bytes_after_the_end_of_an_answer_are_nobodys(
    ask, serve, tls, trusted, framing, secure, eventually
):
    ghost = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nghost"
    plain = [Framing(framing), HI]
    provider = serve(
        scripts=[plain, [*plain, AfterAnswer([Raw(ghost)])]], tls=tls if secure else None
    )
    assert list(ask(provider)) == ["Hi"]
    assert provider.wait_finished() is not None
    size = provider.requests[0].bytes_written
    for number in (1, 2, 3):
        assert list(ask(provider)) == ["Hi"]
        request = provider.requests[number]
        eventually(lambda request=request: request.bytes_written > size or request.disconnected)


class OneShot:
    """Says the same bytes to each request of each connection, in one send."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"
        self.connections: list[socket.socket] = []
        self.requests = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.servers: list[threading.Thread] = []

    def run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(sock)
            self.servers.append(threading.Thread(target=self.serve, args=(sock,), daemon=True))
            self.servers[-1].start()

    def serve(self, sock: socket.socket) -> None:
        with sock:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    try:
                        data = sock.recv(65536)
                    except OSError:
                        return
                    if not data:
                        return
                    head += data
                head, _, body = head.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                while len(body) < length:
                    body += sock.recv(65536)
                self.requests += 1
                sock.sendall(self.answer)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.listener.close()
        for thread in self.servers:
            thread.join(5)


def answer(framing: str) -> bytes:
    body = (
        b'data: {"choices":[{"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    if framing == "length":
        return head + b"content-length: %d\r\n\r\n" % len(body) + body
    return head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\n\r\nghost", b"x", b"\r\n"])
def test_a_connection_with_bytes_read_ahead_is_not_kept(ask, framing, extra):
    server = OneShot(answer(framing) + extra)
    for _ in range(3):
        assert list(ask(server.url)) == ["Hi"]
    assert len(server.connections) == 3
    ask.client.close()
    server.close()


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_and_without_such_bytes_it_is(ask, framing):
    server = OneShot(answer(framing))
    for _ in range(3):
        assert list(ask(server.url)) == ["Hi"]
    assert len(server.connections) == 1
    ask.client.close()
    server.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    "after",
    [
        [Fin()],
        [Reset()],
        [NextRequest(), Fin()],
        [NextRequest(), Reset()],
    ],
    ids=["fin", "rst", "fin after the request", "rst after the request"],
)
def test_a_stale_connection_is_replaced_without_a_retry(
    ask, serve, tls, trusted, after, secure, eventually
):
    provider = serve(scripts=[[HI, AfterAnswer(after)], [HI]], tls=tls if secure else None)
    assert list(ask(provider)) == ["Hi"]
    if not isinstance(after[0], NextRequest):
        eventually(lambda: after[0] == Fin() or provider.open_connections == 0)
    stream = ask(provider)
    assert list(stream) == ["Hi"]
    assert [attempt.number for attempt in stream.result().attempts] == [1]
    assert provider.connections == 2


def test_several_stale_connections_cost_one_replacement(ask, serve):
    count = 5
    stale = [Gate(), HI, AfterAnswer([NextRequest(), Reset()])]
    provider = serve(scripts=[stale] * count + [[HI]])
    streams = [ask(provider, "buffered").start() for _ in range(count)]
    provider.wait_gate(count)
    provider.release(count)
    assert [stream.wait(5).text for stream in streams] == ["Hi"] * count
    for request in provider.requests:
        assert provider.wait_finished(request=request) is not None
    assert list(ask(provider)) == ["Hi"]
    assert provider.connections == count + 1


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_new_connection_that_dies_is_no_stale_one(ask, serve, tls, trusted, secure):
    provider = serve(FAULTS["rst-before-headers"], tls=tls if secure else None)
    _, error = ask.fail(provider)
    assert isinstance(error, StreamInterrupted)
    assert len(provider.requests) == 1


def test_a_kept_connection_that_dies_after_its_first_byte_is_no_stale_one(ask, serve):
    provider = serve(scripts=[[HI], [BeforeHeaders([Raw("HTTP/1.1 2"), Reset()])]])
    assert list(ask(provider)) == ["Hi"]
    _, error = ask.fail(provider)
    assert isinstance(error, StreamInterrupted)
    assert len(provider.requests) == 2


def test_an_abort_after_the_end_does_not_cut_whoever_has_the_connection_now(ask, serve):
    provider = serve(scripts=[[HI], [Text("one"), Gate(), Text(" two")]])
    transport = HttpTransport()
    first = ask.link()
    stream = transport.open(ask.request(provider.base_url()), first)
    while stream.read():
        pass
    stream.finish()
    second = transport.open(ask.request(provider.base_url()), ask.link())
    provider.wait_gate()
    first.abort()
    stream.close()
    provider.release()
    body = b""
    while data := second.read():
        body += data
    assert b" two" in body
    assert provider.connections == 1
    second.close()
    transport.close()


def test_no_connection_is_given_back_twice(ask, serve):
    provider = serve([Coding("gzip"), HI])
    transport = HttpTransport()
    for _ in range(3):
        stream = transport.open(ask.request(provider.base_url()), ask.link())
        while stream.read():
            pass
        stream.finish()
        stream.finish()
        stream.close()
    (session,) = transport._ours.values()
    (pool,) = _pools(session)
    waiting = [pool.pool.get_nowait() for _ in range(pool.pool.qsize())]
    alive = [connection for connection in waiting if connection is not None]
    assert len(alive) == 1
    alive[0].close()
    transport.close()


def _pools(session: Any) -> list[Any]:
    manager = session.get_adapter("http://x").poolmanager
    return [manager.pools[key] for key in manager.pools.keys()]  # noqa: SIM118 - not a dict


def test_kept_connections_are_probed_when_silent(ask, serve):
    provider = serve([Text("one"), Gate()])
    stream = ask(provider)
    pieces = iter(stream)
    next(pieces)
    sock = stream._run._link._twin
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    stream.close()


def test_more_streams_than_the_pool_keeps_are_no_warning(ask, serve, monkeypatch, caplog):
    monkeypatch.setattr("streamkit.transport.connection.POOL_SIZE", 2)
    provider = serve([Gate(), HI])
    streams = [ask(provider, "buffered").start() for _ in range(4)]
    provider.wait_gate(4)
    provider.release(4)
    assert [stream.wait(5).text for stream in streams] == ["Hi"] * 4
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_closed_client_lets_its_streams_end_and_leaves_nothing_open(ask, serve):
    provider = serve([Text("one"), Gate(), Text(" two")])
    pieces = iter(ask(provider))
    assert next(pieces) == "one"
    ask.client.close()
    provider.wait_gate()
    provider.release()
    assert list(pieces) == [" two"]
    assert provider.wait_idle()
    with pytest.raises(streamkit.ConfigurationError, match="the client is closed"):
        list(ask(provider))


def test_a_closed_transport_opens_again_and_keeps_nothing_open(ask, serve):
    provider = serve([HI])
    transport = HttpTransport()
    running = transport.open(ask.request(provider.base_url()), ask.link())
    transport.close()
    for stream in (running, transport.open(ask.request(provider.base_url()), ask.link())):
        while stream.read():
            pass
        stream.finish()
    transport.close()
    assert provider.wait_idle()
    assert provider.connections == 2


def test_a_pool_that_is_closed_while_a_request_enters_it_serves_the_request(
    ask, serve, monkeypatch
):
    provider = serve([HI])
    transport = HttpTransport()
    get = Pool._get_conn

    def late(pool: Any, timeout: Any = None) -> Any:
        transport.close()
        return get(pool, timeout)

    monkeypatch.setattr(Pool, "_get_conn", late)
    for _ in range(2):
        stream = transport.open(ask.request(provider.base_url()), ask.link())
        while stream.read():
            pass
        stream.finish()
        assert provider.wait_idle()  # no pool to go to: closed


def test_many_threads_open_while_one_closes(ask, serve, run_in_thread: Callable[..., Any]):
    provider = serve([HI])
    transport = HttpTransport()
    stop = threading.Event()

    def close() -> None:
        while not stop.wait(0.001):
            transport.close()

    def several() -> None:
        for _ in range(20):
            stream = transport.open(ask.request(provider.base_url()), ask.link())
            while stream.read():
                pass
            stream.finish()

    closing = run_in_thread(close)
    try:
        for task in [run_in_thread(several) for _ in range(8)]:
            task.result()
    finally:
        stop.set()
    closing.result()
    transport.close()
    assert provider.wait_idle()


def test_many_threads_share_one_transport(ask, serve, run_in_thread: Callable[..., Any]):
    provider = serve([HI])

    def several() -> None:
        for _ in range(10):
            assert list(ask(provider)) == ["Hi"]

    for task in [run_in_thread(several) for _ in range(8)]:
        task.result()
    assert provider.connections <= 8


def test_close_closes_idle_connections_while_an_error_refers_to_their_pool() -> None:
    with LocalProvider(scripts=[Status(401), "Hi"]) as provider:
        client = Client(provider="openai", base_url=provider.base_url(), api_key="sk-0123456789")
        with pytest.raises(AuthenticationError) as kept:
            client.stream("m", "Hi").result()
        client.stream("m", "Hi").result()
        held = _kept_pools(client)  # as the frames of a traceback that somebody keeps may do
        client.close()
        assert provider.wait_idle(2.0)
        assert held and kept.value.status == 401


def _kept_pools(client: Client) -> list[object]:
    adapter: Any = client._transport._session().get_adapter("http://")
    pools = adapter.poolmanager.pools
    return [pools.get(key) for key in pools.keys()]  # noqa: SIM118 - it has no __iter__
