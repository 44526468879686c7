"""
CPU per text delta, from HTTP to the loop body, against the least it could be and against the SDKs.

The floor reads with urllib3 and parses the JSON of every event, and does nothing else. It sees the
same bytes from the same server, as every contender does. ``per 1``: the server sends each event by
itself; ``per 20``: twenty in one send, each still an HTTP chunk of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from typing import Any

import urllib3
from harness import Row, Samples, Server, cpu_per, interleave, ratio, spread

import streamkit

KEY = "k" * 20
TAILS = {"openai": "/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}
SDK_DELTAS = 2000

Work = Callable[[], int]


def floor(pool: urllib3.PoolManager, url: str, ending: bytes, count: int) -> Work:
    """The least: read, cut into events, json.loads each."""

    def work() -> int:
        response = pool.request("POST", url, body=b"{}", preload_content=False)
        rest = b""
        while data := response.read1(65536):
            *events, rest = (rest + data).split(ending)
            for event in events:
                text = event[event.find(b"{") :]
                if text.startswith(b"{"):
                    json.loads(text.decode())
        response.release_conn()
        return count

    return work


def count_texts(texts: Iterable[str], count: int) -> int:
    """The loop of a user."""
    seen = 0
    for _ in texts:
        seen += 1
    assert seen == count, f"{count} deltas were sent, {seen} came"
    return count


def looped(provider: str, url: str, count: int, mode: Any) -> Work:
    """``for text in stream(...)``."""

    def work() -> int:
        texts = streamkit.stream(f"{provider}/m", "Hi", base_url=url, api_key=KEY, mode=mode)
        return count_texts(texts, count)

    return work


def managed(provider: str, url: str, count: int, units: str | None = None) -> Work:
    """Everything on: flow control, metrics, batches; with ``units``, those too."""

    def work() -> int:
        seen: list[streamkit.Metrics] = []
        stream = streamkit.stream(
            f"{provider}/m", "Hi", base_url=url, api_key=KEY, mode="managed", units=units,
            on_metrics=seen.append,
        )  # fmt: skip
        batches = stream.batches(10, max_wait=0.05)
        texts = (chunk.content for batch in batches for chunk in batch if chunk.kind == "text")
        if units is None:
            count_texts(texts, count)
        else:
            assert "".join(texts)
            assert stream.progress.tokens_received == count
        assert seen, "on_metrics was never called"
        return count

    return work


def contenders(server: Server, provider: str, count: int, per: int) -> dict[str, Work]:
    """The floor and our modes."""
    url = server.url("fast", count=count, per=per)
    ending = b"\n" if provider == "ollama" else b"\n\n"
    return {
        "floor": floor(urllib3.PoolManager(), url + TAILS[provider], ending, count),
        "direct": looped(provider, url, count, "direct"),
        "buffered": looped(provider, url, count, "buffered"),
        "managed": managed(provider, url, count),
        "managed words": managed(provider, url, count, "word"),
    }


def openai_sdk(url: str, count: int) -> Work:
    """The official loop; the role delta has no text."""
    import openai

    client = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0)

    def work() -> int:
        messages: list[Any] = [{"role": "user", "content": "Hi"}]
        stream = client.chat.completions.create(model="m", messages=messages, stream=True)
        texts = (chunk.choices[0].delta.content for chunk in stream)
        return count_texts((text for text in texts if text), count)

    return work


def anthropic_sdk(url: str, count: int) -> Work:
    """``text_stream``, as its documentation shows."""
    import anthropic

    client = anthropic.Anthropic(base_url=url, api_key=KEY, max_retries=0)

    def work() -> int:
        messages: list[Any] = [{"role": "user", "content": "Hi"}]
        with client.messages.stream(model="m", max_tokens=9, messages=messages) as stream:
            return count_texts(stream.text_stream, count)

    return work


SDKS = {"openai": (openai_sdk, 10.0), "anthropic": (anthropic_sdk, 6.0)}


def measure(works: dict[str, Work], rounds: int) -> Samples:
    """Microseconds of CPU per delta."""
    return interleave({name: partial(cpu_per, work) for name, work in works.items()}, rounds)


def against_floor(server: Server, provider: str, per: int, quick: bool) -> list[Row]:
    """Our modes over the floor of one wire format."""
    count, rounds = (5_000, 5) if quick else (20_000, 7)
    samples = measure(contenders(server, provider, count, per), rounds)
    most = {"direct": 1.5, "buffered": 2.0, "managed": 3.0, "managed words": 3.0}
    if provider != "openai":
        most = dict.fromkeys(most, 2.5)
    rows = []
    for name, values in samples.items():
        row = f"cpu/{provider}/per {per}/{name}"
        detail = {"deltas": count, "us_per_delta": spread(values)}
        if name == "floor":
            value = spread(values)["p50"]
            what = "CPU per delta: urllib3 read1 and json.loads alone"
            rows.append(Row(name=row, what=what, value=value, unit="us", detail=detail))
        else:
            what = f"CPU per delta, {name}, over that floor"
            value = ratio(samples, name, "floor")
            rows.append(
                Row(name=row, what=what, value=value, unit="x", most=most[name], detail=detail)
            )
    return rows


def under_sdk(server: Server, provider: str, quick: bool) -> Row:
    """How many times less CPU than the service's own SDK."""
    make, least = SDKS[provider]
    name = f"cpu/{provider}/sdk"
    what = f"CPU per delta, {provider} SDK over buffered"
    if find_spec(provider) is None:
        why = {"skipped": "not installed; it comes with the extra 'bench'"}
        return Row(name=name, what=what, value=None, unit="x", least=least, detail=why)
    url = server.url("fast", count=SDK_DELTAS, per=1)
    works = {
        "sdk": make(url, SDK_DELTAS),
        "buffered": looped(provider, url, SDK_DELTAS, "buffered"),
    }
    samples = measure(works, 3 if quick else 5)
    detail = {key: spread(values) for key, values in samples.items()}
    value = ratio(samples, "sdk", "buffered")
    return Row(name=name, what=what, value=value, unit="x", least=least, detail=detail)


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    with Server() as server:
        rows = against_floor(server, "openai", 1, quick)
        rows += against_floor(server, "openai", 20, quick)
        rows += against_floor(server, "anthropic", 1, quick)
        rows += against_floor(server, "ollama", 1, quick)
        return [*rows, *(under_sdk(server, provider, quick) for provider in SDKS)]
