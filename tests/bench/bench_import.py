"""
What ``import streamkit`` costs beyond ``import requests``, in fresh interpreters.

The import alone loads next to nothing; the first public name loads the library, requests included.
Both have the budget of 20 ms: the first could not miss it, and would say little alone.

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
    codes = {
        "nothing": "pass",
        "requests": "import requests",
        "streamkit": "import streamkit",
        "stream": "from streamkit import stream",
    }
    with TemporaryDirectory() as cache:
        runs = {name: partial(importing, code, cache) for name, code in codes.items()}
        samples = interleave(runs, 7 if quick else 15)

    def over_requests(name: str) -> float:
        pairs = zip(samples[name], samples["requests"], strict=True)
        return statistics.median(ours - theirs for ours, theirs in pairs)

    detail = {name: spread(values, 1) for name, values in samples.items()}
    return [
        Row(
            name="import",
            what="import streamkit less import requests, wall clock",
            value=over_requests("streamkit"),
            unit="ms",
            most=20.0,
            detail=detail,
        ),
        Row(
            name="import/first name",
            what="from streamkit import stream less import requests, wall clock",
            value=over_requests("stream"),
            unit="ms",
            most=20.0,
        ),
    ]
