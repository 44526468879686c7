"""price=True: the table of genai-prices, asked in its own way of counting and without a network."""

from __future__ import annotations

import socket
from typing import Any

import genai_prices
import pytest

from streamkit.chunk import Usage
from streamkit.observe.cost import charge, require_table


def cost(usage: Usage, provider: str, *models: str, cached_apart: bool = False) -> float | None:
    return charge(True, usage, provider=provider, models=models, cached_apart=cached_apart)


@pytest.mark.parametrize(
    ("provider", "theirs", "model", "usage", "cached_apart", "counts"),
    [
        ("openai", "openai", "gpt-4o-mini", Usage(1000, 100, 1100, 0, 400), False,
         (1000, 400, 100)),
        ("anthropic", "anthropic", "claude-sonnet-4-5", Usage(25, 9, None, None, 100), True,
         (125, 100, 9)),
        ("gemini", "google", "gemini-2.5-flash", Usage(9, 10, 57, 38), False, (9, 0, 48)),
        ("vertex", "google", "gemini-2.5-flash", Usage(9, 10, 57, 38), False, (9, 0, 48)),
        ("xai", "x-ai", "grok-4", Usage(213, 2, 413, 198, 192), False, (213, 192, 200)),
    ],
)  # fmt: skip
def test_the_table_gets_wholes_that_include_their_parts(
    provider: str, theirs: str, model: str, usage: Usage, cached_apart: bool, counts: Any
) -> None:
    input, cached, output = counts
    expected = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=input, cache_read_tokens=cached, output_tokens=output),
        model,
        provider_id=theirs,
    )
    found = cost(usage, provider, "no-such-model", model, cached_apart=cached_apart)
    assert found == pytest.approx(float(expected.total_price)) and found > 0


def test_bedrock_is_priced_by_the_group_of_regions_that_was_asked() -> None:
    asked, answered = "global.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5-20251001"
    by_group, by_model = (cost(Usage(1000, 10), "bedrock", m) for m in (asked, answered))
    assert by_group is not None and by_model is not None and by_group < by_model
    assert cost(Usage(1000, 10), "bedrock", answered, asked) == by_group


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "no-such-model"),
        ("nobody", "gpt-4o"),
        ("ollama-openai", "gpt-4o"),  # the table takes it for OpenAI
        ("openai-compatible", "gpt-4o"),
        ("ollama", "llama3"),
        ("lmstudio", "gpt-oss-20b"),
    ],
)
def test_what_the_table_does_not_know_has_no_cost(provider: str, model: str) -> None:
    assert cost(Usage(10, 10), provider, model) is None


def test_the_table_is_read_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket, "socket", no_network)
    require_table()
    assert cost(Usage(1000, 0), "openai", "gpt-4o") is not None
