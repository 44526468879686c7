"""Clusters of characters that a reader sees as one."""

from __future__ import annotations

import re
import sys

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from streamkit import text as text_folder
from streamkit.errors import ConfigurationError
from streamkit.text import new_buffer
from streamkit.text.graphemes import (
    _ALONE,
    _MARKS,
    Clusters,
    ExactClusters,
    Kind,
    is_break,
    kind_of,
)

WHOLE = {
    "an accent": "e\u0301",
    "many accents": "z\u0351\u036b\u0343\u036a\u0302",
    "CR LF": "\r\n",
    "skin tone": "\U0001f44d\U0001f3fd",
    "family": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "heart on fire": "\u2764\ufe0f\u200d\U0001f525",
    "nodding face, an arrow": "\U0001f642\u200d\u2194\ufe0f",
    "health worker": "\U0001f469\U0001f3fb\u200d\u2695\ufe0f",
    "rainbow flag": "\U0001f3f3\ufe0f\u200d\U0001f308",
    "flag": "\U0001f1e9\U0001f1ea",
    "Scotland": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "keycap": "1\ufe0f\u20e3",
    "Hangul jamo": "\u1112\u1161\u11ab",
    "Hangul, a syllable and a final": "\ud558\u11ab",
    "Devanagari conjunct": "\u0915\u094d\u0937\u093f",
    "Devanagari conjunct with an accent in it": "\u0915\u094d\u0301\u0937",
    "Bengali conjunct": "\u0995\u09cd\u09b7",
    "Khmer, two consonants": "\u1780\u17d2\u1798",
    "Thai vowel": "\u0e01\u0e33",
    "kana with a mark": "\u304b\u3099",
    "half-width kana with a mark": "\uff76\uff9e",
    "Arabic number sign": "\u0600\u0661",
}
BASES = ["a", "\u00e9", "1", " ", "\n", "\r", "\u3042", "\u6f22", "\u2192", "\x7f", "\u00ad"]


def clusters(text: str, *, exact: bool = False) -> list[str]:
    buffer = new_buffer("character", exact=exact)
    whole = buffer.feed(text)
    return [*whole, rest] if (rest := buffer.flush()) else whole


@pytest.mark.parametrize("what", WHOLE)
@pytest.mark.parametrize("exact", [False, True])
def test_what_a_reader_sees_as_one_is_never_torn(what: str, exact: bool) -> None:
    one = WHOLE[what]
    assert clusters(f"a{one}b{one}\u6f22", exact=exact) == ["a", one, "b", one, "\u6f22"]


def test_flags_are_pairs() -> None:
    d, e = "\U0001f1e9", "\U0001f1ea"
    assert clusters(d + e + d + e + d) == [d + e, d + e, d]


def test_a_joiner_joins_pictures_and_nothing_else() -> None:
    assert clusters("a\u200db") == ["a\u200d", "b"]
    assert clusters("\U0001f469\u200da") == ["\U0001f469\u200d", "a"]


def test_control_characters_stand_alone() -> None:
    assert clusters("a\n\u0301\r\r\n") == ["a", "\n", "\u0301", "\r", "\r\n"]


#: Pieces of everything above, in any order. No others: regex may know a newer Unicode than CPython.
MIXED = st.lists(st.sampled_from([*BASES, *"".join(WHOLE.values())]), max_size=12).map("".join)


@given(MIXED)
def test_our_clusters_end_only_where_exact_ones_do(text: str) -> None:
    assert set(ends(Clusters(), text)) <= set(ends(ExactClusters(), text))


def test_runs_are_of_characters_whose_class_lets_them_be() -> None:
    alone = {Kind.PLAIN, Kind.PICTURE, Kind.HANGUL_LV, Kind.HANGUL_LVT}
    every = "".join(map(chr, range(0x80, sys.maxunicode + 1)))
    assert {kind_of(char) for char in re.findall(f"[{_ALONE}]", every)} <= alone
    assert {kind_of(char) for char in re.findall(f"[{_MARKS}]", every)} == {Kind.EXTEND}


def test_runs_are_of_characters_that_are_clusters_by_the_book() -> None:
    for char in re.findall(f"[{_ALONE}]", "".join(map(chr, range(0x80, sys.maxunicode + 1)))):
        assert len(regex.findall(r"\X", f"a{char}{char}a")) == 4, f"U+{ord(char):04X}"


@given(MIXED)
def test_exact_clusters_are_those_of_regex(text: str) -> None:
    assert clusters(text, exact=True) == regex.findall(r"\X", text)


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=20))
def test_our_clusters_are_exact_for_latin_text(text: str) -> None:
    assert ends(Clusters(), text) == ends(ExactClusters(), text)


def ends(machine: Clusters | ExactClusters, text: str) -> list[int]:
    return [at for offset, char in enumerate(text) for at in [offset] if machine.ends(char)]


@given(MIXED.filter(lambda text: len(text) > 1), st.data())
def test_a_text_is_cut_only_where_a_cluster_ends(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(text) - 1))
    if is_break(text, at):
        assert at in ends(ExactClusters(), text)


def test_a_linker_joins_behind_other_marks_too() -> None:
    assert not is_break("\u0915\u094d\u0301\u0937", 3)
    assert is_break("\u0915\u0301\u0301\u0937", 3)


def test_a_cluster_of_many_marks_costs_no_more_than_its_length() -> None:
    machine = ExactClusters()
    for _ in range(1000):
        assert list(machine.ends("\u0301")) == []
    assert len(machine._open) == ExactClusters.BACK


def test_exact_clusters_name_the_extra_where_regex_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(ConfigurationError, match=r'pip install "llm-streamkit\[text\]"'):
        text_folder.new_buffer("character", exact=True)
    assert clusters("e\u0301") == ["e\u0301"]  # our own rules need nothing
