"""gevent: with its patches threads are greenlets, and streams wait without stopping the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import LocalProvider

pytest.importorskip("gevent")

ASK = """
import os, sys, gevent
import streamkit
MODES = ["direct", "buffered", "managed"]
def ask(mode, play="two", **keywords):
    return streamkit.stream(
        "openai/m", "Hi", base_url=os.environ["HOSTED_URL"], api_key="sk-hosted", mode=mode,
        extra_body={"play": play}, **keywords)
"""

PATCHED = "from gevent import monkey; monkey.patch_all()\n" + ASK


@pytest.fixture
def script(host: Callable[..., Any]) -> Callable[[str, str], Any]:
    return lambda prologue, text: host("-W", "error", "-c", prologue + text)


def test_many_greenlets_stream_at_once(script: Callable[..., Any], provider: LocalProvider) -> None:
    running = script(
        PATCHED,
        """
all = [gevent.spawn(lambda m: ask(m, "gate").result().text, m) for m in MODES for _ in range(20)]
gevent.joinall(all)
print({greenlet.value for greenlet in all})
print([ask(m).on_text(lambda text: None).start().wait(5).outcome for m in MODES])
""",
    )
    provider.wait_gate(60)
    provider.release(60)
    assert running.wait() == 0
    assert running.log == f"{ {'one two'} }\n{['completed'] * 3}\n"


@pytest.mark.parametrize("play", ["silent", "hang", "endless"])
def test_another_greenlet_stops_a_stream(
    play: str, script: Callable[..., Any], provider: LocalProvider
) -> None:
    running = script(
        PATCHED,
        f"""
for mode in MODES:
    s = ask(mode, {play!r})
    got = []
    reader = gevent.spawn(lambda: [got.append(text) for text in s])
    if {play!r} == "silent":
        gevent.sleep(0.05)  # nothing announces that it waits for the headers
    while {play!r} != "silent" and not got:
        gevent.sleep(0.001)
    s.cancel()
    reader.join(1)
    print(reader.successful(), s.result().outcome)
""",
    )
    for n in (1, 2, 3):
        asked = provider.wait_request(n)
        assert provider.wait_disconnect(request=asked) is not None
    assert (running.wait(), running.log) == (0, "True cancelled\n" * 3)


def test_clocks_run_and_gevents_own_ways_to_stop_close_the_connection(
    script: Callable[..., Any], provider: LocalProvider
) -> None:
    running = script(
        PATCHED,
        """
CLOCKS = {"first": "silent", "wire": "hang", "content": "hang", "total": "endless"}
for mode in MODES:
    for clock, play in CLOCKS.items():
        try:
            list(ask(mode, play, timeout={clock: 0.1}, retry=None))
        except streamkit.StreamTimeout as error:
            print(error.clock, end=" ")
    s = ask(mode, "hang")
    try:
        with gevent.Timeout(0.1):
            list(s)
    except gevent.Timeout:
        print(s.outcome, end=" ")
    s = ask(mode, "hang")
    got = []
    reader = gevent.spawn(lambda: [got.append(text) for text in s])
    while not got:
        gevent.sleep(0.001)
    reader.kill()
    print(s.outcome)
""",
    )
    assert (running.wait(), running.log) == (0, "first wire content total failed failed\n" * 3)
    assert provider.wait_idle()


def test_a_process_with_live_streams_exits_at_once(script: Callable[..., Any]) -> None:
    running = script(
        PATCHED,
        """
loops = [iter(ask(mode, "endless")) for mode in MODES]
print([next(loop) for loop in loops])
started = [ask(mode, "hang").start() for mode in MODES]
gevent.sleep(0.05)
sys.exit(7)
""",
    )
    assert (running.wait(), running.log) == (7, f"{['tok'] * 3}\n")


def test_a_patch_that_comes_late_is_an_error_that_says_so(
    script: Callable[..., Any], provider: LocalProvider
) -> None:
    running = script(
        "import warnings; warnings.simplefilter('ignore')\n" + ASK,
        """
streams = [ask(mode) for mode in MODES]
from gevent import monkey; monkey.patch_all()
for s in streams + [ask(mode) for mode in MODES]:
    try:
        list(s)
    except streamkit.ConcurrencyError as error:
        print(str(error).partition(":")[0])
""",
    )
    said = "monkey.patch_all() must come before streamkit is imported\n"
    assert (running.wait(), running.log) == (0, said * 6)
    assert provider.requests == [], "nothing was sent"


def test_without_a_patch_a_stream_stops_the_other_greenlets_but_not_from_gevents_thread_pool(
    script: Callable[..., Any],
) -> None:
    running = script(
        ASK,
        """
steps = 0
def step():
    global steps
    while True:
        steps += 1
        gevent.sleep(0.001)
gevent.spawn(step)
for mode in MODES:
    gevent.sleep(0.01)
    before = steps
    ask(mode, "short").result()
    print(steps - before, end=" ")
    before = steps
    result = gevent.get_hub().threadpool.apply(lambda: ask(mode, "short").result())
    print(result.outcome, steps - before > 5)
""",
    )
    assert (running.wait(), running.log) == (0, "0 completed True\n" * 3)
