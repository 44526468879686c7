"""StreamRecovery: answers that broke, found again in a store."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import streamkit
from streamkit import (
    AuthenticationError,
    Chunk,
    ConfigurationError,
    RecoveryFailed,
    Result,
    StoreError,
    StoreUnavailable,
    StreamBusy,
    StreamEnded,
    StreamInterrupted,
    StreamRecovery,
    UnknownStream,
    api,
    follow,
    open_store,
    resume,
    stream,
    wrap,
)
from streamkit.chunk import Usage as Counts
from streamkit.pipeline.saved import Place, Saved, describe
from streamkit.pipeline.saver import Saver
from streamkit.request import build_call
from streamkit.store import MemoryStore, SqliteStore
from streamkit.testing import Hang, LocalProvider, Reset, Status, Text, Usage

CALL = build_call("m", "Hi", {"temperature": 0.5})
META = describe(Place(provider="openai", model="m"), CALL, "exact")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = MemoryStore() if request.param == "memory" else SqliteStore(str(tmp_path / "s.db"))
    yield made
    made.close()


def save(store: Any, id: str, *chunks: Chunk, meta: Any = META) -> Saver:
    saver = Saver(store, id, meta, 60)
    saver.add([Chunk("Half an"), *chunks])
    return saver


def test_what_may_be_resumed_is_listed(store: Any) -> None:
    save(store, "done").ended(Result(outcome="completed"))
    running = save(store, "running")
    save(store, "lost").close()
    save(store, "cancelled").ended(Result(outcome="cancelled"))
    save(store, "cut").failed(StreamInterrupted("x"), recoverable=True)
    save(store, "refused").failed(AuthenticationError("x"), recoverable=False)
    save(store, "no-call", meta={"provider": "p"}).close()
    recovery = StreamRecovery(store)
    assert sorted(info.id for info in recovery.recoverable()) == ["cancelled", "cut", "lost"]
    running.close()


def test_a_lease_that_ran_out_is_found_before_anybody_reads(tmp_path: Path) -> None:
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    save(store, "a")
    recovery = StreamRecovery(store)
    assert recovery.recoverable() == []
    now[0] += 16
    assert [(info.id, info.state) for info in recovery.recoverable()] == [("a", "open")]
    store.close()


def test_an_answer_that_is_damaged_hides_no_other(tmp_path: Path) -> None:
    place = tmp_path / "s.db"
    store = SqliteStore(place)
    for id in ("a", "b"):
        save(store, id).failed(StreamInterrupted("cut"), recoverable=True)
    store.close()
    with closing(sqlite3.connect(place)) as file:
        file.execute("UPDATE entries SET data = x'7b7d' WHERE stream = 1 AND kind = 'failed'")
        file.commit()
    store = SqliteStore(place)
    recovery = StreamRecovery(store)
    assert [info.id for info in recovery.recoverable()] == ["b"]
    with pytest.raises(StoreError, match="damaged"):
        recovery.partial("a")
    assert recovery.clear() == 1 and [info.id for info in store.streams()] == ["a"]
    store.close()


def test_a_store_that_is_away_is_not_a_store_without_answers(store: Any) -> None:
    save(store, "a").failed(StreamInterrupted("cut"), recoverable=True)

    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("the disk is gone")

    store.read = away
    with pytest.raises(StoreUnavailable):
        StreamRecovery(store).recoverable()


def test_the_partial_has_all_that_came(store: Any) -> None:
    saver = save(
        store, "a",
        Chunk("hm", kind="reasoning"),
        Chunk('{"a"', kind="tool_call", metadata={"index": 0, "id": "c", "name": "add"}),
        Chunk("", kind="usage", metadata={"usage": Counts(3, 4)}),
        Chunk(" answer", model="m"),
    )  # fmt: skip
    recovery = StreamRecovery(store)
    running = recovery.partial("a")
    assert (running.text, running.outcome) == ("Half an answer", None)
    saver.failed(StreamInterrupted("x"), recoverable=True)
    partial = recovery.partial("a")
    assert (partial.text, partial.reasoning, partial.usage) == (
        "Half an answer",
        "hm",
        Counts(3, 4),
    )
    assert (partial.tool_calls[0].name, partial.tool_calls[0].arguments) == ("add", '{"a"')
    assert (partial.outcome, partial.model) == ("transport_error", "m")


def test_the_partial_of_a_lost_stream_has_no_outcome(store: Any) -> None:
    save(store, "a").close()
    assert StreamRecovery(store).partial("a").outcome is None


def test_a_whole_answer_can_be_read_too(store: Any) -> None:
    wrap(["one", " two"]).publish(store, "a").wait(10)
    partial = StreamRecovery(store).partial("a")
    assert (partial.text, partial.outcome) == ("one two", "completed")


def test_an_unknown_stream_says_so(store: Any) -> None:
    with pytest.raises(UnknownStream):
        StreamRecovery(store).partial("never")
    with pytest.raises(UnknownStream):
        StreamRecovery(store).resume("never")


def test_clear_takes_one_or_all_that_broke(store: Any) -> None:
    for id in ("a", "b", "c"):
        save(store, id).close()
    save(store, "done").ended(Result(outcome="completed"))
    recovery = StreamRecovery(store)
    assert recovery.clear("a") == 1
    assert recovery.clear("a") == 0
    assert recovery.clear() == 2
    assert [info.id for info in store.streams()] == ["done"]


def test_resume_is_told_all_that_was_kept(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(api, "_resume", lambda *a: seen.append(a), raising=False)
    save(store, "a").close()
    StreamRecovery(store).resume("a", api_key="k")
    saved, there, keywords = seen[0]
    assert isinstance(saved, Saved)
    assert (saved.id, saved.call, saved.strategy) == ("a", CALL, "exact")
    assert (saved.place.provider, saved.place.model) == ("openai", "m")
    assert (saved.result.text, saved.info.state) == ("Half an", "lost")
    assert there is store and keywords == {"api_key": "k"}


def test_without_a_request_nothing_can_be_resumed(store: Any) -> None:
    save(store, "a", meta={"provider": "p"}).close()
    with pytest.raises(StoreError, match="not kept"):
        StreamRecovery(store).resume("a")


# -- the whole way, through the public API


@pytest.fixture
def serve() -> Iterator[Callable[..., LocalProvider]]:
    """``serve(script)``: a LocalProvider that is closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda *args, **kw: stack.enter_context(LocalProvider(*args, **kw))
        streamkit.close()


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_an_answer_that_could_not_be_carried_on_is_resumed_later(
    serve: Any, store: Any, mode: Any
) -> None:
    first, second = "The first half, ", "and the second."
    served = [[Text(first), Reset()], Status(503), [Text(second), Usage(3, 4)]]
    server, recovery = serve(scripts=served), StreamRecovery(store)
    where: dict[str, Any] = {"base_url": server.base_url("openai"), "api_key": "sk-12345678"}
    answer = stream(
        "openai/m", "Hi", temperature=0.5, mode=mode, retry={"initial": 0.001}, **where,
        recovery={"store": store, "id": "my own", "max_retries": 1},
    )  # fmt: skip
    with pytest.raises(RecoveryFailed):
        answer.wait(10)
    assert [(info.id, info.state) for info in recovery.recoverable()] == [("my own", "failed")]
    assert recovery.partial("my own").text == first
    rest = resume(store, "my own", mode=mode, **where)
    assert rest.partial.text == first, "before anything is sent"
    assert "".join(rest) == second
    result = rest.result()
    assert (result.text, result.outcome) == (first + second, "completed")
    assert [(seam.at, seam.how) for seam in result.recoveries] == [(len(first), "appended")]
    assert server.requests[2].json["temperature"] == 0.5
    assert recovery.recoverable() == []
    assert "".join(follow(store, "my own")) == first + second
    with pytest.raises(StreamEnded):
        resume(store, "my own", mode=mode, **where).wait(10)


def test_an_answer_that_is_being_written_is_busy_until_it_is_cancelled(
    serve: Any, store: Any, until: Any
) -> None:
    server, recovery = serve([Text("Half"), Hang()]), StreamRecovery(store)
    where: dict[str, Any] = {"base_url": server.base_url("openai"), "api_key": "sk-12345678"}
    answer = stream("openai/m", "Hi", recovery={"store": store, "id": "a"}, **where)
    texts = iter(answer)
    assert next(texts) == "Half"
    assert recovery.recoverable() == []
    with pytest.raises(StreamBusy):
        recovery.resume("a", **where).wait(10)
    texts.close()  # type: ignore[attr-defined]
    assert answer.wait(10).outcome == "cancelled"
    until(lambda: [info.state for info in recovery.recoverable()] == ["cancelled"])
    with pytest.raises(ConfigurationError, match="give base_url"):
        recovery.resume("a", api_key="sk-12345678")
    with pytest.raises(
        ConfigurationError, match="'temperature': the request is the one in the store"
    ):
        recovery.resume("a", temperature=1.0, **where)


VICTIM = """
import sys, threading
from streamkit import stream
from streamkit.testing import LocalProvider, Text, Hang
with LocalProvider([Text("one two three"), Hang()]) as server:
    where = {"base_url": server.base_url("openai"), "api_key": "sk-12345678"}
    s = stream("m", "Hi", provider="openai", **where)
    s.publish(sys.argv[1], "a", lease=0.5)
    while s.partial.text != "one two three":
        pass
    print("go", flush=True)
    threading.Event().wait()
"""


def test_a_killed_process_is_listed_by_another_and_its_words_are_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, url], stdout=subprocess.PIPE, text=True, env=env
    ) as victim:
        assert victim.stdout is not None and victim.stdout.readline() == "go\n"
        store, recovery = open_store(url), StreamRecovery(url)
        while recovery.partial("a").text != "one two three":
            assert victim.poll() is None
        victim.send_signal(signal.SIGKILL)
        victim.wait(10)
    list_lost(store)
    found = recovery.recoverable()
    assert [(info.id, info.state) for info in found] == [("a", "lost")]
    saved = recovery._load("a")
    assert saved.result.text == "one two three"
    assert saved.call.messages == ({"role": "user", "content": "Hi"},)
    assert saved.place.provider == "openai"
    store.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only the lease tells")
def test_a_killed_process_may_be_carried_on_before_its_lease_is_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = VICTIM.replace(", lease=0.5", "")
    with subprocess.Popen(
        [sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True, env=env
    ) as victim:
        assert victim.stdout is not None and victim.stdout.readline() == "go\n"
        recovery = StreamRecovery(url)
        assert recovery.recoverable() == []
        victim.kill()
        victim.wait(10)
    assert [(info.id, info.state) for info in recovery.recoverable()] == [("a", "open")]
    store = open_store(url)
    assert store.claim("a", on_lost="takeover").epoch == 2
    assert recovery.recoverable() == []
    store.close()


def list_lost(store: Any) -> None:
    """Read to the end, as any follower does: the first to notice writes that it is lost."""
    with pytest.raises(Exception, match="without a word"):
        list(store.read("a"))
