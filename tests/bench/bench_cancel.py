"""
How fast cancel() works: for the caller, for the reading thread, for the server.

A thread drains a stream; once the stream is in the phase to be tested, the main thread cancels it.
*caller*: until cancel() has returned and the draining thread has left its loop. *reader*: until
the thread that reads the socket is gone, which in ``direct`` is the draining one. *server*: until
the server has seen the end of the connection (a wait between two attempts has none). A row counts
the cancels that kept all three budgets; its ``detail`` has the times.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic_ns, sleep
from typing import Any

import requests
from harness import MODES, Row, Server, spread

import streamkit

#: Phase: what the server does.
PHASES = {
    "header wait": "withheld",
    "first content": "opened",
    "silence": "silent",
    "full speed": "endless",
    "ring full": "endless",
    "retry wait": "busy",
    "TLS silence": "silent",
}
UNSEEN = ("header wait", "first content")  # phases in which nothing has reached the consumer
MOST = {"caller": 10.0, "reader": 100.0, "server": 200.0}


@contextmanager
def certified() -> Iterator[tuple[Path, requests.Session]]:
    """A certificate with its key, for the server, and a session that trusts it."""
    import trustme

    authority = trustme.CA()
    with TemporaryDirectory() as folder, requests.Session() as session:
        certificate, bundle = Path(folder, "server.pem"), Path(folder, "authority.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        authority.cert_pem.write_to_path(bundle)
        session.trust_env = False  # else a bundle named in the environment would win
        session.verify = str(bundle)
        yield certificate, session


class Consumer:
    """
    A thread that drains a stream; in the phase ``ring full`` it stops at the first item.

    Thread safety: **shared**.
    """

    def __init__(self, server: Server, mode: Any, phase: str, session: Any) -> None:
        self.id = server.new_id()
        self.resume = threading.Event()
        self.left = 0
        self._phase = phase
        self._reached = threading.Event()
        url = server.url(PHASES[phase], id=self.id, secure=session is not None)
        self.stream = streamkit.stream(
            "openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode, session=session,
            on_retry=lambda _: self._reached.set(),
        )  # fmt: skip
        self._thread = threading.Thread(target=self._drain, name="drainer")
        self._thread.start()
        self._settle(server)

    def _drain(self) -> None:
        for _ in self.stream:
            self._reached.set()
            if self._phase == "ring full":
                self.resume.wait(10)
        self.left = monotonic_ns()

    def _settle(self, server: Server) -> None:
        """Wait until the stream is in its phase, and everybody in it asleep or at work."""
        if self._phase in UNSEEN:
            server.when("arrived", self.id)
        elif not self._reached.wait(5):
            raise TimeoutError(f"the stream never reached {self._phase}")
        sleep(0.02)

    def join(self) -> None:
        """Until it has left its loop."""
        self._thread.join(10)
        assert self.left, f"the consumer did not leave its loop: {self._phase}"


def cancel_once(server: Server, mode: Any, phase: str, session: Any) -> dict[str, float]:
    """One stream, cancelled in one phase; milliseconds."""
    consumer = Consumer(server, mode, phase, session)
    name = f"streamkit-producer-{consumer.stream.id}"
    reader = next((thread for thread in threading.enumerate() if thread.name == name), None)
    assert (reader is None) == (mode == "direct"), f"no thread is called {name}"
    began = monotonic_ns()
    consumer.stream.cancel()
    returned = monotonic_ns()
    consumer.resume.set()
    if reader is not None:
        reader.join(10)
        assert not reader.is_alive(), f"the reader did not end: {phase}"
        gone = monotonic_ns()
    consumer.join()
    if reader is None:
        gone = consumer.left
    took: dict[str, float] = {
        "caller": max(returned, consumer.left) - began,
        "reader": gone - began,
    }
    if phase != "retry wait":
        took["server"] = server.when("gone", consumer.id) - began
    return {name: value / 1e6 for name, value in took.items()}


def judge(mode: str, phase: str, taken: list[dict[str, float]]) -> Row:
    """How many kept all their budgets."""
    good = sum(all(value < MOST[who] for who, value in one.items()) for one in taken)
    return Row(
        name=f"cancel/{mode}/{phase}",
        what="cancels with caller < 10 ms, reader < 100 ms, server < 200 ms",
        value=good,
        unit=f"of {len(taken)}",
        least=len(taken),
        detail={f"{who}, ms": spread([one[who] for one in taken]) for who in taken[0]},
    )


def over_tls(times: int) -> list[Row]:
    """Mid-stream silence over TLS, in all modes."""
    phase = "TLS silence"
    if find_spec("trustme") is None:
        why = {"skipped": "trustme is not installed; it comes with the extra 'test'"}
        what = "skipped: trustme is not installed; it comes with the extra 'test'"
        names = [f"cancel/{mode}/{phase}" for mode in MODES]
        return [
            Row(name=name, what=what, value=None, unit=f"of {times}", least=times, detail=why)
            for name in names
        ]
    with certified() as (certificate, session), Server(certificate) as server:
        return [
            judge(mode, phase, [cancel_once(server, mode, phase, session) for _ in range(times)])
            for mode in MODES
        ]


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    times = 10 if quick else 50
    rows = []
    for mode in MODES:
        phases = [phase for phase in PHASES if phase != "TLS silence"]
        if mode == "direct":
            phases.remove("ring full")  # it has no ring
        with Server() as server:  # one for each mode keeps its statistics short
            for phase in phases:
                taken = [cancel_once(server, mode, phase, None) for _ in range(times)]
                rows.append(judge(mode, phase, taken))
    return rows + over_tls(times)
