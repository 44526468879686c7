"""
The providers' words for why an answer ended, in one vocabulary.

Source: WIRE_FORMATS.md section 14, from recordings and the official SDKs.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["FinishClass", "finish_class"]

FinishClass = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "error", "pause", "other"
]

_WORDS: dict[FinishClass, str] = {
    "stop": "stop eos end_turn stop_sequence STOP COMPLETE STOP_SEQUENCE completed",
    "length": (
        "length model_length max_tokens MAX_TOKENS max_output_tokens model_context_window_exceeded"
    ),
    "tool_calls": "tool_calls function_call tool_use TOOL_CALL",
    "content_filter": (
        "content_filter content_filtered guardrail_intervened"
        " SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII"
    ),
    "refusal": "refusal",
    "error": (
        "error failed ERROR TIMEOUT insufficient_system_resource"
        " MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL"
    ),
    "pause": "pause_turn",
}

_CLASSES: dict[str, FinishClass] = {
    word: name for name, words in _WORDS.items() for word in words.split()
}


def finish_class(raw: str) -> FinishClass:
    """
    The class of a provider's own finish reason; ``other`` for a word nobody has told us about.

    >>> finish_class("max_tokens"), finish_class("end_turn"), finish_class("load")
    ('length', 'stop', 'other')
    """
    return _CLASSES.get(raw, "other")
