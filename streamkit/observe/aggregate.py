"""
What went through an iteration, in one value: the whole text, and how much of it how fast.

For any iterable, ours or not. A Stream needs neither: its ``result()`` knows more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from typing_extensions import override

from streamkit.callback import check_callable
from streamkit.chunk import Chunk, Usage

__all__ = ["Aggregate", "ChunkAggregator", "StreamAggregator"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Aggregate:
    """
    An iteration so far, or all of it.

    Thread safety: **immutable**.

    Args:
        full_content: The texts, joined.
        chunk_count: Items that came.
        total_tokens: Tokens of the answer: the provider's count of output tokens where a chunk
            brought it, else the tokenizer's, else one for each item with text.
        duration: Seconds from the first item that was asked for to the latest that came, or to the
            end.
    """

    full_content: str
    chunk_count: int
    total_tokens: int
    duration: float

    @property
    def chunks_per_second(self) -> float:
        """Over the whole duration; 0.0 without one."""
        return self.chunk_count / self.duration if self.duration > 0 else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Over the whole duration; 0.0 without one."""
        return self.total_tokens / self.duration if self.duration > 0 else 0.0


class _Aggregator(ABC, Generic[T]):
    """What both have in common: passing items through, and counting."""

    def __init__(
        self,
        *,
        tokenizer: Callable[[str], int] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        check_callable(tokenizer=tokenizer)
        self._tokenizer = tokenizer
        self._clock = clock
        self._texts: list[str] = []
        self._count = 0
        self._started: float | None = None
        self._latest = 0.0

    def aggregate(self, items: Iterable[T]) -> Iterator[T]:
        """
        Give the items on as they come, and count them.

        A second iteration goes on counting where the first one stopped.
        """
        self._tick()
        for item in items:
            self.add(item)
            yield item
        self._tick()

    def add(self, item: T) -> None:
        """Count an item that comes from elsewhere."""
        self._tick()
        self._count += 1
        if text := self._text(item):
            self._texts.append(text)

    def result(self) -> Aggregate:
        """All so far; after the iteration, all."""
        text = "".join(self._texts)
        return Aggregate(
            full_content=text,
            chunk_count=self._count,
            total_tokens=self._tokens(text),
            duration=0.0 if self._started is None else self._latest - self._started,
        )

    def _tick(self) -> None:
        self._latest = self._clock()
        if self._started is None:
            self._started = self._latest

    @abstractmethod
    def _text(self, item: T) -> str:
        """What the item adds to the whole."""

    def _tokens(self, text: str) -> int:
        return len(self._texts) if self._tokenizer is None else self._tokenizer(text)


class StreamAggregator(_Aggregator[str]):
    """
    Join strings as they pass by.

    >>> aggregator = StreamAggregator()
    >>> for text in aggregator.aggregate(["Hel", "lo"]):
    ...     print(text)
    Hel
    lo
    >>> aggregator.result().full_content, aggregator.result().chunk_count
    ('Hello', 2)

    Thread safety: **confined**.

    Args:
        tokenizer: Tokens in a text; None counts one for each string that is not empty.
        clock: Gives monotonic seconds.

    Raises:
        ConfigurationError: A tokenizer that cannot be called.
    """

    @override
    def _text(self, item: str) -> str:
        return item


class ChunkAggregator(_Aggregator[Chunk]):
    """
    Join the text of chunks as they pass by; thinking and tool calls are counted, but not joined.

    >>> aggregator = ChunkAggregator()
    >>> for chunk in aggregator.aggregate([Chunk("Hm", kind="reasoning"), Chunk("Hello")]):
    ...     pass
    >>> aggregator.result().full_content, aggregator.result().chunk_count
    ('Hello', 2)

    Thread safety: **confined**.

    Args:
        tokenizer: Tokens in a text; None counts one for each chunk of text.
        clock: Gives monotonic seconds.

    Raises:
        ConfigurationError: A tokenizer that cannot be called.
    """

    def __init__(
        self,
        *,
        tokenizer: Callable[[str], int] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(tokenizer=tokenizer, clock=clock)
        self._reported: int | None = None

    @override
    def _text(self, item: Chunk) -> str:
        usage = item.metadata.get("usage")
        if isinstance(usage, Usage) and usage.output_tokens is not None:
            self._reported = usage.output_tokens  # each report is of the whole answer so far
        return item.content if item.kind == "text" else ""

    @override
    def _tokens(self, text: str) -> int:
        return super()._tokens(text) if self._reported is None else self._reported
