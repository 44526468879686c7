"""Words, paragraphs, marks and sources are judged as what they are, however the deltas cut them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.chunk import Chunk
from streamkit.errors import ChunkRejected, ConfigurationError
from streamkit.stages import (
    TEMPLATE_MARKS,
    content_moderation,
    validate_local,
    validate_quality,
    validate_sources,
)
from streamkit.stages.words import MAX_GAP, MAX_WORD

WORDS = ["hate", "kill all", "kill all of", "é"]
TEXTS = st.lists(
    st.sampled_from(["hate", "kill", "all", "of", "ha", "te", " ", ", ", "\n", "\n\n", "w", "_",
                     "é", "e\u0301", "仇恨", "\u200b", "\u0301", "." * MAX_GAP, "x" * MAX_WORD]),
    max_size=12,
).map("".join)  # fmt: skip


def cut(text: str, cuts: Iterable[int]) -> list[Chunk]:
    return [Chunk(text[a:b]) for a, b in pairwise([0, *sorted(cuts), len(text)])]


def run(maker: Any, chunks: Iterable[Chunk]) -> tuple[str, Any]:
    stage = maker.stage()
    out = [out for chunk in chunks for out in stage.feed([chunk])] + stage.flush()
    return "".join(chunk.content for chunk in out), stage


def starred(text: str, words: Any = None, cuts: Iterable[int] = ()) -> str:
    return run(content_moderation(words or WORDS, on_reject="replace"), cut(text, cuts))[0]


# Words.


@given(text=TEXTS, data=st.data())
def test_the_split_changes_no_word(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    assert starred(text, cuts=cuts) == starred(text)
    assert starred(text, ["nothing"], cuts) == text
    words: list[str] = []
    starred(text, lambda word: words.append(word), cuts)
    whole: list[str] = []
    starred(text, lambda word: whole.append(word))
    assert words == whole


@given(text=st.lists(st.sampled_from(["hate", "ha", "w", " ", "."]), max_size=10).map("".join))
def test_a_word_is_what_stands_between_other_characters(text: str) -> None:
    assert starred(text) == re.sub(r"\bhate\b", "***", text)


def test_every_two_cut_split_of_an_answer_reads_the_same() -> None:
    text = "Whatever: kill all; hate. KILL, all of"
    for cuts in combinations(range(len(text) + 1), 2):
        assert starred(text, cuts=cuts) == "Whatever: ***; ***. ***", cuts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("whatever hated chate", "whatever hated chate"),
        ("HATE \uff28\uff21\uff34\uff25 _hate_ hate-x", "*** *** _***_ ***-x"),
        ("kill\n all kill" + "." * (MAX_GAP + 1) + "all", "*** kill" + "." * (MAX_GAP + 1) + "all"),
        ("kill alloy kill", "kill alloy kill"),
        ("e\u0301 \u00c9", "*** ***"),
        ("hate" * MAX_WORD, "hate" * MAX_WORD),
    ],
)
def test_what_is_a_word_of_the_list(text: str, expected: str) -> None:
    assert starred(text) == expected
    assert starred(text, cuts=range(len(text))) == expected


def test_a_script_without_blanks_is_read_character_by_character() -> None:
    assert starred("我仇恨你", ["仇恨"]) == "我***你"
    assert starred("ฉันเกลียดคุณ", ["เกลียด"]) == "ฉัน***คุณ"


def test_vowel_signs_are_part_of_their_word() -> None:
    assert starred("हद हिन्दी हिन्दीभाषी", ["हिन्दी"]) == "हद *** हिन्दीभाषी"


def test_what_is_not_seen_hides_no_word() -> None:
    text = "ha\u00adte, h\u200ba\u2060te\ufeff what\u00adever"
    assert starred(text, ["hate"]) == "***, *** what\u00adever"
    assert starred(text, ["hate"], range(len(text))) == "***, *** what\u00adever"


def test_only_the_last_word_is_held() -> None:
    stage = content_moderation(["hate"]).stage()
    assert [c.content for c in stage.feed([Chunk("Some wo")])] == ["Some "]
    assert [c.content for c in stage.feed([Chunk("rds. ")])] == ["words. "]


def test_a_run_too_long_for_a_word_is_not_held() -> None:
    stage = content_moderation(["hate"]).stage()
    out = stage.feed([Chunk("x" * (MAX_WORD + 1))]) + stage.feed([Chunk("hate")])
    assert "".join(c.content for c in out) == "x" * (MAX_WORD + 1) + "hate"


def test_a_refused_word_ends_the_stream_after_the_text_before_it() -> None:
    text, stage = run(content_moderation(["hate"]), [Chunk("I ha"), Chunk("te it"), Chunk("!")])
    assert text == "I "
    assert isinstance(stage.error, ChunkRejected)
    assert stage.error.reason == "'hate' is on the list"
    assert stage.error.chunk is not None
    assert stage.error.chunk.content == "hate"


def test_a_function_judges_each_word() -> None:
    text, stage = run(
        content_moderation(lambda word: len(word) < 4, on_reject="skip"), [Chunk("a long day")]
    )
    assert (text, stage.rejected) == ("a  day", 1)


@pytest.mark.parametrize("words", [["!"], [""], 5, [5]])
def test_an_entry_without_a_word_is_refused_at_once(words: Any) -> None:
    with pytest.raises(ConfigurationError, match="words must"):
        content_moderation(words)


def test_a_check_that_cannot_be_called_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="check must be callable, got 5"):
        validate_quality(5)  # type: ignore[arg-type]


def test_a_bad_option_is_refused_at_once() -> None:
    for make in (content_moderation, validate_local, validate_sources):
        with pytest.raises(ConfigurationError, match="on_reject must be"):
            make(["a"], on_reject="no")  # type: ignore[operator]


def test_long_text_in_single_characters_is_read_in_linear_time() -> None:
    text = "kill all " * 8_000 + "x" * 30_000
    assert starred(text, ["kill all of"], range(len(text))) == text


# Paragraphs.


@given(text=TEXTS, data=st.data())
def test_the_split_changes_no_paragraph(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    seen: list[str] = []
    assert run(validate_quality(seen.append), cut(text, cuts))[0] == text
    whole: list[str] = []
    run(validate_quality(whole.append), [Chunk(text)])
    assert seen == whole
    assert all(paragraph.strip() for paragraph in seen)
    refused = run(validate_quality(lambda p: "hate" not in p), cut(text, cuts))
    again = run(validate_quality(lambda p: "hate" not in p), [Chunk(text)])
    assert refused[0] == again[0]


def test_blank_lines_are_no_paragraphs() -> None:
    seen: list[str] = []
    run(validate_quality(seen.append), [Chunk("\n\na\nb\n \r\n"), Chunk("\n\n c\n\n\n\n")])
    assert seen == ["a\nb", "c"]


def test_a_refused_paragraph_is_the_last_that_is_delivered() -> None:
    text, stage = run(validate_quality(lambda p: p != "b"), [Chunk("a\n\nb\n"), Chunk("\nc\n\n")])
    assert text == "a\n\nb\n\n"
    assert isinstance(stage.error, ChunkRejected)
    assert stage.error.chunk is not None
    assert stage.error.chunk.content == "b"


def test_a_check_that_raises_ends_the_stream_as_it_is() -> None:
    text, stage = run(validate_quality(lambda p: 1 / 0), [Chunk("a\n\nb")])
    assert text == "a\n\n"
    assert isinstance(stage.error, ZeroDivisionError)


def test_without_a_check_an_answer_that_is_stuck_is_refused() -> None:
    same = "The same words once more.\n\n"
    assert run(validate_quality(), [Chunk(same * 2 + "x\n\n" + same * 2)])[1].error is None
    assert run(validate_quality(), [Chunk("La la!\n\n" * 9)])[1].error is None
    text, stage = run(validate_quality(), [Chunk(same * 5)])
    assert text == same * 3
    assert stage.error.reason == "the same paragraph came 3 times in a row"


# Marks of templates.


@given(text=st.text("<|>im_end/s a", max_size=20), data=st.data())
def test_the_split_changes_no_mark(text: str, data: st.DataObject) -> None:
    text = text + data.draw(st.sampled_from(TEMPLATE_MARKS)) + text
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    maker = validate_local(on_reject="skip")
    assert run(maker, cut(text, cuts))[0] == run(maker, [Chunk(text)])[0]


@pytest.mark.parametrize("mark", TEMPLATE_MARKS)
def test_a_mark_of_a_template_is_refused_however_it_is_cut(mark: str) -> None:
    text, stage = run(validate_local(), map(Chunk, f"Hi < |{mark}x"))
    assert text == "Hi < |"
    assert stage.error.reason == f"{mark!r} is no part of an answer"
    assert run(validate_local(["\t"]), [Chunk(mark)])[0] == mark


# Sources.


@pytest.mark.parametrize(
    ("source", "passes"),
    [
        ({"url": "https://example.org/a"}, True),
        ({"url": "https://EN.example.org."}, True),
        ({"uri": "http://a.test:80/"}, True),
        ({"url": "https://notexample.org/"}, False),
        ({"url": "https://example.org.evil.test/"}, False),
        ({"url": "https://evil.test/example.org"}, False),
        ({"url": "https://[::1"}, False),
        ({"url": 5}, False),
        ({"title": "t"}, False),
    ],
)
def test_a_source_is_of_a_domain_or_below_it(source: Any, passes: bool) -> None:
    stage: Any = validate_sources(["Example.org", "a.test"]).stage()
    chunk = Chunk(kind="citation", metadata={"citation": source})
    assert stage.feed([chunk]) == ([chunk] if passes else [])
    assert (stage.error is None) == passes


def test_a_function_judges_each_source_and_nothing_else() -> None:
    stage = validate_sources(lambda source: "title" in source, on_reject="skip").stage()
    good = Chunk(kind="citation", metadata={"citation": {"title": "t"}})
    bad = Chunk(kind="citation", metadata={"citation": {}})
    assert stage.feed([Chunk("a"), bad, good]) == [Chunk("a"), good]
