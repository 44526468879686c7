"""Where requests may go: 60 base URLs, from every place one can come from (PROMISES.md S5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers import BUILTIN, resolve
from streamkit.providers.registry import _registered, register

ALWAYS = [
    "https://api.openai.com/v1",
    "https://example.com:8443/a/b",
    "https://my_service.internal/v1",
    "https://example.com./v1",
    "https://10.0.0.2/v1",
    "https://[2001:db8::1]/v1",
    "https://xn--bcher-kva.example/v1",
    "https://xn--strae-oqa.example/v1",
    "HTTPS://EXAMPLE.COM/v1",
    "https://localhost/v1",
    "http://localhost:8000/v1",
    "http://LocalHost:8000",
    "http://localhost./v1",
    "http://api.localhost:8000/v1",
    "http://127.0.0.1:11434",
    "http://127.255.255.254/v1",
    "http://[::1]:8080/v1",
    "HTTP://127.0.0.1",
]
WITH_ALLOW_HTTP = [
    "http://example.com/v1",
    "http://gpu:8000/v1",
    "http://10.0.0.2:8000",
    "http://192.168.1.1",
    "http://169.254.169.254/latest",
    "http://128.0.0.1",
    "http://0.0.0.0:11434",
    "http://[::]:11434",
    "http://[::2]",
    "http://[fe80::1]",
    "http://[::ffff:10.0.0.2]",
    "http://localhost.example.com",
    "http://notlocalhost",
    "http://127.0.0.1.example.com",
    "http://localhost-api",
    "http://xn--bcher-kva.example",
]
NEVER = [
    "", "example.com", "//example.com", "ftp://example.com/canary", "file:///canary",
    "unix:///canary", "javascript:canary", "http+unix://canary", "https://", "https:///canary",
    "https://user:canary@example.com", "https://canary@example.com",
    "https://example.com\\@canary", "https://example.com/v1?api_key=canary",
    "https://example.com/v1#canary", "https://example.com:0", "https://example.com:canary",
    "https://example.com/\r\nX-Canary: 1", "https://example.com\x00", "https://example.com/\x7f",
    " https://example.com", "https://b\u00fccher.example", "https://\uff45xample.com",
    "https://2130706433/v1", "https://0x7f000001", "https://127.1", "https://0x7f.1",
    "https://a..b", "https://-a.example", f"https://{'a' * 64}.example",
    "https://xn--canary-.example", "https://xn--99999999999.example", "https://a%2eb",
    "https://a,b", f"https://{'a.' * 127}example",
]  # fmt: skip


def through_argument(url: str, **keywords: Any) -> str:
    return resolve("openai/m", base_url=url, api_key="k", env={}, **keywords).endpoint.base_url


def through_environment(url: str, **keywords: Any) -> str:
    env = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "k"}
    return resolve("openai/m", env=env, **keywords).endpoint.base_url


def through_registration(url: str, **keywords: Any) -> str:
    register(replace(BUILTIN["openai"], name="ours", base_url=url))
    try:
        return resolve("ours/m", api_key="k", env={}, **keywords).endpoint.base_url
    finally:
        del _registered["ours"]


WAYS = {
    "base_url": through_argument,
    "OPENAI_BASE_URL": through_environment,
    "the address of ours": through_registration,
}


def test_there_are_sixty() -> None:
    assert len({*ALWAYS, *WITH_ALLOW_HTTP, *NEVER}) >= 60


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("allow_http", [False, True])
@pytest.mark.parametrize("url", ALWAYS)
def test_https_and_this_machine_are_always_allowed(url: str, allow_http: bool, way: str) -> None:
    assert WAYS[way](url, allow_http=allow_http) == url


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("url", WITH_ALLOW_HTTP)
def test_plain_http_to_another_machine_must_be_asked_for(url: str, way: str) -> None:
    for nothing in ({}, {"allow_http": None}, {"allow_http": False}):
        with pytest.raises(ConfigurationError, match=f"^{way} must .*allow_http=True") as caught:
            WAYS[way](url, **nothing)
        assert url not in str(caught.value)
    assert WAYS[way](url, allow_http=True) == url


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("url", NEVER)
def test_what_is_refused_is_refused_however_it_comes(url: str, way: str) -> None:
    if not url and way != "base_url":
        return  # an empty variable is not set
    with pytest.raises(ConfigurationError, match=f"^{way} must|^{way} has a malformed") as caught:
        WAYS[way](url, allow_http=True)
    assert "canary" not in str(caught.value).lower()


@pytest.mark.parametrize("host", ["gpu", "10.0.0.2:11434", "http://gpu"])
def test_ollama_host_elsewhere_names_the_variable_and_the_keyword(host: str) -> None:
    for provider in ("ollama", "ollama-openai"):
        with pytest.raises(ConfigurationError, match=r"^OLLAMA_HOST must .*allow_http=True"):
            resolve(f"{provider}/m", env={"OLLAMA_HOST": host})
        assert resolve(f"{provider}/m", env={"OLLAMA_HOST": host}, allow_http=True)


def test_a_key_is_asked_for_at_a_registered_address_with_a_slash_at_its_end() -> None:
    register(replace(BUILTIN["openai"], name="ours", base_url="https://example.com/v1/"))
    try:
        with pytest.raises(ConfigurationError, match="no API key for ours"):
            resolve("ours/m", env={})
    finally:
        del _registered["ours"]


@pytest.mark.parametrize("value", ["yes", 1, 0, "False"])
def test_allow_http_is_true_or_false(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^allow_http must be True or False, got a "):
        resolve("openai/m", base_url="http://localhost", env={}, allow_http=value)
