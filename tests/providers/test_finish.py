"""Raw finish reasons and their classes. test_recordings.py compares them with the index."""

from __future__ import annotations

import pytest

from streamkit.providers.finish import finish_class


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("stop", "stop"),
        ("end_turn", "stop"),
        ("model_context_window_exceeded", "length"),
        ("max_tokens", "length"),
        ("function_call", "tool_calls"),
        ("tool_use", "tool_calls"),
        ("content_filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("refusal", "refusal"),
        ("insufficient_system_resource", "error"),
        ("pause_turn", "pause"),
        ("load", "other"),
        ("", "other"),
        ("Stop", "other"),
    ],
)
def test_a_raw_reason_has_a_class(raw: str, expected: str) -> None:
    assert finish_class(raw) == expected
