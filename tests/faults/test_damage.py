"""Bytes that are wrong: strict, or let pass up to a bound and counted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from fault_cases import STYLES

from streamkit import (
    ConfigurationError,
    LimitExceeded,
    Limits,
    ProtocolError,
    StreamOptions,
    TruncatedStream,
)
from streamkit.testing import Cut, Data, Finish, LocalProvider, Raw, Repeat, Text, Whole, Wire

MODES = ("direct", "buffered", "managed")
#: An event that cannot be read, in each style: JSON behind its first character, and no more.
TORN = Data('{"oops')
DEEP = Data('{"a":' * 300 + "1" + "}" * 300)


def let(**limits: Any) -> StreamOptions:
    return StreamOptions(limits=Limits(**limits))


def counted(stream: Any, name: str) -> float:
    return stream.metrics.counters.get(name, 0)


def fails(stream: Any) -> tuple[str, Any]:
    text = ""
    with pytest.raises(ProtocolError) as caught:
        for piece in stream:
            text += piece
    assert stream.partial.text == text
    return text, caught.value


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("bad", [TORN, DEEP], ids=["torn", "deep"])
def test_events_that_cannot_be_read_are_left_out_and_counted(
    ask: Any, serve: Any, style: str, mode: str, bad: Any, caplog: Any
) -> None:
    server = serve([Text("one"), bad, Text(" two"), bad, Text(" three")])
    with caplog.at_level(logging.WARNING, "streamkit"):
        stream = ask(server, mode, style, options=let(invalid_events=2))
        assert "".join(stream) == "one two three"
    assert stream.outcome == "completed"
    assert counted(stream, "invalid_events") == 2
    assert stream.result().metrics.counters == stream.metrics.counters
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"bad bytes let pass provider={style} counter=invalid_events"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("spare", [0, 1, 2])
def test_one_more_than_may_be_is_an_error_behind_all_text_before_it(
    ask: Any, serve: Any, style: str, spare: int
) -> None:
    script = [part for n in range(4) for part in (Text(f"{n} "), TORN)]
    stream = ask(serve(script), "direct", style, options=let(invalid_events=spare))
    text, error = fails(stream)
    assert type(error) is ProtocolError and "must be JSON" in str(error)
    assert text == "".join(f"{n} " for n in range(spare + 1))
    assert counted(stream, "invalid_events") == spare


def test_events_in_one_read_are_told_apart(ask: Any, serve: Any) -> None:
    def event(text: str) -> str:
        return f'data: {{"choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}\n\n'

    body = event("a") + "data: {oops\n\n" + event("b") + "data: [1\n\n" + event("c")
    stream = ask(serve([Raw(body), Finish()]), "direct", options=let(invalid_events=9))
    assert "".join(stream) == "abc"
    assert counted(stream, "invalid_events") == 2


def test_a_lost_finish_reason_is_no_complete_answer(ask: Any, serve: Any) -> None:
    stream = ask(serve([Text("one"), TORN, Cut()]), "direct", options=let(invalid_events=1))
    text, error = fails(stream)
    assert (text, type(error)) == ("one", TruncatedStream)


def test_no_other_error_is_let_pass(ask: Any, serve: Any) -> None:
    flood = [Text("one"), Raw("data: "), Repeat([Raw(b"x" * 65536)])]
    stream = ask(serve(flood), "direct", options=let(invalid_events=9, event=1000))
    assert isinstance(fails(stream)[1], LimitExceeded)
    page = ask(serve([Raw("<html>")]), "direct", options=let(invalid_events=9))
    assert isinstance(fails(page)[1], ProtocolError)


def test_each_attempt_may_hold_as_many_and_all_are_counted(ask: Any, serve: Any) -> None:
    server = serve(scripts=[[TORN, Cut()], [TORN, Text("Hi")]])
    stream = ask(server, "direct", options=let(invalid_events=1), retry={"initial": 0.0})
    assert "".join(stream) == "Hi"
    assert len(server.requests) == 2
    assert counted(stream, "invalid_events") == 2


def garbled(n: int) -> Wire:
    """The first n times that the letter ä is sent, it is no UTF-8."""
    left = [n]

    def rewrite(data: bytes) -> bytes:
        while left[0] and "ä".encode() in data:
            data = data.replace("ä".encode(), b"\xff", 1)
            left[0] -= 1
        return data

    return Wire(rewrite=rewrite)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("style", STYLES)
def test_what_is_no_utf8_is_replaced_and_counted(
    ask: Any, serve: Any, style: str, mode: str, caplog: Any
) -> None:
    with caplog.at_level(logging.WARNING, "streamkit"):
        stream = ask(serve([garbled(2), Text("bär, Käse, \ufffd")]), mode, style)
        assert "".join(stream) == "b\ufffdr, K\ufffdse, \ufffd"
    assert counted(stream, "invalid_utf8") == 2, "the service's own U+FFFD is none of ours"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [None, 1, 5])
def test_strictly_it_is_an_error_behind_all_events_before_it(
    ask: Any, serve: Any, style: str, mode: str, size: int | None
) -> None:
    wire = Wire(size=size, rewrite=garbled(9).rewrite)
    stream = ask(
        serve([wire, Text("one two bär and more")]), mode, style, options=let(invalid_utf8=0)
    )
    text, error = fails(stream)
    assert type(error) is ProtocolError
    assert str(error) == "the answer is not UTF-8, and it may not be"
    assert (text, error.stage, error.retryable) == ("one two", "body", False)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_bound_is_exact(ask: Any, serve: Any, limit: int) -> None:
    script = [garbled(3), Text("ä1 ä2 ä3 ä4")]
    stream = ask(serve(script), "direct", options=let(invalid_utf8=limit))
    if limit == 3:
        assert "".join(stream) == "\ufffd1 \ufffd2 \ufffd3 ä4"
    else:
        text, error = fails(stream)
        assert text == " ".join(f"\ufffd{n + 1}" for n in range(limit))
        assert f"at most {limit} pieces" in str(error)
    assert counted(stream, "invalid_utf8") == limit


def test_bad_bytes_behind_the_end_of_the_answer_are_nobodys(ask: Any, serve: Any) -> None:
    end = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    script = [Text("one"), Raw(end.encode() + b"\xff\xff"), Cut()]
    stream = ask(serve(script), "direct", options=let(invalid_utf8=0))
    assert "".join(stream) == "one"


def test_a_whole_answer_is_looked_at_too(ask: Any, serve: Any) -> None:
    script = [Whole(), Wire(rewrite=lambda data: data.replace("ä".encode(), b"\xff")), Text("ä!")]
    stream = ask(serve(script), "direct")
    assert "".join(stream) == "\ufffd!"
    assert counted(stream, "invalid_utf8") == 1
    text, error = fails(ask(serve(script), "direct", options=let(invalid_utf8=0)))
    assert text == "" and "not UTF-8" in str(error)


def test_a_sound_answer_counts_nothing(
    ask: Any, serve: Callable[..., LocalProvider], caplog: Any
) -> None:
    stream = ask(serve([Text("grün 😀")]), "direct", options=let(invalid_utf8=0, invalid_events=5))
    assert "".join(stream) == "grün 😀"
    assert dict(stream.metrics.counters) == {}
    assert caplog.records == []


@pytest.mark.parametrize("name", ["invalid_events", "invalid_utf8"])
@pytest.mark.parametrize("value", [-1, 1.5, True, "1"])
def test_a_bound_is_a_whole_number_of_at_least_nothing(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"limit {name} must be at least 0, got {value!r}"):
        Limits(**{name: value})


def test_no_bound_is_the_default_for_utf8_and_impossible_for_events() -> None:
    assert (Limits().invalid_events, Limits().invalid_utf8) == (0, None)
    with pytest.raises(ConfigurationError, match="limit invalid_events must be at least 0"):
        Limits(invalid_events=None)  # type: ignore[arg-type]
