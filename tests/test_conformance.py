"""
The real bodies of every provider, over loopback HTTP and through the public API.

tests/providers/test_recordings.py does the same for the dialects alone; here the whole path is
under test: framing, decoding, joining, judging the ending, the ring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from recorded import (
    ENTRIES,
    FAILURES,
    FOLDER,
    STREAMS,
    body_of,
    by_id,
    check_calls,
    check_chunks,
    check_usage,
    check_words,
    cuts_of,
    timeless,
)

from streamkit import (
    AuthenticationError,
    Client,
    ContentBlocked,
    InvalidRequest,
    Overloaded,
    ProviderError,
    RateLimited,
    Result,
    Stream,
    StreamkitError,
    TruncatedStream,
    replay,
)
from streamkit.testing import Headers, LocalProvider, Raw
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

#: The class of the finish reason in the index -> how we call the ending.
OUTCOMES = {
    "stop": "completed",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "refused",
}
CLASSES = {401: AuthenticationError, 403: AuthenticationError, 429: RateLimited}
#: How the bytes are cut, and the mode; managed does nothing for bytes that buffered does not.
WAYS = [
    ("whole", "direct"),
    ("whole", "buffered"),
    ("whole", "managed"),
    ("at the hints", "direct"),
    ("at the hints", "buffered"),
    ("7 bytes", "direct"),
    ("7 bytes", "buffered"),
    ("byte by byte", "direct"),
    ("byte by byte", "buffered"),
]

Heard = tuple[Stream, list[Any], StreamkitError | None]


@pytest.fixture
def hear(local_provider: Callable[..., LocalProvider]) -> Callable[..., Heard]:
    """Play a recording; the stream after its end, its chunks, and the error that ended it."""

    def run(entry: Mapping[str, Any], how: str, mode: Any, **keywords: Any) -> Heard:
        head = Headers({"content-type": entry["content_type"]}, status=entry["status"])
        url = local_provider([head, Raw(body_of(entry), cuts=cuts_of(entry, how))]).url
        with Client(
            provider=entry["provider"], api=entry["api"], base_url=url, api_key="sk-test-0123456789"
        ) as client:
            stream = client.stream("m", "Hi", mode=mode, retry=None, **keywords)
            chunks: list[Any] = []
            try:
                gather(stream, chunks)
            except StreamkitError as error:
                return stream, chunks, error
            return stream, chunks, None

    return run


def gather(stream: Stream, chunks: list[Any]) -> None:
    """All chunks into the list, one by one: those before an error are there too."""
    for chunk in stream.chunks():
        chunks.append(chunk)


def test_the_recordings_are_there(recordings: Path) -> None:
    assert recordings == FOLDER
    assert len(ENTRIES) >= 122
    assert len(FAILURES) >= 14


@pytest.mark.parametrize(("how", "mode"), WAYS)
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_recorded_answer_arrives_as_the_sdks_read_it(
    hear: Callable[..., Heard], entry: dict[str, Any], how: str, mode: str
) -> None:
    stream, chunks, error = hear(entry, how, mode)
    want = entry["expected"]
    check_chunks(chunks, want)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    check_result(stream.partial, want)
    check_ending(entry, stream, chunks, error)
    check_counts(stream, chunks)


def check_result(result: Result, want: dict[str, Any]) -> None:
    assert result.text == want["text"]
    assert result.reasoning == want["reasoning"]
    assert result.refusal == want["refusal"]
    assert result.finish_reason == want["finish_reason"]
    assert result.model == want["model"]
    assert result.id == want["response_id"]
    assert len(result.citations) == want["citation_count"]
    check_usage(result.usage, want["usage"])
    check_calls(
        [
            {name: getattr(call, name) for name in ("index", "id", "name", "arguments")}
            for call in result.tool_calls
        ],
        want["tool_calls"],
    )


def check_ending(
    entry: dict[str, Any], stream: Stream, chunks: list[Any], error: StreamkitError | None
) -> None:
    want = entry["expected"]
    if want["error"] is not None:
        assert isinstance(error, ProviderError)
        check_words(error, want["error"])
    elif want["finish_class"] == "error":
        assert isinstance(error, ProviderError)
    elif want["end_marker"] is None and want["finish_reason"] is None and not blocked(want):
        assert type(error) is TruncatedStream
    else:
        assert error is None
        assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert stream.outcome == chunks[-1].metadata["outcome"] == outcome_of(want)
    if error is not None:
        assert stream.outcome == error.outcome
        assert error.partial is not None
        assert error.partial.text == want["text"]


def blocked(want: dict[str, Any]) -> bool:
    return bool(want.get("block_reason"))


def outcome_of(want: dict[str, Any]) -> str:
    """The finish reason decides; only one that says no more than stop leaves it to what came."""
    if blocked(want):
        return "content_filter"
    kind = want["finish_class"] or "stop"
    if kind in ("stop", "other") and want["tool_calls"]:
        return "tool_calls"
    if kind == "stop" and want["refusal"]:
        return "refused"
    return OUTCOMES.get(kind, "completed")


@pytest.mark.parametrize(
    ("members", "outcome"),
    [
        ({}, "completed"),
        ({"refusal": "no"}, "refused"),
        ({"finish_class": None, "refusal": "no"}, "refused"),
        ({"finish_class": "refusal"}, "refused"),
        ({"finish_class": "length", "refusal": "no"}, "length"),
        ({"finish_class": "content_filter", "refusal": "no"}, "content_filter"),
        ({"tool_calls": [{}]}, "tool_calls"),
        ({"finish_class": "other", "tool_calls": [{}]}, "tool_calls"),
        ({"finish_class": "pause", "tool_calls": [{}]}, "completed"),
        ({"finish_class": "length", "tool_calls": [{}]}, "length"),
    ],
)
def test_outcomes_follow_the_finish_reason_first(members: dict[str, Any], outcome: str) -> None:
    assert (
        outcome_of({"finish_class": "stop", "refusal": "", "tool_calls": [], **members}) == outcome
    )


def check_counts(stream: Stream, chunks: list[Any]) -> None:
    metrics = stream.metrics
    assert metrics.chunks_received == metrics.chunks_delivered
    assert metrics.chunks_received == sum(not chunk.done for chunk in chunks)
    assert metrics.chunks_dropped == 0


@pytest.mark.parametrize("how", ["whole", "7 bytes"])
@pytest.mark.parametrize("entry", [*STREAMS, *FAILURES], ids=by_id)
def test_a_recorded_answer_is_recorded_and_replayed_as_it_was_heard(
    hear: Callable[..., Heard], entry: dict[str, Any], how: str, tmp_path: Path
) -> None:
    stream, chunks, error = hear(entry, how, "direct", record=tmp_path / "tape")
    played = replay(tmp_path / "tape", speed=0)
    again: list[Any] = []
    failed = None
    try:
        gather(played, again)
    except StreamkitError as raised:
        failed = raised
    assert [replace(chunk, timestamp=0.0) for chunk in again] == [
        replace(chunk, timestamp=0.0) for chunk in chunks
    ]
    assert (type(failed), timeless(failed)) == (type(error), timeless(error))
    assert (played.outcome, played.partial.usage) == (stream.outcome, stream.partial.usage)


@pytest.mark.parametrize("how", ["whole", "7 bytes", "byte by byte"])
@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_a_recorded_http_error_is_raised_with_what_the_service_said(
    hear: Callable[..., Heard], entry: dict[str, Any], how: str
) -> None:
    stream, chunks, error = hear(entry, how, "buffered")
    assert type(error) is class_of(entry["status"], entry["expected"]["error"])
    assert isinstance(error, ProviderError)
    check_words(error, entry["expected"]["error"])
    assert error.body == body_of(entry).decode()
    assert chunks == []
    assert error.partial is None
    assert stream.outcome == "provider_error"


def class_of(status: int, said: Mapping[str, Any]) -> type[ProviderError]:
    """A prompt that was refused for its content has a class of its own, whatever the status."""
    if "content_filter" in (said["code"], said["type"]):
        return ContentBlocked
    return CLASSES.get(status, Overloaded if status >= 500 else InvalidRequest)


def test_the_class_of_an_error_is_that_of_its_status_unless_it_is_of_the_filter() -> None:
    said = {"code": None, "type": None}
    kinds = [class_of(status, said) for status in (400, 401, 429, 500)]
    assert kinds == [InvalidRequest, AuthenticationError, RateLimited, Overloaded]
    assert class_of(400, {**said, "code": "content_filter"}) is ContentBlocked
