"""A forward proxy on loopback: absolute-form requests for http, CONNECT tunnels for https."""

from __future__ import annotations

import contextlib
import selectors
import socket
from threading import Thread
from urllib.parse import urlsplit


class Proxy:
    """
    Relays bytes both ways, a thread for each connection.

    ``seen`` holds the head of every request that reached it in the clear. ``answer``, if set, is
    said to a CONNECT in place of a tunnel; ``silent`` says nothing at all.
    """

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.answer: bytes | None = None
        self.silent = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: set[socket.socket] = set()
        self._threads = [Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        _shut(self._listener)
        self._threads[0].join(5)
        for sock in list(self._open):
            _shut(sock)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(sock)
            self._threads.append(Thread(target=self._serve, args=(sock,), daemon=True))
            self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(65536)
                if not data:
                    return
                head += data
            self.seen.append(head)
            method, target = head.split(b" ", 2)[:2]
            if self.silent:
                client.recv(1)
            elif method != b"CONNECT":
                self._relay(client, urlsplit(target.decode()).netloc, first=head)
            elif self.answer is not None:
                client.sendall(self.answer)
            else:
                self._relay(client, target.decode(), greet=b"HTTP/1.1 200 Tunnel\r\n\r\n")

    def _relay(
        self, client: socket.socket, target: str, first: bytes = b"", greet: bytes = b""
    ) -> None:
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            self._open.add(server)
            server.sendall(first)
            client.sendall(greet)
            other = {client: server, server: client}
            with selectors.DefaultSelector() as selector:
                for sock in other:
                    selector.register(sock, selectors.EVENT_READ)
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(65536)
                        if not data:
                            return
                        other[key.fileobj].sendall(data)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
