"""Odd bodies through the whole path: the text exact, the oddities ignored or named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit import LimitExceeded, Limits, ProtocolError, StreamOptions
from streamkit.testing import (
    FAULTS,
    PREFIX,
    Cut,
    Data,
    Finish,
    Framing,
    Raw,
    Reasoning,
    Repeat,
    Text,
    Tool,
)

#: Faults of the matrix after which the text is whole all the same.
HARMLESS = (
    "wrong-content-type", "no-content-type", "latin1-label", "no-done", "no-final-blank",
    "done-no-finish", "done-nospace", "data-after-done", "gzip", "gzip-noflush", "deflate",
    "raw-deflate", "torn-utf8", "byte-at-a-time", "bom", "crlf", "cr", "crlf-torn", "no-space",
    "multi-line-data", "comments", "unknown-fields", "empty-data", "big-int", "nan", "json-array",
    "finish-length", "multi-choice", "no-usage", "json-200", "late-close", "drip",
)  # fmt: skip

#: Frames that say nothing, between two that do.
NOTHING = {
    "no choices": {"choices": []},
    "null choices": {"choices": None},
    "choices of null": {"choices": [None]},
    "a null delta": {"choices": [{"index": 0, "delta": None}]},
    "no delta": {"choices": [{"index": 0}]},
    "null content": {"choices": [{"index": 0, "delta": {"content": None}}]},
    "empty content": {"choices": [{"index": 0, "delta": {"content": ""}}]},
    "content that is a number": {"choices": [{"index": 0, "delta": {"content": 5}}]},
    "choices that are a mapping": {"choices": {"a": 1}},
    "another choice": {"choices": [{"index": 1, "delta": {"content": "other"}}]},
    "another choice finishes": {"choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]},
    "an empty object": {},
    "a list": [1, 2],
    "a number": 7,
    "null": None,
    "a null error": {"error": None, "choices": []},
    "calls that are null": {"choices": [{"index": 0, "delta": {"tool_calls": None}}]},
    "a big number": '{"created": 1' + "0" * 6000 + "}",
    "NaN": '{"created": NaN, "choices": []}',
    "unknown members": {"choices": [], "x": {"y": [1, {"z": None}]}},
    "200 levels": '{"a":' * 200 + "1" + "}" * 200,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_oddity_changes_no_text(play: Any, drained: Any, mode: str, name: str) -> None:
    stream = play(FAULTS[name], mode=mode)
    assert drained(stream) == (PREFIX, None)


@pytest.mark.parametrize("name", NOTHING)
def test_a_frame_that_says_nothing_is_nothing(play: Any, drained: Any, name: str) -> None:
    stream = play([Text("one"), Data(NOTHING[name]), Text(" two")])
    assert drained(stream) == ("one two", None)
    assert stream.result().finish_reason == "stop"


def test_json_beyond_all_depth_is_a_protocol_error_after_the_text(
    play: Any, drained: Any, mode: str
) -> None:
    text, error = drained(play(FAULTS["deep-json"], mode=mode))
    assert text == PREFIX
    assert error is None or isinstance(error, ProtocolError)
    assert not isinstance(error, RecursionError)


def test_bytes_that_are_no_utf8_become_the_replacement_character(
    play: Any, drained: Any, mode: str
) -> None:
    text, error = drained(play(FAULTS["invalid-utf8"], mode=mode))
    assert error is None
    assert text == PREFIX.replace("ä", "\ufffd")


@pytest.mark.parametrize("name", ["ansi", "sse-inject", "unicode-lines", "nul"])
def test_text_that_looks_like_something_else_stays_text(play: Any, drained: Any, name: str) -> None:
    (said,) = (step for step in FAULTS[name] if isinstance(step, Text))
    assert drained(play(FAULTS[name])) == (said.text, None)


def test_a_lone_surrogate_can_always_be_encoded(play: Any, drained: Any, mode: str) -> None:
    pieces = ("a", "\udc00", "b", "\ud83d", "c", "\ud83d")
    text, error = drained(play([Text(pieces=pieces)], mode=mode))
    assert (text, error) == ("a\ufffdb\ufffdc\ufffd", None)
    text.encode()


def test_surrogates_of_two_channels_do_not_meet(play: Any) -> None:
    script = [Reasoning(pieces=("\ud83d",)), Text(pieces=("\ude00",)), Text("x")]
    result = play(script).result()
    assert (result.reasoning, result.text) == ("\ufffd", "\ufffdx")


def test_a_pair_split_inside_the_arguments_of_a_call_is_joined(play: Any) -> None:
    call = Tool("say", pieces=('{"a": "', "\ud83d", "\ude00", '"}'))
    assert play([call]).result().tool_calls[0].parsed == {"a": "😀"}


def test_two_calls_that_take_turns_are_told_apart(play: Any) -> None:
    def part(index: int, arguments: str, **more: Any) -> Data:
        call = {"index": index, "function": {"arguments": arguments, **more.pop("function", {})}}
        return Data({"choices": [{"index": 0, "delta": {"tool_calls": [{**call, **more}]}}]})

    script = [
        part(0, "", id="a", function={"name": "add"}),
        part(1, "", id="b", function={"name": "sub"}),
        part(0, '{"x"'), part(1, '{"y"'), part(0, ": 1}"), part(1, ": 2}"),
        Finish("tool_calls"),
    ]  # fmt: skip
    calls = play(script).result().tool_calls
    assert [(c.index, c.id, c.name, c.parsed) for c in calls] == [
        (0, "a", "add", {"x": 1}),
        (1, "b", "sub", {"y": 2}),
    ]


@pytest.mark.parametrize("blank", ["", "\n", " \r\n\t", "\ufeff"])
@pytest.mark.parametrize("size", [None, 1])
def test_a_whole_answer_is_known_by_its_first_character(
    play: Any, drained: Any, blank: str, size: int | None
) -> None:
    answer = {"choices": [{"message": {"content": "Hällo"}, "finish_reason": "stop"}]}
    body = (blank + json.dumps(answer)).encode()
    stream = play([Framing("length"), Raw(body, size=size)])
    assert drained(stream) == ("Hällo", None)


@pytest.mark.parametrize("blank", ["", "\n\n  ", "\ufeff"])
@pytest.mark.parametrize("size", [None, 1])
def test_a_page_is_refused_at_its_first_character(
    play: Any, drained: Any, blank: str, size: int | None
) -> None:
    body = (blank + "<!doctype html><title>Log in</title>").encode()
    text, error = drained(play([Raw(body, size=size)]))
    assert text == ""
    assert type(error) is ProtocolError
    assert "HTML page" in str(error)
    assert len(error.data) <= 200


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([Repeat([Text("x" * 100, size=50)])], "the answer is over 1000"),
        ([Raw('{"choices": ['), Repeat([Raw("0," * 50)])], "the answer is over 1000"),
        ([Raw("data: "), Repeat([Raw("x" * 1000)])], "at most 5000 bytes"),
    ],
)
def test_an_endless_answer_meets_its_limit(
    play: Any, drained: Any, mode: str, script: list[Any], words: str
) -> None:
    limits = StreamOptions(limits=Limits(event=5000, answer=1000))
    stream = play(script, mode=mode, options=limits)
    text, error = drained(stream)
    assert type(error) is LimitExceeded
    assert words in str(error)
    assert error.observed > error.limit
    assert error.partial.text == text
    assert play.server.wait_disconnect(2) is not None


def test_text_before_an_event_over_the_limit_is_delivered(
    play: Any, drained: Any, mode: str
) -> None:
    script = [Text("so far"), Raw("data: "), Repeat([Raw("x" * 1000)], times=10), Cut()]
    stream = play(script, mode=mode, options=StreamOptions(limits=Limits(event=2000)))
    text, error = drained(stream)
    assert text == "so far"
    assert type(error) is LimitExceeded
