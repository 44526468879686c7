"""
OpenAI Responses: a stream of output items, each begun, filled by deltas and ended.

Events are told apart by the type in the JSON; the SSE event name repeats it where it is sent at
all. Text, refusals and reasoning are read from their deltas alone: the events that end a part
repeat it. Of a call the ended item is the truth, because some services send no deltas of its
arguments, or one.

Source: WIRE_FORMATS.md section 3. What goes out is in openai_responses_input.py, what an item that
is no text says in openai_responses_items.py.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from streamkit.chunk import Chunk, Kind
from streamkit.errors import ProviderError
from streamkit.providers.base import Endpoint
from streamkit.providers.build import build_request
from streamkit.providers.calls import OpenCall, word
from streamkit.providers.dialect import parse_object
from streamkit.providers.events import EventDialect
from streamkit.providers.openai_responses_input import build_body
from streamkit.providers.openai_responses_items import (
    CALLS,
    arguments_text,
    describe_tool,
    is_server_tool,
    notes_of,
    parts_of,
    read_partial_image,
)
from streamkit.providers.shape import as_object
from streamkit.providers.usage import RESPONSES, holds_more, read_usage
from streamkit.request import Call, Request
from streamkit.wire.jsontext import is_whole, parse
from streamkit.wire.surrogates import clean, clean_deep

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["OpenAIResponses"]

Json = dict[str, Any]

#: Events that carry a piece of text -> what it is.
_DELTAS: Mapping[str, Kind] = {
    "response.output_text.delta": "text",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.reasoning_text.delta": "reasoning",
}
#: What an answer's status says before its end.
_UNFINISHED = ("queued", "in_progress")
#: Members of an ended answer that say how it was made: LM Studio, llama.cpp.
_FIGURES = ("stats", "timings")


class OpenAIResponses(EventDialect):
    """
    The responses dialect.

    Encrypted reasoning comes as a reasoning chunk without content, with ``encrypted`` in its
    metadata and the ``id`` and ``type`` of the item that must be sent back with it. Tools the
    service runs come as text chunks without content, with ``server_tool`` and then
    ``server_tool_result``; images likewise, with ``image``.

    Thread safety: **confined**; one instance reads one attempt.
    """

    # Gateways append [DONE] to whatever they got; what OpenAI ends with has a finish reason.
    terminal_is_complete = False
    models_path = "/models"

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._items: dict[Hashable, OpenCall | None] = {}
        self._sent: dict[OpenCall, list[str]] = {}
        self._cited: dict[Hashable, dict[int, int]] = {}
        #: Number of an event -> hash of it; None once the numbers have proved to be no numbering.
        self._numbered: dict[int, int] | None = {}

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/responses``.

        Messages, tools, tool_choice and response_format in the chat form are converted, all else
        is sent as it is. Whether the service keeps the answer (``store``) is left to its default.

        Raises:
            ConfigurationError: The call asks for what the API has not (stop, seed), or a message
                cannot be converted or sent.
        """
        headers = {"Accept": "text/event-stream", **self._auth()}
        return build_request(self.endpoint, "/responses", headers, build_body(call), call)

    def feed(self, event: Event) -> list[Chunk]:
        """
        One event -> its chunks; an unknown type gives none, and so does one that comes again under
        its ``sequence_number``.

        Raises:
            ProviderError: The event is an error. The one that ends a failed answer has its usage
                too, and becomes ``failure`` instead.
            ProtocolError: The event is not JSON.
        """
        data = event.data
        if data[:1] != "{" or event.event == "error":
            return self._read_odd(event)
        frame = parse(data)
        number = frame.get("sequence_number")
        if number.__class__ is int and self._is_repeat(number, data):
            return []
        # Nearly every event of an answer; read without the questions asked of all others below.
        if frame.get("type") == "response.output_text.delta":
            text, id = frame.get("delta"), self.response_id
            if text and text.__class__ is str:
                return [Chunk(text, 0, 0.0, False, None, {}, "text", None, self.model, id)]
        return self._read(frame)

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        A ``response`` object that has ended -> its chunks; None if the body is not one.

        Raises:
            ProviderError: The body is an error object.
        """
        response = parse_object(body)
        if response is None:
            return None
        output = response.get("output")
        if not isinstance(output, list) or response.get("status") in _UNFINISHED:
            if response.get("error"):
                raise self._failure({"error": response["error"]})
            return None
        self._identify(response.get("model"), response.get("id"))
        chunks: list[Chunk] = []
        for place, item in enumerate(output):
            frame = {"output_index": place, "item": item}
            chunks += self._begin_item(frame)
            chunks += [self._chunk(text, kind) for kind, text in parts_of(as_object(item))]
            chunks += self._end_item(frame)
        return chunks + self._end({"type": "", "response": response})

    @override
    def _identify(self, model: Any, response_id: Any) -> None:
        """The last model stays: the first event may repeat the request's alias."""
        if model and isinstance(model, str):
            self.model = clean(model)
        super()._identify(None, response_id)

    def _is_repeat(self, number: int, data: str) -> bool:
        """
        Whether that very event has been. Numbers that two events share tell nothing, and without
        numbers nothing is guessed: the same delta twice is text.

        Source: PROMISES.md row 49.
        """
        if self._numbered is None:
            return False
        mark = hash(data)
        if number not in self._numbered:
            self._numbered[number] = mark
            return False
        if self._numbered[number] == mark:
            return True
        self._numbered = None
        return False

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
        failure = self._failure(frame)
        if (
            isinstance(frame, dict)
            and frame.get("type") == "error"
            and as_object(frame.get("error"))
        ):
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
        kind = item.get("type")
        place = _place(frame, item.get("id"))
        self._items[place] = None
        if kind in CALLS:
            self._items[place] = call = self._calls.open()
            call.learn(id=item.get("call_id") or item.get("id"), name=item.get("name"))
            fragment = arguments_text(item)
            self._sent[call] = [fragment]
            return [self._call_chunk(call, fragment)]
        if is_server_tool(kind):
            return [self._chunk("", "text", {"server_tool": describe_tool(item)})]
        return []

    def _end_item(self, frame: Json) -> list[Chunk]:
        item = as_object(frame.get("item"))
        place = _place(frame, item.get("id"))
        chunks = [] if place in self._items else self._begin_item(frame)
        call = self._items[place]
        if call is not None:
            return chunks + self._complete(call, arguments_text(item))
        cited = self._cited.get(place, {})
        return chunks + [self._chunk("", kind, note) for kind, note in notes_of(item, cited)]

    def _annotate(self, frame: Json) -> list[Chunk]:
        annotation, number = frame.get("annotation"), frame.get("content_index")
        if not annotation or not isinstance(annotation, dict):
            return []
        cited = self._cited.setdefault(_place(frame, frame.get("item_id")), {})
        number = number if isinstance(number, int) else 0
        cited[number] = cited.get(number, 0) + 1
        return [self._chunk("", "citation", {"citation": clean_deep(annotation)})]

    def _extend_call(self, frame: Json) -> list[Chunk]:
        call, fragment = self._call_of(frame), frame.get("delta")
        if call is None or not isinstance(fragment, str):
            return []
        return self._send(call, fragment)

    def _end_call(self, frame: Json) -> list[Chunk]:
        call = self._call_of(frame)
        return [] if call is None else self._complete(call, arguments_text(frame))

    def _call_of(self, frame: Json) -> OpenCall | None:
        return self._items.get(_place(frame, frame.get("item_id")))

    def _complete(self, call: OpenCall, arguments: str) -> list[Chunk]:
        """What the fragments have not said; where they said otherwise, they stay."""
        sent = "".join(self._sent[call])
        self._sent[call] = [sent]  # joined once, however often the end is told
        return self._send(call, arguments[len(sent) :] if arguments.startswith(sent) else "")

    def _send(self, call: OpenCall, fragment: str) -> list[Chunk]:
        if not fragment:
            return []
        self._sent[call].append(fragment)
        return [self._call_chunk(call, fragment)]

    def _show_partial_image(self, frame: Json) -> list[Chunk]:
        image = read_partial_image(frame)
        return [self._chunk("", "text", {"image": image})] if image else []


def _place(frame: Json, id: Any) -> Hashable:
    """An item's place in the answer; its id only without one, since proxies change the ids."""
    index = frame.get("output_index")
    return index if isinstance(index, int) else word(id)


_READERS: Mapping[str, Callable[[OpenAIResponses, Json], list[Chunk]]] = {
    "response.created": OpenAIResponses._begin,
    "response.queued": OpenAIResponses._begin,
    "response.in_progress": OpenAIResponses._begin,
    "response.output_item.added": OpenAIResponses._begin_item,
    "response.output_item.done": OpenAIResponses._end_item,
    "response.output_text.annotation.added": OpenAIResponses._annotate,
    "response.function_call_arguments.delta": OpenAIResponses._extend_call,
    "response.function_call_arguments.done": OpenAIResponses._end_call,
    "response.custom_tool_call_input.delta": OpenAIResponses._extend_call,
    "response.custom_tool_call_input.done": OpenAIResponses._end_call,
    "response.image_generation_call.partial_image": OpenAIResponses._show_partial_image,
    "response.completed": OpenAIResponses._end,
    "response.incomplete": OpenAIResponses._end,
    "response.failed": OpenAIResponses._end,
}
