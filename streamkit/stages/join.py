"""Joining what a provider cut inside a character."""

from __future__ import annotations

from dataclasses import replace
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
        #: By channel, only where a half is held: the joiner, and the chunk the half came with.
        self._open: dict[Any, tuple[SurrogateJoiner, Chunk]] = {}
        self._broken = False

    def break_off(self) -> None:
        """
        The attempt broke, and another goes on: a half that is held counts if that brings the rest.

        If it does not, it begins with the whole character, and the half is dropped.
        """
        self._broken = bool(self._open)

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """The same chunks, in order, with proper text."""
        if not self._open:
            # The common case costs one look per chunk: ASCII text has no surrogates.
            for chunk in chunks:
                if not chunk.content.isascii():
                    break
            else:
                return chunks
        out: list[Chunk] = []
        for chunk in chunks:
            if not chunk.content or (chunk.content.isascii() and not self._open):
                out.append(chunk)
                continue
            channel = (chunk.kind, chunk.metadata.get("index"))
            if self._broken and not "\udc00" <= chunk.content[0] <= "\udfff":
                self._open.pop(channel, None)
            joiner, _ = self._open.pop(channel, (SurrogateJoiner(), chunk))
            chunk.content = joiner.feed(chunk.content)
            if joiner.pending:
                self._open[channel] = joiner, chunk
            if chunk.content or chunk.finish_reason or chunk.metadata.keys() - {"index"}:
                out.append(chunk)
        self._broken &= bool(self._open)
        return out

    def flush(self) -> list[Chunk]:
        """One chunk for each half that was left alone."""
        out: list[Chunk] = []
        for joiner, last in self._open.values():
            rest = joiner.flush()
            out.append(
                replace(last, content=rest, metadata=dict(last.metadata), finish_reason=None)
            )
        self._open.clear()
        return out
