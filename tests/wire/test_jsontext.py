"""parse: JSON text -> values, with bounds and one kind of error."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import LimitExceeded, ProtocolError
from streamkit.wire import parse
from streamkit.wire.jsontext import MAX_DEPTH, MAX_VALUES, encode, is_whole

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


def broken(text: str) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        parse(text)
    return caught.value


@given(VALUES, st.text(" \t\r\n"), st.booleans())
def test_what_json_dumps_writes_is_read_back(value: Any, blank: str, ascii_only: bool) -> None:
    assert parse(blank + json.dumps(value, ensure_ascii=ascii_only) + blank) == value


@given(st.text('[]{}",:\\ud83 1e-+.ntfaluNI\n\t\u00a0\ufeff', max_size=40))
def test_any_text_gives_what_json_gives_or_a_protocol_error(text: str) -> None:
    try:
        expected = json.loads(text, parse_constant=lambda _: None)
    except ValueError:
        broken(text)
    else:
        assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an event must be JSON: expecting value at character 0"),
        ("  [1] x ", "an event must be JSON: extra data at character 3"),
        ('{"a": }', "an event must be JSON: expecting value at character 6"),
        ('"a\nb"', "an event must be JSON: invalid control character at at character 2"),
        ("\ufeff{}", "an event must be JSON: expecting value at character 0"),
        ("\u00a0{}", "an event must be JSON: expecting value at character 0"),
        ("[DONE]", "an event must be JSON: expecting value at character 1"),
    ],
)
def test_what_is_not_json_is_named_with_its_place(text: str, message: str) -> None:
    error = broken(text)
    assert str(error) == message
    assert error.data == text.strip(" \n").encode()[:200]


def test_an_error_keeps_200_bytes_and_no_context() -> None:
    for text in ("x" * 1_000_000, "[" * 1_000_000, "ü" * 1000, '"\ud83d', "[" * 300 + "]" * 300):
        error = broken(text)
        assert error.__context__ is None and error.__cause__ is None
        assert error.data == text.encode("utf-8", "replace")[:200]
        assert len(str(error)) < 100


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [("[", "]", 1), ('{"a":', "}", 1), ('[{"]}}":', "}]", 2), ('{"\\"[[":0,"a":[', "]}", 2)],
)
@pytest.mark.parametrize("inner", ["0", '"[[["', "null"])
def test_nesting_is_allowed_up_to_256_levels(
    opening: str, closing: str, levels: int, inner: str
) -> None:
    n = MAX_DEPTH // levels
    parse(opening * n + inner + closing * n)
    for more in ("[]", "{}", f"[{inner}]", f'{{"a":{inner}}}'):
        error = broken(opening * n + more + closing * n)
        assert str(error) == "JSON may be nested 256 levels deep, got more"


def test_many_shallow_values_and_brackets_in_strings_are_not_deep() -> None:
    value = [{"a": [1], "b": "[[[[{{{{" * 50}] * 500
    assert parse(json.dumps(value)) == value
    assert parse(json.dumps("[" * 1000)) == "[" * 1000


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 100_000])
def test_nesting_beyond_the_stack_is_a_protocol_error(text: str) -> None:
    assert broken(text).data == text[:200].encode()


def test_nan_and_infinity_become_none() -> None:
    assert parse("[NaN, Infinity, -Infinity]") == [None, None, None]


def test_integers_are_exact_and_those_python_refuses_become_none() -> None:
    assert parse(str(10**400 + 1)) == 10**400 + 1
    assert parse("-" + "9" * 4000) == -(10**4000) + 1
    if not hasattr(sys, "get_int_max_str_digits"):  # before 3.10.7 Python refuses none
        return
    long = "1" * (sys.get_int_max_str_digits() + 1)
    assert parse(f'{{"text": "kept", "n": [{long}, -{long}, 7]}}') == {
        "text": "kept",
        "n": [None, None, 7],
    }
    assert "extra data" in str(broken(f"[{long}] x"))
    assert "expecting value" in str(broken(f"[{long}, x]"))


def test_duplicate_keys_the_last_wins() -> None:
    assert parse('{"a": 1, "a": 2}') == {"a": 2}


def test_surrogates_are_left_to_the_joiner() -> None:
    assert parse(r'"\ud83d"') == "\ud83d"
    assert parse(r'"\ud83d\ude00"') == "😀"


def test_a_float_out_of_range_is_what_json_makes_of_it() -> None:
    assert parse("1e999") == math.inf


@pytest.mark.parametrize("value", ["[]", "{}", "0", '"a"', '{"a":0}'])
def test_the_number_of_values_is_bounded_and_not_their_size(value: str) -> None:
    parse("[" + ",".join([value] * (MAX_VALUES // 3)) + "]")
    with pytest.raises(LimitExceeded, match="JSON may hold at most 250000 values, got") as caught:
        parse("[" + ",".join([value] * (MAX_VALUES + 1)) + "]")
    assert caught.value.limit == MAX_VALUES < caught.value.observed
    assert len(caught.value.data) == 200
    assert parse('"' + "A" * 16_000_000 + '"') == "A" * 16_000_000


def test_half_a_megabyte_of_search_results_is_not_too_many() -> None:
    row = {"title": "A title, of six words, say", "url": "https://h/a,b", "content": "lorem, " * 60}
    text = json.dumps({"choices": [{"delta": {"executed_tools": [row] * 1000}}]})
    assert len(text) > 500_000
    assert len(parse(text)["choices"][0]["delta"]["executed_tools"]) == 1000


@given(VALUES)
def test_encode_gives_what_parse_reads(value: Any) -> None:
    assert parse(encode(value)) == value


def test_encode_has_null_for_a_number_out_of_range() -> None:
    assert encode(parse('{"a": [1e999, -1e999, NaN, 1.5], "é": "ß"}')) == (
        '{"a": [null, null, null, 1.5], "é": "ß"}'
    )


@pytest.mark.parametrize(("text", "whole"), [("{}", True), (' {"a": 1} ', True), ('{"a": ', False)])
def test_a_text_that_was_cut_is_not_whole(text: str, whole: bool) -> None:
    assert is_whole(text) == whole
    assert not any(is_whole(text.strip()[:cut]) for cut in range(len(text.strip())))
