"""
Any service, read by a function of the user's: what StreamingCoordinator is made of.

The framing is found out by the first byte; what an event says, the function knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import get_args

from streamkit.chunk import Chunk, Kind, Usage
from streamkit.errors import ConfigurationError, ProtocolError
from streamkit.providers.base import Decoder, Endpoint
from streamkit.providers.dialect import Dialect
from streamkit.providers.events import AnswerDecoder
from streamkit.request import Call, Request
from streamkit.wire.encode import DONE
from streamkit.wire.jsontext import parse
from streamkit.wire.ndjson import NDJSONDecoder

__all__ = ["ByContent", "ParseChunk", "Parsed", "own_chunk"]

#: The data of an event, or a line -> what it says.
ParseChunk = Callable[[str], "Chunk | str | Iterable[Chunk | str] | None"]


_KINDS = get_args(Kind)

#: What a kind must have in its metadata for the record to be kept, and of which type.
_NEEDS: dict[str, tuple[str, type]] = {
    "tool_call": ("index", int),
    "usage": ("usage", Usage),
    "citation": ("citation", Mapping),
}


def own_chunk(chunk: Chunk) -> Chunk | None:
    """
    A chunk that the user made -> a copy for the stream to number and change, or None if it has
    nothing to show. That it is the last, or carries an error, is for the caller to look at.

    Raises:
        ConfigurationError: Its content is no text, its kind does not exist, or needs something that
            its metadata lacks.
    """
    if not (isinstance(chunk.content, str) and isinstance(chunk.metadata, Mapping)):
        raise ConfigurationError(
            f"a chunk needs a str as content and a mapping as metadata, got {chunk!r}"
        )
    if chunk.kind not in _KINDS:
        raise ConfigurationError(
            f"the kind of a chunk must be one of {', '.join(_KINDS)}, got {chunk.kind!r:.80}"
        )
    name, kind = _NEEDS.get(chunk.kind, ("", object))
    if name and not isinstance(chunk.metadata.get(name), kind):
        raise ConfigurationError(
            f"a chunk of kind {chunk.kind} needs {name!r} in metadata, got {list(chunk.metadata)}"
        )
    if chunk.kind == "done" or not (chunk.content or chunk.metadata):
        return None
    return replace(chunk, done=False, metadata=dict(chunk.metadata))


class ByContent:
    """
    Server-sent events or lines of JSON, whichever the first byte says -> the texts in them.

    Thread safety: **confined**.
    """

    reads_json = True

    def __init__(self, *, max_event: int) -> None:
        self._max_event = max_event
        self._lines: NDJSONDecoder | None = None
        self._events: AnswerDecoder | None = None

    @property
    def replaced(self) -> int:
        """Bad pieces of UTF-8 replaced by U+FFFD so far."""
        decoder = self._lines or self._events
        return 0 if decoder is None else decoder.replaced

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """Bytes in any split -> (event type, data); the type of a line is ``message``."""
        if self._lines is None and self._events is None:
            # Blanks before the first byte mean nothing in either. A byte-order mark comes in one
            # piece: the caller sees to it.
            data = data.removeprefix(b"\xef\xbb\xbf").lstrip()
            if not data:
                return []
            if data[:1] in (b"{", b"["):  # only JSON begins so
                self._lines = NDJSONDecoder(max_event=self._max_event)
            else:
                self._events = AnswerDecoder(max_event=self._max_event)
        if self._lines is not None:
            return [("message", line) for line in self._lines.feed(data)]
        assert self._events is not None
        return [(event.event, event.data) for event in self._events.feed(data)]

    def flush(self) -> list[tuple[str, str]]:
        """A clean end: what was not closed counts if it is whole."""
        if self._lines is not None:
            return [("message", line) for line in self._lines.flush()]
        if self._events is not None:
            return [(event.event, event.data) for event in self._events.flush()]
        return []


class Parsed(Dialect):
    """
    The dialect of a ``parse_chunk``.

    Thread safety: **confined**; one instance reads one attempt.
    """

    terminal_is_complete = False

    def __init__(self, endpoint: Endpoint, parse_chunk: ParseChunk, first: Request) -> None:
        super().__init__(endpoint)
        self._parse = parse_chunk
        self._first = first

    def request(self, call: Call) -> Request:
        """The user's own request, with the messages of the call in place of its own."""
        body = {**json.loads(self._first.body), "messages": call.messages}
        return replace(self._first, body=json.dumps(body).encode())

    def whole(self, body: bytes) -> list[Chunk] | None:
        """A body of JSON is lines of JSON here."""
        return None

    def decoder(self, *, max_event: int) -> Decoder[tuple[str, str]]:
        """See Provider."""
        return ByContent(max_event=max_event)

    def feed(self, event: tuple[str, str]) -> list[Chunk]:
        """See Provider; raises what ``parse_chunk`` raises, and where it gives something else."""
        kind, data = event
        if data.startswith(DONE):
            self.finished = True
            return []
        if kind == "error" or '"error"' in data:
            self._refuse(kind, data)
        said = self._parse(data)
        if said is None:
            return []
        if isinstance(said, (str, Chunk)):
            said = (said,)
        elif isinstance(said, Mapping) or not isinstance(said, Iterable):
            raise _misread(said)
        return [chunk for item in said for chunk in self._accept(item)]

    def _accept(self, item: Chunk | str) -> list[Chunk]:
        if isinstance(item, str):
            return [self._chunk(item, "text")] if item else []
        if not isinstance(item, Chunk):
            raise _misread(item)
        if item.error is not None:
            raise item.error
        self._identify(item.model, item.id)
        if item.finish_reason:
            self.finish_reason = item.finish_reason
        if item.done or item.kind == "done":
            self.finished = self.terminal_is_complete = True  # in so many words
        own = own_chunk(item)
        return [] if own is None else [own]

    def _refuse(self, kind: str, data: str) -> None:
        """An error in a stream that began well, if it is one: text may hold the word too."""
        try:
            frame = parse(data)
        except ProtocolError:
            frame = data
        if kind == "error" or (isinstance(frame, dict) and frame.get("error")):
            raise self._failure(frame)


def _misread(said: object) -> ConfigurationError:
    return ConfigurationError(
        f"parse_chunk must give a Chunk, a text, several of them or None, got {type(said).__name__}"
    )
