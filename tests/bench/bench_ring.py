"""
What it costs to hand an item from one thread to another.

    python tests/bench/bench_ring.py [--json FILE] [--rounds N]

StreamBuffer against the standard library: queue.Queue, and a deque with two Conditions. The runs
of all contenders are interleaved, so that a busy moment of the machine hits each of them; the
figures are medians over the rounds, in nanoseconds per item. Budgets: DESIGN.md section 4.

Look at one thread to see that the ring costs the same at any capacity. With two threads a small
ring costs more: they must take turns once per ``capacity`` items, and a turn costs microseconds.
"""

from __future__ import annotations

import argparse
import json
import platform
import queue
import statistics
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from streamkit.flow import StreamBuffer

ITEMS = 100_000
CAPACITIES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
BATCH = 100


def hand_off(produce: Callable[[int], None], consume: Callable[[], int], items: int) -> float:
    """Nanoseconds per item from the first push to the last pop."""
    thread = threading.Thread(target=produce, args=(items,))
    begin = perf_counter()
    thread.start()
    taken = consume()
    thread.join()
    took = perf_counter() - begin
    assert taken == items, f"{items} items went in, {taken} came out"
    return took / items * 1e9


def ring_push(capacity: int, **options: Any) -> float:
    """One push per item, pop_many(100)."""
    ring: StreamBuffer[int] = StreamBuffer(capacity, **options)

    def produce(items: int) -> None:
        for n in range(items):
            ring.push(n)
        ring.close()

    return hand_off(produce, lambda: drain(ring), ITEMS)


def ring_push_many(capacity: int, **options: Any) -> float:
    """push_many of 100, as the chunks of one network read come, and pop_many(100)."""
    ring: StreamBuffer[int] = StreamBuffer(capacity, **options)

    def produce(items: int) -> None:
        batch = list(range(BATCH))
        for _ in range(items // BATCH):
            ring.push_many(batch)
        ring.close()

    return hand_off(produce, lambda: drain(ring), ITEMS)


def drain(ring: StreamBuffer[int]) -> int:
    taken = 0
    while items := ring.pop_many(BATCH):
        taken += len(items)
    return taken


def stdlib_queue(capacity: int) -> float:
    """queue.Queue: put and get, one by one; it has nothing else."""
    q: queue.Queue[int] = queue.Queue(capacity)

    def produce(items: int) -> None:
        for n in range(items):
            q.put(n)
        q.put(-1)

    def consume() -> int:
        taken = 0
        while q.get() >= 0:
            taken += 1
        return taken

    return hand_off(produce, consume, ITEMS)


def deque_and_conditions(capacity: int) -> float:
    """What one would write by hand: a deque, two Conditions, and a consumer that takes it all."""
    items_queued: deque[int] = deque()
    lock = threading.Lock()
    not_full, not_empty = threading.Condition(lock), threading.Condition(lock)

    def produce(items: int) -> None:
        for n in range(items):
            with lock:
                while len(items_queued) >= capacity:
                    not_full.wait()
                items_queued.append(n)
                not_empty.notify()

    def consume() -> int:
        taken = 0
        while taken < ITEMS:
            with lock:
                while not items_queued:
                    not_empty.wait()
                taken += len(items_queued)
                items_queued.clear()
                not_full.notify()
        return taken

    return hand_off(produce, consume, ITEMS)


def alone(
    step: Callable[[StreamBuffer[int], int], Any], capacity: int = 100, **options: Any
) -> float:
    """Nanoseconds of one call without a second thread."""
    ring: StreamBuffer[int] = StreamBuffer(capacity, **options)
    begin = perf_counter()
    for n in range(ITEMS // 2):
        step(ring, n)
    return (perf_counter() - begin) / (ITEMS // 2) * 1e9


def push_pop(ring: StreamBuffer[int], n: int) -> None:
    ring.push(n)
    ring.pop()


def push_pop_at_half(ring: StreamBuffer[int], n: int) -> None:
    """Push and pop in a ring that is half full, so that head and tail go round it."""
    if n == 0:
        ring.push_many(range(ring.capacity // 2))
    push_pop(ring, n)


def wake_ups(count: int) -> list[float]:
    """Nanoseconds from a push to the return of the pop that was blocked, ``count`` times."""
    delays = []
    ring: StreamBuffer[float] = StreamBuffer(1)
    back: StreamBuffer[float] = StreamBuffer(1)

    def consume() -> None:
        while (pushed := ring.pop()) is not None:
            back.push(perf_counter() - pushed)

    thread = threading.Thread(target=consume)
    thread.start()
    idle = threading.Event()
    for _ in range(count):
        idle.wait(0.001)  # the consumer is asleep again by then
        ring.push(perf_counter())
        delay = back.pop()
        assert delay is not None
        delays.append(delay * 1e9)
    ring.close()
    thread.join()
    return delays


def contenders() -> dict[str, Callable[[], float]]:
    sized = {"size_of": int.bit_length, "max_bytes": 1 << 40}
    runs: dict[str, Callable[[], float]] = {
        "queue.Queue(100)": lambda: stdlib_queue(100),
        "deque + Conditions (100)": lambda: deque_and_conditions(100),
        "ring(100) push": lambda: ring_push(100),
        "ring(100) push_many": lambda: ring_push_many(100),
        "ring(100) push, sized": lambda: ring_push(100, **sized),
        "ring(100) push_many, sized": lambda: ring_push_many(100, **sized),
        "push + pop, one thread": lambda: alone(push_pop),
        "overwrite a full ring": lambda: alone(StreamBuffer.push, overflow="overwrite"),
        "drop at a full ring": lambda: alone(StreamBuffer.push, overflow="drop"),
        "wake-up, median of 200": lambda: statistics.median(wake_ups(200)),
    }
    for capacity in CAPACITIES:
        runs[f"capacity {capacity}: push"] = lambda capacity=capacity: ring_push(capacity)
        runs[f"capacity {capacity}: push_many"] = lambda capacity=capacity: ring_push_many(capacity)
        runs[f"capacity {capacity}: push + pop, one thread"] = lambda capacity=capacity: alone(
            push_pop_at_half, capacity
        )
    return runs


def run(rounds: int = 7) -> dict[str, Any]:
    """Every contender in turn, ``rounds`` times over; medians, extremes and ratios."""
    runs = contenders()
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, measure in runs.items():
            samples[name].append(measure())
    medians = {name: statistics.median(values) for name, values in samples.items()}
    ratios = [
        sorted(q / r for q, r in zip(samples["queue.Queue(100)"], samples[name], strict=True))
        for name in ("ring(100) push", "ring(100) push_many")
    ]
    return {
        "name": "ring",
        "unit": "ns per item",
        "machine": platform.platform(),
        "python": platform.python_version(),
        "rounds": rounds,
        "median": medians,
        "min": {name: min(values) for name, values in samples.items()},
        "max": {name: max(values) for name, values in samples.items()},
        "times_faster_than_queue": {
            "push": statistics.median(ratios[0]),
            "push_many": statistics.median(ratios[1]),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of a hand-off between two threads")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    figures = run(options.rounds)
    print(f"{figures['python']} on {figures['machine']}, {figures['rounds']} rounds, ns per item")
    for name, median in figures["median"].items():
        low, high = figures["min"][name], figures["max"][name]
        print(f"  {name:40} {median:8.0f}   ({low:.0f} .. {high:.0f})")
    for name, ratio in figures["times_faster_than_queue"].items():
        print(f"  {name}: {ratio:.1f} x faster than queue.Queue(100)")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
