"""Keywords: what they mean, which wins, and what is refused before anything is sent."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streamkit import (
    BatchConfig,
    BufferConfig,
    ConfigurationError,
    FlowConfig,
    Limits,
    MetricsConfig,
    RetryConfig,
    StreamOptions,
    Timeouts,
)
from streamkit.pipeline.options import LATER, build_options
from streamkit.testing import Text

SAY = Text("one two")


# -- what keywords become


def test_without_keywords_everything_is_at_its_default() -> None:
    assert build_options({}) == StreamOptions()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"buffer": 200}, {"buffer": BufferConfig(capacity=200)}),
        ({"buffer": True}, {"buffer": BufferConfig()}),
        ({"buffer": {"capacity": 3}}, {"buffer": BufferConfig(capacity=3)}),
        ({"overflow": "drop"}, {"buffer": BufferConfig(overflow="drop")}),
        ({"buffer": 3, "overflow": "drop"}, {"buffer": BufferConfig(capacity=3, overflow="drop")}),
        ({"batch": None}, {"batch": None}),
        ({"batch": False}, {"batch": None}),
        ({"batch": {"size": 4}}, {"batch": BatchConfig(size=4)}),
        ({"flow": None}, {"flow": None}),
        ({"flow": True}, {"flow": FlowConfig()}),
        ({"metrics": {"interval": 2}}, {"metrics": MetricsConfig(interval=2)}),
        ({"retry": None}, {"retry": None}),
        ({"retry": {"max_retries": 5}}, {"retry": RetryConfig(max_retries=5)}),
        (
            {"timeout": 30},
            {"timeout": Timeouts(connect=10, first=30, content=30, wire=30, total=3600)},
        ),
        (
            {"timeout": 2.5},
            {"timeout": Timeouts(connect=2.5, first=2.5, content=2.5, wire=2.5, total=3600)},
        ),
        ({"timeout": {"total": 5}}, {"timeout": Timeouts(total=5)}),
        ({"timeout": True}, {"timeout": Timeouts()}),
        (
            {"timeout": None},
            {"timeout": Timeouts(connect=None, first=None, content=None, wire=None, total=None)},
        ),
        ({"mode": None}, {"mode": "buffered"}),
        ({"mode": "managed"}, {"mode": "managed"}),
        ({"options": None}, {}),
        ({"think": True}, {"think": True}),
        ({"think": False}, {"think": False}),
        ({"think": None}, {"think": None}),
    ],
    ids=str,
)
def test_each_short_form_means_one_thing(given: dict[str, Any], expected: dict[str, Any]) -> None:
    assert build_options(given) == StreamOptions(**expected)


def test_a_keyword_wins_over_the_options_object() -> None:
    base = StreamOptions(mode="direct", buffer=BufferConfig(capacity=7), retry=None, think=True)
    made = build_options({"options": base, "mode": "managed", "overflow": "drop", "think": False})
    assert made.mode == "managed"
    assert made.think is False
    assert made.buffer == BufferConfig(capacity=7, overflow="drop")
    assert made.retry is None


# -- what is refused


BAD: list[tuple[dict[str, Any], str]] = [
    ({"mode": "turbo"}, "mode must be one of direct, buffered, managed, got 'turbo'"),
    ({"mode": 3}, "mode must be one of"),
    ({"mode": ["direct"]}, "mode must be one of"),
    ({"options": {"mode": "direct"}}, "options must be a StreamOptions, got dict"),
    ({"buffer": 0}, "capacity must be at least 1, got 0"),
    ({"buffer": -1}, "capacity must be at least 1, got -1"),
    ({"buffer": 1.5}, "buffer must be"),
    ({"buffer": "big"}, "buffer must be"),
    ({"buffer": None}, "buffer must not be None; mode='direct' works without one"),
    ({"buffer": {"capactiy": 3}}, "buffer has no field 'capactiy'; did you mean 'capacity'?"),
    ({"buffer": {"max_bytes": 0}}, "max_bytes must be at least 1, got 0"),
    ({"overflow": "dorp"}, "got 'dorp'; did you mean 'drop'?"),
    ({"overflow": 5}, "overflow must be"),
    ({"batch": 5}, "batch must be None, True, a mapping or BatchConfig, got 5"),
    ({"batch": {"size": 0}}, "size must be at least 1, got 0"),
    ({"batch": {"timeout": -1}}, "timeout must be at least 0"),
    ({"batch": {"min_size": 9, "max_size": 3}}, "max_size"),
    ({"flow": {"backpressure_threshold": 2}}, "backpressure_threshold must be above 0"),
    ({"flow": {"resume_threshold": 0.9}}, "resume_threshold must be"),
    ({"flow": "on"}, "flow must be"),
    ({"metrics": {"interval": 0}}, "interval must be over 0 s, got 0"),
    ({"metrics": {"interval": "1"}}, "interval must be seconds, got '1'"),
    ({"timeout": 0}, "must be positive seconds"),
    ({"timeout": -3}, "must be positive seconds"),
    ({"timeout": math.nan}, "must be positive seconds"),
    ({"timeout": math.inf}, "must be positive seconds"),
    ({"timeout": "30"}, "timeout must be"),
    ({"timeout": {"frist": 3}}, "timeout has no field 'frist'; did you mean 'first'?"),
    ({"retry": 3}, "retry must be"),
    ({"retry": {"max_retries": -1}}, "max_retries must be a whole number of at least 0, got -1"),
    ({"retry": {"initial": math.inf}}, "initial must be seconds"),
    ({"think": 1}, "think must be True, False or None, got 1"),
    ({"think": "yes"}, "think must be True, False or None, got 'yes'"),
    ({"temperature": "hot"}, "temperature must be a number, got str"),
    ({"temperature": True}, "temperature must be a number, got bool"),
    ({"max_tokens": 0}, "max_tokens must be at least 1, got 0"),
    ({"max_tokens": 1.5}, "max_tokens must be a whole number, got float"),
    ({"seed": "1"}, "seed must be a whole number, got str"),
    ({"system": 5}, "system must be text, got int"),
    ({"stop": [1]}, "stop must be a list of text"),
    ({"tools": {"name": "x"}}, "tools must be a list of mappings"),
    ({"tools": "x"}, "tools must be a list of mappings"),
    ({"tool_choice": 5}, "tool_choice must be text or a mapping, got int"),
    ({"response_format": "json"}, "response_format must be a mapping, got str"),
    ({"extra_body": [1]}, "extra_body must be a mapping, got list"),
    ({"extra_headers": {"bad name": "x"}}, "header names must be RFC 9110 tokens"),
    ({"extra_headers": {"x-a": "a\r\nb: c"}}, "holds a character no header may carry"),
    ({"api_key": " sk-blank"}, "without blanks at its ends"),
    ({"api_key": ""}, "api_key must not be empty"),
    ({"session": "mine"}, "session must be a requests.Session, got str"),
    ({"api": "respones"}, "openai has no api 'respones'; it has chat"),
    ({"on_text": 5}, "on_text must be callable, got int"),
    ({"on_token": print}, "stream() has no keyword 'on_token'"),
    ({"max_token": 5}, "has no keyword 'max_token'; did you mean 'max_tokens'?"),
    ({"temprature": 5}, "did you mean 'temperature'?"),
    ({"logprobs": True}, "extra_body={...}"),
]


@pytest.mark.parametrize(("keywords", "words"), BAD, ids=lambda value: str(value)[:60])
def test_a_bad_value_is_named_before_anything_is_sent(
    play: Any, keywords: dict[str, Any], words: str
) -> None:
    play.serve(SAY)
    with pytest.raises(ConfigurationError) as caught:
        play.open(**keywords)
    message = str(caught.value)
    assert words in message
    assert message[0].islower() or message.startswith(tuple(keywords))
    assert "sk-blank" not in message
    assert play.server.connections == 0


@pytest.mark.parametrize("name", LATER)
def test_a_part_that_does_not_exist_yet_is_refused_by_name(play: Any, name: str) -> None:
    play.serve(SAY)
    with pytest.raises(ConfigurationError, match=f"{name}= is not available in this version"):
        play.open(**{name: "x"})
    assert play.open(**{name: None}).result().text == SAY.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"buffer": 5},
        {"buffer": None},
        {"batch": 5},
        {"flow": 0.5},
        {"metrics": True},
        {"timeout": 30},
        {"timeout": None},
        {"retry": 3},
        {"limits": None},
    ],
    ids=str,
)
def test_the_options_object_takes_config_objects_only(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        StreamOptions(**wrong)


@pytest.mark.parametrize("name", ["event", "answer", "error_body"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "1"])
def test_a_limit_is_a_whole_number_of_at_least_one(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"limit {name} must be at least 1"):
        Limits(**{name: value})
