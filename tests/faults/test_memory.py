"""No memory left, in the user's code and in ours: the error comes out, nothing hangs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import streamkit.providers.openai as dialect
from streamkit.testing import Gate, Hang, LocalProvider, Raw, Repeat, Text

MODES = ("direct", "buffered", "managed")

#: An event far larger than the memory there is, then a small answer.
STARVED = """
import os, resource, sys
import streamkit
url, mode = sys.argv[1], sys.argv[2]
with open("/proc/self/statm") as numbers:
    pages = int(numbers.read().split()[0])
limits = streamkit.Limits(event=1 << 30, answer=1 << 30)

def ask():
    return streamkit.stream(
        "openai/x", "hi", base_url=url, api_key="sk-test", mode=mode, retry=None,
        options=streamkit.StreamOptions(limits=limits))

assert ask().result().text == "warm"
room = pages * os.sysconf("SC_PAGE_SIZE") + (128 << 20)
resource.setrlimit(resource.RLIMIT_AS, (room, room))
stream = ask()
text = []
try:
    for piece in stream:
        text.append(piece)
except MemoryError:
    print("MemoryError", *text, stream.outcome)
print(ask().result().text)
"""


@pytest.mark.parametrize("mode", MODES)
def test_a_callback_without_memory_ends_the_stream(ask: Any, serve: Any, mode: str) -> None:
    server = serve([Text("one"), Gate(), Text(" two"), Hang()])
    error = MemoryError("mine")

    def starve(text: str) -> None:
        raise error

    stream = ask(server, mode).on_text(starve)
    with pytest.raises(MemoryError) as caught:
        stream.wait()
    assert caught.value is error and stream.outcome == "failed"
    assert server.wait_disconnect() is not None


@pytest.mark.parametrize("mode", MODES)
def test_a_parser_without_memory_ends_the_stream_behind_its_text(
    ask: Any, serve: Any, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = dialect.parse

    def starve(data: str) -> Any:
        if "two" in data:
            raise MemoryError
        return parse(data)

    monkeypatch.setattr(dialect, "parse", starve)
    server = serve([Text("one"), Text(" two"), Hang()])
    stream = ask(server, mode)
    pieces: list[str] = []
    with pytest.raises(MemoryError):
        for piece in stream:
            pieces.append(piece)
    assert "".join(pieces) == "one" == stream.partial.text
    assert stream.outcome == "failed"
    assert server.wait_disconnect() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS does nothing elsewhere")
@pytest.mark.parametrize("mode", MODES)
def test_an_event_larger_than_the_memory_is_an_error_and_the_next_stream_works(mode: str) -> None:
    vast = [Text("one"), Raw("data: "), Repeat([Raw(b"x" * (1 << 20))], times=900), Raw("\n\n")]
    with LocalProvider(scripts=[[Text("warm")], vast, [Text("next")]]) as server:
        command = [sys.executable, "-W", "error", "-c", STARVED, server.base_url(), mode]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("MemoryError one failed\nnext\n", "")
