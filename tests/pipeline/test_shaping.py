"""What is done to the chunks on their way: units, transform, validate, stops, and the pace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit import (
    SKIP,
    Chunk,
    ChunkRejected,
    ConfigurationError,
    Prices,
    RateConfig,
    StopConfig,
    Stream,
    StreamOptions,
    Transform,
    Validate,
    channel,
    format_code_blocks,
    wrap,
)
from streamkit.pipeline.tail import new_tail
from streamkit.testing import Cut, Gate, Hang, Pause, Reasoning, Text, Tool, Usage

WORDS = Text("one two three")

#: Tokens per second: the second one has to wait longer than any test may take.
NEVER = 1e-3


# -- units


@pytest.mark.parametrize(
    ("units", "strip", "shown"),
    [
        ("word", False, ["Hello ", "world. ", "How ", "are ", "you?"]),
        ("sentence", False, ["Hello world. ", "How are you?"]),
        ("sentence", True, ["Hello world.", "How are you?"]),
        (None, False, ["Hel", "lo world", ". How are", " you?"]),
    ],
)
def test_units_regroup_what_is_shown_and_not_what_is_recorded(
    play: Any, mode: str, units: str | None, strip: bool, shown: list[str]
) -> None:
    script = [Text(pieces=("Hel", "lo world", ". How are", " you?")), Usage(1, 4)]
    stream = play(script, mode=mode, units=units, strip=strip)
    assert list(stream) == shown
    assert stream.result().text == "Hello world. How are you?"
    assert stream.result().usage.output_tokens == 4


def test_a_unit_that_was_begun_comes_before_the_error(play: Any, mode: str, drained: Any) -> None:
    text, error = drained(play([Text("one tw"), Cut()], mode=mode, units="sentence"))
    assert text == "one tw"
    assert error.partial.text == "one tw"


def test_other_kinds_do_not_wait_for_a_unit(play: Any, mode: str) -> None:
    script = [Reasoning("hm"), Text("no end"), Tool("add", {"a": 1})]
    stream = play(script, mode=mode, units="sentence")
    kinds = [chunk.kind for chunk in stream.chunks() if chunk.content]
    assert kinds.index("tool_call") < kinds.index("text")
    assert stream.result().tool_calls[0].parsed == {"a": 1}


def test_text_without_a_boundary_comes_when_it_has_waited_long_enough(
    play: Any, threaded: str
) -> None:
    script = [Text("no end"), Gate(), Text(" yet.")]
    stream = play(script, mode=threaded, units="sentence", max_wait=0.01)
    loop = iter(stream)
    assert next(loop) == "no end"  # the server says nothing before we have it
    play.server.release()
    assert list(loop) == [" yet."]


def test_text_that_waited_long_enough_stays_apart_from_what_follows(play: Any, mode: str) -> None:
    options = StreamOptions(units="sentence", max_wait=0.01)
    stream = play([Text("no end"), Pause(0.1), Text(" yet.")], mode=mode, options=options)
    assert list(stream) == ["no end", " yet."]
    metrics = stream.metrics
    assert metrics.chunks_received == metrics.chunks_delivered


@given(
    pieces=st.lists(st.text("ab. \n!", min_size=1), min_size=1),
    units=st.sampled_from(["word", "sentence", "line", "paragraph", "character"]),
)
def test_any_split_gives_the_same_units_and_they_join_to_the_text(
    pieces: list[str], units: str
) -> None:
    def shown(deltas: list[str]) -> list[str]:
        tail = new_tail(StreamOptions(units=units))
        out = [chunk for delta in deltas for chunk in tail.feed([Chunk(delta)], 0.0, 0.0)]
        out += tail.flush(0.0)
        assert [chunk.index for chunk in out] == list(range(len(out)))
        assert tail.result().text == "".join(deltas)
        return [chunk.content for chunk in out]

    text = "".join(pieces)
    assert shown(pieces) == shown([text])
    assert "".join(shown(pieces)) == text


# -- transform


def test_a_transform_changes_what_is_shown_and_not_what_is_recorded(play: Any, mode: str) -> None:
    def shout(chunk: Chunk) -> Any:
        return SKIP if "two" in chunk.content else Chunk(chunk.content.upper(), kind=chunk.kind)

    stream = play([WORDS], mode=mode, transform=shout)
    assert list(stream) == ["ONE", " THREE"]
    assert stream.result().text == "one two three"


def test_several_transforms_apply_in_the_order_given(play: Any, mode: str) -> None:
    def add(mark: str) -> Callable[[Chunk], None]:
        def change(chunk: Chunk) -> None:
            chunk.content += mark if chunk.content else ""

        return change

    assert list(play([Text("x")], mode=mode, transform=[add("1"), add("2")])) == ["x12"]


def fail_at_two(chunk: Chunk) -> None:
    if "two" in chunk.content:
        raise KeyError(chunk.content)


def test_what_a_transform_raises_ends_the_stream_after_what_came_before(
    play: Any, mode: str, drained: Any
) -> None:
    stream = play([WORDS, Hang()], mode=mode, transform=fail_at_two)
    text, error = drained(stream)
    assert (text, type(error), stream.outcome) == ("one", KeyError, "failed")
    assert play.server.wait_disconnect(5) is not None


def test_a_transform_that_raises_is_skipped_and_counted_when_asked(play: Any, mode: str) -> None:
    stream = play([WORDS], mode=mode, transform=Transform(fail_at_two, on_error="skip"))
    assert list(stream) == ["one", " three"]
    assert stream.metrics.counters == {"transform_errors": 1}


# -- validate


def no_two(chunk: Chunk) -> bool:
    return "two" not in chunk.content


def test_a_rejected_chunk_ends_the_stream_and_upstream_is_closed(
    play: Any, mode: str, drained: Any
) -> None:
    stream = play([WORDS, Hang()], mode=mode, validate=no_two)
    text, error = drained(stream)
    assert text == "one"
    assert type(error) is ChunkRejected
    assert error.chunk.content == " two"
    assert error.partial.text == "one"
    assert stream.outcome == "rejected"
    assert play.server.wait_disconnect(5) is not None


@pytest.mark.parametrize(
    ("validate", "shown"),
    [
        (Validate(no_two, on_reject="skip"), ["one", " three"]),
        (Validate(no_two, on_reject="replace", replacement=" -"), ["one", " -", " three"]),
        ([Validate(no_two, on_reject="skip"), lambda chunk: None], ["one", " three"]),
    ],
)
def test_what_validate_takes_out_is_in_no_result(
    play: Any, mode: str, validate: Any, shown: list[str]
) -> None:
    stream = play([WORDS], mode=mode, validate=validate)
    assert list(stream) == shown
    assert stream.result().text == "".join(shown)
    assert stream.metrics.counters == {"rejected": 1}


def test_what_validate_raises_itself_arrives_unchanged(play: Any, mode: str, drained: Any) -> None:
    text, error = drained(play([WORDS], mode=mode, validate=fail_at_two))
    assert (text, type(error)) == ("one", KeyError)


def test_the_order_is_validate_stop_record_transform_units(play: Any, mode: str) -> None:
    """Validate sees the text raw, stop sees what it left, transform what is left of that."""
    seen: list[str] = []

    def look(chunk: Chunk) -> None:
        seen.append(chunk.content)

    stream = play(
        [Text(pieces=("a ", "b ", "c ", "STOP", "d"))], mode=mode,
        validate=Validate(lambda chunk: chunk.content != "b ", on_reject="skip"),
        stop_when="STOP", transform=look, units="line",
    )  # fmt: skip
    assert list(stream) == ["a c "]
    assert seen == ["a ", "c "]
    assert (stream.result().text, stream.outcome) == ("a c ", "stopped")


# -- stops


@pytest.mark.parametrize(
    ("stop_when", "text"),
    [
        ("##", "one "),
        (["zz", "##"], "one "),
        (lambda text: "o" in text, "one #"),
        (StopConfig(max_chars=2), "on"),
        (StopConfig(max_cost=0.002), "one ## two"),
    ],
    ids=["string", "strings", "when", "max_chars", "max_cost"],
)
def test_a_stop_ends_the_answer_and_upstream_at_once(
    play: Any, mode: str, stop_when: Any, text: str
) -> None:
    script = [Text(pieces=("one #", "# two", " three")), Hang()]
    stream = play(script, mode=mode, stop_when=stop_when, price=Prices(input=0, output=1000))
    result = stream.result()
    assert (result.text, result.outcome, result.finish_reason) == (text, "stopped", None)
    assert play.server.wait_disconnect(5) is not None
    assert stream.metrics.done


def test_max_seconds_ends_an_answer_that_stands_still(play: Any, mode: str) -> None:
    stream = play([WORDS, Hang()], mode=mode, stop_when=StopConfig(max_seconds=0.05))
    assert stream.result().outcome == "stopped"
    assert play.server.wait_disconnect(5) is not None


def test_what_a_stop_held_back_comes_when_its_time_is_up(play: Any, mode: str) -> None:
    stop = StopConfig(strings=("###",), max_seconds=0.05)
    stream = play([Text("one #"), Hang()], mode=mode, stop_when=stop)
    assert "".join(stream) == "one #"
    assert (stream.result().text, stream.outcome) == ("one #", "stopped")


def test_max_seconds_ends_a_request_that_is_not_answered(play: Any, mode: str) -> None:
    stream = play([Hang()], mode=mode, stop_when=StopConfig(max_seconds=0.05))
    assert list(stream) == []
    assert stream.outcome == "stopped"


def test_what_a_stop_function_raises_ends_the_stream(play: Any, mode: str, drained: Any) -> None:
    def refuse(text: str) -> bool:
        raise KeyError(text)

    stream = play([WORDS, Hang()], mode=mode, stop_when=refuse)
    _, error = drained(stream)
    assert type(error) is KeyError
    assert play.server.wait_disconnect(5) is not None


def test_max_cost_needs_a_price_before_anything_is_sent(play: Any) -> None:
    play.serve([WORDS])
    with pytest.raises(ConfigurationError, match="max_cost needs a price"):
        play.open(stop_when=StopConfig(max_cost=1.0))
    assert play.server.requests == []


# -- the pace


def test_a_rate_loses_nothing_and_is_never_exceeded(play: Any, mode: str) -> None:
    at: list[float] = []
    stream = play([Text("a b c d e f g h i j k", burst=11)], mode=mode, rate=200)
    for _ in stream:
        at.append(monotonic())
    assert stream.result().text == "a b c d e f g h i j k"
    # Ten waits of 5 ms, less what the limiter makes up for where a sleep ended late.
    assert at[-1] - at[0] > 0.04


@pytest.mark.parametrize(
    ("given", "overflow"),
    [
        ({}, "coalesce"),
        ({"buffer": 7}, "coalesce"),
        ({"overflow": "block"}, "block"),
        ({"buffer": {"overflow": "drop"}}, "drop"),
    ],
)
def test_with_a_rate_the_buffer_coalesces_unless_the_user_says_so(
    play: Any, given: dict[str, Any], overflow: str
) -> None:
    stream = play([WORDS], rate=1000, **given)
    assert stream._run.options.buffer.overflow == overflow


def test_what_was_merged_for_the_pace_counts_as_what_it_merged(play: Any, threaded: str) -> None:
    script = [Text("one"), Gate(), Text(" x" * 50), Usage(1, 51)]
    stream = play(script, mode=threaded, rate=1e6, buffer=2)
    assert stream.get(5).content == "one"
    play.server.release()
    chunks = list(iter(lambda: stream.get(5), None))
    assert "one" + "".join(c.content for c in chunks) == stream.result().text
    deltas = sum(c.metadata.get("deltas", 1) for c in chunks if c.kind == "text" and c.content)
    assert deltas == 50
    metrics = stream.metrics
    assert metrics.chunks_received == metrics.chunks_delivered + metrics.chunks_merged
    assert stream.progress.tokens_received == 51


def test_the_pace_of_the_display_does_not_slow_the_network(
    play: Any, threaded: str, until: Callable[..., None]
) -> None:
    stream = play([Text("x " * 100), Hang()], mode=threaded, rate=NEVER, buffer=4)
    assert stream.get(5) is not None
    until(lambda: len(stream.partial.text) == 200)
    assert stream.metrics.time_paused == 0


@pytest.mark.parametrize("stop", ["cancel", "close"])
def test_a_cancel_wakes_who_waits_for_the_rate(play: Any, mode: str, stop: str) -> None:
    first = threading.Event()
    stream = play([WORDS], mode=mode, rate=NEVER)
    stream.on_text(lambda _: first.set()).start()
    assert first.wait(5)
    getattr(stream, stop)()
    assert stream.wait(5).outcome == "cancelled"
    stream._run.join(5)
    metrics = stream.metrics
    assert metrics.chunks_delivered == 1
    assert metrics.chunks_received == 1 + metrics.chunks_dropped + metrics.chunks_merged


def test_what_trails_by_max_lag_is_shown_whatever_the_rate(play: Any, mode: str) -> None:
    stream = play([WORDS], mode=mode, rate=RateConfig(NEVER, max_lag=0.02))
    assert "".join(stream) == "one two three"


def test_get_gives_up_in_time_and_the_chunk_is_not_lost(play: Any, mode: str) -> None:
    stream: Stream = play([WORDS], mode=mode, rate=RateConfig(NEVER, max_lag=0.3))
    assert stream.get(5).content == "one"  # type: ignore[union-attr]
    with pytest.raises(TimeoutError, match="no chunk within"):
        stream.get(0.0)
    assert "".join(c.content for c in iter(lambda: stream.get(5), None)) == " two three"


def test_error_and_reasoning_do_not_wait_for_the_rate(play: Any, mode: str, drained: Any) -> None:
    script = [Reasoning("h m m m"), Text("one"), Cut()]
    text, error = drained(play(script, mode=mode, rate=NEVER))
    assert text == "one"
    assert error.partial.reasoning == "h m m m"


# -- what users' functions give that cannot be shown


class Gives:
    """A stage, or a segmenter, that gives the same whatever it is fed."""

    def __init__(self, given: Any) -> None:
        self.given = given

    def feed(self, _: Any) -> Any:
        return self.given

    def flush(self) -> Any:
        return ""


def without_text(chunk: Chunk) -> None:
    chunk.content = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"transform": lambda _: Chunk("x", done=True)}, "transform gave .* 'text', done=True"),
        ({"transform": lambda _: Chunk("x", kind="done")}, "transform gave .* 'done', done=False"),
        ({"transform": lambda _: Chunk(None)}, "transform gave .* content is no str: None"),
        ({"transform": lambda _: Chunk(5)}, "transform gave .* content is no str: 5"),
        ({"transform": lambda _: Chunk("x", metadata=None)}, "metadata is no dict: None"),
        ({"transform": lambda _: Chunk(error=KeyError())}, "with an error; raise it instead"),
        ({"transform": lambda _: Chunk(kind="citation")}, "citation without 'citation' in its"),
        ({"transform": without_text}, "transform gave .* content is no str"),
        ({"transform": lambda chunk: [chunk]}, "transform must return a Chunk, None or SKIP"),
        ({"transform": Gives(None)}, "transform must give a list of Chunks, got a NoneType"),
        ({"transform": Gives([1])}, "transform must give Chunks, got a int"),
        ({"transform": format_code_blocks(lambda _: None)}, "format must return a str, got a None"),
        ({"validate": without_text}, "validate gave .* content is no str"),
        ({"validate": Gives([Chunk(kind="tool_call")])}, "validate gave a tool_call without"),
        ({"units": lambda: Gives([1, 2])}, "units gave a chunk whose content is no str: 1"),
        ({"units": lambda: Gives(None)}, "must be an iterable"),
    ],
)
def test_what_cannot_be_shown_ends_the_stream_and_says_who_gave_it(
    mode: Any, given: dict[str, Any], message: str
) -> None:
    stream = wrap(["```py\n"], mode=mode, **given)
    with pytest.raises(TypeError, match=message):
        list(stream)
    assert stream.outcome == "failed"
    assert stream.metrics.errors == 1


@pytest.mark.parametrize("made", ["transform", "stage"])
def test_a_chunk_that_is_given_again_and_again_is_shown_as_often(mode: Any, made: str) -> None:
    same = Chunk("x")
    transform = Gives([same]) if made == "stage" else lambda _: same
    chunks = list(wrap(["a", "b", "c"], mode=mode, transform=transform).chunks())
    assert [chunk.index for chunk in chunks] == [0, 1, 2, 3]
    assert same.index == 0


# -- a cancel from inside


def test_what_is_raised_after_a_cancel_is_nobodys_concern(play: Any, mode: str) -> None:
    def leave(chunk: Chunk) -> None:
        stream.cancel()
        raise KeyError(chunk.content)

    stream = play([WORDS, Hang()], mode=mode, transform=leave)
    assert list(stream) == []
    assert stream.result().outcome == "cancelled"
    assert play.server.wait_disconnect(5) is not None


# -- over a channel, where it is not a socket that is waited for


def test_what_waits_comes_on_time_over_a_channel_too(threaded: Any) -> None:
    go = threading.Event()

    def tell(out: Any) -> None:
        out.put("no end")
        go.wait(10)
        out.put(" yet.")

    stream = channel(tell, mode=threaded, options=StreamOptions(units="sentence", max_wait=0.01))
    loop = iter(stream)
    assert next(loop) == "no end"
    go.set()
    assert list(loop) == [" yet."]


def test_max_seconds_ends_a_channel_that_stands_still(mode: Any) -> None:
    go = threading.Event()

    def tell(out: Any) -> None:
        out.put("one")
        go.wait(10)

    stream = channel(tell, mode=mode, stop_when=StopConfig(max_seconds=0.05))
    assert list(stream) == ["one"]
    assert stream.outcome == "stopped"
    go.set()
