"""How far a stream has come."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Progress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """
    How far a stream has come.

    Thread safety: **immutable**.

    Args:
        tokens_received: Chunks delivered, each counted as one token.
        elapsed: Seconds since the first use, up to the end.
    """

    tokens_received: int
    elapsed: float
