"""Conversations that no service could answer are refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers import resolve
from streamkit.providers.roles import ROLES, check_roles, check_turns
from streamkit.request import build_call

DIALECTS = [
    ("anthropic", "messages"), ("vertex", "messages"), ("bedrock", "invoke"),
    ("bedrock", "converse"), ("gemini", "sse"), ("vertex", "array"), ("cohere", "v2"),
    ("ollama", "chat"), ("ollama", "generate"),
]  # fmt: skip


def send(provider: str, api: str, *messages: Any) -> Any:
    target = resolve("m", provider=provider, api=api, base_url="https://h", api_key="k" * 9, env={})
    return target.dialect(target.endpoint).request(build_call(target.model, list(messages), {}))


@pytest.mark.parametrize(("provider", "api"), DIALECTS)
@pytest.mark.parametrize(
    "message", [{"role": "alien", "content": "x"}, {"role": "tool", "content": "x"}]
)
def test_what_no_service_could_place_is_refused(provider: str, api: str, message: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"alien|tool"):
        send(provider, api, {"role": "user", "content": "a"}, message)


@pytest.mark.parametrize(("provider", "api"), [d for d in DIALECTS if d != ("ollama", "chat")])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_alone_are_refused(provider: str, api: str, role: str) -> None:
    with pytest.raises(ConfigurationError, match="message"):
        send(provider, api, {"role": role, "content": "a"})


def test_a_tool_s_result_may_name_the_tool_where_the_service_asks_for_that() -> None:
    named = {"role": "tool", "content": "x", "name": "f"}
    for provider, api in (("gemini", "sse"), ("ollama", "chat")):
        assert b'"f"' in send(provider, api, {"role": "user", "content": "a"}, named).body


def test_the_message_names_the_rule() -> None:
    with pytest.raises(ConfigurationError, match=r"^cohere takes system messages only beside"):
        check_turns("cohere", [{"role": "system"}])


def test_a_message_must_have_a_role_that_has_a_place_and_a_result_its_call() -> None:
    result = {"role": "tool", "tool_call_id": "a", "content": "1"}
    check_roles([*({"role": role} for role in ROLES if role != "tool"), result])
    check_roles([{"type": "function_call_output", "role": "item"}])
    with pytest.raises(
        ConfigurationError, match="message 1 must be one of user, tool, got 'system'"
    ):
        check_roles([result, {"role": "system"}], ("user", "tool"))
    with pytest.raises(ConfigurationError, match="message 0 is a tool's result and needs"):
        check_roles([{"role": "tool", "content": "1"}])


def test_results_of_the_older_function_call_have_a_place_in_the_chat_form_alone() -> None:
    said = {"role": "user", "content": "a"}, {"role": "function", "name": "f", "content": "1"}
    assert b'"function"' in send("openai", "chat", *said).body
    with pytest.raises(ConfigurationError, match="assistant, tool, got 'function'"):
        send("openai", "responses", *said)
