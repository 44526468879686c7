"""The writer's side: it numbers what it writes, which is what makes an append safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any, Protocol

from streamkit.errors import ConcurrencyError, ConfigurationError, StoreError, StreamEnded
from streamkit.process import generation
from streamkit.store.base import AppendReply
from streamkit.store.head import Head
from streamkit.store.record import dump

__all__ = ["LogWriter"]


class Log(Protocol):
    """The store, as a writer sees it."""

    def write(
        self, id: str, born: str, epoch: int, first: int, items: Sequence[tuple[str, bytes]]
    ) -> AppendReply:
        """Append what is not there yet, and renew the lease."""
        ...


class LogWriter:
    """
    A Writer over a LogStore.

    Thread safety: **shared**; calls wait for each other.
    """

    # Guarded by _lock: _last_seq, _closed. It is held while the store writes, so that the numbers
    # of two batches never cross.

    def __init__(self, log: Log, head: Head) -> None:
        self.id = head.id
        self.epoch = head.epoch
        self.lease = head.lease
        self._log = log
        self._born = head.born
        self._last_seq = head.last
        self._closed = False
        self._generation = generation()
        self._lock = Lock()

    @property
    def last_seq(self) -> int:
        """See Writer."""
        return self._last_seq

    def append(self, batch: Sequence[Mapping[str, Any]]) -> AppendReply:
        """See Writer."""
        if isinstance(batch, Mapping):
            raise ConfigurationError("a batch must be a sequence of mappings, got one mapping")
        return self._write([("chunk", dump("an entry", data)) for data in batch])

    def renew(self) -> AppendReply:
        """See Writer."""
        return self._write([])

    def end(self, result: Mapping[str, Any]) -> AppendReply:
        """See Writer."""
        return self._write([("end", dump("the result", result))])

    def fail(self, error: Mapping[str, Any]) -> AppendReply:
        """See Writer."""
        return self._write([("failed", dump("the error", error))])

    def cancelled(self, result: Mapping[str, Any]) -> AppendReply:
        """See Writer."""
        return self._write([("cancelled", dump("the result", result))])

    def close(self) -> None:
        """See Writer."""
        if self._generation != generation() or self._closed:
            return
        try:
            self._write([("lost", dump("entry", {"last_seq": self._last_seq}))])
        except StoreError:
            pass  # it has ended or is another's; or the store is away, and the lease runs out
        self._closed = True

    def _write(self, items: list[tuple[str, bytes]]) -> AppendReply:
        if self._generation != generation():
            raise ConcurrencyError(f"the parent of this fork writes stream {self.id[:80]!r}")
        with self._lock:
            if self._closed:
                raise StreamEnded(
                    f"stream {self.id[:80]!r} was given up by this writer", stream_id=self.id
                )
            reply = self._log.write(self.id, self._born, self.epoch, self._last_seq + 1, items)
            self._last_seq = reply.last_seq
            return reply
