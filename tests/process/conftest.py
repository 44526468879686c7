"""
Child processes that use streamkit against a LocalProvider of the test's own process.

A child is a script given as text. It gets the base URL as ``URL``, a ``start(mode)`` that opens a
stream on it, and prints ``ready`` when the test may act.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

PROLOGUE = """
import os, signal, sys, threading, time
import streamkit
URL = sys.argv[1]

def start(mode="buffered", **keywords):
    return streamkit.stream(
        "openai/x", "hi", base_url=URL, api_key="sk-test-process", mode=mode, **keywords)

def ready():
    print("ready", flush=True)
"""


@dataclass
class Ended:
    """How a child ended, and how long that took from the moment the test acted."""

    code: int
    out: str
    err: str
    seconds: float


class Child:
    """A running child process."""

    def __init__(self, script: str, url: str, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", *options, "-c", PROLOGUE + script, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.acted = 0.0

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line != "ready\n":
            out, err = self.process.communicate(timeout=10)
            pytest.fail(f"the child never was ready: {line + out!r}\n{err}")

    def act(self) -> None:
        """Let it go on: the child waits for a line on its standard input."""
        assert self.process.stdin is not None
        self.acted = time.monotonic()
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def send(self, number: int) -> None:
        self.acted = time.monotonic()
        self.process.send_signal(number)

    def end(self, timeout: float = 20.0) -> Ended:
        out, err = self.process.communicate(timeout=timeout)
        return Ended(self.process.returncode, out, err, time.monotonic() - self.acted)


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """``child(script, url)`` starts one; all are ended with the test."""
    running: list[Child] = []

    def begin(*args: Any) -> Child:
        running.append(Child(*args))
        return running[-1]

    yield begin
    for each in running:
        each.process.kill()
        each.process.communicate()
