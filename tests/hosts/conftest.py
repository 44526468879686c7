"""
Servers and workers of other people's making, each in processes of its own, against a LocalProvider.

A host gets a folder of the test's as its current one, this folder and the package on its path, and
``HOSTED_URL``. It leads a session of its own, so that ``Host.end()`` can tell whether anything of
it is left. What the provider plays is named in the request: ``extra_body={"play": ...}``.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from streamkit.testing import Gate, Hang, LocalProvider, Pause, Repeat, Text

HERE = Path(__file__).resolve().parent
#: A host that has not answered or ended by then never will.
PATIENCE = 15.0 * float(os.environ.get("STREAMKIT_TEST_TIME_SCALE", "1"))

PLAYS: dict[str, Any] = {
    "two": [Text("one "), Text("two")],
    "hang": [Text("one"), Hang()],
    "silent": [Hang()],
    "gate": [Text("one "), Gate(), Text("two")],
    "slow": [Repeat((Text("tok"), Pause(0.05)), 50)],
    "short": [Repeat((Text("tok"), Pause(0.01)), 20)],
    "endless": [Repeat((Text("tok"), Pause(0.01)))],
}


def answer(request: Any) -> Any:
    return PLAYS[request.json.get("play", "two")]


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    with LocalProvider(answer) as provider:
        yield provider


class Host:
    """A running server, worker or script."""

    def __init__(
        self, command: Sequence[str], provider: LocalProvider, log: Path, *, pass_fds: Any = ()
    ) -> None:
        package = importlib.util.find_spec("streamkit")
        assert package is not None and package.origin is not None
        self._log = log
        self.port = 0
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=log.parent,
                env={
                    **os.environ,
                    "HOSTED_URL": provider.base_url("openai"),
                    "PYTHONPATH": os.pathsep.join(
                        [str(HERE), str(Path(package.origin).parents[1])]
                    ),
                    # An unclosed stream or socket shows in the log.
                    "PYTHONWARNINGS": "always::ResourceWarning",
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )

    @property
    def log(self) -> str:
        """What it printed so far."""
        return self._log.read_text("utf-8", "replace")

    def open(self, path: str) -> http.client.HTTPResponse:
        """Ask for a path; closing the response closes the connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            pytest.fail(f"{path}: {error!r}\n{self.log}")
        finally:
            connection.close()  # the response keeps the socket until it is closed

    def get(self, path: str) -> str:
        """The body at a path; the test fails for any status but 200."""
        with self.open(path) as response:
            body = response.read().decode()
        assert response.status == 200, f"{path}: {response.status}\n{self.log}"
        return body

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send the signal, then as wait()."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; look for what is left of it, and for complaints; the exit code."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the host has not ended:\n{self.log}")
        # multiprocessing's helpers end when they see that nobody is there any more.
        until = monotonic() + PATIENCE
        while left := self.left():
            assert monotonic() < until, f"processes {left} of the host are left:\n{self.log}"
            sleep(0.01)
        assert "Traceback (" not in self.log and "unclosed stream" not in self.log, self.log
        return code

    def left(self) -> list[int]:
        """Ids of the processes of its session, zombies aside."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                # pid (name) state ppid group session ...; a name may hold anything
                state, _, _, session = entry.read_text().rpartition(")")[2].split()[:4]
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(entry.parent.name))
        return found

    def kill(self) -> None:
        """End what a failed test has left."""
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def host(provider: LocalProvider, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """
    ``host("-m", "celery", ...)`` runs Python with these arguments.

    An argument that holds FD gets there the number of a socket that listens on ``host.port``: a
    connection waits in it until the server is ready, and nobody else can take the port meanwhile.
    """
    running: list[Host] = []

    def begin(*command: str) -> Host:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            number = listener.fileno()
            command = tuple(part.replace("FD", str(number)) for part in command)
            log = tmp_path / f"log-{len(running)}"
            running.append(Host(command, provider, log, pass_fds=(number,)))
            running[-1].port = listener.getsockname()[1]
        return running[-1]

    yield begin
    for each in running:
        each.kill()
