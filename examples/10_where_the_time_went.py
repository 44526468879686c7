"""
Numbers while an answer comes, and where its time went in the end.

Look at: the five parts add up to the whole. Here the loop is the slow one; with a real model it is
the provider, and `time_to_first_chunk` is what people feel.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from time import sleep

from streamkit import Metrics, MetricsConfig, stream
from streamkit.testing import LocalProvider, Pause, Text

ANSWER = (Pause(0.3), Text("One two three four five six seven eight nine ten. " * 4, every=0.01))


def report(at: Metrics) -> None:
    print(f"{at.duration_ms:6.0f} ms {at.chunks_received:4} chunks, {at.buffer_size} in the buffer")


def main(model: str, base_url: str | None = None) -> None:
    every = MetricsConfig(interval=0.25)
    answer = stream(model, "Count.", metrics=every, base_url=base_url, on_metrics=report)
    for _ in answer:
        sleep(0.02)
        answer.count("loop turns")

    metrics = answer.metrics
    print(f"\nfirst text after {metrics.time_to_first_chunk:.3f} s", dict(metrics.counters))
    spent = metrics.time_spent
    for part in ("connect", "first_token", "provider", "queue", "handler", "total"):
        print(f"{part:>12} {getattr(spent, part):7.3f} s")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider(ANSWER) as server:
            main("demo", base_url=server.base_url())
