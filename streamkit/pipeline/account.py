"""
What a stream used and cost, worked out when its Result is final.

The provider's counts stand as they are. Only where it gave none, the user's tokenizer counts, and
the Usage says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import replace
from typing import Any, TypeVar

from streamkit.chunk import Chunk, Result, Usage
from streamkit.errors import ConfigurationError
from streamkit.observe.cost import Price, charge, reported_cost
from streamkit.request import Call

__all__ = ["Account", "Tokenizer", "number_of"]

log = logging.getLogger("streamkit.pipeline")

#: Text -> how many tokens it is, or the tokens.
Tokenizer = Callable[[str], "int | Sized"]
T = TypeVar("T")

#: Members of a message that hold text, or hold what does, in the forms of all dialects.
_HOLDERS = ("text", "content", "parts", "tool_calls", "function", "name", "arguments")


class Account:
    """
    The reckoning of one stream.

    What the user's functions raise is logged and leaves None: an answer that came whole is not lost
    for want of a sum.

    Thread safety: **shared**; two threads that ask at the same moment may both call the functions.

    Args:
        call: What was asked; None where it is not known.
        provider: Who was asked.
        model: Which model.
        price: See Price. None is the provider's own figure, and so is True where there is one.
        tokenizer: Counts where the provider did not; None leaves it unknown.
        cached_apart: Whether the dialect counts cached tokens beside the input, not in it.
    """

    def __init__(
        self,
        call: Call | None,
        *,
        provider: str,
        model: str,
        price: Price | None,
        tokenizer: Tokenizer | None,
        cached_apart: bool,
    ) -> None:
        self._call = call if tokenizer is not None else None  # else it need not be kept alive
        self._provider = provider
        self._model = model
        self._price = price
        self._tokenizer = tokenizer
        self._cached_apart = cached_apart
        self._settled: tuple[Usage, float | None] | None = None

    def settle(
        self,
        result: Result,
        details: Mapping[str, Any] | None,
        *,
        answered: bool,
        earlier: Sequence[Mapping[str, Any]] = (),
    ) -> Result:
        """
        The final Result with its usage and cost.

        Args:
            result: All that came.
            details: What the provider reported beside its counts.
            answered: Whether an answer had begun; if not, nothing is known to have been used.
            earlier: What it reported so for attempts that broke and were carried on.
        """
        if self._settled is None:
            usage = result.usage
            if usage == Usage() and answered and self._tokenizer is not None:
                usage = _attempt("tokenizer", lambda: self._estimate(result)) or usage
            self._settled = usage, self._cost(usage, result.model, (*earlier, details))
        usage, cost = self._settled
        return replace(result, usage=usage, cost=cost)

    def meter(self) -> Callable[[Chunk], float] | None:
        """
        What tells how much a chunk adds to the cost, in US dollars, by an estimate; None without a
        price.

        The prompt counts, with the first chunk, if there is a tokenizer; without one each delta is
        a token.

        Raises:
            ConfigurationError: The price knows nothing of this model.
        """
        if self._price is None:
            return None
        if self._charge(Usage(input_tokens=0, output_tokens=0)) is None:
            raise ConfigurationError(f"max_cost needs a price, and there is none for {self._model}")
        tokens, spent = 0, 0.0
        prompt: int | None = None

        def adds(chunk: Chunk) -> float:
            nonlocal tokens, spent, prompt
            if prompt is None:
                prompt = self._prompt() or 0
            tokens += 1 if self._tokenizer is None else self._count(chunk.content)
            total = self._charge(Usage(input_tokens=prompt, output_tokens=tokens)) or 0.0
            added, spent = total - spent, total
            return added

        return adds

    def _charge(self, usage: Usage, answering: str | None = None) -> float | None:
        """What that much costs by the user's price."""
        assert self._price is not None
        return charge(
            self._price,
            usage,
            provider=self._provider,
            models=(answering, self._model) if answering else (self._model,),
            cached_apart=self._cached_apart,
        )

    def _prompt(self) -> int | None:
        """The tokens of what was asked, where that is known and can be counted."""
        return None if self._call is None else self._count((self._call.system, self._call.messages))

    def _estimate(self, result: Result) -> Usage:
        assert self._tokenizer is not None
        calls = [(call.name, call.arguments) for call in result.tool_calls]
        answer = (result.reasoning, result.text, result.refusal, calls)
        return Usage(
            input_tokens=self._prompt(),
            output_tokens=self._count(answer),
            estimated=True,
        )

    def _count(self, value: Any) -> int:
        assert self._tokenizer is not None
        return sum(number_of(self._tokenizer(text)) for text in _texts(value))

    def _cost(
        self, usage: Usage, answering: str | None, reports: Sequence[Mapping[str, Any] | None]
    ) -> float | None:
        price = self._price
        if price is None or price is True:
            # What is billed is better than what a table says: it knows of tools and discounts.
            costs = [cost for said in reports if (cost := reported_cost(said)) is not None]
            if costs or price is None:
                return sum(costs) if costs else None
        return _attempt("price", lambda: self._charge(usage, answering))


def _texts(value: Any) -> Iterator[str]:
    """The texts a message holds; images, sound and ids are none."""
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for name in _HOLDERS:
            yield from _texts(value.get(name))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def number_of(tokens: Any) -> int:
    """
    How many tokens a tokenizer found.

    A mapping is refused: its length is that of its keys, and tokenizers of transformers give one.
    """
    if isinstance(tokens, Sized) and not isinstance(tokens, (str, Mapping)):
        return len(tokens)
    if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
        raise TypeError(
            f"tokenizer must give a count or a list of tokens, got a {type(tokens).__name__}"
        )
    return tokens


def _attempt(name: str, work: Callable[[], T]) -> T | None:
    try:
        return work()
    except Exception:
        log.exception("callback failed name=%s", name)
        return None
