"""StreamRecovery.resume(): an answer that broke, carried on from the store by another stream."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit import (
    Expired,
    Gap,
    ProducerLost,
    RecoveryFailed,
    RetryConfig,
    Stream,
    StreamBusy,
    StreamEnded,
    StreamInterrupted,
    StreamRecovery,
    TruncatedStream,
    UnknownStream,
    close,
    follow,
    open_store,
    replay,
    stream,
)
from streamkit.store import MemoryStore, SqliteStore
from streamkit.testing import Cut, Gate, LocalProvider, Reset, Text, Tool, Usage

BEGUN, REST = "One two three four five", " six seven."
QUICK = RetryConfig(initial=0.001, cap=0.002)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = MemoryStore() if request.param == "memory" else SqliteStore(str(tmp_path / "s.db"))
    yield made
    made.close()


@pytest.fixture
def asked() -> Iterator[Callable[..., dict[str, Any]]]:
    """``asked(scripts)`` -> where the service that plays them is."""
    servers = []

    def opened(scripts: Any, provider: str = "openai") -> dict[str, Any]:
        servers.append(LocalProvider(scripts=scripts).__enter__())
        where = {"base_url": servers[-1].base_url(provider), "provider": provider}
        return {"api_key": "sk-12345678", "retry": QUICK, **where}

    opened.release = lambda: servers[-1].release()  # type: ignore[attr-defined]
    yield opened
    close()  # the connections that are kept
    for server in servers:
        server.__exit__(None, None, None)


def broken(store: Any, where: dict[str, Any], **keywords: Any) -> Stream:
    """A stream published as "a" that has broken."""
    made = stream("m", "Hi", **where, **keywords).publish(store, "a")
    with pytest.raises((StreamInterrupted, RecoveryFailed)):
        made.wait(10)
    return made


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_an_answer_is_carried_on_as_soon_as_it_broke(store: Any, asked: Any, mode: str) -> None:
    where = asked([[Text(BEGUN), Reset()], [Text(REST)]])
    broken(store, where)
    recovery = StreamRecovery(store)
    assert [info.id for info in recovery.recoverable()] == ["a"]
    resumed = recovery.resume("a", mode=mode, **where)
    assert resumed.partial.text == BEGUN
    assert "".join(resumed) == REST
    assert resumed.result().text == BEGUN + REST
    assert follow(store, "a").result(10).text == recovery.partial("a").text == BEGUN + REST
    assert recovery.recoverable() == []
    with pytest.raises(StreamEnded):
        recovery.resume("a", **where)


def test_a_tool_call_that_was_cut_is_made_anew_for_all_who_read_it(store: Any, asked: Any) -> None:
    cut, call = Tool("weather", '{"city": "Pa', size=4), Tool("weather", '{"city": "Paris"}')
    where = asked([[Text("I look."), cut, Reset()], [call]])
    broken(store, where)
    resumed = StreamRecovery(store).resume("a", **where)
    assert [c.arguments for c in resumed.partial.tool_calls] == ['{"city": "Pa']
    result = resumed.result()
    assert result.recoveries[0].abandoned == 1
    for seen in (result, StreamRecovery(store).partial("a"), follow(store, "a").result(10)):
        assert [c.parsed for c in seen.tool_calls] == [{"city": "Paris"}]
        assert (seen.text, seen.outcome) == ("I look.", "tool_calls")


def test_usage_is_the_sum_of_all_requests_of_all_streams(store: Any, asked: Any) -> None:
    used = Usage(7, 5)
    scripts = [[Text(BEGUN), used, Reset()], [used, Text(REST), Reset()], [used, Text(" Eight.")]]
    where = asked(scripts, "anthropic")
    first = broken(store, where, recovery={"max_retries": 1})
    recovery = StreamRecovery(store)
    assert recovery.partial("a").usage == first.partial.usage
    assert first.partial.usage.input_tokens == 14
    result = recovery.resume("a", **where).result()
    assert result.usage.input_tokens == 21
    assert recovery.partial("a").usage == follow(store, "a").result(10).usage == result.usage


def test_what_was_written_since_it_was_read_is_not_passed_over(store: Any, asked: Any) -> None:
    where = asked([[Text(BEGUN), Reset()], [Text(REST), Reset()], [Text(" Eight.")]])
    broken(store, where)
    recovery = StreamRecovery(store)
    once = recovery.resume("a", recovery={"max_retries": 1}, **where)
    late = recovery.resume("a", **where)
    with pytest.raises(RecoveryFailed):
        once.result()
    with pytest.raises(StreamBusy, match="resume it again"):
        late.result()
    result = recovery.resume("a", **where).result()
    assert result.text == BEGUN + REST + " Eight." == recovery.partial("a").text


def test_a_reader_that_finds_the_writer_gone_is_no_news(asked: Any) -> None:
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    where = asked([[Text(BEGUN), Gate()], [Text(REST)]])
    first = stream("m", "Hi", recovery={"store": store, "id": "a"}, **where)
    begun, came = iter(first), ""
    while came != BEGUN:
        came += next(begun)
    now[0] += 16  # as if its process had been killed; what came later would renew the lease
    resumed = StreamRecovery(store).resume("a", **where)
    with pytest.raises(ProducerLost):
        follow(store, "a").result(10)
    assert resumed.result().text == BEGUN + REST == follow(store, "a").result(10).text
    begun.close()  # type: ignore[attr-defined]
    store.close()


def test_only_one_carries_on_at_a_time(store: Any, asked: Any) -> None:
    where = asked([[Text(BEGUN), Reset()], [Text(REST), Gate(), Text(" Eight.")]])
    broken(store, where)
    recovery = StreamRecovery(store)
    one, other = recovery.resume("a", **where), recovery.resume("a", **where)
    chunks = iter(one)
    next(chunks)
    with pytest.raises(StreamBusy):
        other.result()
    with pytest.raises(StreamBusy):
        recovery.resume("a", **where)
    asked.release()
    assert "".join(chunks).endswith(" Eight.")


def test_an_answer_whose_beginning_is_gone_is_not_taken_for_whole(asked: Any) -> None:
    where = asked([[Text(BEGUN, size=2), Cut()]])
    store = MemoryStore(max_entries=5)
    with pytest.raises(Exception, match="without a finish reason"):
        stream("m", "Hi", **where).publish(store, "a").wait(10)
    with pytest.raises(Gap):
        StreamRecovery(store).partial("a")
    with pytest.raises(Gap):
        StreamRecovery(store).resume("a", **where)
    store.close()


def test_an_answer_that_was_deleted_since_is_not_there_again(store: Any, asked: Any) -> None:
    where = asked([[Text(BEGUN), Reset()], [Text(REST)]])
    broken(store, where)
    recovery = StreamRecovery(store)
    late = recovery.resume("a", **where)
    recovery.clear("a")
    with pytest.raises(UnknownStream, match="deleted"):
        late.result(10)
    assert store.streams() == [] and recovery.recoverable() == []


def test_a_published_rest_is_no_answer_that_could_be_carried_on(store: Any, asked: Any) -> None:
    where = asked([[Text(BEGUN), Reset()], [Text(REST)]])
    broken(store, where)
    StreamRecovery(store).resume("a", **where).publish(store, "b").wait(10)
    assert follow(store, "b").result(5).text == REST
    assert "call" in store.info("a").meta and "call" not in store.info("b").meta


def test_the_rest_can_be_recorded(store: Any, asked: Any, tmp_path: Path) -> None:
    where = asked([[Text(BEGUN), Cut()], [Text(REST)]])
    made = stream("m", "Hi", **where).publish(store, "a")
    with pytest.raises(TruncatedStream):
        made.wait(10)
    StreamRecovery(store).resume("a", record=tmp_path / "rest.jsonl", **where).result()
    assert replay(tmp_path / "rest.jsonl", speed=0).result().text == REST


def test_an_answer_that_is_no_longer_kept_says_so(asked: Any) -> None:
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    where = asked([[Text(BEGUN), Reset()]])
    broken(store, where)
    now[0] += 10_000
    with pytest.raises(Expired):
        StreamRecovery(store).resume("a", **where)
    store.close()


VICTIM = """
import sys, threading
from streamkit import stream
s = stream("m", "Hi", provider="openai", base_url=sys.argv[2], api_key="sk-12345678",
           recovery={"store": sys.argv[1], "id": "a"})
for text in s:
    print(text, flush=True)
"""


def test_what_a_killed_process_saved_is_carried_on_by_another(tmp_path: Path, asked: Any) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    where = asked([[Text(BEGUN), Gate()], [Text(REST)]])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", VICTIM, url, where["base_url"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as victim:
        assert victim.stdout is not None
        while "five" not in victim.stdout.readline():
            assert victim.poll() is None
        victim.send_signal(signal.SIGKILL)
    store = open_store(url)
    store.claim("a", on_busy="takeover", on_lost="takeover").close()  # in place of its lease
    recovery = StreamRecovery(url)
    assert [info.id for info in recovery.recoverable()] == ["a"]
    assert recovery.partial("a").text == BEGUN
    assert recovery.resume("a", **where).result().text == BEGUN + REST
    store.close()
