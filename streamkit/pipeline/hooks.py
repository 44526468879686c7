"""
The user's callbacks, and the rules by which they are called.

Callbacks that receive the answer (text, chunk, batch) end the stream when they raise. Those that
only look on (metrics, progress, error, end) cannot: what they raise is logged, once per stream and
kind. In managed mode it is watched how long the former take. If FlowConfig.errors is ``count``,
what they raise is counted, in any mode, and ends nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from streamkit.chunk import Attempt, Chunk, Result
from streamkit.flow.batch import Batch, BatchConfig, ChunkBatcher
from streamkit.flow.watch import ConsumerWatch, FlowEvent
from streamkit.observe.counters import Counters
from streamkit.observe.metrics import Metrics
from streamkit.observe.progress import Progress
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.report import counted

__all__ = ["HOOKS", "Hooks", "length"]

log = logging.getLogger("streamkit.pipeline")

Callback = Callable[[Any], Any]
HOOKS = (
    "on_text", "on_chunk", "on_batch", "on_metrics",
    "on_progress", "on_error", "on_end", "on_retry",
)  # fmt: skip


class Hooks:
    """
    The callbacks of one stream.

    Thread safety: **confined** to the drainer once the stream runs; filled before.
    """

    def __init__(self) -> None:
        self.on_text: list[Callback] = []
        self.on_chunk: list[Callback] = []
        self.on_batch: list[Callback] = []
        self.on_metrics: list[Callback] = []
        self.on_progress: list[Callback] = []
        self.on_error: list[Callback] = []
        self.on_end: list[Callback] = []
        self.on_retry: list[Callback] = []
        self._batcher: ChunkBatcher[Chunk] | None = None
        #: Batches that are complete, and about to be handed out.
        self._ready: deque[Batch[Chunk]] = deque()
        self._metrics_due: float | None = None
        self._metrics_interval = 0.0
        self._progress_due = 0.0
        self._progress_interval = 0.0
        self._complained: set[str] = set()

    def begin(self, options: StreamOptions, counters: Counters) -> None:
        """The stream starts: set up what the registered callbacks need."""
        if self.on_batch:
            self._batcher = ChunkBatcher(options.batch or BatchConfig(), size_of=length)
        metrics, flow = options.metrics, options.flow
        if self.on_metrics and metrics is not None and metrics.enabled:
            self._metrics_interval = metrics.interval
            self._metrics_due = monotonic() + metrics.interval
        self._progress_interval = options.progress_interval
        managed = options.mode == "managed"
        if flow is not None and (managed or flow.errors == "count"):
            # Slow calls are noticed in managed mode only.
            flow = flow if managed else replace(flow, enabled=False)
            watch = ConsumerWatch(flow, on_event=partial(_note, counters, flow.errors))
            for name in ("on_text", "on_chunk", "on_batch"):
                setattr(self, name, [partial(watch.call, call) for call in getattr(self, name)])

    @property
    def any_content(self) -> bool:
        """Whether some callback receives the answer."""
        return bool(self.on_text or self.on_chunk or self.on_batch)

    @property
    def any_reports(self) -> bool:
        """Whether some callback wants numbers while the stream runs."""
        return bool(self._metrics_due is not None or self.on_progress)

    def due(self) -> float | None:
        """The instant of the next timed call; None when nothing is timed."""
        batch = None if self._batcher is None else self._batcher.due()
        if batch is None or self._metrics_due is None:
            return self._metrics_due if batch is None else batch
        return min(batch, self._metrics_due)

    def overdue(self) -> bool:
        """Whether the time of some timed call has come; asked once per network read."""
        now = monotonic()
        due = None if self._batcher is None else self._batcher.due()
        return (due is not None and now >= due) or self.reports_due(now)

    def reports_due(self, now: float) -> bool:
        """Whether on_metrics or on_progress is to be called; asked after each call of the user."""
        if self._metrics_due is not None and now >= self._metrics_due:
            return True
        return bool(self.on_progress) and now >= self._progress_due

    def deliver(
        self,
        chunks: list[Chunk],
        stopped: Callable[[], bool],
        between: Callable[[], None] | None = None,
    ) -> None:
        """
        Hand chunks to on_text, on_chunk and on_batch, in order; stops once ``stopped()``.

        ``between`` is called after each chunk and each batch: they may take long.

        What was not handed out, because of that or of a callback that raised, is taken off the
        list; what waits in an open batch stays on it (``undelivered`` tells of it).
        """
        if self.on_text or self.on_chunk:
            handed = 0
            try:
                for chunk in chunks:
                    if stopped():
                        break
                    handed += 1
                    for call in self.on_chunk:
                        call(chunk)
                    if chunk.kind == "text" and chunk.content:
                        for call in self.on_text:
                            call(chunk.content)
                    if between is not None:
                        between()
            finally:
                del chunks[handed:]
        if self._batcher is None:
            return
        if not stopped():
            self._batches(self._batcher.feed(chunks, monotonic()), stopped, between)
        elif not (self.on_text or self.on_chunk):
            chunks.clear()

    def tick(
        self,
        metrics: Callable[[], Metrics],
        progress: Callable[[], Progress],
        stopped: Callable[[], bool],
    ) -> None:
        """Make the timed calls whose time has come."""
        if self._batcher is not None:
            self._batches(self._batcher.tick(monotonic()), stopped)
        self.report(metrics, progress)

    def report(self, metrics: Callable[[], Metrics], progress: Callable[[], Progress]) -> None:
        """on_metrics and on_progress, if their time has come; raises nothing of theirs."""
        now = monotonic()
        if self._metrics_due is not None and now >= self._metrics_due:
            self._metrics_due = now + self._metrics_interval
            self._look_on("on_metrics", metrics())
        if self.on_progress and now >= self._progress_due:
            self._progress_due = now + self._progress_interval
            self._look_on("on_progress", progress())

    def flush(self, stopped: Callable[[], bool]) -> None:
        """Nothing more comes: the open batch is delivered, unless the stream was stopped."""
        if self._batcher is not None and not stopped():
            self._batches(self._batcher.close(), stopped)

    def undelivered(self) -> int:
        """Forget the batches that were not handed out; how many chunks reached no callback."""
        batcher, self._batcher = self._batcher, None
        if batcher is None or self.on_text or self.on_chunk:
            return 0
        return sum(map(counted, [*self._ready, *batcher.flush()]))

    def deliver_final(self, chunk: Chunk, stopped: Callable[[], bool]) -> None:
        """The ``done`` chunk goes to on_chunk, after everything else."""
        for call in self.on_chunk:
            if not stopped():
                call(chunk)

    def retrying(self, attempt: Attempt) -> None:
        """A request failed and will be sent again; runs in the reading thread."""
        for call in self.on_retry:
            call(attempt)

    def finish(
        self,
        result: Callable[[], Result],
        metrics: Callable[[], Metrics],
        progress: Callable[[], Progress],
        error: BaseException | None,
    ) -> None:
        """The last calls: metrics, progress, the error if any, and the Result. Then let all go."""
        if self._metrics_due is not None:
            self._look("on_metrics", metrics())
        if self.on_progress:
            self._look("on_progress", progress())
        if error is not None:
            self._look("on_error", error)
        if self.on_end:
            self._look("on_end", result())
        for name in HOOKS:
            setattr(self, name, [])
        self._batcher = None

    def _batches(
        self,
        batches: list[Batch[Chunk]],
        stopped: Callable[[], bool],
        between: Callable[[], None] | None = None,
    ) -> None:
        self._ready += batches
        while self._ready and not stopped():
            batch = self._ready.popleft()
            began = monotonic()
            for call in self.on_batch:
                if stopped():
                    return
                call(batch)
            if self._batcher is not None:
                self._batcher.handled(monotonic() - began)
            if between is not None:
                between()

    def _look_on(self, name: str, value: Metrics | Progress) -> None:
        if not value.done:  # else it was cancelled just now: finish() gives the last numbers, once
            self._look(name, value)

    def _look(self, name: str, value: Any) -> None:
        for call in getattr(self, name):
            try:
                call(value)
            except Exception:
                if name not in self._complained:
                    self._complained.add(name)
                    log.exception("callback failed name=%s", name)


def length(chunk: Chunk) -> int:
    """Characters of content: how large the batcher takes a chunk to be."""
    return len(chunk.content)


def _note(counters: Counters, errors: str, event: FlowEvent) -> None:
    """What the watch of the consumer saw."""
    if event.kind == "slow":
        counters.slow(event.value)
    elif event.kind == "error" and errors == "count":  # else it ends the stream
        if not counters.consumer_errors:
            log.warning("callback failed, goes on", exc_info=event.error)
        counters.consumer_errors += 1
