"""One client and one way to ask, whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import streamkit
from streamkit.testing import LocalProvider

#: The key of every request here; no test may find it in anything that is shown.
KEY = "sk-marker-0123456789abcdef"


class Asker:
    """A client that asks a LocalProvider, without retries unless they are given."""

    key = KEY

    def __init__(self) -> None:
        self.client = streamkit.Client(api_key=KEY)

    def __call__(self, server: LocalProvider, mode: str, style: str = "openai", **how: Any) -> Any:
        how.setdefault("retry", None)
        url = server.base_url(style)
        return self.client.stream("m", "Hi", provider=style, base_url=url, mode=mode, **how)


@pytest.fixture
def ask() -> Iterator[Asker]:
    """``ask(server, mode, style, ...)`` -> a stream that nobody uses yet."""
    asker = Asker()
    yield asker
    asker.client.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., LocalProvider]]:
    """``serve(script)``: a LocalProvider that is closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda *args, **kw: stack.enter_context(LocalProvider(*args, **kw))
