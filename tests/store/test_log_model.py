"""Any sequence of calls against a model of lists: what is read is what was written, and who may."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from streamkit.errors import (
    Expired,
    Fenced,
    Gap,
    ProducerLost,
    StoreUnavailable,
    StreamBusy,
    StreamEnded,
    UnknownStream,
)
from streamkit.store import STORES, MemoryStore, SqliteStore

LEASE, RETAIN, KEEP = 10.0, 50.0, 8


class Model:
    """One stream, as a list."""

    def __init__(self, now: float) -> None:
        self.entries: list[tuple[int, str, Any]] = []
        self.state = "open"
        self.epoch = 1
        self.heard = now
        self.cancelled = False

    def add(self, kind: str, data: Any = None) -> None:
        self.entries.append((self.epoch, kind, data))

    def live(self, now: float) -> bool:
        return self.state == "open" and now < self.heard + LEASE

    def expired(self, now: float) -> bool:
        return now > self.heard + (20 * LEASE if self.state == "open" else RETAIN)


class StoreMachine(RuleBasedStateMachine):
    scheme = "memory"

    @initialize()
    def open(self) -> None:
        self.now = 1000.0
        self.folder = tempfile.TemporaryDirectory()
        options: dict[str, Any] = {"clock": lambda: self.now, "max_entries": KEEP}
        if self.scheme == "memory":
            self.store: Any = MemoryStore(**options)
        else:
            self.store = SqliteStore(Path(self.folder.name) / "s.db", **options)
        self.model: Model | None = None
        self.writers: list[tuple[Any, Model, int]] = []
        self.counter = 0
        self.losing = False
        write = self.store.write

        def lossy(*arguments: Any) -> Any:
            reply = write(*arguments)
            if self.losing:
                self.losing = False
                raise StoreUnavailable("the reply was lost")
            return reply

        self.store.write = lossy

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(takeover=st.booleans(), steal=st.booleans())
    def claim(self, takeover: bool, steal: bool) -> None:
        model = self.model
        options = {
            "lease": LEASE, "retain": RETAIN, "on_lost": "takeover" if takeover else "fail",
            "on_busy": "takeover" if steal else "raise",
        }  # fmt: skip
        expected: type[Exception] | None = None
        if model is not None:
            if model.state == "ended" or model.expired(self.now):
                expected = StreamEnded
            elif model.live(self.now):
                expected = None if steal else StreamBusy
            elif not takeover:
                expected = StreamEnded
        if expected is not None:
            with pytest.raises(expected):
                self.store.claim("a", **options)
            return
        writer = self.store.claim("a", **options)
        if model is None:
            self.model = model = Model(self.now)
        else:
            model.epoch += 1
            model.add("takeover", {"policy": "continue"})
            model.state, model.heard, model.cancelled = "open", self.now, False
        self.writers.append((writer, model, model.epoch))

    @precondition(lambda self: self.writers)
    @rule(
        which=st.integers(0, 3),
        verb=st.sampled_from(["append", "append", "append", "renew", "end", "fail", "close"]),
        size=st.integers(0, 4),
        loses=st.booleans(),
    )
    def write(self, which: int, verb: str, size: int, loses: bool) -> None:
        writer, model, epoch = self.writers[-1 - which % len(self.writers)]
        batch = [{"n": self.counter + n} for n in range(size)]
        self.counter += size
        arguments = {"append": [batch], "end": [{}], "fail": [{}]}.get(verb, [])
        if self.model is not None and self.model.expired(self.now):
            return  # whether it may go on depends on whether somebody swept
        if verb == "close":
            writer.close()
            self.writers.remove((writer, model, epoch))
            if model is self.model and epoch == model.epoch and model.state == "open":
                model.add("lost")
                model.state, model.heard = "lost", self.now
            return
        expected: type[Exception] | None = None
        if self.model is None:
            expected = UnknownStream
        elif model is not self.model or epoch != model.epoch or model.state == "lost":
            expected = Fenced
        elif model.state != "open":
            expected = StreamEnded
        call = getattr(writer, verb)
        if expected is not None:
            with pytest.raises(expected):
                call(*arguments)
            return
        if loses:
            self.losing = True
            with pytest.raises(StoreUnavailable):
                call(*arguments)
        reply = call(*arguments)
        for data in batch if verb == "append" else []:
            model.add("chunk", data)
        model.heard = self.now
        if verb in ("end", "fail"):
            model.state = {"end": "ended", "fail": "failed"}[verb]
            model.add({"end": "end", "fail": "failed"}[verb], {})
        assert reply.last_seq == len(model.entries)
        assert reply.cancel_requested is model.cancelled

    @rule(seconds=st.sampled_from([1.0, 4.0, LEASE, 2 * LEASE, RETAIN + 1]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.model is not None)
    @rule()
    def cancel(self) -> None:
        assert self.model is not None
        can = self.model.state == "open" and not self.model.expired(self.now)
        assert self.store.cancel("a") is can
        self.model.cancelled |= can

    @precondition(lambda self: self.model is not None and not self.model.live(self.now))
    @rule()
    def read_to_the_end(self) -> None:
        model = self.model
        assert model is not None
        if model.expired(self.now):
            return
        if model.state == "open":
            model.add("lost")
            model.state, model.heard = "lost", self.now
        after = max(0, len(model.entries) - KEEP)
        got = []
        try:
            for entry in self.store.read("a", after, limit=3):
                got.append((entry.epoch, entry.kind))
        except ProducerLost:
            assert model.state == "lost"
        else:
            assert model.state != "lost"
        assert got == [(epoch, kind) for epoch, kind, _ in model.entries[after:]]

    @rule()
    def delete(self) -> None:
        if self.counter % 5 == 0:  # rarely, so that streams grow
            assert self.store.delete("a") is (self.model is not None)
            self.model = None

    @invariant()
    def what_is_read_is_what_was_written(self) -> None:
        if not hasattr(self, "store"):
            return
        if self.model is None:
            with pytest.raises(UnknownStream):
                self.store.info("a")
            return
        entries, first = self.model.entries, max(0, len(self.model.entries) - KEEP)
        if self.model.expired(self.now):
            with pytest.raises(Expired):
                next(self.store.read("a"))
            return
        info = self.store.info("a")
        assert (info.first, info.last) == (first + 1, len(entries))
        assert (info.state, info.epoch) == (self.model.state, self.model.epoch)
        got = []
        try:
            for entry in self.store.read("a", first, block=0, until_end=False):
                got.append((entry.seq, entry.epoch, entry.kind))
                if entry.kind == "chunk":
                    assert entry.data == entries[entry.seq - 1][2]
        except ProducerLost:
            pass
        assert got == [(n, e, k) for n, (e, k, _) in enumerate(entries, 1) if n > first]
        if first:
            with pytest.raises(Gap):
                next(self.store.read("a", first - 1))


@pytest.mark.parametrize("scheme", sorted(STORES))
def test_a_store_is_a_list_with_rules(scheme: str) -> None:
    machine = type("Machine", (StoreMachine,), {"scheme": scheme})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )
