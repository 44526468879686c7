"""
What a row of the table of providers says. The rows are in native.py and compatible.py.

A row names its dialects by string; they are imported when first used, so that ``import streamkit``
loads none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from streamkit.errors import ConfigurationError
from streamkit.providers.prefill import FORMS

__all__ = ["CHAT", "Service"]

#: The dialect most services speak.
CHAT = "streamkit.providers.openai:OpenAIChat"


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
        param_env: Parameter of Endpoint.params -> environment variables that may hold it.
        build_base: Makes the base URL of the parameters, where neither the user nor a base_env
            variable gives one; it raises ConfigurationError naming what it lacks.
        stages: Stages of ``streamkit.stages.STAGES`` that each answer goes through.
        prefill: The form of ``prefill.FORMS`` in which its chat API is documented to go on with an
            answer that broke off; None where it is not.
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
    param_env: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    build_base: Callable[[Mapping[str, str]], str] | None = None
    stages: tuple[str, ...] = ()
    prefill: str | None = None

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
        if self.prefill is not None and self.prefill not in FORMS:
            raise ConfigurationError(f"prefill must be one of {[*FORMS]}, got {self.prefill!r}")
