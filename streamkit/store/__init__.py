"""
Streams that outlive their reader: one append-only log per stream id, one writer, many readers.

>>> from streamkit.store import MemoryStore
>>> writer = MemoryStore().claim("answer-1")
>>> writer.append([{"text": "Hello"}, {"text": " world"}]).last_seq
2
"""

from typing import TYPE_CHECKING

from streamkit.lazy import lazy
from streamkit.store.base import (
    TERMINAL,
    AppendReply,
    Entry,
    EntryKind,
    Stoppable,
    StreamInfo,
    StreamState,
    StreamStore,
    Writer,
)
from streamkit.store.registry import STORES, open_store

if TYPE_CHECKING:
    from streamkit.store.memory import MemoryStore
    from streamkit.store.sqlite import SqliteStore
else:
    __getattr__ = lazy(__name__, {"memory": ("MemoryStore",), "sqlite": ("SqliteStore",)})

__all__ = [
    "STORES",
    "TERMINAL",
    "AppendReply",
    "Entry",
    "EntryKind",
    "MemoryStore",
    "SqliteStore",
    "Stoppable",
    "StreamInfo",
    "StreamState",
    "StreamStore",
    "Writer",
    "open_store",
]
