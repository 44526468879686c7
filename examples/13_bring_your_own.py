"""
Everything streamkit does, for answers that come from somewhere else.

Look at: `wrap` takes any iterable, such as the stream of an SDK or of a local model; `channel`
turns a library that calls you back into a loop; `merge` reads several at once, as they come.

This example needs no provider at all.
"""

from collections.abc import Callable

from streamkit import channel, merge, wrap


def library(prompt: str, streaming_callback: Callable[[str], object]) -> None:
    """Stands for somebody's pipeline that only knows callbacks."""
    for word in prompt.split():
        streaming_callback(word.upper() + " ")


def main() -> None:
    print("wrap:", list(wrap(["Any iter", "able. Yes", ", any."], units="sentence")))

    shouted = channel(lambda ch: library("a callback becomes a loop", streaming_callback=ch.put))
    print("channel:", "".join(shouted))

    both = {"tortoise": "", "hare": ""}
    for who, chunk in merge(tortoise=wrap(["slow ", "and ", "steady"]), hare=wrap(["zzz"])):
        both[who] += chunk.content
    print("merge:", both)


if __name__ == "__main__":
    main()
