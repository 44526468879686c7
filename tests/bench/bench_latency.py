"""
What streamkit adds to the time a token takes, at 50 tokens a second.

Each delta holds the instant at which the server sent it; the difference to the instant at which the
loop body has it is its latency. The bare loop is urllib3's read1 on the same server. The contenders
take turns, a few seconds each. CPU per token at this pace, with its wake-ups, is reported as well:
it is several times that of a stream at full speed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from time import monotonic_ns, process_time
from typing import Any

import urllib3
from harness import Row, Server, quantile, spread

import streamkit

RATE = 50
STAMP = re.compile(rb'"content":"(\d+)"')
Arrivals = Iterator[tuple[int, int]]


def bare(url: str) -> Arrivals:
    """Sent and received, in ns; the events are cut and searched, not parsed."""
    response = urllib3.request("POST", url + "/chat/completions", body=b"{}", preload_content=False)
    rest = b""
    while data := response.read1(65536):
        *events, rest = (rest + data).split(b"\n\n")
        for event in events:
            if found := STAMP.search(event):
                yield int(found[1]), monotonic_ns()


def streamed(url: str, mode: Any) -> Arrivals:
    """Sent and received, in ns."""
    for text in streamkit.stream("openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode):
        yield int(text), monotonic_ns()


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    rounds, count = (2, 60) if quick else (4, 120)
    runs: dict[str, Callable[[str], Arrivals]] = {
        "bare": bare,
        "direct": lambda url: streamed(url, "direct"),
        "buffered": lambda url: streamed(url, "buffered"),
    }
    delays: dict[str, list[float]] = {name: [] for name in runs}
    cpu = dict.fromkeys(runs, 0.0)
    with Server() as server:
        url = server.url("paced", count=count, rate=RATE)
        for _ in range(rounds):
            for name, arrivals in runs.items():
                start = process_time()
                # The first few pay for the connection and for cold code.
                got = [(received - sent) / 1e6 for sent, received in arrivals(url)][5:]
                cpu[name] += (process_time() - start) / rounds / count * 1e6
                delays[name] += got
    rows = []
    for name in ("direct", "buffered"):
        detail = {
            "ms": spread(delays[name], 4),
            "bare ms": spread(delays["bare"], 4),
            "cpu us per token": {key: round(value) for key, value in cpu.items()},
        }
        for part, most in ((0.5, 0.15), (0.99, 1.0)):
            added = quantile(delays[name], part) - quantile(delays["bare"], part)
            rows.append(
                Row(
                    name=f"latency/{name}/p{part * 100:.0f}",
                    what=f"added to a token at {RATE} tokens/s, {name} less bare",
                    value=added,
                    unit="ms",
                    most=most,
                    detail=detail,
                )
            )
    return rows
