"""Joining the text of a new attempt to the old: no duplicate, no gap, and no guess."""

from __future__ import annotations

from itertools import pairwise
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.recovery.splice import LEAST, RETOLD, WINDOW, Echo, Joint, Known

TEXT = (
    "Rivers meander because the outer bank erodes faster than the inner one.\n\n"
    "Silt settles where the water is slow, so each bend grows. One day the neck of the loop is "
    "so narrow that a flood breaks through it: what was a bend becomes a lake."
)


def join(joint: Joint | Known | Echo, text: str, size: int = 3) -> tuple[str | None, int, str]:
    """How it was joined, what was left out, what is shown."""
    pieces = [joint.feed(text[at : at + size]) for at in range(0, len(text), size)]
    shown = "".join([*pieces, joint.flush()])
    return joint.how, joint.trimmed, shown


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_text_that_goes_on_faithfully_is_joined_at_every_cut(size: int) -> None:
    for cut in range(len(TEXT)):
        joint = Joint(TEXT[:cut])
        _, trimmed, shown = join(joint, TEXT[cut:], size)
        assert (joint.how, trimmed, TEXT[:cut] + shown) == ("appended", 0, TEXT)


@pytest.mark.parametrize("repeated", [LEAST, 21, 57, 128, 200])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_what_the_model_repeats_verbatim_is_left_out_at_every_cut(repeated: int, size: int) -> None:
    for cut in range(repeated, len(TEXT)):
        joint = Joint(TEXT[:cut])
        _, trimmed, shown = join(joint, TEXT[cut - repeated :], size)
        assert (joint.how, trimmed, TEXT[:cut] + shown) == ("overlap", repeated, TEXT)


def test_a_model_that_begins_all_over_with_the_same_words_is_joined() -> None:
    for cut in range(LEAST, len(TEXT)):
        joint = Joint(TEXT[:cut])
        _, trimmed, shown = join(joint, TEXT)
        assert (joint.how, trimmed, TEXT[:cut] + shown) == ("overlap", cut, TEXT)


def test_a_repetition_under_twenty_characters_is_no_repetition() -> None:
    joint = Joint("the bank erodes")
    assert join(joint, "the bank erodes on") == ("appended", 0, "the bank erodes on")


def test_a_model_that_begins_all_over_in_other_words_has_diverged_and_all_of_it_shows() -> None:
    joint, again = Joint(TEXT), TEXT[:40] + "... no, let me think about it anew."
    assert join(joint, again)[2] == again
    assert (joint.how, joint.trimmed) == ("diverged", 0)


def test_a_model_that_retells_an_earlier_place_in_other_words_has_diverged() -> None:
    retold = TEXT[80 : 80 + RETOLD] + " and so on"
    joint = Joint(TEXT)
    assert join(joint, retold)[2] == retold
    assert joint.how == "diverged"


def test_a_turn_of_phrase_that_comes_back_is_no_divergence() -> None:
    phrase = TEXT[80:110]
    joint = Joint(TEXT)
    assert join(joint, phrase + " is what I mean")[2] == phrase + " is what I mean"
    assert joint.how == "appended"


def test_a_model_that_stops_in_the_middle_of_a_repetition_loses_nothing() -> None:
    joint = Joint(TEXT)
    assert join(joint, TEXT[100:150])[2] == TEXT[100:150]
    assert joint.how == "appended"


@pytest.mark.parametrize(
    ("old", "new", "whole"),
    [
        ("one two ", " three", "one two three"),
        ("one two", " three", "one two three"),
        ("one two ", "three", "one two three"),
        ("if x:\n    ", "    y()", "if x:\n        y()"),  # an indentation is not one blank
        ("one.\n", "\ntwo", "one.\n\ntwo"),
        ("one  ", " two", "one   two"),
    ],
)
def test_a_single_blank_on_both_sides_stands_once(old: str, new: str, whole: str) -> None:
    assert old + join(Joint(old), new)[2] == whole


def test_nothing_is_held_that_cannot_be_a_repetition() -> None:
    joint = Joint(TEXT)
    assert joint.feed("Quite") == "Quite"
    assert joint.feed(" another story") == " another story"


def test_a_long_old_text_is_searched_at_its_end_and_at_its_start() -> None:
    filler = "".join(f"{n:07d}" for n in range(WINDOW))
    old = TEXT + filler + TEXT[:60]
    assert join(Joint(old), TEXT[:90])[2] == TEXT[60:90]
    assert join(Joint(old), old + "END", 4096)[2] == "END"


@given(old=st.text("ab \n", max_size=80), new=st.text("ab \n", max_size=120), data=st.data())
def test_what_is_shown_is_the_end_of_the_new_text_and_the_split_changes_nothing(
    old: str, new: str, data: st.DataObject
) -> None:
    whole, split = Joint(old), Joint(old)
    shown = whole.feed(new) + whole.flush()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(new)), max_size=8)))
    edges = [0, *cuts, len(new)]
    pieces = [split.feed(new[a:b]) for a, b in pairwise(edges)]
    assert "".join(pieces) + split.flush() == shown
    assert (split.how, split.trimmed) == (whole.how, whole.trimmed)
    assert shown == new[whole.trimmed :]
    if whole.how == "overlap":
        assert old.endswith(new[: whole.trimmed]) and whole.trimmed >= LEAST


# -- where the service went on with its own text


def test_after_a_prefill_nothing_is_left_out() -> None:
    known = Known("prefill")
    assert join(known, TEXT) == ("prefill", 0, TEXT)


@pytest.mark.parametrize(
    ("blanks", "new", "shown"),
    [
        ("\n\n", "\n\nNext", "Next"),
        ("\n\n", "\nNext", "Next"),
        ("\n\n", "Next", "Next"),
        (" ", "  next", " next"),
        ("\n ", "\n", ""),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_blanks_the_service_was_not_shown_stand_once(
    blanks: str, new: str, shown: str, size: int
) -> None:
    assert join(Known("prefill", blanks), new, size)[2] == shown


@pytest.mark.parametrize("old", ["Yes", TEXT[:15], TEXT[:150]])
@pytest.mark.parametrize("size", [1, 4, 1000])
def test_a_service_that_echoes_the_prefill_is_heard_once(old: str, size: int) -> None:
    rest = TEXT[len(old) :]
    assert join(Echo(old), old + rest, size) == ("overlap", len(old), rest)
    assert join(Echo(old), rest, size) == ("prefill", 0, rest)
    assert join(Echo(old), old[:-1] + "?", size) == ("prefill", 0, old[:-1] + "?")


@pytest.mark.parametrize("make", [Joint, Echo])
def test_a_long_repetition_costs_no_more_for_each_character(make: type[Joint] | type[Echo]) -> None:
    def cost(length: int) -> float:
        old = "".join(chr(97 + n * n % 23) + str(n) for n in range(length // 6))
        began = process_time()
        assert join(make(old), old + " more", 4)[2] == " more"
        return process_time() - began

    cost(50_000)
    assert cost(800_000) < 40 * cost(50_000) + 0.2  # 16 times the text; 256 times if it were square


def test_two_blanks_are_kept_in_a_text_that_sets_them_elsewhere() -> None:
    text = "2.  3\n3.  5\n4.  7"
    for cut in range(text.index("5"), len(text)):
        joint = Joint(text[:cut])
        assert text[:cut] + join(joint, text[cut:])[2] == text
    assert join(Joint("def f():\n    return "), " 1") == ("appended", 1, "1")
