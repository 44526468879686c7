"""The dialect of a parse_chunk: any framing, any split, the user's own words for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError, LimitExceeded, ProviderError
from streamkit.pipeline.chain import Head
from streamkit.pipeline.options import Limits
from streamkit.providers.base import Endpoint
from streamkit.providers.parsed import ByContent, Parsed, own_chunk
from streamkit.request import Request

FIRST = Request(url="http://x", headers={}, body=b"{}")
EVENTS = b'\xef\xbb\xbf\n: hi\nevent: say\ndata: a\ndata: b\n\ndata: {"c": 1}\n\ndata: [DONE]\n\n'
LINES = b'\n {"a": 1}\r\n\n[2]\n{"c": 3}'


def read(body: bytes, parse: Callable[[str], Any] = str, *, cuts: tuple[int, ...] = ()) -> Any:
    """Head, chunks and what went wrong."""
    head = Head(Parsed(Endpoint(provider="custom", base_url="http://x"), parse, FIRST), Limits())
    chunks = []
    for begin, end in zip((0, *cuts), (*cuts, len(body)), strict=True):
        chunks += head.feed(body[begin:end])
        if head.provider.finished or head.error:
            break
    else:
        chunks += head.flush()
    return head.provider, [chunk.content for chunk in chunks], head.error


@pytest.mark.parametrize(
    ("body", "said"),
    [(EVENTS, ["a\nb", '{"c": 1}']), (LINES, ['{"a": 1}', "[2]", '{"c": 3}'])],
    ids=["events", "lines"],
)
def test_the_first_byte_tells_the_framing_and_no_split_changes_it(
    body: bytes, said: list[str]
) -> None:
    for cut in range(len(body) + 1):
        for other in (cut, min(cut + 3, len(body))):
            provider, texts, error = read(body, cuts=(cut, other))
            assert (texts, error) == (said, None), (cut, other)
            assert provider.finished == (body is EVENTS)


def test_done_is_the_end_and_is_not_passed_on() -> None:
    seen: list[str] = []
    provider, _, _ = read(b"data: a\n\ndata: [DONE]\n\ndata: b\n\n", lambda d: seen.append(d))
    assert seen == ["a"]
    assert provider.finished and not provider.terminal_is_complete


@pytest.mark.parametrize(
    ("said", "texts"),
    [(None, []), ("", []), ("a", ["a"]), (Chunk("a"), ["a"]), (["a", Chunk("b")], ["a", "b"]),
     (Chunk(), []), (Chunk(finish_reason="stop"), []), ((), [])],
)  # fmt: skip
def test_what_a_function_may_give(said: Any, texts: list[str]) -> None:
    assert read(b"data: x\n\n", lambda data: said)[1] == texts


def test_a_chunk_tells_the_finish_reason_the_model_and_the_end() -> None:
    chunk = Chunk("a", done=True, finish_reason="length", model="m", id="r")
    provider, texts, _ = read(b"data: x\n\ndata: y\n\n", lambda data: chunk)
    assert texts == ["a"]
    assert (provider.finish_reason, provider.model, provider.response_id) == ("length", "m", "r")
    assert provider.finished and provider.terminal_is_complete
    assert chunk.done  # the user's own is left alone


def test_one_chunk_given_twice_is_two_chunks() -> None:
    same = Chunk("a", metadata={"k": 1})
    provider = Parsed(
        Endpoint(provider="custom", base_url="http://x"), lambda data: (same, same), FIRST
    )
    one, two = provider.feed(("message", "x"))
    assert one is not two and one is not same and one.metadata is not two.metadata


@pytest.mark.parametrize(
    "frame", ['{"error": {"message": "no"}}', '{"error": "no"}', '{"type": "error", "error": {}}']
)
def test_an_error_object_is_one_if_it_says_something(frame: str) -> None:
    _, texts, error = read(f"data: a\n\ndata: {frame}\n\n".encode())
    if frame.endswith("{}}"):
        assert (texts, error) == (["a", frame], None)
    else:
        assert texts == ["a"] and isinstance(error, ProviderError)


def test_an_error_event_is_one_and_talk_of_errors_is_not() -> None:
    _, texts, error = read(b"event: error\ndata: went wrong\n\n")
    assert texts == [] and isinstance(error, ProviderError) and "went wrong" in str(error)
    _, texts, error = read(b'data: the "error" member\n\ndata: {"text": "an \\"error\\""}\n\n')
    assert len(texts) == 2 and error is None
    _, texts, error = read(b'data: {"error": null, "text": "a"}\n\n')
    assert len(texts) == 1 and error is None


def test_what_a_function_raises_waits_for_the_chunks_before_it() -> None:
    failure = KeyError("theirs")

    def parse(data: str) -> str:
        if data == "b":
            raise failure
        return data

    _, texts, error = read(b"data: a\n\ndata: b\n\ndata: c\n\n", parse)
    assert texts == ["a"] and error is failure
    _, _, error = read(b"data: a\n\n", lambda data: Chunk(error=failure))
    assert error is failure


def test_an_event_beyond_the_limit_is_refused_in_both_framings() -> None:
    for body in (b"data: " + b"a" * 3000, b"{" + b" " * 3000):
        with pytest.raises(LimitExceeded):
            decoder = ByContent(max_event=1000)
            decoder.feed(body)
            decoder.feed(b"")
    assert ByContent(max_event=1000).flush() == []


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(kind="tool_call", metadata={"index": "0"}),
        Chunk(kind="usage", metadata={"usage": {"output_tokens": 1}}),
        Chunk("u", kind="citation"),
    ],
    ids=lambda chunk: chunk.kind,
)
def test_a_chunk_that_lacks_what_its_kind_needs_is_refused(chunk: Chunk) -> None:
    with pytest.raises(ConfigurationError, match=f"a chunk of kind {chunk.kind} needs"):
        own_chunk(chunk)


@pytest.mark.parametrize("kind", ["image", "", None, []])
def test_a_chunk_of_no_known_kind_is_refused(kind: Any) -> None:
    with pytest.raises(ConfigurationError, match="the kind of a chunk must be one of text, "):
        own_chunk(Chunk("x", kind=kind))


@pytest.mark.parametrize("chunk", [Chunk(5), Chunk(None), Chunk("x", metadata=None)], ids=repr)  # type: ignore[arg-type]
def test_a_chunk_without_text_is_refused(chunk: Chunk) -> None:
    with pytest.raises(ConfigurationError, match="a chunk needs a str as content"):
        own_chunk(chunk)


def test_a_chunk_that_has_it_is_copied() -> None:
    for chunk in (
        Chunk("{", kind="tool_call", metadata={"index": 0}),
        Chunk(kind="usage", metadata={"usage": Usage()}),
        Chunk(kind="citation", metadata={"citation": {"url": "u"}}),
    ):
        assert own_chunk(chunk) == chunk
    assert own_chunk(Chunk(kind="done", done=True, metadata={"outcome": "completed"})) is None


@pytest.mark.parametrize(
    ("said", "kind"), [(5, "int"), ({"a": 1}, "dict"), (["a", 5], "int"), (b"a", "int")]
)
def test_what_a_parse_chunk_may_not_give_is_told(said: Any, kind: str) -> None:
    _, texts, error = read(EVENTS, lambda data: said)
    assert texts == [] and isinstance(error, ConfigurationError)
    assert str(error).startswith("parse_chunk must give a Chunk, a text, several of them or None")
    assert str(error).endswith(f"got {kind}")
