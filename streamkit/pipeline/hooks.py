"""
The user's callbacks, and the rules by which they are called.

Callbacks that receive the answer (text, chunk, batch) end the stream when they raise. Those that
only look on (metrics, progress, error, end) cannot: what they raise is logged, once per stream and
kind.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any

from streamkit.chunk import Attempt, Chunk, Result
from streamkit.flow.batch import Batch, BatchConfig, ChunkBatcher
from streamkit.observe.metrics import Metrics, MetricsConfig
from streamkit.observe.progress import Progress

__all__ = ["HOOKS", "Hooks"]

log = logging.getLogger("streamkit.pipeline")

Callback = Callable[[Any], Any]
HOOKS = (
    "on_text", "on_chunk", "on_batch", "on_metrics",
    "on_progress", "on_error", "on_end", "on_retry",
)  # fmt: skip

#: Progress is for people: more than ten updates a second are not seen (seeds: 100 ms).
PROGRESS_INTERVAL = 0.1


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
        self._metrics_due: float | None = None
        self._metrics_interval = 0.0
        self._progress_due = 0.0
        self._complained: set[str] = set()

    def begin(self, batch: BatchConfig | None, metrics: MetricsConfig | None) -> None:
        """The stream starts: set up what the registered callbacks need."""
        if self.on_batch:
            self._batcher = ChunkBatcher(batch or BatchConfig())
        if self.on_metrics and metrics is not None and metrics.enabled:
            self._metrics_interval = metrics.interval
            self._metrics_due = monotonic() + metrics.interval

    @property
    def any_content(self) -> bool:
        """Whether some callback receives the answer."""
        return bool(self.on_text or self.on_chunk or self.on_batch)

    def due(self) -> float | None:
        """The instant of the next timed call; None when nothing is timed."""
        batch = None if self._batcher is None else self._batcher.due()
        if batch is None or self._metrics_due is None:
            return self._metrics_due if batch is None else batch
        return min(batch, self._metrics_due)

    def overdue(self) -> bool:
        """Whether the time of some timed call has come; asked once per network read."""
        now = monotonic()
        if self._metrics_due is not None and now >= self._metrics_due:
            return True
        if self.on_progress and now >= self._progress_due:
            return True
        due = None if self._batcher is None else self._batcher.due()
        return due is not None and now >= due

    def deliver(self, chunks: list[Chunk], stopped: Callable[[], bool]) -> None:
        """
        Hand chunks to on_text, on_chunk and on_batch, in order; stops once ``stopped()``.

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
            finally:
                del chunks[handed:]
        if self._batcher is None:
            return
        if not stopped():
            self._batches(self._batcher.feed(chunks, monotonic()), stopped)
        elif not (self.on_text or self.on_chunk):
            chunks.clear()

    def tick(
        self,
        metrics: Callable[[], Metrics],
        progress: Callable[[], Progress],
        stopped: Callable[[], bool],
    ) -> None:
        """Make the timed calls whose time has come."""
        now = monotonic()
        if self._batcher is not None:
            self._batches(self._batcher.tick(now), stopped)
        if self._metrics_due is not None and now >= self._metrics_due:
            self._metrics_due = now + self._metrics_interval
            self._look("on_metrics", metrics())
        if self.on_progress and now >= self._progress_due:
            self._progress_due = now + PROGRESS_INTERVAL
            self._look("on_progress", progress())

    def flush(self, stopped: Callable[[], bool]) -> None:
        """Nothing more comes: the open batch is delivered, unless the stream was stopped."""
        if self._batcher is not None and not stopped():
            self._batches(self._batcher.flush(), stopped)

    def undelivered(self) -> int:
        """Forget the open batch; how many chunks in it reached no callback at all."""
        batcher, self._batcher = self._batcher, None
        if batcher is None or self.on_text or self.on_chunk:
            return 0
        return sum(len(batch.items) for batch in batcher.flush())

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

    def _batches(self, batches: list[Batch[Chunk]], stopped: Callable[[], bool]) -> None:
        for batch in batches:
            for call in self.on_batch:
                if stopped():
                    return
                call(batch.items)

    def _look(self, name: str, value: Any) -> None:
        for call in getattr(self, name):
            try:
                call(value)
            except Exception:
                if name not in self._complained:
                    self._complained.add(name)
                    log.exception("callback failed name=%s", name)
