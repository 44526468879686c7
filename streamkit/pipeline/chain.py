"""
The first half of what stands between the bytes and the ring: a head, new for each attempt.

It is a decoder and a provider: it turns the bytes of one answer into chunks, and knows when the
provider said the last word. What follows, the tail, lives as long as the stream (tail.py). Both are
push style and pure, so the caller's own thread and a producer thread drive them alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from streamkit.chunk import Chunk
from streamkit.errors import LimitExceeded, ProtocolError, StreamkitError
from streamkit.pipeline.options import Limits
from streamkit.providers.base import Provider
from streamkit.providers.details import read_details
from streamkit.wire.jsontext import is_whole
from streamkit.wire.lines import decode
from streamkit.wire.utf8 import Utf8Bound

__all__ = ["Head"]

log = logging.getLogger("streamkit.pipeline")

#: No bound of a decoder is crossed after an event by a read this short: names may have 1 KiB.
SILENT = 1000
_BOM = b"\xef\xbb\xbf"


class Head:
    """
    The bytes of one answer -> its chunks.

    ``feed`` never raises: an error waits in ``error``, so that the chunks of the events before it
    are delivered first. A whole JSON body where a stream in another format was due is collected and
    read at its end; an HTML page is refused.

    Thread safety: **confined**.

    Args:
        provider: Reads the events.
        limits: Bounds of one answer.
        tally: Where it is counted what was wrong and let pass: ``invalid_events``,
            ``invalid_utf8``.
    """

    def __init__(
        self, provider: Provider[Any], limits: Limits, tally: dict[str, float] | None = None
    ) -> None:
        self.provider = provider
        self.error: Exception | None = None
        self._decoder = provider.decoder(max_event=limits.event)
        self._tally = {} if tally is None else tally
        self._spare = limits.invalid_events
        #: What the decoder has replaced so far; None where it reads no text.
        self._replaced: int | None = getattr(self._decoder, "replaced", None)
        strict = limits.invalid_utf8 is not None and self._replaced is not None
        self._utf8 = Utf8Bound(limits.invalid_utf8 or 0) if strict else None
        self._limit = limits.answer
        self._silent = min(SILENT, limits.event)
        #: Whether more bytes of the same body may follow its end: see reopen().
        self.reopens = False
        #: Whether the service sends the rest of this very answer; None where nobody asks for it.
        self.is_kept: Callable[[], bool] | None = None
        self._unflushed: Any = None
        self._begun = self._left = False
        self._lead = b""
        self._whole: bytearray | None = None
        self._size = 0

    def feed(self, data: bytes) -> list[Chunk]:
        """Bytes in any split -> chunks."""
        if self._utf8 is not None and (end := self._utf8.admit(data)) < len(data):
            return self._feed_last(data[:end], self._utf8.limit)
        if not self._begun:
            data = self._begin(data)
        if self.error is not None:
            return []
        if self._whole is not None:
            self._collect(data)
            return []
        chunks = self._read(self._decoder.feed, data)
        if chunks and len(data) > self._silent and self.error is None:
            # A decoder that has events and an error gives the events first. The server may never
            # send another byte, so ask for the error now.
            self._read(self._decoder.feed, b"")
        return chunks

    def _feed_last(self, data: bytes, limit: int) -> list[Chunk]:
        """What came before the piece of no UTF-8 that was one too many."""
        self._utf8 = None
        chunks = self.feed(data)
        if self.error is None and not self.provider.finished:
            many = f"at most {limit} pieces of it may be" if limit else "it may not be"
            self.error = ProtocolError(f"the answer is not UTF-8, and {many}", stage="body")
        return chunks

    def flush(self) -> list[Chunk]:
        """A clean end of the body -> what the format lets it mean, and what the provider held."""
        if self._whole is not None:
            return self._read_whole()
        if not self._begun:
            return []
        before = deepcopy(self._decoder) if self.reopens else None
        events = 0

        def ending(_: bytes) -> list[Any]:
            nonlocal events
            found = self._decoder.flush()
            events = len(found)
            return found

        chunks = self._read(ending, b"")
        self._unflushed = None if events else before
        if self.error is None and not self._waits():
            self._left = True
            try:
                chunks += self.provider.flush()
            except Exception as error:  # of a user's parse_chunk: anything
                self.error = error
        self.error = self.error or self.provider.failure
        return chunks

    def reopen(self) -> None:
        """The body goes on where it was cut: an event that counted as torn is in the middle."""
        if self._unflushed is not None:
            self._decoder, self._unflushed = self._unflushed, None
        self._left = False

    def left(self) -> list[Chunk]:
        """The body broke -> what the provider held of the events that came; nothing twice."""
        if self._left or not self._begun or self._whole is not None:
            return []
        if self.error is None and self._waits():
            return []
        self._left = True
        try:
            return self.provider.flush()
        except Exception:  # of a user's dialect; what broke the body is what to tell
            return []

    def _waits(self) -> bool:
        """Whether the provider goes on where it is, with all it holds: told now, it came twice."""
        if self.is_kept is None or self.provider.finished:
            return False
        return self.provider.finish_reason is None and self.is_kept()

    def _read(self, events: Any, data: bytes) -> list[Chunk]:
        chunks: list[Chunk] = []
        feed = self.provider.feed
        try:
            found = iter(events(data))
        except Exception as error:  # of a user's decoder: anything
            self.error = error
            return chunks
        while True:
            try:
                for event in found:
                    chunks += feed(event)
                    if self.provider.finished:
                        break  # whatever follows the terminal event is not the answer
            except Exception as error:  # of a user's parse_chunk: anything
                if self._leaves_out(error):
                    continue
                self.error = error
            break
        if self.provider.finished:
            self.error = self.error or self.provider.failure
        if self._replaced is not None and self._replaced != self._decoder.replaced:
            self._count_replaced()
        return chunks

    def _leaves_out(self, error: Exception) -> bool:
        """Whether an event that could not be read is one of those that do not matter."""
        if not self._spare or type(error) is not ProtocolError:
            return False
        self._spare -= 1
        self._count("invalid_events", 1)
        return True

    def _count_replaced(self) -> None:
        before, self._replaced = self._replaced or 0, self._decoder.replaced
        self._count("invalid_utf8", (self._replaced or 0) - before)

    def _count(self, name: str, number: int) -> None:
        if name not in self._tally:  # once per stream: a broken service is broken all the time
            provider = self.provider.endpoint.provider
            log.warning("bad bytes let pass provider=%s counter=%s", provider, name)
        self._tally[name] = self._tally.get(name, 0) + number

    def _begin(self, data: bytes) -> bytes:
        """Look at the first byte that says something: the content type does not tell (1.1)."""
        self._lead = data = self._lead + data
        first = data.removeprefix(_BOM).lstrip()[:1]
        if not first or _BOM.startswith(data):
            # Blank lines before the first byte mean nothing in any format; a torn BOM has to wait,
            # and so has a blank that may stand in a line: such a line is no event.
            waits = _BOM.startswith(data)
            self._lead = data if waits else data[-1:].strip(b"\r\n")
            return b""
        if first == b"<":
            self.error = ProtocolError(
                "an HTML page came where a stream was due: " + repr(data[:200])[1:], data=data[:200]
            )
        elif first in b"{[":
            data = data[data.index(first) :]  # decoders look for it at the start of a line
            if not self._decoder.reads_json:
                self._whole = bytearray()
        self._begun = True
        self._lead = b""
        return data

    def _collect(self, data: bytes) -> None:
        assert self._whole is not None
        self._whole += data
        self._size += len(data)
        if self._size > self._limit:
            self.error = LimitExceeded(
                f"the answer is over {self._limit} bytes", limit=self._limit, observed=self._size
            )

    def _read_whole(self) -> list[Chunk]:
        body = bytes(self._whole or b"")
        try:
            chunks = self.provider.whole(body)
        except StreamkitError as error:
            self.error = error
            return []
        if chunks is None:
            self.error = self._no_answer(body)
            return []
        self.error = self.provider.failure
        if replaced := decode(body)[1]:
            self._count("invalid_utf8", replaced)
        return chunks

    def _no_answer(self, body: bytes) -> StreamkitError:
        text = body.decode("utf-8", "replace")
        if is_whole(text) and read_details(text).message:
            return self.provider.error(200, {}, body)  # an error that was sent as a success
        return ProtocolError(
            "JSON that is no answer came where a stream was due: " + repr(body[:200])[1:],
            data=body[:200],
        )
