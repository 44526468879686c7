"""
What a web client is shown: chunks and errors as plain JSON objects.

An error is told by its class and a sentence of ours. Its own message, the provider's body, headers
and tracebacks stay on the server: they may hold the key, the prompt, or an address.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass, replace
from math import isfinite
from types import NoneType
from typing import Any

from streamkit.chunk import Chunk, Seam
from streamkit.errors import (
    AuthenticationError,
    ChunkRejected,
    ConfigurationError,
    ContentBlocked,
    Expired,
    Gap,
    LimitExceeded,
    Overloaded,
    ProducerLost,
    ProviderError,
    RateLimited,
    RecoveryFailed,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
    TransportError,
    TruncatedStream,
    UnknownStream,
)

__all__ = ["present_chunk", "present_error", "to_json"]

#: The first class that fits says what is shown. An account without credit or with a wrong key is
#: the operator's business, so both are told as any failure of the service.
_SENTENCES: tuple[tuple[type[BaseException], str, str], ...] = (
    (RateLimited, "rate_limited", "the model service is busy; try again later"),
    (Overloaded, "overloaded", "the model service is busy; try again later"),
    (ContentBlocked, "content_blocked", "the model service refused the request for its content"),
    (AuthenticationError, "provider_error", "the model service could not be used"),
    (ProviderError, "provider_error", "the model service reported an error"),
    (StreamTimeout, "timeout", "the model service took too long to answer"),
    (TruncatedStream, "truncated", "the answer broke off"),
    (StreamInterrupted, "transport_error", "the answer broke off"),
    (RecoveryFailed, "truncated", "the answer broke off"),
    (ProducerLost, "truncated", "the answer broke off"),
    (Expired, "expired", "the answer is not kept any more"),
    (Gap, "expired", "the answer is not kept any more"),
    (UnknownStream, "unknown", "there is no such answer"),
    (TransportError, "transport_error", "the model service could not be reached"),
    (ChunkRejected, "rejected", "the answer was rejected"),
    (LimitExceeded, "failed", "the answer is too long"),
)

#: What is shown of the metadata, by kind. The rest is the provider's or yours: signatures for the
#: next request, what a call cost, what a transform noted.
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "tool_call": ("index", "id", "name"),
    "citation": ("citation",),
    "usage": ("usage",),
    "gap": ("dropped",),
    "retry": ("seam",),
    "done": ("outcome",),
}


def present_chunk(chunk: Chunk | str) -> dict[str, Any]:
    """
    A chunk, or a piece of text, as the object a client gets; what is empty is left out.

    >>> present_chunk("Hi")
    {'kind': 'text', 'content': 'Hi'}
    """
    if isinstance(chunk, str):
        return {"kind": "text", "content": chunk}
    shown: dict[str, Any] = {"kind": chunk.kind}
    if chunk.content:
        shown["content"] = chunk.content
    for name in _SHOWN.get(chunk.kind, ()):
        if name in chunk.metadata:
            shown[name] = _plain(chunk.metadata[name])
    for name in ("finish_reason", "model", "id"):
        value = getattr(chunk, name)
        # The model and id are told once, at the end; the id of a tool call is its own.
        if value is not None and (chunk.kind == "done" or name == "finish_reason"):
            shown[name] = value
    return shown


def present_error(error: BaseException | str) -> dict[str, Any]:
    """
    An error as the object a client gets: kind, type, message, and whether to try again.

    Args:
        error: An exception, of which only the class is told, or your own words, shown as they are.
    """
    name, sentence = "failed", "the answer could not be completed"
    if isinstance(error, str):
        sentence = error
    else:
        for kind, word, words in _SENTENCES:
            if isinstance(error, kind):
                name, sentence = word, words
                break
    retryable = isinstance(error, StreamkitError) and bool(error.retryable)
    return {"kind": "error", "type": name, "message": sentence, "retryable": retryable}


def to_json(value: Any) -> str:
    """
    JSON on one line, that UTF-8 can carry and every reader takes: no NaN, no lone surrogate.

    Raises:
        ConfigurationError: The value is not JSON; the message says what is not, and where.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:  # a lone surrogate: as an escape it is ASCII
                text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        return text
    except (TypeError, ValueError, RecursionError):
        # What json says of the value stays out: it may quote it.
        raise ConfigurationError(f"not JSON: {_misfit(value)}") from None


def _misfit(value: Any) -> str:
    """What of a value JSON cannot hold, and where."""
    try:
        return _first_misfit(value, "value") or "a number of too many digits"
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deep, or in itself"


def _first_misfit(value: Any, place: str) -> str | None:
    if isinstance(value, (dict, list, tuple)):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in inside:
            if not (isinstance(key, (str, int, NoneType)) or _is_finite(key)):
                return f"a key of type {type(key).__name__} in {place}"
            if found := _first_misfit(item, f"{place}[{key!r:.40}]"):
                return found
        return None
    if isinstance(value, (str, int, NoneType)) or _is_finite(value):
        return None
    return f"{value if isinstance(value, float) else type(value).__name__} at {place}"


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and isfinite(value)


def _plain(value: Any) -> Any:
    """Dataclasses (Usage) as objects, without the fields of which nothing is known."""
    if isinstance(value, Seam):
        value = replace(value, error=None)  # what broke is the server's business
    if is_dataclass(value) and not isinstance(value, type):
        return {name: item for name, item in asdict(value).items() if item is not None}
    return dict(value) if isinstance(value, Mapping) else value
