"""Celery's prefork pool: tasks stream, with a client that was made before the fork."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamkit.testing import LocalProvider

celery = pytest.importorskip("celery")

MODES = ["direct", "buffered", "managed"]

#: What asks for a result looks for it this often, in seconds.
LOOK = 0.02


@pytest.fixture
def tasks(tmp_path: Path, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same application on this side, where it only sends tasks and fetches results."""
    for name in ("queue", "control", "results"):
        (tmp_path / name).mkdir()
    app = celery.Celery("hosted", broker="filesystem://", backend=f"file://{tmp_path}/results")
    folders = {"data_folder_in": f"{tmp_path}/queue", "data_folder_out": f"{tmp_path}/queue"}
    app.conf.broker_transport_options = {**folders, "control_folder": f"{tmp_path}/control"}
    monkeypatch.setenv("HOSTED_EARLY", "yes")
    yield app
    app.close()


def test_tasks_stream_and_a_time_limit_closes_the_connection(
    tasks: Any, host: Callable[..., Any], provider: LocalProvider, time_scale: float
) -> None:
    running = host(
        "-m", "celery", "-A", "hosted_tasks", "worker", "--pool=prefork", "--concurrency=2",
        "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING",
    )  # fmt: skip

    def run(name: str, *args: str) -> Any:
        sent = tasks.send_task(f"hosted_tasks.{name}", args)
        return sent.get(timeout=15 * time_scale, interval=LOOK)

    for mode in MODES:
        worker, text = run("text", mode)
        assert text == "one two"
        assert worker not in (os.getpid(), running.process.pid), "it runs in a forked child"
    assert "opened before a fork" in run("before")
    early, held, *own = provider.requests
    assert not {request.connection for request in own} & {early.connection, held.connection}
    assert held.disconnected is None, "the parent's stream goes on"
    with pytest.raises(celery.exceptions.SoftTimeLimitExceeded):
        run("too_long", "buffered")
    assert provider.wait_disconnect() is not None
    # The fixture kills it: a stop in peace takes Celery six seconds, also without us.
    assert "unclosed stream" not in running.log
