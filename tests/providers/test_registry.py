"""How a model string becomes a service, an endpoint and a dialect."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from streamkit.errors import ConfigurationError, UnknownProvider
from streamkit.providers import registry
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.ollama import OllamaChat
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.registry import BUILTIN, Service, Target, register, resolve

KEYS = {"OPENAI_API_KEY": "sk-openai", "ANTHROPIC_API_KEY": "sk-ant", "OLLAMA_API_KEY": "sk-oll"}
LOCAL = "http://localhost:8000/v1"
OWN = Service(
    name="own",
    dialects={"chat": "streamkit.providers.openai:OpenAIChat"},
    default_api="chat",
    base_url="https://own.example/v1",
    key_env=("OWN_KEY", "OWN_OLD_KEY"),
)


@pytest.fixture(autouse=True)
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins with the built-in table and no plugin."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "entry_points", lambda group: ())
    registry._plugins.cache_clear()
    yield
    registry._plugins.cache_clear()


def found(model: str, *, env: dict[str, str] | None = None, **keywords: Any) -> Target:
    return resolve(model, env=KEYS if env is None else env, **keywords)


def place(target: Target) -> tuple[str, str, str]:
    return target.endpoint.provider, target.model, target.endpoint.base_url


# Which provider.


@pytest.mark.parametrize(
    ("model", "keywords", "expected"),
    [
        ("openai/gpt-4o", {}, ("openai", "gpt-4o", "https://api.openai.com/v1")),
        ("anthropic/claude", {}, ("anthropic", "claude", "https://api.anthropic.com")),
        ("ollama/llama3:8b", {}, ("ollama", "llama3:8b", "http://127.0.0.1:11434")),
        ("ollama/hf.co/a/b", {}, ("ollama", "hf.co/a/b", "http://127.0.0.1:11434")),
        ("gpt-4o", {"provider": "openai"}, ("openai", "gpt-4o", "https://api.openai.com/v1")),
        ("openai/x", {"provider": "openai"}, ("openai", "openai/x", "https://api.openai.com/v1")),
        ("openai/gpt-oss", {"base_url": LOCAL}, ("openai", "gpt-oss", LOCAL)),
        ("meta/llama", {"base_url": LOCAL}, ("openai-compatible", "meta/llama", LOCAL)),
        ("llama", {"base_url": LOCAL + "/"}, ("openai-compatible", "llama", LOCAL)),
        ("/x", {"base_url": LOCAL}, ("openai-compatible", "/x", LOCAL)),
        # As a store remembers it, which carries on by that name.
        (
            "x",
            {"base_url": LOCAL, "provider": "openai-compatible"},
            ("openai-compatible", "x", LOCAL),
        ),
    ],
)
def test_the_provider_is_named_or_stands_before_the_slash_or_is_guessed(
    model: str, keywords: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert place(found(model, **keywords)) == expected


@pytest.mark.parametrize(
    ("model", "keywords", "message"),
    [
        ("opnai/x", {}, "no provider 'opnai': .*did you mean 'openai'.*alibaba, anthropic, azure"),
        ("OpenAI/x", {}, "did you mean 'openai'"),
        ("gpt-4o", {}, "model 'gpt-4o' names no provider: write provider/model"),
        ("x", {"provider": "anthropc"}, "no provider 'anthropc'; did you mean 'anthropic'"),
        ("x", {"provider": "none", "base_url": LOCAL}, "no provider 'none'"),
        ("", {}, "names no provider"),
    ],
)
def test_an_unknown_provider_is_an_error_that_names_the_nearest(
    model: str, keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnknownProvider, match=message):
        found(model, **keywords)


@pytest.mark.parametrize("model", ["openai/", "openai/ x", "openai/x\n", "openai/a\x00b"])
def test_a_model_that_is_no_plain_text_is_refused(model: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^model "):
        found(model)


@pytest.mark.parametrize("keywords", [{}, {"provider": "openai"}])
def test_a_model_must_be_text(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"^model must be text"):
        found(5, **keywords)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "dialect"),
    [("openai/x", OpenAIChat), ("anthropic/x", AnthropicMessages), ("ollama/x", OllamaChat)],
)
def test_the_dialect_is_the_class_for_the_api(model: str, dialect: type) -> None:
    assert found(model).dialect is dialect
    assert found(model, api=found(model).service.default_api).dialect is dialect


def test_an_unknown_api_is_an_error_that_lists_them() -> None:
    with pytest.raises(ConfigurationError, match="openai has no api 'respones'; it has chat"):
        found("openai/x", api="respones")


# Keys.


@pytest.mark.parametrize(
    ("model", "keywords", "expected"),
    [
        ("openai/x", {}, "sk-openai"),
        ("openai/x", {"api_key": "mine"}, "mine"),
        ("openai/x", {"base_url": LOCAL}, "sk-openai"),
        ("x", {"base_url": LOCAL}, None),
        ("x", {"base_url": LOCAL, "api_key": "mine"}, "mine"),
        ("x", {"base_url": LOCAL, "provider": "openai"}, "sk-openai"),
        ("anthropic/x", {}, "sk-ant"),
        ("ollama/x", {}, "sk-oll"),
        ("ollama/x", {"env": {}}, None),
        ("openai/x", {"env": {}, "base_url": LOCAL}, None),
        ("openai/x", {"env": {"OPENAI_BASE_URL": LOCAL}}, None),
        ("openai/x", {"env": {}, "headers": {"Authorization": "Bearer t"}}, None),
    ],
)
def test_which_key_is_sent(model: str, keywords: dict[str, Any], expected: str | None) -> None:
    endpoint = found(model, **keywords).endpoint
    assert endpoint.api_key == expected
    assert expected is None or expected not in repr(endpoint)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("openai/x", "no API key for openai: set OPENAI_API_KEY or pass api_key="),
        (
            "anthropic/x",
            "no API key for anthropic: set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN"
            " or pass api_key=",
        ),
    ],
)
@pytest.mark.parametrize("env", [{}, {"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": ""}])
def test_a_missing_key_names_the_variables(model: str, message: str, env: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        found(model, env=env)
    assert str(caught.value) == message


def test_an_anthropic_token_goes_as_bearer_and_a_key_above_it() -> None:
    token = {"ANTHROPIC_AUTH_TOKEN": "tok-canary"}
    endpoint = found("anthropic/x", env=token).endpoint
    assert endpoint.api_key is None
    assert endpoint.headers == {"Authorization": "Bearer tok-canary"}
    assert "canary" not in repr(endpoint) + repr(endpoint.headers)
    endpoint = found("anthropic/x", env=token | {"ANTHROPIC_API_KEY": "sk-ant"}).endpoint
    assert (endpoint.api_key, endpoint.headers) == ("sk-ant", {})


BAD_KEYS = [
    "",
    " ",
    "canary ",
    " canary",
    "can\nary",
    "can\rary",
    "can\x00ary",
    "canary\x7f",
    "canary\u20ac",
]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_a_key_that_no_header_may_carry_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^(the value of )?api_key ") as caught:
        found("openai/x", api_key=key)
    assert "ary" not in str(caught.value)
    if key:
        with pytest.raises(ConfigurationError, match=r"^the value of OPENAI_API_KEY "):
            found("openai/x", env={"OPENAI_API_KEY": key})


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^api_key must be text, got a bytes"):
        found("openai/x", api_key=b"canary")


@pytest.mark.parametrize(
    ("model", "keywords"),
    [("nobody/x", {}), ("openai/x", {"base_url": "ftp://h"}), ("openai/x", {"api": "none"})],
)
def test_no_frame_of_ours_shows_a_key_in_its_locals(model: str, keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(
            model,
            api_key="".join(["can", "ary-1"]),
            headers={"X-Api-Key": "".join(["can", "ary-2"])},
            env={"OPENAI_API_KEY": "".join(["can", "ary-3"])},
            **keywords,
        )
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "providers" in frame.filename.split("tests")[0]]
    assert ours
    assert "canary" not in "".join(str(frame.locals) for frame in ours)


@pytest.mark.parametrize(
    "keywords",
    [
        {"api_key": b"canary-1234567"},
        {"api_key": ["canary-1234567"]},
        {"api_key": "canary-1234567\n"},
        {"base_url": "http://u:canary-1234567@h/"},
        {"base_url": "http://h/?key=canary-1234567"},
        {"base_url": "http://h:canary-1234567"},
        {"base_url": "canary-1234567"},
        {"base_url": b"http://u:canary-1234567@h/"},
        {"headers": ["canary-1234567"]},
        {"env": {"OPENAI_BASE_URL": "http://u:canary-1234567@h/"}},
        {"env": {"OPENAI_API_KEY": "canary-1234567\n"}},
        {"env": {"OLLAMA_HOST": "u:canary-1234567@h"}, "provider": "ollama"},
    ],
    ids=str,
)
def test_no_frame_shows_what_was_refused(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve("m", **{"provider": "openai", "env": {}, **keywords})
    assert "canary" not in str(caught.value)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert shown.__cause__ is None
    ours = list(shown.stack)[1:]
    assert ours
    assert "canary" not in "".join(str(frame.locals) for frame in ours)


@pytest.mark.parametrize("name", ["provider", "api", "base_url", "api_key"])
@pytest.mark.parametrize("value", [[], {}, {1}, 5, b"x"], ids=str)
def test_an_option_that_is_no_text_is_refused_by_its_type(name: str, value: Any) -> None:
    message = f"^{name} must be text, got a {type(value).__name__}$"
    with pytest.raises(ConfigurationError, match=message):
        found("openai/x", **{name: value})


@pytest.mark.parametrize("headers", [0, "", [], False, "X: a"], ids=repr)
def test_headers_that_are_no_mapping_are_refused_even_if_empty(headers: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^headers must be a mapping, got a "):
        found("openai/x", headers=headers)


def test_an_empty_key_is_called_empty() -> None:
    with pytest.raises(ConfigurationError, match=r"^api_key must not be empty$"):
        found("openai/x", api_key="")


# Address and headers.


def test_the_base_url_comes_from_argument_then_environment_then_table() -> None:
    env = KEYS | {"OPENAI_BASE_URL": "https://gateway.example/v1/"}
    assert found("openai/x", env=env).endpoint.base_url == "https://gateway.example/v1"
    assert found("openai/x", env=env, base_url=LOCAL).endpoint.base_url == LOCAL


def test_ollama_host_may_be_short() -> None:
    target = found("ollama/x", env={"OLLAMA_HOST": "box:99"}, allow_http=True)
    assert target.endpoint.base_url == "http://box:99"


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_HOST"])
def test_a_bad_address_in_the_environment_names_its_variable(variable: str) -> None:
    model = {"OPENAI": "openai/x", "ANTHROPIC": "anthropic/x", "OLLAMA": "ollama/x"}
    with pytest.raises(ConfigurationError, match=f"^{variable} "):
        found(model[variable.partition("_")[0]], env=KEYS | {variable: "http://h\x01"})


def test_organisation_and_project_become_headers_below_the_users_own() -> None:
    env = KEYS | {"OPENAI_ORG_ID": "org", "OPENAI_PROJECT_ID": "proj"}
    headers = found("openai/x", env=env, headers={"openai-project": "mine"}).endpoint.headers
    assert headers == {"OpenAI-Organization": "org", "openai-project": "mine"}
    assert found("x", env=env, base_url=LOCAL).endpoint.headers == {}
    with pytest.raises(ConfigurationError, match=r"^the value of OPENAI_ORG_ID "):
        found("openai/x", env=env | {"OPENAI_ORG_ID": "a\nb"})


def test_headers_of_the_user_are_checked() -> None:
    with pytest.raises(ConfigurationError, match=r"^the value of X-A "):
        found("openai/x", headers={"X-A": "a\r\nb"})


# Providers from outside.


def test_a_registered_provider_is_found_and_may_replace_a_built_in_one() -> None:
    register(OWN)
    assert place(found("own/m", env={"OWN_OLD_KEY": "k"})) == ("own", "m", "https://own.example/v1")
    register(dataclasses.replace(OWN, name="openai"))
    assert found("openai/m", env={"OWN_KEY": "k"}).endpoint.base_url == "https://own.example/v1"


@pytest.mark.parametrize("path", ["no_such_module:X", "streamkit.chunk:Nope", ":X", "", 5])
def test_a_dialect_that_cannot_be_imported_is_named(path: Any) -> None:
    register(dataclasses.replace(OWN, dialects={"chat": path}))
    with pytest.raises(ConfigurationError, match=f"the dialect {path!r} of own cannot be imported"):
        found("own/m", env={"OWN_KEY": "k"})


@pytest.mark.parametrize("service", [5, None, "own", {}])
def test_only_a_service_can_be_registered(service: Any) -> None:
    with pytest.raises(ConfigurationError, match="a provider must be a Service, got a "):
        register(service)


def test_a_service_without_an_address_or_variables_asks_for_both() -> None:
    register(Service(name="bare", dialects=OWN.dialects, default_api="chat"))
    with pytest.raises(ConfigurationError, match="bare has no address of its own: pass base_url="):
        found("bare/m")
    assert found("bare/m", base_url=LOCAL).endpoint.api_key is None
    register(dataclasses.replace(OWN, key_env=()))
    with pytest.raises(ConfigurationError, match="no API key for own: pass api_key="):
        found("own/m")


class Plugin:
    """Stands in for an importlib.metadata.EntryPoint, and counts how often it is loaded."""

    def __init__(self, name: str, loaded: Any) -> None:
        self.name, self.value, self.loads = name, f"{name}_pkg:service", 0
        self._loaded = loaded

    def load(self) -> Any:
        self.loads += 1
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


def test_a_plugin_is_loaded_once_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = Plugin("own", OWN)
    groups: list[str] = []

    def installed(*, group: str) -> tuple[Plugin, ...]:
        groups.append(group)
        return (plugin,)

    monkeypatch.setattr(registry, "entry_points", installed)
    found("openai/x")
    assert plugin.loads == 0
    for _ in range(3):
        assert found("own/m", env={"OWN_KEY": "k"}).service is OWN
    assert plugin.loads == 1
    assert set(groups) == {"streamkit.providers"}  # what a plugin writes into its metadata


@pytest.mark.parametrize("loaded", [ImportError("no such module"), "not a service"])
def test_a_broken_plugin_is_a_warning_that_names_it(
    monkeypatch: pytest.MonkeyPatch, loaded: Any
) -> None:
    monkeypatch.setattr(registry, "entry_points", lambda group: (Plugin("own", loaded),))
    with (
        pytest.warns(RuntimeWarning, match=r"'own' \(own_pkg:service\)"),
        pytest.raises(UnknownProvider),
    ):
        found("own/m")
    assert found("openai/x").service is BUILTIN["openai"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "a provider's name must"),
        ({"name": "a/b"}, "a provider's name must"),
        ({"name": "a b"}, "a provider's name must"),
        ({"name": 5}, "a provider's name must be text, got a int"),
        ({"dialects": 5}, "default_api must be one of the dialects"),
        ({"default_api": []}, "default_api must be one of the dialects"),
        ({"default_api": "none"}, "default_api must be one of the dialects, got 'none'"),
    ],
)
def test_a_row_of_the_table_is_checked(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        dataclasses.replace(OWN, **change)


@pytest.mark.parametrize("name", BUILTIN)
def test_every_built_in_row_can_be_used(name: str) -> None:
    service = BUILTIN[name]
    assert service.name == name
    for api in service.dialects:
        target = found(f"{name}/m", api=api, base_url=LOCAL, api_key="sk-1234567890")
        dialect = target.dialect(target.endpoint)
        assert dialect.flush() == []
        assert (dialect.finished, dialect.finish_reason, dialect.model) == (False, None, None)
        dialect.decoder(max_event=1000)


# Parameters beside the address.

VERTEX = {
    "GOOGLE_VERTEX_ACCESS_TOKEN": "tok-1234567890",
    "GOOGLE_CLOUD_PROJECT": "p1",
    "GOOGLE_CLOUD_LOCATION": "europe-west4",
}


def test_parameters_come_from_the_environment_and_may_make_the_address() -> None:
    endpoint = found("vertex/m", env=VERTEX).endpoint
    assert endpoint.params == {"project": "p1", "location": "europe-west4"}
    assert endpoint.base_url == (
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p1/locations/europe-west4"
    )
    assert found("vertex/m", env=VERTEX, base_url=LOCAL).endpoint.base_url == LOCAL


@pytest.mark.parametrize(
    ("model", "env", "message"),
    [
        ("vertex/m", {}, "no project: set GOOGLE_CLOUD_PROJECT or pass base_url="),
        ("bedrock/m", {}, "no region: set AWS_REGION or pass base_url="),
        ("bedrock/m", {"AWS_REGION": "evil.example/"}, "region must be letters"),
        ("bedrock/m", {"AWS_DEFAULT_REGION": "a..b"}, "region must be letters"),
        (
            "azure/m",
            {},
            "azure has no address of its own: set AZURE_OPENAI_ENDPOINT or pass base_url=",
        ),
    ],
)
def test_an_address_that_cannot_be_made_is_an_error(
    model: str, env: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        found(model, env=env)


def test_the_version_in_azure_s_url_becomes_a_parameter_above_the_environment() -> None:
    def endpoint(url: str) -> tuple[str, Any]:
        env = {"OPENAI_API_VERSION": "2024-01-01"}
        found_ = found("azure/m", env=env, base_url=url, api_key="sk-1234567890").endpoint
        return found_.base_url, found_.params

    assert endpoint("https://h/") == ("https://h", {"api_version": "2024-01-01"})
    assert endpoint("https://h/?api-version=2025-02-02-preview") == (
        "https://h",
        {"api_version": "2025-02-02-preview"},
    )


@pytest.mark.parametrize("query", ["?api-version=", "?api-version=a&b=c", "?key=x"])
def test_no_other_query_is_taken(query: str) -> None:
    with pytest.raises(ConfigurationError, match="must not have a query"):
        found("openai/m", base_url=f"https://h{query}")
