"""
Stream LLM answers: synchronous, threaded, embeddable, no event loop.

>>> from streamkit import stream
>>> for text in stream("openai/gpt-4o-mini", "Hi"):  # doctest: +SKIP
...     print(text, end="", flush=True)

A program that imports this and streams nothing pays next to nothing: the first public name that is
asked for loads the library.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from streamkit.logs import configure as _configure
from streamkit.version import __version__

if _TYPE_CHECKING:
    from streamkit.api import Client, close, stream
    from streamkit.chunk import Attempt, Chunk, Kind, Outcome, Result, ToolCall, Usage
    from streamkit.deadline import Timeouts
    from streamkit.errors import (
        AuthenticationError,
        BufferClosed,
        BufferFull,
        ConcurrencyError,
        ConfigurationError,
        ConnectError,
        ContentBlocked,
        FlowError,
        InvalidRequest,
        LimitExceeded,
        Overloaded,
        ProtocolError,
        ProviderError,
        RateLimited,
        StreamInterrupted,
        StreamkitError,
        StreamTimeout,
        TransportError,
        TruncatedStream,
        UnknownProvider,
    )
    from streamkit.flow import BatchConfig, BufferConfig, ChunkBatcher, FlowConfig, StreamBuffer
    from streamkit.observe import Metrics, MetricsConfig, Prices, Progress
    from streamkit.pipeline import Health, Limits, Stream, StreamOptions
    from streamkit.providers import Service, register
    from streamkit.recovery import RetryConfig
    from streamkit.request import Message

__all__ = [
    "Attempt",
    "AuthenticationError",
    "BatchConfig",
    "BufferClosed",
    "BufferConfig",
    "BufferFull",
    "Chunk",
    "ChunkBatcher",
    "Client",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectError",
    "ContentBlocked",
    "FlowConfig",
    "FlowError",
    "Health",
    "InvalidRequest",
    "Kind",
    "LimitExceeded",
    "Limits",
    "Message",
    "Metrics",
    "MetricsConfig",
    "Outcome",
    "Overloaded",
    "Prices",
    "Progress",
    "ProtocolError",
    "ProviderError",
    "RateLimited",
    "Result",
    "RetryConfig",
    "Service",
    "Stream",
    "StreamBuffer",
    "StreamInterrupted",
    "StreamOptions",
    "StreamTimeout",
    "StreamkitError",
    "Timeouts",
    "ToolCall",
    "TransportError",
    "TruncatedStream",
    "UnknownProvider",
    "Usage",
    "__version__",
    "close",
    "register",
    "stream",
]

_configure()

#: Where the public names are at home; each says itself which are public there.
_HOMES = (
    "api", "chunk", "deadline", "errors", "flow", "observe",
    "pipeline", "providers", "recovery", "request",
)  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for home in _HOMES:
        module = _import_module(f"{__name__}.{home}")
        globals().update({n: getattr(module, n) for n in module.__all__ if n in __all__})
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
