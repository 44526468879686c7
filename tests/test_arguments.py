"""Tool arguments as values: the whole text, and every beginning of it."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamkit import ConfigurationError
from streamkit.arguments import read_growing, read_whole

needs_jiter = pytest.mark.usefixtures("jiter")

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
#: Halves of pairs too, alone or beside what could be their other half.
TORN = st.text(st.sampled_from('ab"\\u/\n \u00e9\U0001f600\ud83d\ude00\udbff\udc00'), max_size=8)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT | TORN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def jiter() -> Any:
    """Skips where the extra is not installed."""
    return pytest.importorskip("jiter")


def dump(value: Any, *, escaped: bool, indent: int | None) -> str:
    """JSON as models write it; unescaped halves never get this far, see JoinSurrogates."""
    text = json.dumps(value, ensure_ascii=escaped, indent=indent)
    return text.encode("utf-8", "replace").decode()


def is_start(part: Any, whole: Any) -> bool:
    """Whether a value can be what the beginning of the other's text gives."""
    if isinstance(whole, dict):
        return isinstance(part, dict) and all(
            name in whole and is_start(value, whole[name]) for name, value in part.items()
        )
    if isinstance(whole, list):
        short = isinstance(part, list) and len(part) <= len(whole)
        return short and all(map(is_start, part, whole))
    if isinstance(whole, str):
        return isinstance(part, str) and whole.startswith(part)
    if isinstance(whole, (int, float)) and not isinstance(whole, bool):
        return isinstance(part, (int, float))  # 1 may be the beginning of 1e9
    return part is whole


# -- the whole text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        (" \n", {}),
        ("[1]", [1]),
        (r'{"a": "\ud83d\ude00"}', {"a": "\U0001f600"}),
        (r'{"a": "\ud83d"}', {"a": "\ufffd"}),
        (r'{"a": "\ude00\ud83d\n"}', {"a": "\ufffd\ufffd\n"}),
        (r'{"a": "\ud83d\ud83d\ude00"}', {"a": "\ufffd\U0001f600"}),
        (r'{"\uD83D": "\\ud83d"}', {"\ufffd": r"\ud83d"}),
    ],
)
@needs_jiter
def test_a_whole_text_is_the_same_value_however_it_is_read(text: str, value: Any) -> None:
    assert read_whole(text) == value
    assert read_growing(text) == value


def test_a_whole_text_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jiter", None)
    assert read_whole('{"a": 1}') == {"a": 1}


# -- beginnings of it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        (" ", {}),
        ("{", {}),
        ('{"ci', {}),
        ('{"city"', {}),
        ('{"city": ', {}),
        ('{"city": "', {"city": ""}),
        ('{"city": "Par', {"city": "Par"}),
        ('{"city": "Paris", ', {"city": "Paris"}),
        ('{"n": 1', {"n": 1}),
        ('{"n": 12.', {}),
        ('{"n": -', {}),
        ('{"ok": tru', {}),
        ('{"a": [1, {"b": nul', {"a": [1, {}]}),
        ('{"a": "x\\', {"a": "x"}),
        (r'{"a": "x\u00e', {"a": "x"}),
        (r'{"a": "x\ud83d', {"a": "x"}),
        (r'{"a": "x\ud83d' + "\\", {"a": "x"}),
        (r'{"a": "x\ud83d\ude0', {"a": "x"}),
        (r'{"a": "x\ud83d\ude00', {"a": "x\U0001f600"}),
        (r'{"a": "x\ud83d y', {"a": "x\ufffd y"}),
        (r'{"a": "x\ud83d", "b": "\ud83d', {"a": "x\ufffd", "b": ""}),
        (r'{"a": "x\ude00', {"a": "x\ufffd"}),
    ],
)
@needs_jiter
def test_a_beginning_shows_what_is_known_so_far(text: str, value: Any) -> None:
    assert read_growing(text) == value


@given(
    st.builds(
        dump,
        st.dictionaries(TEXT, VALUES, max_size=4),
        escaped=st.booleans(),
        indent=st.sampled_from([None, 1]),
    )
)
@settings(deadline=None, max_examples=60)
@needs_jiter
def test_each_beginning_is_a_beginning_of_the_value_and_the_last_is_the_value(text: str) -> None:
    whole = read_whole(text)
    for end in range(len(text)):
        part = read_growing(text[:end])
        assert is_start(part, whole), text[:end]
        json.dumps(part, ensure_ascii=False).encode()
    assert read_growing(text) == whole


@pytest.mark.parametrize("text", ["{a", "{'a': 1", '{"a": None', '{"a": 1,}', "hello", '{"a": }'])
@needs_jiter
def test_what_cannot_become_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="line 1 column") as caught:
        read_growing(text)
    assert not isinstance(caught.value, ConfigurationError)


@needs_jiter
def test_what_is_nested_beyond_all_depth_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="recursion limit"):
        read_growing('{"a":' * 100_000)


@pytest.mark.parametrize("text", ["", '{"a": 1}', '{"a": '])
def test_without_the_extra_every_beginning_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setitem(sys.modules, "jiter", None)
    with pytest.raises(ConfigurationError, match=r'pip install "llm-streamkit\[json\]"'):
        read_growing(text)
