"""How fast a stream is handed out: the rate limiter, told what a chunk weighs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic, time

from streamkit.chunk import Chunk
from streamkit.flow.limiter import RateConfig
from streamkit.latch import Latch
from streamkit.pipeline.account import Tokenizer, number_of
from streamkit.pipeline.bundle import opened
from streamkit.pipeline.producer import deltas

__all__ = ["Pace"]


class Pace:
    """
    Chunks wait here for their turn, in order; all but text goes at once.

    What the ring has merged meanwhile comes apart here: each piece waits for its own turn, so that
    it looks as if nothing had been merged, and none is heavier than what the provider sent.

    Thread safety: **confined** to the drainer.

    Args:
        config: The rate, and what is counted.
        tokenizer: Counts the tokens of a text; None takes each delta for one.
    """

    def __init__(self, config: RateConfig, tokenizer: Tokenizer | None) -> None:
        self._limiter = config.limiter()
        self._weigh: Callable[[Chunk], float] = deltas
        if config.weigh == "characters":
            self._weigh = lambda chunk: len(chunk.content)
        elif tokenizer is not None:
            self._weigh = lambda chunk: number_of(tokenizer(chunk.content))
        self._line: deque[Chunk] = deque()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._line

    def add(self, chunks: list[Chunk]) -> None:
        """These were taken out of the ring."""
        self._line += opened(chunks)

    def clear(self) -> None:
        """The stream has ended: what waits never goes."""
        self._line.clear()

    def next(self, timeout: float | None, ended: Latch) -> list[Chunk]:
        """
        The next of the line, once it may go; [] when it may not in time, or the stream ended.

        Blocks as long as the rate asks for; the end of the stream wakes it at once.
        """
        chunk = self._line[0]
        if chunk.kind == "text" and chunk.content:
            age = max(0.0, time() - chunk.timestamp)
            patience = _Patience(ended, timeout)
            if not self._limiter.wait(self._weigh(chunk), age=age, cancelled=patience):
                return []
        return [self._line.popleft()]


class _Patience:
    """What ends a wait of the limiter: the end of the stream, or of the caller's time."""

    def __init__(self, ended: Latch, timeout: float | None) -> None:
        self._ended = ended
        self._end = None if timeout is None else monotonic() + timeout

    def wait(self, timeout: float, /) -> bool:
        if self._end is None:
            return self._ended.wait(timeout)
        left = self._end - monotonic()
        return left <= 0 or self._ended.wait(min(timeout, left)) or left <= timeout
