"""The user's own functions: what they see, what their answers mean, and what their errors do."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from streamkit.chunk import Chunk
from streamkit.errors import ChunkRejected, ConfigurationError
from streamkit.stages.basic import CONTENT, SKIP, Transform, Validate

OTHERS = ["usage", "gap", "retry", "done"]


def texts(chunks: list[Chunk]) -> list[str]:
    return [chunk.content for chunk in chunks]


def run(options: Any, *contents: str) -> tuple[Any, list[str]]:
    stage = options.stage()
    return stage, texts(stage.feed([Chunk(content) for content in contents]) + stage.flush())


@pytest.mark.parametrize("kind", sorted(CONTENT))
def test_both_see_every_chunk_of_content_empty_ones_too(kind: Any) -> None:
    chunk = Chunk(kind=kind, metadata={"x": 1})
    seen: list[Chunk] = []
    assert Transform(seen.append).stage().feed([chunk]) == [chunk]
    assert Validate(seen.append).stage().feed([chunk]) == [chunk]
    assert seen == [chunk, chunk]


@pytest.mark.parametrize("kind", OTHERS)
def test_reports_pass_both_by(kind: Any) -> None:
    chunk = Chunk(kind=kind)
    assert Transform(lambda _: SKIP).stage().feed([chunk]) == [chunk]
    assert Validate(lambda _: False).stage().feed([chunk]) == [chunk]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Chunk("b"), ["b"]),
        (None, ["a"]),
        (SKIP, []),
        (("ok", Chunk("b")), ["b"]),
        ("skip", []),
    ],
)
def test_what_a_transform_returns_is_what_goes_on(answer: Any, expected: list[str]) -> None:
    _, out = run(Transform(lambda _: answer), "a")
    assert out == expected


def test_a_transform_may_change_the_chunk_it_was_given() -> None:
    def louder(chunk: Chunk) -> None:
        chunk.content = chunk.content.upper()

    assert run(Transform(louder), "a")[1] == ["A"]


@pytest.mark.parametrize("answer", ["text", 5, ("ok",), ("error", "x"), True])
def test_a_transform_that_returns_something_else_ends_the_stream(answer: Any) -> None:
    stage, out = run(Transform(lambda _: answer), "a")
    assert out == []
    assert isinstance(stage.error, TypeError)


def fails_at(content: str, error: Exception) -> Any:
    def check(chunk: Chunk) -> None:
        if chunk.content == content:
            raise error

    return check


@pytest.mark.parametrize("kind", [Transform, Validate])
def test_what_it_raises_ends_the_stream_as_it_is_after_the_chunks_before(kind: Any) -> None:
    error = KeyError("mine")
    stage, out = run(kind(fails_at("b", error)), "a", "b", "c")
    assert out == ["a"]
    assert stage.error is error
    assert stage.feed([Chunk("d")]) == []


def test_what_a_transform_raises_is_skipped_and_counted_when_asked() -> None:
    stage, out = run(Transform(fails_at("b", ValueError()), on_error="skip"), "a", "b", "c", "b")
    assert (out, stage.error, stage.errors) == (["a", "c"], None, 2)


@pytest.mark.parametrize("kind", [Transform, Validate])
def test_an_interrupt_passes_through(kind: Any) -> None:
    def stopped(_: Chunk) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kind(stopped).stage().feed([Chunk("a")])


@pytest.mark.parametrize("verdict", [True, None, "ok"])
def test_a_chunk_that_may_pass_passes(verdict: Any) -> None:
    stage, out = run(Validate(lambda _: verdict), "a")
    assert (out, stage.error) == (["a"], None)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (False, "the validator said no"),
        ("too long", "too long"),
        (("error", "bad"), "bad"),
        (ValueError("odd"), "odd"),
        (ValueError(), "ValueError"),
    ],
)
def test_a_refusal_ends_the_stream_with_its_reason(verdict: Any, reason: str) -> None:
    stage = Validate(lambda chunk: chunk.content == "a" or verdict).stage()
    assert texts(stage.feed([Chunk("a"), Chunk("b"), Chunk("a")])) == ["a"]
    error = stage.error  # type: ignore[attr-defined]
    assert type(error) is ChunkRejected
    assert (error.reason, error.chunk.content) == (reason, "b")
    assert str(error) == f"a chunk of text was rejected: {reason}"
    assert error.__cause__ is (verdict if isinstance(verdict, Exception) else None)
    assert pickle.loads(pickle.dumps(error)).reason == reason


@pytest.mark.parametrize("verdict", [0, 1, [], ("no", "x"), Chunk()])
def test_what_is_no_verdict_ends_the_stream(verdict: Any) -> None:
    stage, out = run(Validate(lambda _: verdict), "a")
    assert out == []
    assert isinstance(stage.error, TypeError)


def test_refused_chunks_are_skipped_or_replaced_and_counted_when_asked() -> None:
    def check(chunk: Chunk) -> bool:
        return chunk.content != "b"

    stage, out = run(Validate(check, on_reject="skip"), "a", "b", "c")
    assert (out, stage.rejected, stage.error) == (["a", "c"], 1, None)
    stage, out = run(Validate(check, on_reject="replace", replacement="-"), "a", "b", "c")
    assert (out, stage.rejected, stage.error) == (["a", "-", "c"], 1, None)


def test_a_check_that_raises_has_refused_when_refusals_do_not_end_the_stream() -> None:
    stage, out = run(Validate(fails_at("b", ValueError("x")), on_reject="skip"), "a", "b", "c")
    assert (out, stage.rejected, stage.error) == (["a", "c"], 1, None)


def test_no_words_stand_for_a_tool_call_or_a_citation() -> None:
    stage = Validate(lambda _: False, on_reject="replace", replacement="-").stage()
    chunks = [Chunk("x", kind=kind) for kind in ("tool_call", "citation", "refusal")]  # type: ignore[arg-type]
    assert [(chunk.kind, chunk.content) for chunk in stage.feed(chunks)] == [("refusal", "-")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Transform(5), "transform must be callable, got 5"),  # type: ignore[arg-type]
        (lambda: Transform(print, on_error="no"), "on_error must be raise or skip, got 'no'"),  # type: ignore[arg-type]
        (lambda: Validate(5), "validate must be callable, got 5"),  # type: ignore[arg-type]
        (lambda: Validate(print, on_reject="no"), "must be raise, skip or replace, got 'no'"),  # type: ignore[arg-type]
        (lambda: Validate(print, replacement=5), "replacement must be a str, got 5"),  # type: ignore[arg-type]
    ],
)
def test_bad_options_are_refused_at_once(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_the_sentinel_shows_its_name() -> None:
    assert repr(SKIP) == "SKIP"
