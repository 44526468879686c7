"""CPU that a stream uses while the model is silent."""

from __future__ import annotations

from time import process_time
from typing import Any

from harness import Row, Server

import streamkit


def waiting(url: str, mode: Any) -> float:
    """Milliseconds of CPU, all threads, between two deltas."""
    stream = streamkit.stream(
        "openai/m", "Hi", base_url=url, api_key="k" * 20, mode=mode, on_metrics=lambda _: None
    )
    seen = [process_time() for _ in stream]
    assert len(seen) == 2, f"2 deltas were sent, {len(seen)} came"
    return (seen[1] - seen[0]) * 1000


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    seconds = 1 if quick else 3
    with Server() as server:
        url = server.url("pause", milliseconds=seconds * 1000)
        return [
            Row(
                name=f"idle/{mode}",
                what=f"CPU during {seconds} s of silence in mid-stream, {mode} with on_metrics",
                value=waiting(url, mode),
                unit="ms",
                most=20.0 * seconds / 3,
            )
            for mode in ("direct", "buffered", "managed")
        ]
