"""
What the benchmarks share: rows and budgets, interleaved runs, the server and child processes.

Ratios are taken within a round and then the median over the rounds, so that a busy moment of the
machine, which hits every contender of its round, changes little.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from itertools import count
from pathlib import Path
from time import monotonic, process_time, sleep
from typing import Any

import streamkit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

Samples = dict[str, list[float]]
MODES = ("direct", "buffered", "managed")


@dataclass(frozen=True, kw_only=True)
class Row:
    """
    One line of the table.

    Args:
        name: Unique, the area first: ``cpu/openai/direct``.
        what: What was measured, for a reader who has not read the code.
        value: None where it could not be measured; ``detail`` then says why.
        unit: Of value and budget; ``x`` for ratios.
        most, least: The budget; without either the row only reports.
        detail: Further figures, for the JSON file.
    """

    name: str
    what: str
    value: float | None
    unit: str
    most: float | None = None
    least: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        """Whether the budget was kept; None where there is nothing to judge."""
        if self.value is None or (self.most is None and self.least is None):
            return None
        over = self.most is not None and self.value > self.most
        return not over and (self.least is None or self.value >= self.least)

    @property
    def budget(self) -> str:
        """The budget in words."""
        if self.most is not None and self.least is not None:
            return f"{self.least:g} .. {self.most:g} {self.unit}"
        if self.most is not None:
            return f"<= {self.most:g} {self.unit}"
        return "report" if self.least is None else f">= {self.least:g} {self.unit}"


def interleave(runs: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """Every contender once for warmth, then ``rounds`` times, beginning with another each time."""
    names = list(runs)
    samples: Samples = {name: [] for name in names}
    for number in range(-1, rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            gc.collect()
            value = runs[name]()
            if number >= 0:
                samples[name].append(value)
    return samples


def ratio(samples: Samples, name: str, base: str) -> float:
    """The median over the rounds of one contender over another."""
    pairs = zip(samples[name], samples[base], strict=True)
    return statistics.median(one / other for one, other in pairs)


def quantile(values: Iterable[float], part: float) -> float:
    """The value that ``part`` (0 to 1) of the values do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(part * len(ranked)))]


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Median, P90, P99 and maximum."""
    parts = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(values, part), digits) for name, part in parts.items()}


def cpu_per(work: Callable[[], int]) -> float:
    """Microseconds of CPU, of all threads, per item; ``work`` returns how many there were."""
    start = process_time()
    items = work()
    return (process_time() - start) / items * 1e6


class Server:
    """
    ``server.py`` in a process of its own; end it with ``with``.

    Thread safety: **shared**.

    Args:
        certificate: A PEM file, key included; with it the server speaks TLS too, on the same port.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        given = [] if certificate is None else [str(certificate)]
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "server.py"), *given],
            stdin=subprocess.PIPE,  # its end is what ends the server, should we be killed
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._ids = count()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def url(self, workload: str, *, secure: bool = False, **given: object) -> str:
        """A base URL behind which that workload is served."""
        pairs = "".join(f",{key}={value}" for key, value in given.items())
        scheme = "https" if secure else "http"
        return f"{scheme}://127.0.0.1:{self.port}/{workload}{pairs}"

    def new_id(self) -> str:
        """An id for ``url(..., id=)``, to find the stream in the server's statistics."""
        return f"s{next(self._ids)}"

    def stats(self) -> dict[str, Any]:
        """What the server saw so far."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as sock:
            sock.sendall(b"GET /stats HTTP/1.1\r\n\r\n")
            with sock.makefile("rb") as lines:
                while (line := lines.readline()) != b"\r\n":
                    if line.startswith(b"Content-Length:"):
                        length = int(line[15:])
                answer: dict[str, Any] = json.loads(lines.read(length))
                return answer

    def when(self, what: str, id: str, patience: float = 5.0) -> float:
        """The instant, in ns, at which the stream ``arrived`` or was ``gone``; infinity: never."""
        end = monotonic() + patience
        while id not in (seen := self.stats()[what]):
            if monotonic() > end:
                return float("inf")
            sleep(0.005)
        return float(seen[id])


@contextmanager
def shared_client() -> Iterator[None]:
    """Close streamkit's pooled connections afterwards, so that no benchmark inherits any."""
    try:
        yield
    finally:
        streamkit.close()


def in_child(script: str, *arguments: object) -> Any:
    """Run a script of this folder in a new interpreter; the JSON it prints."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def surroundings() -> dict[str, Any]:
    """The machine, the interpreter, the commit, the versions: what the figures depend on."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    versions: dict[str, str | None] = {}
    for name in ("requests", "urllib3", "openai", "anthropic"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "machine": platform.platform(),
        "cpu": cpu,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "commit": commit or None,
        "versions": versions,
    }
