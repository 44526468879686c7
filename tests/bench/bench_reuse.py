"""Ten streams, one after the other, on how many TCP connections."""

from __future__ import annotations

from typing import Any

from harness import Row, Server

import streamkit

TIMES = 10


def connections(mode: Any) -> int:
    """How many the server saw."""
    with Server() as server:
        url = server.url("fast", count=20)
        for _ in range(TIMES):
            texts = streamkit.stream("openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode)
            assert sum(1 for _ in texts) == 20
        seen: int = server.stats()["connections"]
        return seen


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    return [
        Row(
            name=f"reuse/{mode}",
            what=f"TCP connections of {TIMES} streams one after the other, {mode}",
            value=connections(mode),
            unit="",
            most=1,
        )
        for mode in ("direct", "buffered")
    ]
