"""
Show how far an answer has come: on a bar of tqdm or rich if there is one, else as plain lines.

Look at: the estimate is `max_tokens`; an answer that ends earlier still ends at its own 100 %.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py). Run it in a terminal, with
`pip install tqdm` or `pip install rich`, to see bars.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamkit import Progress, rich_progress, stream, throttled, tqdm_progress
from streamkit.testing import LocalProvider, Text

ANSWER = Text("A heron stands. " * 12, every=0.06)


def plain(at: Progress) -> None:
    print(f"{at.tokens_received:3} tokens, {at.rate or 0:5.1f} a second")


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """A callback for on_progress, and its bar while it is needed."""
    try:
        from rich.progress import Progress as Bars

        with Bars() as bars:
            yield rich_progress(bars, bars.add_task("answer", total=None))
        return
    except ImportError:
        pass
    try:
        from tqdm import tqdm

        with tqdm(unit="token", file=sys.stdout) as bar:
            yield tqdm_progress(bar)
    except ImportError:
        with throttled(plain, interval=0.25) as callback:
            yield callback


def main(model: str, base_url: str | None = None) -> None:
    with shown() as progress:
        answer = stream(model, "Tell me of herons.", max_tokens=50, base_url=base_url)
        result = answer.on_progress(progress).result()
    print(result.text.strip())


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
