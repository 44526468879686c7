"""
The framing of Gemini's answers, which is known only when the bytes come.

A stream of server-sent events may break off with an error as a bare JSON object, over many lines.
And what was asked to be events may come as an array, or the other way round: gateways do.
"""

from __future__ import annotations

from streamkit.errors import ProtocolError
from streamkit.providers.events import AnswerDecoder
from streamkit.wire.jsonarray import JSONArrayDecoder
from streamkit.wire.lines import StoredError
from streamkit.wire.sse import Event

__all__ = ["GeminiDecoder"]


class GeminiDecoder:
    """
    Bytes in any split -> events: server-sent ones until a line begins with ``{`` or ``[``, and from
    there on the objects of an array, each as an event. No line of server-sent events begins so.

    An error never costs events that were complete before it, as in SSEDecoder.

    Thread safety: **confined**.
    """

    reads_json = True

    def __init__(self, *, max_event: int) -> None:
        self._events = AnswerDecoder(max_event=max_event)
        self._objects = JSONArrayDecoder(max_event=max_event)
        self._stored = StoredError()
        self._bare = False
        #: Whether the next byte begins a line.
        self._fresh = True

    def feed(self, data: bytes) -> list[Event]:
        """
        Take bytes, give the events they complete.

        Raises:
            LimitExceeded: An event or object is over the bound.
            ProtocolError: Something else than JSON follows a bare object.
        """
        self._stored.raise_at_feed()
        if self._bare:
            return [Event(data=text) for text in self._objects.feed(data)]
        start = _bare_start(data, self._fresh)
        if start < 0:
            self._fresh = data.endswith(b"\n") if data else self._fresh
            return self._events.feed(data)
        events = self._events.feed(data[:start])
        try:
            events += self._events.flush()
            self._bare = True
            events += self.feed(data[start:])
        except ProtocolError as error:
            if not events:
                raise
            self._stored.error = error
        return events

    @property
    def replaced(self) -> int:
        """Bad pieces of UTF-8 replaced by U+FFFD so far."""
        return self._events.replaced + self._objects.replaced

    def flush(self) -> list[Event]:
        """
        End of input: the event that no empty line closed, unless it was cut.

        Raises:
            LimitExceeded, ProtocolError: Found by a feed() that had events to return, or now.
        """
        self._stored.raise_at_flush()
        if self._bare:
            self._objects.flush()
            return []
        return self._events.flush()


def _bare_start(data: bytes, fresh: bool) -> int:
    """Where a line begins with a bracket; -1 if none does."""
    if fresh and data[:1] in (b"{", b"["):
        return 0
    found = [at for opening in (b"\n{", b"\n[") if (at := data.find(opening)) >= 0]
    return min(found) + 1 if found else -1
