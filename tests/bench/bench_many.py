"""
Many streams in one process, each in a thread of its own, 50 tokens a second each.

A back-log would show as latency that grows from the first second of a stream to its last.

Then a thousand at once that drip (PROMISES.md P27): two seconds of waiting, and what it costs.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
from statistics import median
from time import monotonic_ns, perf_counter, process_time
from typing import Any

from bench_memory import memory
from harness import MODES, Row, Server, in_child, spread

import streamkit

RATE = 50
#: P27: so many streams, which drip so many tokens at so many a second.
CROWD, DRIPS, DRIP_RATE = 1000, 20, 10


def drain(url: str, mode: Any, delays: list[float]) -> None:
    """One stream; the latency of each token in ms."""
    for text in streamkit.stream("openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode):
        delays.append((monotonic_ns() - int(text)) / 1e6)


def measure(server: Server, mode: str, streams: int, seconds: int) -> list[Row]:
    """All streams at once."""
    url = server.url("paced", count=RATE * seconds, rate=RATE)
    delays: list[list[float]] = [[] for _ in range(streams)]
    threads = [threading.Thread(target=drain, args=(url, mode, one)) for one in delays]
    start = process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = (process_time() - start) / seconds * 100
    assert all(len(one) == RATE * seconds for one in delays), "tokens were lost"
    # The first second pays for all the connections at once.
    steady = [delay for one in delays for delay in one[RATE:]]
    first = median(delay for one in delays for delay in one[RATE : 2 * RATE])
    last = median(delay for one in delays for delay in one[-RATE:])
    judged = mode == "direct"
    what = f"{streams} streams x {RATE} tokens/s, {mode}: "
    detail = {"ms": spread(steady), "cpu percent": round(used), "seconds": seconds}
    return [
        Row(
            name=f"many/{mode}/p99",
            what=what + "latency, P99",
            value=detail["ms"]["p99"],  # type: ignore[index]
            unit="ms",
            most=10.0 if judged else None,
            detail=detail,
        ),
        Row(
            name=f"many/{mode}/back-log",
            what=what + "median, last less first second",
            value=last - first,
            unit="ms",
            most=1.0 if judged else None,  # chosen: a back-log grows by far more in a few seconds
        ),
    ]


def gather(url: str, mode: str) -> dict[str, float]:
    """Child: a crowd at once; seconds of wall and CPU, MiB of growth, how many were not exact."""
    drain(url, mode, [])
    gc.collect()
    before = memory("VmRSS")
    delays: list[list[float]] = [[] for _ in range(CROWD)]
    threads = [threading.Thread(target=drain, args=(url, mode, one)) for one in delays]
    start, used = perf_counter(), process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "wall": perf_counter() - start,
        "cpu": process_time() - used,
        "rss": (memory("VmHWM") - before) / 1024,
        "wrong": sum(len(one) != DRIPS for one in delays),
    }


def crowd(server: Server, mode: str) -> list[Row]:
    """P27 in one mode; its budgets are for the mode with the fewest threads."""
    url = server.url("paced", count=DRIPS, rate=DRIP_RATE)
    found = in_child("bench_many.py", url, mode)
    assert not found["wrong"], "tokens were lost"
    judged = mode == "direct"
    budgets = {"wall": ("s", 8.0), "cpu": ("s", 6.0), "rss": ("MiB", 80.0)}
    return [
        Row(
            name=f"many/{mode}/{CROWD}/{name}",
            what=f"{CROWD} streams x {DRIPS / DRIP_RATE:g} s of dripping, {mode}: {name}",
            value=found[name],
            unit=unit,
            most=most if judged else None,
            detail=found,
        )
        for name, (unit, most) in budgets.items()
    ]


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    streams, seconds = (50, 4) if quick else (200, 8)
    with Server() as server:
        rows = [measure(server, mode, streams, seconds) for mode in ("direct", "buffered")]
        rows += [crowd(server, mode) for mode in (MODES[:1] if quick else MODES)]
    return [row for one in rows for row in one]


if __name__ == "__main__":
    print(json.dumps(gather(sys.argv[1], sys.argv[2])))
