"""
Server-sent events: bytes -> events.

How it works: ``LineBuffer`` turns bytes into whole lines. ``_parse`` walks them; nearly every line
of an LLM answer is ``data: ...``, ``event: ...`` or empty, so these are handled there and the rest
in ``_field``. An empty line dispatches what the lines since the last empty one (the block) said.
Bounds are counted in bytes of a block. A read that could cross one, or rarely a large block, is
first cut before the offending line by ``_within_bounds``; all other reads pay one comparison.

Source: SSE_RULES 8 to 23 (WHATWG HTML, 9.2.5 and 9.2.6); the numbers in comments are its rules.
"""

from __future__ import annotations

from typing import NamedTuple

from streamkit.errors import LimitExceeded
from streamkit.wire.lines import (
    MAX_EVENT,
    LineBuffer,
    StoredError,
    check_bound,
    decode,
    over_limit,
)

__all__ = ["MAX_RETRY", "Event", "SSEDecoder"]

#: Milliseconds; a longer ``retry`` counts as this. int() refuses very long digit strings, and
#: nobody waits 30,000 years. Chosen; not measured.
MAX_RETRY = 10**15


class Event(NamedTuple):
    """
    One server-sent event.

    Thread safety: **immutable**.

    Args:
        event: Its type, ``message`` when the stream names none.
        data: The data lines, joined by LF.
        id: The last event id as of this event, which an earlier event may have set.
        retry: Milliseconds; the reconnection time, if this event's block set one.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None


#: Event(...) costs 0.44 us, this 0.28 (measured, CPython 3.11).
_new = tuple.__new__


class SSEDecoder:
    """
    Bytes in any split -> events; the split changes neither the events nor the error.

    >>> decoder = SSEDecoder()
    >>> decoder.feed(b"data: Hel"), decoder.feed(b"lo\\n\\n: ping\\n")
    ([], [Event(event='message', data='Hello', id='', retry=None)])

    The steps are the browser's, with one addition: GPUStack reports failures in a field named
    ``error``. A block with such a field that says anything gives
    ``Event(event="error", data=value)``, before the event of its data, if it has any.

    An error never costs events that were complete before it: a feed() that has some returns them
    and the next call raises; without any it raises at once. From then on feed() raises the same
    error and only flush(), which gives nothing, may be called.

    After a reconnect make a new decoder and give it ``last_event_id`` of the old one (rule 23).

    Thread safety: **confined**.

    Args:
        max_event: Most bytes in the lines of one block, comments included, line ends not.
        max_lines: Most lines in one block, so that comments without end are found as well.
        max_name: Most bytes of a field name, at least 5 as the fields themselves have up to 5.
            All three: PROMISES.md P60; at least 1, else ConfigurationError.
        lenient: Whether flush() dispatches an event that the end of input left open.
        last_event_id: What the connection before this one ended with.
    """

    #: Whether the format begins as JSON does; see Decoder in providers/base.py.
    reads_json = False

    # Invariant: _size and _lines count the bytes and lines since the last empty line, without the
    # unfinished line, which is in _buffer. _lines <= _size.
    # Invariant: a read that leaves no more than _quiet bytes in all crosses no bound.

    def __init__(
        self,
        *,
        max_event: int = MAX_EVENT,
        max_lines: int = 65536,
        max_name: int = 1024,
        lenient: bool = False,
        last_event_id: str = "",
    ) -> None:
        check_bound("max_event", max_event)
        check_bound("max_lines", max_lines)
        check_bound("max_name", max_name, least=len("event"))
        #: The id of the last block that ended: what a reconnect sends.
        self.last_event_id = last_event_id
        #: The reconnection time in ms, None until the stream sets one.
        self.retry: int | None = None
        #: Comment lines so far.
        self.comments = 0
        #: Bad pieces of UTF-8 replaced by U+FFFD in data so far.
        self.replaced = 0
        self._max_event = max_event
        self._max_lines = max_lines
        self._max_name = max_name
        self._quiet = min(max_event, max_lines, max_name)
        self._lenient = lenient
        self._buffer = LineBuffer()
        self._stored = StoredError()
        self._id = last_event_id
        self._size = 0
        self._lines = 0
        self._data: list[bytes] = []
        self._begin_block()

    def _begin_block(self) -> None:
        self._data.clear()
        self._type = ""
        self._failure = b""
        self._block_retry: int | None = None
        #: Whether the block holds a field other than data and event.
        self._mixed = False

    @property
    def pending(self) -> bool:
        """Whether an unfinished line or event is held. Ask before flush(), which forgets it."""
        return bool(self._data or self._type or self._failure or self._buffer.pending)

    @property
    def mid_line(self) -> bool:
        """Whether the last line has no end yet. Ask before flush(), which forgets it."""
        return self._buffer.pending

    def feed(self, data: bytes) -> list[Event]:
        """
        Take bytes, give the events they complete.

        Raises:
            LimitExceeded: A bound was crossed; found with the byte that crosses it.
        """
        if self._stored.error is not None:
            self._stored.raise_at_feed()
        whole = self._buffer.feed(data)
        if self._size + len(whole) + len(self._buffer.tail) > self._quiet:
            return self._feed_bounded(whole)
        return self._parse(whole) if whole else []

    def flush(self) -> list[Event]:
        """
        End of input: forget what no empty line closed (rules 21, 22), or dispatch it if lenient.

        Raises:
            LimitExceeded: Found by a feed() that had events to return.
        """
        self._stored.raise_at_flush()
        rest = self._buffer.take_rest()
        events = self._parse(rest + b"\n\n" if rest else b"\n") if self._lenient else []
        self._forget()
        return events

    def _parse(self, whole: bytes) -> list[Event]:
        events: list[Event] = []
        held = self._data
        lines = whole.split(b"\n")
        lines.pop()  # what follows the last LF: nothing
        for line in lines:
            if line[:6] == b"data: ":
                held.append(line[6:])
            elif line[:7] == b"event: ":
                self._type = line[7:].decode("utf-8", "replace")
            elif line:
                self._field(line)
                if self._stored.error is not None:
                    return events
            elif self._mixed or len(held) != 1:
                if held or self._mixed:
                    self._dispatch(events)
                else:
                    self._type = ""  # nothing else was said: floods of such blocks cost CPU
            else:
                # What _dispatch would do, for what nearly every block is: one data line, and
                # perhaps a type.
                raw = held.pop()
                try:
                    data = raw.decode()
                except UnicodeDecodeError:
                    data = self._decode(raw)
                events.append(_new(Event, (self._type or "message", data, self._id, None)))
                self._type = ""
        self._count(whole, line)
        return events

    def _field(self, line: bytes) -> None:
        """Rules 9 to 15b: one line that is neither empty nor begins with ``data: ``."""
        name, _, value = line.partition(b":")
        if not name:
            self.comments += 1
            return
        if len(name) > self._max_name:
            self._stop(self._long_name(line))
            return
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        else:
            self._mixed = True
            self._rare_field(name, value)

    def _rare_field(self, name: bytes, value: bytes) -> None:
        if name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry":
            if value.isdigit():  # of bytes, so ASCII digits only
                digits = value.lstrip(b"0") or b"0"
                self.retry = self._block_retry = int(digits) if len(digits) <= 15 else MAX_RETRY
        elif name == b"error" and value.strip():
            self._failure = value

    def _dispatch(self, events: list[Event]) -> None:
        """Rules 16 to 20: an empty line."""
        self.last_event_id = self._id
        found = [("error", self._failure)] if self._failure else []
        if self._data:
            found.append((self._type or "message", b"\n".join(self._data)))
        for kind, data in found:
            events.append(Event(kind, self._decode(data), self._id, self._block_retry))
        self._begin_block()

    def _decode(self, data: bytes) -> str:
        text, replaced = decode(data)
        self.replaced += replaced
        return text

    def _count(self, whole: bytes, last: bytes) -> None:
        """Bring _size and _lines up to date; ``last`` is the last line of ``whole``."""
        if not last:
            self._size = self._lines = 0
            return
        _, empty, rest = (b"\n" + whole).rpartition(b"\n\n")
        if empty:
            self._size = self._lines = 0
        else:
            rest = whole
        lines = rest.count(b"\n")
        self._size += len(rest) - lines
        self._lines += lines

    def _feed_bounded(self, whole: bytes) -> list[Event]:
        """feed() for a read that may cross a bound."""
        end, error = self._admit(whole)
        events = self._parse(whole[:end]) if end else []
        if self._stored.error is None:
            error = error or self._violation(self._buffer.tail, self._size, self._lines)
            if error is not None:
                self._stop(error)
        if not events:
            self._stored.raise_at_feed()
        return events

    def _admit(self, whole: bytes) -> tuple[int, LimitExceeded | None]:
        """How many bytes of whole lines keep the bounds, and what is wrong with the next line."""
        size, lines, start = self._size, self._lines, 0
        # A line has an end and, unless it closes the block, a byte: so this is the usual way out.
        if size + len(whole) <= self._max_event and lines + len(whole) // 2 <= self._max_lines:
            return len(whole), None
        while start < len(whole):
            end = whole.index(b"\n", start)
            error = self._violation(whole[start:end], size, lines)
            if error is not None:
                return start, error
            size, lines = (size + end - start, lines + 1) if end > start else (0, 0)
            start = end + 1
        return start, None

    def _violation(self, line: bytes | bytearray, size: int, lines: int) -> LimitExceeded | None:
        """The bound that a line, whole or not, crosses first in a block of that size so far."""
        room = self._max_event - size
        if line and lines >= self._max_lines:
            return over_limit("an event", self._max_lines, line[:1], "lines")
        if self._max_name < min(room, len(line)) and line.find(b":", 0, self._max_name + 1) < 0:
            return self._long_name(line)
        if len(line) > room:
            return over_limit("an event", self._max_event, line[: room + 1])
        return None

    def _long_name(self, line: bytes | bytearray) -> LimitExceeded:
        return over_limit("a field name", self._max_name, line[: self._max_name + 1])

    def _stop(self, error: LimitExceeded) -> None:
        """Keep the error, let go of all the memory."""
        self._stored.error = error
        self._buffer.take_rest()
        self._forget()

    def _forget(self) -> None:
        """Drop the block that was not closed, its id included (rule 21)."""
        self._begin_block()
        self._id = self.last_event_id
        self._size = self._lines = 0
