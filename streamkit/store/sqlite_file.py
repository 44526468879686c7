"""
Opening a SQLite file that is ours alone.

- It is private from the moment on at which it exists: made with mode 0600 and without following a
  link, before SQLite opens it. SQLite gives its companions, -wal and -shm, the mode of the file.
- What is there already must be a plain file of ours with one name, and readable by nobody else:
  else somebody has put it there, or reads along.
- A file that exists is looked at and never opened here: closing any descriptor of it would free the
  locks that this process holds on it through SQLite (POSIX).

Source: PROMISES.md S12; sqlite.org/howtocorrupt.html section 2.2, 2026-11.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any
from urllib.parse import quote

from streamkit.errors import StoreError, StoreUnavailable
from streamkit.process import generation

__all__ = [
    "BUSY", "Connection", "connect", "identity", "make_private", "outage", "translated", "use_wal",
]  # fmt: skip

#: Seconds that a statement waits for other writers. FACTS.md 4.2: the worst commit with four
#: processes writing took 54 ms.
BUSY = 1.0

#: Beginnings of SQLite's messages about things that may pass.
_OUTAGES = (
    "database is locked", "database table is locked", "database schema is locked", "disk i/o error",
    "unable to open database file", "database or disk is full", "attempt to write a readonly",
    "access permission denied", "locking protocol", "interrupted", "out of memory",
)  # fmt: skip

_COMPANIONS = ("-wal", "-shm", "-journal")


def make_private(path: str) -> None:
    """
    Make the file if it is not there, and the folders above it; else check that it is ours alone.

    Raises:
        StoreError: It is a link, another's, or open to others; or its folder is.
        StoreUnavailable: The operating system refuses.
    """
    try:
        _make_folder(Path(path).parent)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
            os.close(os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600))
        except FileExistsError:
            pass
        _check_file(path)
        for ending in _COMPANIONS:
            try:
                _check_file(path + ending)
            except FileNotFoundError:
                pass
    except OSError as error:
        raise outage(path, error) from error


def identity(path: str) -> tuple[int, int] | None:
    """What tells the file there from any other; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Connection(sqlite3.Connection):
    """
    A connection that knows the process it belongs to: uWSGI forks without telling anybody.

    Thread safety: as its base.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._generation = generation()

    @property
    def inherited(self) -> bool:
        """True in a forked child of the process that made this."""
        return self._generation != generation()


def connect(path: str) -> Connection:
    """
    A connection to a file that exists, which begins transactions when it is told to.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    uri = f"file:{quote(path)}?mode=rw"  # never creates one
    return sqlite3.connect(
        uri, uri=True, timeout=BUSY, isolation_level=None, check_same_thread=False,
        factory=Connection,
    )  # fmt: skip


def use_wal(db: sqlite3.Connection, path: str) -> None:
    """
    Write-ahead logging, and no trust in what the file says about itself.

    Raises:
        sqlite3.Error: Another process is just doing that, or the file is damaged.
        StoreError: It is on a file system that cannot.
    """
    mode = db.execute("PRAGMA journal_mode=WAL").fetchall()[0][0]
    if mode != "wal":
        raise StoreError(f"the file system of {path!r} cannot do WAL: got {mode!r}")
    # A crash of the process loses no commit; a power cut may lose the newest ones.
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA cell_size_check=ON")


def outage(path: str, error: Exception) -> StoreUnavailable:
    """The file cannot be reached; the error is to be its cause."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StoreUnavailable(f"the store {path!r} cannot be used: {why}")


def translated(path: str, error: Exception) -> StoreError:
    """What SQLite raised, as one of ours: an outage, or a file that is not what we wrote."""
    if isinstance(error, UnicodeDecodeError):  # it would quote the file
        text = "it holds what is no text"
    else:
        text = str(error) or type(error).__name__
    if isinstance(error, sqlite3.OperationalError) and text.lower().startswith(_OUTAGES):
        return outage(path, error)
    return StoreError(f"the store {path!r} is damaged, or no store of streamkit: {text}")


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        _make_folder(folder.parent)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass  # another process was faster
    if os.name != "posix":
        return
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise StoreError(f"the folder {str(folder)!r} belongs to user {found.st_uid}")
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise StoreError(f"the folder {str(folder)!r} can be written by everybody")


def _check_file(path: str) -> None:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise StoreError(f"{path!r} is a symbolic link, which is not followed")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path!r} is no file")
    if os.name != "posix":
        return
    if found.st_nlink > 1:
        raise StoreError(f"{path!r} has {found.st_nlink} names (hard links)")
    if found.st_uid != os.geteuid():
        raise StoreError(f"{path!r} belongs to user {found.st_uid}")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise StoreError(f"{path!r} is open to others: its mode is {mode:04o} and must be 0600")
