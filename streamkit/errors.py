"""
Every exception, on one page.

``except StreamkitError`` catches all of ours. A user's own exception (callback, stage, source)
arrives unchanged. What requests, urllib3, ssl, json and http.client raise never escapes unmapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamkit.chunk import Attempt, Chunk, Outcome, Result

__all__ = [
    "AuthenticationError",
    "BufferClosed",
    "BufferFull",
    "ChunkRejected",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectError",
    "ContentBlocked",
    "Expired",
    "Fenced",
    "FlowError",
    "Gap",
    "InvalidRequest",
    "LimitExceeded",
    "Overloaded",
    "ProducerLost",
    "ProtocolError",
    "ProviderError",
    "RateLimited",
    "RecoveryFailed",
    "StoreError",
    "StoreUnavailable",
    "StreamBusy",
    "StreamEnded",
    "StreamInterrupted",
    "StreamTimeout",
    "StreamkitError",
    "TransportError",
    "TruncatedStream",
    "UnknownProvider",
    "UnknownStream",
]


class StreamkitError(Exception):
    """
    The root of everything this library raises.

    Attributes, None or empty where they do not apply: ``partial`` (the Result so far, on anything
    raised after the first byte), ``stage`` (connect, headers, body, ...), ``provider``, ``status``,
    ``request_id``, ``stream_id``, ``attempts``, ``elapsed`` (seconds) and ``retryable``. All
    survive pickling.
    """

    #: How a stream that ended with this error is called in Result.outcome.
    outcome: Outcome = "failed"
    retryable: bool = False

    def __init__(self, message: str = "", /, **details: Any) -> None:
        super().__init__(message)
        self.partial: Result | None = None
        self.stage: str | None = None
        self.provider: str | None = None
        self.status: int | None = None
        self.request_id: str | None = None
        self.stream_id: str | None = None
        self.attempts: tuple[Attempt, ...] = ()
        self.elapsed: float | None = None
        for name, value in details.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args, self.__dict__


class ConfigurationError(StreamkitError, ValueError):
    """
    A bad option, raised before any thread or socket exists; or a foreign item nobody can read.

    ``missing`` is True where nothing is wrong, and only a key or an address was not given.
    """

    missing: bool = False


class UnknownProvider(ConfigurationError, LookupError):
    """No provider has that name; the message lists those that exist."""


class TransportError(StreamkitError):
    """The network failed. ``__cause__`` is the error of the library below, without secrets."""

    outcome: Outcome = "transport_error"


class ConnectError(TransportError):
    """No connection; ``kind``: dns, refused, tls, proxy, network, resources (fds, threads)."""

    kind: str = "network"
    retryable = True


class StreamTimeout(TransportError, TimeoutError):
    """A clock ran out: ``clock`` is connect, first, content, wire or total, ``limit`` seconds."""

    outcome = "timeout"
    clock: str = ""
    limit: float = 0.0


class StreamInterrupted(TransportError, ConnectionError):
    """The connection broke before the answer was complete."""

    retryable = True


class ProtocolError(StreamkitError):
    """Bytes that break the format; ``data`` holds the first 200."""

    data: bytes = b""


class TruncatedStream(ProtocolError):
    """A clean end of the body, with neither a finish reason nor the provider's terminal event."""

    outcome = "truncated"
    retryable = True


class LimitExceeded(ProtocolError):
    """A line, event or answer over its bound: ``limit`` and ``observed``, in bytes if not said."""

    limit: int = 0
    observed: int = 0


class ProviderError(StreamkitError):
    """
    The service said no: ``status``, ``code``, ``type`` and ``message`` are its own, where it gave
    them, ``body`` is all it said (the first 64 KiB), ``retry_after`` the seconds it asks for.

    ``message`` is its words as they are, and may hold anything; str() of the error shows the first
    500 characters of them with what does not print escaped.
    """

    outcome = "provider_error"
    message: str | None = None
    code: str | int | None = None
    type: str | None = None
    body: str = ""
    retry_after: float | None = None


class AuthenticationError(ProviderError):
    """The key is missing, wrong, or not allowed to do this (401, 403)."""


class RateLimited(ProviderError):
    """Too many requests, or a quota used up (429); ``retry_after`` seconds, if the service says."""

    retryable = True


class Overloaded(ProviderError):
    """The service is failing or too busy (5xx, 529)."""

    retryable = True


class InvalidRequest(ProviderError):
    """The service cannot serve this request as it is (400, 404, 413, 422)."""


class ContentBlocked(ProviderError):
    """The service refused the prompt for its content, with an HTTP error."""


class FlowError(StreamkitError):
    """A buffer cannot do what was asked."""


class BufferFull(FlowError):
    """No room came in time."""


class BufferClosed(FlowError):
    """The buffer takes no more items."""


class ChunkRejected(StreamkitError):
    """A validator refused a ``chunk`` for a ``reason``; all before it was delivered."""

    outcome = "rejected"
    chunk: Chunk | None = None
    reason: str = ""


class RecoveryFailed(StreamkitError):
    """
    A broken answer could not be carried on: ``attempts`` has every request, ``partial`` all that
    came, ``__cause__`` is what ended the last one.
    """

    outcome: Outcome = "transport_error"


class StoreError(StreamkitError):
    """A store of streams cannot do what was asked."""


class UnknownStream(StoreError, LookupError):
    """The store has no stream of that id."""


class StreamBusy(StoreError):
    """Another writer has the stream, and its lease lives."""


class StreamEnded(StoreError):
    """The stream has ended; nothing more can be written to it."""


class Fenced(StoreError):
    """Another writer took the stream over after our lease had run out; our words count no more."""


class Gap(StoreError):
    """Entries that were asked for are gone; ``first_available`` is the oldest one kept."""

    first_available: int = 0


class Expired(StoreError):
    """The stream ended longer ago than the store keeps streams."""


class ProducerLost(StoreError):
    """The writer went without a word; everything up to entry ``last_seq`` was read."""

    last_seq: int = 0


class StoreUnavailable(StoreError):
    """The store cannot be reached or written just now; ``__cause__`` says why."""

    retryable = True


class ConcurrencyError(StreamkitError, RuntimeError):
    """Two consumers on one stream, a wait without end, or a stream taken into a forked process."""
