"""
The server of the benchmarks: raw sockets, bodies rendered beforehand, a thread per connection.

Run as a process of its own: it prints its port and serves on loopback until its standard input
ends, so it never outlives the benchmark, however that ends. A path is
``/<workload>,<key>=<value>,.../<rest>``: the first segment is a function in WORKLOADS, the rest
(what a client appends to its base URL) picks the wire format. Every event is an HTTP chunk of its
own. ``/stats`` tells what the server saw, in nanoseconds of the monotonic clock, which on Linux is
the same in all processes.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable
from time import monotonic_ns, perf_counter, sleep
from typing import Any

from formats import FORMATS, Format, compact

OK = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"
END = b"0\r\n\r\n"

stats: dict[str, Any] = {"connections": 0, "arrived": {}, "gone": {}, "blocked": {}}


def chunk(data: bytes) -> bytes:
    """An HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def begin(conn: socket.socket, form: Format, texts: int = 0) -> None:
    """Headers, the opening, and so many deltas."""
    events = [*form.opening(), *[form.text(" token")] * texts]
    conn.sendall(OK % form.kind + b"".join(map(chunk, events)))


def end(conn: socket.socket, form: Format) -> None:
    """The proper end of an answer."""
    conn.sendall(b"".join(map(chunk, form.closing())) + END)


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


def paced(conn: socket.socket, form: Format, *, id: str, count: int, rate: int) -> None:
    """``count`` deltas at ``rate`` a second; each holds the instant at which it was sent."""
    begin(conn, form)
    # Connections are out of step, as the streams of strangers are.
    start = monotonic_ns() + int(stats["connections"] * 0.618 % 1 * 1e9 / rate)
    for number in range(count):
        sleep(max(0.0, (start + number * 1e9 / rate - monotonic_ns()) / 1e9))
        conn.sendall(chunk(form.text(f"{monotonic_ns()}")))
    end(conn, form)


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
    f.__name__: f for f in (fast, paced, pause, silent, withheld, endless, busy)
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
    form = FORMATS["/" + rest]
    WORKLOADS[name](conn, form, id=id, **{key: int(value) for key, value in given.items()})


def serve(conn: socket.socket) -> None:
    """One connection, request after request."""
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn,), daemon=True).start()


if __name__ == "__main__":
    main()
