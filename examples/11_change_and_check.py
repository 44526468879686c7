"""
Change an answer on its way, check it, and stop it when you have seen enough.

Look at: the asterisks are gone, "whatever" holds no "hate", and the stream ended before
"Sincerely": the connection was closed there, so the rest was never paid for.

STREAMKIT_LIVE=1 asks a real model (see 01_hello.py).
"""

import os
from dataclasses import replace

from streamkit import Chunk, StopConfig, content_moderation, stream
from streamkit.testing import LocalProvider, Text

ANSWER = Text(
    "Dear **customer**, whatever you order comes **today**.\nSincerely, the shop\n" + "P.S. " * 100
)


def plain(chunk: Chunk) -> Chunk:
    return replace(chunk, content=chunk.content.replace("*", ""))


def main(model: str, base_url: str | None = None) -> None:
    answer = stream(
        model,
        "Write to a customer.",
        transform=plain,
        validate=content_moderation(["hate"]),
        stop_when=StopConfig(strings=["Sincerely"], max_chars=2000),
        base_url=base_url,
    )
    for text in answer:
        print(text, end="", flush=True)
    print(f"\noutcome: {answer.outcome}, {len(answer.partial.text)} characters kept")


if __name__ == "__main__":
    if os.environ.get("STREAMKIT_LIVE") == "1":
        main(os.environ.get("STREAMKIT_MODEL", "openai/gpt-4o-mini"))
    else:
        with LocalProvider([ANSWER]) as server:
            main("demo", base_url=server.base_url())
