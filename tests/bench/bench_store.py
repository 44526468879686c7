"""
Stores: what an append costs, and how soon a reader has it.

    python tests/bench/bench_store.py PATH   is the reader in another process
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness import ROOT, Row, spread

from streamkit.store import MemoryStore, SqliteStore

#: One token of an answer, as publish() writes it.
TOKEN = {"kind": "text", "text": " token"}
ID = "answer"


@contextmanager
def opened(scheme: str) -> Iterator[Any]:
    """An empty store, and for SQLite a file that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        store = MemoryStore() if scheme == "memory" else SqliteStore(f"{folder}/store.db")
        try:
            yield store
        finally:
            store.close()


def appends(scheme: str, size: int, count: int) -> float:
    """Entries per second, in batches of ``size``, by one writer."""
    with opened(scheme) as store:
        writer = store.claim(ID, lease=60)
        batch = [TOKEN] * size
        begin = perf_counter()
        for _ in range(count // size):
            writer.append(batch)
        return count / (perf_counter() - begin)


def replay(scheme: str, count: int) -> float:
    """Entries per second that one reader gets of a stream that has ended."""
    with opened(scheme) as store:
        writer = store.claim(ID, lease=60)
        for _ in range(count // 100):
            writer.append([TOKEN] * 100)
        writer.end({})
        begin = perf_counter()
        read = sum(1 for _ in store.read(ID))
        assert read == count + 1
        return read / (perf_counter() - begin)


def delays(store: Any, started: Callable[[], None]) -> list[float]:
    """Milliseconds from each append to its reader."""
    found = []
    started()
    for entry in store.read(ID):
        if "sent" in entry.data:
            found.append((monotonic() - entry.data["sent"]) * 1000)
    return found


def send(writer: Any, count: int) -> None:
    for _ in range(count):
        sleep(0.007)  # out of step with the reader's poll
        writer.append([{"sent": monotonic()}])
    writer.end({})


def delay_in_process(scheme: str, count: int) -> list[float]:
    with opened(scheme) as store:
        writer = store.claim(ID, lease=60)
        found: list[float] = []
        started = threading.Event()
        thread = threading.Thread(target=lambda: found.extend(delays(store, started.set)))
        thread.start()
        started.wait()
        send(writer, count)
        thread.join()
        return found


def delay_between_processes(count: int) -> list[float]:
    with opened("sqlite") as store:
        writer = store.claim(ID, lease=60)
        child = subprocess.Popen(
            [sys.executable, __file__, store.path],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        send(writer, count)
        found: list[float] = json.loads(child.communicate(timeout=60)[0])
        return found


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    rounds, count = (3, 2_000) if quick else (7, 10_000)
    rows = []
    for scheme, least in (("memory", 10_000.0), ("sqlite", 2_000.0)):
        for size, factor in ((1, 1), (20, 5)):
            rates = [appends(scheme, size, count) for _ in range(rounds)]
            rows.append(
                Row(
                    name=f"store/{scheme}/append by {size}",
                    what=f"entries that one writer appends, batches of {size}",
                    value=statistics.median(rates),
                    unit="/s",
                    least=least * factor,
                )
            )
        rows.append(
            Row(
                name=f"store/{scheme}/replay",
                what="entries that one reader gets of a stream that has ended",
                value=statistics.median(replay(scheme, count) for _ in range(rounds)),
                unit="/s",
                least=20_000.0,
            )
        )
        found = delay_in_process(scheme, count // 20)
        rows.append(_delay(f"store/{scheme}/delay", "same process", found, 10.0))
    found = delay_between_processes(count // 20)
    return [*rows, _delay("store/sqlite/delay between", "other process", found, 40.0)]


def _delay(name: str, where: str, found: list[float], most: float) -> Row:
    return Row(
        name=name,
        what=f"append to reader in the {where}, P99",
        value=spread(found)["p99"],
        unit="ms",
        most=most,
        detail=spread(found),
    )


if __name__ == "__main__":
    reading = SqliteStore(sys.argv[1])
    print(json.dumps(delays(reading, lambda: print("ready", flush=True))))
    reading.close()
