"""
Dialects over server-sent events: the framing of an answer, and the events that are no plain frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.providers.base import Decoder
from streamkit.providers.dialect import Dialect
from streamkit.wire.jsonarray import ObjectEnd
from streamkit.wire.jsontext import is_whole, parse
from streamkit.wire.sse import Event, SSEDecoder

__all__ = ["AnswerDecoder", "EventDialect"]


class AnswerDecoder(SSEDecoder):
    """
    Server-sent events of an answer, whose last may lack its empty line.

    The standard discards such an event (SSE_RULES 21). Some servers end so, and what it says may be
    the finish reason, so here a clean end of the body counts as the empty line. An event that ends
    in the middle of a line counts only if its data is whole: else it was cut, and the answer too.

    An error may break into the stream as bare JSON, over one line or many. No line of server-sent
    events begins with a bracket, so such an object is an event too, before or behind that of the
    data in its block. What is no whole object says nothing, as any line that is no field.

    Thread safety: **confined**.
    """

    def __init__(self, *, max_event: int) -> None:
        super().__init__(max_event=max_event, lenient=True)

    @override
    def flush(self) -> list[Event]:
        """End of input: the event that no empty line closed, unless it was cut."""
        cut = self.mid_line
        return [e for e in super().flush() if not cut or _counts(e)]

    @override
    def _begin_block(self) -> None:
        super()._begin_block()
        self._bare: BareObject | None = None

    @override
    def _field(self, line: bytes) -> None:
        if self._bare is None and line[:1] in (b"{", b"["):
            self._mixed = True
            self._bare = BareObject(late=bool(self._data))
        if self._bare is None or not self._bare.add(line):
            super()._field(line)

    @override
    def _dispatch(self, events: list[Event]) -> None:
        bare = self._bare
        if bare is None:
            super()._dispatch(events)
            return
        text = self._decode(bare.text)
        found = [Event(data=text, id=self._id)] if is_whole(text) else []
        others: list[Event] = []
        super()._dispatch(others)
        events += others + found if bare.late else found + others


class BareObject:
    """
    An object that stands in a block without being data.

    Thread safety: **confined**.

    Args:
        late: Whether the block had data before it, whose event then comes first.
    """

    def __init__(self, *, late: bool) -> None:
        self.late = late
        #: All of it, once it has ended.
        self.text = b""
        self._lines: list[bytes] = []
        self._end = ObjectEnd()

    def add(self, line: bytes) -> bool:
        """Take the next line, the first one included; whether it is part of the object."""
        if self._lines and not self._end.inside:
            return False
        end = self._end.find(line, 0)
        self._lines.append(line[:end] if end else line)
        if end:
            self.text = b"\n".join(self._lines).lstrip(b"[ ")
        return True


def _counts(event: Event) -> bool:
    """Whether an event whose last line was cut is whole, or is a failure at least."""
    data = event.data
    failed = event.event == "error" and data[:1] not in ("{", "[", '"')
    return failed or data.startswith("[DONE]") or is_whole(data)


class EventDialect(Dialect, ABC):
    """
    What these dialects share. Each has a ``feed`` of its own, which reads the frames that are
    nearly all of an answer and gives ``_read`` and ``_read_odd`` the rest.

    Thread safety: **confined**; one instance reads one attempt.
    """

    def decoder(self, *, max_event: int) -> Decoder[Event]:
        """Server-sent events; a clean end of the body closes the last."""
        return AnswerDecoder(max_event=max_event)

    @abstractmethod
    def _read(self, frame: dict[str, Any]) -> list[Chunk]:
        """Any frame; an unknown one gives nothing."""

    def _read_odd(self, event: Event) -> list[Chunk]:
        """What is no plain frame: errors by name, the end mark that gateways append, blank data."""
        data = event.data.strip()
        if event.event == "error":
            raise self._failure(data)
        if data.startswith("[DONE]"):
            self.finished = True
            return []
        frame = parse(data) if data else None
        if isinstance(frame, list) and frame:
            frame = frame[0]  # some proxies wrap an error so
        return self._read(frame) if isinstance(frame, dict) else []
