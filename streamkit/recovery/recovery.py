"""
Recovery: whether a broken answer is carried on, and after how long.

Asked only once content has come. Before it, sending the same request again is safe, and that is
``retry``; after it, the user has seen text, and the next request must ask for the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from streamkit.errors import (
    ConfigurationError,
    ProviderError,
    RecoveryFailed,
    StreamkitError,
    StreamTimeout,
)
from streamkit.number import is_number
from streamkit.recovery.retry import is_retryable

if TYPE_CHECKING:
    from streamkit.store import StreamStore

__all__ = ["RecoveryConfig", "Strategy", "is_recoverable"]

Strategy = Literal["exact", "paragraph", "summarize"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecoveryConfig:
    """
    How a broken answer is carried on.

    Thread safety: **immutable**.

    Args:
        strategy: What the model is shown of its own answer, where it has to be asked to go on:
            ``exact`` all of it, ``paragraph`` all of it with the unfinished paragraph quoted,
            ``summarize`` the opening and the tail.
        max_retries: Requests after the one that brought the first content, at least 1. 3 as in the
            systems this library follows.
        store: URL of a store, or a store, that keeps what came while it comes, so that another
            process can carry on; None keeps nothing.
        ttl: Seconds the store keeps it after its end, above 0.
        id: Its name in the store; None is the stream's own id.

    Raises:
        ConfigurationError: A value that is impossible.
    """

    strategy: Strategy = "paragraph"
    max_retries: int = 3
    store: str | StreamStore | None = None
    ttl: float = 1800.0
    id: str | None = None

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise ConfigurationError(
                f"recovery strategy must be one of {', '.join(get_args(Strategy))}, "
                f"got {self.strategy!r}"
            )
        if type(self.max_retries) is not int or self.max_retries < 1:
            raise ConfigurationError(
                f"recovery max_retries must be a whole number of at least 1, "
                f"got {self.max_retries!r}"
            )
        if not (is_number(self.ttl) and 0 < self.ttl < math.inf):
            raise ConfigurationError(f"recovery ttl must be seconds above 0, got {self.ttl!r}")
        if self.id is not None and (not isinstance(self.id, str) or not self.id):
            raise ConfigurationError(f"recovery id must be text, got {self.id!r}")
        if self.id is not None and self.store is None:
            raise ConfigurationError("recovery id needs a store, got none")


def is_recoverable(error: BaseException | None) -> bool:
    """
    Whether the rest of a broken answer may be had: after the network, a clock, a cut, 5xx and 429.

    Not after the ``total`` clock, which bounds all attempts together. After RecoveryFailed another
    process, or a later moment, may do what these attempts did not, if what broke the last one says
    so.
    """
    if isinstance(error, StreamTimeout):
        return error.clock != "total"
    if isinstance(error, ProviderError) and "retryable" not in vars(error):
        return error.retryable or (error.status or 0) >= 500
    if isinstance(error, RecoveryFailed):
        return is_recoverable(error.__cause__)
    return isinstance(error, StreamkitError) and is_retryable(error)
