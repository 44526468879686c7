"""
``sqlite:///path``: streams in one file, for all processes of one host.

Two connections: one writes, one reads, so that a writer that waits for another process holds no
reader up. In WAL mode readers and the writer never wait for each other, and what a killed process
left half-written is cut off by SQLite (a checksum per frame). The pages of the file itself have
none: each row has its own here, so that a damaged file is an error and never wrong text.

A reader is woken at once by writers of its own store object; those of other processes it notices by
``PRAGMA data_version``, asked every 20 ms. That the process of a writer was killed they notice
without waiting for its lease to run out.

Never used across a fork: the child leaves the inherited connections alone and opens its own.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakSet

from streamkit.errors import ConfigurationError, StoreError
from streamkit.process import on_exit, on_fork
from streamkit.store.head import check_number
from streamkit.store.log import MAX_BYTES, MAX_ENTRIES, LogStore
from streamkit.store.owner import Owners
from streamkit.store.sqlite_file import (
    BUSY,
    Connection,
    connect,
    identity,
    make_private,
    outage,
    translated,
    use_wal,
)
from streamkit.store.sqlite_rows import Rows, check, prepare
from streamkit.store.turn import Turn

try:
    import ctypes
except ImportError:  # a Python without it closes what it should not, which SQLite mostly forgives
    ctypes = None  # type: ignore[assignment]

__all__ = ["SqliteStore"]

#: Seconds between two looks at what other processes wrote. Source: FACTS.md 4.2: p50 10 ms, p99
#: 20 ms, 0.8 % of a core.
POLL = 0.02

#: A row heard of this many seconds in the future is from before a restart of the machine.
SLACK = 1.0

#: What reading a damaged file raises besides errors of SQLite's: it may speak of sizes that do not
#: exist, and the message that complains about it may quote bytes that are no text.
_DAMAGE = (MemoryError, UnicodeDecodeError)

#: One file is opened at a time: see make_private() about descriptors and locks.
_opening = Turn()

_stores: WeakSet[SqliteStore] = WeakSet()


class SqliteStore(LogStore):
    """
    A store in one SQLite file, which must be on a local disk.

    The file is made with mode 0600, and folders above it with 0700. A commit survives a crash of
    the process; a power cut may take the newest ones, and leaves a prefix.

    Thread safety: **shared**, by threads and, each with a store object of its own, by processes.

    Args:
        path: The file.
        max_entries: Most entries kept per stream; the oldest go first, and a reader that has not
            had them gets Gap.
        max_bytes: Most bytes kept per stream, of the entries' JSON; the newest entry always stays.
        max_file_bytes: Most bytes of the file, for all streams; what has no room is
            StoreUnavailable. None: no limit.
        clock: Seconds that pass alike in all processes of the host; a test may give its own.

    Raises:
        StoreError: The file is a link, another's, open to others, damaged, or no store.
        StoreUnavailable: It cannot be reached or written just now.
    """

    # Guarded by _write_turn: _writer. Guarded by _read_turn: _reader.

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = MAX_ENTRIES,
        max_bytes: int = MAX_BYTES,
        max_file_bytes: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        name = os.fspath(path)
        if not isinstance(name, str) or not name or "\0" in name:
            raise ConfigurationError(f"path must be the path of a file, got {path!r}")
        if name == ":memory:":
            raise ConfigurationError("path must be that of a file; memory://name needs none")
        if max_file_bytes is not None:
            check_number("max_file_bytes", max_file_bytes, 65_536)
        super().__init__(max_entries=max_entries, max_bytes=max_bytes, clock=clock)
        try:
            self.path = os.path.abspath(name)
        except OSError as error:  # the current folder was removed
            raise outage(name, error) from error
        self._max_file_bytes = max_file_bytes
        self._owners = Owners()
        self._writer: Connection | None = None
        self._reader: Connection | None = None
        self._write_turn = Turn()
        self._read_turn = Turn()
        self._file: tuple[int, int] | None = None
        _stores.add(self)
        try:
            self._after_restart()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; blocked readers end with StoreError."""
        super().close()
        with self._write_turn:
            _close(self._writer)
            self._writer = None
        with self._read_turn:
            _close(self._reader)
            self._reader = None

    def listen(self, id: str) -> _SqliteEar:
        """An ear for what happens to a stream."""
        return _SqliteEar(self, id)

    def owner(self) -> str | None:
        """This process, for others on the host."""
        return self._owners.me()

    def is_gone(self, owner: str) -> bool:
        """Whether it is certain that such a process has ended."""
        return self._owners.is_gone(owner)

    def version(self) -> int:
        """A number that changes with every commit to the file."""
        with self._translated(), self._read_turn:
            self._reader = reader = self._open(self._reader)
            try:
                return int(reader.execute("PRAGMA data_version").fetchall()[0][0])
            except BaseException as error:
                self._reader = _undone(reader, error)
                raise

    def locks(self) -> tuple[Any, Any]:
        """Who holds both keeps all other threads out of the file."""
        return self._write_turn.lock, self._read_turn.lock

    def forked(self) -> None:
        """This is a child process now."""
        super().forked()
        for db in (self._writer, self._reader):
            _abandon(db)
        self._writer = self._reader = None
        self._write_turn, self._read_turn = Turn(), Turn()

    @contextmanager
    def _write(self) -> Iterator[Rows]:
        with self._translated(), self._write_turn:
            self._writer = writer = self._open(self._writer)
            try:
                writer.execute("BEGIN IMMEDIATE")
                yield Rows(writer)
                writer.execute("COMMIT")
            except BaseException as error:
                self._writer = _undone(writer, error)
                raise

    @contextmanager
    def _read(self) -> Iterator[Rows]:
        with self._translated(), self._read_turn:
            self._reader = reader = self._open(self._reader)
            try:
                reader.execute("BEGIN")
                yield Rows(reader)
                reader.execute("COMMIT")
            except BaseException as error:
                self._reader = _undone(reader, error)
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(self.path, error) from error
        except _DAMAGE as error:
            raise translated(self.path, error) from error

    def _open(self, db: Connection | None) -> Connection:
        if self._closed:
            raise StoreError("the store is closed")
        if db is not None and not db.inherited:
            if self._file != identity(self.path):
                raise self._lost()
            return db
        _abandon(db)
        end = time.monotonic() + BUSY
        while True:
            try:
                with _opening:
                    return self._opened()
            except sqlite3.OperationalError as error:
                # Several processes make the same file: SQLite does not wait for its turn here.
                if "locked" not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(POLL)

    def _opened(self) -> Connection:
        make_private(self.path)
        db = connect(self.path)
        try:
            check(db, self.path)
            use_wal(db, self.path)
            prepare(db, self._max_file_bytes)
            make_private(self.path)  # that it is still what was looked at, companions included
            file = identity(self.path)
            if file is None or self._file not in (None, file):
                raise self._lost()
            self._file = file
        except BaseException:
            db.close()
            raise
        return db

    def _lost(self) -> StoreError:
        """
        The file was removed or replaced: what is written to the old one nobody would ever read.

        It is never closed: SQLite would remove its companions, which by now may be another's.
        Source: sqlite.org/howtocorrupt.html section 2.4, 2026-11.
        """
        for db in (self._writer, self._reader):
            _abandon(db)
        self._writer = self._reader = None
        super().close()
        return StoreError(f"the store {self.path!r} was removed or replaced while it was in use")

    def _after_restart(self) -> None:
        """
        The clock began anew with the machine: count from now on where a row is from before.

        No writer of then lives, and no stream is kept shorter than it should be.
        """
        with self._read() as rows:
            if not rows.later(self._clock() + SLACK):
                return  # and so need not wait for those who write
        with self._write() as rows:
            now = self._clock()
            for head in rows.later(now + SLACK):
                ago = head.lease if head.state == "open" else 0.0
                rows.put(replace(head, heard=now - ago))


class _SqliteEar:
    """Hears this process at once, and the others within POLL seconds."""

    def __init__(self, store: SqliteStore, id: str) -> None:
        self._store = store
        self._id = id
        self._bell = store._bell
        self._version = store.version()  # first: where it raises, nobody is left listening
        self._latch = self._bell.listen(id)

    def heard(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            if self._latch.wait(min(left, POLL)):
                return True
            if self._store.version() != self._version:
                return True
        return False

    def close(self) -> None:
        self._bell.ignore(self._id, self._latch)


def _undone(db: Connection, error: BaseException) -> Connection | None:
    """Roll back; a connection that cannot, or that SQLite complained about, is given up."""
    busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
    usable = busy or not isinstance(error, (sqlite3.Error, *_DAMAGE))
    try:
        if db.in_transaction:
            db.execute("ROLLBACK")
    except sqlite3.Error:
        usable = False
    if usable:
        return db
    _close(db)
    return None


def _close(db: Connection | None) -> None:
    try:
        if db is not None and db.inherited:
            _abandon(db)
        elif db is not None:
            db.close()
    except sqlite3.Error:
        pass  # it is given up either way


# Fork. SQLite has locks of its own, which a child would find held for ever if another thread was
# inside of it at that moment: so nobody is. A thread that waits for a busy file is waited for.

_held: list[Any] = []


def _abandon(db: Connection | None) -> None:
    """
    Never close a connection, not even when the interpreter ends: it is the parent's.

    Source: sqlite.org/howtocorrupt.html section 2.6, 2026-11.
    """
    if db is not None and ctypes is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))


def _before_fork() -> None:
    for store in list(_stores):
        _held.extend(lock for lock in store.locks() if lock.acquire(timeout=3 * BUSY))


def _in_parent() -> None:
    while _held:
        _held.pop().release()


def _in_child() -> None:
    global _opening
    _opening = Turn()
    _held.clear()


def _at_exit() -> None:
    for store in list(_stores):
        store.close()


on_exit(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent)
on_fork(_in_child)
