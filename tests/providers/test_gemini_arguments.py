"""Streamed arguments: pieces with paths become one growing JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.providers.gemini_arguments import ArgumentWriter

KEYS = st.text(min_size=1).filter(lambda text: text.isprintable()) | st.sampled_from(
    ["a", "'", '"', "]", "a.b", "\\", "\\'"]
)
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1e9, 1e9) | st.text()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(KEYS, inner, min_size=1, max_size=3)
    ),
    max_leaves=12,
)


def pieces_of(value: Any, path: str = "$") -> list[dict[str, Any]]:
    """A value as the service would stream it: its leaves, in order; strings in two parts."""
    if isinstance(value, dict):
        steps = [(_step(key), inner) for key, inner in value.items()]
    elif isinstance(value, list):
        steps = [(f"[{number}]", inner) for number, inner in enumerate(value)]
    elif isinstance(value, str):
        cut = len(value) // 2
        return [
            {"jsonPath": path, "stringValue": value[:cut], "willContinue": True},
            {"jsonPath": path, "stringValue": value[cut:]},
        ]
    else:
        name = {bool: "boolValue", type(None): "nullValue"}.get(type(value), "numberValue")
        return [{"jsonPath": path, name: "NULL_VALUE" if value is None else value}]
    return [piece for step, inner in steps for piece in pieces_of(inner, path + step)]


def _step(key: str) -> str:
    if key.isalnum():
        return f".{key}"
    escaped = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_the_fragments_joined_are_the_value(value: dict[str, Any]) -> None:
    writer = ArgumentWriter()
    text = "".join(writer.write([piece]) for piece in pieces_of(value)) + writer.close()
    assert json.loads(text) == value


def test_each_piece_adds_what_is_certain_now() -> None:
    writer = ArgumentWriter()
    pieces: list[dict[str, Any]] = [
        {"jsonPath": "$.trip.stops[0]", "stringValue": "Par", "willContinue": True},
        {"jsonPath": "$.trip.stops[0]", "stringValue": "is", "willContinue": True},
        {"jsonPath": "$.trip.stops[1]", "stringValue": "Rome"},
        {"jsonPath": "$.trip.days", "numberValue": 5.0},
        {"jsonPath": "$['exact']", "boolValue": True},
    ]
    assert [writer.write([piece]) for piece in pieces] + [writer.close()] == [
        '{"trip": {"stops": ["Par',
        "is",
        '", "Rome"',
        '], "days": 5',
        '}, "exact": true',
        "}",
    ]


def test_no_pieces_are_an_empty_object() -> None:
    writer = ArgumentWriter()
    assert writer.write(None) + writer.write([]) + writer.close() == "{}"


@pytest.mark.parametrize(
    "piece",
    [
        None,
        5,
        {},
        {"jsonPath": 5, "stringValue": "x"},
        {"jsonPath": "$", "stringValue": "x"},
        {"jsonPath": "$.a"},
        {"jsonPath": "$.a", "stringValue": 5},
    ],
)
def test_a_piece_that_says_nothing_adds_nothing(piece: Any) -> None:
    assert ArgumentWriter().write([piece]) == ""


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "jsonPath": st.text("$.ab[]01'\\")
                | st.sampled_from(["$.a", "$[0]", "$.a.b", "$.a[0]"])
            },
            optional={
                "stringValue": st.text(max_size=3),
                "numberValue": st.none() | st.floats(),
                "willContinue": st.booleans(),
            },
        )
    )
)
def test_no_piece_breaks_the_writer(pieces: list[Any]) -> None:
    writer = ArgumentWriter()
    assert isinstance(writer.write(pieces) + writer.close(), str)
