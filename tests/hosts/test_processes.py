"""Process pools: a client of the module, used before the fork, serves in every worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import LocalProvider

SCRIPT = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
import hosted_app

assert hosted_app.text() == "one two"
context = multiprocessing.get_context({method!r})
with ProcessPoolExecutor(2, mp_context=context) as pool:
    print(set(pool.map(hosted_app.text, ["direct", "buffered", "managed"] * 2)))
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_stream_with_a_module_level_client(
    method: str, host: Callable[..., Any], provider: LocalProvider
) -> None:
    running = host("-c", SCRIPT.format(method=method))
    assert (running.wait(), running.log) == (0, "{'one two'}\n")
    first, *others = provider.requests
    assert len(others) == 6
    assert first.connection not in {request.connection for request in others}
