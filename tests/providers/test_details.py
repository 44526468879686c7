"""Where services put what went wrong: every shape of WIRE_FORMATS.md section 16."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.providers.details import Details, printable, read_details


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "param": None, "code": "c"}},
         Details("m", "c", "t")),
        ({"type": "error", "error": {"type": "t", "message": "m"}, "request_id": "r"},
         Details("m", None, "t", "r")),
        ({"error": {"code": 400, "message": "m", "status": "INVALID", "details": []}},
         Details("m", 400, "INVALID")),
        ([{"error": {"code": 400, "message": "m", "status": "INVALID"}}],
         Details("m", 400, "INVALID")),
        ({"error": {"code": 401, "message": "m", "metadata": {}}, "user_id": "u"},
         Details("m", 401)),
        ({"error": "m"}, Details("m")),
        ({"error": "short", "message": "long", "code": 3}, Details("short", 3)),
        ({"message": "m", "type": "t", "param": "p", "code": "c"}, Details("m", "c", "t")),
        ({"object": "error", "message": "m", "type": "t", "code": 40}, Details("m", 40, "t")),
        ({"type": "error", "message": "m", "code": "c"}, Details("m", "c")),
        ({"detail": "m"}, Details("m")),
        ({"detail": [{"type": "missing", "loc": ["body"], "msg": "m"}]}, Details("m")),
        ({"id": "i", "message": "m"}, Details("m")),
        ({"errors": [{"code": 10000, "message": "m"}], "success": False}, Details("m", 10000)),
        ({"error": {"message": {"nested": 1}}}, Details()),
        ({"message": {"detail": [{"type": "extra_forbidden", "msg": "m"}]}, "type": "t"},
         Details("m", None, "t")),
        ({"error": ["one", "two", "one"], "error_type": "t"}, Details("one; two", None, "t")),
        ({"errors": ["m"]}, Details("m")),
        ({"detail": {"message": "m"}}, Details("m")),
        ({"detail": [{"msg": "one"}, {"msg": "two"}]}, Details("one; two")),
        ({"error": {"error": "m", "code": 3}}, Details("m", 3)),
        ({"error": {"type": "t"}, "message": "m"}, Details("m", None, "t")),
        ({"msg": "m"}, Details("m")),
        ({"error": None, "code": True, "type": 5, "detail": [], "errors": [5]}, Details()),
    ],
)  # fmt: skip
def test_every_shape_is_read(body: Any, expected: Details) -> None:
    assert read_details(json.dumps(body)) == expected
    assert read_details(f"event: error\r\ndata: {json.dumps(body)}\r\n\r\n")[1:] == expected[1:]


def test_a_message_that_lies_too_deep_is_not_looked_for() -> None:
    assert read_details('{"error": [' * 50 + '"m"' + "]}" * 50) == Details()


def test_the_first_message_of_an_sse_body_is_taken() -> None:
    body = ': ping\ndata: {}\n\ndata: oops\n\ndata:{"error": "m"}\n\ndata: {"error": "n"}\n\n'
    assert read_details(body) == Details("m")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", None),
        ("  \n", None),
        ("<!DOCTYPE html><p>no", None),
        ("plain", "plain"),
        ("\ufeffplain", "plain"),
        ('{"error": {"mess', '{"error": {"mess'),
    ],
)
def test_what_is_no_json_is_shown_unless_it_is_a_page(body: str, expected: str | None) -> None:
    assert read_details(body) == Details(expected)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["error", "message", "detail", "errors", "code", "type", "status", "msg"]),
        inner,
    ),
)  # fmt: skip


@given(VALUES)
def test_no_json_value_breaks_the_reader(value: Any) -> None:
    message = read_details(json.dumps(value)).message
    assert message is None or message.strip()
    (message or "").encode()


@given(st.text(st.characters()), st.integers(1, 40))
def test_what_is_shown_is_printable_and_no_longer_than_asked(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit
    shown.encode()
