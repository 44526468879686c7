"""
Rewriting the visible text as one text, whatever its chunks.

An Editor sees text and nothing else: text in any split -> pieces. Rewrite is the stage around it:
it makes chunks of the pieces, keeps what the chunks carried beside their text, and keeps the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from streamkit.chunk import Chunk
from streamkit.stages.basic import SPOKEN, OnReject, check_on_reject, rejection

__all__ = ["Editor", "Piece", "Rewrite"]


class Piece(NamedTuple):
    """
    A part of the text.

    Thread safety: **immutable**.

    Args:
        text: What stands there now.
        metadata: What chunks made of it carry.
        refused: Why it may not stand there, or what a user's check raised; None where it may.
    """

    text: str
    metadata: Mapping[str, Any] | None = None
    refused: str | Exception | None = None


class Editor:
    """
    Text in any split -> pieces, which the split does not change; here, the text itself.

    Thread safety: **confined**.
    """

    def see(self, chunk: Chunk) -> None:
        """A chunk of another kind that came in the same read or before, for what it tells."""

    def feed(self, text: str) -> list[Piece]:
        """The pieces that are certain now."""
        return [Piece(text)]

    def release(self) -> list[Piece]:
        """No text follows directly: what was held back."""
        return []


class Rewrite:
    """
    Chunks -> the same chunks, with their text gone through an editor.

    A chunk that becomes several leaves its finish reason and metadata to the last. Reasoning, tool
    calls, refusals and a finish reason release what the editor holds; usage and citations overtake
    it.

    Thread safety: **confined**.

    Args:
        make: Makes the editor; again after each flush.
        on_reject: What is done with pieces that are refused; see Validate. Where the stream ends,
            ``error`` says why.
        replacement: What ``replace`` puts in their place.

    Raises:
        ConfigurationError: on_reject is another word, or replacement is no text.
    """

    def __init__(
        self, make: Callable[[], Editor], *, on_reject: OnReject = "raise", replacement: str = ""
    ) -> None:
        check_on_reject(on_reject, replacement)
        self._make = make
        self._editor = make()
        self._on_reject = on_reject
        self._replacement = replacement
        self._last = Chunk()
        self.error: BaseException | None = None
        self.rejected = 0

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks that are certain now."""
        for chunk in chunks:
            if chunk.kind != "text":
                self._editor.see(chunk)
        out: list[Chunk] = []
        for chunk in chunks:
            is_text = chunk.kind == "text" and chunk.content
            if is_text:
                self._read(chunk, out)
            elif chunk.kind in SPOKEN or chunk.finish_reason:
                self._release(out)
            if self.error is not None:
                break
            if not is_text:
                out.append(chunk)
        return out

    def flush(self) -> list[Chunk]:
        """What was held; then as new."""
        out: list[Chunk] = []
        self._release(out)
        self._editor = self._make()
        return out

    def _read(self, chunk: Chunk, out: list[Chunk]) -> None:
        self._last = replace(chunk, metadata={}, finish_reason=None)
        pieces = self._edited(lambda: self._editor.feed(chunk.content))
        if chunk.finish_reason:
            pieces += self._edited(self._editor.release)
        parts = self._allowed(pieces)
        if self.error is None:
            # The last part stays in the chunk that came, with all else it carries.
            chunk.content, metadata = parts.pop() if parts else ("", None)
            chunk.metadata.update(metadata or {})
        out += map(self._chunk, parts)
        if self.error is None and (chunk.content or chunk.metadata or chunk.finish_reason):
            out.append(chunk)

    def _release(self, out: list[Chunk]) -> None:
        out += map(self._chunk, self._allowed(self._edited(self._editor.release)))

    def _edited(self, work: Callable[[], list[Piece]]) -> list[Piece]:
        """What the editor gives; what a user's function in it raises ends the stream."""
        if self.error is not None:
            return []
        try:
            return work()
        except Exception as error:
            self.error = error
            return []

    def _allowed(self, pieces: list[Piece]) -> list[tuple[str, Mapping[str, Any] | None]]:
        """The text that may stand, as few parts as the metadata allows."""
        passed: list[Piece] = []
        for piece in pieces:
            if piece.refused is None:
                passed.append(piece)
            elif self._on_reject == "raise":
                self.error = self._error(piece.text, piece.refused)
                break
            else:
                self.rejected += 1
                if self._on_reject == "replace":
                    passed.append(Piece(self._replacement, piece.metadata))
        parts = [
            ("".join(piece.text for piece in group), metadata)
            for metadata, group in groupby(passed, attrgetter("metadata"))
        ]
        return [part for part in parts if part[0]]

    def _error(self, text: str, refused: str | Exception) -> Exception:
        if isinstance(refused, Exception):
            return refused
        return rejection(replace(self._last, content=text), refused)

    def _chunk(self, part: tuple[str, Mapping[str, Any] | None]) -> Chunk:
        text, metadata = part
        return replace(self._last, content=text, metadata=dict(metadata or {}))
