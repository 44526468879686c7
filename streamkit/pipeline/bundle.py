"""Neighbours that share a slot of the ring and stay what they were: what a paced stream merges."""

from __future__ import annotations

from typing_extensions import override

from streamkit.chunk import Chunk

__all__ = ["Bundle", "bundled", "opened"]


class Bundle(Chunk):
    """
    Chunks in order, as one item. Its own text is empty.

    Bundles that grew out of each other share one list, of which each knows how much is its own. So
    to add a chunk costs the same however many there are, and a bundle that was made in vain, since
    it did not fit, changes nothing for the one before it.

    Thread safety: **confined** to the lock of the ring, then to the drainer.
    """

    __slots__ = ("_bytes", "_count", "_parts", "size")

    def __init__(self, parts: list[Chunk], count: int, size: int, nbytes: int) -> None:
        first = parts[0]  # what waited longest is seen to have waited
        super().__init__("", first.index, first.timestamp, kind=first.kind)
        self._parts = parts
        self._count = count
        self._bytes = nbytes
        #: Characters; a chunk without any counts as one, so that there is a bound to their number.
        self.size = size

    @property
    @override
    def weight(self) -> int:
        """That of all of them."""
        return self._bytes

    def plus(self, chunk: Chunk) -> Bundle:
        """The same and one more; this one stays as it is, but cannot grow another way."""
        parts = self._parts
        del parts[self._count :]
        parts.append(chunk)
        return Bundle(parts, len(parts), self.size + _size(chunk), self._bytes + chunk.weight)

    def parts(self) -> list[Chunk]:
        """The chunks."""
        return self._parts[: self._count]


def bundled(old: Chunk, new: Chunk, most: int) -> Bundle | None:
    """A queued chunk or bundle, and a new chunk, as one; None where that is over ``most``."""
    if not isinstance(old, Bundle):
        old = Bundle([old], 1, _size(old), old.weight)
    return old.plus(new) if old.size + _size(new) <= most else None


def opened(chunks: list[Chunk]) -> list[Chunk]:
    """The chunks as they were before some were bundled."""
    out: list[Chunk] = []
    for chunk in chunks:
        if isinstance(chunk, Bundle):
            out += chunk.parts()
        else:
            out.append(chunk)
    return out


def _size(chunk: Chunk) -> int:
    return max(len(chunk.content), 1)
