"""
Write to something slow, in batches, and lose nothing.

Look at: the answer comes much faster than it is written. The buffer of 20 fills, so reading pauses,
and TCP holds the rest back: every batch is full, memory stays small, nothing is dropped.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from time import sleep

from streamkit import stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text(" ".join(str(number) for number in range(1, 101)))


def slow_write(text: str) -> None:
    """A database, a serial port, a speech engine."""
    sleep(0.1)
    print("wrote", text.strip())


def main(model: str, base_url: str | None = None) -> None:
    answer = stream(model, "Count to a hundred.", mode="managed", buffer=20, base_url=base_url)
    for batch in answer.batches(10, max_wait=0.05):
        text = "".join(chunk.content for chunk in batch if chunk.kind == "text")
        if text:
            slow_write(text)

    metrics = answer.metrics
    print(f"\n{metrics.chunks_received} received, {metrics.chunks_delivered} delivered,", end=" ")
    print(f"{metrics.chunks_dropped} dropped, in {metrics.duration_ms / 1000:.2f} s")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
