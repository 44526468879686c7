"""Marks around thinking and calls, and the numbers at the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError
from streamkit.stages import annotate_reasoning, highlight_function_calls, show_performance
from streamkit.stages.base import Stage


def thought(text: str) -> Chunk:
    return Chunk(text, kind="reasoning")


def call(index: int, text: str = "", **names: str) -> Chunk:
    return Chunk(text, kind="tool_call", metadata={"index": index, **names})


def through(stage: Stage, chunks: list[Chunk]) -> list[Chunk]:
    return stage.feed(chunks) + stage.flush()


def shown(mark: Chunk) -> str:
    about = mark.metadata
    return f"{'<' if about['mark'] == 'begin' else '>'}{about['block']}{about.get('name', '')}"


def test_chunks_of_thinking_say_where_they_stand() -> None:
    out = through(
        annotate_reasoning().stage(),
        [thought("a"), Chunk(kind="usage"), thought("b"), Chunk("x"), thought("c")],
    )
    marks = [(c.content, c.metadata) for c in out if c.kind == "reasoning"]
    assert marks == [
        ("a", {"mark": "begin", "block": 1}),
        ("b", {"mark": "inside", "block": 1}),
        ("c", {"mark": "begin", "block": 2}),
    ]
    assert out[3] == Chunk("x")


@given(cuts=st.lists(st.sampled_from(["think", "say", "call"]), max_size=8), size=st.integers(1, 4))
def test_the_split_changes_no_mark(cuts: list[str], size: int) -> None:
    def stream(parts: int) -> str:
        make: dict[str, Any] = {"think": thought, "say": Chunk, "call": lambda t: call(0, t)}
        stage = annotate_reasoning(shown).stage()
        out = through(stage, [make[kind](part) for kind in cuts for part in ["ab"] * parts])
        return "".join(
            c.content
            for c in out
            if c.metadata.get("mark") in ("begin", "end") and c.content[0] in "<>"
        )

    assert stream(size) == stream(1)


def test_marks_with_words_stand_around_each_block() -> None:
    out = through(
        annotate_reasoning(shown).stage(),
        [thought("a"), thought("b"), Chunk(), Chunk("x"), thought("c")],
    )
    assert [c.content for c in out] == ["<1", "a", "b", "", ">1", "x", "<2", "c", ">2"]
    assert {c.kind for c in out if c.content[:1] in ("<", ">")} == {"reasoning"}


def test_thinking_without_words_begins_no_block() -> None:
    sealed = Chunk(kind="reasoning", metadata={"signature": "s"})
    assert through(annotate_reasoning(shown).stage(), [sealed, Chunk("x")]) == [sealed, Chunk("x")]


def test_a_finish_reason_ends_a_block() -> None:
    out = annotate_reasoning(shown).stage().feed([Chunk("a", kind="reasoning", finish_reason="x")])
    assert [c.content for c in out] == ["<1", "a", ">1"]
    assert [c.finish_reason for c in out] == [None, "x", None]


def test_calls_are_marked_one_by_one_with_their_names() -> None:
    chunks = [Chunk("Hm "), call(0, id="c", name="add"), call(0, "{}"), call(1, "{}", name="mul")]
    out = through(highlight_function_calls(shown).stage(), chunks)
    assert "".join(c.content for c in out if c.kind == "text") == "Hm <1add>1add<2mul>2mul"
    assert [c.content for c in out if c.kind == "tool_call"] == ["", "{}", "{}"]
    assert out[1].metadata == {"mark": "begin", "block": 1, "index": 0, "id": "c", "name": "add"}


def test_calls_without_words_keep_their_metadata() -> None:
    out = through(highlight_function_calls().stage(), [call(0, "a", id="c"), call(0, "b")])
    assert [c.metadata for c in out] == [
        {"index": 0, "id": "c", "mark": "begin", "block": 1},
        {"index": 0, "mark": "inside", "block": 1},
    ]


def test_a_call_that_goes_on_after_another_still_has_its_name() -> None:
    chunks = [call(0, name="add"), call(1, name="mul"), call(0, "{}")]
    out = through(highlight_function_calls(shown).stage(), chunks)
    assert [c.content for c in out if c.kind == "text"] == [
        "<1add", ">1add", "<2mul", ">2mul", "<3add", ">3add",
    ]  # fmt: skip


@pytest.mark.parametrize("names", ["add", ["add"], lambda name: name == "add"])
def test_only_the_calls_that_are_meant_are_marked(names: Any) -> None:
    chunks = [call(0, name="add"), call(0, "{}"), call(1, name="mul"), call(1, "{}")]
    stage = highlight_function_calls(shown, names=names).stage()
    out = through(stage, chunks)
    assert [c.content for c in out] == ["<1add", "", "{}", ">1add", "", "{}"]
    assert "mark" not in out[-1].metadata
    again = through(stage, [call(0, "{}", name="mul")])  # of another attempt
    assert [c.content for c in again] == ["{}"]


def test_the_user_may_say_what_thinking_is() -> None:
    def when(chunk: Chunk) -> bool:
        return chunk.metadata.get("thought", False)

    chunks = [Chunk("Hm", metadata={"thought": True}), thought("a"), Chunk("x")]
    out = through(annotate_reasoning(shown, when=when).stage(), chunks)
    assert [c.content for c in out] == ["<1", "Hm", ">1", "a", "x"]


def test_an_option_that_can_be_none_is_refused() -> None:
    for make in (annotate_reasoning, highlight_function_calls, show_performance):
        with pytest.raises(ConfigurationError, match="format must be callable, got 'x'"):
            make("x")  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match="when must be callable"):
        annotate_reasoning(when=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="names must be strings that are not empty"):
        highlight_function_calls(names=[""])


def test_the_numbers_come_at_the_end() -> None:
    usage = {"usage": Usage(output_tokens=10), "details": {"tps": 5}}
    stage = show_performance().stage()
    chunks = [
        Chunk("ab", timestamp=1.0, model="m"),
        Chunk("c", timestamp=3.0, model="m", finish_reason="stop"),
        Chunk(kind="usage", metadata=usage, timestamp=4.0),
    ]
    assert stage.feed(chunks) == chunks
    (last,) = stage.flush()
    assert (last.content, last.kind, last.model, last.finish_reason) == ("", "text", "m", None)
    assert last.metadata["performance"] == {
        "deltas": 2,
        "characters": 3,
        "seconds": 2.0,
        "deltas_per_second": 1.0,
        "tokens": 10,
        "tokens_per_second": 5.0,
        "reported": {"tps": 5},
    }
    assert stage.flush() == []


@pytest.mark.parametrize("times", [(2.0, 2.0), (2.0, 1.0)])
def test_no_time_gives_no_rate(times: tuple[float, float]) -> None:
    (last,) = through(show_performance().stage(), [Chunk("a", timestamp=t) for t in times])[2:]
    assert last.metadata["performance"]["seconds"] == 0.0
    assert last.metadata["performance"]["deltas_per_second"] is None


def test_an_answer_without_content_has_no_performance() -> None:
    assert show_performance().stage().flush() == []


def test_each_attempt_has_a_performance_of_its_own() -> None:
    stage: Any = show_performance().stage()
    counted = []
    for _ in range(2):
        stage.feed([Chunk("a", timestamp=1.0), Chunk("b", timestamp=2.0)])
        (report,) = stage.flush()
        counted.append(report.metadata["performance"])
    assert counted[0] == counted[1]
    assert (counted[0]["deltas"], counted[0]["characters"], counted[0]["seconds"]) == (2, 2, 1.0)


def broken(_: Any) -> str:
    raise KeyError("mine")


@pytest.mark.parametrize("make", [annotate_reasoning, highlight_function_calls, show_performance])
def test_what_a_format_raises_ends_the_stream_as_it_is(make: Any) -> None:
    stage: Any = make(broken).stage()
    out = stage.feed([Chunk("x"), thought("a"), call(0)]) + stage.flush()
    assert out[0] == Chunk("x")
    assert isinstance(stage.error, KeyError)
    assert stage.flush() == []


def test_what_a_format_raises_at_the_end_of_a_block_ends_the_stream() -> None:
    def format(mark: Chunk) -> str:
        return "<" if mark.metadata["mark"] == "begin" else broken(mark)

    stage: Any = annotate_reasoning(format).stage()
    assert [c.content for c in stage.feed([thought("a")])] == ["<", "a"]
    assert stage.flush() == []
    assert isinstance(stage.error, KeyError)
    assert stage.feed([Chunk("x")]) == []
