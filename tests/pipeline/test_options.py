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
    RateConfig,
    RetryConfig,
    StopConfig,
    StreamOptions,
    Timeouts,
    channel,
    new_buffer,
    wrap,
)
from streamkit.pipeline.keywords import build_options
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
        ({"units": "word"}, {"units": "word"}),
        ({"units": None}, {"units": None}),
        ({"units": "line", "strip": True}, {"units": "line", "strip": True}),
        ({"rate": 50}, {"rate": RateConfig(50)}),
        ({"rate": {"rate": 5, "burst": 2}}, {"rate": RateConfig(5, burst=2)}),
        ({"rate": 0}, {"rate": None}),
        ({"rate": None}, {"rate": None}),
        ({"stop_when": "###"}, {"stop_when": StopConfig(strings=("###",))}),
        ({"stop_when": ["a", "b"]}, {"stop_when": StopConfig(strings=("a", "b"))}),
        ({"stop_when": callable}, {"stop_when": StopConfig(when=callable)}),
        ({"transform": callable}, {"transform": callable}),
        ({"validate": [callable]}, {"validate": [callable]}),
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


# -- overflow: with a rate the network must not be slowed, unless the user says so


@pytest.mark.parametrize(
    ("given", "overflow"),
    [
        ({}, "block"),
        ({"rate": 50}, "coalesce"),
        ({"rate": 0}, "block"),
        ({"rate": 50, "buffer": 5}, "coalesce"),
        ({"rate": 50, "buffer": True}, "coalesce"),
        ({"rate": 50, "buffer": {"capacity": 5}}, "coalesce"),
        ({"rate": 50, "buffer": {"overflow": "block"}}, "block"),
        ({"rate": 50, "buffer": BufferConfig()}, "block"),
        ({"rate": 50, "overflow": "block"}, "block"),
        ({"rate": 50, "overflow": "drop"}, "drop"),
        ({"rate": 50, "options": StreamOptions()}, "coalesce"),
        ({"rate": 50, "options": StreamOptions(buffer=BufferConfig())}, "block"),
        ({"options": StreamOptions(rate=RateConfig(50))}, "coalesce"),
        ({"options": StreamOptions(rate=RateConfig(50), buffer=BufferConfig())}, "block"),
        ({"options": StreamOptions(rate=RateConfig(50)), "rate": 20}, "coalesce"),
    ],
    ids=str,
)
def test_a_rate_makes_coalesce_of_a_policy_nobody_chose(
    given: dict[str, Any], overflow: str
) -> None:
    assert build_options(given).buffer.overflow == overflow


# -- units of one's own


def test_a_function_makes_units_for_each_stream() -> None:
    options = StreamOptions(units=lambda: new_buffer("token", threshold=2))
    feed, first = channel(options=options)
    feed.put("left ")
    first.start()
    second = wrap(["a b c"], options=options)
    assert list(second) == ["a b ", "c"]
    feed.finish()
    assert first.wait(10).text == "left "


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
    ({"units": "wrod"}, "got 'wrod'; did you mean 'word'?"),
    ({"units": lambda: "word"}, "or a Segmenter, got 'word'"),
    ({"units": 5}, "units must be one of"),
    ({"strip": True}, "strip needs units that have a name, got None"),
    ({"strip": "yes"}, "strip must be True or False, got 'yes'"),
    ({"rate": -1}, "rate must be at least 0, got -1"),
    ({"rate": math.nan}, "rate must be at least 0, got nan"),
    ({"rate": True}, "rate must say how many tokens per second, got True"),
    ({"rate": {"burst": 2}}, "rate must say how many tokens per second, got {'burst': 2}"),
    ({"rate": "fast"}, "rate must be None, tokens per second, a mapping or RateConfig, got 'fast'"),
    ({"max_wait": 1}, "max_wait needs units, got none and 1"),
    ({"max_wait": 0, "units": "word"}, "max_wait must be seconds over 0, got 0"),
    ({"rate": {"rate": 5, "brust": 2}}, "rate has no field 'brust'; did you mean 'burst'?"),
    ({"rate": {"rate": 5, "burst": 0}}, "burst must be at least 1, got 0"),
    ({"transform": 5}, "transform must be callable"),
    ({"transform": "highlight"}, "transform must be one of"),
    ({"transform": [callable, 5]}, "transform must be callable"),
    ({"validate": 5}, "validate must be callable"),
    ({"stop_when": 5}, "stop_when must be"),
    ({"stop_when": ""}, "stop"),
    ({"price": "cheap"}, "price must be"),
    ({"tokenizer": "gpt"}, "tokenizer must be a function"),
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
    ({"recoveries": 5}, "has no keyword 'recoveries'; did you mean 'recovery'"),
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
        {"rate": 50},
        {"units": "words"},
        {"max_wait": 0},
        {"max_wait": 1},
        {"max_wait": "1s"},
        {"progress_interval": -1},
        {"progress_interval": True},
        {"on_metrics": "log"},
        {"on_error": 5},
        {"transform": 5},
        {"validate": 5},
        {"stop_when": 5},
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
