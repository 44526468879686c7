"""TLS with a private authority; an http proxy in the clear and through a tunnel."""

from __future__ import annotations

import ssl
import time
from datetime import datetime

import pytest
import requests
import trustme

import streamkit
from streamkit.errors import ConfigurationError, ConnectError, StreamTimeout
from streamkit.testing import FAULTS, BeforeHeaders, Fin, Gate, Hang, OnAccept, Raw, Text

MODES = ("direct", "buffered", "managed")


@pytest.fixture(params=["tls", "proxy", "tunnel"])
def way(request, ask, serve, tls, trusted, monkeypatch, proxy):
    """``way(script)``: a provider reached over TLS, through a proxy, or through a tunnel."""
    if request.param == "proxy":
        ask.allow_http = True
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
    elif request.param == "tunnel":
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)

    def start(script):
        provider = serve(script, tls=None if request.param == "proxy" else tls)
        provider.proxy_heads = proxy.seen
        return provider

    return start


@pytest.mark.parametrize("mode", MODES)
def test_each_event_is_seen_before_the_next_is_sent(ask, way, mode):
    provider = way([Text("one"), Gate(), Text(" two")])
    pieces = iter(ask(provider, mode))
    assert next(pieces) == "one"
    provider.wait_gate()
    provider.release()
    assert list(pieces) == [" two"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("clock", ["first", "wire"])
def test_clocks_run(ask, way, clock, mode):
    provider = way([BeforeHeaders([Hang()])] if clock == "first" else [Text("one"), Hang()])
    start = time.monotonic()
    _, error = ask.fail(provider, mode, timeout={clock: 0.2})
    assert isinstance(error, StreamTimeout) and error.clock == clock
    assert 0.2 <= time.monotonic() - start < 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("phase", ["headers", "body"])
def test_cancel_wakes(ask, way, run_in_thread, phase, mode):
    provider = way([BeforeHeaders([Gate()])] if phase == "headers" else [Text("one"), Gate()])
    stream = ask(provider, mode)
    task = run_in_thread(lambda: list(stream))
    provider.wait_gate()
    start = time.monotonic()
    stream.cancel()
    task.result()
    assert time.monotonic() - start < 0.5
    assert stream.outcome == "cancelled"
    assert provider.wait_disconnect() is not None


def test_connections_are_kept(ask, way):
    provider = way([Text("Hi")])
    for _ in range(3):
        assert list(ask(provider)) == ["Hi"]
    assert provider.connections == 1


def test_the_tunnel_shows_the_proxy_neither_key_nor_prompt(
    ask, serve, tls, trusted, proxy, monkeypatch
):
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    provider = serve([Text("Hi")], tls=tls)
    assert list(ask(provider)) == ["Hi"]
    (head,) = proxy.seen
    assert head.startswith(b"CONNECT 127.0.0.1:%d " % provider.port)
    assert ask.key.encode() not in head


def test_no_proxy_goes_past_the_proxy(ask, serve, proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert list(ask(serve([Text("Hi")]))) == ["Hi"]
    assert proxy.seen == []


def test_a_proxy_that_refuses_the_tunnel(ask, serve, tls, trusted, proxy, monkeypatch):
    proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//user:hunter2@"))
    provider = serve([Text("Hi")], tls=tls)
    _, error = ask.fail(provider)
    assert isinstance(error, ConnectError) and error.kind == "proxy"
    assert str(error) == (
        f"cannot reach 127.0.0.1:{provider.port} through the proxy: "
        "Tunnel connection failed: 407 Proxy Authentication Required"
    )


def test_a_proxy_that_is_not_there(ask, serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    _, error = ask.fail(serve([Text("Hi")]), allow_http=True)
    assert isinstance(error, ConnectError) and error.kind == "proxy" and error.retryable
    assert "through the proxy: Connection refused" in str(error)


def test_a_proxy_whose_name_nobody_knows(ask, serve, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://no-such-proxy.invalid:3128")
    _, error = ask.fail(serve([Text("Hi")]), allow_http=True)
    assert isinstance(error, ConnectError) and error.kind == "proxy"


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1", "http://user:hunter2@:x"])
def test_a_proxy_address_that_is_none(ask, serve, monkeypatch, url):
    monkeypatch.setenv("HTTP_PROXY", url)
    _, error = ask.fail(serve([Text("Hi")]), allow_http=True)
    assert isinstance(error, ConfigurationError)
    assert "hunter2" not in str(error)


def test_connect_ends_a_proxy_that_says_nothing(ask, serve, tls, trusted, proxy, monkeypatch):
    proxy.silent = True
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    start = time.monotonic()
    _, error = ask.fail(serve([Text("Hi")], tls=tls), timeout={"connect": 0.2})
    assert isinstance(error, StreamTimeout) and error.clock == "connect"
    assert 0.2 <= time.monotonic() - start < 3


@pytest.mark.parametrize("mode", MODES)
def test_cancel_wakes_the_wait_for_the_tunnel(
    ask, serve, tls, trusted, proxy, monkeypatch, run_in_thread, mode, eventually
):
    proxy.silent = True
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    stream = ask(serve([Text("Hi")], tls=tls), mode)
    task = run_in_thread(lambda: list(stream))
    eventually(lambda: proxy.seen)
    stream.cancel()
    assert task.result(2) == []


@pytest.mark.parametrize("mode", MODES)
def test_an_authority_nobody_trusts(ask, serve, tls, mode):
    provider = serve([Text("Hi")], tls=tls)
    _, error = ask.fail(provider, mode, retry={"initial": 0.0})
    assert isinstance(error, ConnectError) and error.kind == "tls" and not error.retryable
    assert error.stage == "connect"
    assert str(error) == (
        f"cannot verify the certificate of 127.0.0.1:{provider.port}: "
        f"{error.__cause__.verify_message}; to trust a private authority, "
        "point REQUESTS_CA_BUNDLE at its certificate"
    )
    assert "verify=False" not in str(error)
    assert provider.connections == 1, "a wrong certificate is tried once"


def test_a_certificate_for_another_host(ask, serve, authority, trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.invalid").configure_cert(context)
    _, error = ask.fail(serve([Text("Hi")], tls=context))
    assert isinstance(error, ConnectError) and error.kind == "tls"
    assert "127.0.0.1" in str(error)


def test_a_certificate_that_has_expired(ask, serve, authority, trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begun, ended = datetime(2020, 1, 1), datetime(2020, 2, 1)
    expired = authority.issue_cert("127.0.0.1", not_before=begun, not_after=ended)
    expired.configure_cert(context)
    provider = serve([Text("Hi")], tls=context)
    _, error = ask.fail(provider, retry={"initial": 0.0})
    assert isinstance(error, ConnectError) and error.kind == "tls" and not error.retryable
    assert "expired" in str(error)
    assert provider.connections == 1


def test_a_plain_port(ask, serve, trusted):
    provider = serve([OnAccept([Raw("HTTP/1.1 400 Bad Request\r\n\r\n"), Fin()])])
    _, error = ask.fail(f"https://127.0.0.1:{provider.port}/v1")
    assert isinstance(error, ConnectError) and error.kind == "tls" and not error.retryable
    assert str(error).startswith(f"no TLS connection to 127.0.0.1:{provider.port}: ")


def test_a_bundle_that_is_not_there(ask, serve, tls, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    _, error = ask.fail(serve([Text("Hi")], tls=tls))
    assert isinstance(error, ConfigurationError) and "/no/such/bundle.pem" in str(error)


def test_a_session_may_bring_its_own_trust(serve, tls, authority, tmp_path):
    bundle = tmp_path / "own.pem"
    authority.cert_pem.write_to_path(bundle)
    with requests.Session() as session:
        session.verify = str(bundle)
        session.trust_env = False
        provider = serve([Text("Hi")], tls=tls)
        stream = streamkit.stream(
            "openai/m", "Hi", base_url=provider.base_url(), api_key="k" * 9, session=session
        )
        assert list(stream) == ["Hi"]


def test_a_handshake_cut_short_is_worth_another_try(ask, serve, tls, trusted):
    provider = serve(FAULTS["accept-close"], tls=tls)
    _, error = ask.fail(provider)
    assert error.retryable and isinstance(error, streamkit.TransportError)


def test_another_authority_is_not_ours(ask, serve, trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    _, error = ask.fail(serve([Text("Hi")], tls=context))
    assert isinstance(error, ConnectError) and error.kind == "tls"
