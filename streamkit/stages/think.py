"""
Moving thinking that a model writes into its text, between tags, to where thinking belongs.

Models that think (DeepSeek R1, Qwen 3, Sonar Reasoning) begin their answer with ``<think>``. Some
services take that out, others pass it on as text; there a row of the table of providers, or the
user, asks for this stage.

How it works: an answer is outside at first. Outside, blanks are text and leave everything open, an
opening tag leads inside, and anything else is the visible answer, after which no tag counts: a
``<think>`` further down is one that the model writes about. Inside, all is reasoning up to the
closing tag, which leads outside again. Text that may be the beginning of a tag is held back until
the next text decides, so never more than a tag less one character.

Source: WIRE_FORMATS.md section 7, and the recording ``perplexity-chat-inline-think``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from streamkit.chunk import Chunk, Kind
from streamkit.stages.basic import SPOKEN

__all__ = ["TAGS", "Think"]

#: Opening tag -> closing tag; neither begins or ends with a blank.
TAGS: Mapping[str, str] = {
    "<think>": "</think>",
}

#: Thinking blocks of one answer that are looked for. Each costs a chunk or two where a hostile text
#: needs 16 bytes for it; models write one. Chosen; not measured.
MAX_BLOCKS = 64

_BLANKS = re.compile(r"\s*")


class Think:
    """
    Text chunks with thinking between tags -> reasoning chunks and text chunks.

    >>> stage = Think()
    >>> out = stage.feed([Chunk("<thi"), Chunk("nk>Hm."), Chunk("</think>\\n\\nHi")])
    >>> [(chunk.kind, chunk.content) for chunk in out]
    [('reasoning', 'Hm.'), ('text', '\\n\\nHi')]

    Only the tags are taken out: blank lines around them stay where they were. Thinking that is
    never closed is reasoning to the end; a closing tag without an opening one is text, for what
    came before it has been delivered as text by then. How the text is split into chunks changes
    neither the text nor the reasoning.

    A chunk that holds both becomes several, of which the last keeps the finish reason and the
    metadata. Chunks of other kinds stay in their order; usage and citations overtake held text.

    Cost: linear in the text, whatever its chunks; next to nothing once the visible answer began.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._closing = ""  # the tag that ends the thinking; "" outside of it
        self._blocks = 0
        self._visible = False  # the answer itself has begun
        self._held = ""
        self._names: tuple[str | None, str | None] = None, None  # of the chunk it came with

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """The same chunks, with the thinking in chunks of its own kind."""
        if self._visible:
            return chunks
        out: list[Chunk] = []
        for chunk in chunks:
            if chunk.kind == "text" and chunk.content:
                self._read(chunk, out)
                continue
            if self._held and (chunk.kind in SPOKEN or chunk.finish_reason):
                out.append(self._release())
            out.append(chunk)
        return out

    def flush(self) -> list[Chunk]:
        """What was held, which is no tag now; then as new."""
        held = [self._release()] if self._held else []
        self._start()
        return held

    def break_off(self) -> None:
        """The attempt broke: the next one makes the whole of an opening tag that was cut."""
        if not self._closing:
            self._held = ""

    def _read(self, chunk: Chunk, out: list[Chunk]) -> None:
        model, id = self._names = chunk.model, chunk.id
        text, self._held = self._held + chunk.content, ""
        pieces = self._split(text)
        if self._held and chunk.finish_reason:
            rest = self._release()
            pieces.append((rest.kind, rest.content))
        *parts, (chunk.kind, chunk.content) = pieces or [("text", "")]
        out += [Chunk(part, kind=kind, model=model, id=id) for kind, part in parts]
        if chunk.content or chunk.metadata or chunk.finish_reason:
            out.append(chunk)

    def _split(self, text: str) -> list[tuple[Kind, str]]:
        """Runs of text and of reasoning; what may become a tag is held."""
        pieces: list[tuple[Kind, str]] = []
        at = 0
        while at < len(text):
            kind: Kind = "reasoning" if self._closing else "text"
            find = self._find_closing if self._closing else self._find_opening
            end, following = find(text, at)
            if end > at:
                pieces.append((kind, text[at:end]))
            at = following
        return pieces

    def _find_opening(self, text: str, at: int) -> tuple[int, int]:
        """Where the visible text from ``at`` ends, and where to read on."""
        blanks = None if self._visible else _BLANKS.match(text, at)
        start = blanks.end() if blanks else len(text)
        if start == len(text):
            return start, start
        for opening, closing in TAGS.items():
            if text.startswith(opening, start):
                self._closing = closing
                return start, start + len(opening)
            if opening.startswith(text[start : start + len(opening)]):
                self._held = text[start:]
                return start, len(text)
        self._visible = True
        return len(text), len(text)

    def _find_closing(self, text: str, at: int) -> tuple[int, int]:
        """Where the thinking from ``at`` ends, and where to read on."""
        closing = self._closing
        found = text.find(closing, at)
        if found >= 0:
            self._closing = ""
            self._blocks += 1
            self._visible = self._blocks == MAX_BLOCKS
            return found, found + len(closing)
        end = len(text)
        for size in range(min(len(closing) - 1, end - at), 0, -1):
            if text.endswith(closing[:size]):
                self._held = closing[:size]
                return end - size, end
        return end, end

    def _release(self) -> Chunk:
        """A chunk of what was held: it is no tag."""
        kind: Kind = "reasoning" if self._closing else "text"
        self._visible = not self._closing
        held, self._held = self._held, ""
        model, id = self._names
        return Chunk(held, kind=kind, model=model, id=id)
