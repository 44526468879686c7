"""What JSON can say comes back as it was; all else is refused, on the way in and on the way out."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError, StoreError
from streamkit.store.record import Record, dump, load

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(TEXT, JSON))
def test_what_goes_in_comes_out(data: dict[str, Any]) -> None:
    assert load(dump("it", data)) == data


def test_any_mapping_will_do() -> None:
    assert dump("it", MappingProxyType({"a": 1})) == b'{"a":1}'


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    "bad", [{"x": float("inf")}, {"x": {1}}, {"x": "\udc80"}, {(): 1}, deep(100_000), None, "text"]
)
def test_what_json_cannot_say_is_refused_without_being_quoted(bad: Any) -> None:
    with pytest.raises(ConfigurationError, match="it must be") as caught:
        dump("it", bad)
    assert "\udc80" not in str(caught.value) and caught.value.__cause__ is None


@pytest.mark.parametrize(
    "bad", [b"", b"{", b"[]", b"1", b"null", b"\xff", b"[" * 200_000, "text", None, 5]
)
def test_what_is_no_json_object_is_a_store_error(bad: Any) -> None:
    if bad == "text":
        bad = json.dumps("text")
    with pytest.raises(StoreError, match="the store holds"):
        load(bad)


def test_an_entry_is_made_of_a_record() -> None:
    entry = Record(3, 1, "chunk", b'{"a":1}', 5.0).entry()
    assert (entry.seq, entry.epoch, entry.kind, entry.data, entry.ts) == (
        3,
        1,
        "chunk",
        {"a": 1},
        5,
    )
