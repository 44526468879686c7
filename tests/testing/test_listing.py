"""Lists of models, read by the official SDKs."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from sdks import KEY, cohere_client, genai_client, ollama_client, status_of

from streamkit.testing import LocalProvider, Status


def openai_models(provider: LocalProvider, stack: ExitStack, name: str) -> list[str]:
    from openai import OpenAI

    client = OpenAI(base_url=provider.base_url(name), api_key=KEY, max_retries=0)
    return [model.id for model in stack.enter_context(client).models.list()]


def anthropic_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    from anthropic import Anthropic

    client = Anthropic(base_url=provider.base_url("anthropic"), api_key=KEY, max_retries=0)
    return [model.id for model in stack.enter_context(client).models.list()]


def gemini_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    options = {"base_url": provider.base_url("gemini")}
    client = stack.enter_context(genai_client(api_key=KEY, http_options=options))
    return [model.name.removeprefix("models/") for model in client.models.list()]


def cohere_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    client = stack.enter_context(cohere_client(provider.base_url("cohere")))
    return [model.name for model in client.models.list().models]


def ollama_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    client = stack.enter_context(ollama_client(provider.base_url("ollama")))
    return [model.model for model in client.list().models]


LISTS = {
    "openai": partial(openai_models, name="openai"),
    "groq": partial(openai_models, name="groq"),
    "anthropic": anthropic_models,
    "gemini": gemini_models,
    "cohere": cohere_models,
    "ollama": ollama_models,
}


@pytest.mark.parametrize("name", LISTS)
def test_an_sdk_lists_the_models(local_provider: Any, stack: ExitStack, name: str) -> None:
    assert LISTS[name](local_provider("hi"), stack) == ["local"]


@pytest.mark.parametrize("name", LISTS)
def test_a_status_answers_for_the_list_too(
    local_provider: Any, stack: ExitStack, name: str
) -> None:
    with pytest.raises(Exception, match="no entry") as caught:
        LISTS[name](local_provider(Status(401, message="no entry")), stack)
    assert status_of(caught.value) == 401
