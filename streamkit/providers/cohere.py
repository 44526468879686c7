"""
Cohere's chat API, version 2: a stream of typed events, each with a part of one message.

Each event names its type in the JSON; the SSE event name repeats it and is not asked. The members
of ``delta.message`` are those of a whole answer's ``message``, one part instead of a list, so one
reader serves both.

Source: WIRE_FORMATS.md section 12. What goes out is in cohere_messages.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from streamkit.chunk import Chunk, Kind
from streamkit.providers.build import build_request, without_none
from streamkit.providers.cohere_messages import choice_of, convert_messages, convert_tool, format_of
from streamkit.providers.dialect import parse_object
from streamkit.providers.events import EventDialect
from streamkit.providers.shape import as_index, as_object, as_objects
from streamkit.providers.usage import COHERE, read_usage
from streamkit.request import Call, Request
from streamkit.wire.jsontext import encode, parse
from streamkit.wire.surrogates import clean_deep

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["CohereChat"]

#: Member of a content part -> what it is.
_KINDS: Mapping[str, Kind] = {"thinking": "reasoning", "text": "text"}

#: The events whose ``delta.message`` holds a part of the answer. A type that is not known may
#: repeat such a part (a snapshot at its end, say) and gives nothing.
_PARTS = frozenset(
    {"message-start", "content-start", "content-delta", "tool-plan-delta", "citation-start"}
)


class CohereChat(EventDialect):
    """
    The dialect of ``/v2/chat``. What the model plans before a tool call is reasoning.

    Cohere does not say which model answered. The ``details`` of the usage are its own usage object,
    which tells billed units from tokens. ``logprobs``, if asked for, are in the metadata of their
    text.

    Thread safety: **confined**; one instance reads one attempt.
    """

    models_path = "/v1/models?page_size=1000"  # the most of one page; there are some dozens

    def request(self, call: Call) -> Request:
        """
        ``POST {base}/v2/chat``. ``documents``, ``thinking``, ``k`` and others: ``extra_body``.

        Raises:
            ConfigurationError: A tool_choice of one tool, a part that is neither text nor image, or
                a message that cannot be converted or sent.
        """
        body = without_none(
            model=call.model,
            messages=convert_messages(call.system, call.messages),
            stream=True,
            temperature=call.temperature,
            p=call.top_p,
            max_tokens=call.max_tokens,
            stop_sequences=call.stop,
            seed=call.seed,
            tools=call.tools and [convert_tool(tool) for tool in call.tools],
            tool_choice=choice_of(call.tool_choice),
            response_format=format_of(call.response_format),
        )
        headers = {"Accept": "text/event-stream", **self._auth()}
        return build_request(self.endpoint, "/v2/chat", headers, body, call)

    def feed(self, event: Event) -> list[Chunk]:
        """
        One event -> its chunks; an unknown type gives none.

        Raises:
            ProviderError: The event is an error; one that ends the answer waits in ``failure``.
            ProtocolError: The event is not JSON.
        """
        data = event.data
        if data[:1] != "{" or event.event == "error":
            return self._read_odd(event)
        frame = parse(data)
        # Nearly every event of an answer; read without the questions asked of all others below.
        try:
            ((name, text),) = frame["delta"]["message"]["content"].items()
            kind = _KINDS[name]
            plain = frame["type"] == "content-delta" and text.__class__ is str
        except (KeyError, TypeError, ValueError, AttributeError):
            plain = False
        if plain and text and "logprobs" not in frame:
            return [Chunk(text, 0, 0.0, False, None, {}, kind, None, None, self.response_id)]
        return self._read(frame)

    def whole(self, body: bytes) -> list[Chunk] | None:
        """
        An answer made without streaming -> its chunks; None if the body is not one.

        Raises:
            ProviderError: The body is an error object.
        """
        answer = parse_object(body)
        if answer is None:
            return None
        if _is_error(answer):
            raise self._failure(answer)
        message = answer.get("message")
        if not isinstance(message, dict):
            return None
        self._identify(None, answer.get("id"))
        chunks = self._read_message(message)
        for item in _parts(message.get("tool_calls")):
            chunks.append(self._open_call(None, item))
        chunks += self._read_usage(answer.get("usage"))
        self._finish(answer.get("finish_reason"), chunks)
        self.finished = True
        return chunks

    @override
    def _read_odd(self, event: Event) -> list[Chunk]:
        """As elsewhere, but the end mark says nothing: only message-end makes an answer whole."""
        if event.event != "error" and event.data.lstrip().startswith("[DONE]"):
            return []
        return super()._read_odd(event)

    @override
    def _read(self, frame: dict[str, Any]) -> list[Chunk]:
        if _is_error(frame):
            raise self._failure(frame)
        kind, delta = frame.get("type"), as_object(frame.get("delta"))
        message = as_object(delta.get("message"))
        if kind == "message-end":
            return self._end(delta)
        if kind == "tool-call-start":
            found = _parts(message.get("tool_calls"))
            return [self._open_call(as_index(frame.get("index")), item) for item in found]
        if kind == "tool-call-delta":
            call = self._calls.get(as_index(frame.get("index")))
            texts = [_arguments(item) for item in _parts(message.get("tool_calls"))]
            return [self._call_chunk(call, text) for text in texts if text] if call else []
        if kind == "message-start":
            self._identify(None, frame.get("id"))
        chunks = self._read_message(message) if isinstance(kind, str) and kind in _PARTS else []
        if chunks and (logprobs := frame.get("logprobs")):
            chunks[-1].metadata["logprobs"] = clean_deep(logprobs)
        return chunks

    def _read_message(self, message: dict[str, Any]) -> list[Chunk]:
        """All but the tool calls: plan, thinking, text, citations."""
        found: list[tuple[Kind, Any]] = [("reasoning", message.get("tool_plan"))]
        for part in _parts(message.get("content")):
            found += [(kind, part.get(name)) for name, kind in _KINDS.items()]
        chunks = [self._chunk(text, kind) for kind, text in found if text and isinstance(text, str)]
        for citation in _parts(message.get("citations")):
            chunks.append(self._chunk("", "citation", {"citation": clean_deep(citation)}))
        return chunks

    def _open_call(self, index: int | None, item: dict[str, Any]) -> Chunk:
        call = self._calls.open(index)
        call.learn(id=item.get("id"), name=as_object(item.get("function")).get("name"))
        return self._call_chunk(call, _arguments(item))

    def _end(self, delta: dict[str, Any]) -> list[Chunk]:
        """The last event. One that failed may have counted, and that is delivered first."""
        chunks = self._read_usage(delta.get("usage"))
        self._finish(delta.get("finish_reason"), chunks)
        if error := delta.get("error"):
            self.failure = self._failure({"error": error})
        self.finished = True
        return chunks

    def _read_usage(self, usage: Any) -> list[Chunk]:
        if not isinstance(usage, dict) or not usage:
            return []
        return self._report_usage(read_usage(usage, COHERE), usage)


def _is_error(frame: dict[str, Any]) -> bool:
    """``{"id": ..., "message": "text"}``, or an error member."""
    return bool(frame.get("error")) or isinstance(frame.get("message"), str)


def _arguments(item: dict[str, Any]) -> str:
    """The fragment of a call's arguments; an object is not the format, but has one meaning only."""
    arguments = as_object(item.get("function")).get("arguments")
    if isinstance(arguments, dict):
        return encode(arguments)
    return arguments if isinstance(arguments, str) else ""


def _parts(value: Any) -> list[dict[str, Any]]:
    """The parts a member holds: one in an event, a list of them in a whole answer."""
    return [part for part in as_objects(value if isinstance(value, list) else [value]) if part]
