"""
The real bodies of the chat dialects, whole, cut at the hints and byte by byte, against what the
official SDKs read from them. The folder lies beside the repository; see its README.md. A last event
without its empty line counts, so ``expected`` holds and ``expected_strict`` does not.

Not compared: citations of the chat dialect (Perplexity, OpenRouter), which are not read yet.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ProviderError
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.base import Endpoint
from streamkit.providers.failure import http_failure
from streamkit.providers.finish import finish_class
from streamkit.providers.ollama import OllamaChat
from streamkit.providers.openai import OpenAIChat

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "recordings"
DIALECTS: dict[tuple[str, str], Any] = {
    ("anthropic", "messages"): AnthropicMessages,
    ("ollama", "chat"): OllamaChat,
}
COUNTS = (
    "input_tokens", "output_tokens", "total_tokens",
    "reasoning_tokens", "cached_input_tokens", "cache_write_input_tokens",
)  # fmt: skip

#: What a finish reason means to us, where it differs from the index: a refusal is its own class.
OWN_CLASSES = {"refusal": "refusal"}


def index() -> list[dict[str, Any]]:
    file = FOLDER / "index.json"
    if not file.is_file():
        return []
    entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["recordings"]
    return entries


def dialect_of(entry: Mapping[str, Any]) -> Any:
    """The class for an entry's API; None for those without a dialect here."""
    key = (entry["provider"], entry["api"])
    return DIALECTS.get(key) or (OpenAIChat if entry["api"] == "chat" else None)


ENTRIES = index()
STREAMS = [e for e in ENTRIES if dialect_of(e) and not e["expected"]["http_error"]]
FAILURES = [e for e in ENTRIES if e["expected"]["http_error"]]


def by_id(entry: Any) -> str:
    return entry["id"] if isinstance(entry, dict) else str(entry)


def endpoint_of(entry: Mapping[str, Any]) -> Endpoint:
    return Endpoint(provider=entry["provider"], base_url="http://localhost")


def pieces(body: bytes, entry: Mapping[str, Any], how: str) -> Iterable[bytes]:
    if how == "byte by byte":
        return [body[i : i + 1] for i in range(len(body))]
    hints = entry["split_hints"] if how == "at the hints" else {}
    cuts = [0, *sorted({cut for offsets in hints.values() for cut in offsets}), len(body)]
    return [body[a:b] for a, b in pairwise(cuts)]


def read(entry: Mapping[str, Any], how: str) -> tuple[Any, list[Chunk], ProviderError | None]:
    """Body -> the dialect after reading, its chunks, and the error that ended it."""
    body = (FOLDER / entry["file"]).read_bytes()
    dialect = dialect_of(entry)(endpoint_of(entry))
    decoder = dialect.decoder(max_event=1 << 24)
    chunks: list[Chunk] = []
    try:
        for piece in pieces(body, entry, how):
            for event in decoder.feed(piece):
                chunks += dialect.feed(event)
        for event in decoder.flush():
            chunks += dialect.feed(event)
    except ProviderError as error:
        return dialect, chunks, error
    return dialect, chunks + dialect.flush(), None


def texts(chunks: list[Chunk], kind: str) -> list[str]:
    return [chunk.content for chunk in chunks if chunk.kind == kind and chunk.content]


def tool_calls(chunks: list[Chunk]) -> list[dict[str, Any]]:
    calls: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        if chunk.kind == "tool_call":
            call = calls.setdefault(chunk.metadata["index"], {"arguments": ""})
            arguments = call["arguments"] + chunk.content
            call.update(chunk.metadata, arguments=arguments)
    return [calls[number] for number in sorted(calls)]


def test_the_recordings_are_there(recordings: Path) -> None:
    assert recordings == FOLDER
    assert len(STREAMS) >= 68
    assert len(FAILURES) >= 14


@pytest.mark.parametrize("how", ["whole", "at the hints", "byte by byte"])
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_recorded_answer_is_read_as_the_sdks_read_it(entry: dict[str, Any], how: str) -> None:
    dialect, chunks, error = read(entry, how)
    want = entry["expected"]
    deltas = texts(chunks, "text")
    assert "".join(deltas) == want["text"]
    assert len(deltas) == want["text_delta_count"]
    thoughts = texts(chunks, "reasoning")
    assert "".join(thoughts) == want["reasoning"]
    assert len(thoughts) == want["reasoning_delta_count"]
    assert "".join(texts(chunks, "refusal")) == want["refusal"]
    assert dialect.finish_reason == want["finish_reason"]
    assert dialect.model == want["model"]
    assert dialect.response_id == want["response_id"]
    assert dialect.finished == (want["end_marker"] not in (None, "eof"))
    check_calls(chunks, want["tool_calls"])
    check_usage(chunks, want["usage"])
    check_error(error, want["error"])


def check_calls(chunks: list[Chunk], expected: list[dict[str, Any]]) -> None:
    calls = tool_calls(chunks)
    for number, (call, want) in enumerate(zip(calls, expected, strict=True)):
        assert call["index"] == number
        assert call["id"] == (want["id"] or "")
        assert call["name"] == want["name"]
        if want["arguments_valid"]:
            assert json.loads(call["arguments"] or "{}") == want["arguments_json"]
        assert call["arguments"].split() == want["arguments"].split()


def check_usage(chunks: list[Chunk], expected: dict[str, Any] | None) -> None:
    reports = [chunk.metadata["usage"] for chunk in chunks if chunk.kind == "usage"]
    last = reports[-1] if reports else Usage()
    assert {name: getattr(last, name) for name in COUNTS} == (expected or dict.fromkeys(COUNTS))
    assert all(one != other for one, other in pairwise(reports))


def check_error(error: ProviderError | None, expected: dict[str, Any] | None) -> None:
    assert (error is None) == (expected is None)
    if error is not None and expected is not None:
        assert (error.type, error.code) == (expected["type"], expected["code"])
        assert error.status == expected["status"]
        assert (expected["message"] or "")[:500] in str(error)


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_every_chunk_says_who_made_it(entry: dict[str, Any]) -> None:
    dialect, chunks, _ = read(entry, "whole")
    for chunk in chunks:
        assert chunk.kind in ("text", "reasoning", "refusal", "tool_call", "usage", "citation")
        assert chunk.model in (dialect.model, None)
        assert chunk.content or chunk.metadata, "an empty chunk"
    marked = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    assert marked in ([], [dialect.finish_reason])


def test_citations_and_signatures_of_anthropic_are_kept() -> None:
    for entry in STREAMS:
        if entry["api"] == "messages":
            _, chunks, _ = read(entry, "whole")
            citations = [c for c in chunks if c.kind == "citation"]
            marks = [c for c in chunks if c.metadata.keys() & {"signature", "redacted"}]
            assert len(citations) == entry["expected"]["citation_count"]
            assert len(marks) == entry["expected"]["signature_count"]


@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_a_recorded_http_error_says_what_the_service_said(entry: dict[str, Any]) -> None:
    body = (FOLDER / entry["file"]).read_bytes()
    dialect = dialect_of(entry)
    if dialect is None:  # the shapes of services to come are read by the same function
        error = http_failure(endpoint_of(entry), entry["status"], entry["headers"], body)
    else:
        error = dialect(endpoint_of(entry)).error(entry["status"], entry["headers"], body)
    check_error(error, entry["expected"]["error"])
    assert str(error).startswith(f"{entry['provider']} answered {entry['status']}")
    assert error.body == body.decode()


@pytest.mark.parametrize("entry", ENTRIES, ids=by_id)
def test_finish_classes_are_those_of_the_index(entry: dict[str, Any]) -> None:
    raw = entry["expected"].get("finish_reason")
    if raw is not None:
        assert finish_class(raw) == OWN_CLASSES.get(raw, entry["expected"]["finish_class"])
