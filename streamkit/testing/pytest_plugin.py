"""The pytest fixture ``local_provider``; pytest finds it by the entry point of the distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from streamkit.testing.provider import LocalProvider

__all__ = ["local_provider"]


@pytest.fixture
def local_provider() -> Iterator[Callable[..., LocalProvider]]:
    """Start providers: ``local_provider(script)``; each is closed when the test ends."""
    # Imported here: pytest loads this file in every run of every project that has us installed.
    from streamkit.testing.provider import LocalProvider

    with ExitStack() as stack:

        def start(*args: Any, **keywords: Any) -> LocalProvider:
            return stack.enter_context(LocalProvider(*args, **keywords))

        yield start
