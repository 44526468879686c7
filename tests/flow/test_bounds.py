"""The bounds of a ring, as options and as arguments of StreamBuffer."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.flow import BufferConfig, StreamBuffer


@pytest.mark.parametrize("make", [StreamBuffer, BufferConfig])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 0}, "capacity must be at least 1, got 0"),
        ({"capacity": 2.5}, "capacity must be a whole number, got 2.5"),
        ({"capacity": True}, "capacity must be a whole number, got True"),
        ({"max_bytes": 0}, "max_bytes must be at least 1, got 0"),
        ({"max_capacity": 0}, "max_capacity must be at least 1, got 0"),
        ({"max_capacity": "9"}, "max_capacity must be a whole number, got '9'"),
        ({"max_capacity": 2**25}, "max_capacity must be at most 16777216, got 33554432"),
        (
            {"capacity": 9, "max_capacity": 8},
            "max_capacity must be at least capacity, got 8 and 9",
        ),
        (
            {"overflow": "dorp"},
            "overflow must be one of block, drop, overwrite, coalesce, or a callable",
        ),
        ({"overflow": None}, "got None"),
    ],
)
def test_a_bad_option_is_refused(make: Any, options: dict[str, Any], message: str) -> None:
    if make is StreamBuffer and "max_bytes" in options:
        options = {**options, "size_of": len}
    with pytest.raises(ConfigurationError, match=message):
        make(**options)


def test_the_defaults_are_the_documented_ones() -> None:
    config = BufferConfig()
    assert (config.capacity, config.max_bytes, config.overflow) == (100, 4 * 1024 * 1024, "block")
    assert config.max_capacity is None
    assert StreamBuffer[int]().capacity == StreamBuffer[int]().max_capacity == 100


def test_options_and_accounting_are_values_that_can_be_pickled() -> None:
    for value in (BufferConfig(capacity=7, overflow="drop"), StreamBuffer[int](3).stats()):
        assert pickle.loads(pickle.dumps(value)) == value
