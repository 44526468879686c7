"""Words that options are given in: the modes, and what a misspelt name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

__all__ = ["Mode", "nearest"]

Mode = Literal["direct", "buffered", "managed"]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``; did you mean 'x'?`` for the closest known name, or "" where none is as close as that."""
    from difflib import get_close_matches  # for a mistake only

    close = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""
