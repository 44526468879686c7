"""
Which providers there are, and how a model string becomes a place to send a request to.

Outside packages add a row to the table with ``register``, or with an entry point of the group
``streamkit.providers`` whose name is the provider's and whose value is a Service.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from string import ascii_letters, digits
from typing import Any

from streamkit.errors import ConfigurationError, UnknownProvider
from streamkit.providers.address import checked_base_url
from streamkit.providers.base import Endpoint, Provider
from streamkit.providers.build import check_text, checked_headers
from streamkit.providers.compatible import COMPATIBLE, GUESSED
from streamkit.providers.native import NATIVE
from streamkit.providers.service import Service
from streamkit.request import Secret, check_header

__all__ = ["BUILTIN", "Service", "Target", "register", "resolve"]

GROUP = "streamkit.providers"

#: The providers that come with the library.
BUILTIN: Mapping[str, Service] = {**NATIVE, **COMPATIBLE}

#: A user who sends one of these has brought the key in a way of their own.
_AUTH_HEADERS = frozenset({"authorization", "x-api-key", "api-key"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """
    What resolve() found: where to send, what to ask for, and who reads the answer.

    Thread safety: **immutable**.
    """

    service: Service
    endpoint: Endpoint
    model: str
    dialect: Callable[[Endpoint], Provider[Any]]


#: What a version of an API may consist of.
_VERSION = frozenset(ascii_letters + digits + ".-_")

_registered: dict[str, Service] = {}


def register(service: Service) -> None:
    """
    Add a provider for this process, or replace the one of that name.

    Raises:
        ConfigurationError: It is no Service.

    Thread safety: **shared**; streams that are open go on with what they resolved.
    """
    if not isinstance(service, Service):
        raise ConfigurationError(f"a provider must be a Service, got a {type(service).__name__}")
    _registered[service.name] = service


def resolve(
    model: str,
    *,
    provider: str | None = None,
    api: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    allow_http: bool | None = None,
    env: Mapping[str, str] = os.environ,
) -> Target:
    """
    A model string and what goes with it -> endpoint, model and dialect. Sends nothing.

    With ``provider`` the model is taken verbatim. Else the text before its first slash is the
    provider, if there is one of that name; else, with ``base_url``, it is OpenAI chat and the model
    verbatim. For each option: argument, then environment, then default.

    A key from the environment is sent to a ``base_url`` argument when the provider was named, as
    gateways need it; when it was only guessed from the URL, ``api_key=`` alone is sent.

    Wherever the base URL comes from, plain http is for this machine, unless ``allow_http``.

    Raises:
        UnknownProvider: No provider of that name, and no base_url.
        ConfigurationError: A missing key, an unknown api, a dialect that cannot be imported, or a
            value that could not be sent safely. No message quotes a key, a header or a URL.

    Thread safety: **shared**.
    """
    # Wrapped before anything can raise, so that no traceback that shows locals shows a key.
    environment, env = _Environment(env), {}
    problem = _wrong_type(provider=provider, api=api, base_url=base_url, api_key=api_key)
    if headers is not None and not isinstance(headers, Mapping):
        problem = f"headers must be a mapping, got a {type(headers).__name__}"
    if not isinstance(allow_http, bool | None):
        problem = f"allow_http must be True or False, got a {type(allow_http).__name__}"
    if problem:
        base_url = api_key = headers = None
        raise ConfigurationError(problem)
    base_url = None if base_url is None else Secret(base_url)  # it may hold a password
    api_key = None if api_key is None else Secret(api_key)
    if api_key is not None:
        _check_secret("api_key", api_key)
    headers = checked_headers(headers or {})
    service, name = _choose(model, provider, has_base=base_url is not None)
    _check_model(name)
    params = _params(service, environment)
    base_url = _take_version(base_url, params)
    source, base = _base_url(service, base_url, params, environment)
    base = checked_base_url(base, source, allow_http=allow_http or False)
    extra = checked_headers(_env_headers(service, environment), headers)
    key, bearer = _key(service, api_key, environment)
    if bearer is not None:
        extra.setdefault("Authorization", Secret(f"Bearer {bearer}"))
    has_auth = key is not None or not _AUTH_HEADERS.isdisjoint(h.lower() for h in extra)
    if service.key_required and not has_auth and base == service.base_url.rstrip("/"):
        variables = " or ".join(service.key_env + service.bearer_env)
        hint = f"set {variables} or pass api_key=" if variables else "pass api_key="
        raise ConfigurationError(f"no API key for {service.name}: {hint}", missing=True)
    return Target(
        service=service,
        endpoint=Endpoint(
            provider=service.name,
            base_url=base,
            api_key=key,
            headers=extra,
            allow_http=allow_http or False,
            params=params,
            prefill=service.prefill,
        ),
        model=name,
        dialect=_dialect(service, api),
    )


def _wrong_type(**options: Any) -> str:
    """
    What is wrong with options that must be text; "" if nothing.

    It does not raise: its own locals would be in the traceback.
    """
    for name, value in options.items():
        if value is not None and not isinstance(value, str):
            return f"{name} must be text, got a {type(value).__name__}"
    return ""


def _choose(model: str, provider: str | None, *, has_base: bool) -> tuple[Service, str]:
    if provider is not None:
        # By its own name what was guessed once is found again: see StreamRecovery.
        service = GUESSED if provider == GUESSED.name else _find(provider)
        if service is None:
            raise _unknown(f"no provider {_shown(provider)}", provider)
        return service, model
    if not isinstance(model, str):
        raise ConfigurationError(f"model must be text, got a {type(model).__name__}")
    prefix, slash, rest = model.partition("/")
    service = _find(prefix) if slash else None
    if service is not None:
        return service, rest
    if has_base:
        return GUESSED, model
    problem = (
        f"no provider {_shown(prefix)}" if slash else f"model {_shown(model)} names no provider"
    )
    raise _unknown(f"{problem}: write provider/model, or pass provider= or base_url=", prefix)


def _find(name: str) -> Service | None:
    service = _registered.get(name) or BUILTIN.get(name)
    return service if service is not None else _load_plugin(name)


def _load_plugin(name: str) -> Service | None:
    """The entry point of that name; a broken one is a warning, so that the rest still works."""
    plugin = _plugins().get(name)
    if plugin is None:
        return None
    try:
        service = plugin.load()
        if not isinstance(service, Service):
            raise TypeError(f"expected a Service, got a {type(service).__name__}")
    except Exception as error:
        warnings.warn(
            f"provider plugin {name!r} ({plugin.value}) cannot be used: {error!r}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    _registered.setdefault(name, service)
    return _registered[name]


@cache
def _plugins() -> dict[str, EntryPoint]:
    # Cached: looking through all installed distributions takes milliseconds, and a model such as
    # "meta/llama" with a base_url asks each time.
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _unknown(problem: str, wanted: str) -> UnknownProvider:
    names = sorted({*BUILTIN, *_registered, *_plugins()})
    near = get_close_matches(str(wanted).lower(), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UnknownProvider(f"{problem}{hint} (providers: {', '.join(names)})")


def _check_model(model: str) -> None:
    if not isinstance(model, str) or not model or model != model.strip():
        raise ConfigurationError("model must be text without blanks at its ends")
    if any(ord(c) < 32 or 127 <= ord(c) < 160 for c in model):
        raise ConfigurationError("model holds a control character")
    if any("\ud800" <= c <= "\udfff" for c in model):  # an address could not say it
        raise ConfigurationError("model holds a lone surrogate, which is not text")
    if model in (".", ".."):  # it may become a step of a path, and these lead elsewhere
        raise ConfigurationError(f"model must be a name, got {model!r}")


class _Environment:
    """Environment variables, read as secrets; "" counts as not set. Its repr shows none."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def first(self, names: Iterable[str]) -> tuple[str, Secret] | None:
        """The first variable that is set, and its value."""
        for name in names:
            value = Secret(self._variables.get(name, ""))
            if value:
                return name, value
        return None


def _params(service: Service, environment: _Environment) -> dict[str, str]:
    found = {name: environment.first(names) for name, names in service.param_env.items()}
    return {name: str(pair[1]) for name, pair in found.items() if pair is not None}


def _take_version(base_url: str | None, params: dict[str, str]) -> str | None:
    """Azure's way of naming the API version, ``?api-version=V``, moved to the parameters."""
    if base_url is None:
        return None
    base, mark, version = base_url.partition("?api-version=")
    if not mark or not version or not set(version) <= _VERSION:
        return base_url
    params["api_version"] = version
    return Secret(base)


def _base_url(
    service: Service, base_url: str | None, params: Mapping[str, str], environment: _Environment
) -> tuple[str, str]:
    """What says where to, and what it says; to be checked yet."""
    if base_url is not None:
        return "base_url", base_url
    found = environment.first(service.base_env)
    if found is not None:
        variable, value = found
        return variable, Secret(service.read_base(value))
    if service.build_base is not None:
        return "the environment", service.build_base(params)
    if not service.base_url:
        ways = " or ".join([*(f"set {name}" for name in service.base_env), "pass base_url="])
        raise ConfigurationError(f"{service.name} has no address of its own: {ways}", missing=True)
    return f"the address of {service.name}", service.base_url


def _key(
    service: Service, api_key: str | None, environment: _Environment
) -> tuple[Secret | None, Secret | None]:
    """The key for the dialect to send, or a token that goes as Bearer."""
    if api_key is not None:
        return Secret(api_key), None
    found = environment.first(service.key_env)
    if found is not None:
        return _check_secret(*found), None
    found = environment.first(service.bearer_env)
    return None, None if found is None else _check_secret(*found)


def _check_secret(source: str, secret: Secret) -> Secret:
    check_text(source, secret)
    check_header(source, secret)
    return secret


def _env_headers(service: Service, environment: _Environment) -> dict[str, str]:
    headers: dict[str, str] = {}
    for variable, header in service.header_env.items():
        found = environment.first((variable,))
        if found is not None:
            headers[header] = _check_secret(*found)
    return headers


def _dialect(service: Service, api: str | None) -> Callable[[Endpoint], Provider[Any]]:
    name = service.default_api if api is None else api
    path = service.dialects.get(name)
    if path is None:
        raise ConfigurationError(
            f"{service.name} has no api {_shown(name)}; it has {', '.join(service.dialects)}"
        )
    try:
        module, _, attribute = path.partition(":")
        dialect: Callable[[Endpoint], Provider[Any]] = getattr(import_module(module), attribute)
    except Exception as error:  # the module may be anybody's
        raise ConfigurationError(
            f"the dialect {path!r} of {service.name} cannot be imported: {error!r}"
        ) from error
    return dialect


def _shown(text: str) -> str:
    return repr(str(text)[:80])
