"""Halves of escaped characters, joined across chunks and never across channels."""

from __future__ import annotations

from itertools import product

from streamkit.chunk import Chunk
from streamkit.stages.join import JoinSurrogates

SMILE = "\U0001f600"
HIGH, LOW = "\ud83d", "\ude00"


def texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.content for chunk in chunks]


def through(pieces: list[str]) -> str:
    """The pieces, each as a chunk of its own."""
    join = JoinSurrogates()
    out = [chunk for piece in pieces for chunk in join.feed([Chunk(piece)])]
    return "".join(texts(out + join.flush()))


def test_plain_chunks_pass_as_they_are() -> None:
    chunks = [Chunk("a"), Chunk("é"), Chunk("")]
    join = JoinSurrogates()
    assert join.feed(chunks) == chunks
    assert join.flush() == []


def test_the_halves_of_a_character_become_one() -> None:
    assert through(["a", HIGH, LOW, "b"]) == f"a{SMILE}b"
    assert through([f"a{HIGH}", f"{LOW}b"]) == f"a{SMILE}b"


def test_any_three_pieces_give_what_their_text_would_give() -> None:
    for pieces in product(["a", HIGH, LOW, SMILE, ""], repeat=3):
        joined = "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        assert through(list(pieces)) == joined
        through(list(pieces)).encode()


def test_a_chunk_waits_while_it_holds_nothing_but_a_half() -> None:
    join = JoinSurrogates()
    assert join.feed([Chunk(HIGH, model="m")]) == []
    (rest,) = join.flush()
    assert (rest.content, rest.model) == ("\ufffd", "m")


def test_a_chunk_with_a_finish_reason_never_waits() -> None:
    join = JoinSurrogates()
    (chunk,) = join.feed([Chunk(HIGH, finish_reason="stop")])
    assert (chunk.content, chunk.finish_reason) == ("", "stop")
    assert texts(join.flush()) == ["\ufffd"]


def test_halves_of_two_kinds_or_two_calls_do_not_meet() -> None:
    join = JoinSurrogates()
    first = Chunk(HIGH, kind="tool_call", metadata={"index": 0})
    other = Chunk(LOW, kind="tool_call", metadata={"index": 1})
    assert join.feed([first]) == []
    assert texts(join.feed([other, Chunk(LOW), Chunk(LOW, kind="reasoning")])) == ["\ufffd"] * 3
    (rest,) = join.flush()
    assert (rest.content, rest.kind, rest.metadata) == ("\ufffd", "tool_call", {"index": 0})


def test_after_a_flush_nothing_is_remembered() -> None:
    join = JoinSurrogates()
    join.feed([Chunk(HIGH)])
    join.flush()
    assert texts(join.feed([Chunk(LOW)])) == ["\ufffd"]
