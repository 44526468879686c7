"""The stage around an editor: order, what chunks carry, and what refusals do."""

from __future__ import annotations

from typing import Any

import pytest
from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.errors import ChunkRejected, ConfigurationError
from streamkit.stages.rewrite import Editor, Piece, Rewrite


class Held(Editor):
    """Holds one character; ``!`` is refused; ``?`` raises in the editor, ``*`` in a check."""

    def __init__(self) -> None:
        self.held = ""

    @override
    def feed(self, text: str) -> list[Piece]:
        if "?" in text:
            raise KeyError("mine")
        text, self.held = (self.held + text)[:-1], text[-1]
        return [Held.piece(c) for c in text]

    @override
    def release(self) -> list[Piece]:
        held, self.held = self.held, ""
        return [Held.piece(c) for c in held]

    @staticmethod
    def piece(c: str) -> Piece:
        if c == "*":
            return Piece(c, refused=KeyError("mine"))
        return Piece(c, {"digit": True} if c.isdigit() else None, "bad" if c == "!" else None)


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


def run(chunks: list[Chunk], **options: Any) -> tuple[Rewrite, list[Chunk]]:
    stage = Rewrite(Held, **options)
    return stage, stage.feed(chunks) + stage.flush()


def test_pieces_of_one_sort_stay_in_one_chunk() -> None:
    _, out = run([Chunk("ab12c")])
    assert [(c.content, c.metadata) for c in out] == [
        ("ab", {}), ("12", {"digit": True}), ("c", {}),
    ]  # fmt: skip


def test_the_last_piece_keeps_what_the_chunk_carried() -> None:
    chunk = Chunk("a1", metadata={"x": 1}, finish_reason="stop", model="m", id="i", timestamp=5.0)
    first, last = run([chunk])[1]
    assert first == Chunk("a", model="m", id="i", timestamp=5.0)
    assert last == Chunk(
        "1", 0, 5.0, metadata={"x": 1, "digit": True}, finish_reason="stop", model="m", id="i"
    )


def test_a_chunk_that_holds_nothing_yet_comes_only_if_it_carries_something() -> None:
    stage = Rewrite(Held)
    assert stage.feed([Chunk("a")]) == []
    assert stage.feed([Chunk("b", metadata={"x": 1})]) == [Chunk("a", metadata={"x": 1})]


@pytest.mark.parametrize("kind", ["reasoning", "tool_call", "refusal"])
def test_another_channel_and_the_end_release_what_is_held(kind: Any) -> None:
    assert shown(Rewrite(Held).feed([Chunk("ab"), Chunk("x", kind=kind)])) == [
        ("text", "a"), ("text", "b"), (kind, "x"),
    ]  # fmt: skip
    last = Chunk(finish_reason="stop")
    assert Rewrite(Held).feed([Chunk("ab"), last])[-2:] == [Chunk("b"), last]


@pytest.mark.parametrize("kind", ["usage", "citation"])
def test_reports_overtake_what_is_held(kind: Any) -> None:
    assert shown(run([Chunk("ab"), Chunk(kind=kind)])[1]) == [
        ("text", "a"), (kind, ""), ("text", "b"),
    ]  # fmt: skip


def test_a_refusal_ends_the_stream_after_the_text_before_it() -> None:
    stage, out = run([Chunk("ab!c"), Chunk("d", kind="reasoning"), Chunk("e")])
    assert shown(out) == [("text", "ab")]
    assert isinstance(stage.error, ChunkRejected)
    assert (stage.error.reason, stage.error.chunk) == ("bad", Chunk("!"))
    assert stage.feed([Chunk("f")]) == []


def test_a_refusal_of_what_was_held_ends_the_stream_before_the_next_chunk() -> None:
    stage, out = run([Chunk("a!"), Chunk("d", kind="reasoning")])
    assert shown(out) == [("text", "a")]
    assert isinstance(stage.error, ChunkRejected)


@pytest.mark.parametrize(("way", "expected"), [("skip", "abc"), ("replace", "ab-c")])
def test_refused_pieces_are_left_out_or_replaced_and_counted(way: Any, expected: str) -> None:
    stage, out = run([Chunk("ab!c")], on_reject=way, replacement="-")
    assert ("".join(c.content for c in out), stage.rejected) == (expected, 1)
    stage, out = run([Chunk("ab*c")], on_reject=way, replacement="-")
    assert ("".join(c.content for c in out), stage.rejected) == (expected, 1)


@pytest.mark.parametrize("text", ["?", "*x"])
def test_what_a_users_function_raises_ends_the_stream_as_it_is(text: str) -> None:
    stage, out = run([Chunk("ab"), Chunk(text), Chunk("c")])
    assert shown(out)[0] == ("text", "a")
    assert isinstance(stage.error, KeyError)
    assert stage.feed([Chunk("c")]) == []


def test_after_a_flush_the_editor_is_a_fresh_one() -> None:
    stage = Rewrite(Editor)
    assert stage.feed([Chunk("a")]) + stage.flush() + stage.feed([Chunk("b")]) == [
        Chunk("a"), Chunk("b"),
    ]  # fmt: skip


def test_bad_options_are_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="on_reject must be raise, skip or replace"):
        Rewrite(Held, on_reject="no")  # type: ignore[arg-type]
