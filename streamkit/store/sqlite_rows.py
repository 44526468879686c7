"""
The tables of a SQLite store, and a Shelf over them within one transaction.

Values go in as bound parameters only. Each row ends with a CRC over the rest of it and over what
ties it to its stream, so that neither a flipped byte nor an exchanged row passes for what we wrote.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

from streamkit.errors import StoreError
from streamkit.store.head import TOMBSTONE, Head
from streamkit.store.record import Record

__all__ = ["Rows", "check", "prepare"]

#: "skst": what ``file`` and SQLite call the application id.
APPLICATION = 0x736B7374

#: The version of the tables and of the JSON in them. Fields we do not know are left alone.
SCHEMA = 2

TABLES = (
    "CREATE TABLE streams (key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " born TEXT, state TEXT, epoch INTEGER, first INTEGER, last INTEGER, size INTEGER,"
    " lease REAL, retain REAL, heard REAL, updated REAL, cancel TEXT, crc INTEGER,"
    " owner TEXT)",
    "CREATE TABLE metas (stream INTEGER PRIMARY KEY, data BLOB, crc INTEGER)",
    "CREATE TABLE entries (stream INTEGER, seq INTEGER, epoch INTEGER, kind TEXT, data BLOB,"
    " ts REAL, crc INTEGER, PRIMARY KEY (stream, seq)) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {SCHEMA}",
)

#: What makes a file of version 1 one of version 2. Its rows stay as they are: without an owner.
UPGRADE = ("ALTER TABLE streams ADD COLUMN owner TEXT", f"PRAGMA user_version = {SCHEMA}")

COLUMNS = (
    "key, id, born, state, epoch, first, last, size, lease, retain, heard, updated, cancel, owner"
)


def check(db: sqlite3.Connection, path: str) -> None:
    """
    Look whether a file is empty or ours, and change nothing.

    Raises:
        StoreError: It belongs to another program, or to a later version of this one.
    """
    if _pragma(db, "schema_version") == 0:
        return
    if _pragma(db, "application_id") != APPLICATION:
        raise StoreError(f"{path!r} is a database of another program")
    if not 1 <= (found := _pragma(db, "user_version")) <= SCHEMA:
        raise StoreError(
            f"the store {path!r} has schema {found}; this version of streamkit reads {SCHEMA}"
        )


def prepare(db: sqlite3.Connection, max_file_bytes: int | None) -> None:
    """Make the tables where there are none or older ones, and bound the file."""
    if max_file_bytes is not None:
        pages = max_file_bytes // _pragma(db, "page_size")
        db.execute(f"PRAGMA max_page_count = {max(1, pages)}")
    if not _missing(db):
        return
    db.execute("BEGIN IMMEDIATE")
    for statement in _missing(db):  # another process may have been faster
        db.execute(statement)
    db.execute("COMMIT")


def _missing(db: sqlite3.Connection) -> tuple[str, ...]:
    if _pragma(db, "schema_version") == 0:
        return TABLES
    return UPGRADE if _pragma(db, "user_version") < SCHEMA else ()


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchall()[0][0])


class Rows:
    """
    A Shelf over a connection that is in a transaction.

    Whatever is asked is fetched to its end: a statement that is left half-way keeps the connection
    at the state of then, also for the transactions that follow.

    Thread safety: **confined** to the transaction.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def head(self, id: str) -> Head | None:
        """The row of a stream."""
        found = self._db.execute(f"SELECT {COLUMNS}, crc FROM streams WHERE id = ?", (id,))
        rows = found.fetchall()
        return _head(rows[0]) if rows else None

    def heads(self) -> list[Head]:
        """See Shelf."""
        return self._sound("state IS NOT 'expired'")

    def overdue(self, now: float) -> list[str]:
        """
        See Shelf.

        Cost: 20 ms for 100,000 rows, none of which is looked at closely.
        """
        kept = "CASE state WHEN 'expired' THEN ? ELSE retain END"
        query = f"SELECT id FROM streams WHERE heard + {kept} < ? ORDER BY key"
        return [row[0] for row in self._db.execute(query, (TOMBSTONE, now)).fetchall()]

    def later(self, than: float) -> list[Head]:
        """Those heard of after that instant, in any state."""
        return self._sound("heard > ?", than)

    def _sound(self, where: str, *values: float) -> list[Head]:
        """Rows that SQLite finds by itself: to make a Head of one takes thirty times as long."""
        heads = []
        query = f"SELECT {COLUMNS}, crc FROM streams WHERE {where} ORDER BY key"
        for row in self._db.execute(query, values).fetchall():
            try:
                heads.append(_head(row))
            except StoreError:
                pass
        return heads

    def put(self, head: Head) -> Head:
        """Write a row, new or changed."""
        if not head.key:
            added = self._db.execute("INSERT INTO streams (id) VALUES (?)", (head.id,))
            head = replace(head, key=int(added.lastrowid or 0))
        row = _values(head)
        self._db.execute(
            "UPDATE streams SET born = ?, state = ?, epoch = ?, first = ?, last = ?, size = ?,"
            " lease = ?, retain = ?, heard = ?, updated = ?, cancel = ?, owner = ?,"
            " crc = ? WHERE key = ?",
            (*row[2:], _row_crc(row), head.key),
        )
        return head

    def meta(self, head: Head) -> bytes:
        """What put_meta() was given."""
        found = self._db.execute("SELECT data, crc FROM metas WHERE stream = ?", (head.key,))
        data, crc = next(iter(found.fetchall()), (b"", None))
        if not isinstance(data, bytes) or crc != _crc((head.key, head.id), data):
            raise _damaged(f"what goes with stream {head.id[:80]!r}")
        return data

    def put_meta(self, head: Head, meta: bytes) -> None:
        """Keep the JSON that goes with a stream."""
        self._db.execute(
            "INSERT OR REPLACE INTO metas VALUES (?, ?, ?)",
            (head.key, meta, _crc((head.key, head.id), meta)),
        )

    def add(self, head: Head, records: Sequence[Record]) -> None:
        """Append entries."""
        rows = [
            (head.key, seq, epoch, kind, data, ts, _crc((head.id, seq, epoch, kind, ts), data))
            for seq, epoch, kind, data, ts in records
        ]
        self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def records(self, head: Head, after: int, limit: int) -> list[Record]:
        """The first ``limit`` entries behind ``after``, in order."""
        found = self._db.execute(
            "SELECT seq, epoch, kind, data, ts, crc FROM entries WHERE stream = ? AND seq > ?"
            " ORDER BY seq LIMIT ?",
            (head.key, after, limit),
        )
        records = []
        for seq, epoch, kind, data, ts, crc in found.fetchall():
            if not isinstance(data, bytes) or crc != _crc((head.id, seq, epoch, kind, ts), data):
                raise _damaged(f"entry {seq!r} of stream {head.id[:80]!r}")
            records.append(Record(seq, epoch, kind, data, ts))
        return records

    def sizes(self, head: Head) -> Iterator[tuple[int, int]]:
        """(seq, bytes of data) of each entry, in order."""
        found = self._db.execute(
            "SELECT seq, length(data) FROM entries WHERE stream = ? ORDER BY seq", (head.key,)
        )
        try:
            yield from found
        finally:
            found.close()

    def cut(self, head: Head, first: int) -> None:
        """Delete the entries before ``first``."""
        self._db.execute("DELETE FROM entries WHERE stream = ? AND seq < ?", (head.key, first))

    def drop(self, head: Head) -> None:
        """Delete all there is of a stream."""
        for table, column in (("entries", "stream"), ("metas", "stream"), ("streams", "key")):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (head.key,))


def _values(head: Head) -> tuple[Any, ...]:
    return (
        head.key, head.id, head.born, head.state, head.epoch, head.first, head.last, head.size,
        head.lease, head.retain, head.heard, head.updated, head.cancel, head.owner,
    )  # fmt: skip


def _head(row: tuple[Any, ...]) -> Head:
    *values, crc = row
    if crc != _row_crc(tuple(values)):
        raise _damaged(f"the row of stream {str(row[1])[:80]!r}")
    (key, id, born, state, epoch, first, last, size,
     lease, retain, heard, updated, cancel, owner) = values  # fmt: skip
    return Head(
        key=key, id=id, born=born, state=state, epoch=epoch, first=first, last=last, size=size,
        lease=lease, retain=retain, heard=heard, updated=updated, cancel=cancel,
        owner=owner,
    )  # fmt: skip


def _row_crc(row: tuple[Any, ...]) -> int:
    """That of a row without an owner is the one it had in version 1."""
    return _crc(row if row[-1] is not None else row[:-1])


def _crc(values: tuple[Any, ...], data: bytes = b"") -> int:
    return crc32(data, crc32(repr(values).encode("utf-8", "surrogatepass")))


def _damaged(what: str) -> StoreError:
    return StoreError(f"the store is damaged: {what} is not what was written")
