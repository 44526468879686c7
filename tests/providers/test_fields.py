"""The fields of a message beside its content are placed, left out or refused, never lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers import resolve
from streamkit.providers.fields import settle_fields
from streamkit.request import build_call

HI = {"role": "user", "content": "Hi"}
DIALECTS = [
    ("openai", "responses"), ("lmstudio", "responses"), ("anthropic", "messages"),
    ("vertex", "messages"), ("bedrock", "invoke"), ("bedrock", "converse"), ("gemini", "sse"),
    ("cohere", "v2"), ("ollama", "chat"),
]  # fmt: skip
PROMPTED = [("ollama", "generate"), ("vllm", "completions")]


def send(provider: str, api: str, *messages: Any, **options: Any) -> str:
    model = "anthropic.m" if provider == "bedrock" else "m"
    target = resolve(
        model, provider=provider, api=api, base_url="https://h", api_key="k" * 9, env={}
    )
    call = build_call(target.model, list(messages), options)
    return target.dialect(target.endpoint).request(call).body.decode()


@pytest.mark.parametrize(("provider", "api"), DIALECTS)
def test_an_answer_goes_back_as_it_came(provider: str, api: str) -> None:
    got: dict[str, Any] = {
        "role": "assistant", "content": "said", "refusal": None, "audio": None, "annotations": [{}],
        "function_call": None, "tool_calls": None, "reasoning": "r-1", "reasoning_content": "r-1",
    }  # fmt: skip
    body = send(provider, api, HI, got, HI)
    assert "said" in body
    assert not any(field in body for field in ("r-1", "refusal", "audio", "annotations"))


@pytest.mark.parametrize(("provider", "api"), DIALECTS)
@pytest.mark.parametrize("content", [None, "", "first", [{"type": "text", "text": "first"}]])
def test_a_refusal_becomes_text(provider: str, api: str, content: Any) -> None:
    said = {"role": "assistant", "content": content, "refusal": "I will not"}
    body = send(provider, api, HI, said, HI)
    assert "I will not" in body and '"refusal"' not in body
    assert ("first" in body) is bool(content)


@pytest.mark.parametrize(("provider", "api"), DIALECTS)
@pytest.mark.parametrize(
    ("role", "field", "value"),
    [
        ("assistant", "audio", {"id": "a"}),
        ("assistant", "function_call", {"name": "f"}),
        ("assistant", "refusal", {"text": "no"}),
        ("user", "name", "Ada"),
        ("user", "reasoning", "r"),
        ("user", "contnet", "typo"),
    ],
)
def test_a_field_without_a_place_is_refused_by_name(
    provider: str, api: str, role: str, field: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=f"no place for the field '{field}' of message 1$"):
        send(provider, api, HI, {"role": role, "content": "x", field: value}, HI)


@pytest.mark.parametrize(("provider", "api"), PROMPTED)
def test_a_prompt_has_no_fields_either(provider: str, api: str) -> None:
    assert '"name"' not in send(provider, api, {**HI, "name": ""})
    with pytest.raises(ConfigurationError, match=f"^{provider} {api} has no place .* 'name'"):
        send(provider, api, {**HI, "name": "Ada"})


@pytest.mark.parametrize(("provider", "api"), DIALECTS)
def test_the_name_of_a_result_is_never_in_the_way(provider: str, api: str) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    answer = {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "42"}
    assert "42" in send(
        provider, api, HI, {"role": "assistant", "content": "", "tool_calls": [call]}, answer
    )


def test_messages_in_an_api_s_own_form_are_not_looked_at() -> None:
    native = {"type": "message", "role": "assistant", "content": [], "id": "m", "status": "done"}
    assert settle_fields("some api", [native]) == [native]
    assert settle_fields("some api", [{**HI, "own": 1}], "own") == [{**HI, "own": 1}]


@pytest.mark.parametrize(
    ("provider", "api", "options", "message"),
    [
        ("vllm", "completions", {"system": "s"}, "no system; use api='chat'"),
        ("lmstudio", "completions", {"tools": [{}]}, "no tools; use api='chat'"),
        ("lmstudio", "responses", {"seed": 1}, "no seed; its own fields go in extra_body"),
        ("vertex", "messages", {"seed": 1}, "no seed; its own fields go in extra_body"),
        ("vertex", "messages", {"response_format": {"type": "json_object"}}, "no response_format"),
    ],
)
def test_an_error_names_the_provider_that_was_asked(
    provider: str, api: str, options: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{provider} {api} has {message}"):
        send(provider, api, HI, **options)
    with pytest.raises(ConfigurationError, match=r"^bedrock messages has no seed"):
        send("bedrock", "invoke", HI, seed=1)


def test_strict_is_copied_for_anthropic_and_a_hint_that_gemini_has_not() -> None:
    tool = {"type": "function", "function": {"name": "f", "strict": True}}
    assert json.loads(send("anthropic", "messages", HI, tools=[tool]))["tools"] == [
        {"name": "f", "strict": True, "input_schema": {"type": "object"}}
    ]
    assert "strict" not in send("gemini", "sse", HI, tools=[tool])
