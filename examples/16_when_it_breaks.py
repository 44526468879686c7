"""
An answer that breaks in the middle, twice, and is carried on.

Look at: each seam says where it is, how the two texts were joined, and what had broken; when
nothing helps, the error has all that came.

This example plays its own breaks, so it never asks a real model.
"""

from streamkit import RecoveryFailed, stream
from streamkit.testing import Cut, LocalProvider, Reset, Text

STORY = "Once a river ran straight. Then a stone fell in, and the water had to choose a side. "
END = "It chose both, and that is how the first meander began."
BROKEN_TWICE = [
    [Text(STORY[:40]), Reset()],  # the connection is reset
    [Text(STORY[15:70]), Cut()],  # the model repeats 25 characters; then a proxy gives up
    [Text(STORY[70:] + END)],
]


def main() -> None:
    with LocalProvider(scripts=BROKEN_TWICE) as server:
        url = server.base_url()
        answer = stream("demo", "Why?", base_url=url, recovery=True, retry={"initial": 0.01})
        for text in answer:
            print(text, end="", flush=True)
        print("\n")
        for seam in answer.result().recoveries:
            print(f"request {seam.attempt} went on at character {seam.at}, {seam.how}", end="")
            print(f" ({seam.trimmed} characters left out), after {(seam.error or '')[:40]}")

    with LocalProvider([Text("It will never be fin"), Reset()]) as server:
        url = server.base_url()
        answer = stream(
            "demo", "Why?", base_url=url, recovery={"max_retries": 2}, retry={"initial": 0.01}
        )
        try:
            answer.result()
        except RecoveryFailed as error:
            print(f"\ngiven up after {len(error.attempts)} requests: {error}")
            print(f"what came is kept: {answer.partial.text!r}")


if __name__ == "__main__":
    main()
