"""
The soak's server: a LocalProvider in a process of its own, whose scripts are made from the seed.

    python tests/soak/faulty.py SEED

Speaks in lines. It prints its port; at each line on standard input it says as JSON what it saw
since the last one, and opens a new port, so that its memory does not grow with the run. It ends
with its standard input, however the client ends.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from threading import Lock
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scenario import scenario

from streamkit.testing import LocalProvider, RecordedRequest, Step

__all__ = ["main"]

PROMPT = re.compile(rb"soak-(\d+)-")
#: Seconds within which every client connection must be gone after the last stream.
PATIENCE = 5.0


class Round:
    """
    The requests of one port.

    Thread safety: **shared**.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lock = Lock()
        self._asked: dict[int, int] = {}  # guarded by _lock
        self._numbers: dict[int, int] = {}  # request number -> stream; guarded by _lock
        self.provider = LocalProvider(self._answer)

    def _answer(self, request: RecordedRequest) -> tuple[Step, ...]:
        found = PROMPT.search(request.body)
        assert found is not None, "a request of no stream of ours"
        number = int(found[1])
        with self._lock:
            turn = self._asked.get(number, 0)
            self._asked[number] = turn + 1
            self._numbers[request.number] = number
        tries = scenario(self._seed, number).tries
        return tries[min(turn, len(tries) - 1)].steps

    def close(self) -> dict[str, Any]:
        """End it; what was seen: (stream, over a used connection, bytes) per request."""
        gone = self.provider.wait_idle(PATIENCE)
        peers = [] if gone else [*self.provider._journal.peers]
        left = [self._numbers.get(peer._seen[-1].number) for peer in peers if peer._seen]
        served: set[int] = set()
        seen = []
        for request in self.provider.requests:
            reused = request.connection in served
            served.add(request.connection)
            seen.append((self._numbers[request.number], reused, request.sent))
        accepted = self.provider.connections
        self.provider.close()
        return {"seen": seen, "gone": gone, "left": left, "connections": accepted}


def main(seed: int) -> None:
    """Serve round after round; see the top of the file."""
    round = Round(seed)
    print(round.provider.port, flush=True)
    for _ in sys.stdin:
        report = round.close()
        round = Round(seed)
        print(json.dumps({**report, "port": round.provider.port}), flush=True)
    round.provider.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
