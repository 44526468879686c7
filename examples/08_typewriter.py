"""
Show an answer at an even pace, however unevenly the model sends it.

Look at: the model sends three lumps with silences between them; the text appears at thirty pieces a
second. `max_lag` is how many seconds it may trail the model: then it catches up at once.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from time import monotonic

from streamkit import RateConfig, stream
from streamkit.testing import LocalProvider, Pause, Text

LUMP = "Slow rivers carry fine mud, and fast ones carry stones. "
ANSWER = (Text(LUMP), Pause(0.4), Text(LUMP), Pause(0.4), Text(LUMP))


def main(model: str, base_url: str | None = None) -> None:
    start = monotonic()
    pace = RateConfig(30, max_lag=2)
    answer = stream(model, "What do rivers carry? In three lines.", rate=pace, base_url=base_url)
    for text in answer:
        print(text, end="", flush=True)
    metrics = answer.metrics
    print(f"\n\n{metrics.chunks_received} pieces in {monotonic() - start:.1f} s")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider(ANSWER) as server:
            main("demo", base_url=server.base_url())
