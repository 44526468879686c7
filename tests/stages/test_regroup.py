"""Chunks -> chunks of whole units, and what becomes of everything else a chunk carries."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.stages.regroup import DELTAS, Regroup
from streamkit.text import SEGMENTERS, new_buffer


def words(**options: Any) -> Regroup:
    return Regroup(new_buffer("word"), **options)


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


def texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.content for chunk in chunks if chunk.kind == "text"]


def test_text_comes_in_whole_units_and_the_rest_at_the_end() -> None:
    stage = words()
    assert texts(stage.feed([Chunk("Hel")])) == []
    assert texts(stage.feed([Chunk("lo big wor"), Chunk("ld")])) == ["Hello ", "big "]
    assert texts(stage.flush()) == ["world"]
    assert stage.flush() == []


def test_other_kinds_pass_at_once() -> None:
    stage = words()
    others = [
        Chunk("hm", kind="reasoning"),
        Chunk("{", kind="tool_call", metadata={"index": 0}),
        Chunk(kind="usage"),
        Chunk(metadata={"choice": 1, "content": "other"}),
        Chunk(metadata={"logprobs": [1]}),
    ]
    assert stage.feed([Chunk("Hel"), *others]) == others
    assert texts(stage.feed([Chunk("lo ")])) == ["Hello "]


@pytest.mark.parametrize("kind", ["done", "retry", "gap"])
def test_the_end_of_the_text_brings_what_is_held_first(kind: Any) -> None:
    stage = words()
    stage.feed([Chunk("Hel")])
    assert shown(stage.feed([Chunk(kind=kind), Chunk("lo ")])) == [
        ("text", "Hel"),
        (kind, ""),
        ("text", "lo "),
    ]


def test_the_finish_reason_is_on_the_last_piece_and_only_there() -> None:
    stage = words()
    chunks = stage.feed([Chunk("a b"), Chunk("c d", finish_reason="stop")])
    assert [(c.content, c.finish_reason) for c in chunks] == [
        ("a ", None),
        ("bc ", None),
        ("d", "stop"),
    ]
    assert stage.flush() == []


def test_a_finish_reason_without_text_brings_what_is_held_or_comes_alone() -> None:
    stage = words()
    stage.feed([Chunk("a b")])
    (last,) = stage.feed([Chunk(finish_reason="stop")])
    assert (last.content, last.finish_reason) == ("b", "stop")
    (alone,) = stage.feed([Chunk(finish_reason="stop")])
    assert (alone.content, alone.finish_reason) == ("", "stop")


def test_pieces_say_what_the_delta_said_that_ended_them() -> None:
    stage = words()
    first = Chunk("a b c", 3, 1.5, model="m", id="i", metadata={"note": 1})
    one, two = stage.feed([first])
    assert (one.index, one.timestamp, one.model, one.id, one.metadata) == (3, 1.5, "m", "i", {})
    assert two is first
    assert two.metadata == {"note": 1, DELTAS: 0}
    (rest,) = stage.flush()
    assert (rest.index, rest.timestamp, rest.model, rest.id) == (3, 1.5, "m", "i")


def test_metadata_of_held_deltas_comes_with_their_unit() -> None:
    stage = words()
    held = [Chunk("He", metadata={"a": 1, "b": 1}), Chunk("l", metadata={"b": 2})]
    (chunk,) = stage.feed([*held, Chunk("lo ", metadata={"c": 3})])
    assert chunk.metadata == {"a": 1, "b": 2, "c": 3, DELTAS: 3}
    stage.feed([Chunk("x", metadata={"a": 1})])
    (rest,) = stage.flush()
    assert rest.metadata == {"a": 1}


def test_metadata_is_not_lost_where_strip_leaves_no_text() -> None:
    stage = Regroup(new_buffer("sentence", strip=True))
    assert stage.feed([Chunk(" ", metadata={"a": 1})]) == []
    (rest,) = stage.flush()
    assert (rest.content, rest.metadata) == ("", {"a": 1})


PIECES = st.sampled_from(["a", "b ", " c", "Hello. ", "x. Y! ", "\n\n", "e\u0301", " ", "\u6f22"])


@given(st.lists(PIECES, max_size=12), st.sampled_from(sorted(SEGMENTERS)), st.booleans())
def test_the_text_is_the_same_and_deltas_are_counted_once(
    pieces: list[str], unit: str, finish: bool
) -> None:
    stage = Regroup(new_buffer(unit))
    chunks = [Chunk(piece) for piece in pieces]
    if chunks and finish:
        chunks[-1].finish_reason = "stop"
    out = [made for chunk in chunks for made in stage.feed([chunk])] + stage.flush()
    assert "".join(chunk.content for chunk in out) == "".join(pieces)
    assert sum(chunk.metadata.get(DELTAS, 1) for chunk in out) == len(pieces)
    assert sum(chunk.finish_reason is not None for chunk in out) == (finish and bool(pieces))


@given(st.lists(PIECES, max_size=12), st.sampled_from(sorted(SEGMENTERS)))
def test_chunks_one_by_one_or_together_give_the_same(pieces: list[str], unit: str) -> None:
    one, other = Regroup(new_buffer(unit)), Regroup(new_buffer(unit))
    apart = [made for piece in pieces for made in one.feed([Chunk(piece)])]
    assert apart == other.feed([Chunk(piece) for piece in pieces])
    assert one.flush() == other.flush()


def test_held_text_leaves_when_its_time_is_up() -> None:
    stage = words(max_wait=0.5)
    assert stage.due() is None
    stage.feed([Chunk("Hel")], now=10.0)
    stage.feed([Chunk("l")], now=10.2)
    assert stage.due() == 10.5
    assert stage.tick(10.4) == []
    assert texts(stage.tick(10.5)) == ["Hell"]
    assert stage.due() is None
    assert stage.tick(99.0) == []
    assert texts(stage.feed([Chunk("o wor")], now=11.0)) == ["o "]
    assert stage.due() == 11.5
    assert texts(stage.tick(12.0)) == ["wor"]


def test_time_counts_from_the_delta_that_left_something_held() -> None:
    stage = words(max_wait=0.5)
    stage.feed([Chunk("a")], now=1.0)
    stage.feed([Chunk(" b")], now=1.4)
    assert stage.due() == 1.9
    stage.feed([Chunk(finish_reason="stop")], now=1.5)
    assert stage.due() is None


def test_a_sentence_released_in_a_code_block_is_still_in_it() -> None:
    stage = Regroup(new_buffer("sentence", fences=True), max_wait=1.0)
    stage.feed([Chunk("```\na. b")], now=0.0)
    assert texts(stage.tick(1.0)) == ["```\na. b"]
    assert stage.feed([Chunk(". C. d")], now=1.1) == []


def test_nothing_is_due_without_a_clock_or_a_bound() -> None:
    unbound, blind = words(), words(max_wait=1.0)
    unbound.feed([Chunk("a")], now=1.0)
    blind.feed([Chunk("a")])
    assert unbound.due() is blind.due() is None
    assert unbound.tick(99.0) == blind.tick(99.0) == []


class Pairs:
    """A segmenter of a user's own: two characters each."""

    def __init__(self) -> None:
        self.held = ""

    def feed(self, text: str) -> list[str]:
        text = self.held + text
        whole = len(text) - len(text) % 2
        self.held = text[whole:]
        return [text[at : at + 2] for at in range(0, whole, 2)]

    def flush(self) -> str:
        held, self.held = self.held, ""
        return held

    def reset(self) -> None:
        self.held = ""


def test_a_segmenter_of_ones_own_needs_three_methods() -> None:
    stage = Regroup(Pairs(), max_wait=1.0)
    assert texts(stage.feed([Chunk("abc"), Chunk("de")], now=0.0)) == ["ab", "cd"]
    assert texts(stage.tick(1.0)) == ["e"]
    assert stage.flush() == []


@pytest.mark.parametrize("wait", [0, -1.0, float("nan"), "1", True])
def test_a_bad_wait_is_refused_at_once(wait: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"max_wait must be above 0 seconds.*, got"):
        words(max_wait=wait)
