"""A URL is one store per process; what does not exist is said with what does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from streamkit.errors import ConfigurationError, StoreUnavailable
from streamkit.store import MemoryStore, SqliteStore, open_store, registry


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened: dict[str, Any] = {}
    monkeypatch.setattr(registry, "_open", opened)
    yield
    for store in opened.values():
        store.close()


def test_the_same_url_is_the_same_store() -> None:
    assert open_store("memory://") is open_store("memory://")
    assert open_store("memory://a") is open_store("MEMORY://a")
    assert open_store("memory://a") is not open_store("memory://b")
    assert isinstance(open_store("memory://"), MemoryStore)


def test_a_relative_and_an_absolute_url_of_one_file_are_the_same_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///x/y.db")
    assert isinstance(store, SqliteStore) and store.path == str(tmp_path / "x" / "y.db")
    assert open_store(f"sqlite:///{tmp_path}/x/y.db") is store


def test_a_store_that_was_closed_is_opened_anew() -> None:
    store = open_store("memory://")
    store.close()
    assert open_store("memory://") is not store


def test_a_store_is_returned_as_it_is() -> None:
    store = MemoryStore()
    assert open_store(store) is store
    with pytest.raises(ConfigurationError, match="got a int"):
        open_store(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://host/0", "Redis comes in a later version"),
        ("postgres://host", r"no store 'postgres': a URL begins with memory://, sqlite://"),
        ("store.db", "begins with one of memory://, sqlite://"),
        ("", "begins with one of"),
        ("sqlite://", "sqlite:///relative.db"),
        ("sqlite:///", "sqlite:///relative.db"),
        ("sqlite://host/path.db", "sqlite:///relative.db"),
        ("sqlite:///x.db?mode=ro", "no options"),
        ("sqlite:///:memory:", "memory://name"),
        ("memory://a\nb", "control characters"),
    ],
)
def test_a_bad_url_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        open_store(url)
    assert "host" not in str(caught.value), "what follows the scheme may be a password"


@pytest.mark.usefixtures("gone_folder")
def test_a_relative_path_in_a_folder_that_is_gone_is_an_outage() -> None:
    for opened in (lambda: open_store("sqlite:///x.db"), lambda: SqliteStore("x.db")):
        with pytest.raises(StoreUnavailable, match=r"'x\.db' cannot be used"):
            opened()


def test_an_entry_point_brings_a_store(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(MemoryStore):
        def __init__(self, rest: str) -> None:
            super().__init__()
            self.rest = rest

    entry = EntryPoint("mine", "somewhere:Mine", registry.GROUP)
    monkeypatch.setattr(registry, "_plugins", lambda: {"mine": entry})
    monkeypatch.setattr(EntryPoint, "load", lambda self: Mine)
    store = open_store("mine://a/b")
    assert isinstance(store, Mine) and store.rest == "a/b"
    assert open_store("mine://a/b") is store


def test_a_broken_entry_point_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "no_such_module:Mine", registry.GROUP)
    monkeypatch.setattr(registry, "_plugins", lambda: {"mine": entry})
    with pytest.raises(ConfigurationError, match="no_such_module:Mine"):
        open_store("mine://x")


@pytest.mark.parametrize("made", [5, None, MemoryStore])
def test_an_entry_point_that_makes_no_store_is_refused(
    monkeypatch: pytest.MonkeyPatch, made: Any
) -> None:
    entry = EntryPoint("mine", "somewhere:make", registry.GROUP)
    monkeypatch.setattr(registry, "_plugins", lambda: {"mine": entry})
    monkeypatch.setattr(EntryPoint, "load", lambda self: lambda rest: made)
    with pytest.raises(ConfigurationError, match="mine:// must make a StreamStore, got") as caught:
        open_store("mine://secret")
    assert "secret" not in str(caught.value)


def test_what_a_store_of_ones_own_lacks_is_named() -> None:
    class Half:
        claim = read = info = streams = cancel = delete = print

    with pytest.raises(ConfigurationError, match="got a Half, which has no sweep, close"):
        open_store(Half())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="got the class MemoryStore"):
        open_store(MemoryStore)  # type: ignore[arg-type]


def test_the_memory_store_needs_no_sqlite() -> None:
    script = (
        "import sys, streamkit.store as s; s.open_store('memory://').claim('a').end({});"
        "print('sqlite3' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_a_signal_handler_that_interrupts_an_opening_is_told_and_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = open_store("memory://there")
    told: list[object] = []

    def make(rest: str) -> MemoryStore:
        told.append(open_store("memory://there"))  # as a handler would, in the same thread
        with pytest.raises(StoreUnavailable, match="very code that this interrupts"):
            open_store(f"sqlite:///{tmp_path}/other.db")
        return MemoryStore()

    monkeypatch.setitem(registry.STORES, "slow", make)  # type: ignore[arg-type]
    assert open_store("slow://x") is open_store("slow://x")
    assert told == [there]
