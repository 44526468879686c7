"""Every store of the table, with a clock that stands still until the test moves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit.store import STORES, MemoryStore, SqliteStore


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


MAKERS: dict[str, Callable[..., Any]] = {
    "memory": lambda folder, **options: MemoryStore(**options),
    "sqlite": lambda folder, **options: SqliteStore(folder / "streams" / "store.db", **options),
}


@pytest.fixture(params=sorted(STORES))
def make_store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> Iterator[Callable[..., Any]]:
    """``make_store(**options)``: a store of this kind; called twice, SQLite opens the same file."""
    made: list[Any] = []

    def make(**options: Any) -> Any:
        made.append(MAKERS[request.param](tmp_path, **{"clock": clock, **options}))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: Callable[..., Any]) -> Any:
    return make_store()
