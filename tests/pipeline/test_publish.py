"""publish(): a stream written into a store while it runs, whatever the store does meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from streamkit import (
    BufferConfig,
    ConcurrencyError,
    ConfigurationError,
    ConnectError,
    Fenced,
    ProviderError,
    Result,
    StoreUnavailable,
    StreamBusy,
    StreamEnded,
    TruncatedStream,
    channel,
    follow,
    open_store,
    wrap,
)
from streamkit.pipeline import publish
from streamkit.store import MemoryStore, SqliteStore
from streamkit.testing import Cut, Error, Gate, Hang, Text, Tool, Usage

SAID = "one two three four five"
KEY = "sk-canary-0123456789abcdef"


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = MemoryStore() if request.param == "memory" else SqliteStore(str(tmp_path / "s.db"))
    yield made
    made.close()


def kinds(store: Any, id: str) -> list[str]:
    return [entry.kind for entry in store.read(id, until_end=False, block=0.0)]


class Frail(MemoryStore):
    """A store whose writes fail: the numbers in ``fails``, or all while ``down``."""

    def __init__(self, fails: Sequence[int] = (), *, lands: bool = False) -> None:
        super().__init__()
        self.fails = set(fails)
        self.lands = lands
        self.down = False
        self.asked = 0
        self.failed = threading.Event()

    def write(self, *args: Any) -> Any:
        self.asked += 1
        if self.down or self.asked in self.fails:
            self.failed.set()
            if self.lands:  # the answer was lost, not the question
                super().write(*args)
            raise StoreUnavailable("the store is away")
        return super().write(*args)


def test_what_is_published_is_the_stream(play: Any, mode: str, store: Any) -> None:
    seen: list[str] = []
    stream = play([Text(SAID), Usage(3, 5)], mode=mode)
    result = stream.on_text(seen.append).publish(store, "a").wait(10)
    assert "".join(seen) == result.text == SAID
    assert kinds(store, "a")[-1] == "end"
    followed = follow(store, "a").result(10)
    assert followed.text == SAID
    assert (followed.outcome, followed.finish_reason) == (result.outcome, result.finish_reason)
    assert followed.usage == result.usage
    assert (followed.model, followed.id) == (result.model, result.id)
    assert store.info("a").state == "ended"


def test_tool_calls_arrive_as_they_were(play: Any, store: Any) -> None:
    stream = play([Text("Hm."), Tool("add", {"a": 1, "b": "é"})])
    result = stream.publish(store, "a").wait(10)
    followed = follow(store, "a").result(10)
    assert followed.tool_calls == result.tool_calls
    assert followed.outcome == "tool_calls"


def test_without_an_id_it_is_the_streams_own(store: Any) -> None:
    stream = wrap([SAID]).publish(store)
    stream.wait(10)
    assert follow(store, stream.id).result(10).text == SAID


def test_a_taken_id_is_said_before_anything_is_sent(play: Any, store: Any) -> None:
    writer = store.claim("a")
    stream = play(SAID)
    with pytest.raises(StreamBusy):
        stream.publish(store, "a")
    writer.end({})
    with pytest.raises(StreamEnded):
        stream.publish(store, "a")
    assert play.server.requests == []
    assert stream.publish(store, "b").wait(10).text == SAID  # it was not used up


def test_what_recovery_keeps_already_is_not_published_under_the_same_id(
    play: Any, store: Any
) -> None:
    stream = play(SAID, recovery={"store": store, "id": "a"})
    with pytest.raises(ConfigurationError, match="another id"):
        stream.publish(store, "a")
    assert stream.publish(store, "b").wait(10).text == SAID
    assert follow(store, "a").result(10).text == follow(store, "b").result(10).text == SAID


def test_who_waited_for_a_failure_finds_it_in_the_store(play: Any, mode: str, store: Any) -> None:
    stream = play([Text(SAID), Cut()], mode=mode, retry=None)
    with pytest.raises(TruncatedStream):
        stream.publish(store, "a").wait(10)
    assert store.info("a").state == "failed"


def test_a_used_stream_claims_nothing(store: Any) -> None:
    stream = wrap([SAID])
    stream.result()
    with pytest.raises(ConcurrencyError, match="unused"):
        stream.publish(store, "a")
    assert store.streams() == []


@pytest.mark.parametrize("grace", [-1, float("nan"), float("inf"), "1", True])
def test_a_grace_that_is_no_time_is_refused(store: Any, grace: Any) -> None:
    with pytest.raises(ConfigurationError, match="grace"):
        wrap([SAID]).publish(store, "a", grace=grace)


def test_there_is_one_consumer_and_it_is_the_callbacks(store: Any) -> None:
    feed, stream = channel()
    with feed:
        stream.publish(store, "a")
        with pytest.raises(ConcurrencyError):
            next(iter(stream))
    assert stream.wait(10).text == ""


def test_a_failure_is_the_followers_too(play: Any, mode: str, store: Any) -> None:
    stream = play([Text("half"), Error("no more")], mode=mode)
    with pytest.raises(ProviderError) as mine:
        stream.publish(store, "a").wait(10)
    with pytest.raises(ProviderError) as theirs:
        follow(store, "a").result(10)
    assert type(theirs.value) is type(mine.value)
    assert str(theirs.value) == str(mine.value)
    assert theirs.value.partial is not None and theirs.value.partial.text == "half"


def test_a_callback_that_raises_fails_it_without_its_words(store: Any) -> None:
    def fail(text: str) -> None:
        raise ValueError("the password is tiger")

    with pytest.raises(ValueError):
        wrap([SAID]).on_text(fail).publish(store, "a").wait(10)
    with pytest.raises(Exception, match="producer's own code raised ValueError") as caught:
        follow(store, "a").result(10)
    assert "tiger" not in repr(vars(caught.value))


def test_a_cancel_is_told_to_followers(
    play: Any, mode: str, store: Any, run_in_thread: Callable[..., Any]
) -> None:
    stream = play([Text("half"), Gate(), Text("more")], mode=mode).publish(store, "a")
    task = run_in_thread(follow(store, "a").result)
    play.server.wait_gate()
    stream.cancel()
    result = task.result()
    assert result.outcome == "cancelled"
    assert "half".startswith(result.text)


def test_a_follower_asks_to_cancel(play: Any, mode: str, store: Any) -> None:
    stream = play([Text("half"), Gate(), Text("more"), Gate()], mode=mode)
    stream.publish(store, "a", lease=0.6)  # renewed every 0.2 s, while the provider is silent
    play.server.wait_gate()
    assert store.cancel("a", "enough")
    assert stream.wait(10).outcome == "cancelled"


def test_the_lease_lives_while_the_provider_and_a_callback_take_their_time(
    play: Any, mode: str, store: Any
) -> None:
    go = threading.Event()
    stream = play([Text(SAID)], mode=mode).on_text(lambda text: go.wait(10))
    stream.publish(store, "a", lease=0.3)
    until = monotonic() + 0.8  # the time itself is what is tested
    while monotonic() < until:
        assert store.info("a").lease_left > 0
        go.wait(0.05)
    go.set()
    assert stream.wait(10).outcome == "completed"
    assert follow(store, "a").result(10).text == SAID


@pytest.mark.parametrize("lands", [False, True], ids=["not-written", "written"])
@pytest.mark.parametrize("bad", [{1}, {2, 3}, {1, 2, 3}, {4}, set(range(1, 6))])
def test_a_store_that_fails_and_works_again_loses_nothing_and_doubles_nothing(
    bad: set[int], lands: bool
) -> None:
    store = Frail(bad, lands=lands)
    words = [f"{n} " for n in range(40)]
    result = wrap(words).publish(store, "a").wait(20)
    assert [c.content for c in follow(store, "a").chunks() if c.kind == "text"] == words
    assert result.outcome == "completed"
    store.close()


def test_a_store_that_stays_away_ends_the_stream_after_the_grace() -> None:
    store = Frail()
    feed, stream = channel()
    stream.publish(store, "a", grace=0.2)
    with feed:
        store.down = True
        feed.put("x")
        began = monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            stream.wait(10)
        assert 0.1 < monotonic() - began < 5
    assert stream.outcome == "failed"
    assert caught.value.partial is not None and caught.value.partial.text == "x"
    store.close()


def test_the_stream_reads_on_by_its_policy_while_the_store_is_away(play: Any) -> None:
    store = Frail()
    many = "".join(f"{n} " for n in range(2000))
    stream = play([Text(many)], buffer=BufferConfig(capacity=10, overflow="drop"))
    store.down = True
    stream.publish(store, "a", grace=20)
    assert store.failed.wait(10)
    while stream.partial.text != many:  # the read does not wait for the store
        assert not stream.done
    store.down = False
    result = stream.wait(10)
    assert result.text == many
    assert result.dropped > 0
    shown = follow(store, "a").result(10)
    assert shown.outcome == "completed"
    assert len(shown.text) < len(many)
    store.close()


def test_a_cancel_does_not_wait_for_a_store_that_is_away() -> None:
    store = Frail()
    feed, stream = channel()
    store.down = True
    stream.publish(store, "a", grace=60)
    feed.put("x")
    assert store.failed.wait(10)
    stream.cancel()
    assert stream.wait(10).outcome == "cancelled"
    store.close()  # that its thread is gone in time is looked at by conftest


def test_who_is_fenced_ends_at_once(play: Any, mode: str, store: Any) -> None:
    stream = play([Text("half"), Gate(), Text("more"), Gate()], mode=mode)
    stream.publish(store, "a", lease=0.3)
    play.server.wait_gate()
    other = store.claim("a", on_busy="takeover")
    with pytest.raises(Fenced):
        stream.wait(10)
    other.end({"outcome": "completed"})
    assert play.server.wait_disconnect(2) is not None


@pytest.mark.parametrize("refused", ["publisher", "consumer"])
def test_without_a_thread_it_fails_and_the_id_is_free(
    play: Any, store: Any, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name.startswith(f"streamkit-{refused}"):
            raise RuntimeError("can't start new thread")
        begin(thread)

    stream = play(SAID)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(ConnectError, match="no thread"):
            stream.publish(store, "a")
    assert stream.outcome == "transport_error"
    assert play.server.requests == []
    assert store.info("a").state in ("lost", "failed")
    assert play.open().publish(store, "a", on_lost="takeover").wait(10).text == SAID


@pytest.mark.parametrize("interrupted", ["publisher", "consumer"])
def test_ctrl_c_while_a_thread_begins_ends_it_and_frees_the_id(
    play: Any, store: Any, interrupted: str, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, real, slow = threading.Thread.start, publish.end_to_json, threading.Event()

    def end_to_json(result: Result) -> dict[str, Any]:
        slow.wait(10)  # whoever else gives the lease back is quicker
        return real(result)

    def start(thread: threading.Thread) -> None:
        begin(thread)
        if thread.name.startswith(f"streamkit-{interrupted}"):
            raise KeyboardInterrupt

    stream = play([Text("one"), Hang()])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        patch.setattr(publish, "end_to_json", end_to_json)
        patch.setattr(publish, "MOST", 0.05)
        with pytest.raises(KeyboardInterrupt):
            stream.publish(store, "a")
        assert stream.outcome == "cancelled" and kinds(store, "a") == []
        slow.set()
        until(lambda: store.info("a").state != "open")
    assert kinds(store, "a") == ["cancelled"]


def test_a_request_to_cancel_that_comes_with_the_end_changes_nothing() -> None:
    class Late(MemoryStore):
        def write(self, *args: Any) -> Any:
            if [kind for kind, _ in args[-1]] == ["end"]:
                self.cancel("a", "too late")
            return super().write(*args)

    store = Late()
    assert wrap(["Hi"]).publish(store, "a").wait(5).outcome == "completed"
    assert store.info("a").state == "ended"


def test_a_store_that_raises_something_else_fails_the_stream_with_it() -> None:
    class Odd(MemoryStore):
        def write(self, *args: Any) -> Any:
            raise KeyError("odd")

    with pytest.raises(KeyError):
        wrap([SAID]).publish(Odd(), "a").wait(10)


def test_an_id_is_taken_over_and_begun_anew(play: Any, store: Any) -> None:
    play.serve(scripts=[[Text("old text"), Cut()], [Text("new text")]])
    with pytest.raises(Exception, match="ended"):
        play.open().publish(store, "a").wait(10)
    with pytest.raises(Exception, match="ended"):
        follow(store, "a").result(10)
    with pytest.raises(StreamEnded):
        play.open().publish(store, "a")
    play.open().publish(store, "a", on_lost="takeover").wait(10)
    chunks = list(follow(store, "a").chunks())
    seams = [c.metadata["seam"] for c in chunks if c.kind == "retry"]
    assert [(seam.attempt, seam.at, seam.how) for seam in seams] == [(2, 0, "again")]
    assert follow(store, "a").result(10).text == "new text"


def test_no_key_is_in_the_store(play: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    url = f"sqlite:////{str(path).lstrip('/')}"
    stream = play(
        [Text("half"), Error(f"bad key {KEY}")],
        api_key=KEY,
        extra_headers={"X-Token": KEY},
    )
    with pytest.raises(ProviderError):
        stream.publish(url, "a").wait(10)
    with pytest.raises(ProviderError):
        follow(url, "a").result(10)
    meta = open_store(url).info("a").meta
    assert meta["call"]["messages"] == [{"role": "user", "content": "Hi"}]
    open_store(url).close()
    found = [f.name for f in tmp_path.iterdir() if KEY.encode() in f.read_bytes()]
    assert found == []


def test_a_request_that_json_cannot_say_is_not_kept(play: Any, store: Any) -> None:
    stream = play(SAID, extra_headers={"X-A": "b"})
    stream._run.describe = _refuse
    stream.publish(store, "a").wait(10)
    meta: Mapping[str, Any] = store.info("a").meta
    assert "call" not in meta and meta["provider"] == "openai"


def _refuse() -> dict[str, Any]:
    raise ConfigurationError("messages cannot be kept in a store")


def test_a_transformed_stream_keeps_no_request(play: Any, store: Any) -> None:
    stream = play(SAID, transform=lambda chunk: chunk)
    stream.publish(store, "a").wait(10)
    assert "call" not in store.info("a").meta
