"""
One process asks, others read along, come back after a break, and see the same end.

Look at: the publisher writes into a store; one follower reads along, another comes later and begins
where its browser left off; what breaks is found in the store and carried on.

This example plays its own provider, so it never asks a real model.
"""

import tempfile
from pathlib import Path

from streamkit import StreamInterrupted, StreamRecovery, follow, stream
from streamkit.testing import Gate, LocalProvider, Reset, Text

BEGIN, END = "The first half is here, ", "and so is the second."


def main(store: str) -> None:
    with LocalProvider([Text(BEGIN), Gate(), Text(END)]) as server:
        answer = stream("demo", "Tell me", base_url=server.base_url())
        answer.publish(store, "answer")
        live = follow(store, "answer").on_text(lambda text: print(text, end="|")).start()
        server.release()
        answer.wait()
        live.wait()
        print("\nfrom entry 4 on:", "".join(follow(store, "answer", after=3)))

    with LocalProvider(scripts=[[Text(BEGIN), Reset()], [Text(END)]]) as server:
        url = server.base_url()
        broken = stream("demo", "Tell me", base_url=url)
        try:
            broken.publish(store, "broken").wait()
        except StreamInterrupted:
            print("broken: the connection was reset")
        recovery = StreamRecovery(store)
        for info in recovery.recoverable():
            print(f"kept as {info.id!r}: {recovery.partial(info.id).text!r}")
            print("the rest:", repr("".join(recovery.resume(info.id, base_url=url))))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(f"sqlite:///{Path(folder) / 'streams.db'}")
