"""
The table of services that speak OpenAI's formats: one row each, and nothing else to write.

A row of your own, for one process::

    from streamkit.providers import Service, register

    CHAT = "streamkit.providers.openai:OpenAIChat"
    register(
        Service(
            name="acme",
            dialects={"chat": CHAT},
            default_api="chat",
            base_url="https://api.acme.example/v1",
            key_env=("ACME_API_KEY",),
        )
    )

From then on ``acme/model-name`` is a model. A package brings its row to all processes as an entry
point of the group ``streamkit.providers``, whose name is the service's and whose value is the
Service: ``acme = "acme_streams:SERVICE"``. A service with an accent of its own names a subclass of
OpenAIChat as its dialect, as Mistral and Perplexity do. One that documents that a model goes on
with a last message of its own says ``prefill="plain"``, or another form of prefill.py: a broken
answer is then carried on that way.

Sources: WIRE_FORMATS.md sections 2.1, 3 and 11; the services' own documentation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamkit.providers.address import groq_url, ollama_openai_url
from streamkit.providers.native import COMPLETIONS, RESPONSES
from streamkit.providers.service import CHAT, Service

__all__ = ["COMPATIBLE", "GUESSED"]

_PATHS = {"chat": CHAT, "responses": RESPONSES, "completions": COMPLETIONS}


def _row(
    name: str, base_url: str, key_env: str, apis: str = "chat", chat: str = CHAT, **more: Any
) -> Service:
    """
    A service, by the variable that holds its key and the formats it speaks.

    A server on this machine asks for no key by default.
    """
    paths = {**_PATHS, "chat": chat}
    return Service(
        name=name,
        dialects={api: paths[api] for api in apis.split()},
        default_api="chat",
        base_url=base_url,
        key_env=(key_env,),
        **{"key_required": base_url.startswith("https:"), **more},
    )


_ROWS = (
    _row(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "chat responses completions",
        prefill="unsure",
    ),
    _row(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        "chat responses",
        base_env=("GROQ_BASE_URL",),
        read_base=groq_url,
        prefill="unsure",
    ),
    _row(
        "deepseek",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        "chat responses",
        prefill="beta-prefix",
    ),
    _row("xai", "https://api.x.ai/v1", "XAI_API_KEY", "chat responses"),
    _row("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", "chat completions"),
    _row("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "chat completions"),
    _row("baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY"),
    _row("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", "chat responses"),
    _row(
        "alibaba",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        base_env=("DASHSCOPE_BASE_URL",),
        prefill="partial",
    ),
    _row(
        "vllm",
        "http://localhost:8000/v1",
        "VLLM_API_KEY",
        "chat responses completions",
        prefill="continue",
    ),
    _row(
        "llamacpp",
        "http://127.0.0.1:8080/v1",
        "LLAMA_API_KEY",
        "chat responses completions",
        chat="streamkit.providers.llamacpp:LlamaCppChat",
        prefill="plain",
    ),
    _row("lmstudio", "http://localhost:1234/v1", "LM_API_TOKEN", "chat responses completions"),
    _row(
        "ollama-openai",
        "http://127.0.0.1:11434/v1",
        "OLLAMA_API_KEY",
        "chat responses completions",
        base_env=("OLLAMA_HOST",),
        read_base=ollama_openai_url,
    ),
)

#: Name -> row.
COMPATIBLE: Mapping[str, Service] = {service.name: service for service in _ROWS}

#: For a base_url without a provider. Nothing is read from the environment: a key made for one
#: service must not reach another that only a URL names.
GUESSED = Service(name="openai-compatible", dialects=_PATHS, default_api="chat")
