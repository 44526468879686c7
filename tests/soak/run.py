"""
The chaos soak: many streams at once against a faulty server, and a proof for each of them.

    python tests/soak/run.py [--seconds 60 | --hour] [--seed N] [--streams 32] [--only NUMBER]

A server in a process of its own plays answers with faults made from the seed; the streams here
differ in dialect, mode, overflow policy, consumer and options, by the same seed. For every stream
checker.py proves from its history that nothing was lost, doubled, reordered or invented, that it
ended once and rightly, and that its numbers add up. Over the whole run no thread, descriptor or
memory may be left, every connection must be closed, and nothing may be said on stderr.

The run goes in rounds of a few seconds. Between two of them nothing runs: there the server tells
what it saw, and everything is counted. A stream that broke a rule is printed with its seed and
number; ``--only`` plays that one again, alone. The exit code is 1 if any rule was broken.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic
from typing import IO, Any

if __name__ == "__main__":  # this tree, not an installed one
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from checker import History, violations
from consumers import PATIENCE, drive
from forecast import Seen
from scenario import Scenario, scenario
from watch import Census, Noise, leaks, peak_rss, settled_census, take_census

import streamkit

__all__ = ["Soak", "main"]

HERE = Path(__file__).resolve().parent
#: Seconds of a round. Chosen: long enough that waiting for its last streams costs little.
ROUND = 5.0
#: Histories wait for the server's word until the end of their round; so many at most.
MOST_IN_ROUND = 2000
#: So many broken streams are printed; the others are counted.
MOST_SHOWN = 20


class FaultyServer:
    """
    ``faulty.py`` in a process of its own; end it with ``with``.

    Thread safety: **confined**.
    """

    def __init__(self, seed: int) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "faulty.py"), str(seed)],
            stdin=subprocess.PIPE,  # its end is what ends the server, should we be killed
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.port = int(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server has ended: {self.said()}")
        return line

    def report(self) -> dict[str, Any]:
        """What it saw since the last time; from here on it has another port."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        report: dict[str, Any] = json.loads(self._read())
        self.port = report["port"]
        return report

    def said(self) -> str:
        """Its stderr."""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip()

    def __enter__(self) -> FaultyServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._errors.close()

    def base_url(self, dialect: str) -> str:
        """Where a client of that dialect sends to."""
        path = "/v1" if dialect in ("openai", "responses") else ""
        return f"http://127.0.0.1:{self.port}{path}"


@dataclass
class Soak:
    """
    One run.

    Thread safety: **confined**; its workers only take numbers and leave histories.

    Args:
        seed: Of everything.
        at_once: Streams at the same time.
        played: The seed of the server, where it is to differ: then nothing fits, as a test of us.
    """

    seed: int
    at_once: int = 32
    played: int | None = None
    broken: list[str] = field(default_factory=list)
    streams: int = 0
    totals: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    rounds: list[Census] = field(default_factory=list)

    def run(self, seconds: float, only: Sequence[int] = ()) -> bool:
        """Go on for so long, or through those numbers; whether every rule held."""
        numbers: Iterator[int] = iter(only) if only else count()
        played = self.seed if self.played is None else self.played
        with Noise() as noise, FaultyServer(played) as server:
            self.rounds.append(take_census(0))
            until = monotonic() + seconds
            going = True
            while going:
                # Chosen streams are all run, however long that takes.
                end = monotonic() + PATIENCE if only else min(until, monotonic() + ROUND)
                self._round(server, numbers, end, len(only) or MOST_IN_ROUND)
                self.rounds.append(settled_census(self.streams, self.rounds[0]))
                going = not only and monotonic() < until
            self.broken += noise.heard[:MOST_SHOWN]
            self.broken += leaks(self.rounds)
            if noise.dropped > self.totals["dropped while they ran"]:
                self.broken.append(f"{noise.dropped} streams warned that they were not closed")
            if said := server.said():
                self.broken.append(f"the server said: {said[-2000:]}")
        return not self.broken

    def _round(self, server: FaultyServer, numbers: Iterator[int], end: float, most: int) -> None:
        done: dict[int, History] = {}
        lock = threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    if monotonic() >= end or len(done) >= most:
                        return
                    if (number := next(numbers, None)) is None:
                        return
                    done[number] = History()
                plan = scenario(self.seed, number)
                try:
                    done[number] = drive(plan, server.base_url(plan.dialect))
                except Exception as error:
                    self.broken.append(f"stream {number} could not be run: {error!r}")

        threads = [threading.Thread(target=work, daemon=True) for _ in range(self.at_once)]
        for thread in threads:
            thread.start()
        _join(threads, end + 2 * PATIENCE)
        streamkit.close()
        self._judge(server.report(), done)

    def _judge(self, report: dict[str, Any], done: dict[int, History]) -> None:
        seen: dict[int, list[Seen]] = {number: [] for number in done}
        for number, reused, sent in report["seen"]:
            seen[number].append(Seen(number, reused, sent))
        if not report["gone"]:
            streams = ", ".join(map(str, report["left"]))
            self.broken.append(f"connections were open at the end of a round, of streams {streams}")
        self.totals["connections"] += report["connections"]
        for number, history in done.items():
            plan = scenario(self.seed, number)
            self._count(plan, history, seen[number])
            if wrong := violations(plan, history, seen[number]):
                self.broken.append(_shown(plan, history, wrong))

    def _count(self, plan: Scenario, history: History, seen: Sequence[Seen]) -> None:
        self.streams += 1
        last = len(plan.tries) - 1
        self.faults.update(plan.tries[min(n, last)].fault for n in range(len(seen)))
        self.totals["requests"] += len(seen)
        self.totals["dropped while they ran"] += plan.consumer == "drop" and history.left
        if history.result is None or history.result.metrics is None:
            return
        metrics = history.result.metrics
        self.outcomes[str(history.result.outcome)] += 1
        for name in ("retries", "chunks_received", "chunks_dropped", "chunks_merged"):
            self.totals[name] += getattr(metrics, name)

    def report(self) -> str:
        """The figures of the run, and what went wrong."""
        first, last = self.rounds[0], self.rounds[-1]
        middle = self.rounds[len(self.rounds) // 2]
        lines = [*self.broken[:MOST_SHOWN]]
        if len(self.broken) > MOST_SHOWN:
            lines.append(f"... and {len(self.broken) - MOST_SHOWN} more")
        lines += [
            f"streams      {self.streams}, {self.at_once} at once",
            f"requests     {self.totals['requests']} over {self.totals['connections']} connections",
            f"deltas       {self.totals['chunks_received']} received, "
            f"{self.totals['chunks_dropped']} dropped, {self.totals['chunks_merged']} merged",
            f"retries      {self.totals['retries']}",
            f"outcomes     {_listed(self.outcomes)}",
            f"faults       {_listed(self.faults)}",
            f"memory       peak {peak_rss() / 1e6:.1f} MB; at rest {first.rss / 1e6:.1f} before, "
            f"{middle.rss / 1e6:.1f} halfway, {last.rss / 1e6:.1f} after",
            f"blocks       {first.blocks} before, {middle.blocks} halfway, {last.blocks} after",
            f"threads      {first.threads} before, {last.threads} after",
            f"descriptors  {first.fds} before, {last.fds} after",
            f"seed         {self.seed}",
            f"violations   {len(self.broken)}",
        ]
        return "\n".join(lines)


def _join(threads: Sequence[threading.Thread], until: float) -> None:
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    if any(thread.is_alive() for thread in threads):
        faulthandler.dump_traceback(all_threads=True)
        raise SystemExit("a stream hangs: see above where")


def _shown(plan: Scenario, history: History, wrong: Sequence[str]) -> str:
    told = {
        name: value
        for name, value in vars(plan).items()
        if value not in (None, False, 0.0) and name not in ("seed", "number", "tries")
    }
    lines = [f"stream {plan.number} of seed {plan.seed}: {' '.join(plan.faults)} {told}"]
    lines += [f"    {one}" for one in wrong]
    lines.append(f"    again: run.py --seed {plan.seed} --only {plan.number}")
    return "\n".join(lines)


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counter.most_common())


def main(argv: Sequence[str] | None = None) -> int:
    """What the command does; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (60)")
    parser.add_argument("--hour", action="store_true", help="an hour")
    parser.add_argument("--seed", type=int, help="of everything (random, and printed)")
    parser.add_argument("--streams", type=int, default=32, help="how many at once (32)")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="these streams alone")
    given = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(1 << 32) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    soak = Soak(seed, given.streams)
    fine = soak.run(3600.0 if given.hour else given.seconds, given.only or ())
    print(soak.report())
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
