"""GeminiDecoder: events until a bare object, an array if one comes."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import LimitExceeded, ProtocolError, StreamkitError
from streamkit.providers.gemini_events import GeminiDecoder

ERROR = b'{\n  "error": {\n    "code": 503,\n    "message": "a } in it"\n  }\n}\n'
TOKENS = [
    b'data: {"a": 1}\r\n\r\n', b"data: {", b"\n", b"\r\n", b"\r", b": ping\n", b"{", b"}", b"[",
    b"]", b'"', b"x", b",", b"\n{", b"data: ",
]  # fmt: skip


def run(pieces: list[bytes], max_event: int = 999) -> tuple[list[str], Any]:
    decoder = GeminiDecoder(max_event=max_event)
    got: list[str] = []
    try:
        for piece in pieces:
            got += [event.data for event in decoder.feed(piece)]
        got += [event.data for event in decoder.flush()]
    except StreamkitError as error:
        return got, str(error)
    return got, None


def in_all_ways(data: bytes, **options: Any) -> tuple[list[str], Any]:
    whole = run([data], **options)
    for a in range(len(data) + 1):
        assert run([data[:a], data[a:]], **options) == whole, f"cut at {a}"
    assert run([data[i : i + 1] for i in range(len(data))], **options) == whole
    return whole


@pytest.mark.parametrize("between", [b"", b"\r\n", b": ping\n\n"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\r\n"])
def test_a_bare_error_between_events_is_one_event(between: bytes, end: bytes) -> None:
    body = b'data: {"a": 1}\r\n\r\n' + between + ERROR.rstrip() + end
    assert in_all_ways(body) == (['{"a": 1}', ERROR.decode().rstrip()], None)


def test_an_event_that_only_the_error_ends_is_not_lost() -> None:
    assert in_all_ways(b'data: {"a": 1}\n{"error": 1}') == (['{"a": 1}', '{"error": 1}'], None)


def test_the_error_is_given_with_its_last_byte() -> None:
    decoder = GeminiDecoder(max_event=999)
    assert decoder.feed(b'data: {}\n\n{"error": {') == [("message", "{}", "", None)]
    assert [event.data for event in decoder.feed(b"}}")] == ['{"error": {}}']


def test_an_array_is_read_where_events_were_due() -> None:
    assert in_all_ways(b'[{"a": 1}\n,\r\n{"b": 2}\n]') == (['{"a": 1}', '{"b": 2}'], None)
    assert in_all_ways(b'[{"error": {}}]') == (['{"error": {}}'], None)


def test_a_bracket_inside_a_line_begins_nothing() -> None:
    body = b'data: {"a":\ndata: [1]}\n\nx{"b": 2}\n\n'
    assert in_all_ways(body) == (['{"a":\n[1]}'], None)


def test_the_last_event_needs_no_empty_line_unless_it_is_cut() -> None:
    assert in_all_ways(b'data: {"a": 1}') == (['{"a": 1}'], None)
    assert in_all_ways(b'data: {"a": ') == ([], None)


def test_a_bound_holds_for_events_and_for_objects() -> None:
    got, error = in_all_ways(b"data: {}\n\ndata: 123456789\n\n", max_event=12)
    assert (got, error) == (["{}"], "an event may have at most 12 bytes, got more")
    got, error = in_all_ways(b'data: {}\n\n{"error": "123"}', max_event=12)
    assert (got, error) == (["{}"], "an object may have at most 12 bytes, got more")
    with pytest.raises(LimitExceeded):
        GeminiDecoder(max_event=5).feed(b'{"long": 1}')


def test_what_follows_a_bare_object_must_be_json() -> None:
    got, error = in_all_ways(b'data: {}\n\n{"a": 1}\nnonsense\n')
    assert got == ["{}", '{"a": 1}']
    assert error == "an array may hold only objects here, got 'nonsense'"
    decoder = partial(GeminiDecoder(max_event=99).feed, b"[nonsense\n")
    with pytest.raises(ProtocolError):
        decoder()


@given(st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join), st.integers(2, 30), st.data())
def test_the_split_changes_nothing(body: bytes, bound: int, draw: st.DataObject) -> None:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[a:b] for a, b in pairwise([0, *cuts, len(body)])]
    assert run(pieces, max_event=bound) == run([body], max_event=bound)
