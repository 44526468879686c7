"""Many streams in one process: every text exact, every connection and thread gone."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from streamkit.testing import Gate, Text

STREAMS = 200


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_200_streams_that_run_at_the_same_time_do_not_mix(ask: Any, serve: Any, mode: str) -> None:
    """All are open at once: none is let go on before the last has begun."""

    def answer(request: Any) -> Any:
        name = request.json["messages"][-1]["content"]
        return [Text(f"{name} begins."), Gate(), Text(f" {name} drips to its end.", size=4)]

    server = serve(answer)
    url = server.base_url()
    texts: dict[str, str] = {}

    def read(name: str) -> None:
        stream = ask.client.stream("openai/m", name, base_url=url, mode=mode, retry=None)
        texts[name] = "".join(stream)

    names = [f"stream {number}" for number in range(STREAMS)]
    readers = [threading.Thread(target=read, args=(name,), daemon=True) for name in names]
    for reader in readers:
        reader.start()
    server.wait_gate(STREAMS, timeout=30)
    server.release(STREAMS)
    for reader in readers:
        reader.join(30)
    assert texts == {name: f"{name} begins. {name} drips to its end." for name in names}
    ask.client.close()
    assert server.wait_idle()
