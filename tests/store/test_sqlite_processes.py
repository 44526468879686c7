"""
Several processes on one file: killed, stopped, forked, and at odds over one stream (P58).

The children are forked by a small process of their own, which never ran pytest's threads, and which
prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: How many writers are killed. Source: PROMISES.md P58.
KILLS = 1_000 if os.environ.get("STREAMKIT_BIG_TESTS") == "1" else 100

PROLOGUE = """
import json, os, random, signal, sys, time
from pathlib import Path
from streamkit.errors import *
from streamkit.store import SqliteStore
PATH, SEED = sys.argv[1], int(sys.argv[2])
rng = random.Random(SEED)

def fork(work):
    "Run work(pipe) in a child; (pid, the pipe's end to read from)."
    out, into = os.pipe()
    pid = os.fork()
    if pid:
        os.close(into)
        return pid, out
    code = 1
    try:
        os.close(out)
        work(into)
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        os._exit(code)

def read_all(pipe):
    with os.fdopen(pipe, "rb") as lines:
        return lines.read()

def reap(*children):
    for pid, _ in children:
        _, status = os.waitpid(pid, 0)
        assert status == 0, (pid, status)

def texts(store, id, after=0):
    found = store.read(id, after, block=0, until_end=False)
    return [entry.data["text"] for entry in found if entry.kind == "chunk"]
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Any]:
    def run(text: str, seed: int = 0, **values: Any) -> Any:
        for name, value in values.items():
            text = text.replace(name, repr(value))
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-c",
                PROLOGUE + text,
                str(tmp_path / "s.db"),
                str(seed),
            ],
            capture_output=True,
            text=True,
            timeout=55,
            check=False,
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        return json.loads(done.stdout)

    return run


KILLING = """
def work(pipe):
    store = SqliteStore(PATH)
    writer = store.claim("a", on_busy="takeover", on_lost="takeover")
    n = len(texts(store, "a"))
    while True:
        batch = [{"text": str(n + i)} for i in range(rng.choice((1, 1, 5, 40)))]
        writer.append(batch)
        n += len(batch)
        os.write(pipe, b"%d\\n" % n)

acknowledged, kept = 0, None
for kill in range(KILLS):
    if kill % 4 == 0:  # now and then somebody else has the file open, and SQLite need not recover
        kept = SqliteStore(PATH)
    elif kill % 4 == 2 and kept is not None:
        kept.close()
        kept = None
    child = fork(work)
    if kill % 3:
        os.read(child[1], 1)  # let it begin
    time.sleep(rng.random() * 0.004)
    os.kill(child[0], signal.SIGKILL)
    os.waitpid(child[0], 0)
    lines = read_all(child[1]).split()
    acknowledged = int(lines[-1]) if lines and len(lines) > (kill % 3 != 0) else acknowledged
    if acknowledged > 3_000 or kill % 50 == 49:
        store = SqliteStore(PATH)
        store.delete("a")
        store.close()
        acknowledged = 0
        continue
    store = SqliteStore(PATH)
    try:
        got = texts(store, "a")
    except UnknownStream:
        got = []  # killed before its claim
    assert got == [str(n) for n in range(len(got))], got[-50:]
    assert acknowledged <= len(got) <= acknowledged + 10_000, (acknowledged, len(got))
    acknowledged = len(got)
    store.close()
if kept:
    kept.close()
print(json.dumps({"kills": KILLS}))
"""


def test_a_writer_killed_at_any_moment_leaves_all_it_was_told_is_there(
    script: Callable[..., Any],
) -> None:
    assert script(KILLING, KILLS=KILLS) == {"kills": KILLS}


def test_a_killed_writers_stream_is_listed_read_and_carried_on_by_another_process(
    script: Callable[..., Any],
) -> None:
    found = script("""
def work(pipe):
    writer = SqliteStore(PATH).claim("a", lease=0.3, meta={"model": "m"})
    writer.append([{"text": str(n)} for n in range(10)])
    os.write(pipe, b"x")
    signal.pause()
child = fork(work)
os.read(child[1], 1)
os.kill(child[0], signal.SIGKILL)
os.waitpid(child[0], 0)
killed = time.monotonic()
store = SqliteStore(PATH)
listed = [(info.id, info.state, info.last, info.meta) for info in store.streams()]
got = []
try:
    for entry in store.read("a"):
        got.append(entry.kind)
except ProducerLost as error:
    last, took = error.last_seq, time.monotonic() - killed
writer = store.claim("a", on_lost="takeover")
print(json.dumps([listed, got, last, took, writer.epoch]))
""")
    listed, got, last, took, epoch = found
    assert listed == [["a", "open", 10, {"model": "m"}]]
    assert got == ["chunk"] * 10 + ["lost"] and (last, epoch) == (10, 2)
    assert took < 3, "lease 0.3 s and one poll"


@pytest.mark.skipif(sys.platform != "linux", reason="only the lease tells")
def test_a_killed_writer_is_known_as_lost_at_once(script: Callable[..., Any]) -> None:
    """Its lease is that of publish(), 15 s; nobody waits for it."""
    before, blocked, listed, busy, last, epoch = script("""
import threading
def work(pipe):
    store = SqliteStore(PATH)
    for id in "abcd":
        store.claim(id).append([{"text": "x"}])
    os.write(pipe, b"x")
    signal.pause()
child = fork(work)
os.read(child[1], 1)
store = SqliteStore(PATH)
before = [info.lease_left > 10 for info in store.streams()]
try:
    store.claim("c", on_lost="takeover")
except StreamBusy:
    before.append("busy")
took = []
def follow():
    try:
        list(store.read("a", block=30))
    except ProducerLost:
        took.append(time.monotonic())
looked, lease_left = threading.Event(), store.lease_left
store.lease_left = lambda head: (lease_left(head), looked.set())[0]
thread = threading.Thread(target=follow)
thread.start()
looked.wait()  # it saw the writer alive, and waits for its next word
os.kill(child[0], signal.SIGKILL)
killed = time.monotonic()
thread.join()
blocked = took[0] - killed  # nobody has waited for it: it is a zombie
listed = [(info.id, info.state, info.lease_left) for info in store.streams()]
try:
    store.claim("d")
except StreamEnded as error:
    busy = "is lost" in str(error)
os.waitpid(child[0], 0)
try:
    begin = time.monotonic()
    list(store.read("b", 1))
except ProducerLost as error:
    last = [error.last_seq, time.monotonic() - begin]
writer = store.claim("c", on_lost="takeover")
print(json.dumps([before, blocked, listed, busy, last, writer.epoch]))
""")
    assert before == [True] * 4 + ["busy"]
    assert blocked < 1
    assert listed == [["a", "lost", 0.0]] + [[id, "open", 0.0] for id in "bcd"]
    assert busy and last[0] == 1 and last[1] < 1 and epoch == 2


def test_a_stopped_writer_is_not_lost_before_its_lease(script: Callable[..., Any]) -> None:
    took, left = script("""
def work(pipe):
    writer = SqliteStore(PATH).claim("a", lease=1.5)
    os.write(pipe, b"x")
    signal.pause()
begin = time.monotonic()
child = fork(work)
os.read(child[1], 1)
os.kill(child[0], signal.SIGSTOP)
os.waitpid(child[0], os.WUNTRACED)
store = SqliteStore(PATH)
left = store.info("a").lease_left
try:
    list(store.read("a", block=0.1))
except ProducerLost:
    took = time.monotonic() - begin
os.kill(child[0], signal.SIGKILL)
os.waitpid(child[0], 0)
print(json.dumps([took, left]))
""")
    assert took >= 1.5 and left > 0


def test_a_writer_lives_on_when_its_main_thread_has_ended(script: Callable[..., Any]) -> None:
    """Linux shows such a process as a zombie."""
    state, left = script("""
def work(pipe):
    import ctypes, threading
    writer = SqliteStore(PATH).claim("a")
    def run():
        while b") Z " not in Path("/proc/self/stat").read_bytes():
            time.sleep(0.001)
        writer.append([{"text": "still here"}])
        os.write(pipe, b"x")
        signal.pause()
    threading.Thread(target=run).start()
    ctypes.CDLL(None).pthread_exit(None)
child = fork(work)
os.read(child[1], 1)
state = Path(f"/proc/{child[0]}/stat").read_text().split(")")[1].split()[0]
store = SqliteStore(PATH)
left = store.info("a").lease_left
assert texts(store, "a") == ["still here"]
os.kill(child[0], signal.SIGKILL)
os.waitpid(child[0], 0)
print(json.dumps([state, left]))
""")
    assert state == "Z" and left > 10


def test_of_many_processes_one_gets_each_stream(script: Callable[..., Any]) -> None:
    wins = script("""
def work(pipe):
    os.read(gate[0], 1)  # all begin at once, with a file that nobody has made yet
    store, won = SqliteStore(PATH), []
    for n in range(40):
        try:
            store.claim(f"s{n}").append([{"text": "mine"}])
            won.append(n)
        except (StreamBusy, StreamEnded):  # the winner writes, or has ended: then it is lost
            pass
    os.write(pipe, json.dumps(won).encode())
gate = os.pipe()
children = [fork(work) for _ in range(6)]
os.write(gate[1], b"x" * 6)
won = [json.loads(read_all(pipe)) for _, pipe in children]
reap(*children)
print(json.dumps(sorted(sum(won, []))))
""")
    assert wins == list(range(40))


def test_readers_in_other_processes_follow(script: Callable[..., Any]) -> None:
    lengths = script("""
def work(pipe):
    store = SqliteStore(PATH)
    os.write(pipe, b"!")
    got = [entry.data.get("text") for entry in store.read("a")]
    assert got == [str(n) for n in range(300)] + [None]
    os.write(pipe, str(len(got)).encode())
store = SqliteStore(PATH)
writer = store.claim("a")
children = [fork(work) for _ in range(4)]
for n in range(300):
    if n == 150:
        for _, pipe in children:
            os.read(pipe, 1)
    writer.append([{"text": str(n)}])
writer.end({})
lengths = [int(read_all(pipe)) for _, pipe in children]
reap(*children)
print(json.dumps(lengths))
""")
    assert lengths == [301] * 4


def test_many_writing_processes_lose_nothing(script: Callable[..., Any]) -> None:
    script("""
def work(pipe):
    store = SqliteStore(PATH)
    writer = store.claim(str(os.getpid()))
    for n in range(200):
        writer.append([{"text": str(n)}])
    writer.end({})
children = [fork(work) for _ in range(4)]
reap(*children)
store = SqliteStore(PATH)
for pid, _ in children:
    assert texts(store, str(pid)) == [str(n) for n in range(200)]
print("true")
""")


def test_a_writer_that_was_stopped_and_replaced_is_fenced(script: Callable[..., Any]) -> None:
    said, got = script("""
def work(pipe):
    writer = SqliteStore(PATH).claim("a", lease=0.2)
    n = 0
    try:
        while True:
            writer.append([{"text": f"old {n}"}])
            n += 1
            os.write(pipe, b".")
            time.sleep(0.001)
    except StoreError as error:
        os.write(pipe, type(error).__name__.encode())
child = fork(work)
os.read(child[1], 1)
os.kill(child[0], signal.SIGSTOP)
store = SqliteStore(PATH)
while True:
    try:
        writer = store.claim("a", on_lost="takeover")
        break
    except StreamBusy:
        time.sleep(0.02)
    except StoreUnavailable:  # it was stopped within a write, and holds the file
        os.kill(child[0], signal.SIGCONT)
        time.sleep(0.01)
        os.kill(child[0], signal.SIGSTOP)
writer.append([{"text": "new"}])
os.kill(child[0], signal.SIGCONT)
said = read_all(child[1]).decode().strip(".")
reap(child)
writer.end({})
print(json.dumps([said, texts(store, "a")]))
""")
    assert said == "Fenced"
    assert got == [f"old {n}" for n in range(len(got) - 1)] + ["new"]


def test_a_fork_leaves_the_parent_its_file_and_the_child_one_of_its_own(
    script: Callable[..., Any],
) -> None:
    script("""
store = SqliteStore(PATH)
writer = store.claim("a")
writer.append([{"text": "0"}])
reader = store.read("a")
next(reader)
for round in range(6):
    child = os.fork()
    if child == 0:
        try:
            writer.append([{"text": "from the child"}])
            os._exit(3)
        except ConcurrencyError:
            pass
        writer.close()
        assert texts(store, "a")[0] == "0"
        store.claim(f"child {round}").append([{"text": "x"}])
        if round % 2:
            store.close()
        if round % 3 == 0:
            os._exit(0)
        sys.exit(0)  # interpreter teardown included
    _, status = os.waitpid(child, 0)
    assert status == 0, (round, status)
    writer.append([{"text": str(round + 1)}])
    assert next(reader).data == {"text": str(round + 1)}
assert texts(store, "a") == [str(n) for n in range(7)]
lives = {info.id: info.lease_left > 0 for info in store.streams()}
assert len(lives) == 7 and lives.pop("a")
assert not any(lives.values()) or sys.platform != "linux", "they are the children's own"
store.close()
import sqlite3
db = sqlite3.connect(PATH)
assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
db.close()
print("true")
""")


def test_a_fork_while_another_thread_writes_gives_a_child_that_works(
    script: Callable[..., Any],
) -> None:
    script(
        """
import threading, warnings
warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads: that is the point
from streamkit.store import open_store
store = open_store(f"sqlite:///{PATH}")
memory = open_store("memory://")
ended = threading.Event()
def busy(writer):
    while not ended.is_set():
        writer.append([{"text": "x"}])
        time.sleep(0.0005)  # a writer that never pauses lets no other process have its turn
threads = [threading.Thread(target=busy, args=(each.claim("a"),), daemon=True)
    for each in (store, memory)]
for thread in threads:
    thread.start()
for round in range(ROUNDS):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        assert memory.streams() == []
        assert open_store("memory://") is not memory
        store.info("a")
        mine = open_store(f"sqlite:///{PATH}")
        assert mine is not store
        mine.claim(f"child {round}").end({})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, (round, status)
ended.set()
for thread in threads:
    thread.join()
assert len(store.streams()) == ROUNDS + 1
print("true")
""",
        ROUNDS=20,
    )


def test_a_disk_that_is_full_is_an_outage(script: Callable[..., Any]) -> None:
    script("""
import resource
store = SqliteStore(PATH)
writer = store.claim("a")
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
written, failed = 0, 0
for n in range(200):
    try:
        writer.append([{"text": str(written) + "x" * 1000}])
        written += 1
    except StoreUnavailable:
        failed += 1
        if failed == 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
assert failed >= 20 and written > 50, (failed, written)
got = texts(store, "a")
assert [text.rstrip("x") for text in got] == [str(n) for n in range(written)]
print("true")
""")


UNHEARD = """
import ctypes

store = SqliteStore(PATH)
writer = store.claim("a")
writer.append([{"text": "one"}])
mine = store._writer, store._reader
out, into = os.pipe()
pid = ctypes.CDLL(None).fork()  # as uWSGI does: none of Python's hooks runs
if pid == 0:
    store.claim("b").append([{"text": "two"}])
    store.claim("c")
    texts(store, "b")
    fresh = store._writer not in mine and store._reader not in mine
    os.write(into, b"1" if fresh else b"0")
    store.close()
    os._exit(0)
fresh = os.read(out, 1) == b"1"
reap((pid, None))
writer.append([{"text": "three"}])
print(json.dumps([fresh, texts(store, "a"), texts(store, "b")]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="forks behind Python's back")
def test_a_fork_that_nobody_was_told_of_uses_no_connection_of_the_parent(
    script: Callable[..., Any],
) -> None:
    assert script(UNHEARD) == [True, ["one", "three"], ["two"]]
