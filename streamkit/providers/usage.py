"""
The providers' token counts, in one vocabulary: one table of places per dialect.

Source: WIRE_FORMATS.md section 15. A usage object is a state and not an increment: the last wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamkit.chunk import Usage

__all__ = ["CHAT", "MESSAGES", "OLLAMA", "read_usage"]

Places = Mapping[str, tuple[tuple[str, ...], ...]]

#: Field of Usage -> paths into the raw object, the first that holds a count wins.
CHAT: Places = {
    "input_tokens": (("prompt_tokens",),),
    "output_tokens": (("completion_tokens",),),
    "total_tokens": (("total_tokens",),),
    # The flat forms: Together.
    "reasoning_tokens": (("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    "cached_input_tokens": (
        ("prompt_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),  # DeepSeek
        ("cached_tokens",),
    ),
}

MESSAGES: Places = {
    "input_tokens": (("input_tokens",),),
    "output_tokens": (("output_tokens",),),
    "reasoning_tokens": (("output_tokens_details", "thinking_tokens"),),
    "cached_input_tokens": (("cache_read_input_tokens",),),
    "cache_write_input_tokens": (("cache_creation_input_tokens",),),
}

OLLAMA: Places = {
    "input_tokens": (("prompt_eval_count",),),
    "output_tokens": (("eval_count",),),
}


def read_usage(raw: Mapping[str, Any], places: Places) -> Usage:
    """
    The counts a raw usage object holds; None where it is silent or holds no count.

    >>> read_usage({"eval_count": 7}, OLLAMA).output_tokens
    7
    """
    counts = {field: _first_count(raw, paths) for field, paths in places.items()}
    return Usage(**counts)  # type: ignore[arg-type]  # no place table has a key ``estimated``


def _first_count(raw: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> int | None:
    for path in paths:
        value: Any = raw
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None
