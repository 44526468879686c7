"""
What metrics cost: CPU per delta with ``on_metrics`` given, less the same without.

The difference is small against the noise of a run, so there are many short ones, and the figure is
the median of the differences within a round.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

from harness import Row, Server, cpu_per, interleave, spread

import streamkit


def drain(url: str, mode: Any, on_metrics: Any) -> int:
    """One stream; how many deltas came."""
    stream = streamkit.stream(
        "openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode, on_metrics=on_metrics
    )
    return sum(1 for _ in stream)


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    count, rounds = (2_000, 11) if quick else (5_000, 41)
    rows = []
    with Server() as server:
        url = server.url("fast", count=count, per=1)
        for mode in ("direct", "buffered"):
            runs = {
                "off": partial(cpu_per, partial(drain, url, mode, None)),
                "on": partial(cpu_per, partial(drain, url, mode, lambda _: None)),
            }
            samples = interleave(runs, rounds)
            extra = [on - off for on, off in zip(samples["on"], samples["off"], strict=True)]
            rows.append(
                Row(
                    name=f"metrics/{mode}",
                    what=f"CPU per delta that on_metrics adds, {mode}, {rounds} pairs",
                    value=statistics.median(extra),
                    unit="us",
                    most=0.5,
                    detail={name: spread(values) for name, values in samples.items()},
                )
            )
    return rows
