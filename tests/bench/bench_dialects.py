"""
CPU per text delta of each dialect, over its own floor.

The floor of a dialect reads with urllib3, cuts the bytes into events, and parses the JSON of every
event (of both layers, where Bedrock packs one into the other); it checks and keeps nothing. It sees
the same bytes from the same server. bench_cpu.py has the chat, messages and Ollama dialects in all
modes; here every dialect runs in the default mode.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass

import urllib3
from bench_cpu import KEY, Work, count_texts, measure
from harness import Row, Server, ratio, spread

import streamkit

MOST = 2.5  # DESIGN.md section 4

Cut = Callable[[bytes], tuple[int, bytes]]


def events(ending: bytes) -> Cut:
    """Text framings: cut at the ending, parse from the first brace."""

    def cut(data: bytes) -> tuple[int, bytes]:
        *whole, rest = data.split(ending)
        for event in whole:
            text = event[event.find(b"{") :]
            if text.startswith(b"{"):
                json.loads(text.decode())
        return len(whole), rest

    return cut


def frames(parse: Callable[[bytes], object]) -> Cut:
    """AWS's framing: by the lengths, no checksums."""

    def cut(data: bytes) -> tuple[int, bytes]:
        at = count = 0
        while len(data) - at >= 12:
            size = int.from_bytes(data[at : at + 4], "big")
            if len(data) - at < size:
                break
            head = int.from_bytes(data[at + 4 : at + 8], "big")
            parse(data[at + 12 + head : at + size - 4])
            at += size
            count += 1
        return count, data[at:]

    return cut


def unpacked(payload: bytes) -> object:
    """The model's own event inside a frame."""
    return json.loads(b64decode(json.loads(payload)["bytes"]))


@dataclass(frozen=True)
class Entry:
    """One row: who is asked, in which dialect, and how its bytes are cut."""

    provider: str
    api: str
    path: str
    cut: Cut


ENTRIES = (
    Entry("openai", "responses", "/responses", events(b"\n\n")),
    Entry("openai", "completions", "/completions", events(b"\n\n")),
    Entry("azure", "chat", "/openai/v1/chat/completions", events(b"\n\n")),
    Entry("mistral", "chat", "/chat/completions", events(b"\n\n")),
    Entry("perplexity", "chat", "/chat/completions", events(b"\n\n")),
    Entry("groq", "chat", "/chat/completions", events(b"\n\n")),
    Entry("gemini", "sse", "/v1beta/models/m:streamGenerateContent?alt=sse", events(b"\r\n\r\n")),
    Entry("gemini", "array", "/v1beta/models/m:streamGenerateContent", events(b",\r\n")),
    Entry("vertex", "messages", "/publishers/anthropic/models/m:streamRawPredict", events(b"\n\n")),
    Entry("cohere", "v2", "/v2/chat", events(b"\n\n")),
    Entry("ollama", "generate", "/api/generate", events(b"\n")),
    Entry("bedrock", "converse", "/model/m/converse-stream", frames(json.loads)),
    Entry("bedrock", "invoke", "/model/m/invoke-with-response-stream", frames(unpacked)),
)


def floor(pool: urllib3.PoolManager, url: str, cut: Cut, count: int) -> Work:
    """The least: read, cut, json.loads each."""

    def work() -> int:
        response = pool.request("POST", url, body=b"{}", preload_content=False)
        rest, seen = b"", 0
        while data := response.read1(65536):
            found, rest = cut(rest + data)
            seen += found
        response.release_conn()
        assert seen >= count, f"{count} deltas were sent, the floor saw {seen} events"
        return count

    return work


def looped(entry: Entry, url: str, count: int) -> Work:
    """``for text in stream(...)``."""

    def work() -> int:
        texts = streamkit.stream(
            "anthropic.claude-m" if entry.api == "invoke" else "m",
            "Hi",
            provider=entry.provider,
            api=entry.api,
            base_url=url,
            api_key=KEY,
        )
        return count_texts(texts, count)

    return work


def over_floor(server: Server, entry: Entry, quick: bool) -> Row:
    """One dialect."""
    count, rounds = (5_000, 3) if quick else (20_000, 5)
    url = server.url("fast", count=count, per=1)
    works = {
        "floor": floor(urllib3.PoolManager(), url + entry.path, entry.cut, count),
        "buffered": looped(entry, url, count),
    }
    samples = measure(works, rounds)
    return Row(
        name=f"dialects/{entry.provider}/{entry.api}",
        what="CPU per delta, buffered, over that dialect's floor",
        value=ratio(samples, "buffered", "floor"),
        unit="x",
        most=MOST,
        detail={"deltas": count, "us_per_delta": {n: spread(v) for n, v in samples.items()}},
    )


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    with Server() as server:
        return [over_floor(server, entry, quick) for entry in ENTRIES]
