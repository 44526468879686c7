"""
Any event of a Responses answer -> its chunks. The deltas of text are read in openai_responses.py.

Events are told apart by the type in the JSON; the SSE event name repeats it where it is sent at
all. Text, refusals and reasoning are read from their deltas alone: the events that end a part
repeat it. Calls are in openai_responses_calls.py, what else an item says is in
openai_responses_items.py.

Source: WIRE_FORMATS.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk, Kind
from streamkit.errors import ProviderError
from streamkit.providers.base import Endpoint
from streamkit.providers.calls import OpenCall
from streamkit.providers.events import EventDialect
from streamkit.providers.openai_responses_calls import ItemCalls, place_of
from streamkit.providers.openai_responses_items import (
    arguments_text,
    describe_tool,
    is_server_tool,
    notes_of,
    read_partial_image,
)
from streamkit.providers.shape import as_object
from streamkit.providers.usage import RESPONSES, holds_more, read_usage
from streamkit.wire.jsontext import is_whole, parse
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["ResponsesReader"]

Json = dict[str, Any]

#: Events that carry a piece of text -> what it is.
_DELTAS: Mapping[str, Kind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}
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

    @override
    def _identify(self, model: Any, response_id: Any) -> None:
        """The last model stays: the first event may repeat the request's alias."""
        if model and isinstance(model, str):
            self.model = clean(model)
        super()._identify(None, response_id)

    @override
    def _read(self, frame: Json) -> list[Chunk]:
        kind = frame.get("type")
        if kind == "error" or (not kind and frame.get("error")):
            raise self._error(frame)
        if not isinstance(kind, str):
            return []
        if kind in _DELTAS:
            text = frame.get("delta")
            return [self._chunk(text, _DELTAS[kind])] if text and isinstance(text, str) else []
        reader = _READERS.get(kind)
        return [] if reader is None else reader(self, frame)

    @override
    def _named_error(self, data: str) -> ProviderError:
        return self._error(parse(data) if is_whole(data) else data)

    def _error(self, frame: Any) -> ProviderError:
        """
        The exception for an error event, in either of its forms.

        The one that holds an error object announces ``response.failed``, which says the same
        without a type; not waited for, since what has failed should not take longer to say so.
        """
        failure, said = self._failure(frame), as_object(frame)
        if said.get("type") == "error" and as_object(said.get("error")):
            self.finish_reason = "failed"
            if failure.code is not None:
                failure.type = None
        return failure

    def _begin(self, frame: Json) -> list[Chunk]:
        response = as_object(frame.get("response"))
        self._identify(response.get("model"), response.get("id"))
        return []

    def _end(self, frame: Json) -> list[Chunk]:
        """The terminal event, which repeats the answer: its names, usage and end are read."""
        self._begin(frame)
        response = as_object(frame.get("response"))
        chunks: list[Chunk] = []
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
            return chunks + self._told(self._items.end(place, arguments_text(item)))
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
        return self._told(self._items.end(place, arguments_text(frame)))

    def _told(self, pieces: list[tuple[OpenCall, str]]) -> list[Chunk]:
        return [self._call_chunk(call, fragment) for call, fragment in pieces]

    def _show_partial_image(self, frame: Json) -> list[Chunk]:
        image = read_partial_image(frame)
        return [self._chunk("", "text", {"image": image})] if image else []


_READERS: Mapping[str, Callable[[ResponsesReader, Json], list[Chunk]]] = {
    "response.created": ResponsesReader._begin,
    "response.queued": ResponsesReader._begin,
    "response.in_progress": ResponsesReader._begin,
    "response.output_item.added": ResponsesReader._begin_item,
    "response.output_item.done": ResponsesReader._end_item,
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
