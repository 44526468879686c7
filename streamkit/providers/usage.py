"""
The providers' token counts, in one vocabulary: one table of places per dialect.

Source: WIRE_FORMATS.md section 15. A usage object is a state and not an increment: the last wins.
"""

from __future__ import annotations

from typing import Any

from streamkit.chunk import Usage

__all__ = [
    "BEDROCK",
    "CHAT",
    "COHERE",
    "GEMINI",
    "MESSAGES",
    "OLLAMA",
    "RESPONSES",
    "Places",
    "holds_more",
    "read_usage",
]

Path = tuple[str, ...]


class Places:
    """
    Where the raw usage object of a dialect holds the counts of Usage.

    Thread safety: **immutable**.

    Args:
        counts: Field of Usage -> paths into the raw object, the first that holds a count wins.
    """

    __slots__ = ("counts", "members")

    def __init__(self, **counts: tuple[Path, ...]) -> None:
        self.counts = counts
        #: Member of the raw object -> what is counted in it, where it is an object.
        self.members: dict[str, set[str]] = {}
        for paths in counts.values():
            for member, *inner in paths:
                self.members.setdefault(member, set()).update(inner)


CHAT = Places(
    input_tokens=(("prompt_tokens",),),
    output_tokens=(("completion_tokens",),),
    total_tokens=(("total_tokens",),),
    # The flat forms: Together.
    reasoning_tokens=(("completion_tokens_details", "reasoning_tokens"), ("reasoning_tokens",)),
    cached_input_tokens=(
        ("prompt_tokens_details", "cached_tokens"),
        ("prompt_cache_hit_tokens",),  # DeepSeek
        ("cached_tokens",),
    ),
)

RESPONSES = Places(
    input_tokens=(("input_tokens",),),
    output_tokens=(("output_tokens",),),
    total_tokens=(("total_tokens",),),
    reasoning_tokens=(("output_tokens_details", "reasoning_tokens"),),
    cached_input_tokens=(("input_tokens_details", "cached_tokens"),),
)

MESSAGES = Places(
    input_tokens=(("input_tokens",),),
    output_tokens=(("output_tokens",),),
    reasoning_tokens=(("output_tokens_details", "thinking_tokens"),),
    cached_input_tokens=(("cache_read_input_tokens",),),
    cache_write_input_tokens=(("cache_creation_input_tokens",),),
)

OLLAMA = Places(
    input_tokens=(("prompt_eval_count",),),
    output_tokens=(("eval_count",),),
)

GEMINI = Places(
    input_tokens=(("promptTokenCount",),),
    output_tokens=(("candidatesTokenCount",),),
    total_tokens=(("totalTokenCount",),),
    reasoning_tokens=(("thoughtsTokenCount",),),
    cached_input_tokens=(("cachedContentTokenCount",),),
)

COHERE = Places(
    input_tokens=(("tokens", "input_tokens"),),
    output_tokens=(("tokens", "output_tokens"),),
    reasoning_tokens=(("tokens", "reasoning_tokens"),),
    cached_input_tokens=(("cached_tokens",),),
)

BEDROCK = Places(
    input_tokens=(("inputTokens",),),
    output_tokens=(("outputTokens",),),
    total_tokens=(("totalTokens",),),
    cached_input_tokens=(("cacheReadInputTokens",),),
    cache_write_input_tokens=(("cacheWriteInputTokens",),),
)


def read_usage(raw: dict[str, Any], places: Places) -> Usage:
    """
    The counts a raw usage object holds; None where it is silent or holds no count.

    >>> read_usage({"eval_count": 7}, OLLAMA).output_tokens
    7
    """
    counts: dict[str, Any] = {}
    for field, paths in places.counts.items():
        for path in paths:
            value: Any = raw
            for key in path:
                value = value.get(key) if value.__class__ is dict else None
            # Not isinstance: true is no count, and some services send usage with each delta.
            if value.__class__ is float and value.is_integer():
                value = int(value)  # 5.0: to Cohere's SDK (7.3) counts are floats
            if value.__class__ is int and value >= 0:
                counts[field] = value
                break
    return Usage(**counts)


def holds_more(raw: dict[str, Any], places: Places) -> bool:
    """
    Whether a raw usage object says anything that Usage does not: costs, times, further counts.

    >>> holds_more({"prompt_tokens": 1, "prompt_tokens_details": {"audio_tokens": 0}}, CHAT)
    False
    >>> holds_more({"prompt_tokens": 1, "cost": 0.006}, CHAT)
    True

    A member that is null says nothing, nor does a kind of token, one level down, that is not used:
    OpenAI lists all kinds with each answer.
    """
    for name, value in raw.items():
        counted = places.members.get(name)
        if counted is None:
            if value is not None:
                return True
        elif value.__class__ is dict and any(
            count and kind not in counted for kind, count in value.items()
        ):
            return True
    return False
