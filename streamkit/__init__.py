"""
Stream LLM answers: synchronous, threaded, embeddable, no event loop.

>>> from streamkit import stream
>>> for text in stream("openai/gpt-4o-mini", "Hi"):  # doctest: +SKIP
...     print(text, end="", flush=True)
"""

import logging as _logging
import os as _os

from streamkit.api import Client, close, stream
from streamkit.chunk import Attempt, Chunk, Kind, Outcome, Result, ToolCall, Usage
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
from streamkit.pipeline.options import Limits, StreamOptions
from streamkit.pipeline.stream import Stream
from streamkit.recovery.retry import RetryConfig
from streamkit.request import Message
from streamkit.version import __version__
