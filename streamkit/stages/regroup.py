"""Chunks as the provider cut them -> chunks that hold whole units of text."""

from __future__ import annotations

from typing import Any

from streamkit.chunk import Chunk, Seam
from streamkit.errors import ConfigurationError
from streamkit.number import is_number
from streamkit.text import Segmenter

__all__ = ["DELTAS", "Regroup"]

#: Name in a chunk's metadata: how many deltas of the provider it stands for, where that is not one.
DELTAS = "deltas"

#: Kinds after which text does not go on as if nothing had been.
_ENDS = frozenset({"done", "gap"})


def _ends(chunk: Chunk) -> bool:
    """Whether the text before it ends there; a seam that joins well may lie inside a word."""
    if chunk.kind == "retry":
        seam = chunk.metadata.get("seam")
        return not (isinstance(seam, Seam) and seam.is_smooth)
    return chunk.kind in _ENDS


class Regroup:
    """
    Text chunks -> text chunks of one unit each; chunks of other kinds pass at once.

    >>> from streamkit.text import new_buffer
    >>> stage = Regroup(new_buffer("word"))
    >>> [chunk.content for chunk in stage.feed([Chunk("Hel"), Chunk("lo wor"), Chunk("ld")])]
    ['Hello ']
    >>> [chunk.content for chunk in stage.flush()]
    ['world']

    A finish reason, ``done``, ``gap`` and a ``retry`` whose text does not join bring what is held;
    all else overtakes it, and so does text of a further choice. A delta that holds several units
    becomes several chunks, the last of which is the delta itself, and has the finish reason. Its
    metadata goes there too, and so does that of deltas which ended no unit; of a name that several
    carry, the last counts.

    ``metadata["deltas"]`` tells pacing how many deltas a chunk stands for, where that is not one. A
    delta counts for the first unit that ends with it or after it, so the counts add up.

    The driver may pass its monotonic reading with the chunks. Then ``due()`` is the instant at
    which text has been held for ``max_wait``, and ``tick()`` gives it, unit or not.

    Thread safety: **confined**.

    Args:
        segmenter: Makes the units; this stage's alone.
        max_wait: Seconds that text may wait for the end of its unit, above 0; None for no limit.

    Raises:
        ConfigurationError: max_wait is no number, or not above 0.
    """

    def __init__(self, segmenter: Segmenter, *, max_wait: float | None = None) -> None:
        if max_wait is not None and not (is_number(max_wait) and max_wait > 0):
            raise ConfigurationError(
                f"max_wait must be above 0 seconds, or None for no limit, got {max_wait!r}"
            )
        self._segmenter = segmenter
        self._release = getattr(segmenter, "release", segmenter.flush)
        self._max_wait = max_wait
        self._since: float | None = None  # when the oldest held text came, or before
        self._deltas = 0  # that no chunk stands for yet
        self._metadata: dict[str, Any] = {}  # of those deltas
        self._origin: tuple[int, float, str | None, str | None] = (0, 0.0, None, None)

    def feed(self, chunks: list[Chunk], now: float | None = None) -> list[Chunk]:
        """Take chunks, give those whose unit is whole, and all that are no text."""
        out: list[Chunk] = []
        for chunk in chunks:
            if chunk.kind == "text" and "choice" not in chunk.metadata:
                self._text(chunk, now, out)
                continue
            if _ends(chunk):
                out += self.flush()
            out.append(chunk)
        return out

    def flush(self) -> list[Chunk]:
        """The end of the text -> what was held; the next text begins anew."""
        return self._rest(self._segmenter.flush())

    def due(self) -> float | None:
        """The instant at which held text has to leave; None where none is held or none has to."""
        if self._since is None or self._max_wait is None:
            return None
        return self._since + self._max_wait

    def tick(self, now: float) -> list[Chunk]:
        """What is held, if its time is up."""
        due = self.due()
        return self._rest(self._release()) if due is not None and due <= now else []

    def _text(self, chunk: Chunk, now: float | None, out: list[Chunk]) -> None:
        if not chunk.content and not chunk.finish_reason:
            out.append(chunk)  # a report of the provider, not of any text
            return
        self._origin = chunk.index, chunk.timestamp, chunk.model, chunk.id
        units = [*self._segmenter.feed(chunk.content)] if chunk.content else []
        self._deltas += bool(chunk.content)
        if chunk.finish_reason and (rest := self._segmenter.flush()):
            units.append(rest)
        if units or chunk.finish_reason:
            *parts, chunk.content = units or [""]
            out += [self._counted(self._piece(part)) for part in parts]
            out.append(self._settled(chunk))
            self._since = None if chunk.finish_reason else now
            return
        if self._since is None:
            self._since = now
        self._metadata.update(chunk.metadata)

    def _rest(self, text: str) -> list[Chunk]:
        """A chunk of what was held, with what is known of the deltas it came in."""
        self._since = None
        if not text and not self._metadata:
            return []
        return [self._settled(self._piece(text))]

    def _piece(self, text: str) -> Chunk:
        """A new chunk that says where its text is from."""
        index, timestamp, model, id = self._origin
        return Chunk(text, index, timestamp, model=model, id=id)

    def _settled(self, chunk: Chunk) -> Chunk:
        """The chunk, with the metadata of the deltas that no chunk stands for yet."""
        if self._metadata:
            chunk.metadata = {**self._metadata, **chunk.metadata}
            self._metadata = {}
        return self._counted(chunk)

    def _counted(self, chunk: Chunk) -> Chunk:
        """The chunk, with the number of those deltas."""
        if self._deltas != 1:
            chunk.metadata[DELTAS] = self._deltas
        self._deltas = 0
        return chunk
