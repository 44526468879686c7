"""Iterations, joined as they pass by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError
from streamkit.observe import Aggregate, ChunkAggregator, StreamAggregator


class Clock:
    """One second passes from call to call."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@given(st.lists(st.text()))
def test_strings_pass_through_unchanged_and_are_joined(texts: list[str]) -> None:
    aggregator = StreamAggregator()
    assert list(aggregator.aggregate(iter(texts))) == texts
    result = aggregator.result()
    assert result.full_content == "".join(texts)
    assert result.chunk_count == len(texts)
    assert result.total_tokens == sum(1 for text in texts if text)


def test_chunks_pass_through_as_the_same_objects() -> None:
    chunks = [Chunk("Hel"), Chunk("lo")]
    aggregator = ChunkAggregator()
    assert all(a is b for a, b in zip(aggregator.aggregate(chunks), chunks, strict=True))
    assert aggregator.result().full_content == "Hello"


def test_only_text_is_content_but_every_chunk_counts() -> None:
    aggregator = ChunkAggregator()
    for chunk in (Chunk("Hm", kind="reasoning"), Chunk("Hi"), Chunk('{"a"', kind="tool_call")):
        aggregator.add(chunk)
    result = aggregator.result()
    assert (result.full_content, result.chunk_count, result.total_tokens) == ("Hi", 3, 1)


def test_the_last_word_of_the_provider_on_tokens_counts() -> None:
    aggregator = ChunkAggregator(tokenizer=len)
    aggregator.add(Chunk("Hello"))
    assert aggregator.result().total_tokens == 5
    for usage in (Usage(output_tokens=1), Usage(output_tokens=7), Usage(input_tokens=99)):
        aggregator.add(Chunk(kind="usage", metadata={"usage": usage}))
    assert aggregator.result().total_tokens == 7


def test_nothing_is_taken_before_somebody_asks() -> None:
    taken = []

    def source() -> Iterator[str]:
        for text in "ab":
            taken.append(text)
            yield text

    aggregator = StreamAggregator()
    items = aggregator.aggregate(source())
    assert taken == []
    assert next(items) == "a"
    assert taken == ["a"]
    assert aggregator.result().full_content == "a"


def test_duration_is_from_the_first_request_to_the_end() -> None:
    aggregator = StreamAggregator(tokenizer=len, clock=Clock())
    list(aggregator.aggregate(["one", "two"]))
    result = aggregator.result()
    assert result.duration == 3.0
    assert (result.chunks_per_second, result.tokens_per_second) == (2 / 3, 2.0)
    assert aggregator.result() == result


def test_a_loop_that_breaks_counts_what_came() -> None:
    aggregator = StreamAggregator(clock=Clock())
    for text in aggregator.aggregate(["one", "two"]):
        assert text == "one"
        break
    assert aggregator.result() == Aggregate(
        full_content="one", chunk_count=1, total_tokens=1, duration=1.0
    )


def test_an_error_of_the_source_passes_and_what_came_stays() -> None:
    def source() -> Iterator[str]:
        yield "one"
        raise KeyError("gone")

    aggregator = StreamAggregator()
    with pytest.raises(KeyError):
        list(aggregator.aggregate(source()))
    assert aggregator.result().full_content == "one"


def test_before_anything_came_the_result_is_empty() -> None:
    result = ChunkAggregator().result()
    assert result == Aggregate(full_content="", chunk_count=0, total_tokens=0, duration=0.0)
    assert (result.chunks_per_second, result.tokens_per_second) == (0.0, 0.0)


def test_a_tokenizer_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tokenizer must be callable, got 5"):
        ChunkAggregator(tokenizer=5)  # type: ignore[arg-type]
