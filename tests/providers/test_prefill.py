"""How each service is made to go on with its own words: the exact requests, and where it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.prefill import FORMS
from streamkit.providers.registry import BUILTIN, resolve
from streamkit.providers.service import CHAT, Service
from streamkit.request import Call, Message, Request

QUESTION = Message.user("Tell me of a river")
TEXT = "The river bends "
KEY = "sk-0123456789abcdef"
#: Claude as its makers and others call it.
SONNET = "claude-sonnet-4-5-20250929"


def carried(
    provider: str,
    text: str = TEXT,
    *,
    api: str | None = None,
    base_url: str | None = None,
    **given: Any,
) -> Request | None:
    """The request that makes a service go on."""
    model = given.pop("model", "some-model")
    target = resolve(
        model, provider=provider, api=api, base_url=base_url, api_key=KEY,
        env={"AWS_REGION": "eu-west-1", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "l"},
    )  # fmt: skip
    dialect = target.dialect(target.endpoint)
    call = Call(**{"model": target.model, "messages": (QUESTION,), **given})
    prefilled = dialect.prefill(call, text)
    return None if prefilled is None else dialect.request(prefilled)


def body(*args: Any, **keywords: Any) -> Any:
    request = carried(*args, **keywords)
    assert request is not None
    assert KEY not in request.url
    return json.loads(request.body)


def said(text: str = TEXT, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **fields}


@pytest.mark.parametrize(
    ("provider", "last", "beside"),
    [
        ("mistral", said(prefix=True), {}),
        ("alibaba", said(partial=True), {}),
        ("groq", said(), {}),
        ("openrouter", said(), {}),
        ("llamacpp", said(), {}),
        ("ollama", said(), {}),
        ("vllm", said(), {"continue_final_message": True, "add_generation_prompt": False}),
    ],
)
def test_the_answer_so_far_is_the_last_message_in_the_service_s_own_form(
    provider: str, last: dict[str, Any], beside: dict[str, Any]
) -> None:
    plain = resolve("some-model", provider=provider, api_key=KEY, env={})
    call = Call(model="some-model", messages=(QUESTION,))
    expected = json.loads(plain.dialect(plain.endpoint).request(call).body)
    expected["messages"].append(last)
    assert body(provider) == {**expected, **beside}


@pytest.mark.parametrize(
    ("provider", "api", "model"),
    [
        ("anthropic", None, SONNET),
        ("vertex", "messages", "claude-sonnet-4-5@20250929"),
        ("bedrock", "invoke", f"us.anthropic.{SONNET}-v1:0"),
    ],
)
def test_claude_gets_it_without_the_blanks_at_its_end(
    provider: str, api: str | None, model: str
) -> None:
    sent = body(provider, "The river bends \n", api=api, model=model)
    assert sent["messages"] == [dict(QUESTION), said("The river bends")]


def test_claude_gets_it_through_converse_too() -> None:
    sent = body("bedrock", api="converse", model=f"eu.anthropic.{SONNET}-v1:0")
    assert sent["messages"][-1] == {"role": "assistant", "content": [{"text": "The river bends"}]}
    assert carried("bedrock", api="converse", model="amazon.nova-pro-v1:0") is None


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-3-haiku-20240307", True),
        ("claude-3-5-sonnet-latest", True),
        ("claude-opus-4-20250514", True),
        ("claude-opus-4-0", True),
        ("claude-opus-4-1-20250805", True),
        ("claude-opus-4.5", True),
        ("claude-haiku-4-5", True),
        ("claude-2.1", True),
        ("claude-instant-1.2", True),
        ("claude-of-ours", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-6-20260217", False),
        ("claude-sonnet-4.6", False),
        ("claude-opus-5", False),
        ("claude-haiku-5-5", False),
        ("claude-opus-10", False),
    ],
)
def test_claude_refuses_it_from_4_6_on(model: str, takes: bool) -> None:
    assert (carried("anthropic", model=model) is not None) == takes


@pytest.mark.parametrize("kind", ["enabled", "adaptive"])
def test_claude_refuses_it_while_it_thinks(kind: str) -> None:
    thinking = {"thinking": {"type": kind}}
    assert carried("anthropic", model=SONNET, extra_body=thinking) is None
    fields = {"additionalModelRequestFields": thinking}
    assert carried("bedrock", model=f"anthropic.{SONNET}-v1:0", extra_body=fields) is None
    off = {"thinking": {"type": "disabled"}}
    assert carried("anthropic", model=SONNET, extra_body=off) is not None


def test_deepseek_knows_it_below_beta_alone() -> None:
    assert carried("deepseek") is None
    sent = body("deepseek", base_url="https://api.deepseek.com/beta")
    assert sent["messages"][-1] == said(prefix=True)


def test_a_base_model_is_given_a_longer_prompt() -> None:
    prompt = QUESTION["content"] + TEXT
    assert body("openai", api="completions")["prompt"] == prompt
    assert body("ollama", api="generate", extra_body={"raw": True})["prompt"] == prompt
    assert carried("ollama", api="generate") is None


@pytest.mark.parametrize(
    ("provider", "api", "base_url"),
    [
        ("openai", "chat", None),
        ("openai", "responses", None),
        ("openrouter", "responses", None),
        ("llamacpp", "responses", None),
        ("azure", "chat", "https://r.openai.azure.com"),
        ("gemini", "sse", None),
        ("vertex", "sse", None),
        ("cohere", "v2", None),
        *(
            (name, "chat", None)
            for name in ("perplexity", "xai", "together", "cerebras", "baseten")
        ),
        *((name, "chat", None) for name in ("huggingface", "lmstudio", "ollama-openai")),
    ],
)
def test_a_service_that_documents_nothing_is_asked_in_words(
    provider: str, api: str, base_url: str | None
) -> None:
    assert carried(provider, api=api, base_url=base_url) is None


def test_an_endpoint_that_only_a_url_names_is_asked_in_words() -> None:
    target = resolve("m", base_url="http://127.0.0.1:9/v1", env={})
    call = Call(model="m", messages=(QUESTION,))
    assert target.dialect(target.endpoint).prefill(call, TEXT) is None


def test_words_that_the_user_had_put_into_its_mouth_are_the_beginning() -> None:
    before = Message.assistant("Long ago ")
    assert body("groq", messages=(QUESTION, before))["messages"] == [
        dict(QUESTION), said("Long ago " + TEXT),
    ]  # fmt: skip
    assert before == said("Long ago ")


@pytest.mark.parametrize(
    "before",
    [
        {"role": "assistant", "content": [{"type": "text", "text": "Long ago "}]},
        Message.assistant("x", tool_calls=[{"id": "1", "function": {"name": "f"}}]),
        {"role": "assistant", "content": None},
    ],
)
def test_parts_and_calls_at_the_end_are_not_gone_on_from(before: dict[str, Any]) -> None:
    assert carried("groq", messages=(QUESTION, before)) is None


@pytest.mark.parametrize("text", ["", " \n"])
def test_no_text_is_no_prefill(text: str) -> None:
    assert carried("anthropic", text, model=SONNET) is None


def test_a_format_goes_since_a_model_held_to_one_begins_anew() -> None:
    assert "response_format" not in body("groq", response_format={"type": "json_object"})
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    assert "output_config" not in body("anthropic", model=SONNET, response_format=schema)


def test_tools_stay_but_a_forced_call_cannot_follow_words() -> None:
    tools = ({"type": "function", "function": {"name": "f", "parameters": {}}},)
    assert body("groq", tools=tools)["tools"]
    assert carried("groq", tools=tools, tool_choice="auto") is not None
    assert carried("groq", tools=tools, tool_choice="required") is None
    named = {"type": "function", "function": {"name": "f"}}
    assert carried("mistral", tools=tools, tool_choice=named) is None


def test_what_the_user_sends_beside_stays() -> None:
    sent = body("vllm", extra_body={"top_k": 5})
    assert (sent["top_k"], sent["continue_final_message"]) == (5, True)


def test_who_may_repeat_what_it_was_given_says_so() -> None:
    rows = {name: service for name, service in BUILTIN.items() if service.prefill}
    repeating = {name for name, row in rows.items() if FORMS[row.prefill or ""].repeats}
    assert repeating == {"groq", "mistral", "openrouter"}
    for name in ("mistral", "vllm"):
        target = resolve("m", provider=name, api_key=KEY, env={})
        assert target.dialect(target.endpoint).repeats_prefill == (name in repeating)


def test_a_row_of_your_own_names_a_form() -> None:
    row = Service(name="acme", dialects={"chat": CHAT}, default_api="chat", prefill="plain")
    assert row.prefill == "plain"
    with pytest.raises(ConfigurationError, match=r"prefill must be one of .*'plain'.* got 'x'"):
        Service(name="acme", dialects={"chat": CHAT}, default_api="chat", prefill="x")
