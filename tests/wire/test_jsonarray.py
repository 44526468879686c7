"""JSONArrayDecoder: the objects of one long array, as they arrive."""

from __future__ import annotations

import json
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError, LimitExceeded, ProtocolError
from streamkit.wire import JSONArrayDecoder
from streamkit.wire.jsonarray import _CODE, _STRING

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=5)


def texts(data: bytes) -> list[str]:
    decoder = JSONArrayDecoder()
    return decoder.feed(data) + decoder.flush()


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 0),
        (b"[]", 0),
        (b'[{"a": 1}\n,\r\n{"a": {}}\n]', 2),
        (b'[{"a":"}]{"},{"\\"":"\\\\"}]', 2),
        ('\ufeff [{"ü}": "😀{"}, {}]\r\n'.encode(), 2),
        (b'{"error": {"code": 400}}', 1),
        (b'[{"a":1},[{"error":{}}]]', 2),
        (b'[{"\xff":"\xe2\x82"}]', 1),
        (b'[{"a": "\\u007b\\n\\"', 0),
    ],
)
def test_every_split_gives_the_same_texts(
    data: bytes, count: int, same_for_all_splits: Any
) -> None:
    got, error = same_for_all_splits(JSONArrayDecoder, data)
    assert error is None
    assert len(got) == count


def test_an_object_is_given_with_the_byte_that_ends_it() -> None:
    decoder = JSONArrayDecoder()
    assert decoder.feed(b'[{"a": [{"b": "}"}]') == []
    assert decoder.feed(b"}") == ['{"a": [{"b": "}"}]}']
    assert decoder.feed(b"\n,\r\n{") == []
    assert decoder.feed(b"}") == ["{}"]


def test_invalid_utf8_is_replaced_and_counted() -> None:
    decoder = JSONArrayDecoder()
    assert decoder.feed(b'[{"a": "\xff\xe2\x82"}]') == ['{"a": "\ufffd\ufffd"}']
    assert decoder.replaced == 2


def test_flush_leaves_out_an_object_that_was_cut() -> None:
    decoder = JSONArrayDecoder()
    assert decoder.feed(b'[{"a": 1},{"a": "x') == ['{"a": 1}']
    assert decoder.flush() == []


@pytest.mark.parametrize(
    ("junk", "shown"),
    [
        (b'data: {"a": 1}\r\n\r\n', b'data: {"a": 1}'),
        (b"Internal Server Error", b"Internal Server Error"),
        (b'"text", 1]', b'"text", 1]'),
        (b"}" + b"x" * 300, b"}" + b"x" * 199),
    ],
)
def test_what_is_no_object_is_an_error_behind_the_objects_before_it(
    junk: bytes, shown: bytes, same_for_all_splits: Any
) -> None:
    got, error = same_for_all_splits(JSONArrayDecoder, b'[{"a":1},' + junk)
    assert got == ['{"a":1}']
    assert error == ("an array may hold only objects here, got " + repr(shown)[1:], shown)


def test_the_error_is_raised_again_by_feed_and_not_by_flush() -> None:
    decoder = JSONArrayDecoder()
    for _ in range(2):
        with pytest.raises(ProtocolError, match="only objects"):
            decoder.feed(b"null\n")
    assert decoder.flush() == []


@pytest.mark.parametrize("data", [b'[{"a":1},{"b":"long"},{}]', b'[{"a":1},{"b":"long'])
def test_an_object_over_the_bound_is_an_error_in_every_split(
    data: bytes, same_for_all_splits: Any
) -> None:
    got, error = same_for_all_splits(partial(JSONArrayDecoder, max_event=8), data)
    assert got == ['{"a":1}']
    assert error == ("an object may have at most 8 bytes, got more", 8, 9, b'{"b":"lon')


def test_an_object_without_end_is_an_error_as_soon_as_it_is_too_long() -> None:
    decoder = JSONArrayDecoder(max_event=10)
    decoder.feed(b"[")
    assert decoder.feed(b'{"a": "' + b"x" * 3) == []
    with pytest.raises(LimitExceeded):
        decoder.feed(b"x")
    assert decoder.flush() == []


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_event must be at least 1, got 0"):
        JSONArrayDecoder(max_event=0)


@given(OBJECTS, st.sampled_from([None, 1]), st.booleans(), st.data())
def test_what_json_dumps_writes_is_read_back(
    values: list[Any], indent: int | None, ascii: bool, draw: st.DataObject
) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=ascii).encode()
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=8)))
    decoder = JSONArrayDecoder()
    got = [
        text for a, b in pairwise([0, *cuts, len(data)]) for text in decoder.feed(data[a:b])
    ] + decoder.flush()
    assert [json.loads(text) for text in got] == values


@given(st.lists(st.sampled_from(list('[{}],"\\a\n ')), max_size=30).map("".join), st.data())
def test_whatever_comes_the_split_changes_nothing(
    outcome: Any, body: str, draw: st.DataObject
) -> None:
    data = body.encode()
    bound = draw.draw(st.integers(1, 12))
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    pieces = [data[a:b] for a, b in pairwise([0, *cuts, len(data)])]
    whole = outcome(JSONArrayDecoder(max_event=bound), [data])
    assert outcome(JSONArrayDecoder(max_event=bound), pieces) == whole


@pytest.mark.parametrize(
    "body", [b'{"a": "' + b"x" * 5000 + b'"}', b'{"' + b"\\n" * 2500 + b'"}', b"{}" * 500]
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_no_byte_is_scanned_more_than_three_times(
    body: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned = 0

    class Counting:
        def __init__(self, pattern: Any) -> None:
            self.pattern = pattern

        def match(self, data: bytes, start: int) -> Any:
            nonlocal scanned
            found = self.pattern.match(data, start)
            scanned += found.end() - start + 1
            return found

    monkeypatch.setattr("streamkit.wire.jsonarray._CODE", Counting(_CODE))
    monkeypatch.setattr("streamkit.wire.jsonarray._STRING", Counting(_STRING))
    decoder = JSONArrayDecoder()
    for start in range(0, len(body), size):
        decoder.feed(body[start : start + size])
    assert scanned <= 3 * len(body)


def test_recordings_have_the_indexed_number_of_elements(recordings: Any, splits: Any) -> None:
    entries = json.loads((recordings / "index.json").read_text("utf-8"))["recordings"]
    entries = [entry for entry in entries if entry["framing"]["type"] == "json-array"]
    assert entries
    for entry in entries:
        body = (recordings / entry["file"]).read_bytes()
        for pieces in splits(body):
            decoder = JSONArrayDecoder()
            got = [text for piece in pieces for text in decoder.feed(piece)] + decoder.flush()
            assert [json.loads(text) for text in got] == json.loads(body), entry["id"]
