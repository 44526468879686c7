"""Fences and citation marks are found however the deltas cut them, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, groupby, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.stages import format_code_blocks, inline_citations
from streamkit.stages.base import Stage
from streamkit.stages.markup import MAX_FENCE

PARTS = [
    "```",
    "`",
    "~~~",
    "~",
    "\n",
    "\r\n",
    " ",
    "    ",
    "py",
    "x = a[1]",
    "[",
    "1",
    "]",
    "[2]",
    "(",
]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=16).map("".join)
SOURCES = [{"url": "https://a.example/x y_(z)"}, {"url": "javascript:alert(1)"}, {"title": "t"}]


def cut(text: str, cuts: Iterable[int]) -> list[Chunk]:
    return [Chunk(text[a:b]) for a, b in pairwise([0, *sorted(cuts), len(text)])]


def through(stage: Stage, chunks: Iterable[Chunk]) -> list[Chunk]:
    return [out for chunk in chunks for out in stage.feed([chunk])] + stage.flush()


def runs(chunks: list[Chunk]) -> list[tuple[str, dict[str, Any]]]:
    """Text with the same metadata, joined."""
    chunks = [chunk for chunk in chunks if chunk.content]
    return [
        ("".join(chunk.content for chunk in group), metadata)
        for metadata, group in groupby(chunks, lambda chunk: chunk.metadata)
    ]


def marked(text: str, cuts: Iterable[int] = ()) -> list[tuple[str, str]]:
    out = runs(through(format_code_blocks().stage(), cut(text, cuts)))
    return [(part, next(iter(metadata), "")) for part, metadata in out]


def cited(text: str, cuts: Iterable[int] = ()) -> str:
    stage = inline_citations().stage()
    sources = [Chunk(kind="citation", metadata={"citation": source}) for source in SOURCES]
    out = stage.feed(sources) + through(stage, cut(text, cuts))
    return "".join(chunk.content for chunk in out)


# The laws.


@given(text=TEXTS, data=st.data())
def test_the_split_changes_no_block_and_no_text(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    out = runs(through(format_code_blocks().stage(), cut(text, cuts)))
    assert out == runs(through(format_code_blocks().stage(), cut(text, [])))
    assert "".join(part for part, _ in out) == text


@given(text=TEXTS, data=st.data())
def test_the_split_changes_no_citation(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert cited(text, cuts) == cited(text)


@given(text=TEXTS)
def test_marks_without_sources_stay_as_they_are(text: str) -> None:
    out = through(inline_citations().stage(), map(Chunk, text))
    assert "".join(chunk.content for chunk in out) == text


def test_every_two_cut_split_of_an_answer_reads_the_same() -> None:
    text = "A[1].\n\n```py\nx[1]\n```\nB[1] `y[1]`"
    for cuts in combinations(range(len(text) + 1), 2):
        assert marked(text, cuts) == marked(text), cuts
        assert cited(text, cuts) == cited(text), cuts


# Fences, case by case.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```\na\n```", [("```\n", "fence"), ("a\n", "code"), ("```", "fence")]),
        ("  ~~~ py\r\na\r\n~~~\r\nb",
         [("  ~~~ py\r\n", "fence"), ("a\r\n", "code"), ("~~~\r\n", "fence"), ("b", "")]),
        ("````\n```\n````\n", [("````\n", "fence"), ("```\n", "code"), ("````\n", "fence")]),
        ("```\n~~~\n``` x\n", [("```\n", "fence"), ("~~~\n``` x\n", "code")]),
        ("a ```\n", [("a ```\n", "")]),
        ("```a`b\n", [("```a`b\n", "")]),
        ("~~~a`b\n", [("~~~a`b\n", "fence")]),
        ("    ```\n", [("    ```\n", "")]),
        ("``\n``", [("``\n``", "")]),
        ("```" + "x" * MAX_FENCE + "\na", [("```" + "x" * MAX_FENCE + "\na", "")]),
    ],
)  # fmt: skip
def test_a_fence_is_a_line_of_its_own(text: str, expected: list[tuple[str, str]]) -> None:
    assert marked(text) == expected
    assert marked(text, range(len(text))) == expected


def test_a_fence_says_its_language_and_which_block_it_is_of() -> None:
    out = through(format_code_blocks().stage(), [Chunk("```\n```\n~~~ js x\na\n~~~\n")])
    fences = [chunk.metadata["fence"] for chunk in out if "fence" in chunk.metadata]
    assert [(f["language"], f["block"], f["opens"]) for f in fences] == [
        ("", 1, True), ("", 1, False), ("js", 2, True), ("js", 2, False),
    ]  # fmt: skip
    (code,) = [chunk for chunk in out if "code" in chunk.metadata]
    assert code.metadata["code"] == {"language": "js", "block": 2}


def test_a_format_shows_fences_in_another_way() -> None:
    def format(fence: Chunk) -> str:
        return "<code>" if fence.metadata["fence"]["opens"] else "</code>"

    stage = format_code_blocks(format).stage()
    out = through(stage, map(Chunk, "a\n```py\nb\n```\nc"))
    assert "".join(chunk.content for chunk in out) == "a\n<code>b\n</code>c"


@pytest.mark.parametrize("languages", ["js", ["js"], lambda language: language == "js"])
def test_blocks_of_other_languages_are_text(languages: Any) -> None:
    chunks = cut("```py\n~~~\n```\n```JS\nb\n```\n", [1, 3, 9, 20])
    out = runs(through(format_code_blocks(languages=languages).stage(), chunks))
    assert [(text, next(iter(about), "")) for text, about in out] == [
        ("```py\n~~~\n```\n", ""), ("```JS\n", "fence"), ("b\n", "code"), ("```\n", "fence"),
    ]  # fmt: skip
    assert out[2][1]["code"] == {"language": "JS", "block": 1}


def test_an_option_that_is_none_is_refused() -> None:
    for bad in ({"languages": [""]}, {"languages": 5}):
        with pytest.raises(ConfigurationError, match="languages must be"):
            format_code_blocks(**bad)  # type: ignore[arg-type]


def test_text_that_can_be_no_fence_is_never_late() -> None:
    stage = format_code_blocks().stage()
    for text in ("Hi", " `", "a`\n", "\n", "x\n  y"):
        assert [chunk.content for chunk in stage.feed([Chunk(text)])] == [text]
    assert stage.feed([Chunk("\n``")])[0].content == "\n"


# Citations, case by case.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a[1].", "a[1](https://a.example/x%20y_%28z%29)."),
        ("[1][1]", "[1](https://a.example/x%20y_%28z%29)" * 2),
        ("[1", "[1"),
        ("[1](u) [0] [01] [4] [2] [3] [a]", "[1](u) [0] [01] [4] [2] [3] [a]"),
        ("`a[1]` [4]", "`a[1]` [4]"),
        ("``a`[1]`` b[1]", "``a`[1]`` b[1](https://a.example/x%20y_%28z%29)"),
        ("```\na[1]\n```\n", "```\na[1]\n```\n"),
        ("a ` b\n[1]", "a ` b\n[1](https://a.example/x%20y_%28z%29)"),
    ],
)
def test_a_mark_becomes_a_link_where_its_source_is_known(text: str, expected: str) -> None:
    assert cited(text) == expected


def test_a_source_of_the_same_read_is_known() -> None:
    stage = inline_citations(lambda number, source: f"<{number}:{source['url']}>").stage()
    source = Chunk(kind="citation", metadata={"citation": {"url": "u"}})
    out = stage.feed([Chunk("a[1] "), source]) + stage.flush() + stage.feed([Chunk("b[1] ")])
    assert "".join(chunk.content for chunk in out) == "a<1:u> b<1:u> "


def test_sources_are_counted_for_each_stream_alone() -> None:
    maker = inline_citations(lambda number, source: "x")
    first, second = maker.stage(), maker.stage()
    first.feed([Chunk(kind="citation", metadata={"citation": {}})])
    assert through(first, [Chunk("[1]")]) == [Chunk("x")]
    assert through(second, [Chunk("[1]")]) == [Chunk("[1]")]


@pytest.mark.parametrize("make", [inline_citations, format_code_blocks])
def test_a_format_that_cannot_be_called_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ConfigurationError, match="format must be callable, got 5"):
        make(5)


def test_text_in_single_characters_is_read_in_linear_time() -> None:
    text = "[1]`" * 20_000
    out = through(inline_citations().stage(), map(Chunk, text))
    assert "".join(chunk.content for chunk in out) == text


def test_a_format_of_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="format must be callable, got None"):
        inline_citations(None)  # type: ignore[arg-type]
