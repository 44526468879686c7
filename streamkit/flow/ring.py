"""
StreamBuffer: items from one thread to another through a bounded number of slots.

How it works. One lock guards every shared field; the slots and the accounting are in Slots. Who has
to wait does so, without the lock, at a gate, which is a Latch: consumers at the items gate,
producers at the room gate. To wake them, a thread that holds the lock sets the gate and puts a new
one in its place. So one opening wakes all who wait, none is forgotten when another is interrupted,
and nothing is opened unless somebody said, under the lock, that it would wait.

abort() must work where the lock may not be taken: in a signal handler or a ``__del__`` that
interrupted the very frame that holds it. It sets a flag and then both gates. A waiter reads the
flag before it reads the gate, and whoever replaces a gate sets the old one: whatever the
interleaving, the waiter sees the flag or its gate opens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Generic, NoReturn, TypeVar

from typing_extensions import override

from streamkit.callback import check_callable
from streamkit.errors import BufferClosed, BufferFull, ConfigurationError
from streamkit.flow.bounds import BufferStats, check_bounds
from streamkit.flow.overflow import POLICIES, Policy, resolve
from streamkit.flow.slots import Slots
from streamkit.latch import Latch

__all__ = ["StreamBuffer"]

T = TypeVar("T")

#: A waiter looks at the ring that often, in seconds, woken or not: a KeyboardInterrupt between two
#: steps of a wake-up can lose it. The bound is that of FACTS.md F21.
WAIT_SLICE = 0.5


class StreamBuffer(Generic[T]):
    """
    Hand items from one thread to another through a bounded number of slots.

    >>> ring = StreamBuffer(capacity=2, overflow="overwrite")
    >>> [ring.push(word) for word in ("one", "two", "three")]
    [True, True, True]
    >>> ring.pop_many(10)
    ['two', 'three']

    The hooks (``overflow`` as a callable, ``may_shed``, ``merge``, ``make_gap``) run under the
    ring's lock: they must be quick, must not raise, and must not use the ring. ``size_of`` runs
    outside it, except for merged items.

    Thread safety: **hand-off**: many producers, one consumer; close(), clear(), stats() and the
    properties from any thread. abort(), len() and the properties take no lock: they may be used in
    a signal handler and in ``__del__`` as well.

    Args:
        capacity: Slots, at least 1; allocated here.
        overflow: A name in POLICIES, or a callable with the same signature.
        max_capacity: Where given, the slots double, up to this, when an item finds all of them
            taken, before the policy is asked; and halve, down to ``capacity``, when the consumer
            has emptied them and meanwhile no more than a quarter was in use.
        max_bytes: Most bytes queued, by ``size_of``; None for no bound. An item that is larger by
            itself is accepted while the ring is empty, so that nothing blocks for ever.
        size_of: The size of an item in bytes, at least 0.
        may_shed: Whether a lossy policy may lose the item; for others it waits. Default: any.
        merge: ``merge(queued, new)`` is the one item they become, or None where they cannot.
        make_gap: ``make_gap(n)`` is an item that pop shows where ``n`` items were lost.

    Raises:
        ConfigurationError: A bad value, a hook that cannot be called, or an option without the hook
            that it needs.
    """

    # Invariant: pushed == popped + dropped + merged + size, and 0 <= size <= capacity.
    # Invariant: once closed, it stays closed and no thread is left waiting.
    # Guarded by _lock: everything below except max_capacity, the hooks, and the _aborted flag.

    def __init__(
        self,
        capacity: int = 100,
        *,
        overflow: str | Policy = "block",
        max_capacity: int | None = None,
        max_bytes: int | None = None,
        size_of: Callable[[T], int] | None = None,
        may_shed: Callable[[T], bool] | None = None,
        merge: Callable[[T, T], T | None] | None = None,
        make_gap: Callable[[int], T] | None = None,
    ) -> None:
        check_bounds(capacity, max_capacity, max_bytes)
        check_callable(size_of=size_of, may_shed=may_shed, merge=merge, make_gap=make_gap)
        if max_bytes is not None and size_of is None:
            raise ConfigurationError(f"max_bytes needs size_of, got max_bytes={max_bytes} alone")
        if overflow == "coalesce" and merge is None:
            raise ConfigurationError("overflow 'coalesce' needs merge, got None")
        #: The most slots there may ever be.
        self.max_capacity = capacity if max_capacity is None else max_capacity
        self._overflow = resolve(overflow)
        self._size_of = size_of
        self._lock = Lock()
        self._slots: Slots[T] = Slots(
            capacity,
            max_capacity=max_capacity,
            max_bytes=max_bytes,
            size_of=size_of,
            may_shed=may_shed,
            merge=merge,
            make_gap=make_gap,
        )
        self._open = True  # False from close() or abort() on
        self._aborted = False
        self._final: T | None = None
        self._error: BaseException | None = None
        self._traceback: TracebackType | None = None
        self._hungry = False  # a consumer waits at the items gate, or did and gave up
        self._items_gate = Latch()
        self._wake_at = -1  # open the room gate when the size falls to this; -1: nobody waits
        self._room_gate = Latch()
        self._waits = 0
        self._time_waited = 0.0

    def push(self, item: T, timeout: float | None = None) -> bool:
        """
        Add one item; True if it is kept or merged, False if the policy shed it.

        Blocks while the ring is full and the policy says to wait; pop, clear, close and abort
        wake it.

        Args:
            item: Anything; with ``pop`` None cannot be told from the end.
            timeout: Seconds to wait for room; 0 never waits, None waits for ever.

        Raises:
            BufferFull: No room came in time; the item is not in the ring and not counted.
            BufferClosed: close() or abort() was called, before or during the wait.
            ValueError: A negative timeout.

        Cost: O(1), one lock round trip unless it waits.
        """
        if timeout is not None:
            _check_timeout(timeout)
        nbytes = 0 if self._size_of is None else self._size_of(item)
        with self._lock:
            if self._open and self._slots.put(item, nbytes):
                if self._hungry:
                    self._wake_consumers_locked()
                return True
        return self._push_all([item], None if self._size_of is None else [nbytes], timeout) == 1

    def push_many(self, items: Iterable[T], timeout: float | None = None) -> int:
        """
        Do what ``push`` for one item after the other does; returns how many were kept or merged.

        Where not all fit, the consumer gets those that do, and the rest waits as in push().

        Args:
            items: What to add, in order; read whole before the first is added.
            timeout: Seconds for the whole call; 0 never waits, None waits for ever.

        Raises:
            BufferFull, BufferClosed: As push(); ``.accepted`` of the error says how many items were
                dealt with (kept, merged or shed), from the first on.
            ValueError: A negative timeout.

        Cost: O(items), one lock round trip per wait.
        """
        if timeout is not None:
            _check_timeout(timeout)
        items = list(items)  # our own: it must not change length under the slices
        sizes = None if self._size_of is None else list(map(self._size_of, items))
        return self._push_all(items, sizes, timeout)

    def pop(self, timeout: float | None = None) -> T | None:
        """
        Take the oldest item; None means closed and drained. Blocks and raises as ``pop_many``.
        """
        items = self.pop_many(1, timeout=timeout)
        return items[0] if items else None

    def pop_many(self, limit: int, *, timeout: float | None = None) -> list[T]:
        """
        Take up to ``limit`` of the oldest items, in order.

        Blocks while the ring is empty and open; push, close and abort wake it.
        An empty list means closed and drained, or aborted, never "nothing yet".

        Args:
            limit: Most items to return, gaps and the final item included; at least 1.
            timeout: Seconds to wait for the first item; 0 never waits, None waits for ever.

        Raises:
            TimeoutError: Nothing came in time; the ring is unchanged.
            ValueError: A limit below 1 or a negative timeout.
            BaseException: What the producer gave close(), the same object at each call, once
                everything older is out.

        Cost: O(items returned), one lock round trip unless it waits.
        """
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        deadline = None if timeout is None else _deadline(timeout)
        while True:
            with self._lock:
                if self._aborted:
                    break
                taken = self._slots.take(limit)
                if self._final is not None and len(taken) < limit:
                    taken.append(self._final)
                    self._final = None
                if taken:
                    if self._slots.size <= self._wake_at:
                        self._wake_producers_locked()
                    return taken
                if not self._open:
                    break
                self._hungry = True
                gate = self._items_gate
            if not _wait(gate, deadline):
                raise TimeoutError(f"no item came within {timeout:g} s")
        return self._end()

    def close(self, error: BaseException | None = None, *, final: T | None = None) -> None:
        """
        End the producer's side: accept no more, deliver what is queued, then end.

        Idempotent: the first call decides. It takes the lock for a moment; for a signal handler or
        ``__del__`` there is abort().

        Args:
            error: What the consumer gets, as the same object, once all else is delivered.
            final: Delivered once, after the items and before the error. Takes no slot and is not
                counted.
        """
        with self._lock:
            if not self._open:
                return
            self._final = final
            self._error = error
            self._traceback = None if error is None else error.__traceback__
            self._open = False
            self._wake_consumers_locked()
            self._wake_producers_locked()

    def abort(self) -> None:
        """
        Stop both sides now: pop returns nothing more, push raises BufferClosed, who waits wakes.

        From any thread, a signal handler or ``__del__``, in any state; never blocks, never raises.
        Idempotent. What is queued counts as dropped. It is freed by the next call that takes the
        lock, or with the ring.
        """
        self._aborted = True
        self._open = False
        self._items_gate.set()
        self._room_gate.set()

    def clear(self) -> int:
        """
        Throw away what is queued, whatever may_shed says; returns how many items that was.

        They count as dropped, and as one loss in the place of a gap. Never waits.
        """
        with self._lock:
            gone = self._slots.clear()
            if self._wake_at >= 0:
                self._wake_producers_locked()
        return len(gone)

    def wait_below(self, size: int, timeout: float | None = None) -> bool:
        """
        Wait, on the producer's side, until at most ``size`` items are queued.

        Blocks until then; pop, clear, close and abort wake it. True also when the ring is closed:
        there is nothing left to wait for. False: time is up.

        Args:
            size: Items, at least 0.
            timeout: Seconds to wait; 0 never waits, None waits for ever.

        Raises:
            ValueError: A negative size or timeout.
        """
        if size < 0:
            raise ValueError(f"size must be at least 0, got {size}")
        deadline = None if timeout is None else _deadline(timeout)
        while True:
            with self._lock:
                if not self._open or self._slots.size <= size:
                    return True
                self._wake_at = max(self._wake_at, size)
                gate = self._room_gate
            if not _wait(gate, deadline):
                return False

    def stats(self) -> BufferStats:
        """The accounting, exact at one instant between this call's begin and end."""
        if self._aborted:
            self._sweep()
        with self._lock:
            slots = self._slots
            slots.note_peak()
            return BufferStats(
                capacity=slots.capacity,
                size=slots.size,
                peak=slots.peak,
                bytes=slots.bytes,
                pushed=slots.pushed,
                popped=slots.popped,
                dropped=slots.dropped,
                merged=slots.merged,
                grown=slots.grown,
                shrunk=slots.shrunk,
                waits=self._waits,
                time_waited=self._time_waited,
                closed=not self._open,
            )

    def __len__(self) -> int:
        """Items queued now; 0 after abort()."""
        return 0 if self._aborted else self._slots.size

    @property
    def closed(self) -> bool:
        """Whether the ring takes no more items; there may still be some to take out."""
        return not self._open

    @property
    def dropped(self) -> int:
        """Items that nobody got; as of a moment ago. Takes no lock."""
        slots = self._slots
        return slots.dropped + (slots.size if self._aborted else 0)

    @property
    def merged(self) -> int:
        """Items that became part of another; as of a moment ago."""
        return self._slots.merged

    @property
    def peak(self) -> int:
        """The most items there ever were; as of a moment ago."""
        slots = self._slots
        return max(slots.peak, slots.size)

    @property
    def waited(self) -> tuple[int, float]:
        """Pushes that waited for room, and the seconds they did; as of a moment ago."""
        return self._waits, self._time_waited

    @property
    def capacity(self) -> int:
        """Slots, as of a moment ago."""
        return self._slots.capacity

    @property
    def resizes(self) -> int:
        """How often capacity was doubled or halved; as of a moment ago."""
        return self._slots.grown + self._slots.shrunk

    @property
    def lossy(self) -> bool:
        """Whether the policy may shed items; of a user's own policy that is assumed."""
        return self._overflow not in (POLICIES["block"], POLICIES["coalesce"])

    @property
    def fill(self) -> float:
        """Items queued as a part of max_capacity, 0 to 1."""
        return len(self) / self.max_capacity

    @property
    def fill_percentage(self) -> float:
        """``fill`` in percent, 0 to 100."""
        return 100.0 * self.fill

    @override
    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a StreamBuffer joins threads of one process: pickle its items, not the ring"
        )

    def _push_all(self, items: list[T], sizes: list[int] | None, timeout: float | None) -> int:
        """Push them all, waiting where the policy says so; how many were kept or merged."""
        done, kept, gate = self._push_some(items, sizes, 0)
        deadline = None if timeout is None else monotonic() + timeout
        waits = 1  # the first of them
        while gate is not None:
            began = monotonic()
            if not _wait(gate, deadline):
                raise BufferFull(f"no room came within {timeout:g} s", accepted=done)
            waited = monotonic() - began
            done, more, gate = self._push_some(items, sizes, done, waits=waits, waited=waited)
            kept += more
            waits = 0  # what follows is part of it
        if done == len(items):
            return kept
        if self._aborted:
            self._sweep()
        raise BufferClosed("the buffer is closed", accepted=done)

    def _push_some(
        self,
        items: list[T],
        sizes: list[int] | None,
        done: int,
        *,
        waits: int = 0,
        waited: float = 0.0,
    ) -> tuple[int, int, Latch | None]:
        """
        Push ``items[done:]`` as far as it goes without waiting, and count the wait before it.

        How far it went, how many of them were kept or merged, and the gate to wait at, which is
        None when all are done or the ring is closed.
        """
        kept, gate = 0, None
        with self._lock:
            self._waits += waits
            self._time_waited += waited
            slots = self._slots
            while self._open:
                fitted = slots.extend(items, sizes, done)
                done += fitted
                kept += fitted
                if done == len(items):
                    break
                if slots.grow():
                    continue
                verdict = self._full_locked(items[done])
                if verdict == "wait":
                    self._wake_at = self.max_capacity - 1  # so that any pop wakes
                    gate = self._room_gate
                    break
                if verdict != "retry":
                    kept += verdict == "merged"
                    done += 1
            _trash, slots.trash = slots.trash, []  # freed when this frame ends, after the lock
            if self._hungry and slots.ready:
                self._wake_consumers_locked()
        return done, kept, gate if self._open else None

    def _full_locked(self, item: T) -> str:
        """Ask the policy, and hold it to its word."""
        slots = self._slots
        size = slots.size
        verdict = self._overflow(slots, item)
        if verdict == "shed" and slots.may_shed(item):
            slots.lose_new()
            return "shed"
        if verdict == "merged" or (verdict == "retry" and slots.size < size):
            return verdict
        return "wait"  # also a "retry" that discarded nothing: it must not spin under the lock

    def _end(self) -> list[T]:
        """What the consumer gets when there is nothing more."""
        if self._aborted:
            self._sweep()
            return []
        error = self._error
        if error is None:
            return []
        # With the traceback it came with: each raise would lengthen it.
        raise error.with_traceback(self._traceback)

    def _sweep(self) -> None:
        """After abort(): count what is queued as dropped, and free it outside the lock."""
        with self._lock:
            gone = self._slots.clear(), self._final, self._error, self._traceback
            self._slots.forget_losses()
            self._final = self._error = self._traceback = None
        del gone

    def _wake_consumers_locked(self) -> None:
        gate, self._items_gate = self._items_gate, Latch()
        self._hungry = False
        gate.set()

    def _wake_producers_locked(self) -> None:
        gate, self._room_gate = self._room_gate, Latch()
        self._wake_at = -1
        gate.set()

    def _check(self) -> None:
        """Assert the invariants; for tests."""
        with self._lock:
            self._slots.check()
            assert not self._slots.trash
            assert not self._items_gate.is_set or self._aborted
            assert not self._room_gate.is_set or self._aborted
            assert self._open or not self._hungry or self._aborted
            assert self._wake_at >= -1 and (self._open or self._wake_at == -1 or self._aborted)


def _wait(gate: Latch, deadline: float | None) -> bool:
    """Wait at the gate for at most one slice; False if the deadline had already passed."""
    left = WAIT_SLICE if deadline is None else min(WAIT_SLICE, deadline - monotonic())
    if left <= 0:
        return False
    gate.wait(left)
    return True


def _deadline(timeout: float) -> float:
    _check_timeout(timeout)
    return monotonic() + timeout


def _check_timeout(timeout: float) -> None:
    if not timeout >= 0:
        raise ValueError(f"timeout must be at least 0 seconds, got {timeout!r}")
