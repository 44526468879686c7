"""
The table of providers: one row each.

A row names its dialects by string; they are imported when first used, so that ``import streamkit``
loads none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamkit.errors import ConfigurationError
from streamkit.providers.address import ollama_url

__all__ = ["BUILTIN", "GUESSED", "Service"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """
    One row of the table of providers.

    Thread safety: **immutable**.

    Args:
        name: What users type before the slash; no slash, no blank.
        dialects: Name of the API -> ``"module:Class"``, a Provider made from an Endpoint.
        default_api: The one used without ``api=``.
        base_url: The service's own address; "" if each user has their own.
        key_env: Environment variables that may hold the key; the first set one wins.
        bearer_env: The same, for tokens that go as ``Authorization: Bearer`` whatever the dialect
            does with a key; asked after key_env.
        base_env: Environment variables that may hold the base URL.
        header_env: Environment variable -> header it is sent in.
        key_required: Whether the service's own address asks for a key. Elsewhere it never is.
        read_base: Turns the value of a base_env variable into a URL.
    """

    name: str
    dialects: Mapping[str, str]
    default_api: str
    base_url: str = ""
    key_env: tuple[str, ...] = ()
    bearer_env: tuple[str, ...] = ()
    base_env: tuple[str, ...] = ()
    header_env: Mapping[str, str] = field(default_factory=dict)
    key_required: bool = True
    read_base: Callable[[str], str] = str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise ConfigurationError(
                f"a provider's name must be text, got a {type(self.name).__name__}"
            )
        if not self.name or not self.name.isprintable() or set(self.name) & set("/ "):
            raise ConfigurationError(
                f"a provider's name must have no slash and no blank, got {self.name!r}"
            )
        if not isinstance(self.dialects, Mapping) or self.default_api not in list(self.dialects):
            raise ConfigurationError(
                f"default_api must be one of the dialects, got {self.default_api!r}"
            )


# Sources: FACTS.md 2.1, WIRE_FORMATS.md sections 2, 4, 10.
_ROWS = (
    Service(
        name="openai",
        dialects={"chat": "streamkit.providers.openai:OpenAIChat"},
        default_api="chat",
        base_url="https://api.openai.com/v1",
        key_env=("OPENAI_API_KEY",),
        base_env=("OPENAI_BASE_URL",),
        header_env={
            "OPENAI_ORG_ID": "OpenAI-Organization",
            "OPENAI_PROJECT_ID": "OpenAI-Project",
        },
    ),
    Service(
        name="anthropic",
        dialects={"messages": "streamkit.providers.anthropic:AnthropicMessages"},
        default_api="messages",
        base_url="https://api.anthropic.com",
        key_env=("ANTHROPIC_API_KEY",),
        bearer_env=("ANTHROPIC_AUTH_TOKEN",),
        base_env=("ANTHROPIC_BASE_URL",),
    ),
    Service(
        name="ollama",
        dialects={"chat": "streamkit.providers.ollama:OllamaChat"},
        default_api="chat",
        base_url="http://127.0.0.1:11434",
        key_env=("OLLAMA_API_KEY",),
        base_env=("OLLAMA_HOST",),
        key_required=False,
        read_base=ollama_url,
    ),
)

#: The providers that come with the library.
BUILTIN: Mapping[str, Service] = {service.name: service for service in _ROWS}

#: For a base_url without a provider. Nothing is read from the environment: a key made for one
#: service must not reach another that only a URL names.
GUESSED = Service(
    name="openai-compatible",
    dialects={"chat": "streamkit.providers.openai:OpenAIChat"},
    default_api="chat",
)
