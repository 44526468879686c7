"""
Answers that broke, found again in a store and carried on, by this process or another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamkit.chunk import Result
from streamkit.errors import ProducerLost, StoreError, StoreUnavailable, StreamBusy, StreamEnded
from streamkit.pipeline.failures import may_be_resumed
from streamkit.pipeline.fold import Fold
from streamkit.pipeline.saved import Saved, read_meta
from streamkit.store import StreamInfo, StreamStore, open_store

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from streamkit.pipeline.signature import AllKeywords
    from streamkit.pipeline.stream import Stream

__all__ = ["StreamRecovery", "resume"]


class StreamRecovery:
    """
    What a store holds of answers that broke.

    >>> recovery = StreamRecovery("memory://")
    >>> recovery.recoverable()
    []

    They get there by ``stream(..., recovery={"store": url})``, or by ``publish(url)``.

    Thread safety: **shared**.

    Args:
        store: A URL, or a store.

    Raises:
        ConfigurationError: No such store.
    """

    def __init__(self, store: str | StreamStore = "memory://") -> None:
        self._store = open_store(store)

    def recoverable(self) -> list[StreamInfo]:
        """
        The streams that ``resume()`` can carry on, the oldest first.

        Those whose process is gone, that were cancelled, or that failed with what another request
        may mend: the network, a clock, an answer cut short, a service in trouble. One that is
        damaged is left out; partial() says so.

        Raises:
            StoreError: The store cannot be read.
        """
        return [info for info in self._store.streams() if self._is_recoverable(info)]

    def partial(self, id: str) -> Result:
        """
        All that came of an answer so far; ``outcome`` is None where it has not ended, or is lost.

        Raises:
            UnknownStream, Expired: There is no such stream, or no more.
            Gap: Its beginning is no longer kept.
            StoreError: The store cannot be read.
        """
        return self._fold(id).result()

    def resume(self, id: str, **keywords: Unpack[AllKeywords]) -> Stream:
        """
        A Stream that carries the answer on, and saves it under the same id.

        What came before is in its ``partial`` from the start, and not delivered again.

        Args:
            id: One of those in ``recoverable()``.
            keywords: As for ``stream()``: the key is not in the store, and neither are headers. A
                base URL of your own has to be given again as well.

        Raises:
            UnknownStream, Expired: There is no such stream, or no more.
            StreamBusy: Somebody is writing it, or has begun to when the first chunk is asked for;
                UnknownStream, if it was deleted by then.
            Gap: Its beginning is no longer kept.
            StreamEnded: It is complete.
            StoreError: What the store holds of it is not enough.
            ConfigurationError: As for ``stream()``.
        """
        from streamkit import api

        saved = self._load(id)
        return api._resume(saved, self._store, keywords)

    def clear(self, id: str | None = None) -> int:
        """
        Delete a stream, or all that are recoverable; how many those were.

        Raises:
            StoreError: The store cannot be written.
        """
        if id is not None:
            return int(self._store.delete(id))
        return sum(self._store.delete(info.id) for info in self.recoverable())

    def _load(self, id: str) -> Saved:
        info = self._store.info(id)
        if info.state == "ended":
            raise StreamEnded(f"stream {id[:80]!r} has ended", stream_id=id)
        if info.lease_left > 0:
            raise StreamBusy(
                f"stream {id[:80]!r} has a writer, whose lease lives for {info.lease_left:.3g} s "
                "more",
                stream_id=id,
            )
        result = self.partial(id)
        place, call, strategy = read_meta(info.meta)
        return Saved(id=id, info=info, call=call, place=place, strategy=strategy, result=result)

    def _is_recoverable(self, info: StreamInfo) -> bool:
        if "call" not in info.meta:
            return False
        if info.state == "open":
            return info.lease_left <= 0
        if info.state != "failed":
            return info.state in ("lost", "cancelled")
        try:
            last = list(self._store.read(info.id, info.last - 1, until_end=False, block=0.0))
        except StoreUnavailable:
            raise
        except StoreError:
            return False  # deleted this moment; or damaged, which hides no other: partial() says so
        return bool(last) and may_be_resumed(last[-1].data)

    def _fold(self, id: str) -> Fold:
        fold = Fold()
        try:
            for entry in self._store.read(id, until_end=False, block=0.0):
                fold.add(entry)
        except ProducerLost:
            pass  # everything up to there was read
        return fold


def resume(store: str | StreamStore, id: str, **keywords: Unpack[AllKeywords]) -> Stream:
    """
    Carry on an answer that broke: ``StreamRecovery(store).resume(id, ...)``, which says the rest.

    Thread safety: **shared**.
    """
    return StreamRecovery(store).resume(id, **keywords)
