"""
Ask the same question in the three modes.

Look at: the text is the same. `direct` reads in your own thread, at the least cost; `buffered`, the
default, reads ahead in a second one while your loop is busy; `managed` adds flow control.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os

from streamkit import Stream, stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text("Rain falls, rivers run, seas rise into clouds, and rain falls. " * 40)
QUESTION = "Tell me about water, in forty lines."


def row(mode: str, answer: Stream) -> str:
    metrics = answer.metrics
    return (
        f"{mode:<10}{metrics.chunks_received:>7}{metrics.bytes_received:>9}"
        f"{metrics.time_to_first_chunk:>12.4f} s{metrics.duration_ms / 1000:>12.4f} s"
        f"   {answer.outcome}"
    )


def main(model: str, base_url: str | None = None) -> None:
    texts = set()
    print("mode       chunks    bytes    first text  whole answer   outcome")
    for mode in ("direct", "buffered", "managed"):
        answer = stream(model, QUESTION, mode=mode, base_url=base_url)
        texts.add("".join(answer))
        print(row(mode, answer))

    print("\nThe texts are", "the same." if len(texts) == 1 else "not the same: models vary.")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
