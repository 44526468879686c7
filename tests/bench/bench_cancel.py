"""
How fast cancel() works: for the caller, for the reading thread, for the server.

A thread drains a stream; once the stream is in the phase to be tested, the main thread cancels it.
*caller*: until cancel() has returned and the draining thread has left its loop. *reader*: until
the thread that reads the socket is gone, which in ``direct`` is the draining one. *server*: until
the server has seen the end of the connection (a wait between two attempts has none).
"""

from __future__ import annotations

import threading
from time import monotonic_ns, sleep
from typing import Any

from harness import Row, Server, spread

import streamkit

#: Phase: what the server does.
PHASES = {"silence": "silent", "headers": "withheld", "full speed": "endless", "retry": "busy"}
MOST = {"caller": 10.0, "reader": 100.0, "server": 200.0}
MEANING = {"caller": "caller is free", "reader": "reader is gone", "server": "server sees it"}


def settle(server: Server, phase: str, id: str, reached: threading.Event) -> None:
    """Wait until the stream is in its phase, and everybody in it asleep or at work."""
    if phase == "headers":
        server.when("arrived", id)
    elif not reached.wait(5):
        raise TimeoutError(f"the stream never reached {phase}")
    sleep(0.02)


def cancel_once(server: Server, mode: Any, phase: str) -> dict[str, float]:
    """One stream, cancelled in one phase; milliseconds."""
    id = server.new_id()
    reached = threading.Event()
    stream = streamkit.stream(
        "openai/m", "Hi", base_url=server.url(PHASES[phase], id=id), api_key="k" * 20, mode=mode,
        on_retry=lambda _: reached.set(),
    )  # fmt: skip
    left: list[int] = []

    def drain() -> None:
        for _ in stream:
            reached.set()
        left.append(monotonic_ns())

    drainer = threading.Thread(target=drain, name="drainer")
    drainer.start()
    settle(server, phase, id, reached)
    name = f"streamkit-producer-{stream.id}"
    reader = next((thread for thread in threading.enumerate() if thread.name == name), None)
    began = monotonic_ns()
    stream.cancel()
    returned = monotonic_ns()
    drainer.join(10)
    gone = left[0]
    if reader is not None:
        reader.join(10)
        gone = monotonic_ns()
    took = {"caller": max(returned, left[0]) - began, "reader": gone - began}
    if phase != "retry":
        took["server"] = int(server.when("gone", id)) - began
    return {name: value / 1e6 for name, value in took.items()}


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    times = 5 if quick else 20
    rows = []
    with Server() as server:
        for mode in ("direct", "buffered"):
            runs = {
                phase: [cancel_once(server, mode, phase) for _ in range(times)] for phase in PHASES
            }
            for who, most in MOST.items():
                figures = {
                    phase: spread([one[who] for one in taken])
                    for phase, taken in runs.items()
                    if who in taken[0]
                }
                rows.append(
                    Row(
                        name=f"cancel/{mode}/{who}",
                        what=f"cancel until {MEANING[who]}, {mode}, longest in any phase",
                        value=max(one["max"] for one in figures.values()),
                        unit="ms",
                        most=most,
                        detail=figures,
                    )
                )
    return rows
