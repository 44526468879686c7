"""What counts as a number: ints and floats that can meet a clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import (
    BatchConfig,
    ConfigurationError,
    FlowConfig,
    MetricsConfig,
    Prices,
    RateConfig,
    RateLimiter,
    StopConfig,
    StreamOptions,
    throttled,
)
from streamkit.number import is_number

HUGE: Any = 10**400


@pytest.mark.parametrize("value", [0, -1, 2.5, 10**308, math.inf, math.nan])
def test_what_a_float_can_hold_is_a_number(value: float) -> None:
    assert is_number(value)


@pytest.mark.parametrize("value", [True, "1", None, 1j, HUGE, -HUGE])
def test_all_else_is_none(value: object) -> None:
    assert not is_number(value)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: RateConfig(HUGE), "rate"),
        (lambda: RateConfig(1, burst=HUGE), "burst"),
        (lambda: RateConfig(1, max_lag=HUGE), "max_lag"),
        (lambda: RateLimiter(HUGE), "rate"),
        (lambda: RateLimiter(1).set_rate(HUGE), "rate"),
        (lambda: BatchConfig(timeout=HUGE), "timeout"),
        (lambda: FlowConfig(slow_threshold=HUGE), "slow_threshold"),
        (lambda: MetricsConfig(interval=HUGE), "metrics interval"),
        (lambda: MetricsConfig(stall_threshold=HUGE), "metrics stall_threshold"),
        (lambda: Prices(input=HUGE, output=1), "price input"),
        (lambda: StopConfig(max_seconds=HUGE), "max_seconds"),
        (lambda: StopConfig(max_cost=HUGE), "max_cost"),
        (lambda: StreamOptions(progress_interval=HUGE), "progress_interval"),
        (lambda: StreamOptions(units="word", max_wait=HUGE), "max_wait"),
        (lambda: throttled(print, HUGE), "interval"),
    ],
)
def test_options_refuse_an_int_that_no_clock_can_take(make: Callable[[], Any], name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} must be .*, got 1000"):
        make()
