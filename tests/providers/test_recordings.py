"""
The real bodies of every provider, read by its dialect alone: whole, cut at the hints, 7 bytes at a
time and byte by byte, against what the official SDKs read from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
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
)

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ProviderError
from streamkit.providers import finish_class, resolve

#: What a finish reason means to us, where it differs from the index: a refusal is its own class.
OWN_CLASSES = {"refusal": "refusal"}


def dialect_of(entry: Mapping[str, Any]) -> Any:
    """A new reader for an entry, by the names the index gives provider and API."""
    target = resolve(
        "m",
        provider=entry["provider"],
        api=entry["api"],
        base_url="http://localhost",
        api_key="sk-test-0123456789",
        env={},
    )
    return target.dialect(target.endpoint)


def read(entry: Mapping[str, Any], how: str) -> tuple[Any, list[Chunk], ProviderError | None]:
    """Body -> the dialect after reading, its chunks, and the error that ended it."""
    body, dialect = body_of(entry), dialect_of(entry)
    decoder = dialect.decoder(max_event=1 << 24)
    chunks: list[Chunk] = []
    try:
        for start, end in pairwise((0, *cuts_of(entry, how), len(body))):
            for event in decoder.feed(body[start:end]):
                chunks += dialect.feed(event)
        for event in decoder.flush():
            chunks += dialect.feed(event)
        chunks += dialect.flush()
    except ProviderError as error:
        return dialect, chunks, error
    return dialect, chunks, dialect.failure


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
    assert len(ENTRIES) >= 122
    assert len(FAILURES) >= 14


@pytest.mark.parametrize("how", ["whole", "at the hints", "7 bytes", "byte by byte"])
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_recorded_answer_is_read_as_the_sdks_read_it(entry: dict[str, Any], how: str) -> None:
    dialect, chunks, error = read(entry, how)
    want = entry["expected"]
    check_chunks(chunks, want)
    assert dialect.finish_reason == want["finish_reason"]
    assert dialect.blocked == want.get("block_reason")
    assert dialect.model == want["model"]
    assert dialect.response_id == want["response_id"]
    if error is None:
        assert dialect.finished == (want["end_marker"] not in (None, "eof"))
    check_calls(tool_calls(chunks), want["tool_calls"])
    reports = [chunk.metadata["usage"] for chunk in chunks if chunk.kind == "usage"]
    check_usage(reports[-1] if reports else Usage(), want["usage"])
    assert (error is None) == (want["error"] is None)
    if error is not None:
        check_words(error, want["error"])


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_every_chunk_says_who_made_it(entry: dict[str, Any]) -> None:
    dialect, chunks, _ = read(entry, "whole")
    for chunk in chunks:
        assert chunk.kind in ("text", "reasoning", "refusal", "tool_call", "usage", "citation")
        assert chunk.content or chunk.metadata, "an empty chunk"
    marked = [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
    assert marked in ([], [dialect.finish_reason])


@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_a_recorded_http_error_says_what_the_service_said(entry: dict[str, Any]) -> None:
    body = body_of(entry)
    error = dialect_of(entry).error(entry["status"], entry["headers"], body)
    check_words(error, entry["expected"]["error"])
    assert str(error).startswith(f"{entry['provider']} answered {entry['status']}")
    assert error.body == body.decode()


@pytest.mark.parametrize("entry", ENTRIES, ids=by_id)
def test_finish_classes_are_those_of_the_index(entry: dict[str, Any]) -> None:
    raw = entry["expected"].get("finish_reason")
    if raw is not None:
        assert finish_class(raw) == OWN_CLASSES.get(raw, entry["expected"]["finish_class"])
