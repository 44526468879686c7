"""The continuation prompt: what the model is shown of its own answer, and how it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit import ConfigurationError, RecoveryConfig
from streamkit.recovery.recovery import Strategy
from streamkit.recovery.strategy import OPENING, TAIL, continued, continued_in_one
from streamkit.request import build_call

TEXT = "First paragraph.\n\nSecond one.\n\nThe third is unfin"


def asked(text: str, strategy: Strategy, prompt: Any = "Tell me", **given: Any) -> Any:
    call = build_call("m", prompt, given)
    after = continued(call, text, strategy)
    return [(m["role"], m["content"]) for m in after.messages[len(call.messages) :]], after


def test_exact_shows_all_of_it_as_the_models_own_message() -> None:
    (answer, question), call = asked(TEXT, "exact")
    assert answer == ("assistant", TEXT)
    assert question[0] == "user" and "cut off" in question[1]
    assert call.messages[0]["content"] == "Tell me"


def test_paragraph_shows_the_finished_ones_and_quotes_the_unfinished() -> None:
    (answer, question), _ = asked(TEXT, "paragraph")
    assert answer == ("assistant", "First paragraph.\n\nSecond one.")
    assert "<<<The third is unfin>>>" in question[1]


@pytest.mark.parametrize("text", ["only one", "\n\nonly one", "one, and the next begins\n\n"])
def test_paragraph_shows_all_of_a_text_without_a_finished_one(text: str) -> None:
    (answer, question), _ = asked(text, "paragraph")
    assert answer == ("assistant", text)
    assert "<<<" not in question[1]


def test_summarize_quotes_the_opening_and_the_tail_of_a_long_answer() -> None:
    text = "".join(f"{n:05d}" for n in range(10_000))
    ((role, question),), _ = asked(text, "summarize")
    assert role == "user"
    assert text[:OPENING] in question and text[-TAIL:] in question
    assert len(question) < OPENING + TAIL + 1000


def test_summarize_shows_all_of_a_short_answer() -> None:
    assert asked(TEXT, "summarize")[0] == asked(TEXT, "exact")[0]


def test_words_the_user_put_into_the_models_mouth_belong_to_its_answer() -> None:
    prompt = [{"role": "user", "content": "Name one"}, {"role": "assistant", "content": "It is "}]
    _, call = asked("Bob", "exact", prompt)
    assert [m["role"] for m in call.messages] == ["user", "assistant", "user"]
    assert call.messages[1]["content"] == "It is Bob"


def test_a_demand_for_a_whole_document_is_not_repeated() -> None:
    _, call = asked('{"a": [1,', "exact", response_format={"type": "json_object"}, max_tokens=5)
    assert call.response_format is None
    assert call.max_tokens == 5


@pytest.mark.parametrize("strategy", ["exact", "paragraph", "summarize"])
def test_one_message_quotes_all_or_opening_and_tail(strategy: Strategy) -> None:
    call = build_call("m", "Tell me", {})
    short = continued_in_one(call, TEXT, strategy)
    assert short is not None and f"<<<{TEXT}>>>" in short.messages[0]["content"]
    long = continued_in_one(call, TEXT * 500, strategy)
    assert long is not None and len(long.messages) == 1
    assert (TEXT * 500 in long.messages[0]["content"]) == (strategy != "summarize")


def test_one_message_that_is_no_text_of_the_users_cannot_ask() -> None:
    for message in ({"role": "assistant", "content": "So"}, {"role": "user", "content": []}):
        assert continued_in_one(build_call("m", [message], {}), TEXT, "exact") is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"strategy": "guess"}, "strategy must be one of exact, paragraph, summarize, got 'guess'"),
        ({"max_retries": 0}, "max_retries must be a whole number of at least 1, got 0"),
        ({"max_retries": True}, "max_retries"),
        ({"ttl": 0}, "ttl must be seconds above 0, got 0"),
        ({"ttl": float("nan")}, "ttl"),
        ({"id": ""}, "id must be text"),
        ({"id": "a"}, "id needs a store"),
    ],
)
def test_a_config_that_cannot_be_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        RecoveryConfig(**wrong)
