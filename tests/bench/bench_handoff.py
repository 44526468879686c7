"""
The ring's figures of bench_ring.py, held against their budgets.

Both ways in are judged: push_many with the chunks of one network read, as the pipeline hands them
over when several have come, and push, as it does with a single one. Many pushes in a row are the
harder case: the consumer wakes up for less.

Flat in capacity is judged on one thread, where nothing depends on how two threads take turns, and
on a ring that is half full, so that every slot of it comes into use.
"""

from __future__ import annotations

import statistics
from functools import partial
from time import perf_counter

import bench_ring
from harness import Row, interleave, ratio, spread

from streamkit import StreamBuffer

TURNS = 20_000
QUEUE = "queue.Queue(100)"
#: Contender of bench_ring: what its rows are called.
HOW = {"ring(100) push": "push", "ring(100) push_many": "push_many(100)"}


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


def hand_off(rounds: int) -> list[Row]:
    """Time per item, and how many times that of queue.Queue."""
    every = bench_ring.contenders()
    runs = {name: every[name] for name in (QUEUE, *HOW)}
    samples = interleave(runs, rounds)
    rows = []
    for name, how in HOW.items():
        row, detail = (
            f"handoff/{how}",
            {"ns": spread(samples[name]), "queue, ns": spread(samples[QUEUE])},
        )
        what = f"{how} and pop_many(100), two threads, capacity 100"
        value = statistics.median(samples[name]) / 1000
        rows.append(Row(name=row, what=what, value=value, unit="us", most=1.0, detail=detail))
        what, value = f"queue.Queue(100) over {how}", ratio(samples, QUEUE, name)
        rows.append(
            Row(name=f"{row}/queue", what=what, value=value, unit="x", least=3.0, detail=detail)
        )
    return rows


def wake_up() -> list[Row]:
    """How soon a consumer that sleeps has the item."""
    delays = [delay / 1e6 for delay in bench_ring.wake_ups(1_000)]
    figures = spread(delays)
    what = "from a push to the return of a blocked pop, of 1000"
    return [
        Row(
            name=f"handoff/wake-up/{part}",
            what=what,
            value=figures[part],
            unit="ms",
            most=most,
            detail=figures,
        )
        for part, most in (("p50", None), ("p99", 5.0), ("max", 50.0))
    ]


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    return [*hand_off(5 if quick else 11), *wake_up(), flat(5 if quick else 9)]
