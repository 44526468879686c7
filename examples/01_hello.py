"""
Print an answer while it is being written.

Look at: the words appear one by one. `flush=True` is what makes them appear at once.

A small server inside this process answers. For a real model: set OPENAI_API_KEY and
STREAMKIT_LIVE=1, and STREAMKIT_MODEL=provider/model for another one.
"""

import os

from streamkit import stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text("A river swings because the outside of each bend runs faster and digs.", every=0.05)


def main(model: str, base_url: str | None = None) -> None:
    for text in stream(model, "Why do rivers meander?", base_url=base_url):
        print(text, end="", flush=True)
    print()


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
