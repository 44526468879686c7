"""The SDKs are large, and stay loaded for all tests that follow."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _settled() -> Iterator[None]:
    """Else each collection of a later test goes through their 400 MB."""
    yield
    gc.collect()
    gc.freeze()
