"""
Let the answer come in the background while your program does something else.

Look at: the callbacks run in a thread of the stream's own, the main thread goes on working, and
`wait()` gives the result, or raises what ended the stream.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from time import sleep

from streamkit import Result, stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text("Grind, wet, wait thirty seconds, then pour slowly in circles.", every=0.08)


def main(model: str, base_url: str | None = None) -> None:
    pieces: list[str] = []

    def ended(result: Result) -> None:
        print(f"callback: the answer ended, {result.outcome}")

    answer = stream(model, "How do I brew coffee by hand?", base_url=base_url)
    answer.on_text(pieces.append).on_end(ended).start()

    while not answer.done:
        print(f"main thread: working; {len(pieces):2} pieces have come so far")
        sleep(0.2)

    result = answer.wait(timeout=30)
    print("\n" + result.text)


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
