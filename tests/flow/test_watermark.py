from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.flow import FlowConfig, WaterMark

FILLS = st.lists(st.floats(0, 1), max_size=50)


def test_pressure_begins_at_high_and_ends_at_low() -> None:
    mark = WaterMark(high=0.8, low=0.5)
    assert [mark.update(fill) for fill in (0.0, 0.79, 0.8)] == [None, None, True]
    assert mark.pressure
    assert [mark.update(fill) for fill in (1.0, 0.51, 0.5)] == [None, None, False]
    assert not mark.pressure


@given(fills=FILLS, high=st.floats(0.2, 1), low=st.floats(0, 0.19))
def test_changes_alternate_and_happen_only_at_a_mark(
    fills: list[float], high: float, low: float
) -> None:
    mark = WaterMark(high, low)
    changes = []
    for fill in fills:
        change = mark.update(fill)
        assert mark.pressure or fill < high
        assert not mark.pressure or fill > low
        if change is not None:
            changes.append(change)
            assert change is mark.pressure
    assert changes == [step % 2 == 0 for step in range(len(changes))]


def test_a_single_slot_switches_between_empty_and_full() -> None:
    mark = WaterMark(high=0.8, low=0.5)
    assert [mark.update(fill) for fill in (1.0, 0.0, 1.0)] == [True, False, True]


@pytest.mark.parametrize(
    ("high", "low", "message"),
    [
        (0, 0, "high must be above 0 and at most 1, got 0"),
        (1.1, 0.5, "high must be above 0 and at most 1, got 1.1"),
        (0.5, 0.5, r"low must be at least 0 and below high \(0.5\), got 0.5"),
        (0.5, -0.1, "got -0.1"),
        (float("nan"), 0.5, "got nan"),
        (0.5, float("nan"), "got nan"),
    ],
)
def test_marks_out_of_range_are_refused(high: float, low: float, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        WaterMark(high, low)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backpressure_threshold": "x"}, "backpressure_threshold must be a number, got 'x'"),
        ({"slow_threshold": "1"}, "slow_threshold must be seconds, got '1'"),
        ({"slow_threshold": float("nan")}, "slow_threshold must be over 0 s, got nan"),
        ({"errors": "ignore"}, "errors must be 'raise' or 'count', got 'ignore'"),
        ({"backpressure_threshold": 2}, "backpressure_threshold must be above 0 and at most 1"),
        (
            {"backpressure_threshold": 0.4},
            r"resume_threshold must .* below backpressure_threshold \(0.4\), got 0.5",
        ),
    ],
)
def test_a_bad_flow_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        FlowConfig(**options)


def test_the_defaults_are_the_documented_ones() -> None:
    config = FlowConfig()
    assert config.enabled
    assert (config.backpressure_threshold, config.resume_threshold) == (0.8, 0.5)
    assert (config.slow_threshold, config.errors) == (0.05, "raise")


@pytest.mark.parametrize("value", ["false", "no", 0, 1, None])
def test_whether_it_is_enabled_is_true_or_false(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"enabled must be True or False, got {value!r}"):
        FlowConfig(enabled=value)
