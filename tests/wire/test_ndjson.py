"""NDJSONDecoder: one JSON text per line."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError, LimitExceeded
from streamkit.wire import NDJSONDecoder


def texts(data: bytes) -> list[str]:
    decoder = NDJSONDecoder()
    return decoder.feed(data) + decoder.flush()


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": 1}\n{"a": 2}\n',
        b'{"a": 1}\r\n\r\n \t\n{"a": 2}',
        '\ufeff{"ü": "😀\u2028"}\n'.encode(),
        b'{"a":\r1}\r\n\xff\n',
        b'\n\n{"done": true}\r',
    ],
)
def test_every_split_gives_the_same_texts(data: bytes, same_for_all_splits: Any) -> None:
    got, error = same_for_all_splits(NDJSONDecoder, data)
    assert error is None
    assert len(got) == sum(1 for line in data.split(b"\n") if line.strip())


def test_only_lf_and_crlf_end_a_line() -> None:
    assert texts(b'{"a":\r1}\r\n{"b": 2}\n') == ['{"a":\r1}', '{"b": 2}']
    assert texts('"a\u2028b\x85c\x0bd"\n'.encode()) == ['"a\u2028b\x85c\x0bd"']


def test_blank_lines_are_skipped_and_other_spaces_are_not_blank() -> None:
    assert texts(b"\n\r\n \t \n1\n") == ["1"]
    assert texts("\u00a0\n".encode()) == ["\u00a0"]


def test_flush_gives_a_last_line_without_a_line_end_once() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b'{"a": 1}\n{"b"') == ['{"a": 1}']
    assert decoder.feed(b": 2}") == []
    assert decoder.flush() == ['{"b": 2}']
    assert decoder.flush() == []


def test_invalid_utf8_is_replaced_and_counted() -> None:
    decoder = NDJSONDecoder()
    assert decoder.feed(b'"\xff\xe2\x82"\n') == ['"\ufffd\ufffd"']
    assert decoder.replaced == 2


def test_every_split_gives_the_same_error(same_for_all_splits: Any) -> None:
    got, error = same_for_all_splits(partial(NDJSONDecoder, max_event=4), b"1\n\n22\n55555\n6\n")
    assert got == ["1", "22"]
    assert error == ("a line may have at most 4 bytes, got more", 4, 5, b"55555")


def test_an_endless_line_is_an_error_as_soon_as_it_is_too_long() -> None:
    decoder = NDJSONDecoder(max_event=10)
    with pytest.raises(LimitExceeded):
        for _ in range(11):
            assert decoder.feed(b"x") == []
    assert decoder.flush() == []


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_event must be at least 1, got 0"):
        NDJSONDecoder(max_event=0)


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers())), st.integers(1, 50))
def test_what_json_dumps_writes_is_read_back(values: list[Any], step: int) -> None:
    data = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()
    decoder = NDJSONDecoder()
    got = [text for i in range(0, len(data), step) for text in decoder.feed(data[i : i + step])]
    assert [json.loads(text) for text in got + decoder.flush()] == values


def test_recordings_have_the_indexed_number_of_lines(recordings: Any, splits: Any) -> None:
    entries = json.loads((recordings / "index.json").read_text("utf-8"))["recordings"]
    entries = [entry for entry in entries if entry["framing"]["type"] == "ndjson"]
    assert entries
    for entry in entries:
        body = (recordings / entry["file"]).read_bytes()
        for pieces in splits(body):
            decoder = NDJSONDecoder()
            got = [text for piece in pieces for text in decoder.feed(piece)] + decoder.flush()
            assert len(got) == entry["framing"]["lines"], entry["id"]
            assert all(isinstance(json.loads(text), dict) for text in got)


@pytest.mark.parametrize("end", ['{"a": 1', '{"a": "中', "{", ' {"a":'])
def test_flush_leaves_out_an_object_that_was_cut(end: str) -> None:
    for cut in (end.encode(), end.encode()[:-1]):
        assert texts(b'{"b": 2}\n' + cut) == ['{"b": 2}']


def test_flush_gives_what_is_no_object_for_an_error_to_show() -> None:
    assert texts(b"Internal Server Error") == ["Internal Server Error"]
