"""
What a transport is: it opens a Request and gives the bytes of the answer as they come.

Also the Link, which ties one stream to whatever socket serves it now: the reading thread waits
through it by the clocks, any thread cuts it.

How cancel works. ``Link.abort()`` sets a flag, then shuts the socket down through a twin, a
duplicate of its descriptor; the blocked read, send or connect wakes, sees the flag, and its own
thread closes. The twin is taken before TLS: a handshake detaches the original object, and shutting
the TLS object down would drop the cipher layer and hand ciphertext to the reader (FACTS.md section
5). abort() may interrupt its own thread anywhere, so it only tries the lock; whoever holds it looks
at the flag again after letting go.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from math import inf
from threading import Lock
from typing import Protocol

from streamkit.deadline import Clocks
from streamkit.errors import StreamTimeout
from streamkit.process import generation
from streamkit.request import Request

__all__ = ["Aborted", "ByteStream", "Link", "Timer", "Transport"]

#: struct linger: on, zero seconds.
RESET_ON_CLOSE = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)

#: Longest single wait on a socket. A longer one goes round the loop again: a fixed value saves the
#: system call that changing it costs at every recv.
SLICE = 5.0


class Aborted(Exception):
    """The stream was cancelled; never leaves the library."""


class Timer(Protocol):
    """
    What has to be done on time while the reading thread waits for bytes.

    Thread safety: **confined** to the reading thread.
    """

    def due(self) -> float | None:
        """The instant of the next time, on the clocks of the link; None while there is none."""
        ...

    def run(self, now: float) -> bool:
        """It has come: do what there is to do. False where nothing more need be read."""
        ...


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
        #: An instant that ends the present wait earlier than any clock: a farewell, an error body.
        self.until: float | None = None
        #: Looked after during every wait; None where nothing is timed.
        self.timer: Timer | None = None
        #: Ask the pool for a new connection, not a kept one.
        self.fresh = False
        #: The socket came from the pool; how many bytes it has given since; its end was seen.
        self.reused = False
        self.received = 0
        self.eof = False
        #: Bytes came after the end of the answer.
        self.surplus = False
        self._generation = generation()
        self._lock = Lock()
        self._twin: socket.socket | None = None  # guarded by _lock

    def abort(self) -> None:
        """Wake the blocked reader and tell the server we are gone; idempotent, never blocks."""
        self.aborted = True
        self._shutdown()

    def begin_attempt(self) -> None:
        """Forget what the last attempt saw; the clocks of one attempt start afresh."""
        self.expired = None
        self.until = None
        self._forget()
        self.clocks.begin_attempt()

    def patience(self) -> float:
        """
        Seconds the next wait may take, never 0; after such a wait, ask again.

        Raises:
            TimeoutError: A clock ran out (``expired`` says which), ``until`` came, or the timer
                wants no more.
            ConnectionAbortedError: abort() was called.
        """
        if self.aborted:
            raise ConnectionAbortedError("aborted")
        timed = inf if self.timer is None else self.tick()
        left = self.clocks.left()
        if left <= 0:
            self.expired = self.clocks.expired()
            raise TimeoutError("a clock ran out")
        if self.until is not None:
            left = min(left, self.until - self.clocks.now())
            if left <= 0:
                raise TimeoutError("no more patience")
        left = min(left, timed)
        return left if left < SLICE else SLICE

    def tick(self) -> float:
        """
        Seconds until the timer is due again, above 0, after it did what was due; ``inf`` for never.

        patience() does this too; it is for who waits for something other than the socket.

        Raises:
            TimeoutError: The timer wants no more.
        """
        timer = self.timer
        if timer is None:
            return inf
        now = self.clocks.now()
        due = timer.due()
        if due is not None and due <= now:
            if not timer.run(now):
                raise TimeoutError("no more is wanted")
            due = timer.due()
        # A wait of 0 would not block; the timer may have taken its time.
        return inf if due is None else max(due - self.clocks.now(), 0.001)

    @property
    def attached(self) -> bool:
        """Whether a socket is held."""
        return self._twin is not None

    def attach(self, sock: socket.socket, *, reused: bool) -> None:
        """Hold the socket that serves from now on; call it before TLS."""
        self._forget()
        self.reused = reused
        # The family does not matter for a shutdown, and a TLS-in-TLS object has none.
        self._swap(socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM))
        if self.aborted:
            self._shutdown()

    def detach(self) -> None:
        """Let the socket go, before it returns to the pool; abort() no longer cuts it."""
        self._swap(None)

    def cut(self) -> None:
        """Shut the connection down and let it go: the server sees it even if a fork has a copy."""
        self._shutdown()
        self._swap(None)

    def _forget(self) -> None:
        self.reused = self.eof = self.surplus = False
        self.received = 0

    @property
    def _inherited(self) -> bool:
        return self._generation != generation()

    def _swap(self, twin: socket.socket | None) -> None:
        # In a forked child the lock may be held by a thread that does not exist there.
        with nullcontext() if self._inherited else self._lock:
            old, self._twin = self._twin, twin
        if old is not None:
            old.close()

    def _shutdown(self) -> None:
        # A forked child shares the connection: shutting it down would cut the parent's stream.
        if self._inherited or not self._lock.acquire(blocking=False):
            return
        try:
            if self._twin is not None:
                with suppress(OSError):  # not connected any more: nothing left to cut
                    # The shutdown wakes our reader and sends FIN; the close that follows must send
                    # RST. A server blocked on our full window would else probe it for minutes: 1 of
                    # some 250 cancels at full speed was never seen (measured, Linux loopback).
                    self._twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    self._twin.shutdown(socket.SHUT_RDWR)
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
        """After the terminal event: keep the connection if 50 ms and 16 KiB see the body's end."""
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
            Aborted: The link was cut by us.
            ConnectError, StreamTimeout, StreamInterrupted: The network failed.
            ProtocolError, LimitExceeded: What came is not HTTP, or too much of it.
            ConfigurationError: It cannot be sent: a bad proxy or certificate path.
        """
        ...

    def close(self) -> None:
        """Close the idle connections; streams that run go on, and open() works as before."""
        ...
