"""How far an answer has come: a frozen snapshot, and a tracker that makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from streamkit.callback import check_callable
from streamkit.errors import ConfigurationError
from streamkit.number import is_number

__all__ = ["Progress", "ProgressTracker"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """
    How far a stream has come.

    >>> at = Progress(tokens_received=50, elapsed=2.0, estimated_tokens=200)
    >>> at.percent, at.rate, at.remaining
    (25.0, 25.0, 6.0)

    Thread safety: **immutable**.

    Args:
        tokens_received: Tokens so far; without a tokenizer each chunk counts as one.
        elapsed: Seconds since the first use, up to the end.
        estimated_tokens: How many there may be in the end; None where nobody said.
        done: Whether this is the last of its stream.
    """

    tokens_received: int
    elapsed: float
    estimated_tokens: int | None = None
    done: bool = False

    @property
    def percent(self) -> float | None:
        """Received of estimated, at most 100: an estimate may be too low. None without one."""
        if not self.estimated_tokens:
            return None
        return min(100.0, self.tokens_received * 100.0 / self.estimated_tokens)

    @property
    def rate(self) -> float | None:
        """Tokens per second over the whole time; None before any time has passed."""
        return self.tokens_received / self.elapsed if self.elapsed > 0 else None

    @property
    def remaining(self) -> float | None:
        """Seconds still to go at this rate; 0.0 once done, None where that is unknown."""
        if self.done:
            return 0.0
        if not self.estimated_tokens or not self.rate:
            return None
        return max(0, self.estimated_tokens - self.tokens_received) / self.rate


class ProgressTracker:
    """
    Count tokens as they come, and say how far that is.

    >>> tracker = ProgressTracker(estimated_tokens=500)
    >>> tracker.update_tokens(10)
    >>> for text in ("Hello", " world"):
    ...     tracker.update(text)
    >>> tracker.snapshot().tokens_received
    12

    Thread safety: **shared**.

    Args:
        estimated_tokens: How many there may be, at least 1; None for unknown.
        tokenizer: Tokens in a text, for update(); None counts one for each text.
        clock: Gives monotonic seconds; time counts from here on.

    Raises:
        ConfigurationError: An estimate that is no number, or below 1; a tokenizer that cannot be
            called.
    """

    def __init__(
        self,
        estimated_tokens: int | None = None,
        *,
        tokenizer: Callable[[str], int] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        check_callable(tokenizer=tokenizer)
        self._tokenizer = tokenizer
        self._clock = clock
        self._lock = Lock()
        # Guarded by _lock: everything below.
        self._tokens = 0
        self._ended: float | None = None
        self.set_estimated_tokens(estimated_tokens)
        self._started = clock()

    def set_estimated_tokens(self, tokens: int | None) -> None:
        """
        How many tokens there may be in the end; at any time, None for unknown.

        Raises:
            ConfigurationError: No number, or less than 1.
        """
        if tokens is not None and not (is_number(tokens) and tokens >= 1):
            raise ConfigurationError(f"estimated_tokens must be at least 1, got {tokens!r}")
        with self._lock:
            self._estimated = tokens

    def update_tokens(self, tokens: int) -> None:
        """
        So many more tokens came.

        Raises:
            ConfigurationError: No number, or less than 0.
        """
        if not (is_number(tokens) and tokens >= 0):
            raise ConfigurationError(f"tokens must be at least 0, got {tokens!r}")
        with self._lock:
            self._tokens += tokens

    def update(self, text: str) -> None:
        """This text came; an empty one is nothing."""
        if text:
            self.update_tokens(1 if self._tokenizer is None else self._tokenizer(text))

    def finish(self) -> None:
        """Nothing more comes: time stands still, and snapshots say ``done``. Idempotent."""
        with self._lock:
            if self._ended is None:
                self._ended = self._clock()

    def snapshot(self) -> Progress:
        """How far it is now."""
        with self._lock:
            ended = self._ended
            return Progress(
                tokens_received=self._tokens,
                elapsed=(self._clock() if ended is None else ended) - self._started,
                estimated_tokens=self._estimated,
                done=ended is not None,
            )
