"""
The body of an HTTP answer: reads that return what is there, a bounded farewell.

Reading. Identity bodies are read with http.client's ``read1``, which gives each piece as it comes
in every framing; encoded ones in small steps, with a look at the clocks at each (coding.py).
``stream()`` and ``iter_content()`` hold bytes back (FACTS.md F5 and section 5).

Keeping. urllib3 would give a connection back to its pool by itself, at the end of some bodies,
while our Link still holds its socket; another stream could take it, and be cut by our abort. So an
HttpStream takes the connection out of the response, and gives it back once, after the Link let go.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import requests
from urllib3.response import BaseHTTPResponse

from streamkit.errors import LimitExceeded, ProtocolError, StreamInterrupted, StreamkitError
from streamkit.transport.base import Aborted, Link
from streamkit.transport.coding import INFLATED, WIRE, inflated
from streamkit.transport.connection import Linked
from streamkit.transport.failure import FOREIGN, map_failure, without_frames

__all__ = ["HttpStream", "failure"]

READ = 65536
#: The farewell: how long and how many bytes the end of a body may take (PROMISES.md P54).
DRAIN_TIME, DRAIN_BYTES = 0.05, 16 * 1024
#: What an error body may take (PROMISES.md P63).
ERROR_BODY_TIME = 2.0
#: More layers of compression than this are an attack (PROMISES.md P62).
MAX_CODINGS = 5


class HttpStream:
    """
    The body of one HTTP answer.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, response: requests.Response, link: Link, url: str) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._raw: Any = response.raw
        self._connection: Any = getattr(self._raw, "_connection", None)
        if self._connection is not None:
            self._raw._connection = None
        self._link = link
        self._url = url
        self._body: Any = getattr(self._raw, "_fp", None)
        encoding = response.headers.get("content-encoding", "").lower()
        codings = (coding.strip() for coding in encoding.split(","))
        self._read = _reader(self._raw, [c for c in codings if c not in ("", "identity")], link)

    def read(self) -> bytes:
        """See ByteStream.read."""
        try:
            data = self._read()
        except (*FOREIGN, StreamkitError) as error:
            failed = self._failed(error)
        else:
            if self._link.aborted:
                raise Aborted
            if not data and (left := self._missing()):
                raise StreamInterrupted(
                    f"the connection ended {left} bytes before the end of the answer", stage="body"
                )
            return data
        try:
            raise failed  # not in the except block: the foreign error would be its context
        finally:
            del failed  # this frame, which its traceback holds, must not hold it: a cycle

    def read_error_body(self, limit: int) -> bytes:
        """See ByteStream.read_error_body."""
        body, whole = self._rest(ERROR_BODY_TIME, limit)
        if self._link.aborted:
            raise Aborted
        if whole:
            self._keep()
        return body[:limit]

    def finish(self) -> None:
        """See ByteStream.finish."""
        self._link.clocks.finishing()  # a slow loop body may have used the first grace up
        _, whole = self._rest(DRAIN_TIME, DRAIN_BYTES)
        if whole and not self._link.aborted:
            self._keep()
        else:
            self.close()

    def close(self) -> None:
        """See ByteStream.close."""
        # Takes no lock of our pools: it may run inside a signal handler (Run.cancel).
        self._link.cut()
        raw, connection = self._take()
        if raw is None:
            return
        raw.close()
        if connection is not None:
            connection.close()
            if not isinstance(connection, Linked):
                # A foreign pool that blocks when it is empty counts on every connection's return.
                raw._connection = connection
                raw.release_conn()

    def _rest(self, seconds: float, limit: int) -> tuple[bytes, bool]:
        """What comes in that time, until it is over ``limit`` bytes; whether that was all."""
        link = self._link
        link.until = link.clocks.now() + seconds
        parts: list[bytes] = []
        size = 0
        try:
            while size <= limit:
                data = self._read()
                if not data:
                    return b"".join(parts), not self._missing()
                parts.append(data)
                size += len(data)
        except (*FOREIGN, StreamkitError):
            pass  # what arrived is used: the status, or the finish reason, says what happened
        return b"".join(parts), False

    def _keep(self) -> None:
        """Give the connection back to its pool; the body has been read to its end."""
        raw, connection = self._take()
        if raw is None:
            return
        if self._body is not None:
            self._body.close()  # a body of known length does not close itself
        self._link.detach()
        if connection is None:
            return
        pending = getattr(connection.sock, "pending", None)
        if self._link.surplus or (pending is not None and pending()):
            connection.close()
        raw._connection = connection
        raw.release_conn()

    def _take(self) -> tuple[Any, Any]:
        taken = self._raw, self._connection
        self._raw = self._connection = None
        # The head may echo the key. An error's frames hold this object, and reach the pool, where
        # a connection holds its last answer.
        if isinstance(self._body, http.client.HTTPResponse):
            self._body.headers = self._body.msg = http.client.HTTPMessage()
        self.headers = {}
        return taken

    def _missing(self) -> int:
        """Bytes that Content-Length promised and that have not come."""
        left = getattr(self._body, "length", None)
        return left if isinstance(left, int) else 0

    def _failed(self, error: Exception) -> Exception:
        link = self._link
        if isinstance(error, StreamkitError) and not link.aborted:
            error.__traceback__ = None  # its frames hold what the server sent, maybe our key
            return error
        # http.client says the same of an early end and of a chunk size that is no number; only the
        # socket knows whether the end had come.
        early = link.eof or link.aborted or link.expired or not link.received
        if isinstance(error, http.client.IncompleteRead) and not early:
            return ProtocolError("the chunked framing of the answer is malformed", stage="body")
        return failure(error, link, self._url, answered=True)


def _reader(raw: Any, codings: list[str], link: Link) -> Callable[[], bytes]:
    """What reads the body and undoes its codings; refers to no HttpStream, it would be a cycle."""
    if len(codings) > MAX_CODINGS:
        return partial(
            _refuse, LimitExceeded,
            f"the answer is compressed {len(codings)} times over, at most {MAX_CODINGS} are "
            "undone (the limit counts codings)",
            limit=MAX_CODINGS, observed=len(codings),
        )  # fmt: skip
    for coding in codings:
        if coding not in BaseHTTPResponse.CONTENT_DECODERS:
            what = f"the answer has a content encoding we cannot undo: {coding[:40]!r}"
            return partial(_refuse, ProtocolError, what)
    if not all(coding in INFLATED for coding in codings):
        return partial(_foreign, raw, link)
    size = WIRE if codings else READ
    body = getattr(raw, "_fp", None)
    if isinstance(body, http.client.HTTPResponse):
        return inflated(partial(body.read1, size), codings, link)
    return inflated(partial(raw.read1, size, decode_content=False), codings, link)


def _refuse(kind: type[StreamkitError], message: str, **details: Any) -> bytes:
    """In place of a read: an error status must not be hidden by the coding of its body."""
    raise kind(message, stage="body", **details)


def _foreign(raw: Any, link: Link) -> bytes:
    """Read a coding that urllib3 undoes."""
    link.patience()
    data: bytes = raw.read1(WIRE, decode_content=True)
    return data


def failure(error: Exception, link: Link, url: str, *, answered: bool) -> Exception:
    """What to raise for a foreign error: our own abort and our own clocks explain most of them."""
    without_frames(error)
    if link.aborted:
        return Aborted()
    if link.expired is not None:
        link.expired.stage = link.expired.stage or ("body" if answered else "headers")
        return link.expired
    return map_failure(error, url=url, clocks=link.clocks, answered=answered)
