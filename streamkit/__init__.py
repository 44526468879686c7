"""
Stream LLM answers: synchronous, threaded, embeddable, no event loop.

>>> from streamkit import stream
>>> for text in stream("openai/gpt-4o-mini", "Hi"):  # doctest: +SKIP
...     print(text, end="", flush=True)
"""

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
from streamkit.observe import Metrics, MetricsConfig, Progress
from streamkit.pipeline import Limits, Stream, StreamOptions
from streamkit.providers import Service, register
from streamkit.recovery import RetryConfig
from streamkit.request import Message
from streamkit.version import __version__

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
    "InvalidRequest",
    "Kind",
    "LimitExceeded",
    "Limits",
    "Message",
    "Metrics",
    "MetricsConfig",
    "Outcome",
    "Overloaded",
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
