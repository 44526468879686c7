"""Saver: what a reading thread received, kept while it comes; no store ever ends an answer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from streamkit import (
    Chunk,
    ConfigurationError,
    Result,
    StoreUnavailable,
    StreamBusy,
    StreamEnded,
    StreamInterrupted,
    follow,
)
from streamkit.pipeline.saver import LEASE, Saver
from streamkit.store import MemoryStore, SqliteStore

META = {"provider": "p"}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = MemoryStore() if request.param == "memory" else SqliteStore(str(tmp_path / "s.db"))
    yield made
    made.close()


def kinds(store: Any) -> list[str]:
    return [entry.kind for entry in store.read("a", until_end=False, block=0.0)]


def test_each_read_is_there_at_once(store: Any) -> None:
    saver = Saver(store, "a", META, 60)
    saver.add([Chunk("one"), Chunk(" two")])
    assert kinds(store) == ["chunk", "chunk"]
    saver.add([])
    saver.ended(Result(outcome="completed"))
    assert kinds(store)[-1] == "end"
    assert follow(store, "a").result(5).text == "one two"
    saver.add([Chunk("late")])
    saver.close()
    assert len(kinds(store)) == 3


def test_a_cancel_a_failure_and_no_word_are_told_apart(store: Any) -> None:
    Saver(store, "a", META, 60).ended(Result(outcome="cancelled"))
    assert store.info("a").state == "cancelled"
    saver = Saver(store, "a", META, 60, takeover=True)
    saver.failed(StreamInterrupted("cut"), recoverable=True)
    assert store.info("a").state == "failed"
    Saver(store, "a", META, 60, takeover=True).close()
    assert store.info("a").state == "lost"


def test_a_taken_id_is_said_when_it_is_made(store: Any) -> None:
    saver = Saver(store, "a", META, 60)
    with pytest.raises(StreamBusy):
        Saver(store, "a", META, 60)
    saver.ended(Result(outcome="completed"))
    with pytest.raises(StreamEnded):
        Saver(store, "a", META, 60, takeover=True)
    with pytest.raises(ConfigurationError):
        Saver(store, "", META, 60)


def test_the_lease_is_renewed_on_time() -> None:
    store, clock = MemoryStore(), Clock()
    saver = Saver(store, "a", META, 60, clock=clock)
    before = store.info("a").updated
    due = saver.due()
    assert due is not None and due < clock.now + LEASE / 2
    saver.tick(clock.now)  # too early: nothing happens
    assert saver.due() == due
    clock.now = due
    saver.tick(clock.now)
    assert saver.due() == due + LEASE / 3
    assert store.info("a").updated >= before
    clock.now += 1
    saver.add([Chunk("x")])  # an append is a renewal
    assert saver.due() == clock.now + LEASE / 3
    saver.close()
    assert saver.due() is None
    store.close()


def test_a_request_to_cancel_is_seen(store: Any) -> None:
    saver = Saver(store, "a", META, 60)
    store.cancel("a", "enough")
    assert saver.cancel_requested is None
    saver.add([Chunk("x")])
    assert saver.cancel_requested == "enough"
    saver.close()


@pytest.mark.parametrize("good", range(4))
@pytest.mark.parametrize("error", [StoreUnavailable("full"), OSError(28, "full"), KeyError("?")])
def test_a_store_that_fails_is_told_once_and_never_raises(
    good: int, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(MemoryStore):
        left = good

        def write(self, *args: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise error
            return super().write(*args)

    store = Failing()
    with caplog.at_level(logging.WARNING, "streamkit.store"):
        saver = Saver(store, "a", META, 60)
        for word in ("one", " two", " three", " four", " five"):
            saver.add([Chunk(word)])
        assert not saver.saves and saver.due() is None
        saver.tick(1e9)
        saver.ended(Result(outcome="completed"))
        saver.close()
    assert len(caplog.records) == 1
    assert kinds(store) == ["chunk"] * good
    store.close()


def test_a_store_that_is_away_at_the_start_is_no_reason_not_to_begin() -> None:
    class Away(MemoryStore):
        def claim(self, *args: Any, **more: Any) -> Any:
            raise StoreUnavailable("full")

    saver = Saver(Away(), "a", META, 60)
    saver.add([Chunk("x")])
    assert not saver.saves
