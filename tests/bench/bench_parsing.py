"""
The decoders on nasty input: one huge line that comes in small pieces.

Whoever searches or joins what it holds again with each piece needs four times as long for twice the
bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time
from typing import Any

from harness import Row, interleave, ratio, spread

from streamkit.wire import NDJSONDecoder, SSEDecoder

MIB = 1024 * 1024


def fed(new: Callable[[], Any], line: bytes, piece: int) -> float:
    """Seconds of CPU for one line in pieces of that size."""
    decoder = new()
    start = process_time()
    events = [
        event for at in range(0, len(line), piece) for event in decoder.feed(line[at : at + piece])
    ]
    took = process_time() - start
    assert len(events) == 1, f"one event was sent, {len(events)} came"
    return took


def run(quick: bool) -> list[Row]:
    """See the top of the file."""
    text = b"x" * (10 * MIB)
    lines: dict[str, Callable[[int], bytes]] = {
        "sse": lambda size: b"data: " + text[:size] + b"\n\n",
        "ndjson": lambda size: b'"' + text[:size] + b'"\n',
    }
    decoders: dict[str, Callable[[], Any]] = {"sse": SSEDecoder, "ndjson": NDJSONDecoder}
    rows = []
    for name, new in decoders.items():
        whole, half, tiny = lines[name](10 * MIB), lines[name](5 * MIB), lines[name](MIB // 4)
        runs = {
            "10 MiB": lambda new=new, line=whole: fed(new, line, 64),
            "5 MiB": lambda new=new, line=half: fed(new, line, 64),
            "256 KiB by 4": lambda new=new, line=tiny: fed(new, line, 4),
        }
        samples = interleave(runs, 3 if quick else 5)
        rows.append(
            Row(
                name=f"parsing/{name}/line",
                what="CPU of a line of 10 MiB over one of 5 MiB, in 64-byte pieces",
                value=ratio(samples, "10 MiB", "5 MiB"),
                unit="x",
                least=1.6,
                most=2.6,
                detail={key: spread(values, 4) for key, values in samples.items()},
            )
        )
        rows.append(
            Row(
                name=f"parsing/{name}/tiny",
                what="CPU per piece, a line of 256 KiB in 4-byte pieces",
                value=spread(samples["256 KiB by 4"], 9)["p50"] / (MIB // 16) * 1e6,
                unit="us",
            )
        )
    return rows
