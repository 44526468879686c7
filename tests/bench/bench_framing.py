"""
How long a delta takes from the server's send to the loop body, for every way a body can be framed.

A reader that asks for more bytes than one event has, or a decoder that keeps some back, shows here:
such a delta waits for the next one, which is twice the budget away. Each delta holds the instant
at which it was sent. The streams of one mode run side by side, each in a thread.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bench_latency import streamed
from harness import MODES, Row, Server, quantile, spread

MOST = 20.0
RATE = 25  # one in 40 ms
FRAMINGS = {
    "chunked": "chunked",
    "length": "Content-Length",
    "close": "close-delimited",
    "gzip": "gzip, flushed",
}


def delays(url: str, mode: Any, count: int) -> list[float]:
    """Milliseconds; without the first few, which pay for the connection and for cold code."""
    got = [(received - sent) / 1e6 for sent, received in streamed(url, mode)]
    assert len(got) == count, f"{count} deltas were sent, {len(got)} came"
    return got[5:]


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    count = 45 if quick else 205
    taken: dict[str, dict[str, list[float]]] = {framing: {} for framing in FRAMINGS}
    with Server() as server, ThreadPoolExecutor(len(FRAMINGS)) as threads:
        for mode in MODES:
            urls = [
                server.url("paced", count=count, rate=RATE, framing=framing) for framing in FRAMINGS
            ]
            results = threads.map(partial(delays, mode=mode, count=count), urls)
            for of_mode, values in zip(taken.values(), results, strict=True):
                of_mode[mode] = values
    return [
        Row(
            name=f"framing/{framing}",
            what=f"send to loop body, P99, slowest mode: {FRAMINGS[framing]}",
            value=max(quantile(values, 0.99) for values in of_mode.values()),
            unit="ms",
            most=MOST,
            detail={mode: spread(values) for mode, values in of_mode.items()},
        )
        for framing, of_mode in taken.items()
    ]
