"""
Get whole sentences, words or lines instead of whatever pieces the network brings.

Look at: the model's tokens are cut anywhere, each line below is one sentence. `Dr.`, `3.5` and the
closing quotation mark end none. Joined, the sentences are the answer, to the last blank.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os

from streamkit import new_buffer, stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text(
    'Dr. Ada Lovelace wrote notes 3.5 times as long as the paper. "The engine weaves patterns!" '
    "Nobody built it... Was she early? By a century."
)


def main(model: str, base_url: str | None = None) -> None:
    question = "Who was Ada Lovelace?"
    for number, sentence in enumerate(stream(model, question, units="sentence", base_url=base_url)):
        print(number + 1, repr(sentence))

    print("\nThe same without a stream, word by word:")
    words = new_buffer("word")
    for piece in ("Any", "where the", " pieces", " are cut"):
        print(f"{piece!r:>12} -> {words.feed(piece)}")
    print(f"{'the end':>12} -> {words.flush()}")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
