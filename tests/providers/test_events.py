"""Server-sent events of an answer: which count at a clean end of the body, and the odd ones."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.chunk import Chunk
from streamkit.errors import LimitExceeded, ProtocolError, ProviderError
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.base import Endpoint
from streamkit.providers.cohere import CohereChat
from streamkit.providers.events import AnswerDecoder
from streamkit.providers.ollama import OllamaChat
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.openai_completions import OpenAICompletions
from streamkit.providers.openai_responses import OpenAIResponses
from streamkit.wire.sse import Event

ENDPOINT = Endpoint(provider="p", base_url="http://h")

#: The dialects whose answers a gateway may end with a mark.
MARKED = (OpenAIChat, OpenAICompletions, OpenAIResponses)

#: To these the end mark says nothing: an event of their own ends an answer.
UNMARKED = (AnthropicMessages, CohereChat)

FINISH = b'data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}'
STOP = b'event: message_stop\ndata: {"type": "message_stop"}'
FAILED = b'event: error\ndata: {"error": {"message": "no"}}'
LINE = '{"model": "m", "message": {"content": "中"}, "done": true}'.encode()


def played(dialect: Any, body: bytes) -> tuple[Any, list[Chunk]]:
    reader = dialect(ENDPOINT)
    decoder = reader.decoder(max_event=1000)
    events = decoder.feed(body) + decoder.flush()
    return reader, [chunk for event in events for chunk in reader.feed(event)]


@pytest.mark.parametrize("end", [b"\n\n", b"\n", b"\r", b""])
def test_the_last_event_counts_without_its_empty_line(end: bytes) -> None:
    reader, chunks = played(OpenAIChat, FINISH + end)
    assert (reader.finish_reason, [chunk.content for chunk in chunks]) == ("stop", ["Hi"])
    assert played(OpenAIChat, b"data: [DONE]" + end)[0].finished
    assert played(AnthropicMessages, STOP + end)[0].finished
    assert played(OllamaChat, LINE + end)[0].finished
    with pytest.raises(ProviderError):
        played(OpenAIChat, FAILED + end)


@pytest.mark.parametrize(
    ("dialect", "body"),
    [(OpenAIChat, FINISH), (AnthropicMessages, STOP), (OllamaChat, LINE)],
    ids=["openai", "anthropic", "ollama"],
)
def test_a_last_event_that_was_cut_says_nothing_and_is_no_error(dialect: Any, body: bytes) -> None:
    for cut in range(len(body)):
        reader, chunks = played(dialect, body[:cut])
        assert (chunks, reader.finished, reader.finish_reason) == ([], False, None)


def test_a_cut_mark_is_not_the_end_of_an_answer() -> None:
    assert not played(OpenAIChat, b"data: [DON")[0].finished


def test_a_line_that_ended_was_not_cut_and_must_be_json() -> None:
    with pytest.raises(ProtocolError):
        played(OpenAIChat, b"data: oops\n")
    assert AnswerDecoder(max_event=100).flush() == []


@pytest.mark.parametrize("dialect", MARKED)
def test_the_end_mark_ends_and_blank_data_says_nothing(dialect: Any) -> None:
    reader = dialect(ENDPOINT)
    assert reader.feed(Event("message", "  ")) == []
    assert not reader.finished
    assert reader.feed(Event("message", " [DONE] ")) == []
    assert reader.finished


@pytest.mark.parametrize("dialect", UNMARKED)
def test_a_mark_says_nothing_where_an_event_ends_the_answer(dialect: Any) -> None:
    reader = dialect(ENDPOINT)
    for data in ("  ", "[DONE]", " [DONE] "):
        assert reader.feed(Event("message", data)) == []
    assert not reader.finished


@pytest.mark.parametrize("dialect", [*MARKED, *UNMARKED])
@pytest.mark.parametrize("data", ["no", '{"error": {"message": "no"}}', '{"message": "no"}'])
def test_an_event_named_error_is_one_whatever_its_data_is(dialect: Any, data: str) -> None:
    with pytest.raises(ProviderError, match="no"):
        dialect(ENDPOINT).feed(Event("error", data))


@pytest.mark.parametrize("dialect", [*MARKED, *UNMARKED])
def test_an_error_may_come_in_a_list_and_an_empty_list_says_nothing(dialect: Any) -> None:
    assert dialect(ENDPOINT).feed(Event("message", "[]")) == []
    with pytest.raises(ProviderError, match="no"):
        dialect(ENDPOINT).feed(Event("message", '[{"error": {"message": "no"}}]'))


# Bare JSON among the events.

BARE = b'{"error": {"message": "no", "code": 503}}'
PRETTY = b'{\n  "error": {\n    "message": "no } \\" {",\n    "code": 503\n  }\n}'
TEXT = b'data: {"choices": [{"delta": {"content": "Hi"}}]}\n\n'


def decoded(body: bytes, size: int) -> list[Event]:
    decoder = AnswerDecoder(max_event=200)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.flush()


@pytest.mark.parametrize("dialect", [*MARKED, AnthropicMessages])
@pytest.mark.parametrize("lead", [b": ping\n\n", b": ping\n", b"data:\n\n", b"id: 1\n"])
@pytest.mark.parametrize(
    "end", [b"\n\n", b"\n", b"", b"\n\ndata: [DONE]\n\n", b"\ndata: [DONE]\n\n"]
)
def test_a_bare_error_object_is_an_error(dialect: Any, lead: bytes, end: bytes) -> None:
    for error in (BARE, PRETTY, b"[" + BARE + b"]"):
        with pytest.raises(ProviderError, match="no"):
            played(dialect, lead + error + end)


@pytest.mark.parametrize(
    "end", [b"\n\n", b"\r\n\r\n", b"\n", b"\n: ping\n\n", b"\ndata: [DONE]\n\n", b""]
)
@pytest.mark.parametrize("error", [BARE, PRETTY])
def test_bare_json_is_an_event_in_any_split(error: bytes, end: bytes) -> None:
    body = TEXT + error + end
    (first, bare, *others) = decoded(body, len(body))
    assert first.data.startswith('{"choices"')
    assert bare == Event(data=error.decode())
    assert others == ([Event(data="[DONE]")] if b"DONE" in end else [])
    for size in range(1, 9):
        assert decoded(body, size) == [first, bare, *others]


def test_bare_json_stands_in_the_order_of_its_block() -> None:
    error, text = Event(data=BARE.decode()), Event(data="a")
    assert decoded(b"data: a\n" + BARE + b"\n\n", 99) == [text, error]
    assert decoded(BARE + b"\ndata: a\n\n", 99) == [error, text]


@pytest.mark.parametrize("start", [b"{oops", b"{oops}", b'{"error": {', b"[", b"[1, 2]"])
def test_what_is_no_whole_object_takes_nothing_with_it(start: bytes) -> None:
    body = start + b"\ndata: a\n\n" + TEXT
    assert [event.data[:2] for event in decoded(body, 7)] == ["a", '{"']
    assert decoded(TEXT + start, 7)[1:] == []


def test_bare_json_is_bounded_as_events_are() -> None:
    with pytest.raises(LimitExceeded):
        decoded(b': ping\n{"error":\n' + b" \n" * 99 + b'"x' + b"x" * 200, 5)


@pytest.mark.parametrize("value", ["boom", '"boom"', '{"message": "boom"}'])
@pytest.mark.parametrize("end", ["\n\n", "\ndata: [DONE]\n\n", ""])
@pytest.mark.parametrize("dialect", [*MARKED, AnthropicMessages])
def test_a_field_named_error_is_a_failure(dialect: Any, value: str, end: str) -> None:
    with pytest.raises(ProviderError) as caught:
        played(dialect, f"error: {value}{end}".encode())
    assert caught.value.message == "boom"
