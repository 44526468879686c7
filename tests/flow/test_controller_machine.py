"""
FlowController under random schedules: several producers, a consumer that is let go at random.

The consuming thread and the producers are real. What they do when is left to hypothesis, which
holds the consumer at a gate, and to the system. The accounting must balance in every snapshot
meanwhile, and to the item in the end.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from streamkit.errors import BufferClosed, BufferFull
from streamkit.flow import (
    POLICIES,
    BatchConfig,
    BufferConfig,
    FlowConfig,
    FlowController,
    FlowStats,
    FullRing,
    Verdict,
)

PATIENCE = 10.0

#: The serial numbers of what was merged into it.
Item = tuple[int, ...]

#: One time in eight, or a schedule would hardly ever last.
ENDS = st.integers(0, 7).map(lambda dice: dice == 7)


def merge(old: Item, new: Item) -> Item | None:
    return old + new if len(old) < 4 else None


def shed_odd(ring: FullRing[Item], item: Item) -> Verdict:
    """A user's own policy."""
    return "shed" if item[0] % 2 else "wait"


class Schedule(RuleBasedStateMachine):
    """A controller, and those who use it."""

    @initialize(
        overflow=st.sampled_from([*POLICIES, shed_odd]),
        capacity=st.integers(1, 5),
        more=st.integers(0, 12),
        enabled=st.booleans(),
        survives=st.booleans(),
        batch=st.none() | st.builds(BatchConfig, timeout=st.sampled_from([None, 0.0, 0.001])),
    )
    def begin(self, overflow: Any, capacity: int, more: int, batch: Any, **flow: bool) -> None:
        self.overflow = overflow
        self.gate = threading.Semaphore(0)
        self.over = False
        self.fails = False
        self.aborted = False
        self.serial = 0
        self.pool = ThreadPoolExecutor(3)
        self.pushes: list[Future[int]] = []
        self.got: list[Item] = []
        self.batched = batch is not None
        self.flow: FlowController[Item] = FlowController(
            self.consume,
            buffer=BufferConfig(capacity=capacity, max_capacity=capacity + more, overflow=overflow),
            flow=FlowConfig(
                enabled=flow["enabled"], errors="count" if flow["survives"] else "raise"
            ),
            batch=batch,
            merge=merge,
        ).start()

    def consume(self, items: Any) -> None:
        assert self.over or self.gate.acquire(timeout=PATIENCE)
        self.got += items if self.batched else [items]
        if self.fails:
            raise ValueError("asked for")

    def push_some(self, count: int, timeout: float | None) -> int:
        """How many of them were taken in."""
        first, self.serial = self.serial, self.serial + count
        for done in range(count):
            try:
                self.flow.push((first + done,), timeout)
            except (BufferFull, BufferClosed):
                return done
        return count

    @rule(count=st.integers(1, 8))
    def push_what_fits(self, count: int) -> None:
        self.pushes.append(Future())
        self.pushes[-1].set_result(self.push_some(count, 0))

    @rule(count=st.integers(1, 8))
    def push_in_a_thread(self, count: int) -> None:
        self.pushes.append(self.pool.submit(self.push_some, count, None))

    @rule(calls=st.integers(1, 8))
    def let_the_consumer_go(self, calls: int) -> None:
        self.gate.release(calls)

    @rule(fails=ENDS)
    def let_the_consumer_fail(self, fails: bool) -> None:
        self.fails = fails
        self.gate.release()

    @rule(ends=ENDS)
    def complete(self, ends: bool) -> None:
        try:
            if ends:
                self.flow.complete(timeout=0)
        except (TimeoutError, ValueError):
            pass

    @rule(ends=ENDS)
    def abort(self, ends: bool) -> None:
        if ends:
            self.aborted = True
            self.flow.abort()

    @invariant()
    def the_accounting_balances(self) -> None:
        if hasattr(self, "flow"):
            self.balanced()

    def balanced(self) -> FlowStats:
        stats = self.flow.stats()
        ways = (stats.delivered, stats.dropped, stats.merged, stats.pending)
        assert min(ways) >= 0 and stats.received == sum(ways)
        return stats

    def teardown(self) -> None:
        if not hasattr(self, "flow"):
            return
        try:
            self.finish()
        finally:
            self.flow.abort()
            self.pool.shutdown()

    def finish(self) -> None:
        self.over = True
        self.gate.release(1_000)
        taken = sum(push.result(PATIENCE) for push in self.pushes)
        try:
            self.flow.complete(PATIENCE)
            failed = False
        except ValueError:
            failed = True
        stats = self.balanced()
        assert (stats.state, stats.pending, stats.received) == ("completed", 0, taken)
        assert stats.delivered == len(self.got)
        serials = [serial for item in self.got for serial in item]
        assert len(set(serials)) == len(serials), "nothing twice"
        if not (failed or self.aborted):
            assert len(serials) + stats.dropped == taken
            assert not stats.dropped or self.flow._ring.lossy
        if stats.batches is not None:
            left = 0 if not (failed or self.aborted) else stats.dropped
            assert 0 <= stats.batches.chunks_batched - stats.delivered <= left
            assert stats.batches.chunks_pending <= left


def test_received_is_delivered_and_dropped_under_any_schedule() -> None:
    run_state_machine_as_test(Schedule, settings=settings(max_examples=150, stateful_step_count=25))
