"""
Carrying a broken answer on: who is asked for the rest, and where the new text joins the old.

Three ways, tried in this order; a service that refuses one is asked in the next:

    resumed    the service itself sends the rest of the same answer: nothing was lost or made anew
    prefill    the model goes on with its own words, sent as its last message
    asked      the model is shown its words and asked to go on (recovery/strategy.py)

Where no text had come yet but blanks, only thinking or the beginning of a tool call, the request
is simply sent again. Tool calls are never carried on half-way, except by ``resumed``: the model
makes them anew, and those that had begun are struck from the record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from streamkit.chunk import Chunk, Seam
from streamkit.errors import (
    ConfigurationError,
    InvalidRequest,
    LimitExceeded,
    ProviderError,
    RecoveryFailed,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
    TruncatedStream,
)
from streamkit.recovery.recovery import RecoveryConfig, Strategy, is_recoverable
from streamkit.recovery.retry import RetryConfig, RetryPolicy
from streamkit.recovery.splice import Echo, Joint, Known

__all__ = ["Carrier", "Carry", "Splice", "Way", "explain"]


@dataclass(frozen=True, slots=True)
class Way:
    """
    How the rest of an answer is asked for.

    Thread safety: **immutable**.

    Args:
        how: As in Seam; ``appended`` where the model is asked in words.
        blanks: What the text ends with and the service is not shown.
        echoes: The service may send the text that it was shown again, before the rest.
    """

    how: str
    blanks: str = ""
    echoes: bool = False


class Carrier(Protocol):
    """
    A source that can be asked for the rest. Each method says what the next ``open()`` asks for.

    Thread safety: **confined** to the reading thread.
    """

    def resume(self) -> bool:
        """The rest of the very answer that broke; False where the service cannot."""
        ...

    def ask(self, text: str, strategy: Strategy) -> Way:
        """
        What follows ``text``; where that is blank, the answer from its beginning.

        Raises:
            ConfigurationError: The service has no way to say that.
        """
        ...

    def refuse(self) -> bool:
        """The way in use was refused by the service; whether another one is left."""
        ...

    def forget(self) -> None:
        """Nothing more will be asked for: let go of what the last answer left."""
        ...


def explain(error: StreamkitError, came: int, *, carried: bool) -> None:
    """
    Say in an error after how much the answer broke, of which request, and what there is to do.

    Source: PROMISES.md P36.

    Args:
        error: What ended the answer; only of one that was cut, or ran out of time, is more said.
        came: Characters of text before it.
        carried: Recovery was asked for.
    """
    if not came or not isinstance(error, (TruncatedStream, StreamInterrupted, StreamTimeout)):
        return
    after = f"after {came:,} character{'s' * (came > 1)}"
    if error.elapsed is not None and not isinstance(error, StreamTimeout):  # which says it itself
        after += f" in {error.elapsed:.1f} s"
    if error.request_id:
        after += f", request {error.request_id}"
    hint = "" if carried or not is_recoverable(error) else "; recovery=True carries such answers on"
    error.args = (f"{error}, {after}{hint}",)


class Splice:
    """
    A stage that knows the text of all attempts, and joins each new one to it.

    An attempt may break before its joint is certain: most likely it was just repeating. What is
    held of it nobody has seen, so the next one is asked to go on from the text before it, and with
    the first word of that one it is forgotten.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._joint: Joint | Known | Echo | None = None
        self._seam: Seam | None = None
        self._next: tuple[Joint | Known | Echo, Seam] | None = None  # until that attempt speaks
        self._held: list[str] = []  # of an attempt whose joint is not certain yet

    @property
    def text(self) -> str:
        """All text so far, but for what is held."""
        return "".join(self._parts)

    def preload(self, text: str) -> None:
        """Text that another stream had brought."""
        self._parts.append(text)

    def begin(self, seam: Seam, way: Way) -> None:
        """Another attempt goes on after what came."""
        if way.how == "resumed" and self._joint is not None:
            return  # the joint that was not certain yet gets what it still needs
        old = self.text
        joint: Joint | Known | Echo
        if way.echoes:
            joint = Echo(old)
        elif way.how != "appended":
            joint = Known(way.how, way.blanks)
        else:
            joint = Joint(old)
        self._next = joint, replace(seam, at=len(old), how=way.how)
        if not self._held:
            self._turn()

    def _turn(self) -> None:
        """The attempt that began last has something to say."""
        if self._next is not None:
            (self._joint, self._seam), self._next = self._next, None
            self._held.clear()

    def give_up(self) -> None:
        """No rest will come: an attempt that brought nothing to join leaves no seam."""
        self._next = None
        if not self._held:
            self._joint = self._seam = None

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """See Stage."""
        out: list[Chunk] = []
        for chunk in chunks:
            if self._joint is not None:
                self._join(chunk, out)
            elif chunk.kind == "text" and chunk.content:
                self._parts.append(chunk.content)
                out.append(chunk)
            else:
                out.append(chunk)
        return out

    def flush(self) -> list[Chunk]:
        """See Stage."""
        out: list[Chunk] = []
        self._turn()
        if self._joint is not None:
            rest = self._joint.flush()
            self._settle(out)
            if rest:
                self._parts.append(rest)
                out.append(Chunk(rest))
        return out

    def _join(self, chunk: Chunk, out: list[Chunk]) -> None:
        assert self._joint is not None
        if chunk.kind == "text" and chunk.content:
            self._turn()
            self._held.append(chunk.content)
            chunk.content = self._joint.feed(chunk.content)
            if self._joint.how is not None:
                self._settle(out)
                self._parts.append(chunk.content)
            if not (chunk.content or chunk.metadata or chunk.finish_reason):
                return
        elif chunk.kind in ("tool_call", "refusal") or self._begins_anew(chunk):
            out += self.flush()  # the others do not wait for the text's seam
        if chunk.finish_reason and self._joint is not None:
            out += self.flush()
        out.append(chunk)

    def _begins_anew(self, chunk: Chunk) -> bool:
        """Whether it is the first word, if not of text, of an answer that is made once more."""
        coming = self._next[1] if self._next is not None else self._seam
        again = coming is not None and coming.how == "again"
        return again and (chunk.kind == "citation" or bool(chunk.content))

    def _settle(self, out: list[Chunk]) -> None:
        """The joint is certain: say where it is, and what it is."""
        assert self._joint is not None and self._seam is not None and self._joint.how is not None
        seam = replace(self._seam, how=self._joint.how, trimmed=self._joint.trimmed)
        out.append(Chunk(kind="retry", metadata={"seam": seam}))
        self._joint = self._seam = None
        self._held.clear()


class Broken(Protocol):
    """What of a Tail is needed here."""

    splice: Splice | None

    def break_off(self, wall: float, *, goes_on: bool) -> list[Chunk]:
        """The attempt broke: what its own stages held -> chunks to be shown."""
        ...

    @property
    def begun_calls(self) -> int:
        """How many tool calls have begun."""
        ...


class Carry:
    """
    Decides whether a broken answer is carried on, and prepares the request that does.

    Thread safety: **confined** to the reading thread.

    Args:
        config: How often, and how the model is asked.
        source: Is asked.
        retry: Its back-off is kept here too; None is the usual one.
        resumes: The stream begins with the rest of an answer that broke before.
    """

    def __init__(
        self,
        config: RecoveryConfig,
        source: Carrier,
        retry: RetryConfig | None,
        *,
        resumes: bool = False,
    ) -> None:
        self._config = config
        self._source = source
        back_off = replace(retry or RetryConfig(), max_retries=config.max_retries)
        self._policy = RetryPolicy(back_off, judge=is_recoverable)
        self.resumes = resumes
        #: Requests made to carry on.
        self.made = 0

    def delay(self, error: StreamkitError, total_left: float) -> float | None:
        """Seconds to wait before the rest is asked for; None where it is not."""
        if isinstance(error, InvalidRequest) and self.made and self._source.refuse():
            return 0.0
        return self._policy.delay(error, failures=self.made + 1, total_left=total_left)

    def prepare(
        self, tail: Broken, attempt: int, error: StreamkitError | None, wall: float
    ) -> Iterator[list[Chunk]]:
        """
        See to it that the next attempt brings the rest; gives what the broken one had held, also
        where the service has no way to go on.

        Args:
            tail: What came.
            attempt: The number of the next attempt.
            error: What the last one ended with; None where that was another stream.
            wall: Epoch seconds.

        Raises:
            ConfigurationError: The service has no way to say that.
        """
        splice = tail.splice
        assert splice is not None
        self.made += 1
        why = None if error is None else f"{type(error).__name__}: {error}"
        if error is not None and not isinstance(error, ProviderError) and self._source.resume():
            splice.begin(Seam(attempt, 0, "", error=why), Way("resumed"))
            return
        try:
            self._source.ask(splice.text, self._config.strategy)
        except ConfigurationError:
            yield tail.break_off(wall, goes_on=False)
            raise
        yield tail.break_off(wall, goes_on=True)
        way = self._source.ask(splice.text, self._config.strategy)  # what was held is text now
        splice.begin(Seam(attempt, 0, "", abandoned=tail.begun_calls, error=why), way)

    def failed(
        self, error: StreamkitError, no_way: ConfigurationError | None = None
    ) -> StreamkitError:
        """
        Nothing more is asked for: what to raise for what ended the last attempt.

        Args:
            error: What ended it.
            no_way: Why the service could not be asked; None where it was, or not to be.
        """
        self._source.forget()
        bounded = isinstance(error, LimitExceeded) or getattr(error, "clock", None) == "total"
        if not self.made or bounded:  # the user's own bounds stay what they are
            return error
        made = self.made - (no_way is not None)
        tried = f" in {made} more request{'s' * (made > 1)}; the last one" if made else "; it"
        why = "" if no_way is None else f"; there is no way to ask for the rest: {no_way}"
        failure = RecoveryFailed(
            f"the answer broke and could not be carried on{tried} ended with: {error}{why}",
            stage=error.stage, status=error.status,
            request_id=error.request_id, outcome=error.outcome,
        )  # fmt: skip
        failure.__cause__ = error
        return failure
