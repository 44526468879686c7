"""Where an answer is ended, what is kept of it, and when that is known."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError
from streamkit.stages.stop import Stop, StopConfig


def cut(text: str, cuts: Iterable[int]) -> list[Chunk]:
    return [Chunk(text[a:b]) for a, b in pairwise([0, *sorted(cuts), len(text)])]


def through(stage: Stop, chunks: Iterable[Chunk]) -> list[Chunk]:
    return [out for chunk in chunks for out in stage.feed([chunk])] + stage.flush()


def joined(chunks: list[Chunk]) -> str:
    return "".join(chunk.content for chunk in chunks if chunk.kind == "text")


def kept(config: StopConfig, chunks: Iterable[Chunk]) -> tuple[str, str | None]:
    stage = Stop(config)
    return joined(through(stage, chunks)), stage.stopped


def by_the_rule(strings: tuple[str, ...], limit: int | None, text: str) -> tuple[str, str | None]:
    """The first string that is complete, and the limit, for a text that is whole."""
    hits = [(at + len(s), at) for s in strings if (at := text.find(s)) >= 0]
    end = min(hits)[1] if hits else len(text)
    if limit is not None and end >= limit:
        return text[:limit], "max_chars"
    return text[:end], "string" if hits else None


@given(
    strings=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3).map(tuple),
    limit=st.none() | st.integers(1, 20),
    text=st.text("abx\n", max_size=25),
    data=st.data(),
)
def test_the_split_changes_nothing_of_what_is_kept(
    strings: tuple[str, ...], limit: int | None, text: str, data: st.DataObject
) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    config = StopConfig(strings=strings, max_chars=limit)
    assert kept(config, cut(text, cuts)) == by_the_rule(strings, limit, text)


def test_every_two_cut_split_keeps_the_text_before_the_string() -> None:
    text = "one #### # two ###STOP three"
    config = StopConfig(strings=("STOP", "##STO"))
    for cuts in combinations(range(len(text) + 1), 2):
        assert kept(config, cut(text, cuts)) == ("one #### # two #", "string"), cuts


def test_text_that_begins_no_string_is_never_late() -> None:
    stage = Stop(StopConfig(strings=("\n\n",)))
    assert joined(stage.feed([Chunk("a\nb")])) == "a\nb"
    assert joined(stage.feed([Chunk("c\n")])) == "c"
    assert joined(stage.feed([Chunk("d")])) == "\nd"


def test_what_was_held_comes_at_the_end() -> None:
    assert kept(StopConfig(strings=("STOP",)), [Chunk("a ST")]) == ("a ST", None)
    (chunk,) = Stop(StopConfig(strings=("STOP",))).feed([Chunk("a ST", finish_reason="length")])
    assert (chunk.content, chunk.finish_reason) == ("a ST", "length")


def test_after_the_end_only_usage_comes() -> None:
    stage = Stop(StopConfig(strings=("#",)))
    usage = Chunk(kind="usage", metadata={"usage": Usage(output_tokens=3)})
    out = stage.feed([Chunk("a#b"), Chunk("c"), Chunk("d", kind="reasoning"), usage])
    assert out == [Chunk("a"), usage]
    assert stage.flush() == stage.feed([Chunk("e")]) == []


def test_the_finish_reason_of_the_answer_is_not_that_of_its_beginning() -> None:
    (chunk,) = Stop(StopConfig(strings=("#",))).feed([Chunk("a#b", finish_reason="stop")])
    assert (chunk.content, chunk.finish_reason) == ("a", None)


@pytest.mark.parametrize("kind", ["reasoning", "tool_call", "refusal"])
def test_no_string_goes_on_behind_another_channel(kind: Any) -> None:
    stage = Stop(StopConfig(strings=("STOP",)))
    out = through(stage, [Chunk("a ST"), Chunk("x", kind=kind), Chunk("OP")])
    assert [chunk.content for chunk in out] == ["a ", "ST", "x", "OP"]
    assert stage.stopped is None


def test_a_citation_does_not_break_a_string() -> None:
    stage = Stop(StopConfig(strings=("STOP",)))
    out = through(stage, [Chunk("a ST"), Chunk(kind="citation"), Chunk("OP")])
    assert ([chunk.kind for chunk in out], stage.stopped) == (["text", "citation"], "string")


def test_when_sees_the_text_so_far_and_its_delta_is_kept() -> None:
    seen: list[str] = []

    def when(text: str) -> bool:
        seen.append(text)
        return text.count(".") >= 2

    stage = Stop(StopConfig.of(when))
    out = through(stage, [Chunk("a."), Chunk("x", kind="reasoning"), Chunk("b.c"), Chunk("d")])
    assert (joined(out), stage.stopped) == ("a.b.c", "when")
    assert seen == ["a.", "a.b.c"]


def test_a_when_that_raises_leaves_its_own_exception_and_the_text() -> None:
    error = LookupError("mine")

    def when(_: str) -> bool:
        raise error

    stage = Stop(StopConfig(when=when))
    assert joined(through(stage, [Chunk("a"), Chunk("b")])) == "a"
    assert stage.error is error
    assert stage.stopped is None


def test_characters_are_counted_over_attempts() -> None:
    stage = Stop(StopConfig(max_chars=3))
    assert joined(through(stage, [Chunk("ab")])) == "ab"
    assert joined(through(stage, [Chunk("cd")])) == "c"
    assert stage.stopped == "max_chars"


def test_the_time_begins_with_the_first_tick_and_gives_what_was_held() -> None:
    stage = Stop(StopConfig(strings=("STOP",), max_seconds=2))
    assert (stage.due(), stage.tick(10.0), stage.due()) == (None, [], 12.0)
    stage.feed([Chunk("a ST")])
    assert stage.tick(11.9) == []
    assert joined(stage.tick(12.0)) == "ST"
    assert (stage.stopped, stage.due(), stage.tick(13.0)) == ("max_seconds", None, [])


def test_without_a_limit_nothing_is_ever_due() -> None:
    stage = Stop(StopConfig(strings=("#",)))
    assert stage.tick(1.0) == []
    assert stage.due() is None


def test_the_delta_that_reaches_the_cost_is_kept() -> None:
    stage = Stop(StopConfig(max_cost=0.5, strings=("##",)), cost=lambda chunk: 0.25)
    out = through(
        stage, [Chunk("x", kind="reasoning"), Chunk(kind="usage"), Chunk("a#"), Chunk("b")]
    )
    assert ("".join(c.content for c in out), stage.stopped) == ("xa#", "max_cost")


def test_what_a_cost_raises_ends_the_stream() -> None:
    stage = Stop(StopConfig(max_cost=1), cost=lambda chunk: 1 / 0)
    through(stage, [Chunk("a")])
    assert isinstance(stage.error, ZeroDivisionError)


def test_a_cost_needs_a_price() -> None:
    with pytest.raises(ConfigurationError, match="max_cost needs a price"):
        Stop(StopConfig(max_cost=1))


def test_what_stop_when_takes() -> None:
    config = StopConfig(max_chars=5)
    assert StopConfig.of(config) is config
    assert StopConfig.of("a") == StopConfig(strings=("a",))
    assert StopConfig.of(["a", "b"]) == StopConfig(strings=("a", "b"))
    assert StopConfig.of(print).when is print
    with pytest.raises(ConfigurationError, match=r"stop_when must be a str.*got 5"):
        StopConfig.of(5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strings": ("",)}, "stop strings must be strings that are not empty, got ''"),
        ({"strings": 5}, "stop strings must be a str or a list of str, got 5"),
        ({"when": 5}, "stop when must be callable, got 5"),
        ({"max_chars": 0}, "max_chars must be over 0, got 0"),
        ({"max_chars": 2.5}, "max_chars must be a whole number, got 2.5"),
        ({"max_seconds": "1"}, "max_seconds must be a number, got '1'"),
        ({"max_seconds": float("nan")}, "max_seconds must be over 0, got nan"),
        ({"max_cost": True}, "max_cost must be a number, got True"),
    ],
)
def test_bad_options_are_refused_at_once(options: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        StopConfig(**options)


def test_a_long_answer_in_single_characters_is_read_in_linear_time() -> None:
    seen = 0

    def when(text: str) -> bool:
        nonlocal seen
        seen = len(text)
        return False

    text = "STO" * 30_000
    result, _ = kept(StopConfig(strings=("STOP",), when=when), map(Chunk, text))
    assert result == text
    assert seen == len(text)


def test_of_strings_that_overlap_the_one_that_is_complete_first_ends_it() -> None:
    stage = Stop(StopConfig(strings=("abcd", "bc")))
    assert [chunk.content for chunk in stage.feed([Chunk("xabcd")])] == ["xa"]
