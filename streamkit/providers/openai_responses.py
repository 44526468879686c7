"""
OpenAI Responses: a stream of output items, each begun, filled by deltas and ended.

Source: WIRE_FORMATS.md section 3. What goes out is in openai_responses_input.py, what the events
say in openai_responses_reader.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.providers.base import Endpoint, Resume
from streamkit.providers.build import build_request, fetching
from streamkit.providers.dialect import parse_object
from streamkit.providers.openai_responses_input import build_body
from streamkit.providers.openai_responses_items import parts_of
from streamkit.providers.openai_responses_reader import ResponsesReader
from streamkit.providers.shape import as_object
from streamkit.request import Call, Request
from streamkit.wire.jsontext import parse

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["OpenAIResponses"]

#: What an answer's status says before its end.
_UNFINISHED = ("queued", "in_progress")


class OpenAIResponses(ResponsesReader):
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
        body = build_body(call, self.endpoint.provider)
        return replace(build_request(self.endpoint, "", headers, body, call), url=self._url())

    @override
    def resume(self, request: Request, received: int) -> Resume | None:
        """
        ``GET`` the response with ``?stream=true&starting_after=N``, N the last ``sequence_number``.

        None unless the request asked for ``background`` (by ``extra_body``), without which the
        service ends the answer with the connection; and once it has ended or failed. The service
        keeps it for some ten minutes.

        Source: developers.openai.com, "Background mode"; learn.microsoft.com, "Use the Azure OpenAI
        Responses API".
        """
        id = self.response_id
        if not id or not id.strip(".") or not self._numbered or not _goes_on_alone(request):
            return None
        if self.finished or self.failure is not None:
            return None
        path, _, query = self._url().partition("?")
        query += "&" * bool(query) + f"stream=true&starting_after={max(self._numbered)}"
        return Resume(fetching(request, f"{path}/{quote(id, safe='')}?{query}"), "event")

    def _url(self) -> str:
        return self.endpoint.base_url + "/responses"

    def feed(self, event: Event) -> list[Chunk]:
        """
        One event -> its chunks; an unknown type gives none, and so does one that comes again under
        its ``sequence_number``.

        Raises:
            ProviderError: The event is an error of a gateway. The service's own becomes ``failure``
                and waits for the next event, which may be the failed answer with its usage.
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
            place = frame.get("output_index"), frame.get("content_index")
            if text and text.__class__ is str and place == self._flowing:
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


def _goes_on_alone(request: Request) -> bool:
    """Whether the service makes the answer with nobody there; one that resumes asks for such."""
    if request.method == "GET":
        return True
    body = parse_object(request.body) or {}
    return body.get("background") is True and body.get("store") is not False
