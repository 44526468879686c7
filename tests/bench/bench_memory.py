"""
Memory: a consumer ten times slower than its producer, and two hundred open streams.

Each figure comes from a new interpreter, as a peak cannot be taken back. The answer itself is kept
for the Result, whoever reads it; so what a slow consumer costs is its peak less that of a fast one.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness import Row, Server, in_child

import streamkit

STREAMS = 200


def memory(field: str) -> int:
    """KiB: VmRSS now, VmHWM at most so far."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(field)


def open_stream(url: str, mode: Any) -> streamkit.Stream:
    """A stream with the default options."""
    return streamkit.stream("openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode)


def drain(warm: str, url: str, mode: str, seconds_per_delta: float) -> dict[str, float]:
    """Child: drain at a pace, after a short warm-up; growth in KiB, and how long a delta took."""
    for _ in open_stream(warm, mode):
        pass
    gc.collect()
    before = memory("VmRSS")
    start = perf_counter()
    number = 0
    for number, _ in enumerate(open_stream(url, mode), start=1):
        ahead = start + number * seconds_per_delta - perf_counter()
        if ahead > 0.01:
            sleep(ahead)
    took = perf_counter() - start
    return {"growth": memory("VmHWM") - before, "took": took, "pace": took / number}


def hold(url: str) -> dict[str, float]:
    """Child: keep many buffered streams open, each with its thread in the silence of the model."""

    def open_some(count: int) -> list[streamkit.Stream]:
        streams = [open_stream(url, "buffered") for _ in range(count)]
        for stream in streams:
            assert stream.get(timeout=10) is not None
        return streams

    warm = open_some(10)
    gc.collect()
    before = memory("VmRSS")
    streams = open_some(STREAMS)
    gc.collect()
    growth = memory("VmRSS") - before
    for stream in warm + streams:
        stream.close()
    return {"growth": growth}


def slow_consumer(server: Server, mode: str, count: int) -> list[Row]:
    """Rows of one mode."""
    ids = {"fast": server.new_id(), "slow": server.new_id()}
    urls = {who: server.url("fast", count=count, per=1, id=id) for who, id in ids.items()}
    warm = server.url("fast", count=1000)
    fast = in_child("bench_memory.py", warm, urls["fast"], mode, 0.0)
    slow = in_child("bench_memory.py", warm, urls["slow"], mode, 10 * fast["pace"])
    blocked = server.stats()["blocked"]
    detail = {"fast": fast, "slow": slow, "server blocked, s": blocked[ids["slow"]]}
    return [
        Row(
            name=f"memory/{mode}/slow",
            what=f"peak of a consumer 10 x slower, {mode}, less a fast one's",
            value=(slow["growth"] - fast["growth"]) / 1024,
            unit="MiB",
            most=5.0,  # the ring's 4 MiB, the read buffers and the allocator's grain
            detail=detail,
        ),
        Row(
            name=f"memory/{mode}/back-pressure",
            what=f"part of that time the server was blocked in send, {mode}",
            value=blocked[ids["slow"]] / slow["took"] * 100,
            unit="%",
            least=10.0,  # what the kernel's socket buffers hold, it may send at once
        ),
    ]


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    with Server() as server:
        rows = []
        for mode in ("buffered",) if quick else ("buffered", "managed"):
            rows += slow_consumer(server, mode, 30_000 if quick else 40_000)
        held = in_child("bench_memory.py", server.url("silent"))
        rows.append(
            Row(
                name="memory/stream",
                what=f"RSS of an open, silent, buffered stream with its thread, mean of {STREAMS}",
                value=held["growth"] / STREAMS,
                unit="KiB",
                most=100.0,
            )
        )
        return rows


if __name__ == "__main__":
    first, *more = sys.argv[1:]
    print(json.dumps(drain(first, more[0], more[1], float(more[2])) if more else hold(first)))
