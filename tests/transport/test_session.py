"""The user's own requests session: used as it is, never changed, never closed."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests
import responses
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth

import streamkit
from streamkit.errors import AuthenticationError, StreamTimeout
from streamkit.testing import (
    FAULTS,
    BeforeHeaders,
    Coding,
    Framing,
    Gate,
    Hang,
    Headers,
    Status,
    Text,
)

MODES = ("direct", "buffered", "managed")
BODY = (
    b'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n'
    b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


@pytest.fixture
def session():
    with requests.Session() as session:
        yield session


def state(session: requests.Session) -> Any:
    adapters = {prefix: id(adapter) for prefix, adapter in session.adapters.items()}
    return (
        dict(session.headers), adapters, list(session.cookies), session.auth, session.verify,
        session.trust_env, {name: list(hooks) for name, hooks in session.hooks.items()},
    )  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_it_is_used_and_neither_changed_nor_closed(ask, serve, session, monkeypatch, mode):
    session.headers["X-Mine"] = "1"
    before = state(session)
    monkeypatch.setattr(session, "close", lambda: pytest.fail("closed"))
    provider = serve([Text("Hi")])
    client = streamkit.Client(session=session, api_key=ask.key)
    for _ in range(3):
        assert ask(provider, mode, session=session).result().text == "Hi"
    client.close()
    assert state(session) == before
    assert all(request.headers["x-mine"] == "1" for request in provider.requests)
    assert provider.connections <= 2
    monkeypatch.undo()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
@pytest.mark.parametrize("coding", [(), (Coding("gzip"),)], ids=["identity", "gzip"])
def test_each_event_is_seen_before_the_next_is_sent(ask, serve, session, mode, framing, coding):
    provider = serve([Framing(framing), Text("one"), Gate(), Text(" two"), *coding])
    pieces = iter(ask(provider, mode, session=session))
    assert next(pieces) == "one"
    provider.wait_gate()
    provider.release()
    assert list(pieces) == [" two"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_cancel_in_the_middle_wakes(ask, serve, session, run_in_thread, tls, trusted, secure, mode):
    provider = serve([Text("one"), Gate()], tls=tls if secure else None)
    for number in range(1, 11):
        stream = ask(provider, mode, session=session)
        flowing = threading.Event()

        def drain(stream=stream, flowing=flowing):
            for _ in stream:
                flowing.set()

        task = run_in_thread(drain)
        assert flowing.wait(5)
        start = time.monotonic()
        stream.cancel()
        task.result()
        assert time.monotonic() - start < 0.5
        assert provider.wait_disconnect(request=provider.requests[number - 1]) is not None


@pytest.mark.parametrize("mode", ["buffered", "managed"])
def test_cancel_before_the_headers_frees_the_caller(ask, serve, session, mode, run_in_thread):
    provider = serve([BeforeHeaders([Gate()])])
    stream = ask(provider, mode, session=session, timeout=1)
    task = run_in_thread(lambda: list(stream))
    provider.wait_gate()
    start = time.monotonic()
    stream.cancel()
    assert task.result() == []
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("clock", "script"),
    [
        ("first", [BeforeHeaders([Hang()])]),
        ("first", [Hang()]),
        ("wire", [Text("one"), Hang()]),
        ("content", FAULTS["stall-keepalive"]),
        ("total", FAULTS["infinite-slow"]),
    ],
)
def test_clocks_run(ask, serve, session, clock, script, mode):
    start = time.monotonic()
    _, error = ask.fail(serve(script), mode, session=session, timeout={clock: 0.2})
    assert isinstance(error, StreamTimeout) and error.clock == clock
    assert 0.2 <= time.monotonic() - start < 3


def test_connect_ends_a_connection_nobody_takes(ask, black_hole, session):
    url = f"http://127.0.0.1:{black_hole}/v1"
    _, error = ask.fail(url, session=session, timeout={"connect": 0.2})
    assert isinstance(error, StreamTimeout) and error.clock == "connect"


def test_the_connect_clock_ends_with_the_connection(ask, serve, session):
    """A slow answer over a session whose connections we cannot see is no slow connect."""
    provider = serve([BeforeHeaders([Gate()]), Text("one"), Gate(), Text(" two")])
    stream = ask(provider, "buffered", session=session, timeout={"connect": 0.1}).start()
    for _ in range(2):
        provider.wait_gate()
        time.sleep(0.2)  # longer than the clock; nothing announces that time has passed
        provider.release()
    assert stream.wait(5).text == "one two"


def test_its_authentication_is_honoured(ask, serve, session):
    session.auth = ("user", "word")
    provider = serve([Text("Hi")])
    list(ask(provider, session=session))
    assert provider.requests[0].headers["authorization"].startswith("Basic ")


def test_digest_authentication_may_ask_twice(ask, serve, session):
    session.auth = HTTPDigestAuth("user", "word")
    challenge = {"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    provider = serve(scripts=[[Status(401, headers=challenge)], [Text("Hi")]])
    assert list(ask(provider, session=session)) == ["Hi"]
    assert provider.requests[1].headers["authorization"].startswith("Digest ")


def test_its_cookies_are_sent(ask, serve, session):
    session.cookies.set("mine", "1")
    provider = serve([Text("Hi")])
    list(ask(provider, session=session))
    assert provider.requests[0].headers["cookie"] == "mine=1"


def test_its_hooks_run(ask, serve, session):
    seen = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    assert list(ask(serve([Text("Hi")]), session=session)) == ["Hi"]
    assert seen == [200]
    assert len(session.hooks["response"]) == 1


def test_a_hook_that_raises_for_the_status_does_not_hide_what_the_service_says(ask, serve, session):
    session.hooks["response"].append(lambda response, **_: response.raise_for_status())
    _, error = ask.fail(serve([Status(401, message="no such key")]), session=session)
    assert isinstance(error, AuthenticationError) and "no such key" in str(error)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [RuntimeError, ValueError, FileNotFoundError, TimeoutError])
def test_an_exception_of_a_hook_arrives_unchanged(ask, serve, session, mode, kind):
    mine = kind("mine")

    def hook(response: requests.Response, **_: Any) -> None:
        raise mine

    session.hooks["response"].append(hook)
    provider = serve([Text("Hi")])
    _, error = ask.fail(provider, mode, session=session)
    assert error is mine
    mine.__traceback__ = None
    assert provider.wait_disconnect() is not None


@pytest.mark.parametrize("status", [302, 307])
def test_no_redirect_is_followed(ask, serve, session, status):
    other = serve([Text("stolen")])
    provider = serve([Status(status, b"", headers={"location": other.base_url()})])
    _, error = ask.fail(provider, session=session)
    assert isinstance(error, streamkit.TransportError)
    assert other.connections == 0


def test_a_redirect_bomb_is_not_read(ask, serve, session):
    provider = serve(FAULTS["redirect-bomb"])
    ask.fail(provider, session=session)
    assert provider.wait_disconnect() is not None
    assert provider.requests[0].sent < 100 * 1024


def test_netrc_never_replaces_the_key(ask, serve, session, tmp_path, monkeypatch):
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login intruder password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    provider = serve([Text("Hi")])
    list(ask(provider, session=session))
    assert provider.requests[0].headers["authorization"] == f"Bearer {ask.key}"


def test_a_pool_that_blocks_when_it_is_empty_gets_every_connection_back(ask, serve, session):
    session.mount("http://", HTTPAdapter(pool_maxsize=1, pool_block=True))
    scripts = [[Text("Hi")], FAULTS["rst-after"], [Status(401)], FAULTS["done-then-hang"]]
    provider = serve(scripts=[*scripts, [Text("Hi")]])
    for _ in scripts:
        try:
            list(ask(provider, session=session, timeout=2))
        except streamkit.StreamkitError:
            pass
    assert list(ask(provider, session=session, timeout=2)) == ["Hi"]


def test_an_error_body_that_hangs_does_not_hide_the_status(ask, serve, session):
    session.hooks["response"].append(lambda response, **_: response.raise_for_status())
    start = time.monotonic()
    _, error = ask.fail(serve(FAULTS["error-body-hang"]), session=session)
    assert error.status == 500 and time.monotonic() - start < 5


def test_a_bundle_that_is_not_there(ask, serve, session, tls):
    session.verify = "/no/such/bundle.pem"
    session.trust_env = False  # the environment would win
    _, error = ask.fail(serve([Text("Hi")], tls=tls), session=session)
    assert isinstance(error, streamkit.ConfigurationError)


@pytest.mark.parametrize("mode", MODES)
def test_a_mocked_session_works(session, mode):
    with responses.RequestsMock() as mock:
        mock.post("https://mock.invalid/v1/chat/completions", body=BODY)
        stream = streamkit.stream(
            "openai/m", "Hi", base_url="https://mock.invalid/v1", api_key="k" * 9, session=session,
            mode=mode,
        )  # fmt: skip
        assert list(stream) == ["Hi"]
        assert stream.result().finish_reason == "stop"


def test_a_mock_works_without_a_session_too(ask):
    with responses.RequestsMock() as mock:
        mock.post("https://mock.invalid/v1/chat/completions", body=BODY)
        assert list(ask("https://mock.invalid/v1")) == ["Hi"]


def test_a_mocked_error_status_is_the_error(session, ask):
    with responses.RequestsMock() as mock:
        mock.post(
            "https://mock.invalid/v1/chat/completions",
            status=401,
            json={"error": {"message": "no such key"}},
        )
        _, error = ask.fail("https://mock.invalid/v1", session=session)
    assert isinstance(error, AuthenticationError) and "no such key" in str(error)


def test_a_mocked_connection_error_is_ours(session, ask):
    with responses.RequestsMock() as mock:
        mock.post(
            "https://mock.invalid/v1/chat/completions", body=requests.ConnectionError("mocked")
        )
        _, error = ask.fail("https://mock.invalid/v1", session=session)
    assert isinstance(error, streamkit.StreamInterrupted) and "mocked" in str(error)


def test_what_is_no_session_is_refused():
    with pytest.raises(streamkit.ConfigurationError, match=r"session must be a requests\.Session"):
        streamkit.Client(session=object())  # type: ignore[arg-type]


def test_headers_given_by_the_session_do_not_ask_for_compression(ask, serve, session):
    provider = serve([Headers(), Text("Hi")])
    list(ask(provider, session=session))
    assert provider.requests[0].headers["accept-encoding"] == "identity"
