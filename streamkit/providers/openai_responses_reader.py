"""
Any event of a Responses answer -> its chunks. The deltas of text are read in openai_responses.py.

Events are told apart by the type in the JSON; the SSE event name repeats it where it is sent at
all. Text, refusals and reasoning are read from their deltas; the events that end a part repeat it,
and only a text or refusal that had no deltas is read from them. Calls are in
openai_responses_calls.py, what else an item says is in openai_responses_items.py.

Source: WIRE_FORMATS.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from streamkit.chunk import Chunk, Kind
from streamkit.providers.base import Endpoint
from streamkit.providers.calls import OpenCall
from streamkit.providers.events import EventDialect
from streamkit.providers.openai_frame import flat_error
from streamkit.providers.openai_responses_calls import ItemCalls, place_of
from streamkit.providers.openai_responses_items import (
    describe_tool,
    is_server_tool,
    notes_of,
    parts_of,
    read_partial_image,
)
from streamkit.providers.shape import as_object
from streamkit.providers.usage import RESPONSES, holds_more, read_usage
from streamkit.wire.jsontext import is_whole, parse
from streamkit.wire.surrogates import clean_deep

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["ResponsesReader"]

Json = dict[str, Any]

#: Events that carry a piece of text -> what it is.
_DELTAS: Mapping[str, Kind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}
#: The part of an event that does not say where it belongs.
_UNPLACED = None, 0
#: Members of an ended answer that say how it was made: LM Studio, llama.cpp.
_FIGURES = ("stats", "timings")


class ResponsesReader(EventDialect):
    """
    The state of a Responses answer and the slow way to read it.

    Thread safety: **confined**; one instance reads one attempt.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._items = ItemCalls(self._calls)
        #: Place of an item -> number of a part -> how many of its annotations have been told.
        self._cited: dict[Hashable, dict[int, int]] = {}
        #: Place of an item and number of a part -> of those whose text has been told.
        self._said: set[tuple[int | None, int]] = set()
        #: The last of them, if its events say so in this form: feed() reads its next deltas.
        self._flowing: tuple[int | None, int] | None = None

    @override
    def _identify(self, model: Any, response_id: Any) -> None:
        """The last model stays: the first event may repeat the request's alias."""
        if model and isinstance(model, str) and model != self.model:
            self.model = self._clean(model)
        super()._identify(None, response_id)

    @override
    def _read(self, frame: Json) -> list[Chunk]:
        kind = frame.get("type")
        if self.failure is not None and kind != "response.failed":
            self.finished = True
            return []
        if not kind and (frame.get("error") or flat_error(frame)):
            raise self._failure(frame)
        if not isinstance(kind, str):
            return []
        if kind in _DELTAS:
            return self._read_delta(_DELTAS[kind], frame)
        reader = _READERS.get(kind)
        return [] if reader is None else reader(self, frame)

    @override
    def flush(self) -> list[Chunk]:
        """What was said at the start of a call that did not end."""
        return self._told(self._items.end_all())

    @override
    def _read_odd(self, event: Event) -> list[Chunk]:
        if event.event == "error" and is_whole(event.data):
            frame = parse(event.data)
            if isinstance(frame, dict) and frame.get("type") == "error":
                return self._read(frame)
        chunks = super()._read_odd(event)
        return chunks + self._told(self._items.end_all()) if self.finished else chunks

    def _announce(self, frame: Json) -> list[Chunk]:
        """An error event, in either form: ``response.failed`` may follow, with names and usage."""
        self.failure = self._failure(frame)
        self._flowing = None
        return []

    def _read_delta(self, kind: Kind, frame: Json) -> list[Chunk]:
        text = frame.get("delta")
        if not text or not isinstance(text, str):
            return []
        if kind != "reasoning":
            part = _part_of(frame)
            self._said.add(part)
            as_sent = frame.get("output_index"), frame.get("content_index")
            self._flowing = part if part == as_sent else None
        return [self._chunk(text, kind)]

    def _end_text(self, frame: Json) -> list[Chunk]:
        return self._end_part({**frame, "part": {**frame, "type": "output_text"}})

    def _end_refusal(self, frame: Json) -> list[Chunk]:
        return self._end_part({**frame, "part": {**frame, "type": "refusal"}})

    def _end_part(self, frame: Json) -> list[Chunk]:
        """The end of a part repeats it; the text or refusal that had no deltas is told now."""
        part = _part_of(frame)
        # Where events do not say their place, any delta may have been of this part.
        unsure = bool(self._said) and (part == _UNPLACED or _UNPLACED in self._said)
        if unsure or part in self._said:
            return []
        found = [t for t in parts_of({"content": [frame.get("part")]}) if t[0] != "reasoning"]
        self._said.update(part for _ in found)
        return [self._chunk(text, kind) for kind, text in found]

    def _begin(self, frame: Json) -> list[Chunk]:
        response = as_object(frame.get("response"))
        self._identify(response.get("model"), response.get("id"))
        return []

    def _end(self, frame: Json) -> list[Chunk]:
        """The terminal event, which repeats the answer: its names, usage and end are read."""
        self._begin(frame)
        response = as_object(frame.get("response"))
        chunks = self._told(self._items.end_all())
        usage = as_object(response.get("usage"))
        details = dict(usage) if holds_more(usage, RESPONSES) else {}
        details.update((name, response[name]) for name in _FIGURES if response.get(name))
        if usage or details:
            chunks += self._report_usage(read_usage(usage, RESPONSES), details)
        self._finish(frame["type"].rpartition(".")[2], chunks)
        self._finish(response.get("status"), chunks)
        self._finish(as_object(response.get("incomplete_details")).get("reason"), chunks)
        self.finished = True
        if response.get("error"):
            self.failure = self._failure({"error": response["error"]})
        return chunks

    def _begin_item(self, frame: Json) -> list[Chunk]:
        item = as_object(frame.get("item"))
        pieces = self._items.begin(place_of(frame, item.get("id")), item)
        if is_server_tool(item.get("type")):
            return [self._chunk("", "text", {"server_tool": describe_tool(item)})]
        return self._told(pieces)

    def _end_item(self, frame: Json) -> list[Chunk]:
        item = as_object(frame.get("item"))
        place = place_of(frame, item.get("id"))
        chunks = [] if place in self._items else self._begin_item(frame)
        if self._items.is_call(place):
            return chunks + self._told(self._items.end(place, item, ended=True))
        cited = self._cited.get(place, {})
        return chunks + [self._chunk("", kind, note) for kind, note in notes_of(item, cited)]

    def _annotate(self, frame: Json) -> list[Chunk]:
        annotation, number = frame.get("annotation"), frame.get("content_index")
        if not annotation or not isinstance(annotation, dict):
            return []
        cited = self._cited.setdefault(place_of(frame, frame.get("item_id")), {})
        number = number if isinstance(number, int) else 0
        cited[number] = cited.get(number, 0) + 1
        return [self._chunk("", "citation", {"citation": clean_deep(annotation)})]

    def _extend_call(self, frame: Json) -> list[Chunk]:
        place = place_of(frame, frame.get("item_id"))
        return self._told(self._items.extend(place, frame.get("delta")))

    def _end_call(self, frame: Json) -> list[Chunk]:
        place = place_of(frame, frame.get("item_id"))
        return self._told(self._items.end(place, frame))

    def _told(self, pieces: list[tuple[OpenCall, str]]) -> list[Chunk]:
        return [self._call_chunk(call, fragment) for call, fragment in pieces]

    def _show_partial_image(self, frame: Json) -> list[Chunk]:
        image = read_partial_image(frame)
        return [self._chunk("", "text", {"image": image})] if image else []


def _part_of(frame: Json) -> tuple[int | None, int]:
    """Place of an item and number of a part in it."""
    place, number = frame.get("output_index"), frame.get("content_index")
    if not isinstance(place, int):
        return _UNPLACED
    return place, number if isinstance(number, int) else 0


_READERS: Mapping[str, Callable[[ResponsesReader, Json], list[Chunk]]] = {
    "error": ResponsesReader._announce,
    "response.created": ResponsesReader._begin,
    "response.queued": ResponsesReader._begin,
    "response.in_progress": ResponsesReader._begin,
    "response.output_item.added": ResponsesReader._begin_item,
    "response.output_item.done": ResponsesReader._end_item,
    "response.output_text.done": ResponsesReader._end_text,
    "response.refusal.done": ResponsesReader._end_refusal,
    "response.content_part.done": ResponsesReader._end_part,
    "response.output_text.annotation.added": ResponsesReader._annotate,
    "response.function_call_arguments.delta": ResponsesReader._extend_call,
    "response.function_call_arguments.done": ResponsesReader._end_call,
    "response.custom_tool_call_input.delta": ResponsesReader._extend_call,
    "response.custom_tool_call_input.done": ResponsesReader._end_call,
    "response.image_generation_call.partial_image": ResponsesReader._show_partial_image,
    "response.completed": ResponsesReader._end,
    "response.incomplete": ResponsesReader._end,
    "response.failed": ResponsesReader._end,
}
