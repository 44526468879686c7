"""The server as its user sees it: scripts, records, waits, and an end without leftovers."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from time import monotonic
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.registry import BUILTIN
from streamkit.testing import (
    Fin,
    Finish,
    Framing,
    Gate,
    Hang,
    LocalProvider,
    OnAccept,
    Pause,
    Raw,
    RecordedRequest,
    Repeat,
    Reset,
    Status,
    Text,
)
from streamkit.testing.script import Step

END = b"\r\n0\r\n\r\n"
FLOOD: list[Step] = [Repeat([Raw(bytes(1 << 16))])]


def leftovers() -> tuple[set[str], int]:
    threads = {t.name for t in threading.enumerate() if t.name.startswith("streamkit-testing")}
    return threads, len(os.listdir("/proc/self/fd"))


# Scripts


def test_the_greeting_is_streamed_by_default(connect: Any, local_provider: Any) -> None:
    client = connect(local_provider())
    client.ask()
    client.read(until=b'"content":"Hello!"')


def test_a_text_is_a_script(connect: Any, local_provider: Any) -> None:
    client = connect(local_provider("good day"))
    client.ask("ollama")
    assert b'"content":" day"' in client.read(until=END)


def test_scripts_are_played_in_turn_and_the_last_repeats(connect: Any, local_provider: Any) -> None:
    client = connect(local_provider(scripts=["one", [Status(500)], "three"]))
    heard = []
    for _ in range(4):
        client.heard.clear()
        client.ask(stream=False)
        while b"}" not in client.read(until=b"\r\n\r\n").partition(b"\r\n\r\n")[2]:
            client.heard += client.sock.recv(65536)
        heard.append(bytes(client.heard))
    assert [b'"content":"one"' in heard[0], heard[1][9:12]] == [True, b"500"]
    assert all(b'"content":"three"' in text for text in heard[2:])


def test_one_step_is_a_script(connect: Any, local_provider: Any) -> None:
    client = connect(local_provider(scripts=[Status(418), Text("a")]))
    client.ask()
    assert client.read(until=b"}}").startswith(b"HTTP/1.1 418")


def test_a_script_can_depend_on_the_request(connect: Any, local_provider: Any) -> None:
    def echo(request: RecordedRequest) -> list[Step]:
        return [Text(request.json["messages"][0]["content"]), Finish("length")]

    client = connect(local_provider(echo))
    client.ask(messages=[{"role": "user", "content": "echo me"}])
    heard = client.read(until=END)
    assert b'"content":" me"' in heard and b'"length"' in heard


def test_an_answer_on_accept_counts_as_one_of_the_scripts(
    connect: Any, local_provider: Any
) -> None:
    provider = local_provider(scripts=[[OnAccept([Reset()])], [OnAccept([Pause(0)]), Text("two")]])
    with pytest.raises(ConnectionError):
        connect(provider).sock.recv(1)
    client = connect(provider)
    client.ask()
    client.read(until=END)
    assert [request.method for request in provider.requests] == ["", "POST"]
    assert provider.connections == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LocalProvider("a", scripts=["b"]), "give script or scripts, got both"),
        (lambda: LocalProvider(scripts=[]), "scripts must hold at least one script, got none"),
        (lambda: LocalProvider(host="0.0.0.0"), "host must be a loopback address"),
        (lambda: LocalProvider([Status(500), Text("a")]), "a Status is the whole answer"),
    ],
)
def test_a_bad_option_is_refused_before_anything_listens(make: Any, message: str) -> None:
    before = leftovers()
    with pytest.raises(ConfigurationError, match=message):
        make()
    assert leftovers() == before


# Addresses


def test_base_urls_are_what_each_client_takes(local_provider: Any) -> None:
    provider = local_provider()
    url = f"http://127.0.0.1:{provider.port}"
    assert provider.url == url
    names = ("openai", "anthropic", "ollama")
    assert [provider.base_url(name) for name in names] == [url + "/v1", url, url]
    with pytest.raises(ConfigurationError, match=r"provider must be one of .*, got 'opnai'"):
        provider.base_url("opnai")


def test_every_provider_of_the_library_has_a_base_url(local_provider: Any) -> None:
    provider = local_provider()
    urls = {name: provider.base_url(name) for name in BUILTIN}
    assert all(url.startswith(provider.url) for url in urls.values())
    # Services that speak one format in ways of their own are told apart by their address.
    chats = [urls[name] for name, service in BUILTIN.items() if service.default_api == "chat"]
    assert len(set(chats)) == len(chats)


def test_it_listens_on_ipv6(local_provider: Any) -> None:
    try:
        provider = local_provider("hi", host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert provider.url == f"http://[::1]:{provider.port}"
    with socket.create_connection(("::1", provider.port), timeout=5) as sock:
        sock.sendall(b"GET /api/chat HTTP/1.1\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"


# Records


def test_a_request_is_recorded(connect: Any, local_provider: Any) -> None:
    provider = local_provider("hi there")
    client = connect(provider)
    client.ask(head="X-Key: a\r\nx-key: b", path="/v1/chat/completions?x=1")
    body = client.read(until=END).partition(b"\r\n\r\n")[2]
    assert provider.wait_finished()
    (request,) = provider.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions?x=1")
    assert request.headers["X-KEY"] == "a, b" and "x-Key" in request.headers
    assert request.headers.get("nothing") is None and 1 not in request.headers
    assert request.json == {"model": "m", "stream": True, "messages": []}
    assert (request.connection, request.number) == (1, 1)
    assert request.received <= request.finished <= monotonic()
    assert request.bytes_written == provider.bytes_written == len(client.heard)
    assert 0 < request.sent < len(body)
    assert request.disconnected is None
    assert "X-Key" not in repr(request) and "messages" not in repr(request)


def test_a_connection_is_used_again(local_provider: Any) -> None:
    provider = local_provider("hi")
    client = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)
    for stream in (True, False, True):
        client.request("POST", "/api/chat", json.dumps({"stream": stream}))
        assert client.getresponse().read().endswith(b"}\n")
    assert [request.connection for request in provider.requests] == [1, 1, 1]
    assert (provider.connections, provider.open_connections) == (1, 1)
    client.close()
    assert provider.wait_idle()
    assert all(request.disconnected for request in provider.requests)


def test_a_request_body_may_come_in_chunks_and_late(connect: Any, local_provider: Any) -> None:
    provider = local_provider("hi")
    client = connect(provider)
    client.sock.sendall(
        b"POST /api/chat HTTP/1.1\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    assert client.read(until=b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sock.sendall(b'8;x=1\r\n{"model"\r\n5\r\n:"q"}\r\n0\r\ntrailer: 1\r\n\r\n')
    assert b'{"model":"q"' in client.read(until=END)
    assert provider.requests[0].body == b'{"model":"q"}'


@pytest.mark.parametrize(
    "bad",
    [
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"a" * ((1 << 20) + 1),
    ],
)
def test_a_request_that_is_none_ends_the_connection(
    connect: Any, local_provider: Any, bad: bytes
) -> None:
    provider = local_provider()
    client = connect(provider)
    client.sock.sendall(bad)
    assert provider.wait_idle()
    assert provider.requests == []


def test_a_request_without_json_gets_an_answer(connect: Any, local_provider: Any) -> None:
    client = connect(local_provider("hi"))
    client.sock.sendall(b"POST /v1/messages HTTP/1.1\r\ncontent-length: 2\r\n\r\n[]")
    assert b'"text":"hi"' in client.read(until=b"stop_reason")


def test_bytes_of_your_own_are_played_on_any_path(connect: Any, local_provider: Any) -> None:
    client = connect(local_provider([Raw("my format", cuts=(2,))]))
    client.ask(path="/v1beta/models/x:generate")
    heard = client.read(until=END)
    assert b"application/octet-stream" in heard
    assert heard.endswith(b"\r\n\r\n2\r\nmy\r\n7\r\n format" + END)


# Gates and waits


def test_a_gate_holds_the_answer_until_it_is_released(connect: Any, local_provider: Any) -> None:
    provider = local_provider([Text("one"), Gate(), Text("two"), Gate(), Text("three")])
    client = connect(provider)
    client.ask()
    provider.wait_gate()
    assert b"one" in client.read(until=b"one") and b"two" not in client.heard
    provider.release()
    client.read(until=b"two")
    provider.release()
    assert b"three" in client.read(until=END)


def test_a_release_ahead_of_time_lets_the_next_pass(connect: Any, local_provider: Any) -> None:
    provider = local_provider([Gate(), Text("one"), Gate(), Text("two"), Gate()])
    provider.release(2)
    client = connect(provider)
    client.ask()
    client.read(until=b"two")
    provider.wait_gate()


def test_waits_end_in_time(local_provider: Any) -> None:
    provider = local_provider()
    with pytest.raises(TimeoutError, match=r"request 1 did not come within 0.01 s"):
        provider.wait_request(timeout=0.01)
    with pytest.raises(TimeoutError, match=r"no 2 answers came to a gate within 0.01 s"):
        provider.wait_gate(2, timeout=0.01)
    assert provider.wait_disconnect(0.01) is None
    assert provider.wait_finished(0.01) is None


# Disconnects


@pytest.mark.parametrize(
    "script",
    [
        [Hang()],
        [Text("a"), Pause(60)],
        [Gate()],
        [Text("a"), Hang()],
        [OnAccept([Hang()])],
        FLOOD,
        [Repeat([Text("a"), Pause(0.01)])],
        "complete",
    ],
)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_disconnect_is_seen_at_once(
    connect: Any, local_provider: Any, script: Any, how: str
) -> None:
    provider = local_provider(script)
    client = connect(provider)
    client.ask()
    provider.wait_request()
    if script == "complete":
        client.read(until=END)
    if how == "rst":
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    asked = monotonic()
    client.sock.close()
    seen = provider.wait_disconnect(request=provider.requests[0])
    assert seen is not None and seen - asked < 0.2
    assert provider.wait_idle()


def test_a_reader_that_does_not_read_blocks_the_server(connect: Any, local_provider: Any) -> None:
    provider = local_provider([Text("first"), Raw(bytes(64 << 20))])
    client = connect(provider)
    client.ask()
    request = provider.wait_request()
    deadline = monotonic() + 5
    while not request.blocked and monotonic() < deadline:
        client.is_open()
    written = request.bytes_written
    assert 0 < request.blocked == pytest.approx(provider.blocked, abs=1)
    assert request.sent < written < 64 << 20
    while len(client.sock.recv(1 << 20)) and request.bytes_written < 64 << 20:
        pass
    assert request.blocked_since is None or request.bytes_written > written


def test_bytes_a_client_sends_early_are_its_next_request(connect: Any, local_provider: Any) -> None:
    provider = local_provider([Gate(), Text("hi")])
    client = connect(provider)
    client.ask()
    provider.wait_gate()
    client.ask()
    for _ in range(2):  # one by one, or both answers may come in the same read
        provider.release()
        client.read(until=END)
        client.heard.clear()
    assert len(provider.requests) == 2


# The end


STUCK = {
    "accept-hang": [OnAccept([Hang()])],
    "hang": [Text("a"), Hang()],
    "pause": [Pause(60)],
    "gate": [Gate()],
    "flood": FLOOD,
    "linger": [Fin()],
    "close-framing": [Framing("close"), Text("a")],
    "idle": "complete",
}


@pytest.mark.parametrize("name", STUCK)
def test_close_ends_every_connection_whatever_it_waits_for(connect: Any, name: str) -> None:
    before = leftovers()
    provider = LocalProvider(STUCK[name])
    clients = [connect(provider) for _ in range(5)]
    for client in clients[1:]:
        client.ask()
    provider.wait_request(4)
    started = monotonic()
    provider.close()
    assert monotonic() - started < 0.9
    threads, descriptors = leftovers()
    assert (threads, descriptors) == (before[0], before[1] + len(clients))
    assert all(request.disconnected is None for request in provider.requests)
    provider.close()


def test_a_client_is_cut_off_by_close(connect: Any) -> None:
    with LocalProvider([Text("a"), Hang()]) as provider:
        client = connect(provider)
        client.ask()
        client.read(until=b'"a"')
    assert client.sock.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(provider)


def test_close_does_not_wait_for_a_script_that_blocks(connect: Any) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(request: RecordedRequest) -> str:
        entered.set()
        leave.wait(10)
        return "too late"

    provider = LocalProvider(slow)
    client = connect(provider)
    client.ask()
    assert entered.wait(5)
    started = monotonic()
    provider.close()
    assert monotonic() - started < 5
    leave.set()


def test_two_hundred_clients_are_served_at_once(connect: Any, local_provider: Any) -> None:
    provider = local_provider([Gate(), Text("hi")])
    clients = [connect(provider) for _ in range(200)]
    for client in clients:
        client.ask()
    provider.wait_gate(200, timeout=20)
    assert provider.open_connections == 200
    provider.release(200)
    for client in clients:
        client.read(until=END)
    assert len(provider.requests) == 200


def test_an_accept_that_fails_is_tried_again(
    connect: Any, local_provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = local_provider("hi")
    failures = [OSError("too many open files")]

    class Listener:
        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock

        def accept(self) -> Any:
            if failures:
                raise failures.pop()
            return self.sock.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.sock, name)

    monkeypatch.setattr(provider, "_listener", Listener(provider._listener))
    client = connect(provider)
    client.ask()
    client.read(until=END)
    assert failures == []


# TLS


@pytest.fixture
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


def get(provider: LocalProvider, context: ssl.SSLContext) -> tuple[Any, Any]:
    client = http.client.HTTPSConnection("127.0.0.1", provider.port, context=context, timeout=5)
    client.request("POST", "/api/chat", "{}")
    return client, client.getresponse()


def test_it_speaks_tls(local_provider: Any, tls: Any) -> None:
    provider = local_provider("hi", tls=tls[0])
    assert provider.base_url().startswith("https://127.0.0.1:")
    client, response = get(provider, tls[1])
    assert b'"content":"hi"' in response.read()
    client.close()
    assert provider.wait_disconnect()


@pytest.mark.parametrize("script", [[Text("a"), Hang()], FLOOD, [Text("a"), Pause(60)]])
def test_a_disconnect_over_tls_is_seen_at_once(local_provider: Any, tls: Any, script: Any) -> None:
    provider = local_provider(script, tls=tls[0])
    client, response = get(provider, tls[1])
    asked = monotonic()
    response.close()
    client.close()
    assert provider.wait_disconnect() - asked < 0.2


@pytest.mark.parametrize("script", [[Framing("close"), Text("a")], [Text("a"), Fin()], [Hang()]])
def test_close_ends_connections_over_tls(tls: Any, script: Any) -> None:
    before = leftovers()
    with LocalProvider(script, tls=tls[0]) as provider:
        client, response = get(provider, tls[1])
        started = monotonic()
    assert monotonic() - started < 0.9
    response.close()
    client.close()
    assert leftovers() == before


def test_a_body_delimited_by_the_close_ends_with_close_notify(
    local_provider: Any, tls: Any
) -> None:
    provider = local_provider([Framing("close"), Text("a")], tls=tls[0])
    raw = socket.create_connection(("127.0.0.1", provider.port), timeout=5)
    with tls[1].wrap_socket(raw, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as client:
        client.sendall(b"POST /api/chat HTTP/1.1\r\n\r\n")
        while client.recv(65536):
            pass


def test_a_fin_over_tls_comes_without_close_notify(local_provider: Any, tls: Any) -> None:
    provider = local_provider([Text("a"), Fin()], tls=tls[0])
    raw = socket.create_connection(("127.0.0.1", provider.port), timeout=5)
    with tls[1].wrap_socket(raw, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as client:
        client.sendall(b"POST /api/chat HTTP/1.1\r\n\r\n")
        with pytest.raises(ssl.SSLEOFError):
            while client.recv(65536):
                pass


def test_a_client_without_trust_does_no_harm(local_provider: Any, tls: Any) -> None:
    provider = local_provider("hi", tls=tls[0])
    with pytest.raises(ssl.SSLCertVerificationError):
        get(provider, ssl.create_default_context())
    with socket.create_connection(("127.0.0.1", provider.port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert provider.wait_idle()
    assert provider.requests == []


# The plugin


def test_the_fixture_closes_what_it_started(tmp_path: Any) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        "started = []\n"
        "def test_one(local_provider):\n"
        "    started.extend([local_provider(), local_provider(scripts=['a'])])\n"
        "def test_two():\n"
        "    assert all(provider._listener.fileno() == -1 for provider in started)\n"
        "    assert len(started) == 2\n"
    )
    plugin = [] if installed() else ["-p", "streamkit.testing.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, *plugin, str(test)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def installed() -> bool:
    from importlib.metadata import entry_points

    return any(point.name == "streamkit" for point in entry_points(group="pytest11"))


def test_loading_the_plugin_loads_no_server() -> None:
    code = (
        "import sys, streamkit.testing.pytest_plugin\n"
        "sys.exit([n for n in sys.modules if n.startswith('streamkit.testing.p') and"
        " n != 'streamkit.testing.pytest_plugin'] or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=50)


def test_the_names_of_the_package_are_where_they_are_said_to_be() -> None:
    import streamkit.testing

    assert streamkit.testing.LocalProvider is LocalProvider
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        streamkit.testing.nothing  # noqa: B018
