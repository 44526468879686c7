"""What may travel where: proxies (PROMISES.md S7), redirects (S4), certificates (S6)."""

from __future__ import annotations

import ssl
import warnings

import pytest
import requests
import urllib3

import streamkit
from streamkit.errors import ConfigurationError, ConnectError, TransportError
from streamkit.testing import Status, Text

MODES = ("direct", "buffered", "managed")


@pytest.fixture(autouse=True)
def _no_bundle(monkeypatch):
    """Whatever this machine is told to trust."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


# Proxies.


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_no_byte_reaches_a_proxy_in_the_clear(ask, serve, proxy, monkeypatch, variable, mode):
    if variable == "HTTP_PROXY":
        monkeypatch.delenv("REQUEST_METHOD", raising=False)  # CGI, where it is not to be trusted
    monkeypatch.setenv(variable, proxy.url.replace("//", "//user:hunter2@"))
    provider = serve([Text("Hi")])
    text, error = ask.fail(provider, mode, retry=True)
    assert (text, type(error)) == ("", ConfigurationError)
    assert str(error) == (
        f"the request to 127.0.0.1:{provider.port} would go through the proxy in the clear, with "
        "key and prompt: name the host in NO_PROXY, or pass allow_http=True"
    )
    assert (proxy.seen, provider.connections) == ([], 0)


def test_nor_through_a_proxy_of_the_users_session(ask, serve, proxy):
    provider = serve([Text("Hi")])
    with requests.Session() as session:
        session.proxies = {"http": proxy.url}
        _, error = ask.fail(provider, session=session)
        assert isinstance(error, ConfigurationError)
        assert proxy.seen == []
        assert list(ask(provider, session=session, allow_http=True)) == ["Hi"]


def test_nor_does_what_asks_for_models(ask, serve, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    provider = serve([Text("Hi")])
    for ask_models in (ask.client.models, ask.client.health):
        with pytest.raises(ConfigurationError, match="in the clear"):
            ask_models("openai", base_url=provider.base_url())
    assert (proxy.seen, provider.connections) == ([], 0)


def test_allow_http_sends_it_through_the_proxy(ask, serve, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    provider = serve([Text("Hi")])
    with streamkit.Client(api_key=ask.key, allow_http=True) as client:
        assert list(client.stream("openai/m", "Hi", base_url=provider.base_url())) == ["Hi"]
        stream = client.stream("openai/m", "Hi", base_url=provider.base_url(), allow_http=False)
        with pytest.raises(ConfigurationError):
            list(stream)
    assert len(proxy.seen) == 1


@pytest.mark.parametrize(
    ("value", "direct"),
    [
        ("127.0.0.1", True),
        ("example.com, 127.0.0.1", True),
        ("127.0.0.0/8", True),
        ("*", True),
        ("27.0.0.1", False),
        ("127.0.0.10", False),
        ("127.0.0", False),
        ("10.0.0.0/8", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_no_proxy_is_taken_exactly(ask, serve, proxy, monkeypatch, value, direct):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", value)
    provider = serve([Text("Hi")])
    if direct:
        assert list(ask(provider)) == ["Hi"]
    else:
        assert isinstance(ask.fail(provider)[1], ConfigurationError)
    assert proxy.seen == []


# Requests before 2.34 took the end of a name with its port for the name.
EXACT = tuple(map(int, requests.__version__.split(".")[:2])) >= (2, 34)
NEARLY = ["good.example.evil.invalid", "good", *(["ood.example:80"] if EXACT else [])]


@pytest.mark.parametrize("value", NEARLY)
def test_a_name_that_is_only_like_one_in_no_proxy_is_not(ask, proxy, monkeypatch, value):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", value)
    ask.fail("http://good.example:80", allow_http=True)
    assert len(proxy.seen) == 1


# Redirects.


@pytest.mark.parametrize("status", [302, 307])
@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("http://127.0.0.1:{other}/v1/chat/completions", "127.0.0.1:{other}"),
        ("http://localhost:{other}/", "localhost:{other}"),
        ("//127.0.0.1:{other}/", "127.0.0.1:{other}"),
        ("http://me:canary@127.0.0.1:{other}/?key=canary#canary", "127.0.0.1:{other}"),
        ("/v1/chat/completions", "nowhere"),
        ("../elsewhere", "nowhere"),
        ("file:///etc/canary", "nowhere"),
        ("https://127.0.0.1:{other}/", "127.0.0.1:{other}"),
    ],
)
def test_a_redirect_is_named_and_never_followed(ask, serve, location, shown, status):
    other = serve([Text("stolen")])
    there = location.format(other=other.port)
    provider = serve([Status(status, b"", headers={"location": there})])
    _, error = ask.fail(provider, retry=True)
    assert type(error) is TransportError
    assert str(error).startswith(
        f"openai answered {status}, a redirect to {shown.format(other=other.port)!r}; "
    )
    assert "canary" not in str(error)
    assert (len(provider.requests), other.connections) == (1, 0)


# TLS.


def test_ssl_cert_file_names_what_is_trusted(ask, serve, tls, trusted, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    provider = serve([Text("Hi")], tls=tls)
    _, error = ask.fail(provider)
    assert isinstance(error, ConnectError) and error.kind == "tls"
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    assert list(ask(provider)) == ["Hi"]


def test_requests_own_variables_stand_above_it(ask, serve, tls, trusted, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/bundle.pem")
    assert list(ask(serve([Text("Hi")], tls=tls))) == ["Hi"]
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    _, error = ask.fail(serve([Text("Hi")], tls=tls))
    assert isinstance(error, ConfigurationError) and "/no/such/bundle.pem" in str(error)


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_tls_before_1_2_is_refused(ask, serve, authority, trusted, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion[version]
    provider = serve([Text("Hi")], tls=context)
    text, error = ask.fail(provider)
    assert (text, provider.requests) == ("", [])
    assert isinstance(error, ConnectError) and error.kind == "tls"


def test_a_session_that_verifies_nothing_is_warned_of_each_time(serve, tls):
    provider = serve([Text("Hi")], tls=tls)
    with requests.Session() as session:
        session.verify = False
        for _ in range(2):
            with pytest.warns(urllib3.exceptions.InsecureRequestWarning, match="127.0.0.1"):
                stream = streamkit.stream(
                    "openai/m", "Hi", mode="direct", session=session, retry=None,
                    base_url=provider.base_url(), api_key="k" * 9,
                )  # fmt: skip
                assert list(stream) == ["Hi"]


@pytest.mark.parametrize("name", ["verify", "insecure", "ssl_verify", "verify_ssl", "cert"])
def test_no_keyword_of_ours_turns_verification_off(name):
    with pytest.raises(ConfigurationError, match=f"no keyword '{name}'"):
        streamkit.Client(**{name: False})
