"""
What can be told of a stream while it runs and after: its numbers, and its Result.

Any thread may ask, and so may a signal handler or a cancel that has interrupted its own thread
anywhere, inside the ring's lock as well: nothing here waits for a lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from time import monotonic

from streamkit.chunk import Chunk, Outcome, Result
from streamkit.flow.ring import StreamBuffer
from streamkit.flow.watch import Backpressure
from streamkit.latch import Latch
from streamkit.observe.counters import Counters
from streamkit.observe.metrics import Metrics
from streamkit.observe.progress import Progress
from streamkit.pipeline.account import Account
from streamkit.pipeline.attempts import Attempts
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.tail import new_tail
from streamkit.request import Call
from streamkit.stages.stop import StopConfig

__all__ = ["Report", "counted"]


class Report:
    """
    The part of a Run that keeps account; the rest of it, in run.py, makes things happen.

    Thread safety: **shared**; what is not, says so.
    """

    def __init__(
        self,
        options: StreamOptions,
        *,
        provider: str,
        model: str,
        stages: Sequence[str] = (),
        call: Call | None = None,
        cached_apart: bool = False,
    ) -> None:
        self.id = os.urandom(8).hex()
        self.provider = provider
        self.model = model
        self.options = options
        self.counters = Counters(options.metrics)
        self.ended = Latch()
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        #: What a loop has taken out and is going through; a list's own iterator.
        self.rest: Iterator[Chunk] | None = None
        self._account = Account(
            call,
            provider=provider,
            model=model,
            price=options.price,
            tokenizer=options.tokenizer,
            cached_apart=cached_apart,
        )
        stop = options.stop_when
        costs = isinstance(stop, StopConfig) and stop.max_cost is not None
        self.tail = new_tail(options, stages, cost=self._account.meter() if costs else None)
        #: How many tokens there may be at most: the only thing known of the length beforehand.
        self._estimate = None if call is None else call.max_tokens
        self._attempts: Attempts | None = None
        self._ring: StreamBuffer[Chunk] | None = None
        self._pressure: Backpressure | None = None
        #: What the reader ended with; not what a callback did.
        self._failure: BaseException | None = None
        #: What the source lets pass; see Source.
        self._let_pass: Mapping[str, float] = {}
        self._result: Result | None = None

    def result(self) -> Result:
        """The Result so far, or the final one."""
        if self._result is not None:
            return self._result
        if not self.ended.is_set:
            return self._snapshot(self.outcome)
        self._result = self.settled_result(self.outcome)
        return self._result

    def settled_result(self, outcome: Outcome | None) -> Result:
        """All that came, with what it used and cost, as it is when it ends with that outcome."""
        answered = self._attempts is not None and self._attempts.answered
        tail = self.tail
        return self._account.settle(
            self._snapshot(outcome), tail.details, answered=answered, earlier=tail.earlier
        )

    def _snapshot(self, outcome: Outcome | None) -> Result:
        return self.tail.result(
            outcome=outcome,
            request_id=self.request_id,
            metrics=self.metrics(),
            attempts=() if self._attempts is None else self._attempts.made,
            dropped=self.dropped,
        )

    @property
    def dropped(self) -> int:
        """Chunks the consumer never got: shed by the buffer policy, or left by a cancel."""
        if self.ended.is_set and (self.outcome == "cancelled" or self.error is not self._failure):
            # Stopped by the consumer: what was on its way, wherever it was, reached nobody.
            counters = self.counters
            return counters.chunks_received - self.delivered - self._merged
        return 0 if self._ring is None else self._ring.dropped

    @property
    def _merged(self) -> int:
        # What the ring merges for the pace comes apart again.
        return 0 if self._ring is None or self.options.rate is not None else self._ring.merged

    @property
    def delivered(self) -> int:
        """Chunks handed out; those a loop has taken but not come to yet are not."""
        rest = self.rest
        return self.counters.chunks_delivered - (0 if rest is None else counted(copy(rest)))

    @property
    def request_id(self) -> str | None:
        """The provider's id of the last request."""
        return None if self._attempts is None else self._attempts.request_id

    def metrics(self) -> Metrics:
        """The numbers so far."""
        ring, counters = self._ring, self.counters
        tally = {**self._let_pass, **self.tail.tally()}
        if ring is not None:
            counters.backpressure_events, counters.time_paused = self._stood_still(ring)
        metrics = counters.snapshot(
            monotonic(),
            stream_id=self.id,
            provider=self.provider,
            model=self.model,
            dropped=self.dropped,
            merged=self._merged,
            delivered=self.delivered,
            buffer_size=0 if ring is None else len(ring),
            buffer_peak=0 if ring is None else ring.peak,
            buffer_capacity=0 if ring is None else ring.capacity,
            buffer_resizes=0 if ring is None else ring.resizes,
        )
        return replace(metrics, counters={**tally, **metrics.counters}) if tally else metrics

    def _stood_still(self, ring: StreamBuffer[Chunk]) -> tuple[int, float]:
        """How often the read waited for the consumer, and the seconds it did."""
        # Not stats(), which takes the ring's lock (see the top).
        waits, seconds = ring.waited
        pressure = self._pressure
        if pressure is None:
            return waits, seconds
        return waits + pressure.events, seconds + pressure.time_paused

    def progress(self) -> Progress:
        """How far the answer has come."""
        return Progress(
            tokens_received=self.tail.deltas,
            elapsed=self.counters.elapsed(monotonic()),
            estimated_tokens=self._estimate,
            done=self.ended.is_set,
        )


def counted(chunks: Iterable[Chunk]) -> int:
    """How many were received; gaps never were."""
    return sum(chunk.kind != "gap" for chunk in chunks)
