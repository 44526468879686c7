"""What stands where a stream was due: a page, an error, a whole answer; in every dialect."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest

from streamkit import Chunk, LimitExceeded, Limits, ProtocolError, ProviderError
from streamkit.pipeline.chain import Head
from streamkit.providers.base import Endpoint
from streamkit.providers.registry import BUILTIN
from streamkit.providers.service import CHAT
from streamkit.wire.eventstream import EventStreamDecoder
from streamkit.wire.jsonarray import JSONArrayDecoder
from streamkit.wire.ndjson import NDJSONDecoder
from streamkit.wire.sse import SSEDecoder

DIALECTS = sorted({path for service in BUILTIN.values() for path in service.dialects.values()})

#: Services whose errors have no member of that name.
BARE = ("bedrock", "cohere")

#: Decoder -> whether it is fed a body that begins as JSON does.
DECODERS = {
    SSEDecoder: False,
    EventStreamDecoder: False,
    NDJSONDecoder: True,
    JSONArrayDecoder: True,
}


def new_head(path: str) -> Head:
    module, _, name = path.partition(":")
    dialect = getattr(import_module(module), name)
    return Head(dialect(Endpoint(provider="p", base_url="https://api.example")), Limits())


def read(head: Head, body: bytes, size: int | None = None) -> list[Chunk]:
    """The chunks of a body in pieces of that size, as the attempt loop reads it."""
    size = size or len(body)
    chunks: list[Chunk] = []
    for start in range(0, len(body), size):
        chunks += head.feed(body[start : start + size])
        if head.error is not None:
            return chunks
    return chunks + head.flush()


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"message": "too many tokens"}', ProviderError, "p answered 200: too many tokens"),
        (b'{"detail": "not here"}', ProviderError, "p answered 200: not here"),
        (b'[{"error": {"message": "bad"}}]', ProviderError, "p answered 200: bad"),
        (b'{"hello": 1}', ProtocolError, "JSON that is no answer"),
        (b'{"message": {"content": "Hi"}}', ProtocolError, "JSON that is no answer"),
        (b'{"message": "cut', ProtocolError, "JSON that is no answer"),
    ],
)
def test_json_that_is_no_answer_is_an_error_with_what_it_says(
    body: bytes, kind: type, words: str
) -> None:
    head = new_head(CHAT)
    assert read(head, body) == []
    assert type(head.error) is kind
    assert words in str(head.error)


class Reader:
    """A provider that keeps what it is given."""

    finished = False
    failure = None

    def __init__(self, decoder: type) -> None:
        self._decoder = decoder
        self.events: list[Any] = []
        self.bodies: list[bytes] = []

    def decoder(self, *, max_event: int) -> Any:
        return self._decoder(max_event=max_event)

    def feed(self, event: Any) -> list[Chunk]:
        self.events.append(event)
        return []

    def flush(self) -> list[Chunk]:
        return []

    def whole(self, body: bytes) -> list[Chunk]:
        self.bodies.append(body)
        return [Chunk("whole")]


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("size", [None, 1])
def test_a_page_is_named_as_one_in_every_dialect(path: str, size: int | None) -> None:
    head = new_head(path)
    assert read(head, b"\n <!doctype html><title>Log in</title>", size) == []
    assert type(head.error) is ProtocolError
    assert "an HTML page came" in str(head.error)


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("size", [None, 1])
def test_an_error_object_under_200_is_the_services_error_in_every_dialect(
    path: str, size: int | None
) -> None:
    head = new_head(path)
    error: Any = {"message": "no such model"}
    bare = any(name in path for name in BARE)
    assert read(head, json.dumps(error if bare else {"error": error}).encode(), size) == []
    assert isinstance(head.error, ProviderError), repr(head.error)
    assert "no such model" in str(head.error)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("body", [b'{"a": 1}', b'[{"a": 1}]', b'\xef\xbb\xbf\n {"a": 1}'])
@pytest.mark.parametrize("size", [None, 1])
def test_json_is_fed_to_a_decoder_of_json_and_else_read_whole(
    decoder: type, body: bytes, size: int | None
) -> None:
    provider: Any = Reader(decoder)
    head = Head(provider, Limits())
    chunks = read(head, body, size)
    assert head.error is None
    if DECODERS[decoder]:
        assert (len(provider.events), provider.bodies, chunks) == (1, [], [])
    else:
        assert provider.events == []
        assert [json.loads(whole) for whole in provider.bodies] == [json.loads(body)]
        assert [chunk.content for chunk in chunks] == ["whole"]


def test_a_whole_answer_in_place_of_binary_events_meets_the_limit() -> None:
    provider: Any = Reader(EventStreamDecoder)
    head = Head(provider, Limits(answer=100))
    assert read(head, b'{"a": "' + b"x" * 200, 10) == []
    assert type(head.error) is LimitExceeded
    assert provider.bodies == []


class Holding(Reader):
    """A provider whose failure waits for the next event, and whose end may fail."""

    def __init__(self, *, at_flush: bool = False) -> None:
        super().__init__(SSEDecoder)
        self._at_flush = at_flush
        self.failure: Any = None

    def feed(self, event: Any) -> list[Chunk]:
        self.finished = self.failure is not None
        self.failure = self.failure or ProviderError("held")
        return [Chunk(event.data)]

    def flush(self) -> list[Chunk]:
        if self._at_flush:
            raise ProviderError("at the end")
        return [Chunk("last")]


@pytest.mark.parametrize("size", [None, 1])
def test_a_failure_waits_for_the_event_that_finishes_the_answer(size: int | None) -> None:
    head = Head(Holding(), Limits())
    assert [c.content for c in read(head, b"data: a\n\n", size)[:1]] == ["a"]
    head = Head(Holding(), Limits())
    body = b"data: a\n\ndata: b\n\ndata: c\n\n"
    assert [c.content for c in read(head, body, size)] == ["a", "b"]
    assert str(head.error) == "held"


def test_a_failure_counts_at_the_end_of_the_body_too() -> None:
    provider = Holding()
    head = Head(provider, Limits())
    assert [c.content for c in head.feed(b"data: a\n\n")] == ["a"]
    assert head.error is None
    assert [c.content for c in head.flush()] == ["last"]
    assert head.error is provider.failure


def test_an_error_of_the_providers_end_waits_as_any_other() -> None:
    head = Head(Holding(at_flush=True), Limits())
    head.feed(b"data: a\n\n")
    assert head.flush() == []
    assert str(head.error) == "at the end"


@pytest.mark.parametrize("lead", [b" \r\n\t", b"  ", b"\xef\xbb\xbf \n", b"\n\n "])
@pytest.mark.parametrize("size", [None, 1, 2, 3])
def test_blanks_before_an_array_mean_nothing_however_they_are_cut(
    lead: bytes, size: int | None
) -> None:
    body = lead + b'[{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}]'
    chunks = read(new_head(BUILTIN["gemini"].dialects["array"]), body, size)
    assert "".join(chunk.content for chunk in chunks) == "Hi"


@pytest.mark.parametrize("size", [None, 1, 2, 3])
def test_a_line_that_begins_with_a_blank_is_no_event_however_it_is_cut(size: int | None) -> None:
    body = b'\r\n  data: {"choices":[{"delta":{"content":"no"}}]}\n\n'
    head = new_head(CHAT)
    assert read(head, body, size) == [] and head.error is None


def test_a_body_that_is_taken_up_goes_on_in_the_middle_of_an_event() -> None:
    body = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: [DONE]\n\n'
    for cut in range(len(body)):
        head = new_head(CHAT)
        head.reopens = True
        chunks = head.feed(body[:cut]) + head.flush()
        head.reopen()
        if not head.provider.finished:
            chunks += head.feed(body[cut:])
        assert [chunk.content for chunk in chunks] == ["Hi"]
        assert head.provider.finished


@pytest.mark.parametrize("clean", [True, False], ids=["clean end", "break"])
def test_what_a_service_sends_the_rest_of_waits_for_it(clean: bool) -> None:
    item = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    frames = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": {"status": "completed"}},
    ]
    events = [f"data: {json.dumps(frame)}\n\n".encode() for frame in frames]
    for cut in range(1, len(events)):
        broken = new_head(BUILTIN["openai"].dialects["responses"])
        broken.is_kept = lambda: True
        chunks = broken.feed(b"".join(events[:cut]))
        chunks += broken.flush() if clean else broken.left()
        rest = Head(broken.provider, Limits())
        chunks += read(rest, b"".join(events[cut:]))
        assert "".join(chunk.content for chunk in chunks) == "{}"


def test_what_was_held_of_an_answer_that_is_not_kept_is_given_once() -> None:
    item = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    frame = {"type": "response.output_item.added", "output_index": 0, "item": item}
    head = new_head(BUILTIN["openai"].dialects["responses"])
    head.feed(f"data: {json.dumps(frame)}\n\n".encode())
    assert [chunk.content for chunk in head.left() + head.left()] == ["{}"]
