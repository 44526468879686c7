"""
Batches and pace: how old a token gets in a batch, and what a limiter costs and keeps.

Each delta holds the instant at which the server sent it. Its age is how long after that the batch
with it is handed to ``on_batch``; the first of each batch is the oldest. What the network and the
threads add is in it. A slow handler is judged by how often it is called and how far it falls
behind. Where nothing has to wait, a limiter costs the lock and the clock.
"""

from __future__ import annotations

import statistics
from functools import partial
from time import monotonic, monotonic_ns, perf_counter, sleep

from harness import Row, Server, interleave, quantile, spread

import streamkit
from streamkit.chunk import Chunk
from streamkit.flow.batch import Batch, BatchConfig
from streamkit.flow.controller import FlowController
from streamkit.flow.limiter import BurstRateLimiter, RateLimiter

RATE = 50
TURNS = 20_000


def ages(url: str) -> list[float]:
    """Of the oldest token of each batch, in ms, without the first few, which pay for cold code."""
    found: list[float] = []

    def look(batch: list[Chunk]) -> None:
        found.append((monotonic_ns() - int(batch[0].content)) / 1e6)

    stream = streamkit.stream("openai/m", "Hi", base_url=url, api_key="k" * 20, mode="managed")
    stream.on_batch(look).wait(60)
    return found[3:]


def age(quick: bool) -> Row:
    """The age of the oldest, with the default options."""
    rounds, count = (2, 60) if quick else (4, 150)
    timeout = (BatchConfig().timeout or 0.0) * 1000
    found: list[float] = []
    with Server() as server:
        url = server.url("paced", count=count, rate=RATE)
        for _ in range(rounds):
            found += ages(url)
    return Row(
        name="batch/age/p99",
        what=f"age of a batch at {RATE} tokens/s, managed, timeout {timeout:g} ms",
        value=quantile(found, 0.99),
        unit="ms",
        most=timeout + 5,
        detail={"ms": spread(found), "batches": len(found)},
    )


def slow_handler(seconds: float) -> list[Row]:
    """500 items a second for a handler of 50 ms, which by itself would manage 20."""
    rate, busy = 500, 0.05
    calls: list[float] = []
    lags: list[float] = []

    def handle(batch: Batch[float]) -> None:
        calls.append(monotonic())
        lags.append((calls[-1] - batch[0]) * 1000)
        sleep(busy)

    pace = RateLimiter(rate)
    with FlowController(handle, batch=BatchConfig(max_size=50)) as flow:
        for _ in pace.limit(range(round(rate * seconds))):
            flow.push(monotonic())
    most = max(sum(at <= call < at + 1 for call in calls) for at in calls)
    what = f"handler of 50 ms, {rate} items/s, max_size 50"
    return [
        Row(name="batch/slow/calls", what=f"{what}: calls in any second", value=most,
            unit="", most=20),
        # Twice the handler's time, and what timers and threads add.
        Row(name="batch/slow/lag/p99", what=f"{what}: age", value=quantile(lags, 0.99),
            unit="ms", most=2 * busy * 1000 + 5, detail={"ms": spread(lags)}),
    ]  # fmt: skip


def per_wait(limiter: RateLimiter) -> float:
    """Microseconds of a wait that does not have to."""
    start = perf_counter()
    for _ in range(TURNS):
        limiter.wait()
    return (perf_counter() - start) / TURNS * 1e6


def overhead(rounds: int) -> list[Row]:
    """The cost of each way through wait()."""
    runs = {
        "unlimited": partial(per_wait, RateLimiter(0)),
        "limited": partial(per_wait, BurstRateLimiter(1e9, 1e9)),
    }
    samples = interleave(runs, rounds)
    return [
        Row(
            name=f"limiter/{name}",
            what=f"wait() of a limiter that lets through at once, {name}",
            value=statistics.median(values),
            unit="us",
            most=2.0,  # chosen: a tenth of what a token costs all in all
            detail={"us": spread(values)},
        )
        for name, values in samples.items()
    ]


def kept(seconds: float) -> Row:
    """The rate that came of one that was asked for, by the real clock."""
    asked = 200
    limiter = RateLimiter(asked)
    start = monotonic()
    for _ in limiter.limit(range(round(asked * seconds) + 1)):
        pass
    return Row(
        name="limiter/rate",
        what=f"rate kept over rate asked, {asked} a second for {seconds:g} s",
        value=seconds / (monotonic() - start),
        unit="x",
        least=0.98,
        most=1.02,
    )


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    seconds = 2 if quick else 10
    return [age(quick), *slow_handler(seconds), *overhead(5 if quick else 11), kept(seconds)]
