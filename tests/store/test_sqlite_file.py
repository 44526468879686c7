"""The file is private from its first moment, and nobody else's file is ever touched (S12)."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit.errors import StoreError, StoreUnavailable
from streamkit.store import SqliteStore


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_and_its_companions_are_private_whatever_the_umask(
    tmp_path: Path, open_umask: None
) -> None:
    store = SqliteStore(tmp_path / "deep" / "er" / "store.db")
    store.claim("a").append([{"text": "x"}])
    files = sorted((tmp_path / "deep" / "er").iterdir())
    assert [path.name for path in files] == ["store.db", "store.db-shm", "store.db-wal"]
    assert [mode(path) for path in files] == [0o600] * 3
    assert mode(tmp_path / "deep") == mode(tmp_path / "deep" / "er") == 0o700
    store.close()


def test_the_file_is_never_open_to_others_not_even_for_a_moment(
    tmp_path: Path, open_umask: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    connect = sqlite3.connect

    def look(*arguments: Any, **options: Any) -> Any:
        seen.append(mode(tmp_path / "store.db"))
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", look)
    SqliteStore(tmp_path / "store.db").close()
    assert seen and set(seen) == {0o600}


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_planted_symlink_is_refused(tmp_path: Path, ending: str, dangling: bool) -> None:
    target = tmp_path / "target"
    if not dangling:
        target.write_bytes(b"precious")
        target.chmod(0o600)
    (tmp_path / f"store.db{ending}").symlink_to(target)
    with pytest.raises(StoreError, match="symbolic link"):
        SqliteStore(tmp_path / "store.db")
    assert target.exists() is not dangling
    assert dangling or target.read_bytes() == b"precious"


@pytest.mark.parametrize("ending", ["", "-wal"])
def test_a_planted_hard_link_is_refused(tmp_path: Path, ending: str) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"")
    target.chmod(0o600)
    os.link(target, tmp_path / f"store.db{ending}")
    with pytest.raises(StoreError, match="hard link"):
        SqliteStore(tmp_path / "store.db")
    assert target.read_bytes() == b""


def test_a_folder_or_a_pipe_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("folder", "pipe"):
        with pytest.raises(StoreError, match="no file"):
            SqliteStore(tmp_path / name)


@pytest.mark.parametrize("bits", [0o644, 0o660, 0o604])
def test_a_file_that_is_open_to_others_is_refused(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "store.db"
    SqliteStore(path).close()
    path.chmod(bits)
    with pytest.raises(StoreError, match=f"its mode is {bits:04o}"):
        SqliteStore(path)


def test_a_folder_that_everybody_can_write_is_refused_unless_sticky(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o777)
    for path in (folder / "store.db", folder / "deeper" / "store.db"):
        with pytest.raises(StoreError, match="everybody"):
            SqliteStore(path)
    assert list(folder.iterdir()) == []
    folder.chmod(0o1777)
    SqliteStore(folder / "store.db").close()


def test_what_belongs_to_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    SqliteStore(path).close()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StoreError, match="belongs to user"):
        SqliteStore(path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EIO, errno.EMFILE])
def test_what_the_system_refuses_is_an_outage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(StoreUnavailable, match=os.strerror(number)) as caught:
            SqliteStore(tmp_path / "store.db")
    assert isinstance(caught.value.__cause__, OSError) and caught.value.retryable
    SqliteStore(tmp_path / "store.db").close()


def test_an_empty_file_of_ours_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.touch(0o600)
    store = SqliteStore(path)
    store.claim("a").end({})
    store.close()


def test_a_path_may_hold_what_urls_and_sql_give_a_meaning(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%41&mode=memory 'x' \u00e9.db"
    store = SqliteStore(path)
    store.claim("a")
    assert path.stat().st_size > 0
    store.close()
