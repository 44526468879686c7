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
    from streamkit.api import Client, channel, close, follow, merge, replay, stream, wrap
    from streamkit.chunk import Attempt, Chunk, Kind, Outcome, Result, Seam, ToolCall, Usage
    from streamkit.coordinator import StreamingCoordinator
    from streamkit.deadline import Timeouts
    from streamkit.errors import (
        AuthenticationError,
        BufferClosed,
        BufferFull,
        ChunkRejected,
        ConcurrencyError,
        ConfigurationError,
        ConnectError,
        ContentBlocked,
        Expired,
        Fenced,
        FlowError,
        Gap,
        InvalidRequest,
        LimitExceeded,
        Overloaded,
        ProducerLost,
        ProtocolError,
        ProviderError,
        RateLimited,
        RecoveryFailed,
        StoreError,
        StoreUnavailable,
        StreamBusy,
        StreamEnded,
        StreamInterrupted,
        StreamkitError,
        StreamTimeout,
        TransportError,
        TruncatedStream,
        UnknownProvider,
        UnknownStream,
    )
    from streamkit.flow import (
        Batch,
        BatchConfig,
        BufferConfig,
        BurstRateLimiter,
        ChunkBatcher,
        FlowConfig,
        FlowController,
        FlowEvent,
        RateConfig,
        RateLimiter,
        StreamBuffer,
    )
    from streamkit.observe import (
        Aggregate,
        ChunkAggregator,
        Metrics,
        MetricsConfig,
        Prices,
        Progress,
        ProgressTracker,
        StreamAggregator,
        rich_progress,
        throttled,
        tqdm_progress,
    )
    from streamkit.pipeline import Channel, Health, Limits, Merge, Stream, StreamOptions
    from streamkit.providers import Service, register
    from streamkit.recovery import RecoveryConfig, RetryConfig
    from streamkit.rejoin import StreamRecovery, resume
    from streamkit.request import Message
    from streamkit.stages import (
        SKIP,
        StopConfig,
        Transform,
        Validate,
        annotate_reasoning,
        content_moderation,
        format_code_blocks,
        highlight_function_calls,
        inline_citations,
        show_performance,
        validate_local,
        validate_quality,
        validate_sources,
    )
    from streamkit.store import StreamInfo, StreamStore, open_store
    from streamkit.text import Segmenter, new_buffer
    from streamkit.wire import SSE_HEADERS, SSEWriter, format_sse_event, write_sse

__all__ = [
    "SKIP",
    "SSE_HEADERS",
    "Aggregate",
    "Attempt",
    "AuthenticationError",
    "Batch",
    "BatchConfig",
    "BufferClosed",
    "BufferConfig",
    "BufferFull",
    "BurstRateLimiter",
    "Channel",
    "Chunk",
    "ChunkAggregator",
    "ChunkBatcher",
    "ChunkRejected",
    "Client",
    "ConcurrencyError",
    "ConfigurationError",
    "ConnectError",
    "ContentBlocked",
    "Expired",
    "Fenced",
    "FlowConfig",
    "FlowController",
    "FlowError",
    "FlowEvent",
    "Gap",
    "Health",
    "InvalidRequest",
    "Kind",
    "LimitExceeded",
    "Limits",
    "Merge",
    "Message",
    "Metrics",
    "MetricsConfig",
    "Outcome",
    "Overloaded",
    "Prices",
    "ProducerLost",
    "Progress",
    "ProgressTracker",
    "ProtocolError",
    "ProviderError",
    "RateConfig",
    "RateLimited",
    "RateLimiter",
    "RecoveryConfig",
    "RecoveryFailed",
    "Result",
    "RetryConfig",
    "SSEWriter",
    "Seam",
    "Segmenter",
    "Service",
    "StopConfig",
    "StoreError",
    "StoreUnavailable",
    "Stream",
    "StreamAggregator",
    "StreamBuffer",
    "StreamBusy",
    "StreamEnded",
    "StreamInfo",
    "StreamInterrupted",
    "StreamOptions",
    "StreamRecovery",
    "StreamStore",
    "StreamTimeout",
    "StreamingCoordinator",
    "StreamkitError",
    "Timeouts",
    "ToolCall",
    "Transform",
    "TransportError",
    "TruncatedStream",
    "UnknownProvider",
    "UnknownStream",
    "Usage",
    "Validate",
    "__version__",
    "annotate_reasoning",
    "channel",
    "close",
    "content_moderation",
    "follow",
    "format_code_blocks",
    "format_sse_event",
    "highlight_function_calls",
    "inline_citations",
    "merge",
    "new_buffer",
    "open_store",
    "register",
    "replay",
    "resume",
    "rich_progress",
    "show_performance",
    "stream",
    "throttled",
    "tqdm_progress",
    "validate_local",
    "validate_quality",
    "validate_sources",
    "wrap",
    "write_sse",
]

_configure()

#: Where the public names are at home; each says itself which are public there. The first one loads
#: nearly all that a stream needs.
_HOMES = (
    "api", "chunk", "deadline", "errors", "flow", "observe", "pipeline", "providers", "recovery",
    "request", "stages", "text", "wire", "coordinator", "store", "rejoin",
)  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name in __all__:
        for home in _HOMES:
            module = _import_module(f"{__name__}.{home}")
            if name in module.__all__:
                globals()[name] = value = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
