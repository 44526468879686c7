"""Result.usage and Result.cost: the provider's word, else the user's functions, once."""

from __future__ import annotations

import logging
import sys
from collections import UserDict
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import (
    ConfigurationError,
    ProviderError,
    StreamInterrupted,
    StreamkitError,
    StreamOptions,
    TruncatedStream,
)
from streamkit.chunk import Result, ToolCall, Usage
from streamkit.observe.cost import Prices
from streamkit.pipeline.account import Account
from streamkit.request import build_call
from streamkit.testing import Cut, Data, Error, Gate, Reset, Status


def words(text: str) -> int:
    return len(text.split())


def account(prompt: Any = "Hi there", **options: Any) -> Account:
    given: dict[str, Any] = {"price": None, "tokenizer": None, "cached_apart": False}
    system = options.pop("system", None)
    call = build_call("m", prompt, {"system": system})
    return Account(call, provider="openai", model="m", **{**given, **options})


def settled(tokenizer: Any = words, prompt: Any = "Hi there", **result: Any) -> Usage:
    reckoning = account(prompt, tokenizer=tokenizer)
    return reckoning.settle(Result(**result), None, answered=True).usage


# -- what is counted


def test_prompt_and_answer_are_counted_and_marked() -> None:
    assert settled(text="one two three") == Usage(2, 3, estimated=True)


def test_all_that_the_model_wrote_is_output() -> None:
    call = ToolCall(index=0, id="call_1", name="add", arguments='{"a": 1}')
    said = {"reasoning": "let me see", "text": "one two", "refusal": "no", "tool_calls": (call,)}
    assert settled(**said).output_tokens == 3 + 2 + 1 + 1 + 2


def test_all_texts_of_the_prompt_are_input_and_nothing_else() -> None:
    prompt = [
        {"role": "system", "content": "a b"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "c d e"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,f g h"}},
            ],
        },
        {"role": "model", "parts": [{"text": "i"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "x y z", "function": {"name": "add", "arguments": '{"a": 1}'}},
            ],
        },
        {"role": "tool", "tool_call_id": "x y z", "content": "j k"},
    ]
    assert settled(prompt=prompt).input_tokens == 2 + 3 + 1 + 3 + 2
    counted = account(prompt, tokenizer=words, system="l m n o").settle(
        Result(), None, answered=True
    )
    assert counted.usage.input_tokens == 11 + 4


@pytest.mark.parametrize("given", [[1, 2, 3], (1, 2, 3), {1, 2, 3}, b"abc", 3])
def test_a_tokenizer_gives_a_count_or_the_tokens(given: Any) -> None:
    assert settled(lambda text: given, text="x") == Usage(3, 3, estimated=True)


def test_an_answer_without_text_has_none() -> None:
    assert settled(text="") == Usage(2, 0, estimated=True)


@pytest.mark.parametrize("given", [None, "tokens", 1.5, True, -1, UserDict(input_ids=[1])])
def test_what_is_no_count_leaves_the_usage_unknown(
    given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert settled(lambda text: given, text="x") == Usage()
    assert "callback failed name=tokenizer" in caplog.text


@pytest.mark.parametrize(
    "usage", [Usage(5, 6, 11), Usage(input_tokens=5), Usage(output_tokens=0), Usage(0, 0)]
)
def test_where_the_provider_gave_anything_nothing_is_mixed_in(usage: Usage) -> None:
    assert settled(text="one two three", usage=usage) == usage


def test_before_an_answer_began_nothing_is_known_to_have_been_used() -> None:
    found = account(tokenizer=words).settle(Result(), None, answered=False)
    assert found.usage == Usage() and found.cost is None


# -- what it costs


def test_an_estimate_has_a_cost_too() -> None:
    reckoning = account(tokenizer=words, price=Prices(input=1e6, output=1e6))
    assert reckoning.settle(Result(text="a b c"), None, answered=True).cost == 5.0


def test_the_functions_are_called_once() -> None:
    calls: list[str] = []

    def price(*_: Any) -> None:
        calls.append("price")

    reckoning = account(tokenizer=lambda text: calls.append(text) or 1, price=price)
    first = reckoning.settle(Result(text="a"), None, answered=True)
    again = reckoning.settle(Result(text="a"), None, answered=True)
    assert first == again
    assert calls == ["Hi there", "a", "price"]


def test_a_price_that_raises_is_logged_and_leaves_the_cost_unknown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def price(*_: Any) -> float:
        raise KeyError("gpt-x")

    found = account(price=price).settle(Result(usage=Usage(1, 1)), {"cost": 5.0}, answered=True)
    assert found.cost is None and found.usage == Usage(1, 1)
    (record,) = caplog.records
    assert record.name == "streamkit.pipeline" and record.levelno == logging.ERROR
    assert record.getMessage() == "callback failed name=price"


def test_the_users_price_stands_above_the_providers_figure() -> None:
    result, details = Result(usage=Usage(1, 1)), {"cost": 5.0}
    assert account().settle(result, details, answered=True).cost == 5.0
    one = account(price=Prices(input=1e6, output=0))
    assert one.settle(result, details, answered=True).cost == 1.0


def test_what_was_billed_stands_above_the_table() -> None:
    found = account(price=True).settle(Result(usage=Usage(1, 1)), {"cost": 5.0}, answered=True)
    assert found.cost == 5.0


# -- through the public API

USAGE = {
    "prompt_tokens": 213,
    "completion_tokens": 2,
    "total_tokens": 413,
    "prompt_tokens_details": {"cached_tokens": 192},
    "completion_tokens_details": {"reasoning_tokens": 198},
}
CODE = {"input": 0.2, "output": 1.5, "cached_input": 0.02}


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> Data:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return Data({"id": "r", "model": "m-1", "choices": [choice] if delta or finish else [], **more})


def answer(usage: dict[str, Any] | None) -> list[Any]:
    """An OpenAI stream in our own words, so that it may come without usage."""
    said = [event({"content": "one "}), event({"content": "two"}), event(finish="stop")]
    return [*said, *([] if usage is None else [event(usage=usage)]), Data("[DONE]")]


def test_prices_make_a_cost(play: Callable[..., Any], mode: str) -> None:
    result = play(answer(USAGE), price=CODE, mode=mode).result()
    assert result.usage.reasoning_tokens == 198
    assert result.cost == pytest.approx(0.00030804, abs=1e-12)


def test_without_price_and_figure_the_cost_is_unknown(play: Callable[..., Any]) -> None:
    assert play(answer(USAGE)).result().cost is None


def test_the_providers_own_figure_is_the_cost(play: Callable[..., Any]) -> None:
    body = answer({**USAGE, "cost": 0.0000825})
    where: dict[str, Any] = {"base_url": play.serve(body).base_url(), "api_key": "sk-or-0123456789"}
    assert play.client.stream("m", "Hi", provider="openrouter", **where).result().cost == 0.0000825


def test_anthropic_input_is_what_no_cache_was_used_for(play: Callable[..., Any]) -> None:
    usage = {"input_tokens": 25, "cache_read_input_tokens": 4000, "output_tokens": 300}
    body = [
        Data({"type": "message_start", "message": {"usage": usage}}, event="message_start"),
        Data(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, event="message_delta"
        ),
        Data({"type": "message_stop"}, event="message_stop"),
    ]
    prices = {"input": 3, "output": 15, "cached_input": 0.3}
    result = play(body, dialect="anthropic", price=prices).result()
    assert result.cost == pytest.approx((25 * 3 + 4000 * 0.3 + 300 * 15) / 1e6)


def test_a_tokenizer_counts_where_the_provider_is_silent(
    play: Callable[..., Any], mode: str
) -> None:
    stream = play(answer(None), tokenizer=words, mode=mode, prompt="Say one and two")
    result = stream.result()
    assert result.usage == Usage(4, 2, estimated=True)
    assert stream.partial.usage == result.usage


def test_a_tokenizer_is_not_asked_where_the_provider_speaks(play: Callable[..., Any]) -> None:
    def never(text: str) -> int:
        raise AssertionError(text)

    result = play(answer(USAGE), tokenizer=never).result()
    assert result.usage.input_tokens == 213 and not result.usage.estimated


def test_a_snapshot_is_not_counted_and_a_cancelled_stream_is(play: Callable[..., Any]) -> None:
    stream = play([event({"content": "one two"}), Gate()], tokenizer=words)
    assert stream.get().content == "one two"
    assert stream.partial.usage == Usage()
    stream.cancel()
    assert stream.result().usage == Usage(1, 2, estimated=True)


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        (Cut(), TruncatedStream),
        (Reset(), StreamInterrupted),
        (Error("no more"), ProviderError),
    ],
)
def test_an_answer_that_failed_is_counted_too(
    ending: Any, kind: type[StreamkitError], play: Callable[..., Any], mode: str
) -> None:
    stream = play([event({"content": "one two"}), ending], tokenizer=words, mode=mode)
    with pytest.raises(kind) as caught:
        stream.result()
    assert caught.value.partial is not None
    assert caught.value.partial.usage == Usage(1, 2, estimated=True)
    assert stream.partial.usage == Usage(1, 2, estimated=True)


def test_a_request_that_was_refused_used_nothing(play: Callable[..., Any]) -> None:
    stream = play([Status(401)], tokenizer=words, price=CODE)
    with pytest.raises(StreamkitError):
        stream.result()
    assert stream.partial.usage == Usage() and stream.partial.cost is None


def test_on_end_gets_the_sums(play: Callable[..., Any]) -> None:
    ended: list[Result] = []
    play(answer(USAGE), price=lambda *_: 0.5, on_end=ended.append).start().wait(10)
    assert [result.cost for result in ended] == [0.5]


def test_functions_that_raise_do_not_end_the_stream(
    play: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> int:
        raise RuntimeError("no vocabulary")

    result = play(answer(None), tokenizer=broken, price=broken).result()
    assert (result.outcome, result.text, result.cost) == ("completed", "one two", None)
    assert result.usage == Usage()
    named = [record.getMessage().rpartition("=")[2] for record in caplog.records]
    assert named == ["tokenizer", "price"]


# -- the keywords


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"price": {"inputs": 1, "output": 1}},
            "price has no field 'inputs'; did you mean",
        ),
        ({"price": {"input": 1, "output": -1}}, "price output must be at least 0, got -1"),
        ({"price": 2.5}, "price must be None, True, a mapping, Prices or a function, got 2.5"),
        ({"tokenizer": "cl100k_base"}, "tokenizer must be a function"),
    ],
)
def test_nonsense_is_refused_before_anything_is_sent(
    given: dict[str, Any], message: str, play: Callable[..., Any]
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        play("Hi", **given)
    assert play.server.requests == []


def test_the_options_object_takes_them_too() -> None:
    price = Prices(input=1, output=2)
    options = StreamOptions(price=price, tokenizer=len)
    assert (options.price, options.tokenizer) == (price, len)
    with pytest.raises(ConfigurationError, match="price must be Prices, True or a function"):
        StreamOptions(price={"input": 1, "output": 2})  # type: ignore[arg-type]


def test_false_and_none_switch_the_price_off(play: Callable[..., Any]) -> None:
    options = StreamOptions(price=Prices(input=1, output=1))
    for off in (None, False):
        assert play(answer(USAGE), options=options, price=off).result().cost is None


def test_true_without_the_extra_is_refused(
    play: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(ConfigurationError, match="needs the extra prices"):
        play("Hi", price=True)
