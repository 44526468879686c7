"""Characters, words, tokens, lines, paragraphs: where each of them ends."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.text import new_buffer


def units(unit: str, text: str, **options: Any) -> list[str]:
    buffer = new_buffer(unit, **options)
    whole = buffer.feed(text)
    return [*whole, rest] if (rest := buffer.flush()) else whole


def test_the_words_of_the_seeds_example() -> None:
    buffer = new_buffer("word", strip=True)
    assert buffer.add("Hel") == ""
    assert buffer.add("lo ") == "Hello "
    assert buffer.add("world!") == ""
    assert buffer.flush() == "world!"


def test_a_word_leaves_with_its_first_blank_and_further_blanks_lead_the_next() -> None:
    assert units("word", "a  b\n\n\tc") == ["a ", " b\n", "\n\tc"]


def test_cr_and_lf_are_one_blank_also_when_they_come_apart() -> None:
    assert units("word", "a\r\nb\rc") == ["a\r\n", "b\r", "c"]
    buffer = new_buffer("word")
    assert [buffer.feed(char) for char in "a\r\nb"] == [[], [], ["a\r\n"], []]


def test_stripped_words_keep_one_blank_and_those_between_them() -> None:
    assert units("word", "  a   b c", strip=True) == ["a ", "b ", "c"]
    assert new_buffer("word", strip=True).add("  a   b ") == "a   b "


def test_characters_come_one_by_one_the_last_when_the_next_shows_it_is_over() -> None:
    buffer = new_buffer("character")
    assert buffer.feed("ab") == ["a"]
    assert buffer.feed("") == []
    assert buffer.feed("c") == ["b"]
    assert buffer.flush() == "c"


def test_a_character_keeps_marks_that_come_later() -> None:
    buffer = new_buffer("character")
    assert [buffer.feed(char) for char in "ae\u0301\u0302x"] == [
        [],
        ["a"],
        [],
        [],
        ["e\u0301\u0302"],
    ]


def test_strip_leaves_characters_alone() -> None:
    assert units("character", "a b\n", strip=True) == ["a", " ", "b", "\n"]


def test_a_line_ends_with_its_line_feed() -> None:
    assert units("line", "a\r\n\nb\rc\nd") == ["a\r\n", "\n", "b\rc\n", "d"]


def test_stripped_lines_keep_their_indent_and_empty_ones_are_left_out() -> None:
    assert units("line", "def f():\n    pass  \r\n\n  \nx", strip=True) == [
        "def f():",
        "    pass",
        "x",
    ]


def test_a_paragraph_ends_with_the_first_empty_line() -> None:
    assert units("paragraph", "One\ntwo.\n\n\nThree.\n \t\nFour") == [
        "One\ntwo.\n\n",
        "\nThree.\n \t\n",
        "Four",
    ]


def test_empty_lines_before_a_paragraph_end_none() -> None:
    assert units("paragraph", "\n\n\nOne\n\n") == ["\n\n\nOne\n\n"]
    assert units("paragraph", "\n\n\nOne\r\n\r\nTwo", strip=True) == ["One", "Two"]


def test_tokens_come_so_many_at_a_time() -> None:
    buffer = new_buffer("token", threshold=5)
    adds = [buffer.add(word + " ") for word in ["one", "two", "three", "four", "five", "six"]]
    assert adds == ["", "", "", "", "one two three four five ", ""]
    assert buffer.flush() == "six "


def test_five_tokens_are_the_default() -> None:
    assert units("token", "a b c d e f ") == ["a b c d e ", "f "]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, world!", ["Hello", ", ", "world", "!"]),
        ("x1=y_2+3.5", ["x1", "=", "y_2", "+", "3", ".", "5"]),
        ("wait... what?!", ["wait", "... ", "what", "?!"]),
        ("漢字 かな。", ["漢", "字 ", "か", "な", "。"]),
        ("か\u3099x", ["か\u3099", "x"]),
        ("abc漢def", ["abc", "漢", "def"]),
        ("1\ufe0f\u20e3 #\ufe0f\u20e3 ", ["1\ufe0f\u20e3 ", "#\ufe0f\u20e3 "]),
        ("नमस्ते e\u0301t\u00e9", ["नमस्ते ", "e\u0301té"]),
        ("a  b\r\nc\rd", ["a ", " b\r\n", "c\r", "d"]),
        ("   ", ["   "]),
    ],
)
def test_a_token_is_a_run_of_letters_or_signs_or_one_ideograph(
    text: str, tokens: list[str]
) -> None:
    assert units("token", text, threshold=1) == tokens


def test_text_without_a_boundary_comes_in_pieces_of_max_hold() -> None:
    buffer = new_buffer("word", max_hold=4)
    got = [buffer.feed(char) for char in "abcdefghij"]
    assert got == [[], [], [], [], ["abcd"], [], [], [], ["efgh"], []]
    assert buffer.flush() == "ij"


def test_max_hold_cuts_after_a_blank_if_the_second_half_has_one() -> None:
    assert units("sentence", "one two three four", max_hold=10) == ["one two ", "three four"]
    assert units("sentence", "one twothreefour", max_hold=10) == ["one twothr", "eefour"]


def test_max_hold_does_not_tear_what_a_reader_sees_as_one_character() -> None:
    assert units("line", "abce\u0301d", max_hold=4) == ["abc", "e\u0301d"]
    assert units("line", "ab\U0001f469\u200d\U0001f52c", max_hold=4) == [
        "ab",
        "\U0001f469\u200d\U0001f52c",
    ]
    assert units("line", "abc\r\nd", max_hold=4) == ["abc", "\r\n", "d"]


def test_max_hold_wins_where_one_character_is_longer() -> None:
    assert units("character", "e" + "\u0301" * 5, max_hold=3) == ["e\u0301\u0301", "\u0301" * 3]


def test_released_text_does_not_come_again_and_its_unit_goes_on() -> None:
    buffer = new_buffer("word")
    buffer.feed("Hel")
    assert (buffer.release(), buffer.release()) == ("Hel", "")
    assert buffer.feed("lo wor") == ["lo "]
    assert buffer.flush() == "wor"


def test_a_unit_whose_end_shows_after_its_release_gives_nothing_more() -> None:
    buffer = new_buffer("sentence")
    buffer.feed("Yes. ")
    assert buffer.release() == "Yes. "
    assert buffer.feed("No") == []
    assert buffer.flush() == "No"


@pytest.mark.parametrize(
    ("unit", "option"),
    [("word", "strip"), ("sentence", "fences"), ("character", "exact")],
)
def test_a_switch_is_true_or_false(unit: str, option: str) -> None:
    for value in ("no", 1):
        options: Any = {option: value}
        with pytest.raises(ConfigurationError, match=f"{option} must be True or False, got"):
            new_buffer(unit, **options)


def test_a_torn_character_makes_the_same_pieces_in_any_split() -> None:
    text = "a\u200d\u0301\u0915\u0301"
    whole = units("word", text, max_hold=2)
    buffer = new_buffer("word", max_hold=2)
    by_one = [piece for char in text for piece in buffer.feed(char)] + [buffer.flush()]
    assert by_one == whole and "".join(whole) == text
