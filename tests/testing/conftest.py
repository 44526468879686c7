"""A client that sees every byte, and the fixture under test, whether we are installed or not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from streamkit.testing import LocalProvider
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

PATHS = {
    "openai": "/v1/chat/completions",
    "mistral": "/mistral/v1/chat/completions",
    "perplexity": "/perplexity/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
    "gemini-array": "/v1beta/models/m:streamGenerateContent",
    "cohere": "/v2/chat",
    "ollama": "/api/chat",
    "ollama-generate": "/api/generate",
    "bedrock": "/model/m/converse-stream",
    "bedrock-invoke": "/model/m/invoke-with-response-stream",
}


class RawClient:
    """One TCP connection to a provider."""

    def __init__(self, provider: LocalProvider) -> None:
        self.sock = socket.create_connection(("127.0.0.1", provider.port), timeout=5)
        self.heard = bytearray()

    def ask(self, dialect: str = "openai", *, path: str = "", head: str = "", **body: Any) -> None:
        data = json.dumps({"model": "m", "stream": True, "messages": [], **body}).encode()
        lines = [f"POST {path or PATHS[dialect]} HTTP/1.1", "host: local"]
        lines += [f"content-length: {len(data)}", *([head] if head else [])]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode() + data)

    def read(self, until: bytes | None = None) -> bytearray:
        """Everything up to the end, or to what is looked for; it stays in ``heard``."""
        while until is None or until not in self.heard:
            data = self.sock.recv(65536)
            if not data:
                if until is not None:
                    raise EOFError(bytes(self.heard))
                break
            self.heard += data
        return self.heard

    def is_open(self) -> bool:
        """Whether neither a FIN nor a reset has arrived; takes nothing."""
        self.sock.setblocking(False)
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        finally:
            self.sock.settimeout(5)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closed after the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def connect() -> Iterator[Callable[[LocalProvider], RawClient]]:
    with ExitStack() as stack:

        def start(provider: LocalProvider) -> RawClient:
            client = RawClient(provider)
            stack.callback(client.sock.close)
            return client

        yield start


@pytest.fixture
def exchange(
    connect: Callable[[LocalProvider], RawClient], local_provider: Callable[..., LocalProvider]
) -> Callable[..., tuple[bytes, bytes, str]]:
    """Play a script once: (head, body as framed, "eof" or "reset")."""

    def run(script: Any, dialect: str = "openai", **body: Any) -> tuple[bytes, bytes, str]:
        try:
            client = connect(local_provider(script))
        except ConnectionError:  # a reset on accept can come while connect() still waits
            return b"", b"", "reset"
        ending = "eof"
        try:
            client.ask(dialect, head="connection: close", **body)
            client.read()
        except ConnectionError:
            ending = "reset"
        with suppress(OSError):
            client.sock.shutdown(socket.SHUT_WR)
        head, _, rest = bytes(client.heard).partition(b"\r\n\r\n")
        return head, rest, ending

    return run


def dechunk(data: bytes) -> tuple[bytes, bool]:
    """The body out of its chunks, and whether the last chunk came."""
    body = b""
    while True:
        size, found, rest = data.partition(b"\r\n")
        if not found:
            return body, False
        length = int(size, 16)
        if length == 0:
            return body, True
        body += rest[:length]
        if len(rest) < length + 2:
            return body, False
        data = rest[length + 2 :]


@pytest.fixture
def unframed() -> Callable[[bytes], tuple[bytes, bool]]:
    return dechunk
