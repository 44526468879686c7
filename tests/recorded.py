"""
The real bodies of ``../shared/recordings``, the checks of what was read from them, and of replays.

The folder lies beside the repository; its README.md says what each field of ``expected`` means. A
last event without its empty line counts, so ``expected`` holds and ``expected_strict`` does not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from streamkit import Usage
from streamkit.providers.details import printable

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "recordings"
COUNTS = (
    "input_tokens", "output_tokens", "total_tokens",
    "reasoning_tokens", "cached_input_tokens", "cache_write_input_tokens",
)  # fmt: skip
#: Metadata that stands for what the index counts as signatures.
SIGNATURES = {"signature", "redacted", "encrypted"}


def index() -> list[dict[str, Any]]:
    file = FOLDER / "index.json"
    if not file.is_file():
        return []
    entries: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["recordings"]
    return entries


ENTRIES = index()
STREAMS = [entry for entry in ENTRIES if not entry["expected"]["http_error"]]
FAILURES = [entry for entry in ENTRIES if entry["expected"]["http_error"]]


def by_id(value: Any) -> str:
    return value["id"] if isinstance(value, dict) else str(value)


def body_of(entry: Mapping[str, Any]) -> bytes:
    return (FOLDER / entry["file"]).read_bytes()


def cuts_of(entry: Mapping[str, Any], how: str) -> tuple[int, ...]:
    """The offsets at which the body is cut: whole, at the hints, 7 bytes, byte by byte."""
    if how == "whole":
        return ()
    if how == "at the hints":
        hints = entry.get("split_hints", {})  # binary bodies have none
        return tuple(sorted({cut for cuts in hints.values() for cut in cuts}))
    return tuple(range(0, entry["bytes"], {"7 bytes": 7, "byte by byte": 1}[how]))[1:]


def contents(chunks: Iterable[Any], kind: str) -> list[str]:
    return [chunk.content for chunk in chunks if chunk.kind == kind and chunk.content]


def noted(chunks: Iterable[Any], key: str) -> list[Any]:
    return [chunk.metadata[key] for chunk in chunks if key in chunk.metadata]


def check_chunks(chunks: list[Any], want: Mapping[str, Any]) -> None:
    """Everything that the chunks alone tell."""
    deltas, thoughts = contents(chunks, "text"), contents(chunks, "reasoning")
    assert "".join(deltas) == want["text"]
    assert len(deltas) == want["text_delta_count"]
    assert "".join(thoughts) == want["reasoning"]
    assert len(thoughts) == want["reasoning_delta_count"]
    assert "".join(contents(chunks, "refusal")) == want["refusal"]
    citations = noted(chunks, "citation")
    assert len(citations) == want["citation_count"]
    urls = [url for citation in citations if (url := url_of(citation))]
    assert list(dict.fromkeys(urls)) == want["citation_urls"]
    signed = [chunk for chunk in chunks if chunk.metadata.keys() & SIGNATURES]
    assert len(signed) == want["signature_count"]
    assert [tool["name"] for tool in noted(chunks, "server_tool")] == want["server_tools"]
    check_choices(chunks, want.get("choices"))


def url_of(citation: Mapping[str, Any]) -> str | None:
    inner = citation.get("web")
    return citation.get("url") or citation.get("uri") or (inner or {}).get("uri")


def check_choices(chunks: list[Any], want: list[dict[str, Any]] | None) -> None:
    """Choice 0 is the text; the others are told in metadata."""
    others: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        if "choice" in chunk.metadata:
            assert not chunk.content
            other = others.setdefault(chunk.metadata["choice"], {"text": "", "reason": None})
            other["text"] += chunk.metadata.get("content", "")
            other["reason"] = chunk.metadata.get("finish_reason") or other["reason"]
    expected = {
        choice["index"]: {"text": choice["text"], "reason": choice["finish_reason"]}
        for choice in want or ()
        if choice["index"]
    }
    assert others == expected


def check_calls(calls: Iterable[Mapping[str, Any]], expected: list[dict[str, Any]]) -> None:
    """``calls`` have index, id, name and arguments."""
    for number, (call, want) in enumerate(zip(calls, expected, strict=True)):
        assert call["index"] == number
        assert call["id"] == (want["id"] or "")
        assert call["name"] == want["name"]
        if want["arguments_valid"]:
            assert json.loads(call["arguments"] or "{}") == want["arguments_json"]
        assert call["arguments"].split() == want["arguments"].split()


def check_usage(usage: Usage, expected: Mapping[str, Any] | None) -> None:
    assert {name: getattr(usage, name) for name in COUNTS} == (expected or dict.fromkeys(COUNTS))


def check_words(error: Any, expected: Mapping[str, Any]) -> None:
    """What a provider's error says."""
    assert (error.type, error.code) == (expected["type"], expected["code"])
    assert error.status == expected["status"]
    assert error.message == (expected["message"] or None)
    if error.message:
        assert printable(error.message, 500) in str(error)


def timeless(error: BaseException | None) -> str:
    """What an error says, but for the seconds that a message may give, which differ a little."""
    return re.sub(r"\d+\.\d+ s\b", "? s", repr(error))
