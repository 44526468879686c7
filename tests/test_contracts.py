"""
What the systems that streamkit comes from promise, by the names it has here.

One test for each option, method and example of their documentation. Their own words are in the
table of the README, where each name leads to ours.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit import (
    SKIP,
    SSE_HEADERS,
    Batch,
    BatchConfig,
    BufferConfig,
    BurstRateLimiter,
    Chunk,
    ChunkAggregator,
    ChunkBatcher,
    ChunkRejected,
    Client,
    ConfigurationError,
    FlowConfig,
    FlowController,
    Message,
    Progress,
    ProgressTracker,
    ProviderError,
    RateLimiter,
    SSEWriter,
    StopConfig,
    Stream,
    StreamAggregator,
    StreamBuffer,
    StreamingCoordinator,
    StreamOptions,
    annotate_reasoning,
    channel,
    content_moderation,
    format_code_blocks,
    format_sse_event,
    highlight_function_calls,
    inline_citations,
    merge,
    new_buffer,
    show_performance,
    throttled,
    validate_local,
    validate_quality,
    validate_sources,
    wrap,
    write_sse,
)
from streamkit.testing import (
    Citation,
    Gate,
    LocalProvider,
    Reasoning,
    Reset,
    Status,
    Text,
    Tool,
    Usage,
)

WORDS = Text("one two three four five six seven eight nine ten")
Ask = Callable[..., Stream]


@pytest.fixture
def ask() -> Iterator[Ask]:
    """``ask([steps], **keywords)``: a stream from a provider that plays the steps."""
    opened: list[Any] = []

    def open_(script: Any, *, provider: str = "openai", **keywords: Any) -> Stream:
        server = LocalProvider(script).__enter__()
        opened.append(server)
        ask_.server = server  # type: ignore[attr-defined]
        keywords.setdefault("retry", None)
        stream = client.stream(
            "m",
            "Hi",
            provider=provider,
            api_key="none",
            base_url=server.base_url(provider),
            **keywords,
        )
        opened.append(stream)
        return stream

    ask_ = open_
    with Client() as client:
        yield open_
        for thing in reversed(opened):
            thing.close()


def texts(chunks: Any) -> list[str]:
    return [chunk.content for chunk in chunks if chunk.kind == "text" and chunk.content]


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


# -- StreamBuffer: "fixed size, overflow strategies, fill percentage, pop_many"


@pytest.mark.parametrize(
    ("overflow", "left", "dropped"), [("drop", [1, 2], 1), ("overwrite", [2, 3], 1)]
)
def test_a_full_buffer_does_what_its_strategy_says(
    overflow: str, left: list[int], dropped: int
) -> None:
    ring = StreamBuffer[int](capacity=2, overflow=overflow)
    for number in (1, 2, 3):
        ring.push(number)
    assert ring.fill_percentage == 100.0
    assert ring.pop_many(10) == left
    assert ring.stats().dropped == dropped


def test_a_full_buffer_that_blocks_loses_nothing(run_in_thread: Callable[..., Any]) -> None:
    ring = StreamBuffer[int](capacity=2, overflow="block")
    task = run_in_thread(lambda: [ring.push(number) for number in range(50)] and ring.close())
    taken: list[int] = []
    while items := ring.pop_many(10):
        taken += items
    task.result()
    assert taken == list(range(50))
    assert ring.stats().peak <= 2


def test_the_buffer_grows_under_pressure_and_shrinks_when_idle() -> None:
    ring = StreamBuffer[int](capacity=2, max_capacity=8)
    for number in range(8):
        ring.push(number, timeout=0)
    assert (ring.capacity, ring.fill_percentage) == (8, 100.0)
    for _ in range(200):
        ring.pop_many(8)
        ring.push(0)
    assert ring.capacity == 2


# -- FlowController: "no dropped chunks with slow consumers", metrics, graceful completion


def test_a_slow_consumer_gets_every_chunk_and_slows_the_producer() -> None:
    taken: list[int] = []
    step = threading.Semaphore(0)

    def consume(number: int) -> None:
        step.acquire()
        taken.append(number)

    flow = FlowController[int](consume, buffer=BufferConfig(capacity=10)).start()
    with pytest.raises(Exception, match="no room came"):
        for number in range(20):
            flow.push(number, timeout=0)
    pushed = flow.stats().received
    assert 8 <= pushed <= 12
    assert flow.stats().backpressure_events == 1
    step.release(100)
    stats = flow.complete(timeout=10)
    assert taken == list(range(pushed))
    assert (stats.state, stats.received, stats.delivered, stats.dropped) == (
        "completed", pushed, pushed, 0,
    )  # fmt: skip


def test_a_consumer_error_is_counted_and_survived_if_asked() -> None:
    def consume(number: int) -> None:
        if number == 1:
            raise ValueError("no ones")

    flow = FlowController[int](consume, flow=FlowConfig(errors="count"))
    for number in range(3):
        flow.push(number)
    stats = flow.complete(timeout=10)
    assert (stats.delivered, stats.errors) == (3, 1)


# -- ChunkBatcher: "configurable batch size and timeout, min/max, adaptive by chunk size"


def test_a_batch_leaves_by_size_by_timeout_and_at_the_end() -> None:
    batcher = ChunkBatcher[str](BatchConfig(size=3, timeout=0.025, adaptive=False))
    (full,) = batcher.feed(["a", "b", "c"], 0.0)
    assert (full, full.trigger) == (["a", "b", "c"], "size")
    assert batcher.feed(["d"], 1.0) == []
    assert batcher.due() == pytest.approx(1.025)
    (late,) = batcher.tick(1.03)
    assert (late, late.trigger) == (["d"], "timeout")
    assert batcher.feed(["e"], 2.0) == []
    (last,) = batcher.close()
    assert (last, last.trigger) == (["e"], "close")
    metrics = batcher.metrics()
    assert (metrics.batches_created, metrics.chunks_batched, metrics.timeout_flushes) == (3, 5, 1)
    assert metrics.average_batch_size == pytest.approx(5 / 3)


def test_min_and_max_bound_the_size() -> None:
    def sizes(size: int) -> list[int]:
        config = BatchConfig(size=size, min_size=3, max_size=10, adaptive=False)
        batcher = ChunkBatcher[int](config)
        return [len(batch) for number in range(30) for batch in batcher.feed([number], 0.0)]

    assert set(sizes(1)) == {3}
    assert set(sizes(5)) == {5}
    assert set(sizes(50)) == {10}


def test_an_adaptive_batch_is_smaller_for_large_chunks() -> None:
    def target(text: str) -> int:
        batcher = ChunkBatcher[str](BatchConfig(size=5, min_size=1, max_size=50), size_of=len)
        now = 0.0
        for _ in range(200):
            for _batch in batcher.feed([text], now):
                batcher.handled(0.1)
            now += 0.01
        return batcher.metrics().target_size

    assert target("x" * 200) < target("token") < target("x")


# -- consumer types, configuration structure


@pytest.mark.parametrize("consumer_type", ["direct", "buffered", "managed"])
def test_every_consumer_type_delivers_the_same(ask: Ask, consumer_type: str) -> None:
    said: list[str] = []
    options = StreamOptions.from_mapping({"consumer_type": consumer_type})
    result = ask([WORDS], options=options, on_text=said.append).result()
    assert "".join(said) == result.text == WORDS.text


def test_the_example_for_a_slow_terminal(ask: Ask) -> None:
    settings = {
        "consumer_type": "managed",
        "buffer_config": {"capacity": 200},
        "batch_config": {"size": 10, "timeout_ms": 50},
    }
    written: list[Batch[Chunk]] = []
    options = StreamOptions.from_mapping(settings)
    ask([WORDS], options=options, on_batch=written.append).result()
    assert "".join(text for batch in written for text in texts(batch)) == WORDS.text
    assert len(written) < len(WORDS.deltas())
    assert all(batch.trigger in ("size", "timeout", "flush", "close") for batch in written)


def test_the_example_with_metrics(ask: Ask) -> None:
    told: list[Any] = []
    settings = {
        "consumer_type": "managed", "metrics": {"enabled": True}, "on_metrics": told.append,
    }  # fmt: skip
    options = StreamOptions.from_mapping(settings)
    stream = ask([Text("begin "), Gate(), WORDS], options=options)
    stream.on_text(lambda text: ask.server.release())  # type: ignore[attr-defined]
    stream.result()
    last = told[-1]
    assert last.done
    assert (last.provider, last.chunks_received) == ("openai", last.chunks_delivered)
    assert last.chunks_received >= len(WORDS.deltas())
    assert last.bytes_received > len(WORDS.text)
    assert last.duration_ms > 0
    assert last.chunks_per_second > 0 and last.bytes_per_second > 0
    assert (last.errors, last.chunks_dropped, last.retries) == (0, 0, 0)
    assert last.stream_id


def test_buffer_chunks_gives_groups_of_exactly_so_many() -> None:
    options = StreamOptions.from_mapping({"buffer_chunks": 5})
    batches = list(wrap([f"{n} " for n in range(12)], options=options).batches())
    assert [len(texts(batch)) for batch in batches] == [5, 5, 2]


def test_recovery_carries_a_broken_answer_on() -> None:
    settings = {"stream_recovery": True, "recovery": {"strategy": "paragraph", "max_retries": 3}}
    scripts = [[Text("one two "), Reset()], [Text("three")]]
    with LocalProvider(scripts=scripts) as server, Client(base_url=server.base_url()) as client:
        options = StreamOptions.from_mapping(settings)
        answer = client.stream("openai/m", "Hi", api_key="key", options=options).result()
    assert answer.text == "one two three"
    assert [seam.how for seam in answer.recoveries] == ["appended"]


def test_the_timeout_is_in_milliseconds_and_ends_the_stream() -> None:
    options = StreamOptions.from_mapping({"timeout": 30_000})
    assert options.timeout.total == 30
    assert StreamOptions.from_mapping({"timeout": 120_000}).timeout.total == 120


# -- transform and validate


def test_transform_takes_ok_and_skip() -> None:
    def transform(chunk: Chunk) -> Any:
        if not chunk.content.strip():
            return "skip"
        chunk.metadata["timestamp"] = 5
        return ("ok", chunk)

    stream = wrap(["one", "  ", "two"], transform=transform)
    shown = [chunk for chunk in stream.chunks() if chunk.kind == "text"]
    assert [(chunk.content, chunk.metadata["timestamp"]) for chunk in shown] == [
        ("one", 5), ("two", 5),
    ]  # fmt: skip
    assert stream.result().text == "one  two"


def test_transform_takes_a_chunk_none_and_skip() -> None:
    def transform(chunk: Chunk) -> Any:
        if chunk.content == "drop":
            return SKIP
        if chunk.content == "keep":
            return None
        return Chunk(chunk.content.upper())

    assert list(wrap(["keep", "drop", "change"], transform=transform)) == ["keep", "CHANGE"]


def test_validate_refuses_with_a_reason() -> None:
    def validate(chunk: Chunk) -> Any:
        return ("error", "Content too long") if len(chunk.content) > 10 else "ok"

    stream = wrap(["short", "much too long for it"], validate=validate)
    said: list[str] = []
    with pytest.raises(ChunkRejected, match="Content too long"):
        for text in stream:
            said.append(text)
    assert said == ["short"]
    assert stream.outcome == "rejected"


def test_a_refused_chunk_is_in_no_result(ask: Ask) -> None:
    options = StreamOptions.from_mapping(
        {"validate_chunk": lambda chunk: ("error", "no") if "five" in chunk.content else "ok"}
    )
    stream = ask([WORDS], options=options)
    with pytest.raises(ChunkRejected):
        list(stream)
    assert stream.partial.text == "one two three four"


# -- features of single providers, with any provider


def test_annotate_reasoning(ask: Ask) -> None:
    shown = ask(
        [Reasoning("Hm hm"), Text("Hi")], provider="anthropic", transform=annotate_reasoning()
    )
    marks = [c.metadata["mark"] for c in shown.chunks() if c.kind == "reasoning" and c.content]
    assert marks[0] == "begin" and set(marks[1:]) <= {"inside"}


def test_validate_quality(ask: Ask) -> None:
    check = validate_quality(lambda paragraph: "as an ai" not in paragraph.lower())
    assert ask([Text("Fine.\n\n \n\nGood.")], validate=check).result().text.startswith("Fine.")
    with pytest.raises(ChunkRejected):
        ask([Text("Fine.\n\nAs an AI, no.\n\nMore.")], validate=check).result()


def test_highlight_function_calls(ask: Ask) -> None:
    def words(mark: Chunk) -> str:
        return f"[{mark.metadata['name']}]" if mark.metadata["mark"] == "begin" else ""

    stream = ask(
        [Text("So:"), Tool("add", {"a": 1}, size=2)], transform=highlight_function_calls(words)
    )
    assert "".join(stream) == "So:[add]"
    assert stream.result().tool_calls[0].parsed == {"a": 1}


def test_content_moderation_acts_on_words(ask: Ask) -> None:
    refuse = content_moderation(["hate"], on_reject="replace")
    assert "".join(ask([Text("whatever, I hate it", size=3)], validate=refuse)) == (
        "whatever, I *** it"
    )


def test_format_code_blocks_knows_a_fence_cut_in_two(ask: Ask) -> None:
    stream = ask([Text("See:\n```py\nx = 1\n```\nDone.", size=2)], transform=format_code_blocks())
    code = [chunk for chunk in stream.chunks() if "code" in chunk.metadata]
    assert "".join(texts(code)) == "x = 1\n"
    assert code[0].metadata["code"]["language"] == "py"


@pytest.mark.parametrize(
    ("provider", "name", "value"),
    [("mistral", "safe_prompt", True), ("perplexity", "search_mode", "academic")],
)
def test_safe_prompt_and_search_mode_are_sent(
    ask: Ask, provider: str, name: str, value: Any
) -> None:
    ask([WORDS], provider=provider, extra_body={name: value}).result()
    (request,) = ask.server.requests  # type: ignore[attr-defined]
    assert json.loads(request.body)[name] == value


SOURCE = Citation("https://en.example.org/argon", title="Argon", text="It is so")


def test_inline_citations(ask: Ask) -> None:
    cited = Chunk(kind="citation", metadata={"citation": {"url": "https://a.example/"}})
    stream = wrap([cited, "It is so [", "1]."], transform=inline_citations())
    assert "".join(stream) == "It is so [1](https://a.example/)."


def test_validate_sources(ask: Ask) -> None:
    allowed = validate_sources(["example.org"])
    script = [Text("It is so [1]."), SOURCE]
    assert ask(script, provider="perplexity", validate=allowed).result().citations
    with pytest.raises(ChunkRejected, match=r"en\.example\.org"):
        ask(script, provider="perplexity", validate=validate_sources(["example.com"])).result()


def test_show_performance_and_validate_local(ask: Ask) -> None:
    stream = ask(
        [Text("Hi there<|im_end|>", size=3)],
        provider="lmstudio",
        transform=show_performance(),
        validate=validate_local(on_reject="skip"),
    )
    chunks = list(stream.chunks())
    assert stream.result().text == "Hi there"
    (numbers,) = [c.metadata["performance"] for c in chunks if "performance" in c.metadata]
    assert numbers["characters"] == len("Hi there")


# -- what was named as future there: custom metrics, many streams, adaptive buffers


def test_metrics_of_ones_own() -> None:
    stream = wrap(["a", "b"])
    for _ in stream:
        stream.count("words")
    assert stream.metrics.counters == {"words": 2}


def test_several_streams_as_one(ask: Ask) -> None:
    said: dict[str, str] = {"a": "", "b": ""}
    for who, chunk in merge(a=ask([WORDS]), b=wrap(["one ", "two"])):
        said[who] += chunk.content if chunk.kind == "text" else ""
    assert said == {"a": WORDS.text, "b": "one two"}


# -- text units: the examples with what they give


@pytest.mark.parametrize("strip", [False, True])
def test_the_word_buffer(strip: bool) -> None:
    buffer = new_buffer("word", strip=strip)
    assert [buffer.add("Hel"), buffer.add("lo "), buffer.add("world!"), buffer.flush()] == [
        "", "Hello ", "", "world!",
    ]  # fmt: skip


def test_the_sentence_buffer() -> None:
    buffer = new_buffer("sentence", strip=True)
    assert [
        buffer.add("Hello world"), buffer.add(". How are"), buffer.add(" you?"), buffer.flush(),
    ] == ["", "Hello world.", "", "How are you?"]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "text", "units"),
    [
        ("character", "né👨‍👩‍👧", ["n", "é", "👨‍👩‍👧"]),
        ("word", "One two", ["One ", "two"]),
        ("sentence", "Dr. Wu is 3.5 m. Oh!", ["Dr. Wu is 3.5 m. ", "Oh!"]),
        ("line", "a\nb\nc", ["a\n", "b\n", "c"]),
        ("paragraph", "a\nb\n\nc", ["a\nb\n\n", "c"]),
        ("token", "a b c d e f", ["a b c d e ", "f"]),
    ],
)
def test_every_buffer_type_keeps_the_text(unit: str, text: str, units: list[str]) -> None:
    buffer = new_buffer(unit)
    made = [u for letter in text for u in buffer.feed(letter)]
    made += [rest] if (rest := buffer.flush()) else []
    assert made == units
    assert "".join(made) == text


def test_a_token_buffer_with_a_threshold() -> None:
    buffer = new_buffer("token", threshold=2)
    assert (buffer.add("a b c"), buffer.flush()) == ("a b ", "c")


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_a_stream_in_words_at_a_rate_with_progress(ask: Ask, mode: str) -> None:
    told: list[Progress] = []
    stream = ask([Text(WORDS.text, size=2)], mode=mode, units="word", rate=1000)
    stream.on_progress(told.append)
    *words, last = stream
    assert (words, last) == ([f"{word} " for word in WORDS.text.split()[:-1]], "ten")
    assert told[-1].done and told[-1].tokens_received > 0
    assert stream.result().text == WORDS.text


# -- progress


def test_the_progress_tracker() -> None:
    clock = Clock()
    tracker = ProgressTracker(clock=clock)
    tracker.set_estimated_tokens(500)
    tracker.update_tokens(10)
    tracker.update("Hello")
    clock.sleep(2)
    at = tracker.snapshot()
    assert (at.tokens_received, at.estimated_tokens, at.elapsed) == (11, 500, 2.0)
    assert at.percent == pytest.approx(2.2)
    assert at.rate == pytest.approx(5.5)
    assert at.remaining == pytest.approx(489 / 5.5)
    tracker.update_tokens(1000)
    assert tracker.snapshot().percent == 100


def test_a_throttled_callback_is_called_once_per_interval_and_at_the_end() -> None:
    clock, told = Clock(), []
    with throttled(told.append, 0.1, clock=clock) as tell:
        for number in range(26):
            tell(number)
            clock.sleep(0.01)
    assert len(told) == 4
    assert (told[0], told[-1]) == (0, 25)


# -- rate limiting


@pytest.mark.parametrize(("burst", "seconds"), [(1, 9.98), (100, 8.0)])
def test_a_limiter_keeps_its_rate(burst: int, seconds: float) -> None:
    clock = Clock()
    limiter: RateLimiter = BurstRateLimiter(50, burst, clock=clock, sleep=clock.sleep)
    if burst == 1:
        limiter = RateLimiter(50, clock=clock, sleep=clock.sleep)
    started = clock.now
    assert len(list(limiter.limit(range(500)))) == 500
    assert clock.now - started == pytest.approx(seconds, rel=0.02)


def test_the_rate_may_be_changed_and_reset() -> None:
    clock = Clock()
    limiter = RateLimiter(50, clock=clock, sleep=clock.sleep)
    limiter.set_rate(100)
    assert limiter.rate == 100
    limiter.wait(1000)
    limiter.reset()
    started = clock.now
    assert limiter.wait()
    assert clock.now == started


def test_a_wait_for_the_rate_is_cancelled_at_once(run_in_thread: Callable[..., Any]) -> None:
    shown, cancelled = threading.Event(), threading.Event()
    got: list[str] = []

    def show() -> None:
        for letter in RateLimiter(0.001).limit("ab", cancelled=cancelled):
            got.append(letter)
            shown.set()

    task = run_in_thread(show)
    assert shown.wait(10)
    cancelled.set()
    task.result()
    assert got == ["a"]


def test_a_rate_of_zero_is_unlimited() -> None:
    clock = Clock()
    limiter = RateLimiter(0, clock=clock, sleep=clock.sleep)
    assert list(limiter.limit("abc")) == ["a", "b", "c"]
    assert clock.now == 100.0


# -- server-sent events


def test_an_event_has_its_fields_in_that_order() -> None:
    event = format_sse_event("message", "data", "id-123", 1000)
    assert event == "event: message\ndata: data\nid: id-123\nretry: 1000\n\n"


def test_the_sse_writer() -> None:
    out = io.BytesIO()
    writer = SSEWriter(out)
    writer.write_event("message", "Hello world")
    writer.write_data("Plain data")
    writer.write_json({"key": "value"})
    writer.write_progress(50, 100)
    writer.write_done()
    writer.write_error(ValueError("a secret"))
    told = out.getvalue().decode().split("\n\n")
    assert told[0] == "event: message\ndata: Hello world"
    assert told[1] == "data: Plain data"
    assert json.loads(told[2].removeprefix("data: ")) == {"key": "value"}
    assert told[3].startswith("event: progress\ndata: ") and "50" in told[3]
    assert told[4] == "data: [DONE]"
    assert told[5].startswith("event: error\ndata: ") and "secret" not in told[5]


def test_chunks_become_events_with_done_at_the_end(ask: Ask) -> None:
    out = io.BytesIO()
    write_sse(out, ask([WORDS]).chunks())
    for body in (out.getvalue(), b"".join(ask([WORDS]).sse())):
        assert body.endswith(b"data: [DONE]\n\n")
        assert body.count(b"data: ") > len(WORDS.deltas())
    assert SSE_HEADERS["Content-Type"].startswith("text/event-stream")


def test_an_answer_that_fails_has_an_error_event_and_no_done() -> None:
    out = io.BytesIO()

    def failing() -> Iterator[str]:
        yield "a"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        write_sse(out, failing())
    assert b"event: error" in out.getvalue()
    assert b"[DONE]" not in out.getvalue()


# -- aggregation


def test_the_chunk_aggregator(ask: Ask) -> None:
    aggregator = ChunkAggregator()
    for _ in aggregator.aggregate(ask([WORDS, Usage(3, 10)]).chunks()):
        pass
    result = aggregator.result()
    assert result.full_content == WORDS.text
    assert result.chunk_count >= len(WORDS.deltas())
    assert result.total_tokens == 10
    assert result.duration >= 0


def test_the_stream_aggregator_and_its_rates() -> None:
    clock = Clock()
    aggregator = StreamAggregator(clock=clock)
    for _ in aggregator.aggregate(["a ", "b"]):
        clock.sleep(0.5)
    result = aggregator.result()
    assert (result.full_content, result.chunk_count, result.total_tokens) == ("a b", 2, 2)
    assert (result.duration, result.tokens_per_second, result.chunks_per_second) == (1.0, 2.0, 2.0)


def test_a_chunk_has_the_fields_of_theirs() -> None:
    chunk = Chunk("text", index=3, timestamp=5.0, metadata={"a": 1})
    assert (chunk.content, chunk.index, chunk.timestamp, chunk.metadata) == (
        "text", 3, 5.0, {"a": 1},
    )  # fmt: skip
    assert (chunk.done, chunk.error) == (False, None)


def test_the_last_chunk_says_done() -> None:
    *content, last = wrap(["a", "b"]).chunks()
    assert last.done
    assert [(chunk.content, chunk.done) for chunk in content] == [("a", False), ("b", False)]
    assert [chunk.index for chunk in content] == [0, 1]


# -- the guide of the third: tokens in order, a hundred in the buffer, leaving early, timeouts


def test_messages_and_settings_are_sent() -> None:
    with LocalProvider([WORDS]) as server, Client() as client:
        client.stream(
            "gpt-3.5-turbo",
            [Message.user("Write a haiku about programming.")],
            provider="openai",
            base_url=server.base_url("openai"),
            api_key="none",
            temperature=0.7,
            max_tokens=100,
        ).result()
        body = json.loads(server.requests[0].body)
    assert body["temperature"] == 0.7
    assert body["messages"][-1] == {"role": "user", "content": "Write a haiku about programming."}
    assert body["stream"] is True


def test_the_buffer_has_room_for_a_hundred() -> None:
    assert StreamOptions().buffer.capacity == 100


def test_leaving_early_closes_the_stream(ask: Ask) -> None:
    stream = ask([Text("word " * 200)])
    for count, _ in enumerate(stream, 1):
        if count == 50:
            break
    assert stream.outcome == "cancelled"
    assert ask.server.wait_disconnect(10)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "stop_when",
    ["four", ["nope", "four"], lambda text: "three" in text, StopConfig(max_chars=13)],
    ids=["string", "strings", "when", "max_chars"],
)
def test_an_answer_may_be_stopped_by_a_rule(ask: Ask, stop_when: Any) -> None:
    result = ask([WORDS], stop_when=stop_when).result()
    assert result.text.strip() == "one two three"
    assert result.outcome == "stopped"


def test_waiting_for_a_token_has_a_limit() -> None:
    feed, stream = channel()
    with pytest.raises(TimeoutError):
        stream.get(timeout=0.01)
    feed.put("a")
    feed.finish()
    first = stream.get(timeout=10)
    assert first is not None and first.content == "a"
    while stream.get(timeout=10) is not None:
        pass
    assert stream.done


def test_the_time_to_the_first_token_and_the_cost_are_told(ask: Ask) -> None:
    price = {"input": 1.0, "output": 2.0}
    result = ask([WORDS, Usage(1_000_000, 500_000)], price=price).result()
    assert result.metrics.time_to_first_chunk > 0
    assert result.cost == pytest.approx(2.0)


def test_health_is_asked_first() -> None:
    with LocalProvider([WORDS]) as server, Client(api_key="none") as client:
        health = client.health("openai", base_url=server.base_url("openai"))
    assert health


# -- StreamingCoordinator


def parse(data: str) -> str | None:
    choices = json.loads(data)["choices"]
    return choices[0]["delta"].get("content") if choices else None


def endpoint(server: LocalProvider) -> tuple[str, dict[str, Any], dict[str, str]]:
    return f"{server.base_url('openai')}/chat/completions", {"stream": True}, {}


def test_start_stream_and_simple_stream() -> None:
    got: list[Chunk] = []
    metrics: list[Any] = []
    with LocalProvider([WORDS]) as server, StreamingCoordinator() as coordinator:
        place = endpoint(server)
        stream_id = coordinator.start_stream(
            *place,
            got.append,
            parse_chunk=parse,
            provider="my_provider",
            track_metrics=True,
            on_metrics=metrics.append,
        )
        result = coordinator.wait(stream_id, 10)
        assert coordinator.status(stream_id) == "completed"
        assert (metrics[-1].stream_id, metrics[-1].provider) == (stream_id, "my_provider")
        assert "".join(texts(got)) == result.text == WORDS.text
        again: list[Chunk] = []
        result = coordinator.simple_stream(*place, again.append, parse_chunk=parse)
        assert result.text == WORDS.text
        assert texts(again) == texts(got)


def test_the_coordinator_takes_the_options_of_theirs() -> None:
    got: list[Chunk] = []
    with LocalProvider([WORDS]) as server, StreamingCoordinator() as coordinator:
        coordinator.simple_stream(
            *endpoint(server),
            got.append,
            parse_chunk=parse,
            transform_chunk=lambda chunk: "skip" if "five" in chunk.content else ("ok", chunk),
            validate_chunk=lambda chunk: "ok",
            buffer_chunks=2,
        )
        with pytest.raises(ConfigurationError, match="recovery needs a request with a list"):
            coordinator.start_stream(
                server.base_url(), {}, {}, got.append, parse_chunk=parse, stream_recovery=True
            )
    assert "".join(texts(got)) == WORDS.text.replace(" five", "")


def test_a_stream_is_cancelled_by_its_id() -> None:
    begun = threading.Event()
    with LocalProvider([WORDS, Gate()]) as server, StreamingCoordinator() as coordinator:
        stream_id = coordinator.start_stream(
            *endpoint(server), lambda chunk: begun.set(), parse_chunk=parse
        )
        assert begun.wait(10)
        assert coordinator.status(stream_id) == "running"
        coordinator.cancel(stream_id)
        assert coordinator.wait(stream_id, 10).outcome == "cancelled"
        assert server.wait_disconnect(10)


def test_on_error_is_called_once_with_status_and_body() -> None:
    told: list[Any] = []
    with LocalProvider([Status(503)]) as server, StreamingCoordinator() as coordinator:
        stream_id = coordinator.start_stream(
            *endpoint(server),
            lambda chunk: None,
            parse_chunk=parse,
            on_error=lambda status, body: told.append((status, body)),
            retry=None,
        )
        with pytest.raises(ProviderError):
            coordinator.wait(stream_id, 10)
        assert coordinator.status(stream_id) == "provider_error"
    ((status, body),) = told
    assert status == 503
    assert body
