"""Whoever sends without end: our memory stays small, with the limits as they come."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streamkit.testing import FAULTS, Coding, LocalProvider, Raw, Repeat, Text

#: PROMISES.md P60, P62, P63: three times the largest event, and 16 MB beside it.
MOST = 3 * 16 + 16

ENDLESS = {name: FAULTS[name] for name in (
    "no-newline-endless", "endless-event-name", "many-data-lines", "gzip-bomb", "redirect-bomb",
    "error-body-endless",
)}  # fmt: skip
ENDLESS["a line of 200 MB"] = (
    Text("one"), Raw("data: "), Repeat([Raw(b"x" * (1 << 20))], times=200), Raw("\n\n"),
)  # fmt: skip
ENDLESS["a whole answer of 200 MB"] = (
    Raw('{"choices": "'), Repeat([Raw(b"x" * (1 << 20))], times=200),
)  # fmt: skip
ENDLESS["gzip in gzip"] = (
    Coding(("gzip", "gzip")), Repeat([Raw(bytes(1 << 20))], times=200),
)  # fmt: skip

CHILD = """
import sys
import streamkit

def ask():
    return streamkit.stream("openai/x", "hi", base_url=sys.argv[1], api_key="sk-test", retry=None)

def peak():  # not ru_maxrss, which an exec inherits
    with open("/proc/self/status") as numbers:
        return next(int(line.split()[1]) for line in numbers if line.startswith("VmHWM"))

assert ask().result().text == "warm"
before = peak()
try:
    for piece in ask():
        pass
except streamkit.StreamkitError as error:
    kind = type(error).__name__
print(kind, (peak() - before) // 1024)
"""
ERRORS = {"redirect-bomb": "TransportError", "error-body-endless": "Overloaded"}


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc elsewhere")
@pytest.mark.parametrize("name", ENDLESS)
def test_memory_stays_within_three_times_the_limit(name: str) -> None:
    with LocalProvider(scripts=[[Text("warm")], ENDLESS[name]]) as server:
        command = [sys.executable, "-c", CHILD, server.base_url()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    kind, grown = done.stdout.split() or [done.stderr, "0"]
    assert kind == ERRORS.get(name, "LimitExceeded")
    assert int(grown) <= MOST
