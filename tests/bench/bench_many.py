"""
Many streams in one process, each in a thread of its own, 50 tokens a second each.

A back-log would show as latency that grows from the first second of a stream to its last.
"""

from __future__ import annotations

import threading
from statistics import median
from time import monotonic_ns, process_time
from typing import Any

from harness import Row, Server, spread

import streamkit

RATE = 50


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


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    streams, seconds = (50, 4) if quick else (200, 8)
    with Server() as server:
        rows = [measure(server, mode, streams, seconds) for mode in ("direct", "buffered")]
    return [row for one in rows for row in one]
