"""
CPU of one very long answer over that of a tenth of it: ten, if nothing grows with length.

Each long one is held against the short ones right before and after it, as the machine's pace
drifts; the figure is the median of three such ratios.
"""

from __future__ import annotations

import statistics
from time import process_time
from typing import Any

from harness import Row, Server

import streamkit

ROUNDS = 3


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
    modes = ("direct", "buffered")
    short: dict[str, list[float]] = {mode: [] for mode in modes}
    whole: dict[str, list[float]] = {mode: [] for mode in modes}
    ratios: dict[str, list[float]] = {mode: [] for mode in modes}
    with Server() as server:
        for mode in modes:
            drain(server, mode, 2_000)  # for warmth
        for _ in range(ROUNDS):
            for mode in modes:
                before = drain(server, mode, long // 10)
                whole[mode].append(drain(server, mode, long))
                after = drain(server, mode, long // 10)
                short[mode] += [before, after]
                ratios[mode].append(whole[mode][-1] / statistics.mean((before, after)))
    return [
        Row(
            name=f"linearity/{mode}",
            what=f"CPU of {long} deltas over that of {long // 10}, {mode}",
            value=statistics.median(ratios[mode]),
            unit="x",
            least=8.0,
            most=12.0,
            detail={
                "long, s": [round(seconds, 3) for seconds in whole[mode]],
                "short, s": [round(seconds, 3) for seconds in short[mode]],
                "ratios": [round(ratio, 2) for ratio in ratios[mode]],
            },
        )
        for mode in modes
    ]
