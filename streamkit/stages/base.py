"""What a stage is: chunks -> chunks, between the provider and the record."""

from __future__ import annotations

from typing import Protocol

from streamkit.chunk import Chunk

__all__ = ["Stage"]


class Stage(Protocol):
    """
    One step of a stream; an instance serves one stream, in its reading thread.

    A stage may change the chunks it is given, which are its own by then, hold some back, and make
    new ones. It never blocks; whoever drives it numbers and stamps what comes out.
    """

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """Take chunks, give those that are certain now."""
        ...

    def flush(self) -> list[Chunk]:
        """The end of an attempt -> what was held back; the next attempt finds a fresh stage."""
        ...
