"""Client.health() and Client.models(): short questions, and every way they can fail."""

from __future__ import annotations

import pickle
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests

from streamkit import (
    AuthenticationError,
    Client,
    ConfigurationError,
    ConnectError,
    Health,
    LimitExceeded,
    ProtocolError,
    Service,
    UnknownProvider,
    register,
)
from streamkit.providers import registry
from streamkit.providers.models import next_page
from streamkit.providers.openai import OpenAIChat
from streamkit.testing import Hang, LocalProvider, OnAccept, RecordedRequest, Reset, Status
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

KEY = "sk-canary-0123456789"
LIST = {"object": "list", "data": [{"id": "gpt-4o"}, {"id": "o3"}, {"id": "gpt-4o"}]}
Serve = Callable[..., LocalProvider]


class NoList(OpenAIChat):
    """A dialect whose service has no list of models."""

    models_path = None


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(provider="openai", api_key=KEY) as client:
        yield client


@pytest.fixture
def listless(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a provider without a list of models."""
    monkeypatch.setattr(registry, "_registered", {})
    service = Service(
        name="listless",
        dialects={"chat": "nowhere:NoList"},
        default_api="chat",
        base_url="https://api.example.com/v1",
    )
    monkeypatch.setattr(registry, "_dialect", lambda service, api: NoList)
    register(service)
    return "listless"


@pytest.fixture
def nobody() -> str:
    """A base URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"http://127.0.0.1:{port}/v1"


# -- health


def test_a_service_that_lists_its_models_is_well(client: Client, local_provider: Serve) -> None:
    server = local_provider(Status(200, LIST))
    health = client.health(base_url=server.base_url())
    assert health == Health(ok=True) and health and health.reason == ""


def test_the_question_is_a_get_with_the_key_and_without_a_body(
    client: Client, local_provider: Serve
) -> None:
    server = local_provider(Status(200, LIST))
    client.health(base_url=server.base_url(), headers={"X-Team": "blue"})
    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("GET", "/v1/models", b"")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["x-team"] == "blue"
    assert {"content-length", "content-type", "transfer-encoding"}.isdisjoint(request.headers)


def test_each_dialect_sends_the_key_in_its_own_way(local_provider: Serve) -> None:
    server = local_provider(Status(200, LIST))
    with Client(api_key=KEY) as client:
        assert client.health("anthropic", base_url=server.base_url("anthropic"))
        assert client.health("ollama", base_url=server.base_url("ollama"))
    ours, theirs = server.requests
    assert ours.headers["x-api-key"] == KEY and ours.path.startswith("/v1/models")
    assert theirs.path == "/api/tags"


def test_questions_share_one_connection_with_each_other(
    client: Client, local_provider: Serve
) -> None:
    server = local_provider(Status(200, LIST))
    for _ in range(3):
        assert client.health(base_url=server.base_url())
    assert len(client.models(base_url=server.base_url())) == 2
    assert server.connections == 1


PAGE = "<!DOCTYPE html><title>Log in</title>"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Status(401, {"error": {"message": "bad key"}}), "openai answered 401: bad key"),
        (Status(403, {"error": {"message": "no access"}}), "openai answered 403: no access"),
        (Status(404, {"error": "nothing here"}), "; is base_url right?"),
        (Status(429, {"error": "slow down"}), "openai answered 429: slow down"),
        (Status(500, "oops"), "openai answered 500"),
        (Status(503, PAGE), "openai answered 503: Service Unavailable"),
        (Status(200, PAGE), "openai answered with a web page; is base_url right?"),
        (Status(302, "", headers={"Location": "https://login.example.com/?next=x"}),
         "openai answered 302, a redirect to 'login.example.com'"),
        (Status(200, "hello"), "the list of models is no JSON"),
        (Status(200, ""), "the list of models is no JSON"),
        (Status(200, {"data": "none"}), "the list of models is no list"),
        ([OnAccept([Reset()])], "broke the connection before the answer"),
    ],
)  # fmt: skip
def test_whatever_the_service_does_wrong_is_a_reason(
    answer: Any, reason: str, client: Client, local_provider: Serve
) -> None:
    health = client.health(base_url=local_provider(answer).base_url())
    assert not health.ok and not health
    assert reason in health.reason


def test_no_connection_is_a_reason(client: Client, nobody: str) -> None:
    assert "refused the connection" in client.health(base_url=nobody).reason


def test_a_name_that_nobody_knows_is_a_reason(client: Client) -> None:
    health = client.health(base_url="https://no-such-host.invalid/v1")
    assert "cannot look up no-such-host.invalid" in health.reason


def test_a_certificate_nobody_signed_is_a_reason(
    client: Client, local_provider: Serve, own_certificate: ssl.SSLContext
) -> None:
    server = local_provider(Status(200, LIST), tls=own_certificate)
    assert "cannot verify the certificate" in client.health(base_url=server.base_url()).reason


def test_silence_is_a_reason_after_the_timeout(client: Client, local_provider: Serve) -> None:
    server = local_provider([Hang()])
    health = client.health(base_url=server.base_url(), timeout=0.05)
    assert "within 0.05 s" in health.reason


def test_what_is_not_set_up_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION", "AZURE_OPENAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    with Client() as client:
        assert client.health("openai").reason.startswith(
            "no API key for openai: set OPENAI_API_KEY"
        )
        assert client.health("azure", api_key=KEY).reason.startswith("azure has no address")
        assert client.health("vertex", api_key=KEY).reason.startswith(
            "no project: set GOOGLE_CLOUD"
        )


def test_a_key_that_the_server_echoes_is_not_shown(client: Client, local_provider: Serve) -> None:
    for status in (401, 200):
        server = local_provider(Status(status, {"error": {"message": f"bad key {KEY}"}, "m": KEY}))
        assert KEY not in client.health(base_url=server.base_url()).reason
    with pytest.raises(AuthenticationError) as caught:
        client.models(base_url=local_provider(Status(401, f"bad key {KEY}")).base_url())
    assert KEY not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize(("status", "ok"), [(200, True), (401, True), (404, True), (500, False)])
def test_without_a_list_any_answer_will_do_and_no_key_is_sent(
    status: int, ok: bool, listless: str, local_provider: Serve
) -> None:
    server = local_provider(Status(status, "{}"))
    with Client(api_key=KEY, base_url=server.base_url()) as client:
        assert client.health(listless).ok is ok
        with pytest.raises(ConfigurationError, match="listless has no list of models"):
            client.models(listless)
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/v1")
    assert KEY not in str(dict(request.headers))


def test_health_is_a_value() -> None:
    health = Health(ok=False, reason="no API key for openai")
    assert pickle.loads(pickle.dumps(health)) == health
    assert "no API key" in repr(health)


# -- whom it asks


def test_a_model_names_its_provider_too(client: Client, local_provider: Serve) -> None:
    server = local_provider(Status(200, LIST))
    assert client.health("openai/gpt-4o", base_url=server.base_url())


def test_a_url_alone_is_a_compatible_service(local_provider: Serve) -> None:
    server = local_provider(Status(200, LIST))
    with Client(base_url=server.base_url()) as client:
        assert client.health() and client.models() == ["gpt-4o", "o3"]


def test_another_provider_gets_nothing_that_was_meant_for_the_clients(
    local_provider: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = local_provider(Status(200, LIST)), local_provider(Status(200, LIST))
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{theirs.port}")
    where: Any = {"base_url": mine.base_url(), "headers": {"X-Team": "blue"}}
    with Client(provider="openai", api_key=KEY, **where) as client:
        assert client.health("ollama")
    (request,) = theirs.requests
    assert mine.requests == []
    assert KEY not in str(dict(request.headers)) and "x-team" not in request.headers


@pytest.mark.parametrize("ask", ["health", "models"])
def test_nonsense_is_an_exception(ask: str, client: Client) -> None:
    def said(*given: Any, **keywords: Any) -> str:
        with pytest.raises(ConfigurationError) as caught:
            getattr(client, ask)(*given, **keywords)
        return str(caught.value)

    with pytest.raises(UnknownProvider, match="did you mean 'openai'"):
        getattr(client, ask)("opnai")
    assert said(model="gpt-4o").startswith(f"{ask}() has no keyword 'model'")
    assert "timeout connect must be positive seconds" in said(timeout=0)
    assert "api_key must be text" in said(api_key=7)
    assert "openai has no api 'nope'" in said(api="nope")
    with Client() as unbound, pytest.raises(ConfigurationError, match="must be told which"):
        getattr(unbound, ask)()


@pytest.mark.parametrize("ask", ["health", "models"])
def test_a_closed_client_asks_nobody(ask: str, local_provider: Serve) -> None:
    server = local_provider(Status(200, LIST))
    client = Client(provider="openai", api_key=KEY, base_url=server.base_url())
    client.close()
    with pytest.raises(ConfigurationError, match="the client is closed"):
        getattr(client, ask)()
    assert server.requests == []


def test_a_session_of_the_users_is_asked_through(client: Client, local_provider: Serve) -> None:
    server = local_provider(Status(200, LIST))
    with requests.Session() as session:
        session.headers["X-Mine"] = "yes"
        assert client.health(base_url=server.base_url(), session=session)
    assert server.requests[0].headers["x-mine"] == "yes"


# -- models


def test_models_are_in_the_services_order_and_named_once(
    client: Client, local_provider: Serve
) -> None:
    server = local_provider(Status(200, LIST))
    assert client.models(base_url=server.base_url()) == ["gpt-4o", "o3"]


def test_models_raise_as_streams_do(client: Client, local_provider: Serve, nobody: str) -> None:
    answer = Status(401, {"error": {"message": "no"}}, headers={"x-request-id": "req_7"})
    with pytest.raises(AuthenticationError) as caught:
        client.models(base_url=local_provider(answer).base_url())
    assert (caught.value.status, caught.value.request_id) == (401, "req_7")
    assert caught.value.provider == "openai"
    with pytest.raises(ConnectError) as refused:
        client.models(base_url=nobody)
    assert refused.value.provider == "openai"
    with pytest.raises(ProtocolError, match="a web page"):
        client.models(base_url=local_provider(Status(200, PAGE)).base_url())
    with Client() as keyless, pytest.raises(ConfigurationError, match="no API key for openai"):
        keyless.models("openai")


def test_a_list_without_end_is_cut(
    client: Client, local_provider: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamkit.pipeline.probe.Limits", lambda: _Small())
    server = local_provider(Status(200, LIST))
    with pytest.raises(LimitExceeded, match="the list of models is over 10 bytes"):
        client.models(base_url=server.base_url())


class _Small:
    event = error_body = 10


def pages(*bodies: Mapping[str, Any]) -> Callable[[RecordedRequest], Status]:
    """The answer to each request in turn; the last repeats."""
    return lambda request: Status(200, bodies[min(request.number, len(bodies)) - 1])


@pytest.mark.parametrize(
    ("first", "query"),
    [
        ({"data": [{"id": "a"}], "has_more": True, "last_id": "a"}, "after_id=a"),
        ({"models": [{"name": "models/a"}], "nextPageToken": "t/=&"}, "pageToken=t%2F%3D%26"),
        ({"models": [{"name": "a"}], "next_page_token": "t"}, "page_token=t"),
    ],
)
def test_all_pages_are_asked_for(
    first: Any, query: str, client: Client, local_provider: Serve
) -> None:
    server = local_provider(pages(first, {"data": [{"id": "b"}], "has_more": False}))
    assert client.models(base_url=server.base_url()) == ["a", "b"]
    assert [request.path for request in server.requests] == ["/v1/models", f"/v1/models?{query}"]


def test_a_list_that_never_ends_is_asked_for_so_often(
    client: Client, local_provider: Serve
) -> None:
    same = local_provider(pages({"data": [{"id": "a"}], "nextPageToken": "t"}))
    assert client.models(base_url=same.base_url()) == ["a"]
    assert len(same.requests) == 2

    def forever(request: RecordedRequest) -> Status:
        body = {"data": [{"id": str(request.number)}], "nextPageToken": str(request.number)}
        return Status(200, body)

    endless = local_provider(forever)
    assert len(client.models(base_url=endless.base_url())) == len(endless.requests) == 20


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"nonsense", b"{}", b'{"nextPageToken": ""}', b'{"nextPageToken": 7}',
        b'{"last_id": "a"}', b'{"last_id": "a", "has_more": false}',
        b'{"nextPageToken": "t", "has_more": false}',
    ],
)  # fmt: skip
def test_a_list_without_a_next_page_is_the_last(body: bytes) -> None:
    assert next_page("https://example.com/models", body) is None


def test_a_cursor_cannot_name_another_address() -> None:
    found = next_page("https://example.com/m?limit=9", b'{"nextPageToken": "x#@evil/?&\\ud800"}')
    assert found is not None
    assert found.startswith("https://example.com/m?limit=9&pageToken=x%23%40evil%2F%3F%26")


# -- beneath


@pytest.fixture(scope="module")
def own_certificate() -> ssl.SSLContext:
    trustme = pytest.importorskip("trustme")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context
