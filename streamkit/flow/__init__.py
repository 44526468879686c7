"""Items between threads: the ring, what it does when full, water marks, batches. Knows no LLM."""

from streamkit.flow.batch import Batch, BatchConfig, ChunkBatcher, Trigger
from streamkit.flow.overflow import POLICIES, FullRing, Policy, Verdict
from streamkit.flow.ring import BufferConfig, BufferStats, StreamBuffer
from streamkit.flow.watermark import FlowConfig, WaterMark

__all__ = [
    "POLICIES",
    "Batch",
    "BatchConfig",
    "BufferConfig",
    "BufferStats",
    "ChunkBatcher",
    "FlowConfig",
    "FullRing",
    "Policy",
    "StreamBuffer",
    "Trigger",
    "Verdict",
    "WaterMark",
]
