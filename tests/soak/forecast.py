"""
What must come of a stream, by its scenario and the server's log. Pure.

The log is needed for one thing only: whether a request came over a connection that had served
before. If such a one dies before the first byte of an answer, the request is sent once more without
a word (PROMISES.md P53), and the attempt does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from faults import FOREVER
from scenario import Scenario, Try

__all__ = ["BOOM", "Forecast", "Seen", "forecast"]

#: The name of what the user's own functions raise.
BOOM = "Boom"

OUTCOMES = {
    "StreamInterrupted": "transport_error",
    "TruncatedStream": "truncated",
    "StreamTimeout": "timeout",
    "ProtocolError": "failed",
    "LimitExceeded": "failed",
    "ChunkRejected": "rejected",
    BOOM: "failed",
}
#: Finish reason -> outcome, where they differ.
FINISHES = {"stop": "completed"}
#: More than any stream of the soak takes of an endless answer, in repetitions.
ENOUGH = 20_000


@dataclass(frozen=True)
class Seen:
    """
    One request, as the server saw it.

    Args:
        number: Of the stream.
        reused: Whether its connection had carried a request before.
        sent: Bytes of body written, framing aside.
    """

    number: int
    reused: bool
    sent: int


@dataclass(frozen=True)
class Forecast:
    """
    The one right end of a stream that nobody leaves.

    Args:
        outcome: Result.outcome.
        error: The class of what is raised; None for a quiet end.
        text: The model's text, whole up to the fault or the user's stop.
        thinking: The same for reasoning.
        arguments: Of the tool call; None where there is none.
        deltas: How many deltas of text and reasoning; None where that cannot be told.
        attempts: The class of error of each attempt, None for the answer.
        seams: How much text stood before each place where a broken answer was carried on.
        requests: How many the server must have seen.
        exact: False if only a bound of the text is known: it begins so.
        bytes: Whether every byte sent must have been received.
    """

    outcome: str
    error: str | None
    text: str
    thinking: str
    arguments: str | None
    deltas: int | None
    attempts: tuple[str | None, ...]
    seams: tuple[int, ...]
    requests: int
    exact: bool
    bytes: bool


def forecast(plan: Scenario, seen: Sequence[Seen] = ()) -> Forecast:
    """What must come of it, if nobody leaves it."""
    failed: list[str | None] = []
    played: list[Try] = []
    seams: list[int] = []
    before = ""
    replaced = False
    while True:
        number = len(played)
        one = plan.tries[min(number, len(plan.tries) - 1)]
        played.append(one)
        reused = number < len(seen) and seen[number].reused
        if one.row.silent and reused and not replaced:
            replaced = True
            continue
        replaced = False
        ended = _user_end(plan, one, before)
        if ended is not None or (error := _error(plan, one)) is None:
            break
        failed.append(error)
        if one.pieces and plan.recovery is not None and len(seams) < plan.recovery:
            before += "".join(one.pieces)
            seams.append(len(before))
        elif not _retried(plan, one, len(failed)):
            break
    return _told(plan, played, failed, ended, before, tuple(seams))


def _error(plan: Scenario, one: Try) -> str | None:
    if one.fault in ("error", "error-first") and plan.dialect == "ollama":
        return "ProviderError"  # it names no kind of error, so nothing says that it may pass
    return one.row.error


def _retried(plan: Scenario, one: Try, failures: int) -> bool:
    if plan.retries is None or failures > plan.retries or one.pieces or one.thinking:
        return False
    return one.row.retry and _error(plan, one) != "ProviderError"


def spoken(one: Try) -> tuple[str, ...]:
    """The deltas of the text, as they must arrive."""
    if one.fault == "events-twice":
        return tuple(piece for piece in one.pieces for _ in range(2))
    return one.pieces


def _text(one: Try) -> str:
    return "".join(spoken(one)) + (FOREVER * ENOUGH if one.row.endless else "")


def _user_end(plan: Scenario, one: Try, before: str) -> tuple[str, str | None, str] | None:
    """Outcome, error and text, if a stop, a limit or a validator comes before the fault."""
    text = before + _text(one)
    if plan.stop is not None and plan.stop in text:
        return "stopped", None, text[: text.index(plan.stop)]
    if plan.chars is not None and len(text) >= plan.chars:
        return "stopped", None, text[: plan.chars]
    if plan.reject is not None and plan.reject in text:
        error = BOOM if plan.boom else "ChunkRejected"
        return OUTCOMES[error], error, text[: text.index(plan.reject)]
    if plan.limit is not None and one.row.endless:
        return "failed", "LimitExceeded", text
    return None


def _told(
    plan: Scenario,
    played: Sequence[Try],
    failed: list[str | None],
    ended: tuple[str, str | None, str] | None,
    before: str,
    seams: tuple[int, ...],
) -> Forecast:
    last = played[-1]
    text, arguments, deltas = before + _text(last), last.arguments, len(spoken(last))
    if ended is not None:
        outcome, error, text = ended
        arguments = None
        failed.append(None if error == BOOM else error)
    elif last.row.error is not None:
        error = failed[-1]
        assert error is not None
        outcome = OUTCOMES.get(error, "provider_error")
        if plan.recovery is not None and last.pieces:
            error = "RecoveryFailed"
    else:
        outcome, error = FINISHES.get(last.finish, last.finish), None
        # Anthropic has one word for two: what was filtered is a refusal.
        if plan.dialect == "anthropic" and outcome == "content_filter":
            outcome = "refused"
        failed.append(None)
    twice = 2 if last.fault == "events-twice" else 1
    whole = ended is None and not (last.row.endless or last.row.loses)
    known = whole and arguments is None and plan.recovery is None
    # Anthropic's thinking ends with a delta of its own, the signature.
    thoughts = len(last.thinking) * twice + (plan.dialect == "anthropic" and bool(last.thinking))
    return Forecast(
        outcome=outcome,
        error=error,
        text=text,
        thinking="".join(one for one in last.thinking for _ in range(twice)),
        arguments=arguments,
        deltas=deltas + thoughts if known else None,
        attempts=tuple(failed),
        seams=seams,
        requests=len(played),
        exact=not (last.row.loses or (last.row.endless and plan.limit is not None)),
        bytes=whole and all(one.row.bytes for one in played),
    )
