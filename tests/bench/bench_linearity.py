"""CPU of one very long answer over that of a tenth of it: ten, if nothing grows with length."""

from __future__ import annotations

import statistics
from time import process_time
from typing import Any

from harness import Row, Server

import streamkit


def drain(server: Server, mode: Any, count: int) -> float:
    """Seconds of CPU for an answer of so many deltas."""
    url = server.url("fast", count=count, per=20)
    start = process_time()
    texts = streamkit.stream("openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode)
    seen = sum(1 for _ in texts)
    assert seen == count, f"{count} deltas were sent, {seen} came"
    return process_time() - start


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    long = 100_000 if quick else 1_000_000
    rows = []
    with Server() as server:
        for mode in ("direct", "buffered"):
            drain(server, mode, 2_000)
            # Short ones before and after the long one: the machine's pace drifts.
            short = [drain(server, mode, long // 10) for _ in range(3)]
            whole = drain(server, mode, long)
            short += [drain(server, mode, long // 10) for _ in range(3)]
            rows.append(
                Row(
                    name=f"linearity/{mode}",
                    what=f"CPU of {long} deltas over that of {long // 10}, {mode}",
                    value=whole / statistics.median(short),
                    unit="x",
                    least=8.0,
                    most=12.0,
                    detail={"long, s": round(whole, 3), "short, s": [round(s, 3) for s in short]},
                )
            )
    return rows
