"""follow(): a stream out of a store, in the same process and in others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from streamkit import (
    ConfigurationError,
    Gap,
    ProducerLost,
    Seam,
    StoreError,
    StreamRecovery,
    StreamTimeout,
    UnknownStream,
    channel,
    follow,
    open_store,
    wrap,
)
from streamkit.pipeline.follow import read_position
from streamkit.store import MemoryStore, SqliteStore

WORDS = ["Alpha ", "beta", " gämma", " 🙂", "\n", "omega."]
SAID = "".join(WORDS)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = MemoryStore() if request.param == "memory" else SqliteStore(str(tmp_path / "s.db"))
    yield made
    made.close()


def write(store: Any, id: str = "a", words: list[str] = WORDS) -> Any:
    writer = store.claim(id)
    writer.append([{"content": word} for word in words])
    return writer


def end(writer: Any, **said: Any) -> None:
    writer.end({"outcome": "completed", "finish_reason": "stop", **said})


def test_each_chunk_has_the_number_of_its_entry(store: Any, mode: str) -> None:
    end(write(store))
    chunks = list(follow(store, "a", mode=mode).chunks())
    assert [(c.content, c.metadata["seq"]) for c in chunks[:-1]] == [
        (word, seq) for seq, word in enumerate(WORDS, 1)
    ]
    assert chunks[-1].done and chunks[-1].finish_reason == "stop"


@pytest.mark.parametrize("after", range(len(WORDS) + 2))
def test_whoever_comes_back_gets_the_rest(store: Any, after: int) -> None:
    end(write(store))
    result = follow(store, "a", after=str(after)).result(10)
    assert result.text == "".join(WORDS[after:])
    assert result.outcome == "completed"


def test_a_place_beyond_the_end_is_a_gap(store: Any) -> None:
    end(write(store))
    with pytest.raises(Gap):
        follow(store, "a", after=99).result(10)


@pytest.mark.parametrize("after", [-1, "x", "-1", "1.5", "\u0661", 1.0, True, "9" * 30, b"1", " 1"])
def test_a_place_that_is_none_is_refused(after: Any) -> None:
    with pytest.raises(ConfigurationError, match="Last-Event-ID"):
        follow("memory://", "a", after=after)


def test_nothing_is_the_beginning() -> None:
    assert [read_position(after) for after in (None, "", 0, "0", "00")] == [0] * 5


@pytest.mark.parametrize("id", ["", None, 7])
def test_an_id_is_needed(id: Any) -> None:
    with pytest.raises(ConfigurationError, match="id"):
        follow("memory://", id)


def test_an_unknown_stream_says_so(store: Any, mode: str) -> None:
    with pytest.raises(UnknownStream):
        follow(store, "never", mode=mode).result(10)


def test_it_follows_live(store: Any, mode: str) -> None:
    writer = write(store, words=["one"])
    texts = iter(follow(store, "a", mode=mode))
    assert next(texts) == "one"
    writer.append([{"content": " two"}])
    assert next(texts) == " two"
    end(writer)
    assert list(texts) == []


def test_twenty_followers_see_the_same(store: Any, run_in_thread: Callable[..., Any]) -> None:
    feed, stream = channel()
    with feed:
        stream.publish(store, "a")
        tasks = [run_in_thread(lambda: follow(store, "a").result().text) for _ in range(20)]
        for word in WORDS:
            feed.put(word)
    assert stream.wait(10).text == SAID
    assert {task.result() for task in tasks} == {SAID}


@pytest.mark.parametrize("how", ["cancel", "close", "break"])
def test_stopping_a_follower_stops_nobody_else(
    store: Any, mode: str, how: str, run_in_thread: Callable[..., Any]
) -> None:
    writer = write(store, words=["one"])
    stream = follow(store, "a", mode=mode)
    if how == "break":
        for text in stream:
            assert text == "one"
            break
    else:
        got = threading.Event()
        stream.on_text(lambda text: got.set())
        task = run_in_thread(stream.result)
        assert got.wait(10)
        began = monotonic()
        getattr(stream, how)()
        assert task.result().outcome == "cancelled"
        assert monotonic() - began < 2  # 100 ms on a quiet machine
    assert not store.info("a").cancel_requested
    writer.append([{"content": " two"}])
    end(writer)
    assert follow(store, "a").result(10).text == "one two"


def test_the_total_clock_holds_while_nothing_comes(store: Any, mode: str) -> None:
    write(store, words=["one"])
    with pytest.raises(StreamTimeout) as caught:
        follow(store, "a", mode=mode, timeout={"total": 0.2}).result(10)
    assert caught.value.clock == "total"


def test_a_unit_is_flushed_in_time_while_nothing_comes(store: Any) -> None:
    writer = write(store, words=["Not a whole sen"])
    stream = follow(store, "a", units="sentence", max_wait=0.1)
    assert next(iter(stream)) == "Not a whole sen"
    end(writer)


def test_units_have_no_numbers_since_they_are_no_entries(store: Any) -> None:
    end(write(store))
    chunks = list(follow(store, "a", units="word").chunks())
    assert "".join(c.content for c in chunks) == SAID
    assert not any("seq" in c.metadata for c in chunks)


def test_a_writer_that_gave_up_is_a_lost_producer(store: Any, mode: str) -> None:
    write(store).close()
    with pytest.raises(ProducerLost) as caught:
        follow(store, "a", mode=mode).result(10)
    assert caught.value.partial is not None and caught.value.partial.text == SAID
    assert caught.value.last_seq == len(WORDS)


@pytest.mark.parametrize(("policy", "text"), [("continue", "old new"), ("restart", " new")])
def test_a_takeover_is_never_silent(store: Any, policy: Any, text: str, mode: str) -> None:
    write(store, words=["old"]).close()
    writer = store.claim("a", on_lost="takeover", policy=policy)
    writer.append([{"content": " new"}])
    end(writer)
    stream = follow(store, "a", mode=mode)
    seams = [c.metadata["seam"] for c in stream.chunks() if c.kind == "retry"]
    how = ("again", 0) if policy == "restart" else ("appended", 3)
    assert [(seam.how, seam.at) for seam in seams] == [how]
    assert isinstance(seams[0], Seam)
    assert stream.result().text == text


def test_a_failure_that_was_taken_over_is_no_end(store: Any) -> None:
    write(store, words=["old"]).fail({"class": "StreamInterrupted", "said": "cut"})
    writer = store.claim("a", on_lost="takeover")
    writer.append([{"content": " new"}])
    end(writer)
    assert follow(store, "a").result(10).text == "old new"


HOSTILE: list[dict[str, Any]] = [
    {"content": 7},
    {"content": None},
    {"type": "strange"},
    {"type": "done"},
    {"type": 7},
    {"type": "usage"},
    {"type": "usage", "metadata": {"usage": {"input_tokens": "x"}}},
    {"type": "retry", "metadata": {"seam": []}},
    {"type": "tool_call", "metadata": {"index": True}},
    {"type": "tool_call", "metadata": {"index": 0, "name": {}}},
    {"type": "citation", "metadata": {}},
    {"metadata": []},
    {"finish_reason": 1},
]


@pytest.mark.parametrize("data", HOSTILE, ids=str)
def test_what_is_no_chunk_of_ours_is_a_store_error(store: Any, data: dict[str, Any]) -> None:
    writer = write(store, words=["fine"])
    writer.append([data])
    end(writer)
    with pytest.raises(StoreError) as caught:
        follow(store, "a").result(10)
    assert caught.value.partial is not None and caught.value.partial.text == "fine"


def test_nothing_is_built_by_a_name_from_the_store(store: Any) -> None:
    write(store).fail({"class": "SystemExit", "said": "x", "status": "y", "partial": 1})
    with pytest.raises(Exception) as caught:
        follow(store, "a").result(10)
    assert type(caught.value).__name__ == "StreamkitError"


def test_events_have_ids_and_a_browser_comes_back(store: Any) -> None:
    end(write(store))
    body = b"".join(follow(store, "a").sse())
    ids = [line for line in body.splitlines() if line.startswith(b"id:")]
    assert ids == [b"id: %d" % seq for seq in range(1, len(WORDS) + 1)]
    assert body.endswith(b"data: [DONE]\n\n")

    left = follow(store, "a").sse()
    pieces = iter(left)
    read = next(pieces) + next(pieces)
    left.close()
    last = read.decode().rpartition("id: ")[2].strip()
    again = b"".join(follow(store, "a", after=last).sse())
    assert read + again == body


def test_lines_of_json_have_the_number_too(store: Any) -> None:
    end(write(store, words=["one"]))
    assert b'"seq":1' in b"".join(follow(store, "a").ndjson())


def test_a_seq_that_is_no_number_of_ours_is_no_id() -> None:
    from streamkit import Chunk

    body = b"".join(wrap([Chunk("x", metadata={"seq": "a\nb"})]).sse())
    assert b"id:" not in body


PUBLISH = """
import sys, threading
from streamkit import channel
feed, stream = channel()
stream.publish(sys.argv[1], "a", lease=0.5)
for word in ["one", " two", " three"]:
    feed.put(word)
print("go", flush=True)
threading.Event().wait()
"""


def start(code: str, *args: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(
        [sys.executable, "-c", code, *args],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


def test_a_publisher_killed_in_mid_stream_leaves_all_it_wrote(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with start(PUBLISH, url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        store = open_store(url)
        stream = follow(url, "a")
        texts = iter(stream)
        read = next(texts)
        while read != "one two three":
            read += next(texts)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        began = monotonic()
        with pytest.raises(ProducerLost) as caught:
            list(texts)
        assert monotonic() - began < 5
    assert caught.value.partial is not None and caught.value.partial.text == read
    assert [info.state for info in store.streams()] == ["lost"]
    store.close()


FOLLOW = """
import sys
from streamkit import follow
sys.stdout.buffer.write("".join(follow(sys.argv[1], "a")).encode())
"""


def test_followers_in_other_processes_see_the_same(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    feed, stream = channel()
    with feed:
        stream.publish(url, "a")
        others = [start(FOLLOW, url) for _ in range(3)]
        for word in WORDS:
            feed.put(word)
    assert stream.wait(10).text == SAID
    assert {other.communicate(timeout=30)[0] for other in others} == {SAID}
    open_store(url).close()


EXIT = """
import sys
from streamkit import wrap
print(wrap(["all ", "of ", "it"]).publish(sys.argv[1], "a").wait().text)
"""


def test_who_waited_may_exit_and_the_end_is_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    with start(EXIT, url) as process:
        assert process.communicate(timeout=30)[0] == "all of it\n"
    assert follow(url, "a").result(10).text == "all of it"
    open_store(url).close()


def test_what_the_publishers_buffer_shed_is_counted_for_its_followers_too() -> None:
    store = MemoryStore()
    whole = wrap(["abc "] * 2000, overflow="drop", buffer=2).publish(store, "a").wait(10)
    stream = follow(store, "a")
    chunks = list(stream.chunks())
    shed = sum(chunk.metadata["dropped"] for chunk in chunks if chunk.kind == "gap")
    assert shed == whole.dropped == stream.result().dropped
    assert shed == StreamRecovery(store).partial("a").dropped
    assert sum(chunk.kind == "text" for chunk in chunks) + shed == 2000
    store.close()
