"""
Every interleaving of short programs over one ring (PROMISES.md P07).

The ring's locks are replaced by locks that a scheduler steps: one thread runs at a time, and before
each acquire and each release the scheduler may hand over to another. It tries every schedule with
up to two preemptions (a switch away from a thread that could have gone on); switches away from a
blocked thread are free. Waits never time out here, so a lost wake-up stops everything; where all
threads wait, each of them must have a reason that can be read off the ring.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest

import streamkit.flow.ring
import streamkit.latch
from streamkit.errors import BufferClosed
from streamkit.flow import StreamBuffer

BIG = os.environ.get("STREAMKIT_BIG_TESTS") == "1"
PREEMPTIONS = 2
RANDOM_PROGRAMS = 500 if BIG else 25
RANDOM_RUNS = 100_000 if BIG else 2_000

pytestmark = pytest.mark.timeout(1_200 if BIG else 60)

Program = tuple[str, ...]


class Hang(BaseException):
    """Raised in every thread of a schedule that cannot go on."""


class Scheduler:
    """
    Runs functions in threads, one at a time, along a given list of choices.

    Past the end of the list a thread runs on until it blocks. ``trace`` has, for each point of
    decision, the thread that ran, those that could, and the one chosen.
    """

    def __init__(self, choices: list[int]) -> None:
        self.choices = choices
        self.trace: list[tuple[int, tuple[int, ...], int]] = []
        self.running = -1
        self.hung = False
        self.blocked_on: dict[int, SteppedLock | None] = {}
        self.turns: list[Any] = []

    def run(self, functions: list[Callable[[], None]]) -> None:
        self.turns = [threading.Lock() for _ in functions]
        for turn in self.turns:
            turn.acquire()
        self.blocked_on = dict.fromkeys(range(len(functions)))
        threads = [
            threading.Thread(target=self._thread, args=(who, function), daemon=True)
            for who, function in enumerate(functions)
        ]
        for thread in threads:
            thread.start()
        self._hand_over(-1)
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive(), "the scheduler itself hangs"
        self.running = -1

    def _thread(self, who: int, function: Callable[[], None]) -> None:
        self.turns[who].acquire()
        try:
            if not self.hung:
                function()
        except Hang:
            pass
        finally:
            del self.blocked_on[who]
            self._hand_over(who)

    def step(self, wants: SteppedLock | None = None) -> None:
        """A point of decision of the running thread, which goes on once ``wants`` is free."""
        who = self.running
        if who < 0:
            return  # outside run(): set-up and checks
        if self.hung:
            raise Hang
        self.blocked_on[who] = wants
        self._hand_over(who)
        if self.hung:
            raise Hang
        self.blocked_on[who] = None

    def _hand_over(self, who: int) -> None:
        able = tuple(t for t, lock in self.blocked_on.items() if lock is None or not lock.held)
        if self.hung or (not able and self.blocked_on):
            self.hung = True
            able = tuple(self.blocked_on)
        if not able:
            return  # the last thread has ended
        at = len(self.trace)
        chosen = self.choices[at] if at < len(self.choices) else who
        if chosen not in able:
            chosen = able[0]
        if not self.hung:
            self.trace.append((who, able, chosen))
        self.running = chosen
        if chosen != who:
            self.turns[chosen].release()
            if who in self.blocked_on:
                self.turns[who].acquire()


scheduler = Scheduler([])


class SteppedLock:
    """What the ring gets for a lock."""

    def __init__(self) -> None:
        self.held = False

    def acquire(self, timeout: float = -1) -> bool:
        scheduler.step(self)
        assert not self.held
        self.held = True
        return True

    def release(self) -> None:
        scheduler.step()
        if not self.held:
            raise RuntimeError("release unlocked lock")
        self.held = False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.held = False  # no step here: a switch before the next acquire shows the same


@pytest.fixture
def stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamkit.flow.ring, "Lock", SteppedLock)
    monkeypatch.setattr(streamkit.latch, "allocate_lock", SteppedLock)


class SteppedRing(StreamBuffer[int]):
    """With a point of decision before each flag that abort() sets without the lock."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_aborted", "_open"):
            scheduler.step()
        super().__setattr__(name, value)


class Run:
    """One execution of some programs over a fresh ring, and what came of it."""

    def __init__(self, capacity: int, overflow: str, most: int | None = None) -> None:
        self.ring = SteppedRing(capacity, overflow=overflow, max_capacity=most, merge=max)
        self.error = KeyError("given to close()")
        self.pushed: list[int] = []
        self.popped: list[int] = []
        self.names = itertools.count(1)
        self.doing: dict[int, str] = {}  # by thread

    def function(self, program: Program) -> Callable[[], None]:
        def steps() -> None:
            for step in program:
                self.doing[threading.get_ident()] = step
                getattr(self, step)()
            del self.doing[threading.get_ident()]

        return steps

    def unjustified(self) -> list[str]:
        """The steps that wait although the ring gives no reason to."""
        ring, size = self.ring, self.ring._slots.size
        waits = {
            "push": size == ring.max_capacity,
            "push3": size == ring.max_capacity,
            "pop": size == 0,
            "pop2": size == 0,
            "drain": size == 0,
            "low": size > 0,
        }
        return [step for step in self.doing.values() if ring.closed or not waits.get(step)]

    def push(self) -> None:
        self._push([next(self.names)])

    def push3(self) -> None:
        self._push([next(self.names) for _ in range(3)])

    def _push(self, items: list[int]) -> None:
        try:
            if len(items) == 1:
                self.ring.push(items[0])
            else:
                self.ring.push_many(items)
        except BufferClosed as closed:
            items = items[: closed.accepted]  # type: ignore[attr-defined]
        self.pushed += items

    def pop(self) -> None:
        self._pop(1)

    def pop2(self) -> None:
        self._pop(2)

    def _pop(self, limit: int) -> None:
        try:
            self.popped += self.ring.pop_many(limit)
        except KeyError as error:
            assert error is self.error

    def drain(self) -> None:
        try:
            while items := self.ring.pop_many(2):
                self.popped += items
        except KeyError as error:
            assert error is self.error

    def close(self) -> None:
        self.ring.close()

    def fail(self) -> None:
        self.ring.close(self.error)

    def final(self) -> None:
        self.ring.close(final=-1)

    def abort(self) -> None:
        self.ring.abort()

    def clear(self) -> None:
        self.ring.clear()

    def low(self) -> None:
        self.ring.wait_below(0)

    def check(self) -> None:
        self.ring._check()
        stats = self.ring.stats()
        items = [n for n in self.popped if n > 0]
        assert len(set(items)) == len(items), f"delivered twice: {self.popped}"
        assert self.popped.count(-1) <= 1, "the final item was delivered twice"
        assert set(items) <= set(self.pushed)
        assert (stats.pushed, stats.popped) == (len(self.pushed), len(items))


def explore(programs: list[Program], capacity: int, overflow: str, most: int | None = None) -> int:
    """Run every schedule; how many there were."""
    global scheduler
    todo: list[list[int]] = [[]]
    count = 0
    while todo:
        choices = todo.pop()
        run = Run(capacity, overflow, most)
        scheduler = Scheduler(choices)
        scheduler.run([run.function(program) for program in programs])
        trace = scheduler.trace
        if scheduler.hung:
            stuck = run.unjustified()
            assert not stuck, f"{stuck} hang in {programs}: {[chosen for _, _, chosen in trace]}"
        else:
            run.check()
        count += 1
        spent = 0
        for at, (who, able, chosen) in enumerate(trace):
            for other in able if at >= len(choices) else ():
                if other != chosen and spent + (who in able) <= PREEMPTIONS:
                    todo.append([c for _, _, c in trace[:at]] + [other])
            spent += who in able and chosen != who
    return count


PAIRS: list[list[Program]] = [
    [("push", "push", "push", "close"), ("drain",)],
    [("push", "push", "push"), ("pop", "pop", "pop")],
    [("push3", "final"), ("drain", "pop")],
    [("push", "push", "fail"), ("pop", "pop", "pop", "pop")],
    [("push", "push", "push", "close"), ("pop", "abort")],
    [("push3", "push"), ("pop", "close", "drain")],
    [("push3", "push"), ("abort", "pop")],
    [("pop2", "pop", "pop", "pop"), ("push", "abort", "push", "close")],
    [("push", "push", "close", "close"), ("pop", "close", "abort", "pop")],
    [("push", "low", "push", "close"), ("pop", "drain")],
    [("push", "push", "low"), ("clear", "clear", "abort")],
    [("push", "push", "fail", "abort"), ("abort", "fail", "drain")],
]
TRIOS: list[list[Program]] = [
    [("push", "push"), ("push", "low"), ("pop", "pop", "pop")],
    [("push", "push"), ("push", "push"), ("pop", "abort")],
    [("push", "close"), ("push", "push"), ("drain",)],
    [("pop",), ("pop",), ("push", "push")],
]


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("capacity", [1, 2])
@pytest.mark.parametrize("programs", PAIRS, ids=lambda pair: " | ".join(map(",".join, pair)))
def test_every_schedule_of_two_threads_ends(programs: list[Program], capacity: int) -> None:
    assert explore(programs, capacity, "block") > 20


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("capacity", [1, 2])
def test_every_schedule_of_all_short_programs_ends(capacity: int) -> None:
    programs = list(itertools.product(["push", "pop", "close", "abort"], repeat=2))
    for first, second in itertools.combinations_with_replacement(programs, 2):
        explore([first, second], capacity, "block")


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("capacity", [1, 2])
def test_every_schedule_of_random_programs_of_four_steps_ends(capacity: int) -> None:
    steps = ["push", "push3", "pop", "pop2", "low", "clear", "close", "fail", "final", "abort"]
    weights = [5, 2, 5, 2, 1, 1, 1, 1, 1, 1]
    for seed in range(RANDOM_PROGRAMS):
        dice = random.Random(seed)
        first, second = (tuple(dice.choices(steps, weights, k=4)) for _ in range(2))
        overflow = dice.choice(["block", "block", "drop", "overwrite", "coalesce"])
        explore([first, second], capacity, overflow)


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("overflow", ["drop", "overwrite", "coalesce"])
@pytest.mark.parametrize("programs", PAIRS[:1] + PAIRS[4:5], ids=["drain", "abort"])
def test_every_schedule_ends_under_every_policy(programs: list[Program], overflow: str) -> None:
    assert explore(programs, 1, overflow) > 20


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("overflow", ["block", "overwrite"])
@pytest.mark.parametrize("programs", PAIRS, ids=lambda pair: " | ".join(map(",".join, pair)))
def test_every_schedule_of_a_ring_that_grows_ends(programs: list[Program], overflow: str) -> None:
    assert explore(programs, 1, overflow, most=3) > 20


@pytest.mark.usefixtures("stepped")
@pytest.mark.parametrize("programs", TRIOS, ids=lambda trio: " | ".join(map(",".join, trio)))
def test_every_schedule_of_three_threads_ends(
    programs: list[Program], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not BIG:
        monkeypatch.setattr(sys.modules[__name__], "PREEMPTIONS", 1)
    assert explore(programs, 1, "block") > 50


@pytest.mark.usefixtures("stepped")
def test_the_scheduler_sees_a_lost_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamBuffer, "_wake_producers_locked", lambda ring: None)
    with pytest.raises(AssertionError, match="hang in"):
        explore(PAIRS[1], 1, "block")


# Random runs of real threads, with a watchdog.


@pytest.fixture
def hectic_pool() -> Iterator[ThreadPoolExecutor]:
    """Three running threads that are made to switch all the time."""
    with ThreadPoolExecutor(3) as pool:
        # All are up before the interval is set: a coverage tracer cannot be installed in two
        # threads at once, and the second would die of it.
        barrier = threading.Barrier(3)
        list(pool.map(lambda _: barrier.wait(10), range(3)))
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield pool
        sys.setswitchinterval(before)


def test_random_programs_on_real_threads_end(
    hectic_pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamkit.flow.ring, "WAIT_SLICE", 60.0)  # only a wake-up wakes
    for seed in range(RANDOM_RUNS):
        dice = random.Random(seed)
        overflow = dice.choice(("block", "drop", "overwrite", "coalesce"))
        run = Run(dice.choice((1, 2, 3)), overflow, dice.choice((None, 3, 8)))
        steps = ["push", "push3", "pop", "pop2", "low", "clear"]
        programs = [tuple(dice.choices(steps, k=4)) for _ in range(2)]
        # Both sides end the ring, each in its way, so that no step can wait for ever.
        ends = dice.choices(["close", "fail", "final", "abort"], k=2)
        programs = [(*programs[0], ends[0]), (*programs[1], ends[1])]
        programs.append((dice.choice(["close", "abort"]),))
        tasks = [hectic_pool.submit(run.function(program)) for program in programs]
        late = wait(tasks, timeout=10).not_done
        run.ring.abort()  # lets those go that hang
        assert not late, f"seed {seed} hangs: {programs}"
        for task in tasks:
            task.result()
        items = [n for n in run.popped if n > 0]
        assert len(set(items)) == len(items) and run.popped.count(-1) <= 1, f"seed {seed}"
        run.ring._check()
