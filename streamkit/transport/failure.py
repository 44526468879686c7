"""
What requests, urllib3, ssl, socket and http.client raise -> our errors, without a secret in them.

One error of the chain below tells what happened; it alone becomes ``__cause__``, stripped of its
traceback and of the objects it carries. requests' exceptions hold the prepared request with every
header, and the frames of a failed send hold the header block as bytes, which a traceback with
locals prints.
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

__all__ = ["FOREIGN", "WRAPPERS", "map_failure", "without_frames"]

#: The roots of what the libraries below raise. ValueError: a closed file, a bad URL, a codec.
FOREIGN = (
    OSError,
    ValueError,
    http.client.HTTPException,
    requests.RequestException,
    u3.HTTPError,
)

_UNSENDABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
    u3.LocationValueError,
)
#: What requests and urllib3 put around the error that tells what happened.
WRAPPERS = (requests.RequestException, u3.HTTPError)
_CARRIED = ("request", "response", "pool", "conn", "line")
_NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
#: http.client's own bounds: bytes of a header or chunk line, headers of an answer.
_HEADER_LINE, _HEADERS = 65536, 100


def map_failure(
    error: BaseException, *, url: str, clocks: Clocks, answered: bool
) -> StreamkitError:
    """
    The streamkit error for whatever went wrong below.

    Args:
        error: What was caught.
        url: Where the request went; only host and port are shown.
        clocks: Say which of them ran out, and how long it took.
        answered: True once the headers were read, False while connecting or waiting for them.
    """
    chain = list(_chain(error))
    telling = next((part for part in chain if not isinstance(part, WRAPPERS)), chain[-1])
    host = urlsplit(url).netloc
    mapped = None
    if not answered:
        mapped = _unsendable(chain, host) or _unconnected(chain, host, telling)
    mapped = mapped or _malformed(chain, host) or _out_of_time(chain, clocks)
    if mapped is None:
        when = "in the middle of the answer" if answered else "before the answer"
        mapped = StreamInterrupted(f"{host} broke the connection {when}: {_reason(telling)}")
    mapped.stage = mapped.stage or ("body" if answered else "headers")
    mapped.elapsed = clocks.elapsed()
    # An unsendable header is quoted in the error that says so.
    if not isinstance(mapped, ConfigurationError):
        mapped.__cause__ = _bare(telling)
    return mapped


def without_frames(error: BaseException) -> None:
    """
    Take the tracebacks off an error and all it wraps.

    A frame of urllib3's keeps the error it handled in a local variable; the cycle would hold the
    connection until the garbage collector comes by.
    """
    for part in _chain(error):
        part.__traceback__ = None


def _bare(error: BaseException) -> BaseException:
    """The error without its traceback, its own causes, and the objects it carries."""
    error.__cause__ = error.__context__ = error.__traceback__ = None
    for name in _CARRIED:
        vars(error).pop(name, None)
    return error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it wraps, outermost first."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        part = todo.pop(0)
        if isinstance(part, BaseException) and id(part) not in seen:
            seen.add(id(part))
            yield part
            todo += [*part.args, getattr(part, "reason", None), part.__cause__, part.__context__]


def _unsendable(chain: list[BaseException], host: str) -> StreamkitError | None:
    theirs = any(isinstance(part, u3.InvalidHeader) for part in chain)  # a header of the answer
    if isinstance(chain[0], _UNSENDABLE) and not theirs:
        return ConfigurationError(
            f"the request to {host} cannot be sent: a bad URL, header or proxy address"
        )
    if type(chain[0]) is OSError and chain[0].errno is None:  # requests says this of paths only
        return ConfigurationError(f"the request to {host} cannot be sent: {chain[0]}")
    return None


def _unconnected(
    chain: list[BaseException], host: str, telling: BaseException
) -> StreamkitError | None:
    """No connection, or none that can be used."""

    def has(*types: type[BaseException]) -> bool:
        return any(isinstance(part, types) for part in chain)

    def error(message: str, kind: str, **details: bool) -> ConnectError:
        return ConnectError(message, kind=kind, stage="connect", **details)

    reason = _reason(telling)
    if any(getattr(part, "errno", None) in _NO_RESOURCES for part in chain):
        return error(f"no connection to {host}: {reason}", "resources")
    if has(u3.ProxyError):
        return error(f"cannot reach {host} through the proxy: {reason}", "proxy")
    if has(socket.gaierror, u3.NameResolutionError):
        return error(f"cannot look up {host}: {reason}", "dns")
    if isinstance(telling, ssl.SSLCertVerificationError):
        return error(
            f"cannot verify the certificate of {host}: {telling.verify_message or reason}; "
            "to trust a private authority, point REQUESTS_CA_BUNDLE at its certificate",
            "tls", retryable=False,
        )  # fmt: skip
    # An end of file in the handshake says nothing about TLS: the server went away.
    if has(ssl.SSLError, u3.SSLError) and not has(ssl.SSLEOFError):
        return error(f"no TLS connection to {host}: {reason}", "tls", retryable=False)
    # A reset is no refusal: the connection stood, if only for a moment.
    if has(u3.NewConnectionError) and not has(ConnectionResetError):
        if has(ConnectionRefusedError):
            return error(f"{host} refused the connection", "refused")
        return error(f"{host} cannot be reached: {reason}", "network")
    return None


def _malformed(chain: list[BaseException], host: str) -> StreamkitError | None:
    """Something came, and it is not HTTP as we can take it."""
    for part in chain:
        if isinstance(part, http.client.RemoteDisconnected):
            return None  # a BadStatusLine only by inheritance: nothing came at all
        if isinstance(part, http.client.LineTooLong):
            return LimitExceeded(
                f"the headers or a chunk line from {host} are over {_HEADER_LINE} bytes",
                limit=_HEADER_LINE, observed=_HEADER_LINE + 1,
            )  # fmt: skip
        if isinstance(part, http.client.BadStatusLine):
            line = str(part.args[0]).encode("latin-1", "replace")
            return ProtocolError(
                f"{host} does not speak HTTP: it began with {line[:40]!r}", data=line[:200]
            )
        if isinstance(part, (http.client.UnknownProtocol, u3.DecodeError, u3.InvalidHeader)):
            return ProtocolError(f"the answer of {host} is malformed: {_reason(part)}")
        if type(part) is http.client.HTTPException:
            return LimitExceeded(
                f"{host} sent too many headers: {_reason(part)} (the limit counts headers)",
                limit=_HEADERS, observed=_HEADERS + 1,
            )  # fmt: skip
    return None


def _out_of_time(chain: list[BaseException], clocks: Clocks) -> StreamTimeout | None:
    """A time-out that we set; one that the kernel found by itself has a number, and is a break."""
    found = [
        part
        for part in chain
        if isinstance(part, (TimeoutError, u3.TimeoutError))
        and not isinstance(part, u3.NewConnectionError)  # a time-out only by inheritance
    ]
    if not found or any(getattr(part, "errno", None) is not None for part in found):
        return None
    return clocks.expired()


def _reason(error: BaseException) -> str:
    """What the error says, short; an OSError's own words rather than a wrapper's."""
    if isinstance(error, OSError) and error.strerror:
        return str(error.strerror)
    return (str(error) or type(error).__name__)[:200]
