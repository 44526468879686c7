"""
What metrics cost: CPU per delta with ``on_metrics`` given, less the same with ``metrics=None``.

Each delta is an event of its own, but a read may bring several, and the clock is read once per read
and per delivery. The dearest case, that each read brings one delta and each is delivered alone, has
a row of its own: there the calls are made as the pipeline makes them, without a network.

The difference is small against the noise of a run, so there are many short ones, and the figure is
the median of the differences within a round.
"""

from __future__ import annotations

import statistics
from functools import partial
from time import monotonic, perf_counter, time
from typing import Any

from harness import Row, Server, cpu_per, interleave, spread

import streamkit
from streamkit.observe.counters import Counters
from streamkit.observe.metrics import MetricsConfig

TURNS = 20_000


def drain(url: str, mode: Any, on_metrics: Any) -> int:
    """One stream; how many deltas came."""
    stream = streamkit.stream(
        "openai/m",
        "Hi",
        base_url=url,
        api_key="k" * 20,
        mode=mode,
        metrics=on_metrics is not None,
        on_metrics=on_metrics,
    )
    return sum(1 for _ in stream)


def one_by_one(config: MetricsConfig | None) -> float:
    """Microseconds that counting takes per delta, each read and delivered alone."""
    counters = Counters(config)
    counters.started = monotonic()
    timed = counters.timed
    start = perf_counter()
    for _ in range(TURNS):
        if timed:
            counters.asks(monotonic())
        counters.bytes_received += 300
        counters.chunks_received += 1
        counters.arrived(monotonic())
        if timed:
            counters.resumed(monotonic())
            counters.took(monotonic())
            counters.queued(time() - 1.0)
        counters.chunks_delivered += 1
    return (perf_counter() - start) / TURNS * 1e6


def row(name: str, what: str, samples: dict[str, list[float]], most: float | None) -> Row:
    """What ``on`` costs more than ``off``."""
    extra = [on - off for on, off in zip(samples["on"], samples["off"], strict=True)]
    detail = {which: spread(values) for which, values in samples.items()}
    value = statistics.median(extra)
    return Row(name=name, what=what, value=value, unit="us", most=most, detail=detail)


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
            what = f"CPU per delta that metrics add, {mode}, {rounds} pairs"
            rows.append(row(f"metrics/{mode}", what, interleave(runs, rounds), 0.5))
    alone = {
        "off": partial(one_by_one, None),
        "on": partial(one_by_one, MetricsConfig()),
    }
    what = "the same where each delta is read and delivered alone, calls only"
    rows.append(row("metrics/alone", what, interleave(alone, rounds), None))
    return rows
