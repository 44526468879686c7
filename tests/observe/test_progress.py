"""How far an answer has come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.observe import Progress, ProgressTracker


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_without_an_estimate_percent_and_remaining_are_unknown() -> None:
    progress = Progress(tokens_received=10, elapsed=2.0)
    assert (progress.percent, progress.rate, progress.remaining) == (None, 5.0, None)


def test_percent_is_capped_where_the_estimate_was_too_low() -> None:
    progress = Progress(tokens_received=300, elapsed=3.0, estimated_tokens=200)
    assert (progress.percent, progress.remaining) == (100.0, 0.0)


def test_before_any_time_has_passed_there_is_no_rate() -> None:
    progress = Progress(tokens_received=0, elapsed=0.0, estimated_tokens=200)
    assert (progress.percent, progress.rate, progress.remaining) == (0.0, None, None)


def test_before_the_first_token_nobody_knows_how_long_it_takes() -> None:
    progress = Progress(tokens_received=0, elapsed=3.0, estimated_tokens=200)
    assert (progress.rate, progress.remaining) == (0.0, None)


def test_once_done_nothing_remains_and_percent_tells_the_truth() -> None:
    progress = Progress(tokens_received=150, elapsed=3.0, estimated_tokens=200, done=True)
    assert (progress.percent, progress.remaining) == (75.0, 0.0)


@given(st.integers(0, 10**6), st.floats(0, 1e6), st.none() | st.integers(1, 10**6), st.booleans())
def test_every_field_stays_in_its_range(
    tokens: int, elapsed: float, estimated: int | None, done: bool
) -> None:
    at = Progress(tokens_received=tokens, elapsed=elapsed, estimated_tokens=estimated, done=done)
    assert at.percent is None or 0 <= at.percent <= 100
    assert at.remaining is None or at.remaining >= 0
    assert at.rate is None or at.rate >= 0


def test_a_tracker_adds_up_tokens_and_time() -> None:
    clock = Clock()
    tracker = ProgressTracker(clock=clock)
    tracker.set_estimated_tokens(500)
    tracker.update_tokens(10)
    tracker.update_tokens(15)
    clock.now += 5.0
    assert tracker.snapshot() == Progress(tokens_received=25, elapsed=5.0, estimated_tokens=500)
    assert tracker.snapshot().remaining == 95.0


def test_a_text_counts_as_one_token_and_an_empty_one_as_none() -> None:
    tracker = ProgressTracker()
    for text in ("Hello", "", " world"):
        tracker.update(text)
    assert tracker.snapshot().tokens_received == 2


def test_a_tokenizer_counts_texts() -> None:
    tracker = ProgressTracker(tokenizer=lambda text: len(text.split()))
    tracker.update("three words here")
    assert tracker.snapshot().tokens_received == 3


def test_a_finished_tracker_stands_still() -> None:
    clock = Clock()
    tracker = ProgressTracker(clock=clock)
    clock.now += 2.0
    tracker.finish()
    clock.now += 2.0
    tracker.finish()
    assert tracker.snapshot() == Progress(tokens_received=0, elapsed=2.0, done=True)


def test_an_estimate_may_be_taken_back() -> None:
    tracker = ProgressTracker(100)
    tracker.set_estimated_tokens(None)
    assert tracker.snapshot().percent is None


@pytest.mark.parametrize("tokens", [0, -5, "5", True])
def test_an_estimate_that_is_no_number_from_one_is_refused(tokens: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"must be at least 1, got {tokens!r}"):
        ProgressTracker(tokens)


def test_tokens_never_go_back() -> None:
    with pytest.raises(ValueError, match="must be at least 0, got -1"):
        ProgressTracker().update_tokens(-1)


def test_no_token_of_any_thread_is_lost(run_in_thread: Any) -> None:
    tracker = ProgressTracker()

    def work() -> None:
        for _ in range(2000):
            tracker.update("x")

    for task in [run_in_thread(work) for _ in range(4)]:
        task.result()
    assert tracker.snapshot().tokens_received == 8000


@pytest.mark.parametrize("tokens", ["x", None, float("nan"), True])
def test_tokens_that_are_no_number_are_refused(tokens: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"tokens must be at least 0, got {tokens!r}"):
        ProgressTracker().update_tokens(tokens)
    with pytest.raises(ConfigurationError, match="tokens must be at least 0"):
        ProgressTracker(tokenizer=lambda text: tokens).update("a")


def test_a_tokenizer_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tokenizer must be callable, got 5"):
        ProgressTracker(tokenizer=5)  # type: ignore[arg-type]
