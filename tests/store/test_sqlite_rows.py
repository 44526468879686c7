"""A damaged file is an error or a prefix, never wrong text and never an error of SQLite's (S15)."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from streamkit.errors import StoreError
from streamkit.store import SqliteStore

WORDS = [f"word {n} of the answer" for n in range(60)]
META = {"model": "m", "messages": ["a question"]}


def fill(path: Path) -> SqliteStore:
    """Two streams: one ended, one open; batches of 3."""
    store = SqliteStore(path)
    for id in ("ended", "open"):
        writer = store.claim(id, lease=1e6, meta=META)
        for n in range(0, len(WORDS), 3):
            writer.append([{"text": word} for word in WORDS[n : n + 3]])
    writer = store.claim("ended", on_busy="takeover", lease=1e6)
    writer.end({"outcome": "done"})
    return store


def check(path: Path) -> tuple[int, int]:
    """Whatever can be read is what was written; how many entries, how many errors."""
    read = errors = 0
    try:
        store = SqliteStore(path)
    except StoreError:
        return 0, 1
    for id in ("ended", "open"):
        try:
            for entry in store.read(id, block=0, until_end=False):
                read += 1
                if entry.seq <= len(WORDS):
                    assert (entry.kind, entry.data) == ("chunk", {"text": WORDS[entry.seq - 1]})
                    assert entry.epoch == 1
                else:
                    kind = ("takeover", "end")[entry.seq - len(WORDS) - 1]
                    assert (entry.kind, entry.epoch) == (kind, 2) and id == "ended"
        except StoreError:
            errors += 1
        try:
            assert store.info(id).meta == META
        except StoreError:
            errors += 1
    for call in (store.streams, store.sweep, lambda: store.cancel("open")):
        try:
            call()
        except StoreError:
            errors += 1
    store.close()
    return read, errors


def write(path: Path, data: bytes) -> None:
    for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(data)


def mutated(rng: random.Random, data: bytes) -> bytes:
    """One of several ways in which files go bad."""
    page, pages = 4096, len(data) // 4096
    changed = bytearray(data)
    way = rng.randrange(6)
    if way <= 1:  # flipped bytes
        for _ in range(rng.choice((1, 1, 2, 8, 64))):
            changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
    elif way == 2:
        del changed[rng.randrange(len(changed)) :]
    elif way == 3:  # a run of zeros or of noise
        at, run = rng.randrange(len(changed)), rng.choice((4, 64, 4096))
        changed[at : at + run] = rng.choice((bytes(run), rng.randbytes(run)))
        del changed[len(data) :]
    elif way == 4:  # one page in the place of another
        a, b = rng.randrange(pages), rng.randrange(pages)
        changed[a * page : (a + 1) * page] = data[b * page : (b + 1) * page]
    else:  # text in the place of text
        at = data.find(rng.choice((b"word 1", b"word 2", b"ended", b"open", b"takeover")))
        changed[at] ^= 1 << rng.randrange(5)
    return bytes(changed)


@pytest.mark.parametrize("seed", range(8))
def test_a_mutated_file_gives_a_prefix_or_a_store_error(tmp_path: Path, seed: int) -> None:
    fill(tmp_path / "good.db").close()
    data = (tmp_path / "good.db").read_bytes()
    assert check(tmp_path / "good.db") == (2 * len(WORDS) + 2, 0)
    rng = random.Random(seed)
    path = tmp_path / "bad.db"
    found = 0
    for _ in range(250):
        write(path, mutated(rng, data))
        found += check(path)[1] > 0
    assert found > 25, "most damage was not even noticed: is this test looking?"


def test_a_torn_log_gives_a_prefix(tmp_path: Path) -> None:
    """The log of a killed process, cut anywhere: the commits before the cut are there."""
    store = fill(tmp_path / "live.db")
    wal, main = tmp_path / "live.db-wal", tmp_path / "live.db"
    log, data = wal.read_bytes(), main.read_bytes()
    store.close()
    rng = random.Random(1)
    header, frame = 32, 4096 + 24
    cuts = {0, 1, header - 1, header, len(log) - 1, len(log)}
    cuts |= {header + n * frame + d for n in range(0, len(log) // frame) for d in (-1, 0, 1)}
    cuts |= {rng.randrange(len(log)) for _ in range(150)}
    most = 0
    for cut in sorted(c for c in cuts if 0 <= c <= len(log)):
        write(tmp_path / "torn.db", data)
        torn = tmp_path / "torn.db-wal"
        torn.touch(0o600)
        torn.write_bytes(log[:cut])
        read, _ = check(tmp_path / "torn.db")
        assert read >= most, "a longer log must not give less"
        most = read
    assert most == 2 * len(WORDS) + 2


def test_a_log_with_flipped_bytes_gives_a_prefix(tmp_path: Path) -> None:
    store = fill(tmp_path / "live.db")
    log, data = (tmp_path / "live.db-wal").read_bytes(), (tmp_path / "live.db").read_bytes()
    store.close()
    rng = random.Random(2)
    for _ in range(150):
        write(tmp_path / "bad.db", data)
        changed = bytearray(log)
        changed[rng.randrange(len(log))] ^= rng.randrange(1, 256)
        (tmp_path / "bad.db-wal").touch(0o600)
        (tmp_path / "bad.db-wal").write_bytes(changed)
        check(tmp_path / "bad.db")


FORGED: list[tuple[str, Any]] = [
    ("UPDATE entries SET data = ? WHERE seq = 2", b'{"text":"wrong"}'),
    ("UPDATE entries SET data = ? WHERE seq = 2", "text, not a blob"),
    ("UPDATE entries SET kind = ? WHERE seq = 2", "end"),
    ("UPDATE entries SET seq = seq + ? WHERE stream = 1", 1000),
    ("UPDATE entries SET stream = 3 - stream + ? WHERE seq = 2 AND stream = 1", 5),
    ("UPDATE streams SET last = ?", 2),
    ("UPDATE streams SET state = ?", "ended"),
    ("UPDATE streams SET epoch = ?", "many"),
    ("UPDATE streams SET lease = ?", None),
    ("UPDATE streams SET owner = ?", None),
    ("UPDATE streams SET owner = ?", "b pid:[1] time:[2] 1 1"),
    ("UPDATE metas SET data = ?", b"{}"),
    ("DELETE FROM entries WHERE seq = ?", 2),
    ("DELETE FROM metas WHERE 1 = ?", 1),
    ("UPDATE streams SET id = id || ?", "x"),
]


@pytest.mark.parametrize(("statement", "value"), FORGED)
def test_a_changed_row_is_noticed(tmp_path: Path, statement: str, value: Any) -> None:
    path = tmp_path / "store.db"
    fill(path).close()
    db = sqlite3.connect(path)
    db.execute(statement, (value,))
    db.commit()
    db.close()
    assert check(path)[1] > 0


def test_one_damaged_stream_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    fill(path).close()
    shutil.copy(path, tmp_path / "copy.db")
    for name, statement in (
        ("store.db", "UPDATE streams SET last = 1 WHERE id = 'ended'"),
        ("copy.db", "UPDATE metas SET data = 'x' WHERE stream = 1"),
    ):
        db = sqlite3.connect(tmp_path / name)
        db.execute(statement)
        db.commit()
        db.close()
        store = SqliteStore(tmp_path / name)
        assert [info.id for info in store.streams()] == ["open"]
        with pytest.raises(StoreError, match="damaged"):
            store.info("ended")
        assert store.sweep() == 0
        store.claim("new").end({})
        store.close()
