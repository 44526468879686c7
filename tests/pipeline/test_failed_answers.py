"""Answers that a service ends with an error under status 200: what is kept, and what is retried."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit import InvalidRequest, Overloaded, ProviderError, RateLimited, RetryConfig
from streamkit.testing import Hang, Headers, Raw, Reset, Text

USAGE = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}


def body(*frames: dict[str, Any]) -> list[Any]:
    """A stream of just these frames."""
    data = b"".join(b"data: %s\n\n" % json.dumps(frame).encode() for frame in frames)
    return [Headers({"content-type": "text/event-stream"}), Raw(data)]


def failed(code: str) -> dict[str, Any]:
    error = {"code": code, "message": "Sorry"}
    response = {"id": "r", "model": "m", "status": "failed", "error": error, "usage": USAGE}
    return {"type": "response.failed", "response": response}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", Overloaded),
        ("rate_limit_exceeded", RateLimited),
        ("invalid_prompt", InvalidRequest),
    ],
)
def test_a_response_that_failed_says_why_and_keeps_what_came(
    play: Any, quick: RetryConfig, mode: str, code: str, kind: type[ProviderError]
) -> None:
    said = {"type": "response.output_text.delta", "delta": "Half"}
    stream = play(body(said, failed(code)), api="responses", mode=mode, retry=quick)
    with pytest.raises(kind, match="Sorry") as caught:
        stream.result()
    partial = caught.value.partial
    assert (caught.value.code, partial.text, partial.usage.output_tokens) == (code, "Half", 6)
    assert partial.finish_reason == "failed"


@pytest.mark.parametrize("code", ["server_error", "rate_limit_exceeded"])
def test_a_response_that_failed_before_it_said_anything_is_asked_for_again(
    play: Any, quick: RetryConfig, mode: str, code: str
) -> None:
    scripts = [body(failed(code)), [Text("Whole")]]
    result = play(scripts=scripts, api="responses", mode=mode, retry=quick).result()
    assert result.text == "Whole"
    assert [attempt.number for attempt in result.attempts] == [1, 2]


ANNOUNCED = {
    "type": "error",
    "error": {"type": "tokens", "code": "insufficient_quota", "message": "Used up"},
}


def test_the_failed_answer_behind_its_error_event_is_kept(
    play: Any, quick: RetryConfig, mode: str
) -> None:
    stream = play(
        body(ANNOUNCED, failed("insufficient_quota")), api="responses", mode=mode, retry=quick
    )
    with pytest.raises(RateLimited, match="Sorry") as caught:
        stream.result()
    assert caught.value.partial.usage.input_tokens == 5
    assert (caught.value.partial.finish_reason, caught.value.type) == ("failed", None)


@pytest.mark.parametrize("end", [[], [Reset()]], ids=["end", "reset"])
def test_an_error_event_is_the_error_however_the_body_ends(
    play: Any, quick: RetryConfig, mode: str, end: list[Any]
) -> None:
    said = {"type": "response.output_text.delta", "delta": "Half"}
    script = [*body(said, ANNOUNCED), *end]
    stream = play(scripts=[script, [Text("Whole")]], api="responses", mode=mode, retry=quick)
    with pytest.raises(RateLimited, match="Used up") as caught:
        stream.result()
    error = caught.value
    assert (error.code, error.message) == ("insufficient_quota", "Used up")
    assert (error.partial.text, error.partial.finish_reason) == ("Half", None)
    assert len(play.server.requests) == 1


def test_a_response_that_failed_for_good_is_not(play: Any, quick: RetryConfig, mode: str) -> None:
    scripts = [body(failed("insufficient_quota")), [Text("Whole")]]
    with pytest.raises(RateLimited) as caught:
        play(scripts=scripts, api="responses", mode=mode, retry=quick).result()
    assert caught.value.partial.usage.input_tokens == 5
    assert len(play.server.requests) == 1


def test_text_that_comes_with_the_error_of_a_chat_answer_is_kept(
    play: Any, quick: RetryConfig, mode: str
) -> None:
    choice = {"index": 0, "delta": {"content": "Half"}, "finish_reason": "error"}
    error = {"code": 502, "message": "upstream is gone"}
    stream = play(body({"choices": [choice], "error": error}), mode=mode, retry=quick)
    with pytest.raises(Overloaded, match="upstream is gone") as caught:
        stream.result()
    assert caught.value.partial.text == "Half"
    assert len(play.server.requests) == 1


def test_a_repeated_event_of_a_response_is_read_once(play: Any, mode: str) -> None:
    kind = "response.output_text.delta"
    said = [{"type": kind, "delta": text, "sequence_number": n} for n, text in enumerate("aab")]
    end = {"type": "response.completed", "response": {"status": "completed", "usage": USAGE}}
    stream = play(
        body(*[frame for frame in said for _ in range(2)], end), api="responses", mode=mode
    )
    assert stream.result().text == "aab"


def test_an_error_is_raised_soon_although_the_connection_stays_open(play: Any, mode: str) -> None:
    error = {"type": "error", "code": "server_error", "message": "it broke", "param": None}
    stream = play([*body(error), Hang()], api="responses", mode=mode, retry=None, timeout=30)
    with pytest.raises(Overloaded, match="it broke") as caught:
        stream.result()
    assert caught.value.elapsed < 10
