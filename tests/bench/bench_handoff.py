"""
The ring's figures of bench_ring.py, held against their budgets.

Flat in capacity is judged on one thread, where nothing depends on how two threads take turns, and
on a ring that is half full, so that every slot of it comes into use.
"""

from __future__ import annotations

import statistics
from functools import partial
from time import perf_counter

import bench_ring
from harness import Row, interleave

from streamkit import StreamBuffer

TURNS = 20_000


def push_and_pop(ring: StreamBuffer[int]) -> float:
    """Microseconds for a push and a pop."""
    start = perf_counter()
    for number in range(TURNS):
        ring.push(number)
        ring.pop()
    return (perf_counter() - start) / TURNS * 1e6


def flat(rounds: int) -> Row:
    """The dearest capacity over the cheapest."""
    runs = {}
    for capacity in bench_ring.CAPACITIES:
        ring: StreamBuffer[int] = StreamBuffer(capacity)
        ring.push_many(range(capacity // 2))
        runs[str(capacity)] = partial(push_and_pop, ring)
    medians = {name: statistics.median(v) for name, v in interleave(runs, rounds).items()}
    return Row(
        name="handoff/flat",
        what="push + pop, one thread, dearest capacity of 10 .. 1e6 over cheapest",
        value=max(medians.values()) / min(medians.values()),
        unit="x",
        most=1.5,  # chosen: what a cache miss more per item costs
        detail={name: round(value, 3) for name, value in medians.items()},
    )


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    figures = bench_ring.run(2 if quick else 7)
    median, faster = figures["median"], figures["times_faster_than_queue"]
    rows = []
    for name in ("push", "push_many"):
        what = f"{name} and pop_many(100), two threads, capacity 100"
        value = median[f"ring(100) {name}"] / 1000
        rows.append(Row(name=f"handoff/{name}", what=what, value=value, unit="us", most=1.0))
        what = f"queue.Queue(100) over {name}"
        value = faster[name]
        rows.append(Row(name=f"handoff/{name}/queue", what=what, value=value, unit="x", least=3.0))
    what = "from a push to the return of a blocked pop"
    value = median["wake-up"] / 1000
    rows.append(
        Row(name="handoff/wake-up", what=what, value=value, unit="us", detail={"ns": median})
    )
    return [*rows, flat(5 if quick else 9)]
