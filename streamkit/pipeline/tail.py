"""
The second half of what stands between the bytes and the ring: a tail, one for the whole stream.

    join · think ... ▸ validate ▸ stop ▸ RECORD ▸ transform ▸ units

What is recorded is the model's own text, cut by the user's validators and stops; what is shown may
be something else. It outlives attempts, is push style and pure; whoever drives it looks at
``error``, ``stopped`` and ``over`` after each feed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from streamkit.chunk import Chunk, Result, Seam, Usage
from streamkit.errors import ConfigurationError, LimitExceeded
from streamkit.pipeline.calls import GrowingCall
from streamkit.pipeline.carry import Splice
from streamkit.pipeline.line import Clocked, Guarded, Line
from streamkit.pipeline.options import Limits, StreamOptions
from streamkit.pipeline.sources import Sources
from streamkit.stages import STAGES
from streamkit.stages.base import Stage
from streamkit.stages.basic import CONTENT
from streamkit.stages.join import JoinSurrogates
from streamkit.stages.regroup import Regroup
from streamkit.stages.resolve import transform_stages, validate_stages
from streamkit.stages.stop import Stop, StopConfig
from streamkit.stages.think import Think
from streamkit.text import new_buffer

__all__ = ["Tail", "new_tail", "stage_names"]


class Keeper(Protocol):
    """
    What keeps an answer somewhere while it comes.

    Thread safety: **confined** to the reading thread.
    """

    def add(self, chunks: list[Chunk]) -> None:
        """What was recorded; they are not its own, and change afterwards."""
        ...

    def due(self) -> float | None:
        """The monotonic instant at which it wants to be told the time; None for never."""
        ...

    def tick(self, now: float) -> None:
        """It is that late."""
        ...


class Tail:
    """
    Chunks of all attempts -> the chunks the user sees, and the Result so far.

    Thread safety: **confined** to the reading thread, except ``result()``: any thread.

    Args:
        limits: Bounds of the answer.
        stages: Names in ``streamkit.stages.STAGES``, in the order the chunks go through.
        checks: Stages that follow these, and decide what is recorded.
        shows: Stages behind the record, that decide what is shown.
        splice: Joins the text of an attempt to that of the one before, if there may be several.

    Raises:
        ConfigurationError: There is no stage of that name.
    """

    def __init__(
        self,
        limits: Limits,
        stages: Sequence[str] = (),
        *,
        checks: Sequence[Stage] = (),
        shows: Sequence[Stage] = (),
        splice: Splice | None = None,
    ) -> None:
        for name in stages:
            if name not in STAGES:
                raise ConfigurationError(
                    f"a stage must be one of {', '.join(STAGES)}, got {name!r}"
                )
        self.splice = splice
        self._halves = JoinSurrogates()
        #: Those of one attempt; what follows them goes on when another one carries on.
        own = [self._halves, *(STAGES[name]() for name in stages)]
        self._own = len(own)
        self._thinks = [stage for stage in own if isinstance(stage, Think)]
        self._before = Line([*own, *(() if splice is None else (splice,)), *checks])
        self._after = Line(shows)
        self._timed = self._before.is_timed or self._after.is_timed
        self.limit = limits.answer
        #: Bytes on the wire that may come without content: more than any answer or event needs.
        self.quiet_limit = limits.answer + limits.event
        self._size = 0
        self._index = 0
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._citations = Sources()
        self._calls: dict[int, GrowingCall] = {}
        self._asked = False
        #: How many chunks of content were recorded, those that say something in metadata included.
        self.content = 0
        self._arguments = 0  # deltas of tool calls
        self._deltas_gone = 0  # of an answer that was made once more
        #: Chunks that a buffer before this stream had shed, as its gaps say: that of a publisher.
        self.shed = 0
        self.usage = Usage()
        self._spent: Usage | None = None  # by the attempts before this one
        self._seams: list[Seam] = []
        self._keeper: Keeper | None = None
        #: What the provider reported beside its counts, and what it did for attempts that broke.
        self.details: Mapping[str, Any] | None = None
        self.earlier: list[Mapping[str, Any]] = []
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.id: str | None = None

    def feed(self, chunks: list[Chunk], wall: float, now: float) -> list[Chunk]:
        """
        Take the chunks of one read, give those to be shown.

        Args:
            chunks: They belong to the tail from here on.
            wall: Epoch seconds, which the chunks get.
            now: Monotonic seconds, for stages that hold text back for a time.
        """
        if not self._timed:
            return self._show(self._record(self._before.feed(chunks), wall), wall)
        # What was due before these came goes before them, also where nobody watches the time.
        out = self.tick(wall, now)
        out += self._show(self._record(self._before.feed(chunks), wall), wall)
        return out + self.tick(wall, now)

    @property
    def is_timed(self) -> bool:
        """Whether some stage holds text back for a time, or until one."""
        return self._timed

    def due(self) -> float | None:
        """The monotonic instant at which tick() has something to give; None while there is none."""
        if not self._timed:
            return None
        instants = [self._before.due(), self._after.due()]
        if self._keeper is not None:
            instants.append(self._keeper.due())
        return min((due for due in instants if due is not None), default=None)

    def tick(self, wall: float, now: float) -> list[Chunk]:
        """It is that late -> what is no longer held back."""
        if not self._timed:
            return []
        if self._keeper is not None:
            self._keeper.tick(now)
        out = self._show(self._record(self._before.tick(now), wall), wall)
        return out + self._number(self._after.tick(now), wall)

    def flush(self, wall: float, *, broken: bool = False) -> list[Chunk]:
        """The end of the answer, good or ``broken`` -> what was held back."""
        if broken and self.splice is not None:
            self.splice.give_up()
        out = self._show(self._record(self._before.flush(), wall), wall)
        return out + self._number(self._after.flush(), wall)

    def keep(self, keeper: Keeper) -> None:
        """From now on show the keeper what is recorded, and tell it the time."""
        self._keeper = keeper
        self._timed = True

    def break_off(self, wall: float, *, goes_on: bool) -> list[Chunk]:
        """
        The attempt broke -> what its own stages held.

        What the user's stages hold waits for the rest: half a unit, the beginning of a stop.

        Args:
            wall: Epoch seconds.
            goes_on: The next one will bring the rest, and what may become a tag anew.
        """
        self._halves.break_off()
        self._citations.break_off()
        if goes_on:
            self.forget_tags()
        self._spent = self.usage
        if self.details is not None:
            self.earlier.append(self.details)
            self.details = None
        held = self._before.flush_some(1, self._own)
        return self._show(self._record(held, wall), wall) if held else []

    def forget_tags(self) -> None:
        """The next attempt will make anew what may become a tag of thinking."""
        for stage in self._thinks:
            stage.break_off()

    def preload(self, past: Result) -> None:
        """Begin with what another stream had brought, before its answer broke."""
        assert self.splice is not None
        self.splice.preload(past.text)
        self._text.append(past.text)
        self._reasoning += [past.reasoning] * bool(past.reasoning)
        self._refusal += [past.refusal] * bool(past.refusal)
        for source in past.citations:
            self._citations.add(source)
        self._citations.break_off()
        for call in past.tool_calls:  # until the seam says that they are made anew
            begun = self._calls[call.index] = GrowingCall(call.index)
            begun.add({"id": call.id, "name": call.name}, call.arguments)
        self._spent = self.usage = past.usage
        self._seams += past.recoveries
        self._size = Chunk(past.text + past.reasoning + past.refusal).weight
        self.content = 1

    @property
    def begun_calls(self) -> int:
        """How many tool calls have begun."""
        return len(self._calls)

    @property
    def stopped(self) -> str | None:
        """Why the user's stop ended the answer; None while it did not."""
        return self._before.stopped

    @property
    def error(self) -> BaseException | None:
        """What a stage ended the stream with: a refusal, or what a function of the user raised."""
        return self._before.error or self._after.error

    @property
    def ended(self) -> bool:
        """Whether a stage ended the stream: no more need be read."""
        return self._before.ended or self._after.ended

    def forget(self) -> None:
        """The answer begins anew: what was recorded of it counts no more."""
        for kept in (self._text, self._reasoning, self._refusal, self._calls):
            kept.clear()
        self._citations.clear()
        self._asked = False
        self._seams.clear()
        self._size = self.content = self._arguments = self._deltas_gone = self.shed = 0
        self.usage = Usage()
        self.details = self.finish_reason = self.model = self.id = None

    def _record(self, chunks: list[Chunk], wall: float) -> list[Chunk]:
        index = self._index
        for chunk in chunks:
            chunk.index = index
            chunk.timestamp = wall
            index += 1
            self._size += chunk.weight
            if chunk.kind == "text":
                if chunk.content:
                    self._text.append(chunk.content)
                self.content += 1
            else:
                self._fold(chunk)
        if self._keeper is not None and chunks:
            self._keeper.add(chunks)
        return chunks

    def _show(self, chunks: list[Chunk], wall: float) -> list[Chunk]:
        if self._after.is_empty:
            self._index += len(chunks)
            return chunks
        return self._number(self._after.feed(chunks), wall)

    def _number(self, chunks: list[Chunk], wall: float) -> list[Chunk]:
        for index, chunk in enumerate(chunks, self._index):
            chunk.index = index
            chunk.timestamp = wall
        self._index += len(chunks)
        return chunks

    @property
    def over(self) -> LimitExceeded | None:
        """The error to raise once the answer has passed its bound."""
        if self._size <= self.limit:
            return None
        return LimitExceeded(
            f"the answer is over {self.limit} bytes", limit=self.limit, observed=self._size
        )

    def done(self, outcome: str, wall: float) -> Chunk:
        """The chunk that ends a stream quietly; nothing is due any more."""
        self._timed = False
        return Chunk(
            "",
            self._index,
            wall,
            True,
            metadata={"outcome": outcome},
            kind="done",
            finish_reason=self.finish_reason,
            model=self.model,
            id=self.id,
        )

    @property
    def characters(self) -> int:
        """Of text, without joining it: that may be 64 MiB."""
        return sum(map(len, tuple(self._text)))

    @property
    def deltas(self) -> int:
        """How many deltas with content were recorded: text, reasoning, refusal, tool calls."""
        said = len(self._text) + len(self._reasoning) + len(self._refusal)
        return said + self._arguments + self._deltas_gone

    def tally(self) -> dict[str, float]:
        """
        What the user's functions did and did not end the stream: ``transform_errors``, exceptions
        that were skipped, and ``rejected``, chunks that were skipped or replaced. Zeros are left
        out.
        """
        lines = self._before, self._after
        counts = {
            "transform_errors": sum(line.total("errors") for line in lines),
            "rejected": sum(line.total("rejected") for line in lines),
        }
        return {name: count for name, count in counts.items() if count}

    @property
    def has_calls(self) -> bool:
        """Whether the model asked the user's side for a tool."""
        return self._asked

    @property
    def has_refusal(self) -> bool:
        """Whether the model refused in words of their own channel."""
        return bool(self._refusal)

    def result(self, **known: Any) -> Result:
        """The Result so far; ``known`` are the fields that others keep."""
        # tuple() first: the lists may grow in the reading thread while they are joined here.
        return Result(
            text="".join(tuple(self._text)),
            reasoning="".join(tuple(self._reasoning)),
            tool_calls=tuple(call.so_far() for call in self._calls.copy().values()),
            citations=tuple(self._citations.listed),
            refusal="".join(tuple(self._refusal)),
            usage=self.usage,
            finish_reason=self.finish_reason,
            model=self.model,
            id=self.id,
            recoveries=tuple(self._seams),
            **known,
        )

    def _fold(self, chunk: Chunk) -> None:
        kind = chunk.kind
        if kind in CONTENT:
            self.content += 1
        if kind == "reasoning":
            if chunk.content:
                self._reasoning.append(chunk.content)
        elif kind == "tool_call":
            index = chunk.metadata["index"]
            call = self._calls.get(index)
            if call is None:
                call = self._calls[index] = GrowingCall(index)
                # Bedrock lists among the calls what it runs itself, and nobody has to answer that.
                self._asked |= chunk.metadata.get("type") != "server_tool_use"
            call.add(chunk.metadata, chunk.content)
            self._arguments += bool(chunk.content)
        elif kind == "refusal":
            self._refusal.append(chunk.content)
        elif kind == "citation":
            self._citations.add(chunk.metadata["citation"])
        elif kind == "usage":
            if self._spent is not None:  # who shows or keeps the chunk has the sum as well
                chunk.metadata["usage"] = self._spent + chunk.metadata["usage"]
            self.usage = chunk.metadata["usage"]
            self.details = chunk.metadata.get("details", self.details)
        elif kind == "gap" and isinstance(dropped := chunk.metadata.get("dropped"), int):
            self.shed += dropped
        elif kind == "retry" and isinstance(seam := chunk.metadata.get("seam"), Seam):
            self._seams.append(seam)
            if seam.how == "again":  # all of it, and what came without a text counts no more
                self._deltas_gone += len(self._reasoning) + len(self._refusal)
                self._reasoning.clear()
                self._refusal.clear()
                self._citations.clear()
            elif seam.how != "resumed":  # where nothing else told of the break: read from a store
                self._citations.break_off()
            if seam.abandoned:
                self._calls.clear()
                self._asked = False


def new_tail(
    options: StreamOptions,
    usual: Sequence[str] = (),
    *,
    cost: Callable[[Chunk], float] | None = None,
) -> Tail:
    """
    The tail of one stream.

    Args:
        options: What the user wants done.
        usual: The stages of the provider's row.
        cost: What a chunk of content costs, for ``max_cost``.

    Raises:
        ConfigurationError: ``max_cost`` without cost, or a stage that does not exist.
    """
    checks = [_guarded(stage, "validate") for stage in validate_stages(options.validate)]
    if isinstance(options.stop_when, StopConfig):
        checks.append(Stop(options.stop_when, cost=cost))
    shows = [_guarded(stage, "transform") for stage in transform_stages(options.transform)]
    if options.units is not None:
        shows.append(_regroup(options))
    names = stage_names(usual, options.think)
    splice = None if options.recovery is None else Splice()
    return Tail(options.limits, names, checks=checks, shows=shows, splice=splice)


def _guarded(stage: Stage, name: str) -> Stage:
    """Our own stages that call a user's function keep what it raises; a user's stage may raise."""
    return stage if hasattr(stage, "error") else Guarded(stage, name)


def _regroup(options: StreamOptions) -> Stage:
    units = options.units
    assert units is not None
    if not isinstance(units, str):
        own = units() if callable(units) else units
        return Guarded(Clocked(Regroup(own, max_wait=options.max_wait)), "units")
    stage = Regroup(new_buffer(units, strip=options.strip), max_wait=options.max_wait)
    return stage if options.max_wait is None else Clocked(stage)


def stage_names(usual: Sequence[str], think: bool | None) -> tuple[str, ...]:
    """The stages of a provider's row, with or without ``think`` if the user said so."""
    if think is None or think == ("think" in usual):
        return tuple(usual)
    return ("think", *usual) if think else tuple(name for name in usual if name != "think")
