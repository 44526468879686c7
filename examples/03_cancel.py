"""
Stop an answer from another thread: a stop button, a deadline, a signal handler.

Look at: the loop ends by itself, without an exception; what had arrived is kept; and the server
sees the connection close, so it need not go on to a thousand.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from threading import Timer
from time import monotonic

from streamkit import stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text(" ".join(str(number) for number in range(1, 1001)), every=0.05)


def main(model: str, base_url: str | None = None) -> None:
    answer = stream(model, "Count to a thousand.", base_url=base_url)
    stop_button = Timer(1.0, answer.cancel)
    stop_button.start()

    started = monotonic()
    for text in answer:
        print(text, end="", flush=True)
    print(f"\n\nstopped after {monotonic() - started:.2f} s")

    result = answer.result()
    print("outcome:", result.outcome)
    print("kept:   ", len(result.text.split()), "numbers")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
            if server.wait_disconnect():
                print("server:  the connection was closed")
