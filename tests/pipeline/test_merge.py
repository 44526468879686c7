"""merge(): several streams in one loop, whatever becomes of each of them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit.api import channel, merge, wrap
from streamkit.chunk import Chunk
from streamkit.errors import ConcurrencyError, ConfigurationError, Overloaded
from streamkit.pipeline.stream import Stream
from streamkit.testing import Hang, Status, Text


def endless() -> Iterator[str]:
    while True:
        yield "e"


def broken(failure: BaseException) -> Iterator[str]:
    yield "b"
    raise failure


def texts(items: list[tuple[str, Chunk]]) -> dict[str, str]:
    said: dict[str, str] = {}
    for name, chunk in items:
        said[name] = said.get(name, "") + chunk.content
    return said


def ends(items: list[tuple[str, Chunk]]) -> dict[str, Any]:
    return {name: chunk.metadata["outcome"] for name, chunk in items if chunk.done}


def test_every_stream_comes_whole_in_its_order_and_says_how_it_ended(play: Any, mode: Any) -> None:
    first = play([Text("Hello there you")], mode=mode)
    items = list(merge(a=first, b=wrap(map(str, range(300)), mode=mode), c=["plain"]))
    assert texts(items) == {
        "a": "Hello there you",
        "b": "".join(map(str, range(300))),
        "c": "plain",
    }
    assert ends(items) == {"a": "completed", "b": "completed", "c": "completed"}
    for name in "abc":
        done = [chunk.done for who, chunk in items if who == name]
        assert done.index(True) == len(done) - 1
    (last,) = [chunk for who, chunk in items if who == "a" and chunk.done]
    assert (last.kind, last.finish_reason, last.error) == ("done", "stop", None)


def test_chunks_come_in_the_order_in_which_they_arrive() -> None:
    (one, a), (two, b) = channel(), channel()
    items = iter(merge(a=a, b=b))
    got = []
    for feed, text in ((one, "1"), (two, "2"), (two, "3"), (one, "4")):
        feed.put(text)
        name, chunk = next(items)
        got.append((name, chunk.content))
    assert got == [("a", "1"), ("b", "2"), ("b", "3"), ("a", "4")]
    one.finish()
    assert next(items)[1].done
    two.finish()
    assert [(name, chunk.done) for name, chunk in items] == [("b", True)]


def test_a_flood_does_not_starve_the_others(run_in_thread: Callable[..., Any]) -> None:
    feed, quiet = channel()
    counts: Counter[str] = Counter()
    merged = merge(flood=wrap(endless()), quiet=quiet)
    for name, chunk in merged:
        counts[name] += 1
        if counts["flood"] == 500:
            run_in_thread(feed.put, "q").result()
        if name == "quiet":
            assert chunk.content == "q"
            break
        # Soon is some hundreds, what the buffers hold; but the machine decides when a thread runs.
        assert counts["flood"] < 100_000


def test_a_slow_loop_holds_the_streams_back() -> None:
    made = 0

    def counting() -> Iterator[str]:
        nonlocal made
        while True:
            made += 1
            yield "x"

    merged = merge(a=wrap(counting()))
    for number, _ in enumerate(merged):
        assert made <= number + 1000
        if number == 3000:
            break


def test_one_failing_does_not_stop_the_others_and_is_raised_after_all() -> None:
    failure = ValueError("theirs")
    gate = threading.Event()

    def later() -> Iterator[str]:
        assert gate.wait(10)
        yield "c"

    items = []
    with pytest.raises(ValueError) as caught:
        for name, chunk in merge(a=broken(failure), b=later()):
            items.append((name, chunk))
            if chunk.error is not None:
                gate.set()  # the other begins only after the failure
    assert caught.value is failure
    assert texts(items) == {"a": "b", "b": "c"}
    assert ends(items) == {"a": "failed", "b": "completed"}
    assert [chunk.error for _, chunk in items if chunk.done] == [failure, None]


def test_stop_cancels_the_others_and_raises_at_once(play: Any) -> None:
    hanging = play([Text("Hi"), Hang()])
    failure = ValueError("theirs")
    items = []
    with pytest.raises(ValueError) as caught:
        for item in merge(on_error="stop", a=broken(failure), b=hanging, c=wrap(endless())):
            items.append(item)
    assert caught.value is failure
    assert "a" not in ends(items)
    assert hanging.outcome == "cancelled"
    assert play.server.requests == [] or play.server.wait_disconnect(10)


def test_yield_raises_nothing(play: Any) -> None:
    failing = play([Status(503)])
    items = list(merge(on_error="yield", a=failing, b=["b"]))
    assert texts(items)["b"] == "b"
    (error,) = [chunk.error for name, chunk in items if name == "a"]
    assert isinstance(error, Overloaded)
    assert ends(items) == {"a": "provider_error", "b": "completed"}


def test_the_first_of_several_errors_is_raised() -> None:
    first, second = ValueError("1"), ValueError("2")
    gate = threading.Event()

    def later() -> Iterator[str]:
        assert gate.wait(10)
        raise second
        yield

    with pytest.raises(ValueError) as caught:
        for _, chunk in merge(a=later(), b=broken(first)):
            if chunk.error is first:
                gate.set()
    assert caught.value is first


def test_leaving_the_loop_stops_every_stream(play: Any) -> None:
    streams = [play([Text("Hi"), Hang()]) for _ in range(2)]
    for _ in merge(a=streams[0], b=streams[1], c=endless()):
        break
    assert [stream.outcome for stream in streams] == ["cancelled"] * 2


@pytest.mark.parametrize("verb", ["cancel", "close"])
def test_cancel_from_another_thread_ends_the_loop(
    verb: str, run_in_thread: Callable[..., Any]
) -> None:
    feed, stream = channel()
    merged = merge(a=stream)
    came = threading.Event()
    reading = run_in_thread(lambda: [chunk.content for _, chunk in merged if not came.set()])
    feed.put("a")
    assert came.wait(10)
    getattr(merged, verb)()
    assert reading.result() == ["a"]
    assert stream.outcome == "cancelled" and feed.cancelled


def test_cancelling_one_stream_in_the_loop_leaves_the_others() -> None:
    feed, stream = channel()
    feed.put("a")
    gate = threading.Event()

    def later() -> Iterator[str]:
        assert gate.wait(10)
        yield from ["b"] * 300

    items = []
    for item in merge(a=stream, b=later()):
        items.append(item)
        if item[0] == "a" and not item[1].done:
            stream.cancel()
            gate.set()
    assert texts(items) == {"a": "a", "b": "b" * 300}
    assert ends(items) == {"a": "cancelled", "b": "completed"}


def test_one_that_was_cancelled_before_or_while_it_started_ends_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, (_, during) = wrap(["never"]), channel()
    before.cancel()
    merged = merge(a=before, b=during, c=["c"])
    start = merged._inlet.start

    def interrupted(name: str, stream: Stream) -> None:
        during.cancel()
        start(name, stream)

    monkeypatch.setattr(merged._inlet, "start", interrupted)
    items = list(merged)
    assert texts(items) == {"a": "", "b": "", "c": "c"}
    assert sorted(name for name, chunk in items if chunk.done) == ["a", "b", "c"]


def test_a_second_loop_gets_nothing_and_with_closes() -> None:
    merged = merge(a=["a"])
    assert len(list(merged)) == 2
    assert list(merged) == []
    with merge(a=wrap(endless())) as merged:
        stream = merged._streams["a"]
        next(iter(merged))
    assert stream.outcome == "cancelled"


def test_nothing_starts_before_the_loop_nor_if_one_is_taken(play: Any) -> None:
    unused, taken = play([Text("Hi")]), wrap(["a", "b"])
    merged = merge(a=unused, b=taken)
    assert taken.get(10) is not None
    with pytest.raises(ConcurrencyError, match=r"merge\(\) needs unused streams, got '\w+' that"):
        list(merged)
    assert play.server.requests == []
    taken.close()


def test_no_stream_twice_and_no_unknown_word() -> None:
    stream = wrap(["a"])
    with pytest.raises(ConfigurationError, match="at least one stream"):
        merge()
    with pytest.raises(ConfigurationError, match="same stream under two names"):
        merge(a=stream, b=stream)
    with pytest.raises(ConfigurationError, match="on_error must be one of continue, stop, yield"):
        merge(a=stream, on_error="ignore")  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="needs an iterable"):
        merge(a="text")
