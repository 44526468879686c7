"""
Requests over HTTP: one pooled session, reads that return what is there, a bounded farewell.

Reading. Identity bodies are read with http.client's ``read1``, which gives each piece as it comes in
every framing; encoded ones with urllib3's ``read1``, in pieces of at most 64 KiB even for bombs.
``stream()`` and ``iter_content()`` hold bytes back (FACTS.md F5 and section 5).
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.auth import AuthBase
from typing_extensions import override

from streamkit.errors import ConfigurationError, ProtocolError, StreamInterrupted, StreamkitError
from streamkit.process import generation
from streamkit.request import Request
from streamkit.transport.base import Aborted, Link
from streamkit.transport.connection import Adapter, adopt, sending
from streamkit.transport.failure import FOREIGN, map_failure

__all__ = ["HttpStream", "HttpTransport"]

READ = 65536
#: The farewell: how long and how many bytes the end of a body may take (PROMISES.md P54).
DRAIN_TIME, DRAIN_BYTES = 0.05, 16 * 1024
#: What an error body may take (PROMISES.md P63).
ERROR_BODY_TIME = 2.0
#: More layers of compression than this are an attack (PROMISES.md P62).
MAX_CODINGS = 5


class _KeepHeaders(AuthBase):
    """Does nothing: with an auth object given, requests leaves ~/.netrc alone (PROMISES.md S3)."""

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


class HttpTransport:
    """
    Open requests on one pooled session.

    Thread safety: **shared**.

    Args:
        session: The user's own: never closed and never changed by us. Its adapters are kept, so
            before the headers a cancel frees the caller only, and clocks count per read. None makes
            a session of ours at the first request.
    """

    def __init__(self, session: requests.Session | None = None) -> None:
        self._theirs = session
        self._ours: requests.Session | None = None
        self._closed = False
        self._generation = generation()
        self._lock = threading.Lock()  # guards the making of _ours

    def open(self, request: Request, link: Link) -> HttpStream:
        """See Transport.open."""
        session = self._session()
        if link.aborted:
            raise Aborted
        prepared = self._prepare(session, request)
        settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
        for fresh in (False, True):
            link.fresh = fresh
            try:
                response = self._send(session, prepared, settings, link)
            except FOREIGN as error:
                link.detach()
                if link.aborted:
                    raise Aborted from None
                # A kept connection that dies before its first byte was stale: the server had closed
                # it. The request was not seen; send it once more, on a new connection.
                if link.reused and not link.received and not link.expired and not fresh:
                    continue
                raise self._failure(error, request.url, link) from None
            except BaseException:
                link.detach()
                raise
            if self._theirs is not None:
                adopt(getattr(response.raw, "_fp", None), link)
            return HttpStream(response, link, request.url)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close our idle connections; a session of the user's is left alone."""
        self._closed = True
        ours, self._ours = self._ours, None
        if ours is not None:
            ours.close()

    def _session(self) -> requests.Session:
        if self._theirs is not None:
            return self._theirs
        if self._closed:
            raise ConfigurationError("the client is closed; make a new one")
        if self._generation != generation():
            # A forked child must not speak on its parent's connections.
            self._lock = threading.Lock()
            self._ours = None
            self._generation = generation()
        with self._lock:
            if self._ours is None:
                self._ours = _new_session()
            return self._ours

    def _prepare(self, session: requests.Session, request: Request) -> requests.PreparedRequest:
        auth = None if session.auth else _KeepHeaders()
        return session.prepare_request(
            requests.Request(
                request.method,
                request.url,
                # Compression only delays a token stream: gzip holds bytes back until it has a block.
                headers={"Accept-Encoding": "identity", **request.headers},
                data=request.body,
                auth=auth,
            )
        )

    def _send(
        self,
        session: requests.Session,
        prepared: requests.PreparedRequest,
        settings: Mapping[str, Any],
        link: Link,
    ) -> requests.Response:
        connect = min(link.clocks.left(), link.clocks.timeouts.connect or 1e6, 1e6)
        # Our connections obey the clocks by themselves; a foreign session gets what requests offers.
        read = None if self._theirs is None else min(link.clocks.left(), 1e6)
        with sending(link):
            return session.send(
                prepared,
                allow_redirects=False,
                timeout=(max(connect, 0.001), read),
                **settings,
            )

    def _failure(self, error: Exception, url: str, link: Link) -> StreamkitError:
        if link.expired is not None:
            return link.expired
        return map_failure(error, url=url, clocks=link.clocks, answered=False)


class HttpStream:
    """
    The body of one HTTP answer.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, response: requests.Response, link: Link, url: str) -> None:
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response: requests.Response | None = response
        self._link = link
        self._url = url
        self._body = getattr(response.raw, "_fp", None)
        encoding = response.headers.get("content-encoding", "identity").lower()
        self._codings = [c.strip() for c in encoding.split(",") if c.strip() not in ("", "identity")]
        self._read1: Callable[[int], bytes]
        if not self._codings and isinstance(self._body, http.client.HTTPResponse):
            self._read1 = self._body.read1
        else:
            self._read1 = self._decoded

    def read(self) -> bytes:
        """See ByteStream.read."""
        link = self._link
        try:
            data = self._read1(READ)
        except (*FOREIGN, StreamkitError) as error:
            raise self._failure(error) from None
        if link.aborted:
            raise Aborted
        if not data:
            self._check_complete()
        return data

    def read_error_body(self, limit: int) -> bytes:
        """See ByteStream.read_error_body."""
        link = self._link
        link.until = link.clocks.now() + ERROR_BODY_TIME
        parts: list[bytes] = []
        size = 0
        try:
            while size < limit and (data := self._read1(READ)):
                parts.append(data)
                size += len(data)
        except (*FOREIGN, StreamkitError):
            pass  # what arrived is used: the status already says what happened
        if link.aborted:
            raise Aborted
        return b"".join(parts)[:limit]

    def finish(self) -> None:
        """See ByteStream.finish."""
        link = self._link
        link.until = link.clocks.now() + DRAIN_TIME
        size = 0
        try:
            while data := self._read1(READ):
                size += len(data)
                if size > DRAIN_BYTES:
                    return self.close()
        except (*FOREIGN, StreamkitError):
            return self.close()
        body = self._body
        response = self._response
        if response is None or link.aborted or getattr(body, "length", None):
            return self.close()
        link.detach()
        self._response = None
        if body is not None:
            body.close()  # a body of known length does not close itself
        response.raw.release_conn()
        return None

    def close(self) -> None:
        """See ByteStream.close."""
        # Takes no lock of the pool: it may run inside a signal handler (Run.cancel).
        self._link.detach()
        response, self._response = self._response, None
        if response is not None:
            response.raw.close()

    def _decoded(self, amount: int) -> bytes:
        if len(self._codings) > MAX_CODINGS:
            raise ProtocolError(
                f"the answer is compressed {len(self._codings)} times over, at most {MAX_CODINGS}"
            )
        assert self._response is not None
        unknown = set(self._codings) - {"gzip", "x-gzip", "deflate", "br", "zstd"}
        if unknown:
            raise ProtocolError(f"the answer has an unknown content encoding {min(unknown)!r}")
        data: bytes = self._response.raw.read1(amount, decode_content=True)
        return data

    def _check_complete(self) -> None:
        left = getattr(self._body, "length", None)
        if left:
            raise StreamInterrupted(
                f"the connection ended {left} bytes before the end of the answer", stage="body"
            )

    def _failure(self, error: Exception) -> Exception:
        link = self._link
        if link.aborted:
            return Aborted()
        if isinstance(error, StreamkitError):
            return error
        if link.expired is not None:
            link.expired.stage = "body"
            return link.expired
        if isinstance(error, http.client.IncompleteRead) and not link.eof and link.received:
            # http.client says the same of an early end and of a chunk size that is no number; only
            # the socket knows whether the end had come.
            return ProtocolError("the chunked framing of the answer is malformed", stage="body")
        return map_failure(error, url=self._url, clocks=link.clocks, answered=True)


def _new_session() -> requests.Session:
    session = requests.Session()
    adapter = Adapter()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # No cookies: none stored, none sent (PROMISES.md S19).
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    return session
