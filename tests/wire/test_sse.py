"""SSEDecoder, by the numbers of SSE_RULES."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from streamkit.errors import ConfigurationError, LimitExceeded
from streamkit.wire import Event, SSEDecoder
from streamkit.wire.sse import MAX_RETRY

BOM = b"\xef\xbb\xbf"


def decode(data: bytes, **options: Any) -> list[Event]:
    decoder = SSEDecoder(**options)
    return decoder.feed(data) + decoder.flush()


def data_of(body: bytes) -> list[str]:
    return [event.data for event in decode(body)]


# Bytes to lines.


def test_rule_1_the_stream_is_utf8() -> None:
    assert data_of("data: größe 漢字 😀\n\n".encode()) == ["größe 漢字 😀"]


def test_rule_2_each_maximal_bad_piece_becomes_one_replacement() -> None:
    decoder = SSEDecoder()
    body = b"data: a\xffb\xe2\x82c\xf0\x9f\x98\xed\xa0\x80\ndata: \xef\xbf\xbd\n\n"
    assert decoder.feed(body) == [Event(data="a\ufffdb\ufffdc\ufffd\ufffd\ufffd\ufffd\n\ufffd")]
    assert decoder.replaced == 6


def test_rule_2_bad_bytes_in_one_event_do_not_touch_the_next() -> None:
    assert data_of(b"data: \xe2\x82\n\ndata: \x82\n\ndata: ok\n\n") == ["\ufffd", "\ufffd", "ok"]


def test_rule_3_one_byte_order_mark_at_the_start_is_dropped() -> None:
    assert data_of(BOM + b"data: a\n\n") == ["a"]
    assert data_of(BOM + BOM + b"data: a\ndata: b\n\n") == ["b"]
    assert data_of(b"data: a\n\n" + BOM + b"data: b\n\n") == ["a"]
    assert data_of(b"data: " + BOM + b"\n\n") == ["\ufeff"]


@pytest.mark.parametrize("a", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("b", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("c", [b"\n", b"\r", b"\r\n"])
def test_rule_4_line_ends_may_be_mixed_inside_an_event(a: bytes, b: bytes, c: bytes) -> None:
    body = b"data: x" + a + b"data: y" + b + c + b"data: z\n\n"
    assert data_of(body) == (["x\ny\nz"] if b + c == b"\r\n" else ["x\ny", "z"])


def test_rule_5_nothing_else_ends_a_line() -> None:
    text = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i"
    assert data_of(f"data: {text}\n\n".encode()) == [text]


def test_rule_6_cr_at_the_end_of_a_read_ends_the_line_now() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\r\n\r") == [Event(data="a")]
    assert decoder.feed(b"\ndata: b\r") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"\r") == [Event(data="b")]


def test_rule_7_chunk_borders_mean_nothing(same_for_all_splits: Any) -> None:
    got, _ = same_for_all_splits(SSEDecoder, BOM + "event: é\r\ndata: 😀\r\n\r\nid:1\r\r".encode())
    assert got == [Event("é", "😀")]


# Lines to fields.


def test_rule_8_a_line_with_a_space_is_not_empty() -> None:
    assert data_of(b"data: a\n \ndata: b\n\t\n\n") == ["a\nb"]


def test_rule_9_a_comment_is_ignored_inside_an_event_and_counted() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b": ping\n\nevent: x\n:\ndata: a\n:data: no\ndata: b\n\n") == [
        Event("x", "a\nb")
    ]
    assert decoder.comments == 3


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b"data:a", "a"),
        (b"data: a", "a"),
        (b"data:  a ", " a "),
        (b"data:\ta", "\ta"),
        ("data:\u00a0a".encode(), "\u00a0a"),
        (b"data: a: b:", "a: b:"),
        (b"data::", ":"),
        (b"data: ", ""),
        (b"data:", ""),
    ],
)
def test_rule_10_one_space_after_the_colon_is_dropped_and_no_more(line: bytes, value: str) -> None:
    assert data_of(line + b"\n\n") == [value]


def test_rule_11_a_line_without_a_colon_is_a_name_with_an_empty_value() -> None:
    assert data_of(b"data\n\ndata\ndata\n\n") == ["", "\n"]
    assert decode(b"event: x\nevent\ndata: a\n\n") == [Event("message", "a")]


@pytest.mark.parametrize("name", ["Data", "DATA", " data", "data ", "dat", "datas", "\ufeffdata"])
def test_rule_12_names_are_compared_exactly(name: str) -> None:
    assert data_of(b"data: a\n" + name.encode() + b": b\n\n") == ["a"]


# Fields.


def test_rule_13_event_sets_the_type_and_an_empty_value_the_default() -> None:
    assert decode(b"event: a\nevent:b\ndata: x\n\n") == [Event("b", "x")]
    assert decode(b"event: a\nevent:\ndata: x\n\n") == [Event("message", "x")]
    assert decode(b"event: \xff\ndata: x\n\n") == [Event("\ufffd", "x")]


def test_rule_14_each_data_line_appends_a_line() -> None:
    assert data_of(b"data: a\ndata\ndata:b\ndata: \n\n") == ["a\n\nb\n"]


def test_rule_15_an_id_stays_until_replaced_and_may_be_empty() -> None:
    events = decode(b"id: 1\ndata: a\n\ndata: b\n\nid:\ndata: c\n\nid: \xff\ndata: d\n\n")
    assert [event.id for event in events] == ["1", "1", "", "\ufffd"]


def test_rule_15_an_id_with_nul_is_ignored() -> None:
    assert decode(b"id: 1\nid: 2\0\ndata: a\n\n") == [Event(data="a", id="1")]


@pytest.mark.parametrize(
    ("value", "retry"),
    [
        (b"0", 0),
        (b"3000", 3000),
        (b"007", 7),
        (b"0" * 9000 + b"5", 5),
        (b"999999999999999", 999999999999999),
        (b"1000000000000000", MAX_RETRY),
        (b"9" * 9000, MAX_RETRY),
    ],
)
def test_rule_15b_retry_sets_the_time_at_once(value: bytes, retry: int) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"retry: " + value + b"\n") == []
    assert decoder.retry == retry
    assert decoder.feed(b"data: a\n\ndata: b\n\n") == [
        Event(data="a", retry=retry),
        Event(data="b", retry=None),
    ]


@pytest.mark.parametrize(
    "value", [b"", b"+1", b"-1", b" 1", b"1 ", b"1.5", b"1_000", b"1e3", "٣".encode(), "²".encode()]
)
def test_rule_15b_a_retry_that_is_not_ascii_digits_is_ignored(value: bytes) -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"retry: 5\nretry: " + value + b"\ndata: a\n\n") == [
        Event(data="a", retry=5)
    ]
    assert decoder.retry == 5


# Dispatch.


def test_rule_16_a_block_without_data_still_sets_the_last_event_id() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"id: 7\n") == []
    assert decoder.last_event_id == ""
    assert decoder.feed(b"\n") == []
    assert decoder.last_event_id == "7"
    assert decoder.feed(b"data: a\n\n") == [Event(data="a", id="7")]


def test_rule_17_a_block_without_data_is_no_event_and_its_type_is_forgotten() -> None:
    assert decode(b"event: x\n\nid: 1\n\nretry: 1\n\ndata: a\n\n") == [Event(data="a", id="1")]


def test_rule_18_exactly_one_line_end_is_removed_from_the_data() -> None:
    assert data_of(b"data:\n\ndata:\ndata:\n\ndata: a\ndata:\n\n") == ["", "\n", "a\n"]


def test_rule_19_the_type_is_message_when_none_was_set() -> None:
    assert decode(b"data: a\n\n") == [Event("message", "a", "", None)]


def test_rule_20_data_and_type_do_not_reach_the_next_event() -> None:
    assert decode(b"event: x\ndata: a\n\ndata: b\n\n\n\n") == [Event("x", "a"), Event(data="b")]


def test_an_error_field_with_json_is_an_error_event() -> None:
    body = b'error: {"code": 500, "message": "no slot"}\n\ndata: a\n\n'
    assert decode(body) == [
        Event("error", '{"code": 500, "message": "no slot"}'),
        Event(data="a"),
    ]


@pytest.mark.parametrize("value", ["text", ' {"code": 500}', '"boom"', "[]"])
def test_an_error_field_may_hold_anything(value: str) -> None:
    assert decode(f"error: {value}\n\n".encode()) == [Event("error", value)]


@pytest.mark.parametrize("block", [b"error", b"error:  ", b"Error: {}"])
def test_an_error_field_that_says_nothing_is_ignored(block: bytes) -> None:
    assert decode(block + b"\n\n") == []


@pytest.mark.parametrize("block", [b"error: {}\ndata: [DONE]", b"data: [DONE]\nerror: {}"])
def test_an_error_field_comes_before_the_data_beside_it(block: bytes) -> None:
    assert decode(b"id: 7\n" + block + b"\n\ndata: b\n\n") == [
        Event("error", "{}", "7"),
        Event(data="[DONE]", id="7"),
        Event(data="b", id="7"),
    ]


# End of input.


def test_rule_21_what_no_blank_line_closed_is_discarded() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"id: 1\ndata: a\n\nid: 2\nevent: x\ndata: [DONE]\n") == [
        Event(data="a", id="1")
    ]
    assert decoder.pending
    assert decoder.flush() == []
    assert not decoder.pending
    assert decoder.last_event_id == "1"


def test_rule_22_a_last_line_without_a_line_end_does_not_count() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"retry: 5") == []
    assert decoder.pending
    assert decoder.flush() == []
    assert decoder.retry is None


def test_rule_22_a_blank_line_ended_by_cr_at_the_very_end_counts() -> None:
    assert data_of(b"data: a\r\r") == ["a"]


def test_rule_23_a_new_decoder_carries_on_with_the_last_event_id() -> None:
    decoder = SSEDecoder(last_event_id="7")
    assert decoder.last_event_id == "7"
    assert decoder.feed(BOM + b"data: a\n\n") == [Event(data="a", id="7")]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: [DONE]", [Event(data="[DONE]")]),
        (b"data: [DONE]\n", [Event(data="[DONE]")]),
        (b"data: [DONE]\r\n\r\n", [Event(data="[DONE]")]),
        (b"event: x\nid: 1\ndata: a\ndata", [Event("x", "a\n", "1")]),
        (b'error: {"a": 1}', [Event("error", '{"a": 1}')]),
        (b": ping", []),
        (b"", []),
    ],
)
def test_a_lenient_flush_dispatches_what_the_end_left_open_once(
    body: bytes, events: list[Event], splits: Any, outcome: Any
) -> None:
    for pieces in splits(body):
        decoder = SSEDecoder(lenient=True)
        assert outcome(decoder, pieces) == (events, None)
        assert decoder.flush() == []


def test_pending_tells_whether_an_event_was_begun() -> None:
    decoder = SSEDecoder()
    seen = []
    for piece in (b"", b": c\n", b"\n", b"e", b"vent: x\n", b"\n", b"data: x\n", b"\r", b"\n"):
        decoder.feed(piece)
        seen.append(decoder.pending)
    assert seen == [False, False, False, True, True, False, True, False, False]


# Bounds.


def test_an_event_over_its_bound_is_an_error_at_the_byte_that_crosses_it() -> None:
    decoder = SSEDecoder(max_event=20)
    assert decoder.feed(b"data: 7890\n") == []
    assert decoder.feed(b"data: 7890") == []
    with pytest.raises(LimitExceeded) as caught:
        decoder.feed(b"1")
    assert str(caught.value) == "an event may have at most 20 bytes, got more"
    assert (caught.value.limit, caught.value.observed) == (20, 21)
    assert caught.value.data == b"data: 78901"


def test_the_bounds_are_per_event() -> None:
    assert len(decode(b"data: 7890\n\n" * 100, max_event=10, max_lines=1, max_name=5)) == 100


def test_too_many_lines_in_one_event_are_an_error_comments_included() -> None:
    decoder = SSEDecoder(max_lines=3)
    assert decoder.feed(b"data: a\n: b\n: c\n\ndata: d\n:\n:\n") == [Event(data="a")]
    with pytest.raises(LimitExceeded, match="an event may have at most 3 lines, got more"):
        decoder.feed(b":")


def test_an_endless_comment_and_endless_comments_are_errors() -> None:
    for line in (b":" * 1000, b": x\n" * 250):
        decoder = SSEDecoder(max_event=10_000, max_lines=2000)
        with pytest.raises(LimitExceeded):
            for _ in range(20):
                decoder.feed(line)


@pytest.mark.parametrize("rest", [b"", b": x\n", b"\n\n", b"\n\ndata: never\n\n"])
def test_a_field_name_over_its_bound_is_an_error(rest: bytes, same_for_all_splits: Any) -> None:
    body = b"data: a\n\n" + b"n" * 11 + rest
    got, error = same_for_all_splits(partial(SSEDecoder, max_name=10), body)
    assert got == [Event(data="a")]
    assert error == ("a field name may have at most 10 bytes, got more", 10, 11, b"n" * 11)


def test_a_field_name_at_its_bound_and_a_long_comment_are_fine() -> None:
    body = b"n" * 10 + b": x\n" + b"m" * 10 + b"\n:" + b"c" * 100 + b"\ndata: a\n\n"
    assert decode(body, max_name=10) == [Event(data="a")]


def test_events_before_an_error_are_given_first_then_each_feed_raises() -> None:
    decoder = SSEDecoder(max_event=10)
    assert decoder.feed(b"data: a\n\nid: 1\ndata: too long\n\ndata: b\n\n") == [Event(data="a")]
    assert not decoder.pending
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            decoder.feed(b"\n")
    assert decoder.flush() == []
    assert decoder.last_event_id == ""


def test_flush_raises_an_error_that_no_feed_has_raised_and_only_once() -> None:
    decoder = SSEDecoder(max_event=10, lenient=True)
    assert decoder.feed(b"data: a\n\ndata: too long") == [Event(data="a")]
    with pytest.raises(LimitExceeded):
        decoder.flush()
    assert decoder.flush() == []


def test_an_error_forgets_the_open_event_and_its_id() -> None:
    decoder = SSEDecoder(max_event=15, lenient=True)
    assert decoder.feed(b"id: 1\ndata: a\n") == []
    with pytest.raises(LimitExceeded):
        decoder.feed(b"data: b")
    assert decoder.flush() == []
    assert decoder.last_event_id == ""


@pytest.mark.parametrize(("name", "least"), [("max_event", 1), ("max_lines", 1), ("max_name", 5)])
def test_a_bound_that_nothing_could_pass_is_refused(name: str, least: int) -> None:
    SSEDecoder(**{name: least})
    with pytest.raises(ConfigurationError, match=f"{name} must be at least {least}, got "):
        SSEDecoder(**{name: least - 1})


def test_a_large_event_passes_the_default_bounds() -> None:
    body = b"data: " + b"x" * 1_000_000 + b"\n\n"
    decoder = SSEDecoder()
    pieces = [body[i : i + 65536] for i in range(0, len(body), 65536)]
    assert [len(e.data) for piece in pieces for e in decoder.feed(piece)] == [1_000_000]


def test_a_long_event_in_small_pieces_is_copied_a_fixed_number_of_times(counting_tail: Any) -> None:
    decoder = SSEDecoder()
    decoder._buffer.tail = counting_tail
    assert decoder.feed(b"data: ") == []
    for _ in range(64 * 1024):
        assert decoder.feed(b"xxxx") == []
    assert [len(event.data) for event in decoder.feed(b"\n\n")] == [256 * 1024]
    assert counting_tail.copied <= 2 * 256 * 1024 + 20


# Recordings.


def test_recordings_have_the_indexed_events_and_comments(recordings: Any, splits: Any) -> None:
    entries = json.loads((recordings / "index.json").read_text("utf-8"))["recordings"]
    entries = [entry for entry in entries if entry["framing"]["type"] == "sse"]
    assert entries
    for entry in entries:
        body = (recordings / entry["file"]).read_bytes()
        hints = sorted(n for cuts in entry["split_hints"].values() for n in cuts)
        hinted = [body[a:b] for a, b in zip([0, *hints], [*hints, len(body)], strict=True)]
        outcomes = {summary(SSEDecoder(), pieces) for pieces in [*splits(body), hinted]}
        assert len(outcomes) == 1, entry["id"]
        events, comments, named = outcomes.pop()
        framing = entry["framing"]
        assert len(events) == framing["events"], entry["id"]
        assert comments == framing["comment_lines"], entry["id"]
        assert named == framing["named_events"], entry["id"]
        lenient, _, _ = summary(SSEDecoder(lenient=True), [body])
        assert len(lenient) == framing["events_if_flushed_at_eof"], entry["id"]


def summary(decoder: SSEDecoder, pieces: list[bytes]) -> tuple[tuple[Event, ...], int, bool]:
    events = [event for piece in pieces for event in decoder.feed(piece)] + decoder.flush()
    named = any(event.event != "message" for event in events)
    return tuple(events), decoder.comments, named


def test_a_line_without_its_end_can_be_told_from_an_open_event() -> None:
    decoder = SSEDecoder(lenient=True)
    for data, inside in ((b"data: a", True), (b"\n", False), (b"d", True), (b"ata: b\r", False)):
        decoder.feed(data)
        assert (decoder.mid_line, decoder.pending) == (inside, True)
    decoder.flush()
    assert not decoder.mid_line
