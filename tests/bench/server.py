"""
The server of the benchmarks: raw sockets, bodies rendered beforehand, a thread per connection.

Run as a process of its own: it prints its port and serves on loopback until its standard input
ends, so it never outlives the benchmark, however that ends. A path is
``/<workload>,<key>=<value>,.../<rest>``: the first segment is a function in WORKLOADS, the rest
(what a client appends to its base URL) picks the wire format. Every event is an HTTP chunk of its
own, where ``framing`` does not say otherwise. With an argument, a PEM file of certificate and key,
the same port speaks TLS to whoever begins with that. ``/stats`` tells what the server saw, in
nanoseconds of the monotonic clock, which on Linux is the same in all processes.
"""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import zlib
from collections.abc import Callable
from time import monotonic_ns, perf_counter, sleep
from typing import Any

from formats import FORMATS, Format, compact

OK = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
END = b"0\r\n\r\n"
HANDSHAKE = b"\x16"  # the type of a TLS record, RFC 8446 section 5.1

stats: dict[str, Any] = {"connections": 0, "arrived": {}, "gone": {}, "blocked": {}}


def chunk(data: bytes) -> bytes:
    """An HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def begin(conn: socket.socket, form: Format, texts: int = 0) -> None:
    """Headers, the opening, and so many deltas."""
    events = [*form.opening(), *[form.text(" token")] * texts]
    conn.sendall(OK % form.kind + CHUNKED + b"".join(map(chunk, events)))


def end(conn: socket.socket, form: Format) -> None:
    """The proper end of an answer."""
    conn.sendall(b"".join(map(chunk, form.closing())) + END)


#: The header fields, how to write a piece of the body, how to write its end.
Framed = tuple[bytes, Callable[[bytes], bytes], Callable[[], bytes]]


def chunked(_: int) -> Framed:
    """A chunk for each piece."""
    return CHUNKED, chunk, lambda: END


def length(size: int) -> Framed:
    """The pieces as they are, their size told beforehand."""
    return b"Content-Length: %d\r\n\r\n" % size, bytes, bytes


def close(_: int) -> Framed:
    """The pieces as they are; then the connection ends."""
    return b"Connection: close\r\n\r\n", bytes, bytes


def gzip(_: int) -> Framed:
    """Compressed, with a flush after each piece, in chunks."""
    coder = zlib.compressobj(wbits=31)  # 16 more than the window's 15: with gzip's wrapper
    return (
        b"Content-Encoding: gzip\r\n" + CHUNKED,
        lambda data: chunk(coder.compress(data) + coder.flush(zlib.Z_SYNC_FLUSH)),
        lambda: chunk(coder.flush()) + END,
    )


FRAMINGS: dict[str, Callable[[int], Framed]] = {
    f.__name__: f for f in (chunked, length, close, gzip)
}


def await_end(conn: socket.socket, id: str) -> None:
    """Say nothing until the client is gone, and note when that was."""
    try:
        while conn.recv(65536):
            pass
    except OSError:
        pass
    stats["gone"][id] = monotonic_ns()


def fast(conn: socket.socket, form: Format, *, id: str, count: int, per: int = 1) -> None:
    """``count`` deltas as fast as the client takes them, ``per`` in one send."""
    begin(conn, form)
    many = chunk(form.text(" token")) * per
    blocked = 0.0
    for _ in range(count // per):
        start = perf_counter()
        conn.sendall(many)
        blocked += perf_counter() - start
    end(conn, form)
    stats["blocked"][id] = blocked


def paced(
    conn: socket.socket, form: Format, *, id: str, count: int, rate: int, framing: str = "chunked"
) -> None:
    """``count`` deltas at ``rate`` a second; each holds the instant at which it was sent."""
    opening, closing = b"".join(form.opening()), b"".join(form.closing())
    size = len(opening) + count * len(form.text(f"{monotonic_ns()}")) + len(closing)
    fields, frame, last = FRAMINGS[framing](size)
    conn.sendall(OK % form.kind + fields + frame(opening))
    # Connections are out of step, as the streams of strangers are.
    start = monotonic_ns() + int(stats["connections"] * 0.618 % 1 * 1e9 / rate)
    for number in range(count):
        sleep(max(0.0, (start + number * 1e9 / rate - monotonic_ns()) / 1e9))
        conn.sendall(frame(form.text(f"{monotonic_ns()}")))
    conn.sendall(frame(closing) + last())
    if framing == "close":
        conn.shutdown(socket.SHUT_WR)


def pause(conn: socket.socket, form: Format, *, id: str, milliseconds: int) -> None:
    """A delta, silence, a delta."""
    begin(conn, form, 1)
    sleep(milliseconds / 1000)
    conn.sendall(chunk(form.text(" token")))
    end(conn, form)


def silent(conn: socket.socket, form: Format, *, id: str) -> None:
    """A delta, then silence until the client goes."""
    begin(conn, form, 1)
    await_end(conn, id)


def withheld(conn: socket.socket, form: Format, *, id: str) -> None:
    """Not even headers."""
    await_end(conn, id)


def opened(conn: socket.socket, form: Format, *, id: str) -> None:
    """Headers and what comes before the first text, then silence until the client goes."""
    begin(conn, form)
    await_end(conn, id)


def endless(conn: socket.socket, form: Format, *, id: str) -> None:
    """Deltas at full speed until the client goes."""
    many = chunk(form.text(" token")) * 20
    try:
        begin(conn, form)
        while True:
            conn.sendall(many)
    except OSError:
        stats["gone"][id] = monotonic_ns()


def busy(conn: socket.socket, form: Format, *, id: str) -> None:
    """Come back in 30 s."""
    conn.sendall(BUSY)


WORKLOADS: dict[str, Callable[..., None]] = {
    f.__name__: f for f in (fast, paced, pause, silent, withheld, opened, endless, busy)
}


def read_request(lines: Any) -> str | None:
    """The path of the next request, its body skipped; None at the end."""
    first, length = lines.readline(), 0
    while (line := lines.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line[15:])
    lines.read(length)
    return first.split()[1].decode() if first else None


def answer(conn: socket.socket, path: str) -> None:
    """Do what the path asks for."""
    _, workload, rest = path.split("/", 2)
    name, *pairs = workload.split(",")
    given: dict[str, Any] = dict(pair.split("=") for pair in pairs)
    id = given.pop("id", "")
    stats["arrived"][id] = monotonic_ns()
    form = next(form for end, form in FORMATS.items() if f"/{rest}".endswith(end))
    numbers = {key: int(value) for key, value in given.items() if value.isdigit()}
    WORKLOADS[name](conn, form, id=id, **{**given, **numbers})


def secured(conn: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    """The connection, over TLS if its first byte is that of a handshake."""
    if tls is None or conn.recv(1, socket.MSG_PEEK) != HANDSHAKE:
        return conn
    return tls.wrap_socket(conn, server_side=True)


def serve(conn: socket.socket, tls: ssl.SSLContext | None) -> None:
    """One connection, request after request."""
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    conn = secured(conn, tls)
    counted = False
    with conn, conn.makefile("rb") as lines:
        try:
            while (path := read_request(lines)) is not None:
                if path == "/stats":
                    body = compact(stats)
                    conn.sendall(
                        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                    )
                    continue
                stats["connections"] += not counted
                counted = True
                answer(conn, path)
        except OSError:
            pass  # the client left early


def exit_with_parent() -> None:
    """Standard input is a pipe from the benchmark; it ends when that process does."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Listen on loopback, print the port, serve."""
    threading.Thread(target=exit_with_parent, daemon=True).start()
    tls = None
    if len(sys.argv) > 1:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn, tls), daemon=True).start()


if __name__ == "__main__":
    main()
