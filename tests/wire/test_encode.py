"""encode_event and encode_comment, by the numbers of SSE_RULES, and back through the decoder."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError
from streamkit.wire import Event, SSEDecoder, encode_comment, encode_event
from streamkit.wire.sse import MAX_RETRY

TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\r\n :\u2028\x85\0\ufeff")
)
ONE_LINE = TEXT.map(lambda text: re.sub(r"[\r\n]", "", text))


def decode(data: bytes) -> list[Event]:
    decoder = SSEDecoder()
    events = decoder.feed(data)
    assert not decoder.pending
    return events


def test_rule_w1_the_order_is_event_data_id_retry_then_one_blank_line() -> None:
    assert encode_event("delta", "hü", "7", 10) == (
        b"event: delta\ndata: h\xc3\xbc\nid: 7\nretry: 10\n\n"
    )
    assert encode_event(None, "hi") == b"data: hi\n\n"


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ("a\nb\r\nc\rd", ["a", "b", "c", "d"]),
        ("a\n", ["a", ""]),
        ("\r\n\n", ["", "", ""]),
        ("", [""]),
        ("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg", ["a\u2028b\u2029c\x85d\x0be\x0cf\x1cg"]),
    ],
)
def test_rule_w2_data_is_split_at_line_ends_only_and_keeps_its_last_empty_piece(
    data: str, lines: list[str]
) -> None:
    assert encode_event(None, data) == "".join(f"data: {x}\n" for x in lines).encode() + b"\n"


def test_rule_w3_a_value_that_begins_with_a_space_survives() -> None:
    encoded = encode_event(" type", " data", " id")
    assert encoded == b"event:  type\ndata:  data\nid:  id\n\n"
    assert decode(encoded) == [Event(" type", " data", " id")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_rule_w4_line_ends_in_event_and_id_are_refused(end: str) -> None:
    with pytest.raises(ConfigurationError, match="event must be one line, got 'a"):
        encode_event(f"a{end}b", "x")
    with pytest.raises(ConfigurationError, match="id must be one line, got 'a"):
        encode_event(None, "x", f"a{end}")


def test_rule_w4_an_id_with_nul_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"id must not hold U\+0000"):
        encode_event(None, "x", "a\0")


@pytest.mark.parametrize("retry", [True, False, 1.0, "1"])
def test_rule_w5_a_retry_that_is_not_an_int_is_refused(retry: object) -> None:
    with pytest.raises(ConfigurationError, match="retry must be whole milliseconds, got"):
        encode_event(None, "x", None, retry)  # type: ignore[arg-type]


def test_rule_w5_a_retry_out_of_range_is_refused() -> None:
    for retry in (-1, MAX_RETRY + 1, 10**5000, -(10**5000)):  # str() refuses the large ones
        with pytest.raises(ConfigurationError, match="retry must be from 0 to 1000000000000000 ms"):
            encode_event(None, "x", None, retry)


@pytest.mark.parametrize("retry", [0, 1, MAX_RETRY])
def test_rule_w5_zero_is_legal_and_the_reader_gets_the_number(retry: int) -> None:
    assert decode(encode_event(None, "x", None, retry)) == [Event(data="x", retry=retry)]


def test_rule_w6_each_line_of_a_comment_is_prefixed() -> None:
    assert encode_comment("ping") == b": ping\n\n"
    assert encode_comment("a\ndata: b\r\nc\rd\n") == b": a\n: data: b\n: c\n: d\n: \n\n"
    assert encode_comment("") == b": \n\n"


def test_rule_w7_a_lone_surrogate_is_refused_without_a_context_that_holds_the_text() -> None:
    for call in (
        lambda: encode_event(None, "a\ud83d"),
        lambda: encode_event("\ude00", "a"),
        lambda: encode_event(None, "a", "\ud83d"),
        lambda: encode_comment("\ud83d"),
    ):
        with pytest.raises(ConfigurationError, match="a lone surrogate cannot be UTF-8") as caught:
            call()
        assert caught.value.__context__ is None


def test_rule_w8_an_empty_id_and_the_id_zero_are_values() -> None:
    assert encode_event(None, "x", "") == b"data: x\nid: \n\n"
    assert encode_event(None, "x", "0") == b"data: x\nid: 0\n\n"
    decoder = SSEDecoder(last_event_id="7")
    assert decoder.feed(encode_event(None, "x", "")) == [Event(data="x", id="")]


@given(
    st.none() | ONE_LINE,
    TEXT,
    st.none() | ONE_LINE.map(lambda text: text.replace("\0", "")),
    st.none() | st.integers(0, MAX_RETRY),
)
def test_the_decoder_reads_what_was_encoded(
    event: str | None, data: str, id: str | None, retry: int | None
) -> None:
    received = data.replace("\r\n", "\n").replace("\r", "\n")
    assert decode(encode_event(event, data, id, retry)) == [
        Event(event or "message", received, id or "", retry)
    ]


@given(TEXT)
def test_the_decoder_reads_no_event_in_a_comment(text: str) -> None:
    assert decode(encode_comment(text) + encode_event(None, "x")) == [Event(data="x")]


def test_an_id_may_be_a_whole_number() -> None:
    assert encode_event(None, "a", 5) == b"data: a\nid: 5\n\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"event": 5, "data": "a"}, "event must be text, got int"),
        ({"event": None, "data": None}, "data must be text, got NoneType"),
        ({"event": None, "data": b"a"}, "data must be text, got bytes"),
        ({"event": None, "data": "a", "id": 1.5}, "id must be text, got float"),
        ({"event": None, "data": "a", "id": True}, "id must be text, got bool"),
    ],
)
def test_what_is_no_text_is_refused_by_its_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        encode_event(**given)
