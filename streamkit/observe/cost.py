"""
What an answer cost in US dollars: by the user's prices, a table of them, or the provider's word.

Services count the same tokens in different ways, so that a plain product of counts and prices
charges some twice and others never. ``apart()`` takes a Usage to pieces that do not overlap, by two
rules. Whether cached tokens are part of the input is the dialect's to say. Whether reasoning is
part of the output shows in the total: where the parts only add up with it, it stands beside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeGuard

from streamkit.chunk import Usage
from streamkit.errors import ConfigurationError
from streamkit.number import is_number

__all__ = ["Price", "Prices", "Tokens", "apart", "charge", "reported_cost", "require_table"]

MILLION = 1_000_000

#: What is no sum of money any more, in dollars or ticks; a float holds all below. Chosen.
MOST = 1e18

#: Source: docs.x.ai, "Cost Tracking", 2026-11.
TICKS_PER_DOLLAR = 10_000_000_000

#: Our names of services where genai-prices has others.
_IN_TABLE = {"gemini": "google", "vertex": "google", "bedrock": "aws", "xai": "x-ai"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Prices:
    """
    Prices of one model, in US dollars per million tokens.

    >>> Prices(input=2.5, output=10).of(Tokens(input=1000, output=200))
    0.0045

    Thread safety: **immutable**.

    Args:
        input: Input that no cache was used for.
        output: Visible output.
        cached_input: Input read from a cache; None is the price of input.
        cache_write: Input written to a cache; None is the price of input.
        reasoning: Thinking; None is the price of output, which all services of the table ask.

    Raises:
        ConfigurationError: No price of input or of output, or one that is not a number from 0.
    """

    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    reasoning: float | None = None

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value is None and entry.name in ("input", "output"):
                raise ConfigurationError(f"price needs {entry.name}, in US dollars per million")
            if value is None:
                continue
            if not is_number(value):
                raise ConfigurationError(f"price {entry.name} must be a number, got {value!r}")
            if not 0 <= value < math.inf:
                raise ConfigurationError(f"price {entry.name} must be at least 0, got {value!r}")

    def of(self, tokens: Tokens) -> float:
        """What these tokens cost, in US dollars."""
        assert self.input is not None and self.output is not None  # __post_init__
        cached = self.input if self.cached_input is None else self.cached_input
        write = self.input if self.cache_write is None else self.cache_write
        reasoning = self.output if self.reasoning is None else self.reasoning
        dollars = (
            tokens.input * self.input
            + tokens.cached_input * cached
            + tokens.cache_write * write
            + tokens.output * self.output
            + tokens.reasoning * reasoning
        )
        return dollars / MILLION


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokens:
    """
    The counts of a Usage as parts that do not overlap, each under the price of the same name.

    Thread safety: **immutable**.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0


#: What ``price=`` may be: one model's prices, True for the table of the extra ``prices``, or a
#: function of usage, provider and model that gives US dollars, or None where it knows no price.
Price = Prices | Literal[True] | Callable[[Usage, str, str], "float | None"]


def apart(usage: Usage, *, cached_apart: bool) -> Tokens | None:
    """
    A Usage -> its parts; None where input or output is unknown, as then is the cost.

    >>> apart(Usage(input_tokens=100, output_tokens=10, cached_input_tokens=80), cached_apart=False)
    Tokens(input=20, cached_input=80, cache_write=0, output=10, reasoning=0)

    A count that is over the one it is part of (Together's reasoning) takes all of that.

    Args:
        usage: As the provider reports it.
        cached_apart: Whether input_tokens leaves out what was read from or written to a cache.
    """
    input, output = usage.input_tokens, usage.output_tokens
    cached, write = usage.cached_input_tokens or 0, usage.cache_write_input_tokens or 0
    reasoning, total = usage.reasoning_tokens or 0, usage.total_tokens
    # Gemini leaves the output out while there is nothing but thoughts.
    if output is None and reasoning:
        output = 0
    if input is None or output is None:
        return None
    if not cached_apart:
        cached = min(cached, input)
        write = min(write, input - cached)
        input -= cached + write
    # Gemini, and chat at xAI: 165 + 2 + 129 = 296 (WIRE_FORMATS.md 15). Others: 63 + 121 = 184,
    # of which 64 are reasoning.
    beside = total is not None and total >= (usage.input_tokens or 0) + output + reasoning
    if not beside:
        reasoning = min(reasoning, output)
        output -= reasoning
    return Tokens(
        input=input, cached_input=cached, cache_write=write, output=output, reasoning=reasoning
    )


def charge(
    price: Price, usage: Usage, *, provider: str, models: tuple[str, ...], cached_apart: bool
) -> float | None:
    """
    US dollars for a usage; None where it is not known.

    Args:
        price: See Price.
        usage: As the provider reports it.
        provider: Our name of it.
        models: The name of the model that answered, if known, and the one that was asked for.
        cached_apart: See apart().

    Raises:
        Exception: What the user's function raises; ValueError for a result that is no sum of money.
    """
    if price is not True and not isinstance(price, Prices):
        return _dollars(price(usage, provider, models[0]))
    tokens = apart(usage, cached_apart=cached_apart)
    if tokens is None:
        return None
    if isinstance(price, Prices):
        return price.of(tokens)
    # Bedrock's id that was asked for names the group of regions, and that has a price of its own.
    order = reversed(models) if provider == "bedrock" else models
    costs = (_look_up(tokens, provider, model) for model in order)
    return next((cost for cost in costs if cost is not None), None)


def reported_cost(details: Mapping[str, Any] | None) -> float | None:
    """
    The provider's own figure in US dollars, from the details of its usage; None without one.

    Source: WIRE_FORMATS.md sections 7 and 11: ``cost`` is a number at OpenRouter and an object at
    Perplexity; xAI counts in ticks.
    """
    if details is None:
        return None
    cost, ticks = details.get("cost"), details.get("cost_in_usd_ticks")
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost")
    if _is_sum(cost):
        return float(cost)
    # Azure sends 0 for xAI's models: it is not xAI that bills there.
    return ticks / TICKS_PER_DOLLAR if _is_sum(ticks) and ticks else None


def require_table() -> None:
    """
    Load the table of the extra ``prices``.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        import genai_prices  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "price=True needs the extra prices, for Python 3.11 or newer: "
            "pip install 'llm-streamkit[prices]'"
        ) from None


def _look_up(tokens: Tokens, provider: str, model: str) -> float | None:
    """
    By the table that came with genai-prices; it is never fetched anew.

    The table counts as OpenAI does: input and output are the wholes, the rest is part of them.
    """
    from genai_prices import Usage as Counts
    from genai_prices import calc_price

    wanted = _IN_TABLE.get(provider, provider)
    counts = Counts(
        input_tokens=tokens.input + tokens.cached_input + tokens.cache_write,
        cache_read_tokens=tokens.cached_input,
        cache_write_tokens=tokens.cache_write,
        output_tokens=tokens.output + tokens.reasoning,
    )
    try:
        found = calc_price(counts, model, provider_id=wanted)
    except LookupError:
        return None
    # It also takes names that only resemble one of its own: "ollama-openai" is not OpenAI.
    return float(found.total_price) if found.provider.id == wanted else None


def _dollars(value: Any) -> float | None:
    if value is None:
        return None
    cost = float(value)
    if isinstance(value, bool) or not math.isfinite(cost):
        raise ValueError(f"price must give US dollars or None, got {value!r}")
    return cost


def _is_sum(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < MOST
