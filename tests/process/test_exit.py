"""A process that ends while streams run: its own exit code, an empty stderr, and at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import process
from streamkit.testing import Gate, Hang, LocalProvider, Repeat, Text

#: What the stream is doing when the process ends: the script, and how the child gets there.
STATES: dict[str, tuple[Any, str]] = {
    "waiting for the headers": ((Hang(),), "s.start(); wait_sent()"),
    "silent in mid-stream": ((Text("one"), Hang()), "it = iter(s); next(it)"),
    "endless, consumer idle": ((Repeat((Text("tok"),)),), "it = iter(s); next(it)"),
    "inside a callback": (
        (Text("one"), Hang()),
        "inside = threading.Event()\n"
        "s.on_text(lambda t: (inside.set(), time.sleep(60))).start(); inside.wait(10)",
    ),
    "inside a loop body": ((Text("one"), Hang()), "it = iter(s); next(it)"),
    "never used": ((Text("one"),), "pass"),
}
ENDINGS = {
    "falling off the end": ("pass", 0),
    "sys.exit": ("sys.exit(7)", 7),
    "an unhandled exception": ("raise ValueError('mine')", 1),
}

CHILD = """
def wait_sent():
    while s.metrics.duration_ms == 0:
        time.sleep(0.001)
s = start({mode!r})
{reach}
ready()
sys.stdin.readline()
{ending}
"""


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_exit_keeps_its_code_and_says_nothing(
    mode: str, state: str, child: Callable[..., Any], time_scale: float
) -> None:
    script, reach = STATES[state]
    with LocalProvider(script) as provider:
        children = []
        for ending, code in ENDINGS.values():
            text = CHILD.format(mode=mode, reach=reach, ending=ending)
            children.append((child(text, provider.base_url("openai")), code))
        for running, _ in children:
            running.wait_ready()
        for running, code in children:
            running.act()
            ended = running.end()
            assert ended.code == code, ended.err
            if code != 1:
                assert ended.err == ""
            else:
                assert ended.err.count("Traceback") == 1
                assert ended.err.rstrip().endswith("ValueError: mine")
            assert ended.seconds < 1.0 * time_scale


def test_exit_while_waiting_to_retry(child: Callable[..., Any], time_scale: float) -> None:
    script = """
s = start(retry={"initial": 30.0, "cap": 30.0}, on_retry=lambda attempt: ready())
s.start()
sys.stdin.readline()
sys.exit(3)
"""
    from streamkit.testing import Status

    with LocalProvider([Status(503)]) as provider:
        running = child(script, provider.base_url("openai"))
        running.wait_ready()
        running.act()
        ended = running.end()
    assert (ended.code, ended.err) == (3, "")
    assert ended.seconds < 1.0 * time_scale


def test_a_finished_stream_leaves_nothing_to_say_at_exit(child: Callable[..., Any]) -> None:
    with LocalProvider([Text("one two")]) as provider:
        running = child("print(start().result().text)", provider.base_url("openai"))
        ended = running.end()
    assert (ended.code, ended.out, ended.err) == (0, "one two\n", "")


def test_an_unclosed_stream_is_reported_with_the_line_that_made_it(
    child: Callable[..., Any],
) -> None:
    script = """
import warnings
warnings.simplefilter("always")
line = sys._getframe().f_lineno + 1
s = streamkit.stream("openai/x", "hi", base_url=URL, api_key="sk-test-process")
s.get()
del s
print("gone", line, flush=True)
"""
    with LocalProvider([Text("one"), Gate(), Text("two")]) as provider:
        ended = child(script, provider.base_url("openai")).end()
        assert provider.wait_disconnect(timeout=5) is not None
    word, line = ended.out.split()
    assert (ended.code, word) == (0, "gone")
    assert "ResourceWarning: unclosed stream" in ended.err
    assert f"made at <string>:{line};" in ended.err


def test_a_stream_whose_thread_is_about_to_start_is_no_error_at_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Starting:
        stopped = False
        thread = threading.Thread()

        def stop(self) -> None:
            self.stopped = True

        def join(self, timeout: float) -> None:
            self.thread.join(timeout)

    runs = [Starting(), Starting()]
    monkeypatch.setattr(process, "_running", {})
    for run in runs:
        process.remember(run)
    process._at_exit()
    assert all(run.stopped for run in runs)
