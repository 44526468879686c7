"""
Stages one behind the other, driven as one.

How a stage ends a stream: it never raises. What it has to say waits in ``error`` or ``stopped``,
and from then on it gives nothing, so that all that came out before is delivered first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from streamkit.chunk import Chunk
from streamkit.stages.base import Stage
from streamkit.stages.basic import fit
from streamkit.stages.regroup import Regroup

__all__ = ["Clocked", "Guarded", "Line"]


class Line:
    """
    A row of stages: what the first gives, the second gets.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = list(stages)
        self._timed: list[tuple[int, Any]] = [
            (at, stage)
            for at, stage in enumerate(stages)
            if hasattr(stage, "tick") and not isinstance(stage, Regroup)  # that comes in a Clocked
        ]
        self._ending: list[Any] = [stage for stage in stages if hasattr(stage, "error")]
        self._stopping: list[Any] = [stage for stage in stages if hasattr(stage, "stopped")]

    @property
    def is_empty(self) -> bool:
        """Whether there is no stage."""
        return not self._stages

    @property
    def is_timed(self) -> bool:
        """Whether some stage wants tick()."""
        return bool(self._timed)

    @property
    def error(self) -> BaseException | None:
        """What a stage ended the stream with."""
        return next((stage.error for stage in self._ending if stage.error is not None), None)

    @property
    def stopped(self) -> str | None:
        """Why a stage ended the answer; None while none did."""
        return next((stage.stopped for stage in self._stopping if stage.stopped), None)

    @property
    def ended(self) -> bool:
        """Whether a stage ended the stream, either way."""
        return bool((self._ending and self.error is not None) or (self._stopping and self.stopped))

    def total(self, name: str) -> int:
        """The sum of a count that stages of ours keep; any thread."""
        counts = (getattr(stage, name, 0) for stage in self._ending)
        return sum(count for count in counts if isinstance(count, int))

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """Take chunks, give those that come out at the other end."""
        return self._feed(chunks, 0)

    def flush(self) -> list[Chunk]:
        """The end of an attempt -> what any stage held back."""
        held: list[Chunk] = []
        for stage in self._stages:
            held = (stage.feed(held) if held else []) + stage.flush()
        return held

    def flush_some(self, first: int, last: int) -> list[Chunk]:
        """What the stages from ``first`` up to ``last`` held back, led through those after them."""
        held: list[Chunk] = []
        for stage in self._stages[first:last]:
            held = (stage.feed(held) if held else []) + stage.flush()
        return self._feed(held, last) if held else []

    def due(self) -> float | None:
        """The instant at which tick() has something to do; None while there is none."""
        return min(
            (due for _, stage in self._timed if (due := stage.due()) is not None), default=None
        )

    def tick(self, now: float) -> list[Chunk]:
        """It is that late, by the monotonic clock -> what is no longer held back."""
        out: list[Chunk] = []
        for at, stage in self._timed:
            out += self._feed(stage.tick(now), at + 1)
        return out

    def _feed(self, chunks: list[Chunk], at: int) -> list[Chunk]:
        for stage in self._stages[at:]:
            chunks = stage.feed(chunks)
        return chunks


class Clocked:
    """
    Regroup, told with its chunks what time it is: that of the last tick.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, stage: Regroup) -> None:
        self._stage = stage
        self._now: float | None = None
        self.flush = stage.flush
        self.due = stage.due

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """See Stage."""
        return self._stage.feed(chunks, self._now)

    def tick(self, now: float) -> list[Chunk]:
        """See Stage."""
        self._now = now
        return self._stage.tick(now)


class Guarded:
    """
    A stage that holds what another one raises, a user's own, and refuses what is no chunk.

    It feeds it chunk by chunk, so that those before the one it raised at are not lost.

    Thread safety: **confined** to the reading thread.

    Args:
        stage: The other one.
        name: The keyword it was given for.
    """

    def __init__(self, stage: Stage, name: str) -> None:
        self._stage = stage
        self._name = name
        self.error: BaseException | None = None

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """See Stage."""
        out: list[Chunk] = []
        for chunk in chunks:
            out += self._hold(partial(self._stage.feed, [chunk]), chunk)
        return out

    def flush(self) -> list[Chunk]:
        """See Stage."""
        return self._hold(self._stage.flush)

    def due(self) -> float | None:
        """See Stage; the stage inside may know no time."""
        due = getattr(self._stage, "due", None)
        return None if due is None or self.error is not None else due()

    def tick(self, now: float) -> list[Chunk]:
        """See Stage."""
        tick = getattr(self._stage, "tick", None)
        return [] if tick is None else self._hold(partial(tick, now))

    def _hold(self, work: Callable[[], list[Chunk]], given: Chunk | None = None) -> list[Chunk]:
        if self.error is not None:
            return []
        try:
            made: Any = work()
            if not isinstance(made, Iterable):
                raise TypeError(
                    f"{self._name} must give a list of Chunks, got a {type(made).__name__}"
                )
            return [fit(self._name, chunk, given) for chunk in made]
        except Exception as error:
            self.error = error
            return []
