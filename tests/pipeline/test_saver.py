"""Saver: what a reading thread received, kept while it comes; no store ever ends an answer."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit import (
    Chunk,
    ConfigurationError,
    ConnectError,
    Result,
    StoreError,
    StoreUnavailable,
    StreamBusy,
    StreamEnded,
    StreamInterrupted,
    UnknownStream,
    follow,
)
from streamkit.pipeline.saver import LEASE, Saver
from streamkit.store import MemoryStore, SqliteStore
from streamkit.testing import Gate, Text

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
    saver = Saver(store, "a", META, 60, behind=1)
    saver.failed(StreamInterrupted("cut"), recoverable=True)
    assert store.info("a").state == "failed"
    Saver(store, "a", META, 60, behind=3).close()
    assert store.info("a").state == "lost"


@pytest.mark.parametrize("behind", [0, 1])
def test_one_that_was_deleted_is_not_made_anew_however_little_it_had(
    store: Any, behind: int
) -> None:
    with pytest.raises(UnknownStream, match="was deleted"):
        Saver(store, "a", META, 60, behind=behind)
    assert store.streams() == []


def test_a_taken_id_is_said_when_it_is_made(store: Any) -> None:
    saver = Saver(store, "a", META, 60)
    with pytest.raises(StreamBusy):
        Saver(store, "a", META, 60)
    saver.ended(Result(outcome="completed"))
    with pytest.raises(StreamEnded):
        Saver(store, "a", META, 60, behind=1)
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


@pytest.mark.parametrize("error", [StoreError("the store is damaged"), OSError("gone")])
def test_a_store_that_is_broken_from_the_start_is_said_once_and_costs_nothing(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(MemoryStore):
        def claim(self, *args: Any, **more: Any) -> Any:
            raise error

    with caplog.at_level(logging.WARNING, "streamkit.store"):
        saver = Saver(Broken(), "a", META, 60)
        saver.add([Chunk("x")])
        saver.close()
    assert not saver.saves and saver.due() is None
    assert [r.getMessage() for r in caplog.records] == [
        f"saving stopped id='a' error={type(error).__name__}"
    ]


def test_a_lease_that_cannot_be_given_back_is_nobodys_error(store: Any) -> None:
    class Stuck:
        def close(self) -> None:
            raise KeyError("of somebody's own store")

    saver = Saver(store, "a", META, 60)
    saver._writer = Stuck()  # type: ignore[assignment]
    saver.close()
    assert not saver.saves


class Watched:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def settled_result(self, outcome: Any) -> Result:
        return Result(outcome=outcome)

    def cancel(self, reason: str = "") -> None:
        self.reasons.append(reason)


@pytest.mark.parametrize("how", ["append", "renew"])
def test_a_request_to_cancel_is_heeded_at_once(store: Any, how: str) -> None:
    clock, stream = Clock(), Watched()
    saver = Saver(store, "a", META, 60, clock=clock)

    def reader() -> Iterator[list[Chunk]]:
        store.cancel("a", "enough")
        assert stream.reasons == []
        if how == "append":
            saver.add([Chunk("x")])
        else:  # the service says nothing
            clock.now = saver.due() or 0.0
            saver.tick(clock.now)
        assert stream.reasons == ["enough"]
        yield [Chunk("x")]

    watched = saver.watch(reader(), stream)
    next(watched)
    watched.close()  # type: ignore[attr-defined]
    assert store.info("a").state == "cancelled"


def test_a_request_to_cancel_that_comes_with_the_end_changes_nothing(store: Any) -> None:
    saver, stream = Saver(store, "a", META, 60), Watched()

    def reader() -> Iterator[list[Chunk]]:
        store.cancel("a")
        yield [Chunk(kind="done", done=True, metadata={"outcome": "completed"})]

    assert len(list(saver.watch(reader(), stream))) == 1
    assert stream.reasons == [] and store.info("a").state == "ended"


def test_an_answer_that_is_never_read_is_not_left_open(store: Any) -> None:
    saver = Saver(store, "a", META, 60)
    saver.watch(iter_nothing(), Watched()).close()  # type: ignore[attr-defined]
    assert store.info("a").state == "cancelled"


def iter_nothing() -> Iterator[list[Chunk]]:
    yield from ()


def test_without_a_thread_the_answer_is_failed_and_its_id_free(
    play: Any, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith("streamkit-producer"):
            raise RuntimeError("can't start new thread")
        begin(thread)

    stream = play("Hi", recovery={"store": store, "id": "a"})
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(ConnectError, match="no thread"):
            list(stream)
    assert kinds(store) == ["failed"]


def test_a_fork_neither_writes_nor_complains(
    store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    saver = Saver(store, "a", META, 60)
    with caplog.at_level(logging.WARNING), monkeypatch.context() as patch:
        patch.setattr("streamkit.pipeline.saver.generation", lambda: -1)
        patch.setattr("streamkit.store.writer.generation", lambda: -1)
        saver.add([Chunk("y")])
        saver.ended(Result(outcome="cancelled"))
    assert caplog.records == [] and kinds(store) == []


def test_a_cancel_that_interrupts_the_store_never_waits_for_itself(play: Any, store: Any) -> None:
    """A direct stream has nobody else to tell the store; the lease runs out instead."""
    stream = play([Text("Hi"), Gate(), Text(".")], mode="direct", recovery={"store": store})
    loop = iter(stream)
    next(loop)
    clock = store._clock

    def interrupted() -> float:
        store._clock = clock
        signal.raise_signal(signal.SIGINT)
        return float(clock())

    before = signal.signal(signal.SIGINT, lambda *_: stream.cancel("enough"))
    try:
        store._clock = interrupted
        store.claim("other").append([{"content": "x"}])
    finally:
        signal.signal(signal.SIGINT, before)
    assert stream.outcome == "cancelled" and list(loop) == []
    assert store.info("other").last == 1


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
