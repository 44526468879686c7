"""Somebody sets the wall clock while streams run: nothing but timestamps may show it."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone
from email.utils import format_datetime

import pytest

from streamkit.recovery.retry import retry_after
from streamkit.testing import Hang, LocalProvider, Pause, Status, Text

#: Before streamkit is imported, for it takes time() by its name. Each look at the clock finds it
#: an hour earlier or later than the look before.
JUMPING = """
import itertools, sys, time
true, jumps = time.time, itertools.cycle((3600.0, 0.0, -3600.0))
time.time = lambda: true() + next(jumps)
import streamkit
URL, MODE = sys.argv[1], sys.argv[2]

def ask(**keywords):
    keywords = {"retry": None, "mode": MODE, **keywords}
    return streamkit.stream("openai/x", "hi", base_url=URL, api_key="sk-test", **keywords)

begun = time.monotonic()
with_units = {"units": "word", "max_wait": 0.05, "rate": 2000} if MODE != "direct" else {}
for keywords in ({}, with_units, {"timeout": 2}):
    stream = ask(**keywords)
    assert "".join(stream) == "one two three", keywords
    metrics = stream.metrics
    assert 0 <= metrics.duration_ms < 5000, metrics
    assert metrics.time_to_first_chunk < 5, metrics
try:
    list(ask(timeout={"wire": 0.2}))
except streamkit.StreamTimeout as error:
    assert error.clock == "wire" and 0.2 <= error.elapsed < 5, error.elapsed
else:
    raise AssertionError("no time-out")
again = ask(retry={"max_retries": 1, "initial": 0.05})
assert again.result().text == "one two three" and len(again.result().attempts) == 2
assert 0.03 < again.result().attempts[0].delay < 1, again.result().attempts
assert time.monotonic() - begun < 20
print("fine")
"""
ANSWER = [Text("one two", every=0.01), Pause(0.1), Text(" three")]
SCRIPTS = [ANSWER, ANSWER, ANSWER, [Text("one"), Hang()], [Status(503)], ANSWER]


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_a_wall_clock_that_jumps_an_hour_changes_nothing(mode: str) -> None:
    with LocalProvider(scripts=SCRIPTS) as server:
        command = [sys.executable, "-W", "error", "-c", JUMPING, server.base_url(), mode]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("fine\n", "")


def test_only_a_date_in_retry_after_is_read_by_the_wall_clock() -> None:
    noon = 1_700_000_000.0
    later = format_datetime(datetime.fromtimestamp(noon + 30, timezone.utc), usegmt=True)
    assert retry_after({"retry-after": later}, now=noon) == 30
    assert retry_after({"retry-after": "7"}, now=noon) == retry_after({"retry-after": "7"}, now=0)
