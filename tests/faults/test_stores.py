"""
A store that fails under a stream: the answer arrives all the same (PROMISES.md P58).

What the store itself makes of these faults is in tests/store.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit import StreamRecovery
from streamkit.store import MemoryStore, SqliteStore
from streamkit.testing import Gate, Text

MODES = ("direct", "buffered", "managed")
PIECES = tuple(f"{n:>5} " + "x" * 4_000 for n in range(60))
WHOLE = "".join(PIECES)


class Refusing(MemoryStore):
    """A store whose n-th write fails, as a store from outside may: with an error of the system."""

    def __init__(self, number: int, good: int) -> None:
        super().__init__()
        self._number = number
        self._good = good

    def write(self, *args: Any) -> Any:
        self._good -= 1
        if self._good < 0:
            raise OSError(self._number, os.strerror(self._number))
        return super().write(*args)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """The warnings of the stores so far."""
    with caplog.at_level(logging.WARNING, "streamkit.store"):
        yield lambda: [record.getMessage() for record in caplog.records]


def check_prefix(store: Any) -> None:
    kept = StreamRecovery(store).partial("a").text
    assert WHOLE.startswith(kept) and kept != WHOLE


@pytest.mark.parametrize("mode", MODES)
def test_a_full_file_costs_the_answer_nothing(
    ask: Any, serve: Any, warned: Any, tmp_path: Path, mode: str
) -> None:
    store = SqliteStore(tmp_path / "s.db", max_file_bytes=100_000)
    stream = ask(serve([Text(pieces=PIECES)]), mode, recovery={"store": store, "id": "a"})
    assert "".join(stream) == WHOLE
    assert stream.result().outcome == "completed"
    assert warned() == ["saving stopped id='a' error=StoreUnavailable"]
    check_prefix(store)
    store.close()


@pytest.mark.parametrize("good", [0, 1, 2])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_whatever_the_system_says_costs_the_answer_nothing(
    ask: Any, serve: Any, warned: Any, number: int, good: int
) -> None:
    store = Refusing(number, good)
    server = serve([Text(pieces=PIECES[:30]), Gate(), Text(pieces=PIECES[30:])])
    stream = ask(server, "direct", recovery={"store": store, "id": "a"})
    got = ""
    for text in stream:
        got += text
        server.release()
    assert got == WHOLE == stream.result().text
    assert len(warned()) == 1
    check_prefix(store)
    store.close()


def test_a_damaged_file_costs_the_answer_nothing(
    ask: Any, serve: Any, warned: Any, tmp_path: Path
) -> None:
    place = tmp_path / "s.db"
    place.write_bytes(b"no database at all" * 500)
    place.chmod(0o600)
    url = f"sqlite:///{place}"
    stream = ask(serve([Text(pieces=PIECES)]), "direct", recovery={"store": url, "id": "a"})
    assert "".join(stream) == WHOLE
    assert warned() == ["saving stopped id='a' error=StoreError"]


def test_a_stream_deleted_under_its_writer_is_an_answer_like_any_other(
    ask: Any, serve: Any, warned: Any, tmp_path: Path
) -> None:
    store = SqliteStore(tmp_path / "s.db")
    server = serve([Text(pieces=PIECES[:30]), Gate(), Text(pieces=PIECES[30:])])
    stream = ask(server, "direct", recovery={"store": store, "id": "a"})
    texts = iter(stream)
    got = next(texts)
    assert store.delete("a")
    server.release()
    assert got + "".join(texts) == WHOLE
    assert len(warned()) == 1
    store.close()
