"""
Dialects over server-sent events: the framing of an answer, and the events that are no plain frame.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ProviderError
from streamkit.providers.base import Decoder
from streamkit.providers.dialect import Dialect
from streamkit.wire.jsontext import is_whole, parse
from streamkit.wire.sse import Event, SSEDecoder

__all__ = ["AnswerDecoder", "EventDialect"]


class AnswerDecoder(SSEDecoder):
    """
    Server-sent events of an answer, whose last may lack its empty line.

    The standard discards such an event (SSE_RULES 21). Some servers end so, and what it says may be
    the finish reason, so here a clean end of the body counts as the empty line. An event that ends
    in the middle of a line counts only if its data is whole: else it was cut, and the answer too.

    Thread safety: **confined**.
    """

    def __init__(self, *, max_event: int) -> None:
        super().__init__(max_event=max_event, lenient=True)

    @override
    def flush(self) -> list[Event]:
        """End of input: the event that no empty line closed, unless it was cut."""
        cut = self.mid_line
        return [
            e for e in super().flush() if not cut or e.data.startswith("[DONE]") or is_whole(e.data)
        ]


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
            raise self._named_error(data)
        if data.startswith("[DONE]"):
            self.finished = True
            return []
        frame = parse(data) if data else None
        if isinstance(frame, list) and frame:
            frame = frame[0]  # some proxies wrap an error so
        return self._read(frame) if isinstance(frame, dict) else []

    def _named_error(self, data: str) -> ProviderError:
        """The exception for an event that is named ``error``, whatever its data is."""
        return self._failure(data)
