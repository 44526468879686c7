"""Token counts of every dialect, in one vocabulary."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.chunk import Usage
from streamkit.providers.usage import (
    BEDROCK,
    CHAT,
    COHERE,
    GEMINI,
    MESSAGES,
    OLLAMA,
    RESPONSES,
    Places,
    holds_more,
    read_usage,
)


@pytest.mark.parametrize(
    ("places", "raw", "expected"),
    [
        (CHAT, {}, Usage()),
        (CHAT, {"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": 1}, Usage(1, 0, 1)),
        (CHAT, {"completion_tokens_details": {"reasoning_tokens": 2}}, Usage(reasoning_tokens=2)),
        (CHAT, {"reasoning_tokens": 2, "cached_tokens": 3},
         Usage(reasoning_tokens=2, cached_input_tokens=3)),
        (CHAT, {"prompt_tokens_details": {"cached_tokens": 0}, "prompt_cache_hit_tokens": 9},
         Usage(cached_input_tokens=0)),
        (CHAT, {"prompt_tokens_details": None, "prompt_cache_hit_tokens": 9},
         Usage(cached_input_tokens=9)),
        (CHAT, {"prompt_tokens": "5", "completion_tokens": True, "total_tokens": -1}, Usage()),
        (COHERE, {"tokens": {"input_tokens": 5.0, "output_tokens": -0.0}}, Usage(5, 0)),
        (MESSAGES, {"input_tokens": 5.5, "output_tokens": float("nan"),
                    "cache_read_input_tokens": float("inf"),
                    "cache_creation_input_tokens": -5.0}, Usage()),
        (MESSAGES, {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3,
                    "cache_creation_input_tokens": 4,
                    "output_tokens_details": {"thinking_tokens": 5}},
         Usage(1, 2, None, 5, 3, 4)),
        (RESPONSES, {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3,
                     "output_tokens_details": {"reasoning_tokens": 4},
                     "input_tokens_details": {"cached_tokens": 5}}, Usage(1, 2, 3, 4, 5)),
        (GEMINI, {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3,
                  "thoughtsTokenCount": 4, "cachedContentTokenCount": 5}, Usage(1, 2, 3, 4, 5)),
        (COHERE, {"tokens": {"input_tokens": 1, "output_tokens": 2, "reasoning_tokens": 3},
                  "billed_units": {"input_tokens": 9}, "cached_tokens": 4},
         Usage(1, 2, None, 3, 4)),
        (BEDROCK, {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3,
                   "cacheReadInputTokens": 4, "cacheWriteInputTokens": 5},
         Usage(1, 2, 3, None, 4, 5)),
        (OLLAMA, {"prompt_eval_count": 1, "eval_count": 2, "total_duration": 3}, Usage(1, 2)),
    ],
)  # fmt: skip
def test_counts_are_found_and_nothing_is_made_up(
    places: Places, raw: dict[str, Any], expected: Usage
) -> None:
    usage = read_usage(raw, places)
    assert usage == expected
    assert "." not in repr(usage)  # whole, whatever form they came in


@pytest.mark.parametrize(
    ("places", "raw", "more"),
    [
        (CHAT, {"prompt_tokens": 1, "cached_tokens": 2, "prompt_tokens_details": None}, False),
        (CHAT, {"completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0}}, False),
        (CHAT, {"completion_tokens_details": {"audio_tokens": 3}}, True),
        (CHAT, {"cost": 0}, True),
        (CHAT, {"cost": None}, False),
        (RESPONSES, {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 1}}, False),
        (RESPONSES, {"input_tokens_details": {"cache_write_tokens": 5}}, True),
        (GEMINI, {"promptTokenCount": 9, "thoughtsTokenCount": 1}, False),
        (GEMINI, {"promptTokensDetails": [{"modality": "TEXT"}]}, True),
        (BEDROCK, {"inputTokens": 1, "cacheReadInputTokens": 2}, False),
        (BEDROCK, {"serverToolUsage": {}}, True),
    ],
)
def test_what_usage_does_not_say_is_more(places: Places, raw: dict[str, Any], more: bool) -> None:
    assert holds_more(raw, places) is more
