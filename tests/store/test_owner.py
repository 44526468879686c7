"""A fake /proc: who is certainly gone, and all those of whom nobody knows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import streamkit.store.owner as module
from streamkit.store import MemoryStore
from streamkit.store.owner import Owners

LINUX = sys.platform == "linux"
OTHER = 4242


class World:
    """Processes as /proc shows them, and as signals find them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.signalled: list[tuple[int, int]] = []
        self.answers: dict[int, OSError] = {}
        self.write("sys/kernel/random/boot_id", "boot-1\n")
        (root / "self" / "ns").mkdir(parents=True)
        self.link("pid", "pid:[1]")
        self.link("time", "time:[2]")
        self.process("self", os.getpid(), start=100)
        self.process(str(OTHER), OTHER, start=200)
        self.mine = self.owners()
        self.other = f"boot-1 pid:[1] time:[2] {OTHER} 200"

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def link(self, name: str, target: str) -> None:
        path = self.root / "self" / "ns" / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def process(self, name: str, pid: int, start: int, state: str = "S", threads: int = 1) -> None:
        self.write(f"{name}/status", f"Name:\tx\nNSpid:\t{pid}\n")
        fields = ["0"] * 16 + [str(threads), "0", str(start)] + ["7"] * 30
        self.write(f"{name}/stat", f"{pid} (a) Z 1 ) {state} {' '.join(fields)}\n")

    def signal(self, pid: int, number: int) -> None:
        self.signalled.append((pid, number))
        if pid in self.answers:
            raise self.answers[pid]

    def owners(self) -> Owners:
        return Owners(str(self.root), self.signal)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "proc")


def test_a_process_is_named_by_boot_namespaces_number_and_start(world: World) -> None:
    assert world.mine.me() == f"boot-1 pid:[1] time:[2] {os.getpid()} 100"


def test_one_that_lives_is_not_gone(world: World) -> None:
    assert not world.mine.is_gone(world.other)
    assert world.signalled == [(OTHER, 0)], "nothing is delivered"


def test_oneself_is_not_asked_for(world: World) -> None:
    assert not world.mine.is_gone(str(world.mine.me()))
    assert world.signalled == []


def test_a_number_that_is_not_in_use_is_gone(world: World) -> None:
    world.answers[OTHER] = ProcessLookupError()
    assert world.mine.is_gone(world.other)


@pytest.mark.parametrize("answer", [None, PermissionError()])
def test_a_number_used_again_is_gone(world: World, answer: OSError | None) -> None:
    if answer is not None:  # and by another user's process
        world.answers[OTHER] = answer
    world.process(str(OTHER), OTHER, start=201)
    assert world.mine.is_gone(world.other)


@pytest.mark.parametrize(
    ("state", "threads", "gone"),
    [("Z", 1, True), ("X", 0, True), ("Z", 2, False), ("T", 1, False), ("D", 1, False)],
)
def test_a_zombie_is_gone_when_no_thread_runs_on(
    world: World, state: str, threads: int, gone: bool
) -> None:
    world.process(str(OTHER), OTHER, start=200, state=state, threads=threads)
    assert world.mine.is_gone(world.other) is gone


@pytest.mark.parametrize(
    "other",
    [
        f"boot-2 pid:[1] time:[2] {OTHER} 200",
        f"boot-1 pid:[9] time:[2] {OTHER} 200",
        f"boot-1 pid:[1] time:[9] {OTHER} 200",
        f"boot-1 pid:[1] none {OTHER} 200",
        "boot-1 pid:[1] time:[2] x 200",
        "of a later version",
        "",
    ],
)
def test_of_another_boot_or_namespace_nothing_is_known(world: World, other: str) -> None:
    world.answers[OTHER] = ProcessLookupError()
    assert not world.mine.is_gone(other)
    assert world.signalled == []


def test_a_number_no_system_has_is_nobodys() -> None:
    owners = Owners()
    place = (owners.me() or "nowhere 1 1").rsplit(" ", 2)[0]
    assert not owners.is_gone(f"{place} {10**30} 200")


def test_one_that_lives_and_is_hidden_is_not_gone(world: World) -> None:
    (world.root / str(OTHER) / "stat").unlink()  # hidepid=2
    assert not world.mine.is_gone(world.other)


@pytest.mark.parametrize("text", ["", "4242 (x", "4242 (x) S 1", "no brackets"])
def test_of_one_that_cannot_be_read_nothing_is_known(world: World, text: str) -> None:
    world.write(f"{OTHER}/stat", text)
    assert not world.mine.is_gone(world.other)


@pytest.mark.parametrize(
    "name", ["self/status", "self/stat", "sys/kernel/random/boot_id", "self/ns/pid"]
)
def test_without_a_whole_proc_nobody_is_named_and_nobody_is_gone(world: World, name: str) -> None:
    (world.root / name).unlink()
    world.answers[OTHER] = ProcessLookupError()
    assert world.mine.me() is None
    assert not world.mine.is_gone(world.other)


@pytest.mark.parametrize("line", ["NSpid:\t70 1", "NSpid:\t70", "NSpid:", "Pid:\t1", ""])
def test_a_proc_of_another_namespace_is_none(world: World, line: str) -> None:
    world.write("self/status", f"Name:\tx\n{line}\n")
    world.answers[OTHER] = ProcessLookupError()
    assert world.mine.me() is None
    assert not world.mine.is_gone(world.other)


def test_an_older_linux_has_one_time_for_all(world: World) -> None:
    (world.root / "self/ns/time").unlink()
    world.answers[OTHER] = ProcessLookupError()
    assert world.mine.is_gone(f"boot-1 pid:[1] none {OTHER} 200")


def test_what_failed_once_is_tried_again(world: World) -> None:
    path = world.root / "self" / "status"
    text = path.read_text()
    path.unlink()  # no descriptor was left to open it with
    assert world.mine.me() is None
    path.write_text(text)
    assert world.mine.me() is not None


def test_it_looks_at_itself_once_and_again_in_a_forked_child(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = world.mine.me()
    world.process("self", os.getpid(), start=300)
    assert world.mine.me() == before
    monkeypatch.setattr(module, "generation", lambda: -1)
    assert world.mine.me() == f"boot-1 pid:[1] time:[2] {os.getpid()} 300"


# The real one.


@pytest.fixture
def child() -> Any:
    code = "print(__import__('streamkit.store.owner').store.owner.Owners().me()); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:  # fmt: skip
        yield process
        process.kill()


@pytest.mark.skipif(not LINUX, reason="there is no /proc")
def test_a_zombie_and_one_that_was_waited_for_are_gone(
    child: Any,
) -> None:
    name = child.stdout.readline().strip()
    assert not Owners().is_gone(name)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert Owners().is_gone(name), "a zombie"
    child.wait(10)
    assert Owners().is_gone(name)


def test_streams_in_memory_have_no_owner_but_the_lease() -> None:
    store = MemoryStore()
    writer = store.claim("a")
    assert store.page("a", 0, 1, None)[0].owner is None
    assert store.info("a").lease_left > 10
    writer.close()
    store.close()
