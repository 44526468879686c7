"""Streams that are left, in every way Python knows: the server sees it, nothing stays behind."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import streamkit
from streamkit.testing import Hang, LocalProvider, Repeat, Text

MODES = ["direct", "buffered", "managed"]


@pytest.fixture
def without_gc() -> Iterator[None]:
    """Reference counting alone must do: the cyclic collector is off."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def own_threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [n for n in names if n.startswith("streamkit-") and "testing" not in n]


def descriptors() -> int:
    """How many are open, but for the selector that the test's server opens when it comes to it."""
    targets = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the listing's own is closed by now
            targets.append(os.readlink(f"/proc/self/fd/{number}"))
    return sum("eventpoll" not in target for target in targets)


def wait_until(fact: Callable[[], bool], seconds: float) -> bool:
    """Look again and again: what is waited for happens in another thread, without an event."""
    end = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def by_break(stream: Any) -> None:
    for _ in stream:
        break


def by_break_with_the_stream_kept(stream: Any) -> Any:
    for _ in stream:
        break
    return stream


def by_an_exception(stream: Any) -> None:
    with pytest.raises(LookupError):
        for _ in stream:
            raise LookupError("mine")


def by_return(stream: Any) -> str:
    for text in stream:
        return text
    raise AssertionError("no text")


def by_islice(stream: Any) -> None:
    assert len(list(itertools.islice(stream, 3))) == 3


def by_zip(stream: Any) -> None:
    assert len(list(zip(range(3), stream, strict=False))) == 3


def by_a_users_generator(stream: Any) -> None:
    def shout() -> Iterator[str]:
        for text in stream:
            yield text.upper()

    for _ in shout():
        break


def by_generator_close(stream: Any) -> None:
    loop = iter(stream)
    next(loop)
    loop.close()


def by_dropping_iterator_and_stream(stream: Any) -> None:
    loop = iter(stream)
    next(loop)


def by_with(stream: Any) -> None:
    with stream as s:
        s.get()


def by_close(stream: Any) -> None:
    stream.get()
    stream.close()


def by_chunks(stream: Any) -> None:
    for _ in stream.chunks():
        break


def by_batches(stream: Any) -> None:
    for _ in stream.batches(2):
        break


def by_a_callback_that_cancels(stream: Any) -> None:
    stream.on_text(lambda text: stream.cancel()).start()
    stream.wait(5)


WAYS = [value for name, value in sorted(globals().items()) if name.startswith("by_")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("leave", WAYS)
def test_the_server_sees_every_way_of_leaving(
    leave: Callable[[Any], Any], mode: str, without_gc: None, time_scale: float
) -> None:
    with LocalProvider([Repeat((Text("tok"),))]) as provider:
        keep = leave(
            streamkit.stream(
                "openai/x", "hi", base_url=provider.base_url("openai"), api_key="k" * 9, mode=mode
            )
        )
        left = time.monotonic()
        assert provider.wait_disconnect(timeout=5) is not None
        gone = provider.requests[0].disconnected
        assert gone is not None and gone - left < 0.2 * time_scale
        assert wait_until(lambda: not own_threads(), 1.0 * time_scale), own_threads()
        if isinstance(keep, streamkit.Stream):
            result = keep.result()
            assert result.outcome == "cancelled" and result.text.startswith("tok")
        assert len(provider.requests) == 1
    streamkit.close()


@pytest.mark.timeout(300)
def test_1500_streams_left_by_break_in_one_loop(without_gc: None, time_scale: float) -> None:
    """The openai SDK never gets through this: it stops after about 440."""
    with LocalProvider([Repeat((Text("tok"),))]) as provider:
        url = provider.base_url("openai")
        begun, before = time.monotonic(), descriptors()
        for number in range(1500):
            mode = MODES[number % 3]
            for _ in streamkit.stream("openai/x", "hi", base_url=url, api_key="k" * 9, mode=mode):
                break
        assert time.monotonic() - begun < 30 * time_scale
        assert wait_until(lambda: not own_threads(), 1.0 * time_scale)
        assert wait_until(lambda: provider.open_connections == 0, 1.0 * time_scale)
        assert wait_until(lambda: descriptors() <= before, 1.0 * time_scale)
    streamkit.close()


def by_a_bug(text: str) -> None:
    raise LookupError(text)


def by_exit(text: str) -> None:
    sys.exit(text)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("die", [by_a_bug, by_exit])
def test_100_threads_that_die_in_their_loop_leave_nothing(
    die: Callable[[str], None], mode: str, without_gc: None, time_scale: float
) -> None:
    died: list[type[BaseException]] = []

    def work(url: str) -> None:
        for text in streamkit.stream("openai/x", "hi", base_url=url, api_key="k" * 9, mode=mode):
            die(text)

    def guarded(url: str) -> None:
        try:
            work(url)
        except (Exception, SystemExit) as error:
            died.append(type(error))

    with LocalProvider([Repeat((Text("tok"),))]) as provider:
        before = descriptors()
        threads = [
            threading.Thread(target=guarded, args=(provider.base_url("openai"),), name="worker")
            for _ in range(100)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30 * time_scale)
        assert died == [LookupError if die is by_a_bug else SystemExit] * 100
        assert wait_until(lambda: not own_threads(), 1.0 * time_scale), own_threads()
        assert wait_until(lambda: provider.open_connections == 0, 1.0 * time_scale)
        assert wait_until(lambda: descriptors() <= before, 1.0 * time_scale)
        assert len(provider.requests) == 100
    streamkit.close()


@pytest.mark.parametrize("mode", MODES)
def test_200_abandoned_streams_leave_no_thread_and_no_socket(
    mode: str, without_gc: None, time_scale: float
) -> None:
    with LocalProvider([Text("tok"), Hang()]) as provider:
        url = provider.base_url("openai")
        before = descriptors()
        loops = []
        for _ in range(200):
            stream = streamkit.stream("openai/x", "hi", base_url=url, api_key="k" * 9, mode=mode)
            loops.append(iter(stream))
            assert next(loops[-1]) == "tok"
        assert len(own_threads()) == (0 if mode == "direct" else 200)
        del stream
        loops.clear()
        assert wait_until(lambda: not own_threads(), 1.0 * time_scale), len(own_threads())
        assert wait_until(lambda: provider.open_connections == 0, 1.0 * time_scale)
        assert wait_until(lambda: descriptors() <= before, 1.0 * time_scale)
    streamkit.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_closed_stream_keeps_nothing_alive(mode: str, without_gc: None) -> None:
    class Callback:
        def __call__(self, text: str) -> None: ...

    callback = Callback()
    with LocalProvider([Text("one two three")]) as provider:
        stream = streamkit.stream(
            "openai/x", "hi", base_url=provider.base_url("openai"), api_key="k" * 9, mode=mode
        ).on_text(callback)
        assert "".join(stream) == "one two three"
        watched = [weakref.ref(callback), weakref.ref(stream._run.tail), weakref.ref(stream)]
        del callback
        assert watched[0]() is None, "a finished stream lets its callbacks go"
        del stream
        assert wait_until(lambda: not own_threads(), 1.0)
        assert [w() for w in watched] == [None] * 3
    streamkit.close()


@pytest.mark.parametrize("mode", MODES)
def test_eight_threads_close_at_the_same_moment(
    mode: str, run_in_thread: Callable[..., Any]
) -> None:
    with LocalProvider([Repeat((Text("tok"),))]) as provider:
        url = provider.base_url("openai")
        for used in range(20):
            stream = streamkit.stream("openai/x", "hi", base_url=url, api_key="k" * 9, mode=mode)
            together = threading.Barrier(9)
            if used % 2:
                stream.start()

            def close(stream: Any = stream, together: Any = together) -> None:
                together.wait(10)
                stream.close()
                stream.close()

            closers = [run_in_thread(close) for _ in range(8)]
            together.wait(10)
            for task in closers:
                task.result()
            assert stream.result().outcome == "cancelled"
            assert list(stream) == [] and stream.done
    streamkit.close()


@pytest.mark.parametrize("mode", MODES)
def test_threads_are_daemons_named_after_the_stream_and_two_at_most(mode: str) -> None:
    with LocalProvider([Text("one"), Hang()]) as provider:
        stream = streamkit.stream(
            "openai/x", "hi", base_url=provider.base_url("openai"), api_key="k" * 9, mode=mode
        )
        assert own_threads() == []
        heard = threading.Event()
        stream.on_text(lambda text: heard.set()).start()
        assert heard.wait(5)
        wanted = [f"streamkit-consumer-{stream.id}"]
        if mode != "direct":
            wanted.append(f"streamkit-producer-{stream.id}")
        assert sorted(own_threads()) == wanted
        assert all(t.daemon for t in threading.enumerate() if t.name in wanted)
        stream.close()
        assert wait_until(lambda: not own_threads(), 1.0)
    streamkit.close()


def test_32_threads_share_one_client_without_cross_talk(run_in_thread: Callable[..., Any]) -> None:
    def echo(request: Any) -> list[Any]:
        return [Text(request.json["messages"][-1]["content"] * 30, size=7)]

    with LocalProvider(echo) as provider:
        client = streamkit.Client(
            provider="openai", base_url=provider.base_url("openai"), api_key="k" * 9
        )

        def ask(number: int) -> list[str]:
            wrong = []
            for turn in range(20):
                prompt = f"<{number}.{turn}>"
                answer = "".join(client.stream("x", prompt, mode=MODES[turn % 3]))
                if answer != prompt * 30:
                    wrong.append(answer)
            return wrong

        tasks = [run_in_thread(ask, number) for number in range(32)]
        assert [task.result(timeout=60) for task in tasks] == [[]] * 32
        assert provider.connections <= 64, "connections are reused"
        client.close()
