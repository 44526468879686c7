"""One chunk at a time, or what is there: what ``get()`` and ``poll()`` of a stream do."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic

from streamkit.chunk import Chunk
from streamkit.pipeline.consumer import Drain, open_drain
from streamkit.pipeline.run import Run

__all__ = ["Pull", "check_timeout"]

#: Chunks of our own making, which no provider sent.
UNCOUNTED = ("done", "gap")


class Pull:
    """
    A drain that is opened at the first use, and a pocket for what it gave and nobody took yet.

    Thread safety: as Stream.get(): calls from two threads at once raise ConcurrencyError.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._drain: Drain | None = None
        self._pocket: deque[Chunk] = deque()
        #: What poll() met while it still had chunks to give.
        self._owed: Exception | None = None
        #: When get() gave a chunk, which the user has been at since; None where nobody asks.
        self._gave: float | None = None

    @property
    def holds(self) -> bool:
        """Whether there is something to give yet, if only an error."""
        return bool(self._pocket) or self._owed is not None

    def get(self, timeout: float | None) -> Chunk | None:
        """See Stream.get()."""
        if self._gave is not None and self._drain is not None:
            self._drain.handled(self._gave)
            self._gave = None
        pocket = self._kept()
        while not pocket:
            self._raise_owed()
            try:
                more = self._fill(timeout)
            except KeyboardInterrupt:
                self._run.cancel("interrupted")  # it may have come just outside the drain
                raise
            if not more and not pocket:
                if self._run.ended.is_set:
                    return None
                if timeout is not None:
                    raise TimeoutError(f"no chunk within {timeout:g} s")
        chunk = pocket.popleft()
        self._run.counters.chunks_delivered += chunk.kind not in UNCOUNTED
        if self._drain is not None and self._drain.watches:
            self._gave = monotonic()
        return chunk

    def poll(self, max_items: int | None) -> list[Chunk]:
        """See Stream.poll()."""
        pocket = self._kept()
        # Bounded without max_items too: a provider may fill the buffer as fast as we empty it.
        wanted = 1 if max_items is not None else self._run.options.buffer.capacity
        # While something is held, only what is there: the end comes when everything was given out,
        # so that on_end is last and the Result counts it all.
        while not pocket or (len(pocket) < wanted and self._run.has_more):
            try:
                if not self._fill(0.0, wait=False):
                    break
            except Exception as error:
                if not pocket:
                    raise
                self._owed = error
                break
        if not pocket:
            self._raise_owed()
        count = len(pocket) if max_items is None else min(max_items, len(pocket))
        taken = [pocket.popleft() for _ in range(count)]
        self._run.counters.chunks_delivered += sum(c.kind not in UNCOUNTED for c in taken)
        return taken

    def _raise_owed(self) -> None:
        owed, self._owed = self._owed, None
        if owed is not None:
            raise owed

    def _fill(self, timeout: float | None, *, wait: bool = True) -> bool:
        """Take what comes next into the pocket; False when none came in time or none will."""
        drain = self._opened()
        if drain is None:
            return False
        chunks = drain.next(timeout)
        if chunks is None:
            drain.end(wait=wait)
            if drain.final is not None:
                self._pocket.append(drain.final)
        self._pocket.extend(chunks or ())
        return bool(chunks)

    def _kept(self) -> deque[Chunk]:
        """What was taken and not given out; a cancel throws it away."""
        if self._run.outcome == "cancelled":
            self._pocket.clear()
        return self._pocket

    def _opened(self) -> Drain | None:
        """The drain that all calls share; None once the stream has ended."""
        if self._drain is None:
            self._drain = open_drain(self._run)
        elif self._run.ended.is_set:
            self._run.check_process()
            return None
        return self._drain


def check_timeout(timeout: float | None) -> None:
    """
    Refuse what is no number of seconds, 0 or more, and not None.

    Raises:
        ValueError: It is something else.
    """
    if timeout is None:
        return
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not number or not 0 <= timeout <= threading.TIMEOUT_MAX:
        raise ValueError(f"timeout must be seconds, 0 or more, or None, got {timeout!r}")
