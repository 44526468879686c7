"""A forked child: its parent's connections are not its own, whatever it does with them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

import streamkit
from streamkit.testing import Gate, Text

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def in_child(function: Callable[[], Any]) -> str:
    """Run it in a forked child; what it returned, or the name of what it raised."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(10)
            said = str(function())
        except BaseException as error:
            said = type(error).__name__
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the child died of {status}"
    return said


pytestmark = [
    pytestmark,
    # 3.12 and later warn of forking beside threads: that is what is tested.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
@pytest.mark.parametrize("act", ["iterate", "close", "delete", "cancel", "result"])
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_the_parents_stream_goes_on(ask, serve, tls, trusted, mode, act, secure):
    provider = serve([Text("one"), Gate(), Text(" two")], tls=tls if secure else None)
    holder = [ask(provider, mode)]
    pieces = iter(holder[0])
    assert next(pieces) == "one"
    provider.wait_gate()

    def child() -> str:
        if act == "iterate":
            return str(list(holder[0]))
        if act == "result":
            return str(holder[0].result())
        if act == "delete":
            holder.clear()
            return "quiet"
        getattr(holder[0], act)()
        return "quiet"

    said = in_child(child)
    assert said == ("ConcurrencyError" if act in ("iterate", "result") else "quiet")
    provider.release()
    assert list(pieces) == [" two"]
    assert holder[0].outcome == "completed"


def test_the_child_makes_connections_of_its_own(ask, serve):
    provider = serve([Text("Hi")])
    assert list(ask(provider)) == ["Hi"]
    assert provider.connections == 1
    assert in_child(lambda: list(ask(provider))) == "['Hi']"
    assert provider.connections == 2
    assert list(ask(provider)) == ["Hi"]
    assert provider.connections == 2, "the parent goes on with its own"


def test_the_process_wide_client_too(serve):
    provider = serve([Text("Hi")])

    def one() -> list[str]:
        return list(
            streamkit.stream("openai/m", "Hi", base_url=provider.base_url(), api_key="k" * 9)
        )

    assert one() == ["Hi"]
    assert in_child(one) == "['Hi']"
    assert one() == ["Hi"]
    assert provider.connections == 2
    streamkit.close()


def test_cancel_in_the_parent_reaches_the_server_although_a_child_holds_the_socket(ask, serve):
    provider = serve([Text("one"), Gate()])
    stream = ask(provider)
    pieces = iter(stream)
    next(pieces)
    provider.wait_gate()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    start = time.monotonic()
    pieces.close()
    assert provider.wait_disconnect() is not None
    assert time.monotonic() - start < 2
    os.close(write)
    os.close(read)
    os.waitpid(child, 0)


def test_a_lock_that_was_held_at_the_fork_does_not_hang_the_child(ask, serve):
    provider = serve([Text("one"), Gate(), Text(" two")])
    stream = ask(provider)
    pieces = iter(stream)
    next(pieces)
    link = stream._run._link
    with link._lock:
        assert in_child(lambda: (pieces.close(), "closed")[1]) == "closed"
    provider.wait_gate()
    provider.release()
    assert list(pieces) == [" two"]
