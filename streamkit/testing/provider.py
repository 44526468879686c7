"""
LocalProvider: a loopback HTTP server that streams what a script says.

One thread accepts, one more serves each connection. ``close()`` shuts all sockets down, which
wakes every thread wherever it waits, and joins them.
"""

from __future__ import annotations

import contextlib
import ipaddress
import selectors
import socket
import ssl
from collections.abc import Callable, Sequence
from threading import Thread, current_thread
from time import monotonic
from types import TracebackType
from typing import TypeVar

from typing_extensions import Self

from streamkit.errors import ConfigurationError
from streamkit.testing.connection import Connection
from streamkit.testing.dialects import PREFIXES
from streamkit.testing.record import Answer, Journal, RecordedRequest
from streamkit.testing.speech import GREETING

__all__ = ["LocalProvider"]

#: Connections the kernel holds until we accept them; the system may cap it.
BACKLOG = 1024
#: Seconds close() waits for all threads. They need milliseconds; a script's own callable may not.
PATIENCE = 1.0

T = TypeVar("T")


class LocalProvider:
    """
    A provider inside this process, for tests, examples and first steps.

    >>> from streamkit.testing import Pause, Reset, Text
    >>> with LocalProvider([Text("Hello there"), Pause(0.1), Reset()]) as provider:
    ...     provider.base_url("openai") == f"http://127.0.0.1:{provider.port}/v1"
    True

    Speaks the wire format of every provider of the library, chosen by the path of each request; a
    request that asks for no stream gets one JSON body, and a GET for a list of models gets one that
    names ``local``, unless the script is a Status or bytes of your own. Listens from construction
    to ``close()``.

    An answer of the Responses API that was asked for with ``background``, or one of llama.cpp with
    ``X-Conversation-Id``, can be taken up where it broke, in the service's own way: its script then
    goes on behind the break. Such a request takes no script, unless the next is a Status.

    Thread safety: **shared**.

    Args:
        script: What each request is answered with: a step or several, a text, or a callable that
            takes the RecordedRequest (on the connection's thread) and returns any of these. None
            is a greeting.
        scripts: In its place, one for each request in order, whatever it asks for; the last
            repeats.
        tls: A server-side context; URLs are then https.
        host: A loopback address.

    Raises:
        ConfigurationError: A script that cannot be played, or an address that others can reach.
    """

    def __init__(
        self,
        script: Answer | None = None,
        *,
        scripts: Sequence[Answer] | None = None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        if script is not None and scripts is not None:
            raise ConfigurationError("give script or scripts, got both")
        if scripts is not None and not scripts:
            raise ConfigurationError("scripts must hold at least one script, got none")
        if not ipaddress.ip_address(host).is_loopback:
            raise ConfigurationError(f"host must be a loopback address, got {host!r}")
        self._journal = Journal(scripts or [GREETING if script is None else script])
        self._tls = tls
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=BACKLOG)
        self._listener.setblocking(False)
        self._host = f"[{host}]" if ":" in host else host
        self.port: int = self._listener.getsockname()[1]
        self._stopped, self._stop = socket.socketpair()
        self._threads: set[Thread] = set()
        self._acceptor = Thread(
            target=self._accept, name=f"streamkit-testing-accept-{self.port}", daemon=True
        )
        self._acceptor.start()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def base_url(self, provider: str = "openai") -> str:
        """
        What a client of that provider takes as its base URL.

        Raises:
            ConfigurationError: A provider that is not played here.
        """
        if provider not in PREFIXES:
            raise ConfigurationError(f"provider must be one of {[*PREFIXES]}, got {provider!r}")
        return self.url + PREFIXES[provider]

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far, in order."""
        with self._journal.changed:
            return list(self._journal.requests)

    @property
    def connections(self) -> int:
        """Connections accepted so far."""
        with self._journal.changed:
            return self._journal.accepted

    @property
    def open_connections(self) -> int:
        """Connections open now."""
        with self._journal.changed:
            return len(self._journal.peers)

    @property
    def blocked(self) -> float:
        """Seconds that sends waited for clients to read, all requests together."""
        return sum(request.blocked for request in self.requests)

    @property
    def bytes_written(self) -> int:
        """Bytes written for all requests, heads and framing included."""
        return sum(request.bytes_written for request in self.requests)

    def release(self, n: int = 1) -> None:
        """Open the gate for the next ``n`` arrivals at a Gate step; those waiting go first."""
        self._journal.release(n)

    def wait_gate(self, n: int = 1, *, timeout: float = 5.0) -> None:
        """
        Wait until ``n`` answers stand at a Gate.

        Raises:
            TimeoutError: They did not come in time.
        """
        if not self._wait(lambda: len(self._journal.at_gate) >= n, timeout):
            raise TimeoutError(f"no {n} answers came to a gate within {timeout:g} s")

    def wait_request(self, n: int = 1, *, timeout: float = 5.0) -> RecordedRequest:
        """
        Wait for the ``n``-th request, counted from 1.

        Raises:
            TimeoutError: It did not come in time.
        """
        if not self._wait(lambda: len(self._journal.requests) >= n, timeout):
            raise TimeoutError(f"request {n} did not come within {timeout:g} s")
        return self.requests[n - 1]

    def wait_finished(
        self, timeout: float = 5.0, *, request: RecordedRequest | None = None
    ) -> float | None:
        """When the script of that request (the latest) had been played; None if not in time."""
        return self._wait(lambda: self._latest(request, "finished"), timeout)

    def wait_disconnect(
        self, timeout: float = 5.0, *, request: RecordedRequest | None = None
    ) -> float | None:
        """When the client closed that (the latest) request's connection; None if not in time."""
        return self._wait(lambda: self._latest(request, "disconnected"), timeout)

    def wait_idle(self, timeout: float = 5.0) -> bool:
        """Wait until no connection is open; whether it came to that in time."""
        return bool(self._wait(lambda: not self._journal.peers, timeout))

    def close(self) -> None:
        """
        Stop: close every connection, whatever it waits for, and end every thread.

        Takes milliseconds; at most a second, if a script's own callable blocks. Idempotent.
        """
        self._journal.stop()
        with contextlib.suppress(OSError):
            self._stop.send(b"x")
        deadline = monotonic() + PATIENCE
        with self._journal.changed:
            threads = [self._acceptor, *self._threads]
        for thread in threads:
            if thread is not current_thread():
                thread.join(max(0.0, deadline - monotonic()))
        for sock in (self._listener, self._stop, self._stopped):
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _latest(self, request: RecordedRequest | None, name: str) -> float | None:
        if request is None and self._journal.requests:
            request = self._journal.requests[-1]
        found: float | None = getattr(request, name, None)
        return found

    def _wait(self, met: Callable[[], T], timeout: float) -> T:
        with self._journal.changed:
            return self._journal.changed.wait_for(met, timeout)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stopped, selectors.EVENT_READ)
            while True:
                if any(key.fileobj is self._stopped for key, _ in selector.select()):
                    return
                try:
                    sock, _ = self._listener.accept()
                except BlockingIOError:
                    continue
                except OSError:
                    # Descriptors used up (EMFILE): the client waits in the backlog meanwhile.
                    self._stopped.settimeout(0.05)
                    with contextlib.suppress(TimeoutError):
                        self._stopped.recv(1)
                        return
                    continue
                self._take(sock)

    def _take(self, sock: socket.socket) -> None:
        journal = self._journal
        with journal.changed:
            if journal.stopping:
                sock.close()
                return
            journal.accepted += 1
            peer = Connection(journal, sock, journal.accepted, self._tls)
            journal.peers.add(peer)
            thread = Thread(
                target=self._serve,
                args=(peer,),
                name=f"streamkit-testing-{self.port}-{journal.accepted}",
                daemon=True,
            )
            self._threads.add(thread)
            # Under the lock: close() must not meet a thread that was not started.
            thread.start()

    def _serve(self, peer: Connection) -> None:
        try:
            peer.run()
        finally:
            with self._journal.changed:
                self._threads.discard(current_thread())
