"""What the dialects share: which events count at a clean end of the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import LimitExceeded, ProtocolError, ProviderError
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.base import Endpoint
from streamkit.providers.dialect import AnswerDecoder, Dialect, parse_object
from streamkit.providers.ollama import OllamaChat
from streamkit.providers.openai import OpenAIChat
from streamkit.wire.jsontext import MAX_VALUES

ENDPOINT = Endpoint(provider="p", base_url="http://h")

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


def test_only_the_end_mark_of_the_chat_dialect_needs_content_beside_it() -> None:
    complete = {d: d(ENDPOINT).terminal_is_complete for d in (OpenAIChat, AnthropicMessages)}
    assert complete == {OpenAIChat: False, AnthropicMessages: True}
    assert OllamaChat(ENDPOINT).terminal_is_complete


def test_a_whole_body_of_too_many_values_is_an_error_and_not_a_strange_body() -> None:
    assert parse_object(b"[1]") is None
    with pytest.raises(LimitExceeded):
        parse_object(json.dumps([[]] * MAX_VALUES).encode())


def test_usage_is_reported_when_it_or_its_details_change() -> None:
    reader = Dialect(ENDPOINT)
    reports = [
        chunk.metadata
        for usage, details in [
            (Usage(), None),
            (Usage(1), None),
            (Usage(1), None),
            (Usage(1), {"time": 2}),
            (Usage(1), {"time": 2}),
            (Usage(3), {"cost": "\ud800"}),
            (Usage(4), None),
        ]
        for chunk in reader._report_usage(usage, details)
    ]
    assert reports == [
        {"usage": Usage(1)},
        {"usage": Usage(1), "details": {"time": 2}},
        {"usage": Usage(3), "details": {"time": 2, "cost": "\ufffd"}},
        {"usage": Usage(4), "details": {"time": 2, "cost": "\ufffd"}},
    ]
