"""uWSGI's own ways: streams that outlive the request that began them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import LocalProvider

pytest.importorskip("pyuwsgi")

UWSGI = (
    "-c", "import sys, pyuwsgi; pyuwsgi.run(sys.argv[1:])",
    "--http-socket", "fd://FD", "--master", "--die-on-term", "--need-app", "--module", "hosted_app",
)  # fmt: skip


def test_a_stream_outlives_the_request_that_began_it(
    host: Callable[..., Any], provider: LocalProvider
) -> None:
    running = host(*UWSGI, "--enable-threads")
    assert running.get("/begin?play=gate") == "begun"
    provider.wait_gate()
    provider.release()
    # No request runs meanwhile, and yet the stream is read to its end.
    assert provider.wait_finished() is not None
    assert running.get("/finish") == "one two"
    assert running.end() == 0
