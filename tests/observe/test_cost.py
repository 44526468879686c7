"""What tokens cost: each service's way of counting, tables of prices, the provider's own figure."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Usage
from streamkit.errors import ConfigurationError
from streamkit.observe.cost import (
    Price,
    Prices,
    Tokens,
    apart,
    charge,
    reported_cost,
    require_table,
)

#: Real usage of each way of counting: input, output, total, reasoning, cached, written; whether the
#: dialect counts cached tokens beside the input; the parts that come of it.
WAYS: dict[str, tuple[Usage, bool, Tokens]] = {
    "OpenAI: cached is input, reasoning is output": (
        Usage(1000, 121, 1121, 64, 800),
        False,
        Tokens(input=200, cached_input=800, output=57, reasoning=64),
    ),
    "Anthropic: input excludes what was cached and written": (
        Usage(25, 300, None, 100, 4000, 500),
        True,
        Tokens(input=25, cached_input=4000, cache_write=500, output=200, reasoning=100),
    ),
    "Gemini: output excludes thoughts": (
        Usage(51, 745, 2030, 1234, 20),
        False,
        Tokens(input=31, cached_input=20, output=745, reasoning=1234),
    ),
    "Gemini with a tool whose result is in the total alone": (
        Usage(32, 25, 4704, 37),
        False,
        Tokens(input=32, output=25, reasoning=37),
    ),
    "Gemini, thoughts and no answer": (
        Usage(9, None, 47, 38),
        False,
        Tokens(input=9, output=0, reasoning=38),
    ),
    "xAI chat: output excludes reasoning": (
        Usage(165, 2, 296, 129, 164),
        False,
        Tokens(input=1, cached_input=164, output=2, reasoning=129),
    ),
    "xAI responses: output includes reasoning": (
        Usage(289, 171, 460, 163, 128),
        False,
        Tokens(input=161, cached_input=128, output=8, reasoning=163),
    ),
    "Bedrock converse: a total of all four": (
        Usage(10, 20, 1530, None, 1000, 500),
        True,
        Tokens(input=10, cached_input=1000, cache_write=500, output=20),
    ),
    "Together: more reasoning than output": (
        Usage(92, 16, 108, 18),
        False,
        Tokens(input=92, output=0, reasoning=16),
    ),
    "Ollama: two counts and nothing else": (Usage(26, 298), False, Tokens(input=26, output=298)),
}

PRICES = Prices(input=3, output=15, cached_input=0.3, cache_write=3.75)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_counting_comes_apart_without_overlap(way: str) -> None:
    usage, cached_apart, parts = WAYS[way]
    assert apart(usage, cached_apart=cached_apart) == parts


@pytest.mark.parametrize("usage", [Usage(), Usage(input_tokens=5), Usage(output_tokens=5)])
def test_half_a_usage_has_no_parts_and_no_cost(usage: Usage) -> None:
    assert apart(usage, cached_apart=False) is None
    assert cost(PRICES, usage) is None


counts = st.integers(0, 10**9)


@given(counts, counts, counts, counts, counts)
def test_tokens_counted_within_others_are_neither_lost_nor_counted_twice(
    input: int, output: int, reasoning: int, cached: int, written: int
) -> None:
    usage = Usage(input, output, None, reasoning, cached, written)
    parts = apart(usage, cached_apart=False)
    assert parts is not None
    assert parts.input + parts.cached_input + parts.cache_write == input
    assert parts.output + parts.reasoning == output
    assert min(parts.input, parts.cached_input, parts.cache_write, parts.output) >= 0


@given(counts, counts, counts, counts, counts)
def test_tokens_counted_beside_others_are_all_there(
    input: int, output: int, reasoning: int, cached: int, written: int
) -> None:
    total = input + output + reasoning
    parts = apart(Usage(input, output, total, reasoning, cached, written), cached_apart=True)
    assert parts == Tokens(
        input=input, cached_input=cached, cache_write=written, output=output, reasoning=reasoning
    )


# -- prices per million


def cost(price: Price, usage: Usage, *, cached_apart: bool = False, **more: Any) -> float | None:
    known: dict[str, Any] = {"provider": "openai", "models": ("m",), **more}
    return charge(price, usage, cached_apart=cached_apart, **known)


def test_each_part_has_its_own_price() -> None:
    usage = Usage(25, 300, None, 100, 4000, 500)
    dollars = (25 * 3 + 4000 * 0.3 + 500 * 3.75 + 300 * 15) / 1e6
    assert cost(PRICES, usage, cached_apart=True) == pytest.approx(dollars)
    dear = Prices(input=3, output=15, cached_input=0.3, cache_write=3.75, reasoning=60)
    dollars += 100 * (60 - 15) / 1e6
    assert cost(dear, usage, cached_apart=True) == pytest.approx(dollars)


def test_without_a_price_of_their_own_parts_cost_what_the_whole_does() -> None:
    plain = Prices(input=2, output=8)
    assert cost(plain, Usage(1000, 100, None, 50, 600, 100)) == pytest.approx(0.0028)


def test_what_is_free_costs_nothing_and_is_not_unknown() -> None:
    assert cost(Prices(input=0, output=0), Usage(5, 5)) == 0.0
    assert cost(Prices(input=1, output=1, cached_input=0), Usage(5, 0, None, None, 5)) == 0.0


def test_the_sum_that_xai_billed_comes_out_to_the_digit() -> None:
    # The counts and the bill of a recorded answer of grok-code-fast-1.
    usage, billed = Usage(213, 2, 413, 198, 192), reported_cost({"cost_in_usd_ticks": 3080400})
    grok = Prices(input=0.2, output=1.5, cached_input=0.02)
    assert billed == 0.00030804
    assert cost(grok, usage) == pytest.approx(billed, abs=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input": 1}, "price needs output, in US dollars per million"),
        ({"output": 1}, "price needs input, in US dollars per million"),
        ({"input": -1, "output": 1}, "price input must be at least 0, got -1"),
        ({"input": 1, "output": math.nan}, "price output must be at least 0, got nan"),
        ({"input": 1, "output": math.inf}, "price output must be at least 0, got inf"),
        ({"input": 1, "output": "2"}, "price output must be a number, got '2'"),
        ({"input": 1, "output": 1, "reasoning": True}, "price reasoning must be a number"),
    ],
)
def test_prices_that_cannot_be_right_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        Prices(**given)


# -- a function


def test_a_function_gets_usage_provider_and_the_model_that_answered() -> None:
    seen: list[Any] = []

    def price(*given: Any) -> float:
        seen.append(given)
        return 0.25

    usage = Usage(1, 2)
    assert cost(price, usage, provider="groq", models=("answered", "asked")) == 0.25
    assert seen == [(usage, "groq", "answered")]


@pytest.mark.parametrize(("given", "dollars"), [(None, None), (3, 3.0), (Decimal("0.5"), 0.5)])
def test_a_function_may_give_any_number_or_none(given: Any, dollars: float | None) -> None:
    assert cost(lambda *_: given, Usage()) == dollars


@pytest.mark.parametrize("given", [math.nan, math.inf, True, "free", []])
def test_what_is_no_sum_of_money_is_an_error(given: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        cost(lambda *_: given, Usage())


# -- the provider's own figure


@pytest.mark.parametrize(
    ("details", "dollars"),
    [
        (None, None),
        ({}, None),
        ({"cost": 0.0000825, "is_byok": False}, 0.0000825),
        ({"cost": 0}, 0.0),
        ({"cost": {"input_tokens_cost": 0.0, "total_cost": 0.006}}, 0.006),
        ({"cost_in_usd_ticks": 6543500}, 0.00065435),
        ({"cost_in_usd_ticks": 0}, None),
        ({"cost": None, "cost_in_usd_ticks": 10**10}, 1.0),
    ],
)
def test_the_provider_says_what_it_charged(
    details: dict[str, Any] | None, dollars: float | None
) -> None:
    assert reported_cost(details) == dollars


@pytest.mark.parametrize(
    "value", [True, "1", -1, math.nan, math.inf, 10**400, [], {}, {"total_cost": "x"}]
)
def test_what_is_no_sum_in_a_frame_is_no_cost(value: Any) -> None:
    assert reported_cost({"cost": value, "cost_in_usd_ticks": value}) is None


# -- the table of the extra


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(ConfigurationError, match=r"extra prices, for Python 3\.11.*\[prices\]"):
        require_table()
