"""Settings out of YAML, TOML and JSON: what each becomes, and what is refused, by name."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streamkit import (
    BatchConfig,
    BufferConfig,
    Chunk,
    ConfigurationError,
    FlowConfig,
    MetricsConfig,
    ProviderError,
    RateConfig,
    RecoveryConfig,
    StreamOptions,
    Timeouts,
    wrap,
)
from streamkit.pipeline.keywords import build_options

tomllib = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

#: The nested structure of the seeds, every key with the value it has there.
NESTED: dict[str, Any] = {
    "consumer_type": "managed",
    "buffer_config": {"capacity": 100, "overflow_strategy": "drop"},
    "batch_config": {"size": 5, "timeout_ms": 25, "min_size": 3, "max_size": 10},
    "flow_control": {"enabled": True, "slow_threshold_ms": 50, "backpressure_threshold": 0.8},
    "metrics": {"enabled": True, "interval_ms": 1000},
}
STREAMING: dict[str, Any] = {
    "optimization": {
        "streaming": {
            "enabled": True,
            "buffer_type": "word",
            "progress_interval": "100ms",
            "rate_limit": 0,
        }
    }
}

TOML = """
consumer_type = "managed"
buffer_config = { capacity = 100, overflow_strategy = "drop" }

[batch_config]
size = 5
timeout_ms = 25
min_size = 3
max_size = 10

[flow_control]
enabled = true
slow_threshold_ms = 50
backpressure_threshold = 0.8

[metrics]
enabled = true
interval_ms = 1000
"""

YAML = """
consumer_type: managed
buffer_config: {capacity: 100, overflow_strategy: drop}
batch_config:
  size: 5
  timeout_ms: 25
  min_size: 3
  max_size: 10
flow_control:
  enabled: yes
  slow_threshold_ms: 50
  backpressure_threshold: 0.8
metrics:
  enabled: on
  interval_ms: 1_000
optimization:
  streaming:
    enabled: true
    buffer_type: word
    progress_interval: 100ms
    rate_limit: 0
"""

read = StreamOptions.from_mapping


# -- what it becomes


def test_nothing_gives_the_defaults() -> None:
    assert read({}) == StreamOptions()


def test_the_nested_structure() -> None:
    assert read(NESTED) == StreamOptions(
        mode="managed",
        buffer=BufferConfig(capacity=100, overflow="drop"),
        batch=BatchConfig(size=5, timeout=0.025, min_size=3, max_size=10),
        flow=FlowConfig(enabled=True, slow_threshold=0.05, backpressure_threshold=0.8),
        metrics=MetricsConfig(enabled=True, interval=1.0),
    )


def test_the_structure_of_the_optimizer() -> None:
    assert read(STREAMING) == StreamOptions(units="word", progress_interval=0.1, rate=None)


def test_the_flat_structure() -> None:
    def change(chunk: Chunk) -> None: ...

    def check(chunk: Chunk) -> bool:
        return True

    made = read(
        {
            "track_metrics": True,
            "on_metrics": print,
            "transform_chunk": change,
            "validate_chunk": check,
            "buffer_chunks": 5,
            "stream_recovery": True,
            "recovery": {"strategy": "exact", "max_retries": 2},
            "timeout": 300_000,
        }
    )
    assert made == StreamOptions(
        metrics=MetricsConfig(enabled=True),
        on_metrics=print,
        transform=change,
        validate=check,
        batch=BatchConfig(size=5, min_size=5, max_size=5, adaptive=False),
        recovery=RecoveryConfig(strategy="exact", max_retries=2),
        timeout=Timeouts(total=300),
    )


@pytest.mark.parametrize("settings", [NESTED, STREAMING], ids=["nested", "optimization"])
def test_json_gives_the_same(settings: dict[str, Any]) -> None:
    assert read(json.loads(json.dumps(settings))) == read(settings)


def test_toml_gives_the_same() -> None:
    assert read(tomllib.loads(TOML)) == read(NESTED)


def test_yaml_gives_the_same() -> None:
    assert read(yaml.safe_load(YAML)) == read({**NESTED, **STREAMING})


def test_an_empty_yaml_file_is_no_mapping_and_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must be a mapping, got None"):
        read(yaml.safe_load("# nothing yet"))


def test_the_structures_may_be_mixed() -> None:
    made = read({**NESTED, **STREAMING, "timeout": 60_000})
    assert (made.mode, made.units, made.timeout.total) == ("managed", "word", 60)


@pytest.mark.parametrize(
    ("settings", "field", "expected"),
    [
        ({"consumer_type": "direct"}, "mode", "direct"),
        ({"consumer_type": "buffered"}, "mode", "buffered"),
        ({"buffer_config": {}}, "buffer", BufferConfig()),
        ({"buffer_config": {"capacity": 7}}, "buffer", BufferConfig(capacity=7)),
        (
            {"buffer_config": {"overflow_strategy": "overwrite"}},
            "buffer",
            BufferConfig(overflow="overwrite"),
        ),
        ({"batch_config": {"timeout_ms": 0}}, "batch", BatchConfig(timeout=0)),
        ({"batch_config": {"timeout_ms": 12.5}}, "batch", BatchConfig(timeout=0.0125)),
        ({"flow_control": {"enabled": False}}, "flow", FlowConfig(enabled=False)),
        ({"metrics": {"enabled": False}}, "metrics", MetricsConfig(enabled=False)),
        ({"track_metrics": False}, "metrics", MetricsConfig(enabled=False)),
        ({"on_metrics": None}, "on_metrics", None),
        ({"on_error": None}, "on_error", None),
        ({"transform_chunk": None}, "transform", None),
        ({"stream_recovery": None}, "recovery", None),
        ({"stream_recovery": True}, "recovery", RecoveryConfig()),
        ({"recovery": {"max_retries": 5}}, "recovery", RecoveryConfig(max_retries=5)),
        ({"stream_recovery": False, "recovery": {"max_retries": 5}}, "recovery", None),
        ({"timeout": 500}, "timeout", Timeouts(total=0.5)),
        (
            {"buffer_chunks": 1},
            "batch",
            BatchConfig(size=1, min_size=1, max_size=1, adaptive=False),
        ),
    ],
    ids=str,
)
def test_each_key_alone(settings: dict[str, Any], field: str, expected: Any) -> None:
    assert read(settings) == StreamOptions(**{field: expected})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100ms", 0.1), ("1s", 1.0), ("1.5s", 1.5), ("2m", 120.0), ("1m30s", 90.0),
        ("250us", 25e-5), ("1h", 3600.0), (".5s", 0.5), ("0s", 0.0), ("1s500ms", 1.5),
    ],
)  # fmt: skip
def test_a_duration_says_its_unit(text: str, seconds: float) -> None:
    made = read({"optimization": {"streaming": {"progress_interval": text}}})
    assert made.progress_interval == pytest.approx(seconds)


def test_an_optimizer_that_is_off_leaves_the_defaults() -> None:
    streaming = {"enabled": False, "buffer_type": "word", "rate_limit": 50}
    assert read({"optimization": {"streaming": streaming}}) == StreamOptions()
    assert read({"optimization": {}}) == StreamOptions()


def test_a_low_threshold_keeps_its_hysteresis() -> None:
    flow = read({"flow_control": {"backpressure_threshold": 0.4}}).flow
    assert flow == FlowConfig(backpressure_threshold=0.4, resume_threshold=0.25)


def test_track_metrics_and_metrics_complete_each_other() -> None:
    one = read({"track_metrics": True, "metrics": {"interval_ms": 500}})
    other = read({"metrics": {"interval_ms": 500}, "track_metrics": True})
    assert one.metrics == other.metrics == MetricsConfig(interval=0.5)


# -- overflow: block, coalesce with a rate, and the user's own word


def limited(**more: Any) -> StreamOptions:
    return read({"optimization": {"streaming": {"rate_limit": 50}}, **more})


def test_the_default_overflow_is_block() -> None:
    assert read({}).buffer.overflow == "block"
    assert read({"buffer_config": {"capacity": 5}}).buffer.overflow == "block"


def test_with_a_rate_it_is_coalesce() -> None:
    assert limited().rate == RateConfig(50)
    assert limited().buffer == BufferConfig(overflow="coalesce")
    assert limited(buffer_config={"capacity": 5}).buffer == BufferConfig(
        capacity=5, overflow="coalesce"
    )


@pytest.mark.parametrize("policy", ["block", "drop", "overwrite"])
def test_the_users_word_stands_beside_a_rate(policy: str) -> None:
    options = limited(buffer_config={"overflow_strategy": policy})
    assert options.buffer.overflow == policy
    assert build_options({"options": options}).buffer.overflow == policy


# -- what is refused


BAD: list[tuple[Any, tuple[str, ...]]] = [
    (None, ("must be a mapping, got None",)),
    ([("timeout", 5)], ("must be a mapping",)),
    # names
    ({"consumer_typ": "managed"}, ("'consumer_typ'", "'managed'", "mean 'consumer_type'")),
    ({"buffer_confg": {}}, ("'buffer_confg'", "mean 'buffer_config'")),
    ({"mode": "managed"}, ("no key 'mode'", "it has consumer_type")),
    ({1: 2}, ("no key 1",)),
    ({"buffer_config": {"capactiy": 5}}, ("buffer_config has no key 'capactiy', got 5",)),
    ({"buffer_config": {"overflow": "drop"}}, ("buffer_config", "'overflow'", "overflow_strategy")),
    ({"batch_config": {"timeout": 25}}, ("batch_config", "got 25", "mean 'timeout_ms'")),
    ({"flow_control": {"enable": True}}, ("flow_control", "got True", "mean 'enabled'")),
    ({"metrics": {"intervall_ms": 5}}, ("metrics", "mean 'interval_ms'")),
    ({"optimization": {"streming": {}}}, ("optimization", "mean 'streaming'")),
    (
        {"optimization": {"streaming": {"bufer_type": "word"}}},
        ("optimization.streaming", "'word'", "mean 'buffer_type'"),
    ),
    # types
    ({"consumer_type": 3}, ("consumer_type must be one of direct, buffered, managed, got 3",)),
    ({"buffer_config": 100}, ("buffer_config must be a mapping, got 100",)),
    ({"buffer_config": None}, ("buffer_config must be a mapping, got None",)),
    ({"buffer_config": {"capacity": "100"}}, ("buffer_config", "capacity must be", "'100'")),
    ({"buffer_config": {"capacity": True}}, ("capacity", "True")),
    ({"batch_config": {"size": 2.5}}, ("batch_config: size must be a whole number, got 2.5",)),
    ({"batch_config": {"timeout_ms": "25"}}, ("batch_config.timeout_ms", "'25'")),
    ({"flow_control": {"enabled": "yes"}}, ("flow_control.enabled must be true or false", "'yes'")),
    ({"metrics": {"interval_ms": None}}, ("metrics.interval_ms", "None")),
    ({"track_metrics": 1}, ("track_metrics must be true or false, got 1",)),
    ({"on_metrics": "log"}, ("on_metrics must be callable, got 'log'",)),
    ({"on_error": 5}, ("on_error must be callable, got 5",)),
    ({"transform_chunk": "upper"}, ("transform_chunk must be callable, got 'upper'",)),
    ({"validate_chunk": True}, ("validate_chunk must be callable, got True",)),
    ({"buffer_chunks": "5"}, ("buffer_chunks", "'5'")),
    ({"timeout": "30s"}, ("timeout must be a number, got '30s'",)),
    ({"optimization": []}, ("optimization must be a mapping, got []",)),
    ({"optimization": {"streaming": True}}, ("optimization.streaming must be a mapping",)),
    # values
    ({"consumer_type": "mangaed"}, ("got 'mangaed'; did you mean 'managed'?",)),
    ({"buffer_config": {"capacity": 0}}, ("capacity must be at least 1, got 0",)),
    ({"buffer_config": {"overflow_strategy": "dorp"}}, ("'dorp'", "mean 'drop'")),
    ({"batch_config": {"min_size": 9, "max_size": 3}}, ("batch_config", "min_size", "9 and 3")),
    ({"batch_config": {"timeout_ms": -1}}, ("timeout_ms", "-1")),
    ({"batch_config": {"timeout_ms": float("nan")}}, ("timeout_ms", "nan")),
    ({"flow_control": {"slow_threshold_ms": 0}}, ("flow_control", "slow_threshold")),
    ({"flow_control": {"backpressure_threshold": 80}}, ("flow_control", "80")),
    ({"metrics": {"interval_ms": 0}}, ("interval must be over 0 s",)),
    ({"buffer_chunks": 0}, ("buffer_chunks: size must be at least 1, got 0",)),
    ({"timeout": -5}, ("timeout", "-5")),
    ({"timeout": 10**400}, ("timeout must be a number, got 1000",)),
    ({"metrics": {"interval_ms": float("inf")}}, ("metrics.interval_ms", "inf")),
    ({"optimization": {"streaming": {"buffer_type": "words"}}}, ("'words'", "mean 'word'")),
    ({"optimization": {"streaming": {"rate_limit": -1}}}, ("rate_limit", "-1")),
    ({"optimization": {"streaming": {"rate_limit": "fast"}}}, ("rate_limit", "'fast'")),
    *(
        ({"optimization": {"streaming": {"progress_interval": value}}}, ("'100ms'", repr(value)))
        for value in (100, 0.1, "100", "ms", "", "1 s", "-1s", "100ms ", "1s later", None)
    ),
    # a part that is switched off is read all the same
    ({"optimization": {"streaming": {"enabled": False, "rate_limit": "x"}}}, ("rate_limit",)),
    # what does not exist yet
    ({"stream_recovery": "yes"}, ("stream_recovery must be true or false, got 'yes'",)),
    ({"recoveries": 5}, ("no key 'recoveries'; did you mean 'recovery'?",)),
    ({"buffer_chunks": None}, ("buffer_chunks must be a whole number, got None",)),
    ({"recovery": {"strategy": "paragaph"}}, ("recovery.strategy", "did you mean 'paragraph'")),
    ({"recovery": {"max_retries": 0}}, ("max_retries", "at least 1, got 0")),
    # two words for one thing
    ({"buffer_chunks": 2, "batch_config": {"size": 5}}, ("buffer_chunks and batch_config",)),
    ({"track_metrics": False, "metrics": {"enabled": True}}, ("track_metrics and metrics",)),
]


@pytest.mark.parametrize(("settings", "words"), BAD, ids=lambda value: str(value)[:60])
def test_what_cannot_be_is_named_at_once(settings: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(settings)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "key", ["api_key", "key", "token", "secret", "password", "authorization", "headers", "cookie"]
)
def test_a_secret_under_an_unknown_key_is_not_repeated(key: str) -> None:
    for settings in ({key: "sk-12345"}, {"buffer_config": {key: "sk-12345"}}):
        with pytest.raises(ConfigurationError) as caught:
            read(settings)
        assert key in str(caught.value)
        assert "sk-12345" not in str(caught.value)


KEYS = sorted(
    {*NESTED, *STREAMING, "streaming", "track_metrics", "on_metrics", "transform_chunk", "x"}
    | {"validate_chunk", "buffer_chunks", "stream_recovery", "recovery", "on_error", "timeout"}
    | {key for section in NESTED.values() if isinstance(section, dict) for key in section}
    | set(STREAMING["optimization"]["streaming"])
)
WORDS = ["managed", "block", "coalesce", "word", "100ms", "1h", ""]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 200)
    | st.floats()
    | st.sampled_from([*WORDS, 1e400])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_settings_of_any_shape_are_options_or_refused(settings: dict[str, Any]) -> None:
    try:
        made = read(settings)
    except ConfigurationError as error:
        assert str(error)
    else:
        assert isinstance(made, StreamOptions)
        assert made == read(settings)


# -- what they do to a stream


def test_the_options_shape_a_stream() -> None:
    settings = {
        "buffer_chunks": 2,
        "transform_chunk": lambda chunk: ("ok", chunk) if chunk.content.strip() else "skip",
        "optimization": {"streaming": {"buffer_type": "word"}},
    }
    batches = list(wrap(["One t", "wo ", " ", "three"], options=read(settings)).batches())
    assert [[c.content for c in batch if c.content] for batch in batches[:2]] == [
        ["One ", "two "],
        ["three"],
    ]


def test_a_keyword_wins_over_the_settings() -> None:
    made = build_options({"options": read(NESTED), "mode": "direct", "units": "line"})
    assert (made.mode, made.units, made.buffer.overflow) == ("direct", "line", "drop")


def test_on_error_is_told_status_and_body(play: Any) -> None:
    told: list[Any] = []
    options = read({"on_error": lambda status, body: told.append((status, body))})
    play.serve(scripts=[[]])
    play.server.close()
    refused = play.open(options=options)
    with pytest.raises(Exception, match="refused"):
        refused.result()
    assert [status for status, _ in told] == [None]

    def failing() -> Any:
        yield "a"
        raise ProviderError("no", status=503, body='{"error": "busy"}')

    with pytest.raises(ProviderError):
        wrap(failing(), options=options).result()
    assert told[1:] == [(503, '{"error": "busy"}')]


def test_on_metrics_of_the_settings_is_called_and_a_keyword_wins() -> None:
    told: list[str] = []
    options = read({"track_metrics": True, "on_metrics": lambda numbers: told.append("settings")})
    wrap(["a"], options=options).result()
    assert set(told) == {"settings"}
    told.clear()
    wrap(["a"], options=options, on_metrics=lambda numbers: told.append("keyword")).result()
    assert set(told) == {"keyword"}
