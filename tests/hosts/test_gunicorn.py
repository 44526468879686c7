"""gunicorn's own ways: what its --timeout means for a stream, and --preload with gevent."""

from __future__ import annotations

from collections.abc import Callable
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from streamkit.testing import LocalProvider

pytest.importorskip("gevent")
pytest.importorskip("gunicorn")

GUNICORN = ("-m", "gunicorn", "--no-control-socket", "-b", "fd://FD", "hosted_app")
GEVENT = (*GUNICORN, "-k", "gevent", "--preload")


def test_the_sync_worker_is_killed_in_the_middle_of_an_answer_longer_than_its_timeout(
    host: Callable[..., Any], provider: LocalProvider
) -> None:
    running = host(*GUNICORN, "-k", "sync", "--timeout", "1", "--graceful-timeout", "1")
    with running.open("/events?play=slow") as response, pytest.raises(IncompleteRead) as cut:
        response.read()
    assert b"[DONE]" not in cut.value.partial, "half an answer does not look whole"
    assert provider.wait_disconnect() is not None
    assert "WORKER TIMEOUT" in running.log


def test_other_workers_stream_for_longer_than_their_timeout(host: Callable[..., Any]) -> None:
    hosts = [host(*GUNICORN, "-k", worker, "--timeout", "1") for worker in ("gthread", "gevent")]
    answers = [running.open("/events?play=slow") for running in hosts]
    for running, answer in zip(hosts, answers, strict=True):
        with answer:
            assert answer.read().endswith(b"data: [DONE]\n\n")
        assert "WORKER TIMEOUT" not in running.log
        assert running.end() == 0


def test_preloading_for_gevent_without_a_patch_says_what_to_do(host: Callable[..., Any]) -> None:
    running = host(*GEVENT)
    with running.open("/text") as response:
        assert response.status == 500
    assert "patch in gunicorn.conf.py" in running.log


def test_preloading_for_gevent_works_with_a_patch_in_its_configuration(
    host: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("from gevent import monkey\nmonkey.patch_all()\n")
    running = host(*GEVENT)
    for mode in ("direct", "buffered", "managed"):
        assert running.get(f"/text?mode={mode}") == "one two"
    assert running.end() == 0
