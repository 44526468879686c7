"""A client, servers with and without TLS, a hole that swallows connections, a proxy."""

from __future__ import annotations

import importlib.util
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

import streamkit
from streamkit.deadline import Clocks, Timeouts
from streamkit.request import Request, Secret
from streamkit.testing import LocalProvider
from streamkit.transport.base import Link

#: The key of every request here; no test may find it anywhere but in the server's log.
KEY = "sk-marker-0123456789abcdef"
MODES = ("direct", "buffered", "managed")


class Asker:
    """What the tests do with a client: ask for a stream, or open an answer below it."""

    key = KEY
    allow_http = False

    def __init__(self) -> None:
        self.client = streamkit.Client(api_key=KEY)

    def __call__(self, where: LocalProvider | str, mode: str = "direct", **keywords: Any) -> Any:
        url = where if isinstance(where, str) else where.base_url("openai")
        keywords.setdefault("retry", None)
        keywords.setdefault("allow_http", self.allow_http)
        return self.client.stream("openai/m", "Hi", base_url=url, mode=mode, **keywords)

    def fail(self, where: LocalProvider | str, mode: str = "direct", **keywords: Any) -> Any:
        """(text, error) of a stream that must not end quietly."""
        stream = self(where, mode, **keywords)
        text = ""
        try:
            for piece in stream:
                text += piece
        except BaseException as error:
            return text, error
        raise AssertionError(f"ended quietly, {stream.outcome}, after {text!r}")

    @staticmethod
    def link(**seconds: float | None) -> Link:
        return Link(Clocks(Timeouts(**seconds)))

    @staticmethod
    def request(url: str, body: bytes = b"") -> Request:
        body = body or json.dumps({"model": "m", "stream": True, "messages": []}).encode()
        headers = {"Authorization": Secret(f"Bearer {KEY}"), "Content-Type": "application/json"}
        return Request(url=f"{url}/chat/completions", headers=headers, body=body)


@pytest.fixture
def ask() -> Iterator[Asker]:
    asker = Asker()
    yield asker
    asker.client.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., LocalProvider]]:
    """``serve(script)``: a LocalProvider that is closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda *args, **kw: stack.enter_context(LocalProvider(*args, **kw))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """The server's side of TLS, for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The authority is trusted, as requests trusts it."""
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    return bundle


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that takes no more connections and refuses none: its backlog is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0.1)
            try:
                filler.connect(listener.getsockname())
            except TimeoutError:
                yield listener.getsockname()[1]
                return
        pytest.fail("the kernel accepts without end")


@pytest.fixture
def proxy() -> Iterator[Any]:
    """A forward proxy on loopback; see proxy.py."""
    path = Path(__file__).with_name("proxy.py")
    spec = importlib.util.spec_from_file_location("streamkit_tests_proxy", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with module.Proxy() as running:
        yield running


@pytest.fixture
def eventually(time_scale: float) -> Callable[[Callable[[], Any]], Any]:
    """Wait for a state that nothing announces; its value, or a failure after 5 s."""

    def wait(state: Callable[[], Any]) -> Any:
        end = time.monotonic() + 5 * time_scale
        while not (value := state()):
            if time.monotonic() > end:
                pytest.fail("the state did not come")
            time.sleep(0.001)
        return value

    return wait
