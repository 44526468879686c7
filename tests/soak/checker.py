"""
Prove from its history that a stream lost nothing, invented nothing and told the truth. Pure.

``violations()`` compares what a consumer saw and what the stream says of itself (History) with what
had to come of it (Forecast) and with what the server saw (Seen). Every rule is one function; the
tests of this file break each of them on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from forecast import BOOM, Forecast, Seen, forecast
from scenario import Scenario

from streamkit import Metrics, Result

__all__ = ["History", "violations"]

CAPITALS = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass
class History:
    """
    What a consumer saw of one stream.

    Thread safety: **confined** to whoever drains.

    Args:
        texts: The text it got, piece by piece, gaps and other kinds aside.
        thoughts: The reasoning it got, where it sees kinds.
        indexes: Chunk.index of all it got, gaps aside, where it sees chunks.
        count: Chunks it got, gaps and the last one aside; None where it cannot tell.
        deltas: Chunks of text and reasoning among them.
        gaps: What the gap chunks say was lost.
        all_kinds: Whether it sees chunks, and not only their text.
        left: It left before the end, by itself.
        blew: Its callback raised, which ends the stream.
        counted: How often its callback raised where that is only counted.
        raised: The class of what the stream raised.
        same: Whether result() raised the same object as the loop, and on_error got it.
        partial: The text of error.partial; None without one.
        ends: Calls of on_end; ``errors`` those of on_error.
        result: The Result.
        metrics: The numbers once all threads of the stream are gone; after a cancel, which waits
            for no callback, those of the Result may be from a moment before.
        late: Calls after the last of all.
    """

    texts: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    count: int | None = None
    deltas: int = 0
    gaps: int = 0
    all_kinds: bool = False
    left: bool = False
    blew: bool = False
    counted: int = 0
    raised: str | None = None
    same: bool = True
    partial: str | None = None
    ends: int = 0
    errors: int = 0
    result: Result | None = None
    metrics: Metrics | None = None
    late: int = 0


@dataclass(frozen=True)
class Case:
    """All that is known of one stream."""

    plan: Scenario
    history: History
    seen: Sequence[Seen]
    due: Forecast
    result: Result
    metrics: Metrics

    @property
    def cancelled(self) -> bool:
        """Whether somebody on our side ended it."""
        return self.result.outcome == "cancelled"

    @property
    def natural(self) -> bool:
        """Whether it ran to its own end."""
        return not self.cancelled and not self.history.blew

    def shown(self, text: str) -> str:
        """A text as this stream shows it, as far as that can be compared."""
        text = text.translate(CAPITALS) if self.plan.upper else text
        return "".join(text.split()) if self.plan.keywords.get("strip") else text


def violations(plan: Scenario, history: History, seen: Sequence[Seen]) -> list[str]:
    """Each rule that the stream broke, in words; [] for a stream that did everything right."""
    result = history.result
    if result is None:
        return ["it has no result"]
    metrics = history.metrics
    if metrics is None or result.metrics is None:
        return ["its result has no metrics"]
    case = Case(plan, history, seen, forecast(plan, seen), result, metrics)
    return [broken for rule in RULES for broken in rule(case)]


def _ending(case: Case) -> Iterator[str]:
    """One outcome, the right one, and the right class of error."""
    history, result, due = case.history, case.result, case.due
    told = (result.outcome, history.raised)
    if case.cancelled:
        if not (history.left or case.plan.cancel is not None):
            yield f"it was cancelled, and nobody did: due was {due.outcome}"
        if history.raised is not None:
            yield f"a cancel raised {history.raised}"
    elif history.blew:
        if told != ("failed", BOOM):
            yield f"a callback raised, and it ended as {told}"
    elif history.left:
        yield f"it was left, and ended as {told}"
    elif told != (due.outcome, due.error):
        yield f"it ended as {told}, due was {(due.outcome, due.error)}"
    if not history.same:
        yield "result() or on_error had another exception than the loop"


def _last_calls(case: Case) -> Iterator[str]:
    """on_end once, on_error once for what was raised, nothing after them."""
    history = case.history
    if history.ends != 1:
        yield f"on_end was called {history.ends} times"
    if history.errors != (history.raised is not None):
        yield f"on_error was called {history.errors} times for {history.raised}"
    if history.late and case.natural:  # a cancel does not wait for a loop body to return
        yield f"{history.late} calls came after on_end"


def _recorded(case: Case) -> Iterator[str]:
    """The Result is whole up to the fault, and never more than that."""
    result, due = case.result, case.due
    whole = case.natural and due.exact
    yield from _compare("result.text", result.text, due.text, whole)
    yield from _compare("result.reasoning", result.reasoning, due.thinking, whole)
    arguments = "".join(call.arguments for call in result.tool_calls)
    yield from _compare("the tool's arguments", arguments, due.arguments or "", whole)
    if case.natural and case.history.raised not in (None, BOOM):
        partial = case.history.partial
        if partial != result.text and (result.text or partial is not None):
            yield f"error.partial has {partial!r:.80}, the result {result.text!r:.80}"


def _delivered(case: Case) -> Iterator[str]:
    """What the consumer got is what was recorded: all of it, or in order what was not shed."""
    history = case.history
    if case.plan.consumer == "result":
        return
    got = case.shown("".join(history.texts))
    # Capitals of capitals are the same: what was shown is compared in the form it was shown in.
    text = case.shown(case.result.text)
    if case.plan.lossless:
        yield from _compare("the delivered text", got, text, case.natural)
    elif (stray := _first_stray(case, text)) is not None:
        yield f"delivered {stray!r:.80}, which was not sent, or not there"
    if history.all_kinds and case.plan.lossless:
        thoughts = "".join(history.thoughts)
        yield from _compare("delivered reasoning", thoughts, case.result.reasoning, case.natural)
    if any(a >= b for a, b in zip(history.indexes, history.indexes[1:], strict=False)):
        yield f"the chunks are out of order: {history.indexes!r:.200}"


def _first_stray(case: Case, text: str) -> str | None:
    """The first piece that does not follow, in the text, on the one before."""
    at = 0
    for piece in map(case.shown, case.history.texts):
        found = text.find(piece, at)
        if found < 0:
            return piece
        at = found + len(piece)
    return None


def _accounts(case: Case) -> Iterator[str]:
    """Received = delivered + dropped + merged, and each of them is what it says."""
    history, metrics, plan = case.history, case.metrics, case.plan
    told = _told(metrics)
    if metrics.chunks_received != sum(told) or min(told) < 0:
        yield f"received {metrics.chunks_received} is not delivered + dropped + merged {told}"
    if (metrics.done, metrics.buffer_size) != (True, 0):
        yield f"at the end done is {metrics.done}, buffer_size {metrics.buffer_size}"
    # Of a dropped stream there are but the numbers of on_end, where a cancel waits for nobody.
    final = plan.consumer != "drop" or plan.cancel is None
    if final and history.count not in (None, metrics.chunks_delivered):
        yield f"{history.count} chunks came, delivered says {metrics.chunks_delivered}"
    merges = plan.keywords["overflow"] == "coalesce" and "rate" not in plan.keywords
    if metrics.chunks_merged and not merges:
        yield f"{metrics.chunks_merged} chunks were merged, and nobody asked for it"
    if metrics.consumer_errors != history.counted:
        yield f"{history.counted} callbacks raised, {metrics.consumer_errors} were counted"
    if not case.natural:
        return
    result = case.result
    if result.metrics is None or _told(result.metrics) != told or result.dropped != told[1]:
        yield f"the result tells {result.metrics}, the stream {told}"
    if plan.lossless and metrics.chunks_dropped:
        yield f"{metrics.chunks_dropped} chunks were dropped, though no policy sheds any"
    if history.all_kinds and history.gaps != metrics.chunks_dropped:
        yield f"the gaps say {history.gaps} were lost, the metrics {metrics.chunks_dropped}"
    if case.due.deltas is not None and history.all_kinds and "units" not in plan.keywords:
        arrived = history.deltas + metrics.chunks_dropped + metrics.chunks_merged
        if arrived != case.due.deltas:
            yield f"{arrived} deltas are accounted for, {case.due.deltas} were sent"


def _seams(case: Case) -> Iterator[str]:
    """Where a broken answer was carried on, it says so, at the right place and with no doubt."""
    seams = case.result.recoveries
    told = tuple(seam.at for seam in seams)
    if told != case.due.seams[: None if case.natural else len(told)]:
        yield f"it was carried on at {told}, due was {case.due.seams}"
    for seam in seams:
        if seam.how not in ("prefill", "appended") or seam.trimmed or seam.abandoned:
            yield f"a faithful answer was joined as {seam}"


def _told(metrics: Metrics) -> tuple[int, int, int]:
    return metrics.chunks_delivered, metrics.chunks_dropped, metrics.chunks_merged


def _requests(case: Case) -> Iterator[str]:
    """As many requests as attempts, each failed for the right reason; every byte counted."""
    due, metrics, result = case.due, case.metrics, case.result
    made = tuple(one.error and type(one.error).__name__ for one in result.attempts)
    if not case.natural:
        if len(case.seen) > due.requests:
            yield f"the server saw {len(case.seen)} requests, due were {due.requests} at most"
        return
    if made != due.attempts:
        yield f"the attempts are {made}, due were {due.attempts}"
    if len(case.seen) != due.requests:
        yield f"the server saw {len(case.seen)} requests, due were {due.requests}"
    if metrics.retries != len(due.attempts) - 1:
        yield f"retries is {metrics.retries} after {len(due.attempts)} attempts"
    failed = sum(error is not None for error in due.attempts) + (due.error == BOOM)
    if metrics.errors != failed:
        yield f"errors is {metrics.errors}, {failed} happened"
    sent = sum(one.sent for one in case.seen)
    if due.bytes and metrics.bytes_received != sent:
        yield f"bytes_received is {metrics.bytes_received}, the server sent {sent}"


RULES = (_ending, _last_calls, _recorded, _delivered, _accounts, _requests, _seams)


def _compare(what: str, got: str, due: str, whole: bool) -> Iterator[str]:
    """Equal if ``whole``, else as far as it goes; says where they part."""
    if got == due or (not whole and due.startswith(got)):
        return
    pairs = zip(got, due, strict=False)
    at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(got), len(due)))
    yield (
        f"{what} has {len(got)} characters of {len(due)} and parts at {at}: "
        f"{got[at : at + 40]!r} for {due[at : at + 40]!r}"
    )
