"""Signals in the main thread: Ctrl-C while waiting, handlers that cancel, SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import Hang, LocalProvider, Repeat, Status, Text

MODES = ["direct", "buffered", "managed"]

WATCH = """
def soon():
    # ready() once the main thread has stood still inside the library for a while.
    main, seen = threading.main_thread().ident, []
    def watch():
        while len(seen) < 10 or len(set(seen[-10:])) > 1 or seen[-1] is None:
            frame = top = sys._current_frames()[main]
            while frame and not frame.f_globals.get("__name__", "").startswith("streamkit."):
                frame = frame.f_back
            seen.append(frame and (id(top), top.f_lasti))
            time.sleep(0.005)
        ready()
    threading.Thread(target=watch, daemon=True).start()
"""

INTERRUPTED = """
s = start({mode!r})
try:
    try:
        {use}
    finally:
        caught = time.monotonic()
except KeyboardInterrupt:
    pass
else:
    sys.exit("no KeyboardInterrupt")
result = s.result()
assert result.outcome == "cancelled", result
assert s.done
ready(); sys.stdin.readline()
again = start({mode!r}, extra_body={{"again": True}})
assert again.result().text == "well", again.partial
print("fine", flush=True)
"""

#: Where the signal meets the main thread. ``soon()`` tells the test when it waits.
STATES = {
    "waiting for the headers": ((Hang(),), "soon(); list(s)"),
    "silent in mid-stream": ((Text("one"), Hang()), "it = iter(s); next(it); soon(); list(it)"),
    "at full speed": ((Repeat((Text("tok"),)),), "[ready() for n, t in enumerate(s) if n == 50]"),
    "in the loop body": (
        (Text("one"), Hang()),
        "[(ready(), time.sleep(60)) for t in s]",
    ),
    "in result()": ((Text("one"), Hang()), "soon(); s.result()"),
    "in wait()": ((Text("one"), Hang()), "soon(); s.wait()"),
    "in result() with a time": ((Text("one"), Hang()), "soon(); s.result(30)"),
    "in get()": ((Text("one"), Hang()), "s.get(); soon(); s.get()"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", STATES)
def test_ctrl_c_raises_there_and_closes_the_connection(
    state: str, mode: str, child: Callable[..., Any], time_scale: float
) -> None:
    script, use = STATES[state]

    def answer(request: Any) -> Any:
        return [Text("well")] if request.json.get("again") else script

    with LocalProvider(answer) as provider:
        text = WATCH + INTERRUPTED.format(mode=mode, use=use)
        running = child(text, provider.base_url("openai"))
        running.wait_ready()
        asked = provider.wait_request(1, timeout=5)
        running.send(signal.SIGINT)
        assert provider.wait_disconnect(5, request=asked) is not None
        running.wait_ready()  # result() has returned
        assert len(provider.requests) == 1
        gone = asked.disconnected
        assert gone is not None and gone - running.acted < 0.2 * time_scale
        running.act()
        ended = running.end()
    assert (ended.code, ended.out, ended.err) == (0, "fine\n", "")
    assert ended.seconds < 2.0 * time_scale


def test_ctrl_c_ends_a_wait_between_attempts(child: Callable[..., Any]) -> None:
    script = """
import _thread
s = start("direct", retry={"initial": 30.0, "cap": 30.0}, on_retry=lambda attempt: ready())
try:
    list(s)
except KeyboardInterrupt:
    print(s.result().outcome, len(s.result().attempts))
"""
    with LocalProvider([Status(503)]) as provider:
        running = child(script, provider.base_url("openai"))
        running.wait_ready()
        running.send(signal.SIGINT)
        ended = running.end()
    assert (ended.code, ended.out, ended.err) == (0, "cancelled 1\n", "")
    assert ended.seconds < 5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", STATES)
def test_sigterm_ends_the_process_at_once(
    state: str, mode: str, child: Callable[..., Any], time_scale: float
) -> None:
    """The library installs no handler: the default action, and the kernel closes the sockets."""
    script, use = STATES[state]
    with LocalProvider(script) as provider:
        running = child(f"{WATCH}s = start({mode!r})\n{use}", provider.base_url("openai"))
        running.wait_ready()
        asked = provider.wait_request(1, timeout=5)
        running.send(signal.SIGTERM)
        assert provider.wait_disconnect(5, request=asked) is not None
        ended = running.end()
        gone = asked.disconnected
        assert gone is not None and gone - running.acted < 0.2 * time_scale
        assert len(provider.requests) == 1
    assert (ended.code, ended.out, ended.err) == (-signal.SIGTERM, "", "")
    assert ended.seconds < 1.0 * time_scale


@pytest.mark.parametrize("mode", MODES)
def test_sigterm_handler_may_close(mode: str, child: Callable[..., Any]) -> None:
    script = f"""
s = start({mode!r})
signal.signal(signal.SIGTERM, lambda *_: s.close())
it = iter(s); next(it); ready()
print(len(list(it)), s.outcome)
"""
    with LocalProvider([Text("one"), Hang()]) as provider:
        running = child(script, provider.base_url("openai"))
        running.wait_ready()
        running.send(signal.SIGTERM)
        assert provider.wait_disconnect(timeout=5) is not None
        ended = running.end()
    assert (ended.code, ended.out, ended.err) == (0, "0 cancelled\n", "")


@pytest.mark.parametrize("mode", MODES)
def test_a_storm_of_signals_that_cancel_never_deadlocks(
    mode: str, child: Callable[..., Any]
) -> None:
    """The handler interrupts the main thread anywhere, also inside locks of that very stream."""
    script = f"""
current = None
fired = 0
def handler(*_):
    global fired
    fired += 1
    if current is not None:
        current.cancel()
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
streams = 0
until = time.monotonic() + 2.0
while time.monotonic() < until:
    current = start({mode!r}, buffer=3)
    streams += 1
    for _ in current:
        current.metrics
    assert current.outcome in ("cancelled", "completed"), current
signal.setitimer(signal.ITIMER_REAL, 0)
current = None
print("fine", streams > 20, fired > 200)
"""
    with LocalProvider([Text("a b c d e f g h")]) as provider:
        ended = child(script, provider.base_url("openai")).end(timeout=30)
    assert (ended.code, ended.out, ended.err) == (0, "fine True True\n", "")
