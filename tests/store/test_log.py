"""What every store promises: one suite over the whole table. Source: FACTS.md 4.4."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.errors import (
    ConfigurationError,
    Expired,
    Fenced,
    Gap,
    ProducerLost,
    StoreError,
    StoreUnavailable,
    StreamBusy,
    StreamEnded,
    UnknownStream,
)
from streamkit.latch import Latch
from streamkit.store import Entry
from streamkit.store.head import TOMBSTONE


def chunks(*texts: str) -> list[dict[str, Any]]:
    return [{"text": text} for text in texts]


def now(store: Any, id: str, after: int = 0) -> list[Entry]:
    """What is there, without waiting."""
    return list(store.read(id, after, block=0, until_end=False))


def texts(entries: list[Entry]) -> list[str]:
    return [entry.data["text"] for entry in entries if entry.kind == "chunk"]


# 1. Order.


def test_entries_come_in_order_without_gap_or_repeat(store: Any) -> None:
    writer = store.claim("a")
    for n in range(0, 100, 10):
        writer.append(chunks(*(str(i) for i in range(n, n + 10))))
    writer.end({"outcome": "done"})
    entries = list(store.read("a", limit=7))
    assert [entry.seq for entry in entries] == list(range(1, 102))
    assert texts(entries) == [str(n) for n in range(100)]
    assert entries[-1].kind == "end" and entries[-1].data == {"outcome": "done"}
    assert {entry.epoch for entry in entries} == {1}


def test_an_entry_is_what_was_appended(store: Any) -> None:
    data = {
        "text": "caf\u00e9 \U0001f600 \0 \n",
        "n": 1.5,
        "none": None,
        "deep": {"a": [1, {"b": []}]},
    }
    store.claim("a").append([data, {}])
    first, second = now(store, "a")
    assert (first.data, second.data) == (data, {})
    assert abs(first.ts - time.time()) < 60


def test_changing_what_was_appended_or_read_changes_no_store(store: Any) -> None:
    data = {"list": [1]}
    store.claim("a").append([data])
    data["list"].append(2)
    now(store, "a")[0].data["list"].append(3)
    assert now(store, "a")[0].data == {"list": [1]}


@pytest.mark.parametrize(
    "bad",
    [{"x": float("nan")}, {"x": b""}, {"x": "\ud800"}, {"\udfff": 1}, {"x": object()}, [], "x", 1],
)
def test_what_json_cannot_say_is_refused_whole(store: Any, bad: Any) -> None:
    writer = store.claim("a")
    with pytest.raises(ConfigurationError):
        writer.append([{"text": "fine"}, bad])
    assert now(store, "a") == [] and writer.last_seq == 0


def test_a_mapping_is_no_batch(store: Any) -> None:
    with pytest.raises(ConfigurationError, match="sequence"):
        store.claim("a").append({"text": "x"})


def test_streams_do_not_mix(store: Any) -> None:
    writers = [store.claim(f"s{n}") for n in range(5)]
    for round in range(4):
        for n, writer in enumerate(writers):
            writer.append(chunks(f"{n}.{round}"))
    for n in range(5):
        assert texts(now(store, f"s{n}")) == [f"{n}.{round}" for round in range(4)]


# 2. Idempotent append.


class Forgetful:
    """A store whose replies get lost: the write happens, the writer hears of an outage."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, store: Any) -> None:
        self.losing = False
        write = store.write

        def lossy(*arguments: Any) -> Any:
            reply = write(*arguments)
            if self.losing:
                raise OSError("the reply was lost")
            return reply

        monkeypatch.setattr(store, "write", lossy)

    def lose(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.losing = True
        with pytest.raises(OSError):
            call(*arguments)
        self.losing = False


def test_repeating_a_batch_writes_nothing_twice(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = Forgetful(monkeypatch, store)
    writer = store.claim("a")
    writer.append(chunks("1", "2"))
    lost.lose(writer.append, chunks("3", "4"))
    lost.lose(writer.append, chunks("3", "4"))
    assert writer.append(chunks("3", "4")).last_seq == 4
    writer.append(chunks("5"))
    assert texts(now(store, "a")) == ["1", "2", "3", "4", "5"]


def test_a_repeated_batch_may_have_grown(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = store.claim("a")
    Forgetful(monkeypatch, store).lose(writer.append, chunks("1", "2"))
    assert writer.append(chunks("1", "2", "3")).last_seq == 3
    assert texts(now(store, "a")) == ["1", "2", "3"]


def test_a_repeated_batch_may_have_shrunk(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = store.claim("a")
    Forgetful(monkeypatch, store).lose(writer.append, chunks("1", "2", "3"))
    assert writer.append(chunks("1")).last_seq == 1
    assert writer.append(chunks("2", "3", "4")).last_seq == 4
    assert texts(now(store, "a")) == ["1", "2", "3", "4"]


def test_another_batch_in_the_place_of_a_written_one_is_refused(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = store.claim("a")
    Forgetful(monkeypatch, store).lose(writer.append, chunks("1", "2"))
    with pytest.raises(StoreError, match="differs"):
        writer.append(chunks("1", "other"))
    assert texts(now(store, "a")) == ["1", "2"]


def test_a_repeated_batch_is_known_though_it_is_trimmed(
    make_store: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(max_entries=2)
    writer = store.claim("a")
    Forgetful(monkeypatch, store).lose(writer.append, chunks(*"12345"))
    assert writer.append(chunks(*"12345")).last_seq == 5
    assert store.info("a").last == 5


@pytest.mark.parametrize("verb", ["end", "fail", "cancelled"])
def test_repeating_an_ending_is_fine(
    store: Any, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    writer = store.claim("a")
    lost = Forgetful(monkeypatch, store)
    lost.lose(getattr(writer, verb), {"x": 1})
    assert getattr(writer, verb)({"x": 1}).last_seq == 1
    assert len(now(store, "a")) == 1


def test_a_log_that_lost_entries_takes_no_more(store: Any) -> None:
    writer = store.claim("a")
    writer.append(chunks("1"))
    writer._last_seq = 5  # as if the store had been restored from an older copy
    with pytest.raises(StoreError, match="lost entries"):
        writer.append(chunks("6"))


# 3. One writer.


def test_a_second_claim_is_busy_while_the_lease_lives(store: Any, clock: Any) -> None:
    writer = store.claim("a", lease=10)
    for _ in range(3):
        clock.pass_(9)
        with pytest.raises(StreamBusy, match="1 s more") as caught:
            store.claim("a", on_lost="takeover")
        assert caught.value.stream_id == "a"
        writer.renew()


def test_nothing_can_be_written_after_the_end(store: Any) -> None:
    writer = store.claim("a")
    writer.end({})
    for call in (writer.renew, lambda: writer.append(chunks("x")), lambda: writer.fail({})):
        with pytest.raises(StreamEnded):
            call()
    for options in ({}, {"on_lost": "takeover"}, {"on_busy": "takeover"}):
        with pytest.raises(StreamEnded):
            store.claim("a", **options)
    writer.close()
    assert [entry.kind for entry in now(store, "a")] == ["end"]


@pytest.mark.parametrize("verb", ["fail", "cancelled", "close"])
def test_what_is_over_is_claimed_again_only_when_asked_for(store: Any, verb: str) -> None:
    writer = store.claim("a")
    writer.close() if verb == "close" else getattr(writer, verb)({})
    with pytest.raises(StreamEnded, match="takeover"):
        store.claim("a")
    assert store.claim("a", on_lost="takeover").epoch == 2


def test_of_many_claimants_one_wins(store: Any, run_in_thread: Callable[..., Any]) -> None:
    barrier = threading.Barrier(8)

    def claim() -> int:
        barrier.wait(10)
        try:
            return int(store.claim("a").epoch)
        except StreamBusy:
            return 0

    assert sorted(task.result() for task in [run_in_thread(claim) for _ in range(8)]) == [0] * 7 + [
        1
    ]


# 4. Fencing.


def test_a_writer_that_was_replaced_is_fenced(store: Any, clock: Any) -> None:
    old = store.claim("a", lease=10)
    old.append(chunks("old"))
    clock.pass_(10)
    new = store.claim("a", on_lost="takeover")
    for call in (old.renew, lambda: old.append(chunks("x")), lambda: old.end({})):
        with pytest.raises(Fenced):
            call()
    old.close()
    new.append(chunks("new"))
    assert texts(now(store, "a")) == ["old", "new"]


def test_a_living_writer_is_fenced_out_only_when_asked_for(store: Any) -> None:
    old = store.claim("a")
    assert store.claim("a", on_busy="takeover").epoch == 2
    with pytest.raises(Fenced):
        old.append(chunks("x"))


def test_the_writer_of_a_deleted_stream_writes_to_no_other(store: Any) -> None:
    old = store.claim("a")
    assert store.delete("a")
    with pytest.raises(UnknownStream):
        old.renew()
    new = store.claim("a")
    assert new.epoch == old.epoch
    with pytest.raises(Fenced):
        old.append(chunks("x"))
    assert now(store, "a") == []


def test_a_writer_whose_stream_was_given_up_is_fenced(store: Any, clock: Any) -> None:
    writer = store.claim("a", lease=10)
    clock.pass_(10)
    with pytest.raises(ProducerLost):
        list(store.read("a"))
    with pytest.raises(Fenced, match="lost"):
        writer.append(chunks("x"))


def test_a_late_writer_that_nobody_missed_goes_on(store: Any, clock: Any) -> None:
    writer = store.claim("a", lease=10)
    clock.pass_(11)
    assert store.info("a").state == "open" and store.info("a").lease_left == 0.0
    writer.append(chunks("x"))
    assert store.info("a").lease_left == 10.0


def test_the_writer_of_a_stream_that_was_swept_is_told_so(store: Any, clock: Any) -> None:
    """Its entries are gone, so nothing tells a new ending from one that was written before."""
    writer = store.claim("a", lease=1, retain=0)
    clock.pass_(1)
    with pytest.raises(ProducerLost):
        list(store.read("a"))
    clock.pass_(1)
    assert store.sweep() == 1
    with pytest.raises(Fenced):
        writer.end({})


# 5. A producer that is lost.


def test_readers_get_everything_and_then_producer_lost(store: Any, clock: Any) -> None:
    store.claim("a", lease=10).append(chunks("1", "2"))
    clock.pass_(10)
    got: list[Entry] = []
    with pytest.raises(ProducerLost) as caught:
        for entry in store.read("a"):
            got.append(entry)
    assert texts(got) == ["1", "2"] and got[-1].kind == "lost" and got[-1].data == {"last_seq": 2}
    assert caught.value.last_seq == 2 and caught.value.stream_id == "a"
    assert store.info("a").state == "lost"


def test_a_reader_that_waits_notices_within_the_lease(make_store: Callable[..., Any]) -> None:
    store = make_store(clock=time.monotonic)
    store.claim("a", lease=0.2)
    begin = time.monotonic()
    with pytest.raises(ProducerLost):
        list(store.read("a", block=30))
    assert 0.19 <= time.monotonic() - begin < 5


def test_of_many_readers_one_writes_lost_and_all_agree(
    store: Any, clock: Any, run_in_thread: Callable[..., Any]
) -> None:
    store.claim("a", lease=10)
    clock.pass_(10)

    def read() -> int:
        with pytest.raises(ProducerLost) as caught:
            list(store.read("a"))
        return int(caught.value.last_seq)

    assert {task.result() for task in [run_in_thread(read) for _ in range(8)]} == {0}
    assert store.info("a").last == 1


def test_a_stream_that_is_found_lost_late_is_kept_from_then_on(store: Any, clock: Any) -> None:
    store.claim("a", lease=10, retain=20)
    for seconds in (150, 20):
        clock.pass_(seconds)
        with pytest.raises(ProducerLost):
            list(store.read("a"))
    assert store.claim("a", on_lost="takeover").epoch == 2


def test_a_writer_that_gives_up_is_lost_at_once(store: Any) -> None:
    writer = store.claim("a")
    writer.append(chunks("1"))
    writer.close()
    writer.close()
    with pytest.raises(ProducerLost):
        list(store.read("a", after=1))
    with pytest.raises(StreamEnded, match="given up"):
        writer.renew()


def test_looking_changes_nothing(store: Any, clock: Any) -> None:
    writer = store.claim("a", lease=10)
    clock.pass_(10)
    store.info("a"), store.streams(), now(store, "a")
    writer.renew()


# 6. Takeover.


@pytest.mark.parametrize("policy", ["continue", "restart"])
def test_a_takeover_is_an_entry(store: Any, policy: Any) -> None:
    first = store.claim("a", meta={"model": "m"})
    first.append(chunks("1"))
    first.close()
    second = store.claim("a", on_lost="takeover", policy=policy)
    second.append(chunks("2"))
    second.end({})
    entries = list(store.read("a"))
    kinds = ["chunk", "lost", "takeover", "chunk", "end"]
    assert [entry.kind for entry in entries] == kinds
    assert [entry.epoch for entry in entries] == [1, 1, 2, 2, 2]
    assert entries[2].data == {"policy": policy}
    assert store.info("a").meta == {"model": "m"}


def test_a_takeover_may_bring_its_own_meta_and_forgets_the_cancelling(store: Any) -> None:
    store.claim("a", meta={"n": 1}).fail({})
    second = store.claim("a", on_lost="takeover", meta={"n": 2})
    store.cancel("a", "enough")
    second.cancelled({})
    third = store.claim("a", on_lost="takeover")
    assert store.info("a").meta == {"n": 2}
    assert not store.info("a").cancel_requested and not third.renew().cancel_requested


def test_a_reader_goes_on_over_a_takeover(
    make_store: Callable[..., Any], run_in_thread: Callable[..., Any]
) -> None:
    store = make_store(clock=time.monotonic)
    first = store.claim("a")
    first.append(chunks("1"))
    reader = store.read("a")
    assert next(reader).seq == 1
    second = store.claim("a", on_busy="takeover")
    second.append(chunks("2"))
    second.end({})
    assert [entry.kind for entry in reader] == ["takeover", "chunk", "end"]


# 7. Readers.


@pytest.mark.parametrize("after", range(12))
def test_a_reader_that_comes_back_gets_the_rest(store: Any, after: int) -> None:
    writer = store.claim("a")
    writer.append(chunks(*(str(n) for n in range(10))))
    writer.end({})
    rest = [entry.seq for entry in store.read("a", after)]
    assert rest == list(range(after + 1, 12))


def test_a_reader_follows_live(
    make_store: Callable[..., Any], run_in_thread: Callable[..., Any]
) -> None:
    store = make_store(clock=time.monotonic)
    writer = store.claim("a")
    readers = [run_in_thread(lambda: list(store.read("a"))) for _ in range(5)]
    for n in range(50):
        writer.append(chunks(str(n)))
    writer.end({})
    for reader in readers:
        assert texts(reader.result()) == [str(n) for n in range(50)]


def test_a_blocked_reader_is_woken_by_an_append(
    make_store: Callable[..., Any], run_in_thread: Callable[..., Any]
) -> None:
    store = make_store(clock=time.monotonic)
    writer = store.claim("a", lease=60)
    reader = run_in_thread(lambda: next(store.read("a", block=60)))
    writer.append(chunks("x"))
    assert reader.result(5).seq == 1


def test_a_reader_that_is_slow_slows_nobody(store: Any) -> None:
    writer = store.claim("a")
    writer.append(chunks("1", "2"))
    reader = store.read("a", limit=1)
    next(reader)
    for n in range(1000):
        writer.append(chunks(str(n)))
    writer.end({})
    assert len(list(reader)) == 1002


def test_without_until_end_a_reader_takes_what_is_there(store: Any) -> None:
    writer = store.claim("a")
    assert now(store, "a") == []
    writer.append(chunks("1"))
    assert len(now(store, "a")) == 1
    begin = time.monotonic()
    assert len(list(store.read("a", block=0.1, until_end=False))) == 1
    assert 0.09 <= time.monotonic() - begin < 5


@pytest.mark.parametrize("seconds", [0, 1e-9, 0.05])
def test_a_short_block_still_follows_to_the_end(
    make_store: Callable[..., Any], run_in_thread: Callable[..., Any], seconds: float
) -> None:
    store = make_store(clock=time.monotonic)
    writer = store.claim("a")
    reader = run_in_thread(lambda: list(store.read("a", block=seconds)))
    writer.append(chunks("1"))
    writer.end({})
    assert len(reader.result()) == 2


def test_stop_ends_a_blocked_reader_within_100_ms(
    make_store: Callable[..., Any], run_in_thread: Callable[..., Any], time_scale: float
) -> None:
    store = make_store(clock=time.monotonic)
    writer = store.claim("a", lease=60)
    writer.append(chunks("1"))
    stop, begun = Latch(), Latch()

    def read() -> tuple[int, float]:
        got = 0
        for _ in store.read("a", block=60, stop=stop):
            got += 1
            begun.set()
        return got, time.monotonic()

    reader = run_in_thread(read)
    assert begun.wait(10)
    stopped = time.monotonic()
    stop.set()
    got, ended = reader.result()
    assert got == 1 and ended - stopped < 0.1 * time_scale + 0.1


def test_a_stopped_reader_yields_nothing_more(store: Any) -> None:
    store.claim("a").append(chunks("1", "2", "3"))
    stop = Latch()
    reader = store.read("a", stop=stop)
    assert next(reader).seq == 1
    stop.set()
    assert list(reader) == []


def test_closing_the_store_ends_blocked_readers(
    make_store: Callable[..., Any], run_in_thread: Callable[..., Any]
) -> None:
    store = make_store(clock=time.monotonic)
    store.claim("a", lease=60).append(chunks("1"))
    begun = Latch()

    def read() -> None:
        for _ in store.read("a", block=60):
            begun.set()

    reader = run_in_thread(read)
    assert begun.wait(10)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        reader.result(5)
    for call in (lambda: store.info("a"), lambda: store.claim("b"), lambda: now(store, "a")):
        with pytest.raises(StoreError, match="closed"):
            call()


def test_an_iterator_that_is_dropped_leaves_nothing_behind(store: Any) -> None:
    store.claim("a").append(chunks("1"))
    reader = store.read("a")
    next(reader)
    del reader
    gc.collect()
    assert store._bell._waiting == {}


def test_a_reader_of_a_stream_that_is_deleted_says_so(store: Any) -> None:
    store.claim("a").append(chunks("1"))
    reader = store.read("a")
    next(reader)
    store.delete("a")
    store.claim("a").append(chunks("other", "words"))
    with pytest.raises(UnknownStream, match="deleted"):
        next(reader)


# 8. Trim and time.


def test_a_stream_keeps_the_newest_entries(make_store: Callable[..., Any]) -> None:
    store = make_store(max_entries=10)
    writer = store.claim("a")
    for n in range(25):
        writer.append(chunks(str(n)))
    info = store.info("a")
    assert (info.first, info.last) == (16, 25)
    assert texts(now(store, "a", 15)) == [str(n) for n in range(15, 25)]
    for after in (0, 14):
        got = []
        with pytest.raises(Gap) as caught:
            for entry in store.read("a", after):
                got.append(entry)
        assert got == [] and caught.value.first_available == 16


def test_a_stream_keeps_the_newest_bytes(make_store: Callable[..., Any]) -> None:
    store = make_store(max_bytes=1000)
    writer = store.claim("a")
    for _ in range(20):
        writer.append(chunks("x" * 89))  # 100 bytes as JSON
    assert store.info("a").first == 11
    writer.append(chunks("y" * 5000))
    assert (store.info("a").first, store.info("a").last) == (21, 21)
    writer.append(chunks("z"))
    assert texts(now(store, "a", 21)) == ["z"]


def test_a_batch_larger_than_the_bound_leaves_its_end(make_store: Callable[..., Any]) -> None:
    store = make_store(max_entries=3)
    store.claim("a").append(chunks(*"abcdefgh"))
    assert texts(now(store, "a", 5)) == ["f", "g", "h"]


def test_a_reader_that_falls_behind_the_trimming_gets_gap(make_store: Callable[..., Any]) -> None:
    store = make_store(max_entries=5)
    writer = store.claim("a")
    writer.append(chunks("1", "2"))
    reader = store.read("a", limit=1)
    assert next(reader).seq == 1
    writer.append(chunks(*"3456789"))
    with pytest.raises(Gap) as caught:
        next(reader)
    assert caught.value.first_available == 5


def test_a_reader_from_beyond_the_end_gets_gap(store: Any) -> None:
    store.claim("a").append(chunks("1"))
    with pytest.raises(Gap, match="has no entry 2: the last it has is 1") as caught:
        next(store.read("a", 2))
    assert caught.value.first_available == 1


@pytest.mark.parametrize("verb", ["end", "fail", "cancelled", "close"])
def test_a_stream_that_is_over_is_kept_for_retain_seconds(
    store: Any, clock: Any, verb: str
) -> None:
    writer = store.claim("a", retain=60, meta={"x": 1})
    writer.append(chunks("secret"))
    writer.close() if verb == "close" else getattr(writer, verb)({})
    clock.pass_(60)
    assert len(now_or_lost(store)) == 2 and store.sweep() == 0
    clock.pass_(1)
    for _ in range(2):  # before and after it is swept
        with pytest.raises(Expired):
            next(store.read("a"))
        with pytest.raises(StreamEnded):
            store.claim("a", on_lost="takeover")
        assert store.info("a").state == "expired" and store.info("a").meta == {}
        assert store.streams() == []
        assert store.cancel("a") is False
        store.sweep()
    clock.pass_(TOMBSTONE + 1)
    assert store.sweep() == 0
    with pytest.raises(UnknownStream):
        store.info("a")


def now_or_lost(store: Any) -> list[Entry]:
    got = []
    try:
        for entry in store.read("a", block=0, until_end=False):
            got.append(entry)
    except ProducerLost:
        pass
    return got


def test_sweep_counts_what_it_deleted(store: Any, clock: Any) -> None:
    for n in range(5):
        store.claim(f"s{n}", retain=10 * n).end({})
    clock.pass_(25)
    assert store.sweep() == 3
    assert [info.id for info in store.streams()] == ["s3", "s4"]


def test_an_open_stream_is_kept_20_leases_and_no_shorter_than_an_ended_one(
    store: Any, clock: Any
) -> None:
    short, long = store.claim("short", lease=10, retain=0), store.claim("long", lease=1, retain=600)
    clock.pass_(200)
    assert store.sweep() == 0
    clock.pass_(1)
    assert store.sweep() == 1
    with pytest.raises(Fenced):
        short.append(chunks("x"))
    clock.pass_(401)
    assert store.info("long").state == "expired"
    long.renew()  # nobody swept it
    assert store.info("long").state == "open"


def test_claim_sweeps_once_a_minute(store: Any, clock: Any) -> None:
    store.claim("a", retain=0).end({})
    clock.pass_(30)
    store.claim("b")
    assert store.info("a").first == 1
    clock.pass_(31)
    store.claim("c")
    assert store.info("a").first == 2


def test_a_claim_sweeps_a_portion_and_the_next_one_goes_on(
    store: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamkit.store.log.PORTION", 2)
    for n in range(5):
        store.claim(f"s{n}", retain=0).end({})
    clock.pass_(61)
    for claimed, swept in enumerate((2, 4, 5, 5)):
        store.claim(f"next{claimed}")
        assert sum(store.info(f"s{n}").first == 2 for n in range(5)) == swept


def test_a_sweep_is_many_short_transactions(
    store: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamkit.store.log.PORTION", 2)
    paused: list[float] = []
    monkeypatch.setattr("streamkit.store.log.time.sleep", paused.append)
    for n in range(5):
        store.claim(f"s{n}", retain=0).end({})
    clock.pass_(1)
    assert store.sweep() == 5 and len(paused) == 2
    clock.pass_(TOMBSTONE + 1)
    assert store.sweep() == 0 and len(paused) == 4
    for n in range(5):
        with pytest.raises(UnknownStream):
            store.info(f"s{n}")


@pytest.mark.parametrize("error", [StoreUnavailable("locked"), StoreError("damaged elsewhere")])
def test_a_claim_does_not_fail_because_the_sweep_could_not_be_written(
    store: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, error: StoreError
) -> None:
    store.claim("a", retain=0).end({})
    clock.pass_(61)

    def fails(ids: Any) -> None:
        raise error

    monkeypatch.setattr(store, "_sweep_some", fails)
    store.claim("b").append(chunks("x"))
    assert store.info("b").last == 1


def test_a_deleted_id_is_as_new(store: Any) -> None:
    store.claim("a").end({})
    assert store.delete("a") and not store.delete("a")
    assert store.streams() == []
    writer = store.claim("a")
    assert writer.epoch == 1 and writer.append(chunks("x")).last_seq == 1


# 9. Cancel.


def test_a_request_to_cancel_is_seen_at_the_next_append_or_renewal(store: Any) -> None:
    writer = store.claim("a")
    assert not writer.append(chunks("1")).cancel_requested
    assert store.cancel("a", "enough") and store.cancel("a", "another reason")
    assert store.info("a").cancel_requested
    for reply in (writer.append(chunks("2")), writer.renew()):
        assert reply.cancel_requested and reply.reason == "enough"
    assert writer.cancelled({"text": "12"}).last_seq == 3
    assert store.info("a").state == "cancelled"
    assert [entry.kind for entry in store.read("a")] == ["chunk", "chunk", "cancelled"]


def test_what_is_over_cannot_be_cancelled(store: Any) -> None:
    store.claim("a").end({})
    assert store.cancel("a") is False
    with pytest.raises(UnknownStream):
        store.cancel("b")


# Ids, options, listings.


HOSTILE = [
    "../../etc/passwd", "/etc/passwd", "..", ".", "C:\\con", "nul", "a/b", "a\\b", "~", "$(id)",
    "'; DROP TABLE streams; --", '"', "`", "%00", "%2e%2e", "a\nb", "\r\n", "\t", " ", "\x7f",
    "\x1b[2J", "\u202e", "\ufeff", "\u0301", "e\u0301", "\u00e9", "\uff0e\uff0e", "I", "i",
    "\u0130", "A", "a", "\U0001f600", "*", "?", "[a]", "{}", "-rf", "--", "-wal", "store.db",
    "?mode=memory", ":memory:", "file:x", "NULL", "0", "1e9", "_", "%s", "{0}", "\\",
    "\ufffd", "\U0010ffff",
]  # fmt: skip
HOSTILE += [a + b for a in ("../", "'", "\n", "\u0301") for b in HOSTILE[:38]]


def test_200_hostile_ids_are_ids_like_any_other(store: Any, tmp_path: Any) -> None:
    ids = list(dict.fromkeys([*HOSTILE, "x" * 512]))
    assert len(ids) >= 200
    for id in ids:
        store.claim(id).append(chunks(id))
    assert [info.id for info in store.streams()] == ids
    for id in ids:
        assert texts(now(store, id)) == [id]
    inside = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert inside <= {"store.db", "store.db-wal", "store.db-shm"}


@pytest.mark.parametrize("id", ["", "x" * 513, "a\0b", "\ud800", None, 1, b"x"])
def test_some_ids_are_refused(store: Any, id: Any) -> None:
    for call in (store.claim, store.read, store.info, store.cancel, store.delete):
        with pytest.raises(ConfigurationError, match="stream id"):
            call(id)


@pytest.mark.parametrize(
    "options",
    [
        {"lease": 0}, {"lease": -1}, {"lease": float("inf")}, {"lease": float("nan")},
        {"lease": "1"}, {"lease": True}, {"retain": -1}, {"retain": None}, {"on_busy": "follow"},
        {"on_lost": "x"}, {"policy": ""}, {"meta": []}, {"meta": {"x": object()}},
    ],
)  # fmt: skip
def test_bad_options_of_a_claim_are_refused(store: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        store.claim("a", **options)
    assert store.streams() == []


@pytest.mark.parametrize(
    "options",
    [{"after": -1}, {"after": True}, {"after": "1"}, {"limit": 0}, {"block": -1}, {"block": None}],
)
def test_bad_options_of_a_read_are_refused_at_once(store: Any, options: dict[str, Any]) -> None:
    store.claim("a")
    with pytest.raises(ConfigurationError):
        store.read("a", **options)


@pytest.mark.parametrize("options", [{"max_entries": 0}, {"max_bytes": 0}, {"max_entries": 1.5}])
def test_bad_options_of_a_store_are_refused(
    make_store: Callable[..., Any], options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        make_store(**options)


def test_info_says_how_it_stands(store: Any, clock: Any) -> None:
    writer = store.claim("a", lease=10, meta={"model": "m"})
    info = store.info("a")
    assert (info.state, info.first, info.last, info.epoch, info.lease_left) == ("open", 1, 0, 1, 10)
    assert info.meta == {"model": "m"} and not info.cancel_requested
    writer.append(chunks("1"))
    clock.pass_(4)
    info = store.info("a")
    assert (info.first, info.last, info.lease_left) == (1, 1, 6)
    assert abs(info.updated - time.time()) < 60
    writer.end({})
    assert (store.info("a").state, store.info("a").lease_left) == ("ended", 0.0)


def test_what_is_unknown_is_unknown_everywhere(store: Any) -> None:
    for call in (lambda: store.info("a"), lambda: next(store.read("a")), lambda: store.cancel("a")):
        with pytest.raises(UnknownStream) as caught:
            call()
        assert caught.value.stream_id == "a"
    assert store.delete("a") is False


def test_entries_and_infos_survive_pickling(store: Any) -> None:
    store.claim("a").append(chunks("1"))
    for value in (now(store, "a")[0], store.info("a")):
        assert pickle.loads(pickle.dumps(value)) == value


def test_a_store_is_neither_pickled_nor_copied(store: Any) -> None:
    for call in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="give its URL"):
            call(store)


def test_the_wall_clock_may_jump(store: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = store.claim("a", lease=10, retain=60)
    for jump in (3600, -7200):
        wall = time.time() + jump
        monkeypatch.setattr(time, "time", lambda wall=wall: wall)
        writer.append(chunks(str(jump)))
        with pytest.raises(StreamBusy):
            store.claim("a")
    writer.end({})
    assert texts(now(store, "a")) == ["3600", "-7200"] and store.sweep() == 0


def test_threads_of_one_writer_take_turns(store: Any, run_in_thread: Callable[..., Any]) -> None:
    writer = store.claim("a")

    def work(name: int) -> None:
        for n in range(50):
            writer.append(chunks(f"{name}.{n}"))
            writer.renew()

    for task in [run_in_thread(work, name) for name in range(4)]:
        task.result()
    got = texts(now(store, "a"))
    assert len(got) == 200 and writer.last_seq == 200
    for name in range(4):
        assert [t for t in got if t.startswith(f"{name}.")] == [f"{name}.{n}" for n in range(50)]
