"""The ring between reader and consumer: pressure, loss, and an account of every chunk."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from streamkit import BatchConfig, BufferConfig, Chunk, FlowConfig, Stream, Timeouts
from streamkit.pipeline.producer import _may_shed, _merge, new_ring
from streamkit.testing import (
    Cut,
    Error,
    Fin,
    Finish,
    Gate,
    Hang,
    Ping,
    Reasoning,
    Repeat,
    Text,
    Tool,
    Usage,
)

#: 500 deltas of 12 bytes.
LINES = tuple(f"line {number:06d}\n" for number in range(500))
FLOOD = Text(pieces=LINES, burst=50)
#: More bytes than the kernel holds between two sockets on loopback (4.2 MB measured).
KERNEL = 12 << 20


def wait_until_blocked(until: Any, server: Any) -> None:
    """Until the server has waited for its client to read for a while."""
    request = server.wait_request()
    until(lambda: request.blocked > 0.2)


def wait_until_read(until: Any, server: Any, stream: Stream) -> None:
    """Until the stream has read all that the server has sent so far; it counts after it sends."""
    until(lambda: stream.metrics.bytes_received == server.requests[0].sent)


# -- pressure


@pytest.mark.parametrize(
    "keywords",
    [
        {"mode": "direct"},
        {"mode": "buffered", "buffer": 10},
        {"mode": "buffered", "buffer": BufferConfig(capacity=1_000_000, max_bytes=100_000)},
        {"mode": "managed", "buffer": 10},
        {"mode": "managed", "buffer": 100, "flow": None},
        {"mode": "managed", "buffer": 10, "overflow": "coalesce"},
    ],
    ids=str,
)
def test_a_consumer_that_stops_stops_the_server(
    play: Any, keywords: dict[str, Any], until: Any
) -> None:
    stream = play([Repeat([Text("x" * 60_000, size=2000, burst=30)])], **keywords)
    loop = iter(stream)
    next(loop)
    wait_until_blocked(until, play.server)
    written = play.server.bytes_written
    assert written < KERNEL
    assert len(stream.partial.text) < KERNEL
    loop.close()
    assert play.server.wait_disconnect(2) is not None


def test_managed_pauses_the_read_before_the_buffer_is_full(play: Any, until: Any) -> None:
    # One read brings 64 KiB at most, some 30 of these: from 0.8 of 1000 it cannot reach the brim.
    stream = play([Repeat([Text("x" * 2000)])], mode="managed", buffer=1000)
    loop = iter(stream)
    next(loop)
    wait_until_blocked(until, play.server)
    ring = stream._run._ring
    assert 800 <= ring.stats().peak < 1000
    loop.close()
    assert play.server.wait_disconnect(2) is not None


def test_a_read_that_was_paused_goes_on_when_the_consumer_does(play: Any) -> None:
    # 0.8 of 10 pauses, 0.5 resumes: the whole text arrives through many pauses.
    stream = play([FLOOD], mode="managed", buffer=10, flow=FlowConfig())
    assert list(stream) == list(LINES)
    assert stream.metrics.chunks_dropped == 0


@pytest.mark.parametrize("capacity", [1, 2, 3, 7])
def test_the_smallest_buffers_lose_nothing_and_keep_the_order(
    play: Any, threaded: str, capacity: int
) -> None:
    stream = play([FLOOD, Usage()], mode=threaded, buffer=capacity)
    assert list(stream) == list(LINES)
    assert stream.result().text == "".join(LINES)


def test_batches_by_size_alone_are_exact(play: Any, mode: str) -> None:
    stream = play([FLOOD, Usage()], mode=mode, buffer=20)
    assert [len(batch) for batch in stream.batches(64, max_wait=60)] == [64] * 7 + [52]


# -- loss


def play_flood(play: Any, *more: Any, **keywords: Any) -> Stream:
    """A stream whose consumer has seen one chunk when the flood comes."""
    script = [Text("first"), Gate(), FLOOD, Tool("add", {"a": 1}), Usage(1, 2), *more]
    stream: Stream = play(script, **keywords)
    assert stream.get(5).content == "first"  # type: ignore[union-attr]
    play.server.release()
    return stream


@pytest.mark.parametrize("overflow", ["drop", "overwrite"])
def test_a_lossy_policy_loses_display_and_never_the_answer(
    play: Any, threaded: str, overflow: str
) -> None:
    stream = play_flood(play, mode=threaded, buffer=10, overflow=overflow)
    play.server.wait_finished()
    chunks = list(iter(stream.get, None))
    result = stream.result()
    assert result.text == "first" + "".join(LINES)
    assert result.tool_calls[0].parsed == {"a": 1}
    assert result.usage.input_tokens == 1
    texts = [c.content for c in chunks if c.kind == "text"]
    assert texts == sorted(texts)  # a subsequence, in order
    assert len(texts) == len(set(texts))
    gaps = [c.metadata["dropped"] for c in chunks if c.kind == "gap"]
    assert sum(gaps) > 0
    assert sum(gaps) == result.dropped == stream.metrics.chunks_dropped
    assert result.dropped == len(LINES) - len(texts)
    kinds = [c.kind for c in chunks if c.kind not in ("text", "gap")]
    assert kinds == ["tool_call", "tool_call", "usage", "done"]
    check_account(stream)


@pytest.mark.parametrize(
    ("overflow", "kept"), [("drop", slice(0, 5)), ("overwrite", slice(-5, None))]
)
def test_drop_keeps_the_oldest_and_overwrite_the_newest(
    play: Any, threaded: str, overflow: str, kept: slice, until: Any
) -> None:
    script = [Text("first"), Gate(), FLOOD, Gate(), Ping(), Gate(), Usage()]
    stream = play(script, mode=threaded, buffer=5, overflow=overflow)
    assert stream.get(5).content == "first"
    for _ in range(2):  # what came before the ping is in the buffer once the ping is read
        play.server.wait_gate()
        play.server.release()
        play.server.wait_gate()
        wait_until_read(until, play.server, stream)
    with_gap = [stream.get(5) for _ in range(6)]
    assert [c.content for c in with_gap if c.kind == "text"] == list(LINES[kept])
    (gap,) = [c for c in with_gap if c.kind == "gap"]
    assert gap is with_gap[-1 if overflow == "drop" else 0]
    assert gap.metadata == {"dropped": len(LINES) - 5}
    play.server.release()
    assert stream.get(5).done
    check_account(stream)


def test_a_loop_over_text_does_not_see_gaps(play: Any, threaded: str) -> None:
    stream = play([FLOOD], mode=threaded, buffer=1, overflow="drop")
    pieces = list(stream)
    assert set(pieces) <= set(LINES)
    assert stream.result().text == "".join(LINES)
    check_account(stream)


def test_coalesce_loses_nothing(play: Any, threaded: str) -> None:
    script = [Reasoning("thinking ", size=1), FLOOD, Tool("add", {"a": 1}), Text("end", size=1)]
    stream = play(script, mode=threaded, buffer=3, overflow="coalesce")
    first = stream.get(5)
    play.server.wait_finished()
    chunks = [first, *iter(stream.get, None)]
    assert "".join(c.content for c in chunks if c.kind == "text") == "".join(LINES) + "end"
    assert "".join(c.content for c in chunks if c.kind == "reasoning") == "thinking "
    kinds = [c.kind for c in chunks]
    assert kinds.index("tool_call") > kinds.index("text")
    at = kinds.index("tool_call")
    assert "".join(c.content for c in chunks[:at] if c.kind == "text") == "".join(LINES)
    assert stream.result().dropped == 0
    assert stream.metrics.chunks_merged > 0
    check_account(stream)


def test_a_lossy_policy_never_pauses_the_read(play: Any, until: Any) -> None:
    # With the read paused at the water mark there would be nothing to shed.
    stream = play([Text("first"), FLOOD, Gate()], mode="managed", buffer=5, overflow="drop")
    assert stream.get(5).content == "first"
    play.server.wait_gate()
    wait_until_read(until, play.server, stream)
    play.server.release()
    assert "".join(LINES) in stream.partial.text


# -- the account


def check_account(stream: Stream) -> None:
    """Every chunk that was received is delivered, dropped or merged: P37."""
    metrics = stream.metrics
    assert metrics.chunks_received == (
        metrics.chunks_delivered + metrics.chunks_dropped + metrics.chunks_merged
    )


SCRIPTS: dict[str, list[Any]] = {
    "complete": [FLOOD],
    "truncated": [FLOOD, Cut()],
    "broken": [FLOOD, Fin()],
    "an error": [FLOOD, Error("broke")],
    "held": [Text(pieces=("a", "\ud83d")), Cut()],
    "a clock": [FLOOD, Hang()],
    "finish, then a break": [FLOOD, Finish(), Fin()],
}


def leave_by_loop(stream: Stream) -> int:
    return len(list(stream.chunks()))


def leave_by_batches(stream: Stream) -> int:
    return sum(len(batch) for batch in stream.batches(7))


def leave_by_get(stream: Stream) -> int:
    return len(list(iter(stream.get, None)))


@pytest.mark.parametrize("overflow", ["block", "drop", "overwrite", "coalesce"])
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("drain", [leave_by_loop, leave_by_batches, leave_by_get])
def test_the_account_balances_after_every_ending(
    play: Any, mode: str, overflow: str, name: str, drain: Callable[[Stream], int], until: Any
) -> None:
    # Only what hangs may run out of time; elsewhere a slow machine would end the stream early.
    hangs = name == "a clock"
    timeout = Timeouts(content=0.05) if hangs else Timeouts()
    stream = play(SCRIPTS[name], mode=mode, buffer=20, overflow=overflow, timeout=timeout)
    error: Any = None
    try:
        drain(stream)
    except Exception as caught:
        error = caught
    check_account(stream)
    metrics = stream.metrics
    if mode == "direct" or overflow == "block":
        assert metrics.chunks_received == metrics.chunks_delivered
    if not hangs:
        wait_until_read(until, play.server, stream)
    if error is not None:
        assert error.partial.dropped == stream.partial.dropped == metrics.chunks_dropped
        assert metrics.errors == 1


def break_loop(stream: Stream) -> None:
    for number, _ in enumerate(stream):
        if number == 7:
            break


def break_chunks(stream: Stream) -> None:
    for number, _ in enumerate(stream.chunks()):
        if number == 7:
            break


def break_batches(stream: Stream) -> None:
    for _ in stream.batches(7):
        break


def cancel_batches(stream: Stream) -> None:
    for _ in stream.batches(7):
        stream.cancel()


def cancel_loop(stream: Stream) -> None:
    for _ in stream:
        stream.cancel()


def cancel_get(stream: Stream) -> None:
    stream.get()
    stream.cancel()


def raise_in_callback(stream: Stream) -> None:
    def refuse(text: str) -> None:
        if text == LINES[3]:
            raise LookupError

    stream.on_text(refuse)
    with pytest.raises(LookupError):
        stream.start().wait(10)


def cancel_in_callback(stream: Stream) -> None:
    stream.on_text(lambda text: stream.cancel() if text == LINES[3] else None)
    stream.start().wait(10)
    stream.close()


@pytest.mark.parametrize("overflow", ["block", "drop", "coalesce"])
@pytest.mark.parametrize(
    "leave",
    [
        break_loop,
        break_chunks,
        break_batches,
        cancel_batches,
        cancel_loop,
        cancel_get,
        raise_in_callback,
        cancel_in_callback,
    ],
)
def test_the_account_balances_when_the_consumer_leaves(
    play: Any, mode: str, overflow: str, leave: Callable[[Stream], None]
) -> None:
    if leave in (raise_in_callback, cancel_in_callback):
        overflow = "block"  # the line they look at must neither be shed nor merged
    stream = play([FLOOD, Hang()], mode=mode, buffer=20, overflow=overflow)
    leave(stream)
    assert play.server.wait_disconnect(5) is not None
    assert stream.metrics.chunks_delivered >= 1
    check_account(stream)


def test_break_counts_what_the_loop_never_saw(play: Any, mode: str) -> None:
    stream = play([Text("a b c d e", burst=5), Hang()], mode=mode)
    for _ in stream:
        break
    metrics = stream.metrics
    assert (metrics.chunks_received, metrics.chunks_delivered) == (5, 1)
    assert metrics.chunks_dropped == stream.result().dropped == 4


@pytest.mark.parametrize("drain", ["loop", "chunks"])
def test_a_cancel_from_elsewhere_is_accounted_for_at_once(
    play: Any, mode: str, drain: str, run_in_thread: Callable[..., Any]
) -> None:
    """In the middle of a loop: what it has taken and not come to is dropped, also in on_end."""
    stream = play([Text("x " * 30, burst=30), Hang()], mode=mode)
    ends: list[Any] = []
    stream.on_end(ends.append)
    seen = 0
    for _ in stream if drain == "loop" else stream.chunks():
        seen += 1
        if seen == 3:
            run_in_thread(stream.cancel).result()
            result = stream.result()
            check_counts(result.metrics, seen, result.dropped)
    assert seen == 3
    assert stream.result() == result
    check_counts(stream.metrics, seen, result.dropped)
    check_counts(ends[0].metrics, seen, ends[0].dropped)


def check_counts(metrics: Any, delivered: int, dropped: int) -> None:
    assert metrics.chunks_delivered == delivered
    assert metrics.chunks_dropped == dropped == metrics.chunks_received - delivered


def test_an_open_batch_at_a_cancel_counts_as_dropped(play: Any, threaded: str, until: Any) -> None:
    stream = play(
        [Text("one two three four"), Gate()], mode=threaded, batch=BatchConfig(size=9, timeout=None)
    )
    ends: list[Any] = []
    batches: list[Any] = []
    stream.on_batch(batches.append).on_end(ends.append).start()
    play.server.wait_gate()
    wait_until_read(until, play.server, stream)
    stream.cancel()
    stream.close()
    assert batches == []
    check_counts(stream.metrics, 0, 4)
    check_counts(ends[0].metrics, 0, 4)


# -- what a chunk may be, of which only some are display


@pytest.mark.parametrize(
    ("chunk", "may"),
    [
        (Chunk("text"), True),
        (Chunk(""), True),
        (Chunk("text", metadata={"logprobs": []}), True),
        (Chunk("hm", kind="reasoning"), True),
        (Chunk(metadata={"choice": 1, "content": "other"}), True),
        (Chunk(metadata={"choice": 1, "finish_reason": "stop"}), False),
        (Chunk(metadata={"server_tool": {"name": "search"}}), False),
        (Chunk(metadata={"server_tool_result": {"id": "s"}}), False),
        (Chunk(metadata={"audio": {"data": "UklG"}}), False),
        (Chunk(kind="reasoning", metadata={"signature": "sig"}), False),
        (Chunk(kind="reasoning", metadata={"encrypted": "x"}), False),
        (Chunk("{", kind="tool_call", metadata={"index": 0}), False),
        (Chunk(kind="citation", metadata={"citation": {"url": "u"}}), False),
        (Chunk("no", kind="refusal"), False),
        (Chunk(kind="usage"), False),
    ],
    ids=lambda value: (
        f"{value.kind} {value.content} {list(value.metadata)}"
        if isinstance(value, Chunk)
        else str(value)
    ),
)
def test_display_may_be_shed_and_nothing_that_is_said_once(chunk: Chunk, may: bool) -> None:
    assert _may_shed(chunk) is may


def test_other_choices_and_signatures_never_merge_with_the_text() -> None:
    plain = Chunk("a")
    for metadata in ({"choice": 1, "content": "b"}, {"signature": "s"}, {"audio": {}}):
        said = Chunk(metadata=metadata)
        assert _merge(plain, said) is _merge(said, plain) is _merge(said, said) is None
    merged = _merge(plain, Chunk("b", 1, finish_reason="stop"))
    assert merged == Chunk("ab", 0, metadata={"deltas": 2}, finish_reason="stop")


@pytest.mark.parametrize("overflow", ["drop", "overwrite", "coalesce"])
def test_a_flood_of_text_costs_no_call_the_service_made(overflow: str) -> None:
    ring = new_ring(BufferConfig(capacity=4, overflow=overflow))
    said = Chunk(metadata={"server_tool": {"name": "search"}})
    got: list[Chunk] = []

    def consume() -> None:
        while taken := ring.pop_many(1, timeout=5):
            got.extend(taken)

    with ThreadPoolExecutor(1) as thread:
        ring.push(said)
        ring.push_many([Chunk("x" * 40_000) for _ in range(3)])
        done = thread.submit(consume)
        for _ in range(20):
            ring.push_many([Chunk("x" * 40_000) for _ in range(5)])
            ring.push(said)
        ring.close()
        done.result(10)
    assert sum(chunk == said for chunk in got) == 21
