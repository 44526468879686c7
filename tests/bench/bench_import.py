"""
What ``import streamkit`` costs beyond ``import requests``, in fresh interpreters.

Bytecode goes to a folder of our own with the first, uncounted import of each, so that nothing is
compiled again, whatever the environment says about bytecode.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from functools import partial
from tempfile import TemporaryDirectory
from time import perf_counter

from harness import ROOT, Row, interleave, spread


def importing(what: str, cache: str) -> float:
    """Milliseconds, the interpreter's own start included."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": cache}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    start = perf_counter()
    subprocess.run([sys.executable, "-c", what], env=env, check=True)
    return (perf_counter() - start) * 1000


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    codes = {"nothing": "pass", "requests": "import requests", "streamkit": "import streamkit"}
    with TemporaryDirectory() as cache:
        runs = {name: partial(importing, code, cache) for name, code in codes.items()}
        samples = interleave(runs, 7 if quick else 15)
    pairs = zip(samples["streamkit"], samples["requests"], strict=True)
    return [
        Row(
            name="import",
            what="import streamkit less import requests, wall clock",
            value=statistics.median(ours - theirs for ours, theirs in pairs),
            unit="ms",
            most=20.0,
            detail={
                "least": round(min(samples["streamkit"]) - min(samples["requests"]), 1),
                **{name: spread(values, 1) for name, values in samples.items()},
            },
        )
    ]
