"""The entries of a stream in a store -> its Result so far."""

from __future__ import annotations

from dataclasses import replace

from streamkit.chunk import Result
from streamkit.pipeline.failures import error_from_json
from streamkit.pipeline.ledger import Ending, chunk_from_json, end_from_json
from streamkit.pipeline.options import Limits
from streamkit.pipeline.tail import Tail
from streamkit.store import Entry

__all__ = ["Fold"]


class Fold:
    """
    Takes entries, in order, and tells what they say.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        self._tail = Tail(Limits())
        self._known: dict[str, object] = {}

    def add(self, entry: Entry) -> None:
        """
        The next entry.

        Raises:
            StoreError: It is not as we write it.
        """
        self._known = {}
        if entry.kind == "chunk":
            chunk = chunk_from_json(entry.data)
            tail = self._tail
            tail.feed([chunk], entry.ts, 0.0)
            tail.finish_reason = chunk.finish_reason or tail.finish_reason
            tail.model, tail.id = tail.model or chunk.model, tail.id or chunk.id
        elif entry.kind == "takeover" and entry.data.get("policy") == "restart":
            self._tail.forget()
        elif entry.kind in ("end", "cancelled"):
            self._end(end_from_json(entry.data))
        elif entry.kind == "failed":
            self._known = {"outcome": error_from_json(entry.data).outcome}

    def _end(self, ending: Ending) -> None:
        names = "outcome", "finish_reason", "model", "id", "request_id", "usage", "cost"
        self._known = {name: getattr(ending, name) for name in names}

    def result(self) -> Result:
        """The Result so far; ``outcome`` is None where no end was told."""
        return replace(self._tail.result(), dropped=self._tail.shed, **self._known)  # type: ignore[arg-type]
