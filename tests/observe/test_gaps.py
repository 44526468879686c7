"""Percentiles out of a histogram of fixed size."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.observe.gaps import BINS, RELATIVE_ERROR, Gaps


def filled(*seconds: float) -> Gaps:
    gaps = Gaps()
    for each in seconds:
        gaps.add(each)
    return gaps


def test_without_a_gap_there_is_no_percentile() -> None:
    assert Gaps().percentile(50) is None


@given(
    st.lists(st.floats(1e-6, 1e5), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 99, 100])
)
def test_a_percentile_is_the_nearest_rank_within_the_stated_error(
    seconds: list[float], percent: int
) -> None:
    exact = sorted(seconds)[math.ceil(len(seconds) * percent / 100) - 1]
    found = filled(*seconds).percentile(percent)
    assert found == pytest.approx(exact, rel=RELATIVE_ERROR + 1e-9)


def test_the_stated_error_is_the_one_the_documents_name() -> None:
    assert round(RELATIVE_ERROR * 100, 1) == 4.4


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e6, 1e12])
def test_a_gap_outside_the_range_is_counted_at_its_edge(seconds: float) -> None:
    gaps = filled(seconds)
    found = gaps.percentile(50)
    assert found is not None
    assert found <= max(seconds, 0.0)


def test_no_number_of_gaps_takes_more_memory() -> None:
    gaps = filled(*(i * 1e-4 for i in range(10_000)))
    assert len(gaps._bins) == BINS
