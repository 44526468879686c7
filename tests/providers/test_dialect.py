"""What the dialects share: the state of one answer."""

from __future__ import annotations

import json

import pytest

from streamkit.chunk import Usage
from streamkit.errors import LimitExceeded
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.base import Endpoint
from streamkit.providers.dialect import Dialect, parse_object
from streamkit.providers.ollama import OllamaChat
from streamkit.providers.openai import OpenAIChat
from streamkit.wire.jsontext import MAX_VALUES

ENDPOINT = Endpoint(provider="p", base_url="http://h")


def test_only_the_end_mark_of_the_chat_dialect_needs_content_beside_it() -> None:
    complete = {d: d(ENDPOINT).terminal_is_complete for d in (OpenAIChat, AnthropicMessages)}
    assert complete == {OpenAIChat: False, AnthropicMessages: True}
    assert OllamaChat(ENDPOINT).terminal_is_complete


def test_a_whole_body_of_too_many_values_is_an_error_and_not_a_strange_body() -> None:
    assert parse_object(b"[1]") is None
    with pytest.raises(LimitExceeded):
        parse_object(json.dumps([[]] * MAX_VALUES).encode())


def test_usage_is_reported_when_it_or_its_details_change() -> None:
    reader = Dialect(ENDPOINT)
    reports = [
        chunk.metadata
        for usage, details in [
            (Usage(), None),
            (Usage(1), None),
            (Usage(1), None),
            (Usage(1), {"time": 2}),
            (Usage(1), {"time": 2}),
            (Usage(3), {"cost": "\ud800"}),
            (Usage(4), None),
        ]
        for chunk in reader._report_usage(usage, details)
    ]
    assert reports == [
        {"usage": Usage(1)},
        {"usage": Usage(1), "details": {"time": 2}},
        {"usage": Usage(3), "details": {"time": 2, "cost": "\ufffd"}},
        {"usage": Usage(4), "details": {"time": 2, "cost": "\ufffd"}},
    ]
