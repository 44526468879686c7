"""What is small on the wire and large in memory, under the default limits (PROMISES.md S11)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streamkit
from streamkit.testing import FAULTS, Coding, Headers, LocalProvider, Raw, Repeat, Text

MIB = 1 << 20
#: The growth that is allowed, MiB, over a process that has read one answer. A bomb of good events
#: ends at the 64 MiB of an answer, which the partial result has: PROMISES.md P60.
MOST, MOST_OF_EVENTS = 64, 3 * 64 + 16

READ = """
import re, sys
from pathlib import Path
import streamkit

def peak():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024

def ask():
    with streamkit.Client() as client:
        stream = client.stream(
            "openai/m", "Hi", base_url=sys.argv[1], api_key="k" * 9, retry=None, mode=sys.argv[2])
        try:
            return stream.result().outcome
        except streamkit.StreamkitError as error:
            return type(error).__name__

ask()
before = peak()
print(ask())
assert peak() - before <= int(sys.argv[3]), f"{peak() - before:.0f} MiB more"
"""
BOMBS: dict[str, Any] = {
    **{
        name: FAULTS[name]
        for name in (
            "gzip-bomb", "redirect-bomb", "huge-event", "no-newline-endless",
            "endless-event-name", "many-data-lines", "error-body-endless", "huge-header",
        )
    },
    "error-gzip-bomb": (
        Headers(status=500), Coding("gzip"), Repeat([Raw(b"x" * MIB)], times=200),
    ),
    "gzip-in-gzip": (Coding(("gzip", "gzip")), Repeat([Raw(bytes(MIB))], times=200)),
    "events": (Coding("gzip"), Repeat([Text("x" * 60_000)])),
    "html": (Raw("<html>"), Repeat([Raw(b"<p>" * MIB)], times=40)),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["direct", "buffered"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_ends_in_an_error_and_a_bounded_process(bomb: str, mode: str) -> None:
    root = Path(streamkit.__file__).parents[1]
    most = MOST_OF_EVENTS if bomb == "events" else MOST
    with LocalProvider(scripts=[[Text("Hi")], BOMBS[bomb]]) as provider:
        done = subprocess.run(
            [sys.executable, "-c", READ, provider.base_url(), mode, str(most)],
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() in {
        "LimitExceeded", "ProtocolError", "TransportError", "ProviderError", "Overloaded",
    }  # fmt: skip
