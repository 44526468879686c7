"""
Measure the budgets of streamkit: one table, one JSON file.

    python tests/bench/run.py [--quick] [--check] [--json FILE] [--only NAME ...]

Everything runs on this machine against a server process of our own on loopback. The full run takes
some six minutes, --quick about two, with fewer rounds and shorter streams. With --check the exit
code is 1 when a budget is missed; without it figures are only shown, as a busy machine may miss
any of them. The SDKs that streamkit is compared with come with the extra ``bench``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this tree, not an installed one

import bench_batch
import bench_cancel
import bench_cpu
import bench_dialects
import bench_framing
import bench_handoff
import bench_idle
import bench_import
import bench_latency
import bench_linearity
import bench_many
import bench_memory
import bench_metrics
import bench_parsing
import bench_reuse
import bench_store
import bench_units
from harness import Row, shared_client, surroundings

BENCHES: dict[str, Callable[[bool], list[Row]]] = {
    "cpu": bench_cpu.run,
    "dialects": bench_dialects.run,
    "handoff": bench_handoff.run,
    "batch": bench_batch.run,
    "latency": bench_latency.run,
    "framing": bench_framing.run,
    "many": bench_many.run,
    "idle": bench_idle.run,
    "metrics": bench_metrics.run,
    "cancel": bench_cancel.run,
    "import": bench_import.run,
    "memory": bench_memory.run,
    "linearity": bench_linearity.run,
    "parsing": bench_parsing.run,
    "reuse": bench_reuse.run,
    "store": bench_store.run,
    "units": bench_units.run,
}


def show(row: Row) -> None:
    """One line of the table."""
    value = "-" if row.value is None else f"{row.value:.4g} {row.unit}"
    verdict = {True: "pass", False: "OVER", None: ""}[row.passed]
    print(f"{row.name:31} {row.what:66} {row.budget:>14} {value:>12}  {verdict}", flush=True)


def main() -> int:
    """Run, show, write; the exit code."""
    parser = argparse.ArgumentParser(description="measure the budgets of streamkit")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, shorter streams")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a budget is missed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--only", action="append", choices=BENCHES, metavar="NAME", help="one area")
    options = parser.parse_args()
    where = surroundings()
    print(*(f"{name}: {value}" for name, value in where.items()), sep="\n", end="\n\n")
    rows: list[Row] = []
    seconds: dict[str, float] = {}
    for name in options.only or BENCHES:
        start = perf_counter()
        with shared_client():
            for row in BENCHES[name](options.quick):
                show(row)
                rows.append(row)
        seconds[name] = round(perf_counter() - start, 1)
    missed = [row.name for row in rows if row.passed is False]
    took = sum(seconds.values())
    print(f"\n{len(rows)} rows in {took:.0f} s; over budget: {', '.join(missed) or 'none'}")
    if options.json is not None:
        table = [{**asdict(row), "budget": row.budget, "passed": row.passed} for row in rows]
        report = {**where, "quick": options.quick, "seconds": seconds, "rows": table}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
