"""The soak's checker catches what it is there for: each kind of wrong history, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from checker import History, violations
from forecast import Seen
from scenario import Scenario, Try

from streamkit import Attempt, Metrics, Result, StreamInterrupted

PIECES = ("<7:0>a", "<7:1> b", "<7:2> c", "<7:3> d")
TEXT = "".join(PIECES)
ONCE = (Seen(7, False, 400),)


def plan(*faults: str, **changes: Any) -> Scenario:
    """A scenario by hand; the last fault has the words."""
    *early, last = faults or ("none",)
    tries = (*map(Try, early), Try(last, PIECES))
    keywords = {"mode": "buffered", "buffer": 10, "overflow": "block"}
    given = {"consumer": "chunks", "retries": 2, **changes}
    given["keywords"] = {**keywords, **changes.get("keywords", {})}
    return Scenario(seed=0, number=7, dialect="openai", tries=tries, **given)


def numbers(**changes: Any) -> Metrics:
    fine: dict[str, Any] = {
        "stream_id": "s", "provider": "openai", "model": "m", "duration_ms": 1.0,
        "chunks_received": 5, "bytes_received": 400, "chunks_delivered": 5, "chunks_dropped": 0,
        "chunks_merged": 0, "chunks_per_second": 0.0, "bytes_per_second": 0.0,
        "time_to_first_chunk": None, "errors": 0, "retries": 0, "done": True,
    }  # fmt: skip
    return Metrics(**{**fine, **changes})


def history(**changes: Any) -> History:
    """That of a stream that did everything right: four deltas and the usage."""
    metrics = changes.pop("metrics", numbers())
    told = changes.pop("told", {})
    fine: dict[str, Any] = {"text": TEXT, "outcome": "completed", "attempts": (Attempt(1),)}
    result = Result(**{**fine, "dropped": metrics.chunks_dropped, **told, "metrics": metrics})
    seen: dict[str, Any] = {
        "texts": [*PIECES], "indexes": [0, 1, 2, 3, 4], "count": 5, "deltas": 4,
        "all_kinds": True, "ends": 1, "result": result, "metrics": metrics,
    }  # fmt: skip
    return History(**{**seen, **changes})


def broke(**changes: Any) -> History:
    """That of a stream whose connection broke after all its words."""
    failed = Attempt(1, error=StreamInterrupted("gone"))
    told = {"outcome": "transport_error", "attempts": (failed,), **changes.pop("told", {})}
    fine = {"raised": "StreamInterrupted", "partial": TEXT, "errors": 1}
    metrics = changes.pop("metrics", numbers(errors=1))
    return history(**{**fine, **changes}, told=told, metrics=metrics)


def shed(**changes: Any) -> History:
    """That of a stream that shed its second and third delta."""
    fine = {
        "texts": [PIECES[0], PIECES[3]], "deltas": 2, "count": 3, "gaps": 2, "indexes": [0, 3, 4],
        "metrics": numbers(chunks_delivered=3, chunks_dropped=2),
    }  # fmt: skip
    return history(**{**fine, **changes})


LOSSY = plan(keywords={"overflow": "drop"})


@pytest.mark.parametrize(
    ("scenario", "seen_of_it"),
    [
        (plan(), history()),
        (plan("rst"), broke()),
        (LOSSY, shed()),
        (plan(cancel=0.1), history(told={"outcome": "cancelled", "text": TEXT[:9]}, texts=[])),
        (
            plan(consumer="break"),
            history(
                left=True,
                texts=[PIECES[0]],
                all_kinds=False,
                count=None,
                told={"outcome": "cancelled"},
            ),
        ),
    ],
    ids=["whole", "broken", "shed", "cancelled", "left"],
)
def test_a_right_history_breaks_no_rule(scenario: Scenario, seen_of_it: History) -> None:
    assert violations(scenario, seen_of_it, ONCE) == []


Wrong = Callable[[], tuple[Scenario, History, str]]

WRONG: dict[str, Wrong] = {
    "a piece is lost": lambda: (
        plan(), history(texts=[*PIECES[:1], *PIECES[2:]]), "delivered text",
    ),
    "the last piece is lost": lambda: (plan(), history(texts=[*PIECES[:3]]), "delivered text"),
    "a piece is doubled": lambda: (plan(), history(texts=[*PIECES, PIECES[3]]), "delivered text"),
    "two pieces change places": lambda: (
        plan(), history(texts=[PIECES[1], PIECES[0], *PIECES[2:]]), "delivered text",
    ),
    "a piece is invented": lambda: (plan(), history(texts=[*PIECES, "?"]), "delivered text"),
    "a character is changed": lambda: (
        plan(), history(texts=[PIECES[0].upper(), *PIECES[1:]]), "delivered text",
    ),
    "a piece of another stream": lambda: (
        LOSSY, shed(texts=[PIECES[0], "<8:3> d"]), "which was not sent",
    ),
    "shed pieces change places": lambda: (
        LOSSY, shed(texts=[PIECES[3], PIECES[0]]), "which was not sent",
    ),
    "a shed piece comes twice": lambda: (
        LOSSY, shed(texts=[PIECES[0], PIECES[0]]), "which was not sent",
    ),
    "the result lacks text": lambda: (plan(), history(told={"text": TEXT[:-1]}), "result.text"),
    "the result has too much": lambda: (plan(), history(told={"text": TEXT + "!"}), "result.text"),
    "a cancelled result invents": lambda: (
        plan(cancel=0.1), history(told={"outcome": "cancelled", "text": "no"}), "result.text",
    ),
    "reasoning that nobody sent": lambda: (
        plan(), history(told={"reasoning": "hm"}), "result.reasoning",
    ),
    "the text before a fault is lost": lambda: (
        plan("rst"), broke(told={"text": TEXT[:5]}, partial=TEXT[:5]), "result.text",
    ),
    "the error has no partial": lambda: (plan("rst"), broke(partial=None), "error.partial"),
    "a fault is silent": lambda: (plan("rst"), history(), "due was"),
    "another class of error": lambda: (plan("cut"), broke(), "due was"),
    "another outcome": lambda: (plan("rst"), broke(told={"outcome": "failed"}), "due was"),
    "a false alarm": lambda: (plan(), broke(), "due was"),
    "a cancel that nobody made": lambda: (
        plan(), history(told={"outcome": "cancelled"}), "nobody did",
    ),
    "a cancel that raises": lambda: (
        plan(cancel=0.1), broke(told={"outcome": "cancelled"}), "a cancel raised",
    ),
    "a break that goes on": lambda: (plan(consumer="break"), history(left=True), "it was left"),
    "a callback's exception is lost": lambda: (plan(), history(blew=True), "a callback raised"),
    "two exceptions": lambda: (plan("rst"), broke(same=False), "another exception"),
    "on_end never came": lambda: (plan(), history(ends=0), "on_end was called 0"),
    "on_end came twice": lambda: (plan(), history(ends=2), "on_end was called 2"),
    "on_error came for nothing": lambda: (plan(), history(errors=1), "on_error was called 1"),
    "a call after on_end": lambda: (plan(), history(late=1), "came after on_end"),
    "indexes go back": lambda: (plan(), history(indexes=[0, 2, 1, 3, 4]), "out of order"),
    "numbers do not add up": lambda: (
        plan(), history(metrics=numbers(chunks_received=6)), "is not delivered",
    ),
    "more was dropped than the gaps say": lambda: (LOSSY, shed(gaps=1), "the gaps say 1"),
    "a loss without a lossy policy": lambda: (plan(), shed(), "no policy sheds"),
    "more delivered than came": lambda: (plan(), history(count=4), "delivered says"),
    "a delta is unaccounted for": lambda: (plan(), history(deltas=3), "accounted for"),
    "merged unasked": lambda: (
        plan(), history(metrics=numbers(chunks_merged=1, chunks_received=6)), "nobody asked",
    ),
    "the buffer is not empty": lambda: (
        plan(), history(metrics=numbers(buffer_size=1)), "buffer_size 1",
    ),
    "an exception is not counted": lambda: (plan(), history(counted=1), "0 were counted"),
    "the result has other numbers": lambda: (
        plan(), replace(history(), metrics=numbers(chunks_received=4, chunks_delivered=4), count=4),
        "the result tells",
    ),
    "an attempt is missing": lambda: (
        plan("500", "none"), history(), "the attempts are",
    ),
    "a retry is not counted": lambda: (plan("500", "none"), history(), "retries is 0"),
    "an error is counted twice": lambda: (
        plan("rst"), broke(metrics=numbers(errors=2)), "errors is 2",
    ),
    "a byte is not counted": lambda: (
        plan(), history(metrics=numbers(bytes_received=399)), "bytes_received is 399",
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_history_is_caught(wrong: Wrong) -> None:
    scenario, seen_of_it, words = wrong()

    found = violations(scenario, seen_of_it, ONCE)

    assert any(words in one for one in found), found


@pytest.mark.parametrize("seen", [(), ONCE * 2], ids=["none", "two"])
def test_requests_that_the_server_did_not_see_once_are_caught(seen: Sequence[Seen]) -> None:
    found = violations(plan(), history(), seen)

    assert any(f"the server saw {len(seen)} requests" in one for one in found), found


def test_a_stale_connection_may_be_replaced_once_and_silently() -> None:
    twice = (Seen(7, True, 0), Seen(7, False, 400))

    assert violations(plan("fin-at-once", "none"), history(), twice) == []


def test_a_new_connection_that_dies_is_an_attempt() -> None:
    twice = (Seen(7, False, 0), Seen(7, False, 400))

    found = violations(plan("fin-at-once", "none"), history(), twice)

    assert any("the attempts are" in one for one in found), found
