"""Inline thinking becomes reasoning, however the tags are cut, and nothing else changes."""

from __future__ import annotations

import json
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamkit.chunk import Chunk
from streamkit.stages import STAGES
from streamkit.stages.think import MAX_BLOCKS, TAGS, Think

((OPENING, CLOSING),) = TAGS.items()

#: Texts of what matters: the tags, their parts, blanks, and other text.
TEXTS = st.lists(
    st.sampled_from([OPENING, CLOSING, "<", "<th", "</", "ink>", ">", " ", "\n", "a", "é"]),
    max_size=12,
).map("".join)


def through(chunks: list[Chunk]) -> list[Chunk]:
    """The chunks, each fed alone."""
    stage = Think()
    return [out for chunk in chunks for out in stage.feed([chunk])] + stage.flush()


def joined(chunks: list[Chunk], kind: str) -> str:
    return "".join(chunk.content for chunk in chunks if chunk.kind == kind)


def cut(text: str, cuts: Any) -> list[Chunk]:
    places = [0, *sorted(cuts), len(text)]
    return [Chunk(text[a:b]) for a, b in pairwise(places)]


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


def read(text: str) -> tuple[str, str]:
    """Text and reasoning of an answer; the rule once more, for a text that is whole."""
    visible, reasoning, rest = "", "", text
    while rest.lstrip().startswith(OPENING):
        blanks, _, rest = rest.partition(OPENING)
        thought, _, rest = rest.partition(CLOSING)
        visible, reasoning = visible + blanks, reasoning + thought
    return visible + rest, reasoning


# The law.


@given(text=TEXTS, data=st.data())
def test_the_split_changes_neither_text_nor_reasoning(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    out = through(cut(text, cuts))
    assert (joined(out, "text"), joined(out, "reasoning")) == read(text)


def test_every_one_and_two_cut_split_of_an_answer_reads_the_same() -> None:
    text = f"\n{OPENING}\na <b> </c\n{CLOSING}\n\n{OPENING}{CLOSING}b {OPENING}c{CLOSING}"
    assert read(text) == (f"\n\n\nb {OPENING}c{CLOSING}", "\na <b> </c\n")
    for cuts in combinations(range(len(text) + 1), 2):
        out = through(cut(text, cuts))
        assert (joined(out, "text"), joined(out, "reasoning")) == read(text), cuts


@given(text=TEXTS)
@example(text=f"{OPENING}a{CLOSING}")
def test_nothing_but_tags_is_taken_away(text: str) -> None:
    out = through(cut(text, range(len(text))))
    tags = len(text) - sum(len(chunk.content) for chunk in out)
    rest = text
    for chunk in out:  # what comes out stands in the text, in this order
        assert chunk.content in rest
        rest = rest[rest.index(chunk.content) + len(chunk.content) :]
    assert tags in {n * len(OPENING) + m * len(CLOSING) for n in range(13) for m in (n, n - 1)}


@given(text=TEXTS, size=st.integers(1, 9))
def test_no_more_is_held_than_a_tag_less_one_character(text: str, size: int) -> None:
    stage = Think()
    fed = ""
    out: list[Chunk] = []
    for chunk in cut(text, range(0, len(text), size)):
        fed += chunk.content
        out += stage.feed([chunk])
        held = sum(map(len, read(fed))) - sum(len(chunk.content) for chunk in out)
        assert held < len(CLOSING)


# The rule, case by case.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [("text", "plain")]),
        ("<think>a</think>b", [("reasoning", "a"), ("text", "b")]),
        ("<think>\na\n</think>\n\nb", [("reasoning", "\na\n"), ("text", "\n\nb")]),
        (" \n<think>a", [("text", " \n"), ("reasoning", "a")]),
        ("<think></think>b", [("text", "b")]),
        ("<think>a</think>\n<think>b</think>c",
         [("reasoning", "a"), ("text", "\n"), ("reasoning", "b"), ("text", "c")]),
        ("<think>a<think>b</think>c", [("reasoning", "a<think>b"), ("text", "c")]),
        ("use <think>x</think>", [("text", "use <think>x</think>")]),
        ("<think>a</think>use <think>", [("reasoning", "a"), ("text", "use <think>")]),
        ("a</think>b", [("text", "a</think>b")]),
        ("<thinking>a", [("text", "<thinking>a")]),
        ("<THINK>a", [("text", "<THINK>a")]),
        ("<thi", [("text", "<thi")]),
        ("<think>a</thi", [("reasoning", "a"), ("reasoning", "</thi")]),
        ("<think>a</think", [("reasoning", "a"), ("reasoning", "</think")]),
    ],
)  # fmt: skip
def test_a_tag_counts_only_before_the_visible_answer(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert shown(through([Chunk(text)])) == expected


def test_text_that_can_be_no_tag_is_never_late() -> None:
    stage = Think()
    assert shown(stage.feed([Chunk("\n")])) == [("text", "\n")]
    assert shown(stage.feed([Chunk("<think>a <")])) == [("reasoning", "a ")]
    assert shown(stage.feed([Chunk("b")])) == [("reasoning", "<b")]
    assert shown(stage.feed([Chunk("</think>")])) == []
    assert shown(stage.feed([Chunk("c <")])) == [("text", "c <")]


def test_after_the_visible_answer_began_chunks_pass_untouched() -> None:
    stage = Think()
    first = [Chunk("Hi"), Chunk("<think>")]
    assert stage.feed(first) == first
    later = [Chunk("<think>")]
    assert stage.feed(later) is later
    assert stage.flush() == []


# Chunks that carry more than text.


def test_the_last_piece_of_a_chunk_keeps_what_it_carried() -> None:
    whole = Chunk("<think>a</think>b", metadata={"x": 1}, finish_reason="stop", model="m", id="i")
    first, last = through([whole])
    assert first == Chunk("a", kind="reasoning", model="m", id="i")
    assert last == Chunk("b", metadata={"x": 1}, finish_reason="stop", model="m", id="i")


def test_a_chunk_with_a_finish_reason_holds_nothing_back() -> None:
    stage = Think()
    (chunk,) = stage.feed([Chunk("<thi", finish_reason="length")])
    assert (chunk.kind, chunk.content, chunk.finish_reason) == ("text", "<thi", "length")
    assert stage.flush() == []


def test_a_tag_that_carried_a_finish_reason_or_metadata_leaves_an_empty_chunk() -> None:
    (chunk,) = Think().feed([Chunk("<think>", finish_reason="length")])
    assert (chunk.kind, chunk.content, chunk.finish_reason) == ("text", "", "length")
    assert Think().feed([Chunk("<think>")]) == []


@pytest.mark.parametrize(
    "report",
    [Chunk(kind="usage"), Chunk(kind="citation"), Chunk(metadata={"choice": 1, "content": "x"})],
)
def test_reports_between_the_parts_of_a_tag_do_not_break_it(report: Chunk) -> None:
    out = through([Chunk("<thi"), report, Chunk("nk>a</thin"), report, Chunk("k>b")])
    assert out[0] is report
    assert shown(out[1:]) == [("reasoning", "a"), (report.kind, ""), ("text", "b")]


@pytest.mark.parametrize(
    "other",
    [
        Chunk("x", kind="tool_call"),
        Chunk("x", kind="refusal"),
        Chunk("x", kind="reasoning"),
        Chunk(kind="usage", finish_reason="stop"),
    ],
)
def test_another_channel_or_the_end_ends_a_tag_that_was_begun(other: Chunk) -> None:
    out = through([Chunk("<thi", model="m"), other, Chunk("nk>")])
    assert shown(out) == [("text", "<thi"), (other.kind, other.content), ("text", "nk>")]
    assert out[0].model == "m"
    out = through([Chunk("<think>a</"), other, Chunk("think>b</think>c")])
    assert shown(out) == [
        ("reasoning", "a"),
        ("reasoning", "</"),
        (other.kind, other.content),
        ("reasoning", "think>b"),
        ("text", "c"),
    ]


# Its life.


def test_after_a_flush_nothing_is_remembered() -> None:
    stage = Think()
    stage.feed([Chunk("<think>a<", model="m", id="i")])
    assert stage.flush() == [Chunk("<", kind="reasoning", model="m", id="i")]
    assert shown(stage.feed([Chunk("<think>b</think>c")])) == [("reasoning", "b"), ("text", "c")]
    assert stage.flush() == []
    assert shown(stage.feed([Chunk("<think>d")])) == [("reasoning", "d")]


def test_a_text_of_nothing_but_tags_gives_a_bounded_number_of_chunks() -> None:
    out = through([Chunk("<think>a</think> " * 5000)])
    assert len(out) == 2 * MAX_BLOCKS
    assert joined(out, "reasoning") == "a" * MAX_BLOCKS


def test_a_long_thought_in_single_characters_is_read_in_linear_time() -> None:
    # Each character is looked at a bounded number of times; quadratic, this would take minutes.
    thought = "</think" * 40_000
    out = through([Chunk("<think>"), *map(Chunk, thought), Chunk("</think>b")])
    assert joined(out, "reasoning") == thought
    assert joined(out, "text") == "b"


def test_the_table_makes_a_fresh_stage_each_time() -> None:
    first, second = STAGES["think"](), STAGES["think"]()
    assert isinstance(first, Think)
    assert first is not second


def test_the_recorded_answer_with_inline_thinking_is_taken_apart(recordings: Path) -> None:
    entries = json.loads((recordings / "index.json").read_text(encoding="utf-8"))["recordings"]
    texts = [e["expected"]["text"] for e in entries if "inline-think-tags" in e["features"]]
    assert texts
    for text in texts:
        out = through([Chunk(character) for character in text])
        thought, answer = joined(out, "reasoning"), joined(out, "text")
        assert text == f"{OPENING}{thought}{CLOSING}{answer}"
        assert thought and answer and "<" not in thought + answer
