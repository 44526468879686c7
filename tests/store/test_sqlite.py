"""One file for all processes: outages, restarts, foreign files, and what differs from memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

import streamkit.store.sqlite as module
from streamkit.errors import (
    ConfigurationError,
    StoreError,
    StoreUnavailable,
    StreamBusy,
    UnknownStream,
)
from streamkit.store import SqliteStore, sqlite_rows
from streamkit.store.head import TOMBSTONE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def texts(store: Any, id: str = "a") -> list[str]:
    entries = store.read(id, block=0, until_end=False)
    return [entry.data["text"] for entry in entries if entry.kind == "chunk"]


def test_what_was_appended_is_there_when_the_file_is_opened_again(path: Path) -> None:
    store = SqliteStore(path)
    store.claim("a", meta={"x": 1}).append([{"text": "one"}])
    store.close()
    again = SqliteStore(path)
    assert texts(again) == ["one"] and again.info("a").meta == {"x": 1}
    again.close()


def test_two_stores_of_one_file_are_like_two_processes(
    path: Path, run_in_thread: Callable[..., Any]
) -> None:
    one, two = SqliteStore(path), SqliteStore(path)
    writer = one.claim("a")
    reader = run_in_thread(lambda: [entry.kind for entry in two.read("a", block=30)])
    with pytest.raises(StreamBusy):
        two.claim("a")
    writer.append([{"text": "x"}])
    two.cancel("a", "why")
    assert writer.renew().reason == "why"
    writer.cancelled({})
    assert reader.result() == ["chunk", "cancelled"]
    one.close()
    two.close()


# Outages.


def test_a_claim_that_sweeps_says_that_the_file_was_removed(path: Path, clock: Any) -> None:
    store = SqliteStore(path, clock=clock)
    clock.pass_(61)
    for file in path.parent.iterdir():
        file.unlink()
    with pytest.raises(StoreError, match="removed or replaced"):
        store.claim("a")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_is_noticed(path: Path, replaced: bool) -> None:
    store = SqliteStore(path)
    writer = store.claim("a")
    writer.append([{"text": "1"}])
    for file in path.parent.iterdir():
        file.unlink()
    if replaced:
        SqliteStore(path).close()
    with pytest.raises(StoreError, match="removed or replaced"):
        writer.append([{"text": "2"}])
    assert store.closed
    again = SqliteStore(path)
    assert again.streams() == []
    again.close()


def test_opening_a_file_while_one_is_opened_is_an_outage_and_no_wait_without_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, run_in_thread: Callable[..., Any]
) -> None:
    """As when the collector finds a stream that has something to say to its store."""
    interrupts = [lambda: SqliteStore(path.with_name("other.db"))]

    def use_wal(*given: Any) -> None:
        if interrupts:
            with pytest.raises(StoreUnavailable, match="interrupts"):
                interrupts.pop()()
        real(*given)

    real = module.use_wal
    monkeypatch.setattr(module, "use_wal", use_wal)
    run_in_thread(SqliteStore, path).result().close()
    assert not interrupts


def test_a_file_that_stays_locked_is_an_outage_of_bounded_time(path: Path) -> None:
    store = SqliteStore(path)
    writer = store.claim("a")
    writer.append([{"text": "1"}])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begin = time.monotonic()
    with pytest.raises(StoreUnavailable, match="locked"):
        writer.append([{"text": "2"}])
    assert time.monotonic() - begin < 5
    assert texts(store) == ["1"], "readers go on"
    other.execute("ROLLBACK")
    other.close()
    writer.append([{"text": "2"}])
    assert texts(store) == ["1", "2"]
    store.close()


def test_a_writer_that_waits_for_the_lock_holds_no_reader_up(
    path: Path, run_in_thread: Callable[..., Any]
) -> None:
    store = SqliteStore(path)
    writer = store.claim("a")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    waiting = run_in_thread(writer.append, [{"text": "1"}])
    for _ in range(20):
        assert texts(store) == []
    assert waiting.alive
    other.execute("ROLLBACK")
    other.close()
    assert waiting.result().last_seq == 1
    store.close()


def test_a_full_file_is_an_outage_until_something_is_deleted(path: Path) -> None:
    store = SqliteStore(path, max_file_bytes=200_000)
    old, writer = store.claim("old"), store.claim("a")
    old.append([{"text": "x" * 60_000}])
    batch = [{"text": "y" * 60_000}]
    with pytest.raises(StoreUnavailable, match="full"):
        for _ in range(10):
            writer.append(batch)
    before = writer.last_seq
    assert texts(store) == ["y" * 60_000] * before
    store.delete("old")
    assert writer.append(batch).last_seq == before + 1
    assert path.stat().st_size <= 200_000
    store.close()


class Flaky:
    """A connection whose n-th statement, counted over all connections, fails."""

    calls = 0
    fails_at = 0
    after = False
    message = "disk I/O error"

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.inherited = False

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        Flaky.calls += 1
        due = Flaky.calls == Flaky.fails_at
        if due and not Flaky.after:
            raise sqlite3.OperationalError(Flaky.message)
        result = function(*arguments)
        if due:
            raise sqlite3.OperationalError(Flaky.message)
        return result

    def execute(self, *arguments: Any) -> Any:
        return self._call(self._db.execute, *arguments)

    def executemany(self, *arguments: Any) -> Any:
        return self._call(self._db.executemany, *arguments)

    def close(self) -> None:
        self._db.close()

    @property
    def in_transaction(self) -> bool:
        return self._db.in_transaction


def persist(call: Callable[..., Any], *arguments: Any) -> tuple[Any, int]:
    """Call until it is not an outage any more; what came, and how many outages there were."""
    for failures in range(5):
        try:
            return call(*arguments), failures
        except StoreUnavailable:
            pass
    raise AssertionError("one fault made more than five outages")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("message", ["disk I/O error", "database or disk is full"])
def test_whichever_statement_fails_nothing_is_lost_and_nothing_is_there_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool, message: str
) -> None:
    connect = module.connect
    monkeypatch.setattr(module, "connect", lambda path: Flaky(connect(path)))
    monkeypatch.setattr(Flaky, "after", after)
    monkeypatch.setattr(Flaky, "message", message)
    n = 0
    failed = 1
    while failed:
        n += 1
        store, failed = persist(SqliteStore, tmp_path / f"{n}.db")
        writer = store.claim("a", lease=60)
        Flaky.calls, Flaky.fails_at = 0, n
        for batch in (["1"], ["2", "3"], ["4"]):
            reply, failures = persist(writer.append, [{"text": text} for text in batch])
            failed += failures
            assert reply.last_seq == int(batch[-1])
            got, failures = persist(texts, store)
            failed += failures
            assert got == ["1", "2", "3", "4"][: reply.last_seq]
        failed += persist(writer.end, {})[1]
        Flaky.fails_at = 0
        assert [entry.seq for entry in store.read("a")] == [1, 2, 3, 4, 5]
        store.close()
    assert n > 30


def test_whichever_statement_of_opening_fails_it_is_an_outage_and_the_next_try_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = module.connect
    monkeypatch.setattr(module, "connect", lambda path: Flaky(connect(path)))
    n, failed = 0, 1
    while failed:
        n += 1
        Flaky.calls, Flaky.fails_at = 0, n
        store, failed = persist(SqliteStore, tmp_path / f"{n}.db")
        Flaky.fails_at = 0
        store.claim("a").end({})
        store.close()
    assert n > 10


def test_an_interrupt_within_a_transaction_undoes_it(path: Path) -> None:
    store = SqliteStore(path)
    writer = store.claim("a")
    with pytest.raises(KeyboardInterrupt), store._write() as rows:
        rows.put_meta(rows.head("a"), b'{"x":1}')
        raise KeyboardInterrupt
    assert store.info("a").meta == {}
    writer.append([{"text": "x"}])
    store.close()


def test_a_reader_of_a_store_that_is_away_leaves_nobody_listening(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> int:
        raise StoreUnavailable("away")

    store = SqliteStore(path)
    store.claim("a")
    monkeypatch.setattr(store, "version", away)
    with pytest.raises(StoreUnavailable):
        next(store.read("a"))
    assert store._bell._waiting == {}
    store.close()


def test_an_error_that_is_kept_keeps_no_reader_in_the_past(path: Path) -> None:
    """SQLite's statements end when Python forgets them, and a traceback forgets nothing."""
    store = SqliteStore(path)
    bad, good = store.claim("bad"), store.claim("good")
    bad.append([{"text": str(n)} for n in range(5)])
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("UPDATE entries SET data = 'x' WHERE seq = 2")
    db.close()
    with pytest.raises(StoreError, match="damaged") as kept:
        texts(store, "bad")
    good.append([{"text": "new"}])
    assert texts(store, "good") == ["new"] and kept.value.__traceback__ is not None
    store.close()


# A restart of the machine: the clock begins anew.


def test_after_a_restart_writers_are_lost_and_streams_are_kept_from_then_on(
    path: Path, clock: Any
) -> None:
    clock.now = 1e6
    store = SqliteStore(path, clock=clock)
    store.claim("open", lease=10)
    store.claim("over", retain=60).end({})
    store.close()
    clock.now = 5.0
    store = SqliteStore(path, clock=clock)
    assert store.info("open").lease_left == 0.0
    assert store.claim("open", on_lost="takeover").epoch == 2
    clock.pass_(60)
    assert store.info("over").state == "ended"
    clock.pass_(1)
    assert store.info("over").state == "expired"
    store.close()


def test_after_a_restart_an_id_is_known_as_expired_for_a_day(path: Path, clock: Any) -> None:
    clock.now = 1e6
    store = SqliteStore(path, clock=clock)
    store.claim("over", retain=60).end({})
    clock.pass_(61)
    assert store.sweep() == 1
    store.close()
    clock.now = 5.0
    store = SqliteStore(path, clock=clock)
    clock.pass_(TOMBSTONE)
    store.sweep()
    assert store.info("over").state == "expired"
    clock.pass_(1)
    store.sweep()
    with pytest.raises(UnknownStream):
        store.info("over")
    store.close()


def test_ids_that_are_known_as_expired_alone_cost_nothing_where_all_streams_are_asked_for(
    path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(path, clock=clock)
    for n in range(5):
        store.claim(f"old {n}", retain=1).end({})
    clock.pass_(2)
    assert store.sweep() == 5
    store.claim("new")
    made = []
    real = sqlite_rows._head

    def head(row: Any) -> Any:
        made.append(row[1])
        return real(row)

    monkeypatch.setattr(sqlite_rows, "_head", head)
    assert [info.id for info in store.streams()] == ["new"]
    store.sweep()
    SqliteStore(path, clock=clock).close()
    assert made == ["new"]
    store.close()


def test_opening_does_not_touch_writers_that_live(path: Path) -> None:
    one = SqliteStore(path)
    writer = one.claim("a")
    for _ in range(20):
        writer.renew()
        SqliteStore(path).close()
        assert one.info("a").lease_left > 10
    one.close()


# Other files.


def test_a_database_of_another_program_is_refused_and_left_as_it_is(path: Path) -> None:
    path.touch(0o600)
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE streams (x)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_store_of_a_later_version_is_refused(path: Path) -> None:
    SqliteStore(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(StoreError, match="schema 3"):
        SqliteStore(path)


def make_first_version(path: Path) -> None:
    """A file of schema 1 with an open stream: no owners."""
    store = SqliteStore(path)
    store.owner = lambda: None  # type: ignore[method-assign]
    store.claim("a", lease=1e6, meta={"x": 1}).append([{"text": "one"}])
    store.close()
    db = sqlite3.connect(path)
    db.execute("ALTER TABLE streams DROP COLUMN owner")
    db.execute("PRAGMA user_version = 1")
    row = db.execute(
        "SELECT key, id, born, state, epoch, first, last, size, lease, retain, heard, updated,"
        " cancel FROM streams"
    ).fetchone()
    db.execute("UPDATE streams SET crc = ?", (crc32(repr(row).encode()),))
    db.commit()
    db.close()


def test_a_file_of_the_first_version_is_read_and_goes_on_as_one_of_this(path: Path) -> None:
    make_first_version(path)
    store = SqliteStore(path)
    assert texts(store) == ["one"] and store.info("a").meta == {"x": 1}
    assert store.info("a").lease_left > 100, "of its writer nobody knows but by the lease"
    store.claim("a", on_busy="takeover").append([{"text": "two"}])
    assert texts(store) == ["one", "two"]
    store.close()
    again = SqliteStore(path)
    assert texts(again) == ["one", "two"]
    assert again.page("a", 0, 1, None)[0].owner == again.owner()
    again.close()


def test_many_may_find_a_file_of_the_first_version_at_once(
    path: Path, run_in_thread: Callable[..., Any]
) -> None:
    make_first_version(path)
    opening = [run_in_thread(SqliteStore, path) for _ in range(6)]
    for task in opening:
        store = task.result()
        assert texts(store) == ["one"]
        store.close()


@pytest.mark.parametrize("content", [b"hello", b"x" * 5000, b"SQLite format 3\0" + b"\0" * 4080])
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        SqliteStore(path)
    assert not isinstance(caught.value, StoreUnavailable)
    assert path.read_bytes() == content


def test_columns_and_fields_of_later_versions_are_left_alone(path: Path) -> None:
    store = SqliteStore(path)
    store.claim("a").append([{"text": "x", "from the future": {"deep": 1}}])
    store.close()
    db = sqlite3.connect(path)
    db.execute("ALTER TABLE streams ADD COLUMN colour TEXT DEFAULT 'red'")
    db.commit()
    db.close()
    store = SqliteStore(path)
    assert texts(store) == ["x"]
    store.claim("b").end({})
    store.close()


@pytest.mark.parametrize("bad", ["", "a\0b", b"bytes", 0.5])
def test_a_path_must_be_one(bad: Any) -> None:
    with pytest.raises((ConfigurationError, TypeError)):
        SqliteStore(bad)


def test_a_file_bound_below_16_pages_is_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="max_file_bytes"):
        SqliteStore(path, max_file_bytes=1)
