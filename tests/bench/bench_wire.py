"""
What it costs to turn bytes into events and events into values.

    python tests/bench/bench_wire.py [--json FILE] [--rounds N]

Decoders get events of 300 bytes in reads of one event and of 64 KiB, the baseline being one
``json.loads`` of the same event in the same run; then one long line in 4-byte pieces, in two
lengths, whose cost per byte must not grow. Figures are the best of the rounds, in microseconds.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from streamkit.wire import LineDecoder, NDJSONDecoder, SSEDecoder, SurrogateJoiner, parse

TEXT = json.dumps(
    {
        "id": "chatcmpl-0123456789012345678901234567890",
        "object": "chat.completion.chunk",
        "created": 1_721_075_651,
        "model": "a-model-with-a-date-2025-01-01",
        "system_fingerprint": "fp_0123456789",
        "choices": [
            {"index": 0, "delta": {"content": " word"}, "logprobs": None, "finish_reason": None}
        ],
    }
)
CHAT = f"data: {TEXT}\n\n".encode()
NAMED = b"event: content_block_delta\n" + CHAT
READ = 200


def feed(make: Callable[[], object], read: bytes) -> Callable[[int], float]:
    """Seconds for feeding ``read`` so many times."""

    def run(times: int) -> float:
        take = make().feed  # type: ignore[attr-defined]
        begin = perf_counter()
        for _ in range(times):
            take(read)
        return perf_counter() - begin

    return run


def call(function: Callable[[str], object], text: str) -> Callable[[int], float]:
    def run(times: int) -> float:
        begin = perf_counter()
        for _ in range(times):
            function(text)
        return perf_counter() - begin

    return run


def long_line(make: Callable[[], object], size: int) -> Callable[[int], float]:
    """Seconds for one line of ``size`` bytes that comes in pieces of 4."""

    def run(_: int) -> float:
        take = make().feed  # type: ignore[attr-defined]
        begin = perf_counter()
        take(b"data: ")
        for _ in range(size // 4):
            take(b"xxxx")
        take(b"\n\n")
        return perf_counter() - begin

    return run


#: Name -> (what runs, how often, how many events one run has).
CASES: dict[str, tuple[Callable[[int], float], int, int]] = {
    "json.loads, 300 bytes": (call(json.loads, TEXT), 2000, 1),
    "parse, 300 bytes": (call(parse, TEXT), 2000, 1),
    "json.loads, 56 KB": (call(json.loads, f"[{TEXT}{f',{TEXT}' * 199}]"), 10, 1),
    "parse, 56 KB": (call(parse, f"[{TEXT}{f',{TEXT}' * 199}]"), 10, 1),
    "SurrogateJoiner, ASCII": (call(SurrogateJoiner().feed, " word"), 2000, 1),
    "SurrogateJoiner, other": (call(SurrogateJoiner().feed, "größe"), 2000, 1),
    "SSE, one event a read": (feed(SSEDecoder, CHAT), 2000, 1),
    "SSE, 64 KiB reads": (feed(SSEDecoder, CHAT * READ), 20, READ),
    "SSE named, one event a read": (feed(SSEDecoder, NAMED), 2000, 1),
    "SSE named, 64 KiB reads": (feed(SSEDecoder, NAMED * READ), 20, READ),
    "SSE CRLF, one event a read": (feed(SSEDecoder, CHAT.replace(b"\n", b"\r\n")), 2000, 1),
    "SSE CRLF, 64 KiB reads": (feed(SSEDecoder, CHAT.replace(b"\n", b"\r\n") * READ), 20, READ),
    "NDJSON, one event a read": (feed(NDJSONDecoder, TEXT.encode() + b"\n"), 2000, 1),
    "lines, one event a read": (feed(LineDecoder, CHAT), 2000, 1),
    "SSE, 256 KiB line, per 4 bytes": (long_line(SSEDecoder, 2**18), 1, 2**16),
    "SSE, 4 MiB line, per 4 bytes": (long_line(SSEDecoder, 2**22), 1, 2**20),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    options.add_argument("--json", type=Path, help="also write the figures to this file")
    options.add_argument("--rounds", type=int, default=9)
    chosen = options.parse_args()
    best = dict.fromkeys(CASES, float("inf"))
    for _ in range(chosen.rounds):  # interleaved: a busy moment hits every case
        for name, (run, times, events) in CASES.items():
            best[name] = min(best[name], run(times) / times / events * 1e6)
    print(f"Python {platform.python_version()}, {platform.machine()}, event {len(CHAT)} bytes")
    for name, figure in best.items():
        print(f"{name:32} {figure:9.3f} us")
    if chosen.json:
        chosen.json.write_text(json.dumps({"microseconds": best}, indent=1) + "\n")


if __name__ == "__main__":
    main()
