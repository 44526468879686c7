"""What a view may rely on, under every WSGI server and each of its ways to serve."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import LocalProvider

for part in ("gevent", "gunicorn", "pyuwsgi"):
    pytest.importorskip(part)

MODES = ["direct", "buffered", "managed"]

GUNICORN = ("-m", "gunicorn", "--no-control-socket", "-b", "fd://FD", "hosted_app")
UWSGI = (
    "-c", "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])",
    "--http-socket", "fd://FD", "--master", "--die-on-term", "--need-app", "--module", "hosted_app",
)  # fmt: skip

#: All of these load the application in the parent of their workers, or can.
SERVERS = {
    "gunicorn sync": (*GUNICORN, "-k", "sync"),
    "gunicorn gthread": (*GUNICORN, "-k", "gthread", "--threads", "4"),
    "gunicorn gevent": (*GUNICORN, "-k", "gevent"),
    "uwsgi": UWSGI,
    "uwsgi lazy threads": (*UWSGI, "--lazy-apps", "--threads", "4"),
}

PRELOADING = {
    "gunicorn sync": (*SERVERS["gunicorn sync"], "--preload"),
    "gunicorn gthread": (*SERVERS["gunicorn gthread"], "--preload"),
    # By itself uWSGI tells Python nothing of its forks.
    "uwsgi": (*UWSGI, "--processes", "2"),
}
if sys.version_info < (3, 13):  # there this option ends the worker, whatever it serves
    PRELOADING["uwsgi that tells"] = (*UWSGI, "--py-call-osafterfork")


@pytest.mark.parametrize("server", SERVERS)
def test_a_view_streams_in_every_mode_and_a_reader_who_leaves_stops_the_model(
    server: str, host: Callable[..., Any], provider: LocalProvider
) -> None:
    running = host(*SERVERS[server])
    for mode in MODES:
        assert running.get(f"/text?mode={mode}") == "one two"
        body = running.get(f"/events?mode={mode}")
        assert '"two"' in body and body.endswith("data: [DONE]\n\n")
    for mode in MODES:
        with running.open(f"/events?mode={mode}&play=gate") as response:
            assert '"one"' in response.readline().decode(), "each event goes out at once"
            provider.wait_gate()
            provider.release()
            assert response.read().endswith(b"data: [DONE]\n\n")
    for mode in MODES:
        with running.open(f"/events?mode={mode}&play=endless") as response:
            response.readline()
        asked = provider.requests[-1]
        assert provider.wait_disconnect(request=asked) is not None
    assert running.end() == 0


@pytest.mark.parametrize("server", PRELOADING)
def test_what_was_opened_before_the_fork_stays_with_the_parent(
    server: str,
    host: Callable[..., Any],
    provider: LocalProvider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOSTED_EARLY", "yes")
    running = host(*PRELOADING[server])
    for mode in MODES:
        assert running.get(f"/text?mode={mode}") == "one two"
    assert "opened before a fork" in running.get("/inherited")
    early, held, *own = provider.requests
    used = {request.connection for request in own}
    assert len(own) == 3 and not used & {early.connection, held.connection}
    assert held.disconnected is None, "the parent's stream goes on"
    assert running.end() == 0
