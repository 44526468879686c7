"""
Keep an answer with its pauses and its faults, and have it again whenever you need it.

Look at: the connection breaks after the second sentence. The replay breaks in the same place, with
the same error, ten times faster and without a provider: a bug report that runs, or a test. The file
holds what the service sent, never the key or the prompt.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from streamkit import Stream, StreamkitError, replay, stream
from streamkit.testing import LocalProvider, Pause, Reset, Text

ANSWER = [Text("It began well. "), Pause(0.5), Text("Then came a pause."), Reset()]


def show(title: str, answer: Stream) -> None:
    print(f"{title}:")
    started = monotonic()
    try:
        for text in answer:
            print(text, end="", flush=True)
    except StreamkitError as error:
        print(f" [{type(error).__name__}]", end="")
    print(f"\n({answer.outcome} after {monotonic() - started:.2f} s)\n")


def main(model: str, base_url: str | None = None) -> None:
    with TemporaryDirectory() as folder:
        tape = Path(folder) / "answer.jsonl"
        show("live", stream(model, "Tell me a story.", base_url=base_url, record=tape))
        show("replay", replay(tape))
        show("ten times faster", replay(tape, speed=10))


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider(ANSWER) as server:
            main("demo", base_url=server.base_url())
