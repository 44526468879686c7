"""Server-sent events of an answer: which count at a clean end of the body, and the odd ones."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.chunk import Chunk
from streamkit.errors import ProtocolError, ProviderError
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
MARKED = (OpenAIChat, OpenAICompletions, OpenAIResponses, CohereChat)

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


def test_a_mark_does_not_make_a_message_of_anthropic_whole() -> None:
    reader = AnthropicMessages(ENDPOINT)
    with pytest.raises(ProtocolError):
        reader.feed(Event("message", "[DONE]"))
    assert not reader.finished


@pytest.mark.parametrize("dialect", [*MARKED, AnthropicMessages])
@pytest.mark.parametrize("data", ["no", '{"error": {"message": "no"}}', '{"message": "no"}'])
def test_an_event_named_error_is_one_whatever_its_data_is(dialect: Any, data: str) -> None:
    with pytest.raises(ProviderError, match="no"):
        dialect(ENDPOINT).feed(Event("error", data))


@pytest.mark.parametrize("dialect", MARKED)
def test_an_error_may_come_in_a_list_and_an_empty_list_says_nothing(dialect: Any) -> None:
    assert dialect(ENDPOINT).feed(Event("message", "[]")) == []
    with pytest.raises(ProviderError, match="no"):
        dialect(ENDPOINT).feed(Event("message", '[{"error": {"message": "no"}}]'))
