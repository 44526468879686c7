"""
What comes out of a stream: chunks while it runs, one Result when it has ended.

Data only. Nothing here does I/O, takes a lock or knows a provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from streamkit.arguments import read_growing, read_whole

if TYPE_CHECKING:
    from streamkit.errors import StreamkitError
    from streamkit.observe.metrics import Metrics

__all__ = [
    "Attempt",
    "Chunk",
    "Kind",
    "Outcome",
    "Result",
    "Seam",
    "ToolCall",
    "Usage",
]

Kind = Literal[
    "text", "reasoning", "tool_call", "citation", "refusal", "usage", "gap", "retry", "done"
]

#: How a stream ended. The first row ends quietly, the second raises.
Outcome = Literal[
    "completed", "length", "tool_calls", "content_filter", "refused", "cancelled", "stopped",
    "truncated", "timeout", "provider_error", "transport_error", "rejected", "failed",
]  # fmt: skip


@dataclass(slots=True)
class Chunk:
    """
    One piece of an answer.

    A plain slots class and not a frozen one: a frozen instance costs 1.1 us to make, this one
    0.4 us, and one is made for every delta (measured, CPython 3.11).

    Thread safety: **confined**; the stream hands each chunk over and never touches it again.

    Args:
        content: The text of the delta; for ``tool_call`` a fragment of the JSON arguments.
        index: Position among the chunks of the stream, from 0; -1 for a ``gap``.
        timestamp: Wall clock, epoch seconds, of the network read that brought it. Display only.
        done: True for the last chunk of a stream, whose kind is ``done``.
        error: Set by consumers that carry an error as a chunk; streams raise instead.
        metadata: What does not fit elsewhere: ``tool_call`` has ``index``, ``id`` and ``name``,
            ``usage`` has ``usage`` (a Usage), ``citation`` has ``citation`` (a mapping), ``gap``
            has ``dropped`` (an int), ``retry`` has ``seam`` (a Seam), ``done`` has ``outcome``.
        kind: What ``content`` is.
        finish_reason: The provider's own word, on the chunk that came with it.
        model: The model that answered, as the provider names it.
        id: The provider's id of the answer.
    """

    content: str = ""
    index: int = 0
    timestamp: float = 0.0
    done: bool = False
    error: BaseException | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    kind: Kind = "text"
    finish_reason: str | None = None
    model: str | None = None
    id: str | None = None

    @property
    def weight(self) -> int:
        """About how many bytes the content and the metadata hold; what the limits count."""
        content = self.content
        size = len(content) if content.isascii() else len(content.encode("utf-8", "replace"))
        return size + _weigh(self.metadata) if self.metadata else size


#: What an empty object costs in memory, roughly; many small ones are a load as well.
OBJECT = 64


def _weigh(metadata: dict[str, Any]) -> int:
    size = 0
    todo: list[Any] = [metadata]
    while todo:
        value = todo.pop()
        size += OBJECT
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, Mapping):
            todo += value.keys()
            todo += value.values()
        elif isinstance(value, (list, tuple)):
            todo += value
    return size


@dataclass(frozen=True, slots=True)
class Usage:
    """
    Token counts as the provider reports them; None where it is silent, never a made-up 0.

    ``input_tokens`` and ``output_tokens`` are the provider's own fields: Anthropic counts input
    without cached tokens, Gemini output without thoughts. ``total_tokens`` is never summed here.
    ``estimated`` means that the provider gave none and the user's tokenizer counted all of them.

    Thread safety: **immutable**.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        """The counts of two requests together; what only one of them tells stays as it is."""
        both = {
            entry.name: _plus(getattr(self, entry.name), getattr(other, entry.name))
            for entry in fields(self)
            if entry.name != "estimated"
        }
        return Usage(**both, estimated=self.estimated or other.estimated)


def _plus(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else a + b


class _Growing:
    """A slot that is no field: not compared, shown, copied or pickled."""

    __slots__ = ("_partial",)
    _partial: Any


@dataclass(frozen=True, slots=True)
class ToolCall(_Growing):
    """
    A call the model wants made.

    >>> ToolCall(index=0, id="call_1", name="add", arguments='{"a": 1}').parsed
    {'a': 1}

    Thread safety: **immutable**.

    Args:
        index: Position among the calls of the answer, from 0, in order of first sight.
        id: The provider's id; empty where it sends none.
        name: The function's name.
        arguments: The JSON text, exactly as streamed.
    """

    index: int
    id: str
    name: str
    arguments: str

    @property
    def parsed(self) -> Any:
        """
        The arguments as Python values; ``{}`` for a call without arguments.

        Raises:
            ValueError: The text is not JSON (the answer was cut, or the model wrote nonsense), or
                nested too deeply to be read.
        """
        return read_whole(self.arguments)

    @property
    def partial(self) -> Any:
        """
        The arguments so far, while they stream in; ``{}`` before the first.

        ``{"city": "Par`` is ``{"city": "Par"}``: strings show as far as they came, and so do
        numbers, of which ``1`` may become ``12``. A name whose value has not begun is left out.
        Mistakes are seen late or not at all: act on ``parsed``, show ``partial``. Needs the extra
        ``json``.

        Read on the first access and kept: every access gives the same object, not to be changed.
        ``stream.partial`` gives the same ToolCall until the call's next delta.

        Cost: the first access reads all the text, some 9 us per KB; the others are free.

        Raises:
            ConfigurationError: jiter is not installed; the message says what to install.
            ValueError: The text cannot become JSON, or is nested deeper than jiter reads (some 200
                levels).
        """
        try:
            return self._partial
        except AttributeError:
            value = read_growing(self.arguments)
        object.__setattr__(self, "_partial", value)
        return value


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One request that did not become the answer, or the one that did.

    Thread safety: **immutable**.

    Args:
        number: Counts from 1.
        status: The HTTP status, None where no response came.
        request_id: The provider's id of the request, where it sent one.
        error: What ended it; None for the attempt that gave the answer.
        delay: Seconds waited after it, before the next one.
    """

    number: int
    status: int | None = None
    request_id: str | None = None
    error: StreamkitError | None = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Seam:
    """
    Where an answer that broke was carried on by another request.

    ``how`` the two were joined:

    ======================  ======================================================================
    ``resumed``             the service went on with the same answer: exact
    ``prefill``             the model went on with its own text: nothing can be repeated
    ``overlap``             the model repeated the last ``trimmed`` characters, which were taken out
    ``appended``            the model was asked to go on, and repeated nothing that can be told
    ``diverged``            the model began again, or repeated something in other words: read it
    ``again``               no text had come yet, or blanks alone: the request was sent once more,
                            and the thinking, refusal and citations before the seam count no more
    ======================  ======================================================================

    Thread safety: **immutable**.

    Args:
        attempt: The number of the request that carried on.
        at: How many characters of text stood before the seam.
        how: One of the words above.
        trimmed: How many characters of the new text were taken out.
        abandoned: Tool calls that had begun in the broken answer, and count no more: the model
            makes its calls anew.
        error: What had ended the attempt before, as ``Class: message``; None where that is not
            told.
    """

    attempt: int
    at: int
    how: str
    trimmed: int = 0
    abandoned: int = 0
    error: str | None = None

    @property
    def is_smooth(self) -> bool:
        """Whether the text reads on, as far as can be told."""
        return self.how not in ("diverged", "again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    Everything known about a stream: final after its end, a snapshot before.

    Thread safety: **immutable**.

    Args:
        text: The model's visible answer, whole even where a lossy buffer policy shed chunks.
        reasoning: Thinking, where the provider sends it.
        tool_calls: In order of first sight.
        citations: As the provider sends them.
        refusal: The text of a refusal.
        usage: Token counts.
        finish_reason: The provider's own word, None where none came.
        outcome: How it ended, in one vocabulary; None while it runs.
        model: The model that answered.
        id: The provider's id of the answer.
        request_id: The provider's id of the HTTP request.
        metrics: Counts, rates and times.
        cost: In US dollars, by ``price=`` or in the provider's own word; None where neither knows,
            and in a snapshot.
        attempts: Every HTTP request made, in order.
        dropped: Chunks the consumer never got: shed by a lossy buffer policy, or left by a cancel.
        recoveries: Where a broken answer was carried on, in order.
    """

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    citations: tuple[Mapping[str, Any], ...] = ()
    refusal: str = ""
    usage: Usage = field(default_factory=Usage)
    finish_reason: str | None = None
    outcome: Outcome | None = None
    model: str | None = None
    id: str | None = None
    request_id: str | None = None
    metrics: Metrics | None = None
    cost: float | None = None
    attempts: tuple[Attempt, ...] = ()
    dropped: int = 0
    recoveries: tuple[Seam, ...] = ()
