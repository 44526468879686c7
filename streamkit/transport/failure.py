"""
What requests, urllib3, ssl, socket and http.client raise -> our errors, without a secret in them.

The error of the library below becomes ``__cause__``, stripped of its traceback and of the objects it
carries: requests' exceptions hold the prepared request with every header, and the frames of a failed
send hold the header block as bytes, which a traceback with locals prints.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
import urllib3.exceptions as u3

from streamkit.deadline import Clocks
from streamkit.errors import (
    ConfigurationError,
    ConnectError,
    LimitExceeded,
    ProtocolError,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
)

__all__ = ["FOREIGN", "map_failure", "scrub"]

#: The roots of what the libraries below raise. ValueError: urllib3 on a closed file, bad URLs, codecs.
FOREIGN = (
    OSError,
    ValueError,
    http.client.HTTPException,
    requests.RequestException,
    u3.HTTPError,
)

_CARRIED = ("request", "response", "pool", "conn", "connection")
_NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
#: http.client counts headers and measures lines only up to these.
_HEADER_LINE, _HEADERS = 65536, 100


def map_failure(error: BaseException, *, url: str, clocks: Clocks, answered: bool) -> StreamkitError:
    """
    The streamkit error for whatever went wrong below.

    Args:
        error: What was caught.
        url: Where the request went; only host and port are shown.
        clocks: For the seconds in a time-out's message.
        answered: True once the headers were read, False while connecting or waiting for them.
    """
    chain = list(_chain(error))
    mapped = _classify(chain, host=_host(url), clocks=clocks, answered=answered)
    if mapped.stage is None:
        mapped.stage = "body" if answered else "headers"
    mapped.__cause__ = scrub(_telling(chain))
    mapped.__suppress_context__ = True
    return mapped


def scrub(error: BaseException) -> BaseException:
    """Take from an exception, and all it was made of, the tracebacks and objects that show secrets."""
    for part in list(_chain(error)):
        part.__traceback__ = None
        for name in _CARRIED:
            if getattr(part, name, None) is not None:
                try:
                    setattr(part, name, None)
                except AttributeError:
                    part.__dict__.pop("_" + name, None)
    return error


def _telling(chain: list[BaseException]) -> BaseException:
    """The innermost error: the one that says what happened, and holds the least."""
    inner = chain[-1]
    inner.__cause__ = inner.__context__ = None
    return inner


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it wraps, outermost first."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        part = todo.pop(0)
        if not isinstance(part, BaseException) or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        todo += [*part.args, getattr(part, "reason", None), part.__cause__, part.__context__]


def _classify(
    chain: list[BaseException], *, host: str, clocks: Clocks, answered: bool
) -> StreamkitError:
    elapsed = clocks.elapsed()

    def find(*types: type[BaseException]) -> BaseException | None:
        return next((part for part in chain if isinstance(part, types)), None)

    if isinstance(
        find(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema,
             requests.exceptions.MissingSchema, requests.exceptions.InvalidHeader),
        Exception,
    ):  # fmt: skip
        return ConfigurationError(f"the request to {host} cannot be sent: bad URL or header")
    if dns := find(socket.gaierror):
        return ConnectError(
            f"cannot look up {host}: {_reason(dns)}", kind="dns", stage="connect", elapsed=elapsed
        )
    if tls := find(ssl.SSLCertVerificationError):
        return ConnectError(
            f"cannot verify the certificate of {host}: {_reason(tls)}; to trust a private "
            "authority, point REQUESTS_CA_BUNDLE at its certificate",
            kind="tls", retryable=False, stage="connect", elapsed=elapsed,
        )  # fmt: skip
    if not answered and find(u3.ConnectTimeoutError) and not find(u3.NewConnectionError):
        return StreamTimeout(
            f"no connection to {host} within {clocks.timeouts.connect or 0:g} s (clock 'connect')",
            clock="connect", limit=clocks.timeouts.connect or 0.0, stage="connect",
            retryable=True, elapsed=elapsed,
        )  # fmt: skip
    if not answered and find(u3.ProxyError, requests.exceptions.ProxyError):
        return ConnectError(
            f"cannot reach {host} through the proxy: {_reason(chain[-1])}",
            kind="proxy", stage="connect", elapsed=elapsed,
        )  # fmt: skip
    if not answered and (tls := find(ssl.SSLError, u3.SSLError)):
        return ConnectError(
            f"no TLS connection to {host}: {_reason(tls)}",
            kind="tls", retryable=False, stage="connect", elapsed=elapsed,
        )  # fmt: skip
    if (refused := find(OSError)) and getattr(refused, "errno", None) in _NO_RESOURCES:
        return ConnectError(
            f"no connection to {host}: {_reason(refused)}",
            kind="resources", stage="connect", elapsed=elapsed,
        )  # fmt: skip
    if find(u3.NewConnectionError):
        kind = "refused" if find(ConnectionRefusedError) else "network"
        what = "refused the connection" if kind == "refused" else "cannot be reached"
        return ConnectError(
            f"{host} {what}: {_reason(chain[-1])}", kind=kind, stage="connect", elapsed=elapsed
        )
    if malformed := _malformed(chain, host):
        return malformed
    if find(TimeoutError, u3.TimeoutError, requests.exceptions.Timeout):
        return clocks.expired()
    when = "in the middle of the answer" if answered else "before the answer"
    return StreamInterrupted(
        f"{host} broke the connection {when}: {_reason(chain[-1])}", elapsed=elapsed
    )


def _malformed(chain: list[BaseException], host: str) -> StreamkitError | None:
    for part in chain:
        if isinstance(part, http.client.RemoteDisconnected):
            return None  # a BadStatusLine only by inheritance: nothing came at all
        if isinstance(part, http.client.LineTooLong):
            return LimitExceeded(
                f"a header or chunk line from {host} is over {_HEADER_LINE} bytes",
                limit=_HEADER_LINE, observed=_HEADER_LINE + 1,
            )  # fmt: skip
        if isinstance(part, http.client.BadStatusLine):
            line = str(part).strip("'\"").encode("latin-1", "replace")
            return ProtocolError(
                f"{host} does not speak HTTP: it began with {line[:40]!r}", data=line[:200]
            )
        if isinstance(part, (http.client.UnknownProtocol, u3.DecodeError, u3.InvalidHeader)):
            return ProtocolError(f"the answer of {host} is malformed: {_reason(part)}")
        if type(part) is http.client.HTTPException and "headers" in str(part):
            return LimitExceeded(
                f"{host} sent more than {_HEADERS} headers (the limit counts headers)",
                limit=_HEADERS, observed=_HEADERS + 1,
            )  # fmt: skip
    return None


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or "the server"


def _reason(error: BaseException) -> str:
    """What the error says, short; an OSError's own words rather than a wrapper's."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return (str(error) or type(error).__name__)[:200]
