"""Items between threads: the ring, what it does when full, batches, pace. Knows no LLM."""

from typing import TYPE_CHECKING

from streamkit.flow.batch import Batch, BatchConfig, BatchMetrics, ChunkBatcher, Trigger
from streamkit.flow.bounds import BufferConfig, BufferStats
from streamkit.flow.limiter import BurstRateLimiter, Cancellable, RateConfig, RateLimiter
from streamkit.flow.overflow import POLICIES, FullRing, Policy, Verdict
from streamkit.flow.ring import StreamBuffer
from streamkit.flow.watch import Backpressure, ConsumerWatch, FlowEvent
from streamkit.flow.watermark import FlowConfig, WaterMark
from streamkit.lazy import lazy

if TYPE_CHECKING:
    from streamkit.flow.controller import FlowController, FlowState, FlowStats
else:
    __getattr__ = lazy(__name__, {"controller": ("FlowController", "FlowState", "FlowStats")})

__all__ = [
    "POLICIES",
    "Backpressure",
    "Batch",
    "BatchConfig",
    "BatchMetrics",
    "BufferConfig",
    "BufferStats",
    "BurstRateLimiter",
    "Cancellable",
    "ChunkBatcher",
    "ConsumerWatch",
    "FlowConfig",
    "FlowController",
    "FlowEvent",
    "FlowState",
    "FlowStats",
    "FullRing",
    "Policy",
    "RateConfig",
    "RateLimiter",
    "StreamBuffer",
    "Trigger",
    "Verdict",
    "WaterMark",
]
