"""
The real bodies of the chat dialects, over loopback HTTP and through the public API.

tests/providers/test_recordings.py does the same for the dialects alone; here the whole path is
under test: framing, decoding, joining, judging the ending, the ring. The folder of recordings lies
beside the repository; its README.md says what each field of ``expected`` means.

Not compared: citations of the chat dialect (Perplexity, OpenRouter), which are not read yet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from streamkit import (
    AuthenticationError,
    Client,
    InvalidRequest,
    Overloaded,
    ProviderError,
    RateLimited,
    Result,
    Stream,
    StreamkitError,
    TruncatedStream,
)
from streamkit.testing import Headers, LocalProvider, Raw
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "recordings"

#: (provider, api) of the recordings -> our provider; every other ``chat`` is read as OpenAI's.
DIALECTS = {("anthropic", "messages"): "anthropic", ("ollama", "chat"): "ollama"}
COUNTS = (
    "input_tokens", "output_tokens", "total_tokens",
    "reasoning_tokens", "cached_input_tokens", "cache_write_input_tokens",
)  # fmt: skip
#: The class of the finish reason in the index -> how we call the ending.
OUTCOMES = {
    "stop": "completed",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}
CLASSES = {401: AuthenticationError, 403: AuthenticationError, 429: RateLimited}


def index() -> list[dict[str, Any]]:
    file = FOLDER / "index.json"
    if not file.is_file():
        return []
    entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["recordings"]
    return entries


def dialect_of(entry: Mapping[str, Any]) -> str | None:
    found = DIALECTS.get((entry["provider"], entry["api"]))
    return found or ("openai" if entry["api"] == "chat" else None)


ENTRIES = [entry for entry in index() if dialect_of(entry)]
STREAMS = [entry for entry in ENTRIES if not entry["expected"]["http_error"]]
FAILURES = [entry for entry in ENTRIES if entry["expected"]["http_error"]]
#: How the bytes are cut, and the mode; one byte at a time managed does nothing that buffered does
#: not, and takes as long.
WAYS = [
    (how, mode)
    for how in ("whole", "at the hints", "byte by byte")
    for mode in ("direct", "buffered", "managed")
    if (how, mode) != ("byte by byte", "managed")
]


def by_id(value: Any) -> str:
    return value["id"] if isinstance(value, dict) else str(value)


def script_of(entry: Mapping[str, Any], how: str) -> list[Any]:
    """The recorded answer: its status, its content type, its bytes in these pieces."""
    body = (FOLDER / entry["file"]).read_bytes()
    head = Headers({"content-type": entry["content_type"]}, status=entry["status"])
    if how == "byte by byte":
        return [head, Raw(body, size=1)]
    hints = entry["split_hints"] if how == "at the hints" else {}
    cuts = sorted({cut for offsets in hints.values() for cut in offsets})
    return [head, Raw(body, cuts=tuple(cuts))]


Heard = tuple[Stream, list[Any], StreamkitError | None]


@pytest.fixture
def hear(local_provider: Callable[..., LocalProvider]) -> Callable[..., Heard]:
    """Play a recording; the stream after its end, its chunks, and the error that ended it."""

    def run(entry: Mapping[str, Any], how: str, mode: str) -> Heard:
        dialect = dialect_of(entry) or ""
        url = local_provider(script_of(entry, how)).base_url(dialect)
        with Client(provider=dialect, base_url=url, api_key="sk-test-0123456789") as client:
            stream = client.stream("m", "Hi", mode=mode, retry=None)  # type: ignore[arg-type]
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


def texts(chunks: list[Any], kind: str) -> list[str]:
    return [chunk.content for chunk in chunks if chunk.kind == kind and chunk.content]


def test_the_recordings_are_there(recordings: Path) -> None:
    assert recordings == FOLDER
    assert len(STREAMS) >= 68
    assert len(FAILURES) >= 10


@pytest.mark.parametrize(("how", "mode"), WAYS)
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_recorded_answer_arrives_as_the_sdks_read_it(
    hear: Callable[..., Heard], entry: dict[str, Any], how: str, mode: str
) -> None:
    stream, chunks, error = hear(entry, how, mode)
    want = entry["expected"]
    deltas = texts(chunks, "text")
    assert "".join(deltas) == want["text"]
    assert len(deltas) == want["text_delta_count"]
    thoughts = texts(chunks, "reasoning")
    assert "".join(thoughts) == want["reasoning"]
    assert len(thoughts) == want["reasoning_delta_count"]
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
    expected = want["usage"] or dict.fromkeys(COUNTS)
    assert {name: getattr(result.usage, name) for name in COUNTS} == expected
    for number, (call, wanted) in enumerate(
        zip(result.tool_calls, want["tool_calls"], strict=True)
    ):
        assert (call.index, call.id, call.name) == (number, wanted["id"] or "", wanted["name"])
        if wanted["arguments_valid"]:
            assert call.parsed == wanted["arguments_json"]
        assert call.arguments.split() == wanted["arguments"].split()


def check_ending(
    entry: dict[str, Any], stream: Stream, chunks: list[Any], error: StreamkitError | None
) -> None:
    want = entry["expected"]
    if want["error"] is not None:
        assert isinstance(error, ProviderError)
        assert (error.type, error.code) == (want["error"]["type"], want["error"]["code"])
        assert (want["error"]["message"] or "")[:500] in str(error)
    elif want["finish_class"] == "error":
        assert isinstance(error, ProviderError)
    elif want["finish_reason"] is None and want["end_marker"] is None:
        assert type(error) is TruncatedStream
    else:
        assert error is None
        assert [chunk.done for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        outcome = OUTCOMES.get(want["finish_class"], "completed")
        if outcome == "completed" and want["tool_calls"]:
            outcome = "tool_calls"
        if want["refusal"]:
            outcome = "refused"
        assert stream.outcome == chunks[-1].metadata["outcome"] == outcome
    if error is not None:
        assert stream.outcome == error.outcome
        assert error.partial is not None
        assert error.partial.text == want["text"]


def check_counts(stream: Stream, chunks: list[Any]) -> None:
    metrics = stream.metrics
    assert metrics.chunks_received == metrics.chunks_delivered
    assert metrics.chunks_received == sum(not chunk.done for chunk in chunks)
    assert metrics.chunks_dropped == 0


@pytest.mark.parametrize("how", ["whole", "byte by byte"])
@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_a_recorded_http_error_is_raised_with_what_the_service_said(
    hear: Callable[..., Heard], entry: dict[str, Any], how: str
) -> None:
    stream, chunks, error = hear(entry, how, "buffered")
    want = entry["expected"]["error"]
    status = entry["status"]
    default = Overloaded if status >= 500 else InvalidRequest
    assert type(error) is CLASSES.get(status, default)
    assert isinstance(error, ProviderError)
    assert (error.status, error.type, error.code) == (status, want["type"], want["code"])
    assert (want["message"] or "")[:500] in str(error)
    assert error.body == (FOLDER / entry["file"]).read_bytes().decode()
    assert chunks == []
    assert error.partial is None
    assert stream.outcome == "provider_error"
