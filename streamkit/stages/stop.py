"""
Ending an answer where the user wants it to end.

Works on the visible text (kind ``text``). Text before a stop string is kept, the string is not, and
neither is anything behind it. What may be the beginning of a stop string is held back until the
next text decides.

Once ``stopped`` says why, the stage gives nothing but usage, and whoever drives it closes upstream
at once, with outcome ``stopped``. A ``when`` that raises leaves its exception in ``error``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from streamkit.callback import check_callable
from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.number import is_number
from streamkit.stages.basic import CONTENT, SPOKEN
from streamkit.stages.finder import Finder, strings_of

__all__ = ["Stop", "StopConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StopConfig:
    """
    Where an answer ends before the model ends it; the first that applies.

    >>> StopConfig.of("###").strings
    ('###',)

    Thread safety: **immutable**.

    Args:
        strings: The text ends before the first of these; a str or several. Where they overlap, the
            one that is complete first ends it.
        when: Called with the visible text so far after each delta that adds to it; true ends the
            answer there. Runs in the reading thread. Deltas are the service's: where the text ends
            may vary with them.
        max_chars: Characters (code points) of visible text; as many are kept, and the stream ends
            as soon as they are there.
        max_seconds: Seconds from the start of the stream. Under ``wrap()`` the time is looked at
            between items: a read that is not ours cannot be interrupted.
        max_cost: US dollars, by an estimate; the delta that reaches it is kept. Needs a price.

    Raises:
        ConfigurationError: An empty string, a ``when`` that cannot be called, or a number that is
            not over 0.
    """

    strings: tuple[str, ...] = ()
    when: Callable[[str], object] | None = None
    max_chars: int | None = None
    max_seconds: float | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "strings", strings_of(self.strings, "stop strings"))
        check_callable(**{"stop when": self.when})
        for entry in fields(self)[2:]:
            _check_number(entry.name, getattr(self, entry.name))

    @classmethod
    def of(cls, value: Any) -> StopConfig:
        """
        What ``stop_when=`` takes: a str, a list of them, a callable, or a StopConfig.

        Raises:
            ConfigurationError: It is something else.
        """
        if isinstance(value, StopConfig):
            return value
        if callable(value):
            return cls(when=value)
        if isinstance(value, (str, list, tuple)):
            return cls(strings=strings_of(value, "stop strings"))
        raise ConfigurationError(
            f"stop_when must be a str, a list of str, a callable or a StopConfig, got {value!r}"
        )


def _check_number(name: str, value: Any) -> None:
    if value is None:
        return
    whole = name == "max_chars"
    if not is_number(value) or (whole and not isinstance(value, int)):
        kind = "a whole number" if whole else "a number"
        raise ConfigurationError(f"{name} must be {kind}, got {value!r}")
    if not value > 0:
        raise ConfigurationError(f"{name} must be over 0, got {value!r}")


class Stop:
    """
    Chunks -> the chunks up to where the answer is to end.

    >>> stage = Stop(StopConfig(strings=("###",)))
    >>> [chunk.content for chunk in stage.feed([Chunk("one #"), Chunk("## two")])], stage.stopped
    (['one '], 'string')

    Limits count over all attempts of a stream. Reasoning, tool calls and refusals end a stop string
    that was begun; usage and citations overtake held text.

    Cost: linear in the text, whatever its split, and what ``when`` costs.

    Thread safety: **confined**.

    Args:
        config: What ends the answer.
        cost: What a chunk of content adds to the cost, in US dollars; for max_cost.

    Raises:
        ConfigurationError: max_cost without cost.
    """

    def __init__(self, config: StopConfig, *, cost: Callable[[Chunk], float] | None = None) -> None:
        if config.max_cost is not None and cost is None:
            raise ConfigurationError("max_cost needs a price, got none: give price=")
        self._config = config
        self._cost = cost if config.max_cost is not None else None
        #: Why the answer was ended: string, when, max_chars, max_seconds, max_cost.
        self.stopped: str | None = None
        self.error: BaseException | None = None
        self._finder = Finder(config.strings)
        self._last = Chunk()
        self._text = ""
        self._chars = 0
        self._spent = 0.0
        self._end: float | None = None

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        """The chunks that are certain to stand before the end."""
        out: list[Chunk] = []
        for chunk in chunks:
            if self.error is not None:
                break
            if self.stopped is not None:
                if chunk.kind == "usage":
                    out.append(chunk)
                continue
            if chunk.kind in CONTENT:
                self._pay(chunk)  # first: what is cut off was paid for as well
            if chunk.kind == "text" and chunk.content:
                self._read(chunk, out)
            else:
                if chunk.kind in SPOKEN or chunk.finish_reason:
                    self._release(out)
                if not self._over:
                    out.append(chunk)
            if self._broke:
                out += self.flush()
                self.stopped = self.stopped or "max_cost"
        return out

    def flush(self) -> list[Chunk]:
        """What was held: the answer ended before a stop string was complete."""
        out: list[Chunk] = []
        if not self._over:
            self._release(out)
        return out

    def due(self) -> float | None:
        """When the time is up, on the clock of tick(); None without a limit or before a tick."""
        return None if self.stopped else self._end

    def tick(self, now: float) -> list[Chunk]:
        """
        The time, monotonic seconds; the first tick starts the clock.

        When it is up this gives what was held, and sets ``stopped``.
        """
        if self._config.max_seconds is None or self._over:
            return []
        if self._end is None:
            self._end = now + self._config.max_seconds
        if now < self._end:
            return []
        out = self.flush()
        self.stopped = self.stopped or "max_seconds"
        return out

    @property
    def _over(self) -> bool:
        return self.stopped is not None or self.error is not None

    def _read(self, chunk: Chunk, out: list[Chunk]) -> None:
        self._last = chunk
        pieces = self._finder.feed(chunk.content)
        if chunk.finish_reason:
            pieces += self._finder.flush()
        hit = next((i for i, (_, is_string) in enumerate(pieces) if is_string), None)
        kept = "".join(text for text, _ in pieces[:hit])
        chunk.content = self._cut(kept) if kept else ""
        if hit is not None and not self._over:
            self.stopped = "string"
        if self._over:
            chunk.finish_reason = None  # it was that of an answer which went on
        if chunk.content or chunk.metadata or chunk.finish_reason:
            out.append(chunk)

    def _release(self, out: list[Chunk]) -> None:
        for held, _ in self._finder.flush():
            out.append(replace(self._last, content=self._cut(held), metadata={}))

    def _cut(self, text: str) -> str:
        """The part of new text that is kept; says so where it is the last."""
        limit, when = self._config.max_chars, self._config.when
        if limit is not None:
            text = text[: limit - self._chars]
            self._chars += len(text)
            if self._chars == limit:
                self.stopped = "max_chars"
        if when is not None:
            # Nobody else holds the text while it grows, so CPython grows it in place.
            whole, self._text = self._text, ""
            whole += text
            self._text = whole
            try:
                if when(whole):
                    self.stopped = self.stopped or "when"
            except Exception as error:
                self.error = error
        return text

    def _pay(self, chunk: Chunk) -> None:
        if self._cost is not None:
            try:
                self._spent += self._cost(chunk)
            except Exception as error:
                self.error = error

    @property
    def _broke(self) -> bool:
        most = self._config.max_cost
        return most is not None and self._spent >= most
