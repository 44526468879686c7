"""Requests over HTTP: one pooled session of ours, or the user's own."""

from __future__ import annotations

import os
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from requests.structures import CaseInsensitiveDict
from requests.utils import select_proxy
from typing_extensions import override

from streamkit.errors import ConfigurationError
from streamkit.process import generation
from streamkit.request import Request
from streamkit.transport.answer import HttpStream, failure
from streamkit.transport.base import Link
from streamkit.transport.connection import LONGEST, Adapter
from streamkit.transport.failure import FOREIGN, WRAPPERS
from streamkit.transport.reading import adopt, sending
from streamkit.version import __version__

__all__ = ["HttpStream", "HttpTransport"]


class HttpTransport:
    """
    Open requests on one pooled session.

    Thread safety: **shared**.

    Args:
        session: The user's own: never closed and never changed by us. Its adapters are kept, so
            before the headers a cancel frees the caller only, and clocks count per read. None makes
            a session of ours at the first request.

    Raises:
        ConfigurationError: Not a session.
    """

    def __init__(self, session: requests.Session | None = None) -> None:
        if session is not None and not isinstance(session, requests.Session):
            raise ConfigurationError(
                f"session must be a requests.Session, got {type(session).__name__}"
            )
        self._theirs = session
        #: At most one, under the generation of this process. A dict, because its setdefault() is
        #: atomic: a lock could be held by another thread when the process forks.
        self._ours: dict[int, requests.Session] = {}

    def open(self, request: Request, link: Link) -> HttpStream:
        """See Transport.open."""
        session = self._session()
        for fresh in (False, True):
            link.fresh = fresh
            try:
                response = self._send(session, request, link)
                return HttpStream(response, link, request.url)
            except ConfigurationError:
                link.detach()
                raise
            except FOREIGN as error:
                link_says = link.aborted or link.expired is not None
                if self._theirs is not None and _is_users(error) and not link_says:
                    link.detach()
                    raise
                # A kept connection that dies before its first byte was stale: the server had closed
                # it. The request was not seen; send it once more, on a new connection.
                stale = link.reused and not (link.received or link.expired or link.aborted or fresh)
                failed = failure(error, link, request.url, answered=False)
            except BaseException:
                link.detach()
                raise
            link.detach()
            try:
                if not stale:
                    raise failed  # not in the except block: the foreign error would be its context
            finally:
                del failed  # this frame, which its traceback holds, must not hold it: a cycle
        raise AssertionError("unreachable")

    def close(self) -> None:
        """
        Close our idle connections; a session of the user's is left alone.

        Streams that run go on, and new ones may be opened: their connections are for another close.
        """
        # The session stays. A request on its way through it may make a new pool yet, which must
        # have an owner.
        for session in list(self._ours.values()):
            session.close()

    def _session(self) -> requests.Session:
        if self._theirs is not None:
            return self._theirs
        now = generation()
        session = self._ours.get(now)
        if session is None:
            # A forked child must not speak on its parent's connections.
            for other in [key for key in self._ours if key != now]:
                self._ours.pop(other, None)
            session = self._ours.setdefault(now, _new_session())
        return session

    def _send(self, session: requests.Session, request: Request, link: Link) -> requests.Response:
        prepared = session.prepare_request(
            requests.Request(
                request.method,
                request.url,
                # Compression only delays a token stream: gzip holds back until it has a block.
                headers={"Accept-Encoding": "identity", **request.headers},
                data=request.body,
                auth=None if session.auth else _KeepHeaders(),
            )
        )
        seen = _Seen()
        prepared.hooks = {"response": [seen, *prepared.hooks.get("response", ())]}
        settings = session.merge_environment_settings(prepared.url, {}, True, None, None)
        if not request.allow_http and _in_clear(str(prepared.url), settings["proxies"]):
            del settings  # it may hold the proxy's password, and a traceback shows locals
            raise ConfigurationError(
                f"the request to {urlsplit(request.url).netloc} would go through the proxy in the "
                "clear, with key and prompt: name the host in NO_PROXY, or pass allow_http=True"
            )
        if settings["verify"] is True and self._theirs is None:  # nobody named another bundle
            settings["verify"] = os.environ.get("SSL_CERT_FILE") or True
        start = link.clocks.now()
        try:
            link.patience()
            with sending(link):
                response = session.send(
                    prepared, allow_redirects=False, timeout=_timeouts(link), **settings
                )
        except _Redirect as found:
            response = found.response
        except requests.HTTPError as error:
            # A hook of the user's called raise_for_status(). Whoever asked us reads the status, and
            # the body, where the service says why.
            if error.response is None:
                raise
            response = error.response
        except BaseException as error:
            if seen.response is not None:
                seen.response.close()
            elif not link.attached and isinstance(error, requests.ReadTimeout):
                link.clocks.connected()
            raise
        finally:
            seen.response = None  # response -> request -> hooks -> response would be a cycle
        if not link.attached:  # the connection is not one of ours
            _take_over(response, link, link.clocks.now() - start)
        return response


def _in_clear(url: str, proxies: Any) -> bool:
    """Whether a proxy would read the request: all but https, which goes through a tunnel."""
    return not url.startswith("https:") and select_proxy(url, proxies) is not None


def _timeouts(link: Link) -> tuple[float, float]:
    """For requests: connect and read. Our connections know better; others keep to these."""
    clocks = link.clocks
    read = min(clocks.answer_left(), clocks.total_left())
    return max(min(clocks.left(), LONGEST), 0.001), max(min(read, LONGEST), 0.001)


def _take_over(response: requests.Response, link: Link, took: float) -> None:
    """From the headers on, the connection of a foreign pool is under our clocks and our abort."""
    link.clocks.connected()
    link.clocks.waited(took)
    link.clocks.heard()
    try:
        adopt(getattr(response.raw, "_fp", None), link)
    except BaseException:
        response.close()
        raise


def _is_users(error: Exception) -> bool:
    """
    Whether it was raised by a hook or an auth object of the user's session.

    requests wraps all errors of the network; it raises a bare OSError for certificate paths only.
    """
    return not isinstance(error, WRAPPERS) and type(error) is not OSError


class _KeepHeaders(AuthBase):
    """Does nothing: with an auth object given, requests leaves ~/.netrc alone (PROMISES.md S3)."""

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        return r


class _Redirect(Exception):
    """Carries a 3xx answer past requests, which would read its whole body, however long."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.response = response


class _Seen:
    """A response hook that runs before the user's own, and keeps the response at hand."""

    response: requests.Response | None = None

    def __call__(self, response: requests.Response, **_: Any) -> None:
        self.response = response
        if response.is_redirect:
            raise _Redirect(response)


def _new_session() -> requests.Session:
    session = requests.Session()
    adapter = Adapter()
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    # No cookies: none stored, none sent (PROMISES.md S19).
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers = CaseInsensitiveDict({"User-Agent": f"streamkit/{__version__}"})
    return session
