"""Joining what a provider cut inside a character."""

from __future__ import annotations

from typing import Any

from streamkit.chunk import Chunk
from streamkit.wire.surrogates import SurrogateJoiner

__all__ = ["JoinSurrogates"]


class JoinSurrogates:
    """
    Chunks whose text may end in half an escaped character -> chunks that are proper text.

    Servers that cut by UTF-16 unit send ``"\\ud83d"`` in one delta and ``"\\ude00"`` in the next
    (FACTS.md F10). A half waits for its other half in the same channel (kind, tool call); one that
    never gets it becomes U+FFFD. Chunks that carry nothing else are dropped while they wait.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        self._joiners: dict[Any, SurrogateJoiner] = {}
        self._last: dict[Any, Chunk] = {}

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """The same chunks, in order, with proper text."""
        if not self._joiners:
            # The common case costs one look per chunk: ASCII text has no surrogates.
            for chunk in chunks:
                if not chunk.content.isascii():
                    break
            else:
                return chunks
        out: list[Chunk] = []
        for chunk in chunks:
            if not chunk.content or (chunk.content.isascii() and not self._joiners):
                out.append(chunk)
                continue
            channel = (chunk.kind, chunk.metadata.get("index"))
            joiner = self._joiners.get(channel)
            if joiner is None:
                joiner = self._joiners[channel] = SurrogateJoiner()
            chunk.content = joiner.feed(chunk.content)
            self._last[channel] = chunk
            if chunk.content or chunk.finish_reason:
                out.append(chunk)
        return out

    def flush(self) -> list[Chunk]:
        """One chunk for each half that was left alone."""
        out: list[Chunk] = []
        for channel, joiner in self._joiners.items():
            if rest := joiner.flush():
                last = self._last[channel]
                out.append(
                    Chunk(
                        rest, metadata=last.metadata, kind=last.kind, model=last.model, id=last.id
                    )
                )
        self._joiners.clear()
        self._last.clear()
        return out
