"""Streams from a LocalProvider, through the public API: ``play(script)`` and friends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from streamkit import Client, RetryConfig, Stream
from streamkit.testing import LocalProvider

MODES = ("direct", "buffered", "managed")
THREADED = ("buffered", "managed")

#: Retries without the waiting.
QUICK = RetryConfig(initial=0.001, cap=0.002)


class Stage:
    """Opens streams on LocalProviders; closes all of them when the test ends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.client = stack.enter_context(Client())
        self.server: Any = None
        self.streams: list[Stream] = []

    def serve(self, script: Any = None, *, scripts: Sequence[Any] | None = None) -> LocalProvider:
        """Start a server; the next streams go to it."""
        server: LocalProvider = self._stack.enter_context(LocalProvider(script, scripts=scripts))
        self.server = server
        return server

    def open(self, prompt: Any = "Hi", *, dialect: str = "openai", **keywords: Any) -> Stream:
        """Another stream from the same server."""
        keywords.setdefault("base_url", self.server.base_url(dialect))
        keywords.setdefault("api_key", "sk-test-0123456789")
        keywords.setdefault("retry", None)
        stream = self.client.stream("m", prompt, provider=dialect, **keywords)
        self.streams.append(stream)
        return stream

    def forget(self) -> None:
        """Let go of the streams, so that the test may hold the last reference to one."""
        self.streams.clear()

    def close(self) -> None:
        """Close the streams that are still known."""
        while self.streams:
            self.streams.pop().close()

    def __call__(
        self, script: Any = None, *, scripts: Sequence[Any] | None = None, **keywords: Any
    ) -> Stream:
        """A stream that plays the script; retries are off unless ``retry=`` is given."""
        self.serve(script, scripts=scripts)
        return self.open(**keywords)


@pytest.fixture
def play() -> Iterator[Stage]:
    """``play(script, mode=...)`` -> an unused Stream; ``play.server`` is the LocalProvider."""
    with ExitStack() as stack:
        stage = Stage(stack)
        yield stage
        stage.close()


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Each mode in turn."""
    return str(request.param)


@pytest.fixture(params=THREADED)
def threaded(request: pytest.FixtureRequest) -> str:
    """Each mode that has a reading thread."""
    return str(request.param)


def collect(stream: Stream) -> tuple[str, BaseException | None]:
    """Everything a loop gets: the text, and what it raised at the end."""
    text = ""
    try:
        for piece in stream:
            text += piece
    except Exception as error:
        return text, error
    return text, None


@pytest.fixture
def drained() -> Callable[[Stream], tuple[str, BaseException | None]]:
    """``text, error = drained(stream)``."""
    return collect


@pytest.fixture
def quick() -> RetryConfig:
    """The default retries, without the waiting."""
    return QUICK
