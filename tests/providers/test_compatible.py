"""The table of services that speak OpenAI's formats."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from streamkit.providers.compatible import COMPATIBLE, GUESSED
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.registry import resolve
from streamkit.request import Call, Message


@pytest.mark.parametrize("name", COMPATIBLE)
def test_each_row_speaks_chat_at_its_own_address(name: str) -> None:
    target = resolve(f"{name}/some/model", api_key="sk-1234567890", env={})
    assert target.model == "some/model"
    assert isinstance(target.dialect(target.endpoint), OpenAIChat)
    request = target.dialect(target.endpoint).request(
        Call(model=target.model, messages=(Message.user("Hi"),), max_tokens=7)
    )
    assert request.url == f"{COMPATIBLE[name].base_url}/chat/completions"
    assert request.headers["Authorization"] == "Bearer sk-1234567890"
    body = json.loads(request.body)
    assert (body["max_tokens"], body["stream_options"]) == (7, {"include_usage": True})


@pytest.mark.parametrize("service", [*COMPATIBLE.values(), GUESSED], ids=lambda s: s.name)
def test_each_dialect_of_a_row_can_be_imported(service: object) -> None:
    for path in service.dialects.values():  # type: ignore[attr-defined]
        module, _, attribute = path.partition(":")
        assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize("name", COMPATIBLE)
def test_a_server_on_this_machine_needs_no_key_and_any_other_names_its_variable(name: str) -> None:
    service = COMPATIBLE[name]
    local = service.base_url.startswith("http://")
    assert service.key_required == (not local)
    assert len(service.key_env) == 1
    if local:
        assert resolve(f"{name}/m", env={}).endpoint.api_key is None


def test_ollama_s_own_variable_moves_its_openai_endpoint() -> None:
    env = {"OLLAMA_HOST": "10.0.0.2"}
    endpoint = resolve("ollama-openai/m", env=env, allow_http=True).endpoint
    assert endpoint.base_url == "http://10.0.0.2:11434/v1"


@pytest.mark.parametrize("value", ["https://proxy.example", "https://proxy.example/openai/v1/"])
def test_groq_has_its_base_url_from_the_environment_as_its_own_client_reads_it(value: str) -> None:
    target = resolve("groq/m", api_key="sk-1234567890", env={"GROQ_BASE_URL": value})
    assert target.endpoint.base_url == "https://proxy.example/openai/v1"
