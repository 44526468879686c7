"""
Keeping an answer in a store while it comes, so that it can be carried on by another process.

The saver belongs to the reading thread, which gives it what was recorded of each network read. A
store that fails costs the answer nothing: it is said once, in the log, and from then on nothing is
saved (PROMISES.md P58).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from math import inf
from time import monotonic
from typing import Any, Protocol

from streamkit.chunk import Chunk, Outcome, Result
from streamkit.errors import (
    ConfigurationError,
    StoreError,
    StreamBusy,
    StreamEnded,
    StreamkitError,
    UnknownStream,
)
from streamkit.pipeline.failures import error_to_json
from streamkit.pipeline.ledger import chunk_to_json, end_to_json
from streamkit.process import generation
from streamkit.recovery.recovery import is_recoverable
from streamkit.store import AppendReply, StreamStore, Writer, open_store
from streamkit.store.base import RENEW

__all__ = ["Saver"]

log = logging.getLogger("streamkit.store")

#: Seconds without a sign of life after which the answer counts as lost. Source: FACTS.md 4.3.
LEASE = 15.0


class Watched(Protocol):
    """What a Saver needs of the stream whose answer it keeps."""

    def settled_result(self, outcome: Outcome | None) -> Result:
        """All that came, as it is when it ends with that outcome."""
        ...

    def cancel(self, reason: str = "") -> None:
        """Stop it; idempotent."""
        ...


class Saver:
    """
    Writes one answer into a store.

    Thread safety: **confined** to the reading thread, once made.

    Args:
        store: A URL, or a store.
        id: The name of the answer there.
        meta: What ``saved.describe()`` says of the request.
        ttl: Seconds to keep it after its end.
        behind: Go on behind an answer that broke, whose last entry was this; None begins one.
        clock: That of the link, so that due() means the same for both.

    Raises:
        StreamBusy, StreamEnded: The id is taken, or entries came behind the last one known.
        UnknownStream: It was deleted, and shall be carried on.
        ConfigurationError: A bad URL, id or number.
    """

    def __init__(
        self,
        store: str | StreamStore,
        id: str,
        meta: Mapping[str, Any],
        ttl: float,
        *,
        behind: int | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.id = id
        self._clock = clock
        self._writer: Writer | None = None
        #: Whose answer it is, while it is read: else the two would keep each other alive.
        self._stream: Watched | None = None
        self._generation = generation()
        self._renew_at = inf
        try:
            kept = open_store(store)
            self._writer = kept.claim(
                id,
                lease=LEASE,
                meta=meta,
                retain=ttl,
                on_lost="fail" if behind is None else "takeover",
                policy="continue",
            )
            if behind is not None and self._writer.epoch == 1:  # the claim has made it anew
                kept.delete(id)
                raise UnknownStream(
                    f"stream {id[:80]!r} was deleted since it was read here", stream_id=id
                )
            if behind is not None and _moved_on(kept, self._writer, behind):
                self._writer.close()
                raise StreamBusy(
                    f"stream {id[:80]!r} was written to since it was read here: resume it again",
                    stream_id=id,
                )
        except (ConfigurationError, StreamBusy, StreamEnded, UnknownStream):
            raise
        except Exception as error:  # the file is damaged, say; of a store from outside: anything
            self._off(error)
        else:
            self._renew_at = clock() + LEASE * RENEW

    @property
    def saves(self) -> bool:
        """Whether the answer is still being saved."""
        return self._writer is not None

    def add(self, chunks: list[Chunk]) -> None:
        """What one network read brought."""
        if self._writer is not None and chunks:
            writer, items = self._writer, [chunk_to_json(c) for c in chunks if c.kind != "done"]
            self._heed(self._try(lambda: writer.append(items)))

    def watch(self, reader: Iterator[list[Chunk]], stream: Watched) -> Iterator[list[Chunk]]:
        """
        What the reader gives; how it ends is kept before it is told to anybody else.

        That holds from now on, also where nothing is ever read.
        """
        watched = self._watched(reader, stream)
        next(watched)
        return watched

    def _watched(self, reader: Iterator[list[Chunk]], stream: Watched) -> Iterator[list[Chunk]]:
        try:
            yield []  # to watch(): who closes a generator that was not begun closes nothing
            self._stream = stream
            for chunks in reader:
                if chunks and chunks[-1].done:
                    self.ended(stream.settled_result(chunks[-1].metadata["outcome"]))
                yield chunks
            self.ended(stream.settled_result("cancelled"))
        except GeneratorExit:
            self.ended(stream.settled_result("cancelled"))
            raise
        except Exception as error:
            self.failed(error, recoverable=is_recoverable(error))
            raise
        finally:
            self._stream = None
            reader.close()  # type: ignore[attr-defined]
            self.close()

    def due(self) -> float | None:
        """The instant at which tick() has to be called; None when nothing is saved any more."""
        return None if self._writer is None else self._renew_at

    def tick(self, now: float) -> None:
        """It is that late: renew the lease if it is time."""
        if self._writer is not None and now >= self._renew_at:
            self._heed(self._try(self._writer.renew))

    def ended(self, result: Result) -> None:
        """The answer has ended quietly, ``result.outcome`` says how; one that was cancelled too."""
        if self._writer is not None:
            writer, said = self._writer, end_to_json(result)
            write = writer.cancelled if result.outcome == "cancelled" else writer.end
            self._try(lambda: write(said))
        self._writer = None

    def failed(self, error: BaseException, *, recoverable: bool) -> None:
        """The answer broke; ``recoverable`` says whether another process may carry it on."""
        if self._writer is not None:
            writer, said = self._writer, error_to_json(error, recoverable=recoverable)
            self._try(lambda: writer.fail(said))
        self._writer = None

    def close(self) -> None:
        """The reading thread leaves: an answer of which no end was told counts as lost."""
        writer, self._writer = self._writer, None
        if writer is not None:
            try:
                writer.close()
            except Exception as error:  # of a store from outside: anything
                log.debug("lease not given back id=%r error=%s", self.id[:80], type(error).__name__)

    def _try(self, call: Callable[[], AppendReply]) -> AppendReply | None:
        if self._generation != generation():
            return None  # a fork closes what it inherited: the answer is its parent's to keep
        try:
            reply = call()
        except Exception as error:  # of a store from outside: anything
            self._off(error)
            return None
        self._renew_at = self._clock() + LEASE * RENEW
        return reply

    def _heed(self, reply: AppendReply | None) -> None:
        """Somebody may ask to cancel: at once, however long the service says nothing."""
        if reply is not None and reply.cancel_requested and self._stream is not None:
            self._stream.cancel(reply.reason)

    def _off(self, error: Exception) -> None:
        """Say so, once, and save no more."""
        self._writer = None
        self._renew_at = inf
        # Its message may tell where the store is; that is the user's own business, at DEBUG.
        log.warning("saving stopped id=%r error=%s", self.id[:80], type(error).__name__)
        known = isinstance(error, StreamkitError)
        log.debug("saving stopped because=%s", error, exc_info=None if known else error)


def _moved_on(store: StreamStore, writer: Writer, behind: int) -> bool:
    """
    Whether anything stands between the last entry known and the takeover of this writer.

    Not if that is the word of a reader that the writer before is lost, which it may have found at
    any moment: it changes nothing of the answer.
    """
    if writer.last_seq == behind + 1:
        return False
    try:
        between = store.read(writer.id, behind, until_end=False, block=0.0)
        return any(entry.kind != "lost" for entry in between if entry.seq < writer.last_seq)
    except StoreError:
        return True  # who resumes it again is told what it is
