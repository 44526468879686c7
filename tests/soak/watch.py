"""
What a run of the soak must not leave behind or say: threads, descriptors, memory, noise.

Threads, descriptors and streams are counted when nothing runs and every idle connection was closed,
and must not be more than before. Memory is judged by its slope: what the interpreter's own
allocator holds, in blocks per stream, over the second half of the run.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import sys
import threading
import warnings
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

from streamkit.pipeline.run import Run

__all__ = ["Census", "Noise", "leaks", "settled_census"]

#: Seconds for threads on their way out, and for sockets that are being closed.
GRACE = 5.0
#: A stream that leaked would leave some 300 blocks: its Run, Tail, counters, lists. What a run that
#: leaks nothing shows is 0.1, from caches that fill up (measured over 2,000 streams).
BLOCKS_PER_STREAM = 1.0
#: Freed memory goes back to the system in arenas, or not at all: the resident size of a run that
#: leaks nothing wanders. Ten MB is more than it was seen to (measured: under 4), and what a leak of
#: 2 KB per stream makes of 5,000 streams.
RSS_WANDERS = 10 << 20
RSS_PER_STREAM = 256
#: What must not be more than before, whenever nothing runs.
COUNTED = {"threads": "threads", "fds": "descriptors", "alive": "streams that are held"}
#: Too few streams tell nothing of a slope.
LEAST_STREAMS = 2000


@dataclass(frozen=True)
class Census:
    """What there is at a moment of rest."""

    streams: int
    threads: int
    fds: int
    rss: int
    blocks: int
    #: Streams that somebody still holds.
    alive: int = 0


def take_census(streams: int) -> Census:
    """Count everything, garbage aside."""
    gc.collect()
    fds = "/proc/self/fd"
    return Census(
        streams=streams,
        threads=threading.active_count(),
        fds=len(os.listdir(fds)) if os.path.isdir(fds) else 0,
        rss=_resident(),
        blocks=sys.getallocatedblocks(),
        alive=sum(isinstance(one, Run) for one in gc.get_objects()),
    )


def settled_census(streams: int, before: Census) -> Census:
    """The same, once there is no more of anything than before, or the grace is over."""
    until = monotonic() + GRACE
    while True:
        now = take_census(streams)
        rests = all(getattr(now, name) <= getattr(before, name) for name in COUNTED)
        if rests or monotonic() > until:
            return now
        sleep(0.01)


def _resident() -> int:
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return peak_rss()


def peak_rss() -> int:
    """The most this process ever had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def leaks(rounds: list[Census]) -> list[str]:
    """What grew; the first census is from before the first stream."""
    before, last = rounds[0], rounds[-1]
    found = []
    for number, now in enumerate(rounds[1:], 1):
        for name, what in COUNTED.items():
            was, is_now = getattr(before, name), getattr(now, name)
            if is_now > was:
                found.append(f"{was} {what} before, {is_now} after round {number}")
    middle = rounds[len(rounds) // 2]
    streams = last.streams - middle.streams
    if middle is before or streams < LEAST_STREAMS:
        return found
    if (last.blocks - middle.blocks) / streams > BLOCKS_PER_STREAM:
        found.append(f"{last.blocks - middle.blocks} blocks more after {streams} streams")
    if last.rss - middle.rss > RSS_WANDERS + RSS_PER_STREAM * streams:
        found.append(f"{(last.rss - middle.rss) >> 20} MB more after {streams} streams")
    return found


@dataclass
class Noise:
    """
    Every warning, log record over INFO and unhandled exception of this process; ``with`` listens.

    Thread safety: **shared**.
    """

    heard: list[str] = field(default_factory=list)
    #: ResourceWarnings of streams that were dropped while they ran.
    dropped: int = 0

    def __enter__(self) -> Noise:
        self._before = (threading.excepthook, sys.unraisablehook, warnings.showwarning)
        self._filters = warnings.filters[:]
        threading.excepthook = lambda args: self._failed("thread", args)
        sys.unraisablehook = lambda args: self._failed("unraisable", args)
        warnings.showwarning = self._warned  # type: ignore[assignment]
        warnings.simplefilter("always")
        self._handler = _Ear(self)
        logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._handler)
        warnings.filters[:] = self._filters  # type: ignore[index]
        threading.excepthook, sys.unraisablehook, warnings.showwarning = self._before

    def _failed(self, where: str, args: Any) -> None:
        error = args.exc_value
        trace = error.__traceback__ if error is not None else None
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        at = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        self.heard.append(f"{where}: {error!r}{at}")

    def _warned(self, message: Any, category: Any, *_: Any) -> None:
        if category is ResourceWarning and "unclosed stream " in str(message):
            self.dropped += 1
        else:
            self.heard.append(f"{category.__name__}: {message}")


#: What FlowConfig(errors="count") says of a callback, and a stream of bytes that are no UTF-8.
_EXPECTED = ("callback failed, goes on", "bad bytes let pass ")


class _Ear(logging.Handler):
    def __init__(self, noise: Noise) -> None:
        super().__init__(logging.WARNING)
        self._noise = noise

    def emit(self, record: logging.LogRecord) -> None:
        if not record.getMessage().startswith(_EXPECTED):
            self._noise.heard.append(f"{record.name}: {record.getMessage()}")
