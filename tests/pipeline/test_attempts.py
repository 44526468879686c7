"""How a stream ends: by protocol, with one outcome, and with everything that arrived before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streamkit import (
    InvalidRequest,
    Overloaded,
    ProtocolError,
    ProviderError,
    RateLimited,
    RetryConfig,
    StreamInterrupted,
    StreamTimeout,
    Timeouts,
    TruncatedStream,
)
from streamkit.testing import (
    Cut,
    Data,
    Done,
    Error,
    Fin,
    Finish,
    Framing,
    Gate,
    Hang,
    Pause,
    Ping,
    Raw,
    Reasoning,
    Refusal,
    Repeat,
    Reset,
    Status,
    Text,
    Tool,
    Usage,
    Whole,
)

SAID = "Hällo 😀 world"
SAY = Text(SAID)
HTML = Status(200, "<html><h1>Login</h1></html>", headers={"content-type": "text/html"})
GHOST = [SAY, Finish(), Done(), Text(" ghost"), Error("too late")]

COMPLETE: dict[str, tuple[list[Any], str]] = {
    "finish and done": ([SAY, Finish(), Done()], "completed"),
    "finish without done": ([SAY, Finish(), Cut()], "completed"),
    "finish without done, by length": ([Framing("length"), SAY, Finish(), Cut()], "completed"),
    "finish without done, by close": ([Framing("close"), SAY, Finish(), Cut()], "completed"),
    "done without finish": ([SAY, Done()], "completed"),
    "finish, then a reset": ([SAY, Finish(), Reset()], "completed"),
    "finish, then a broken framing": ([SAY, Finish(), Fin()], "completed"),
    "finish, then silence": ([SAY, Finish(), Hang()], "completed"),
    "finish, then pings for ever": (
        [SAY, Finish(), Repeat([Ping(), Pause(0.02)])],
        "completed",
    ),
    "done, then silence": ([SAY, Finish(), Done(), Hang()], "completed"),
    "data after done": (GHOST, "completed"),
    "error bytes after done": ([SAY, Finish(), Done(), Raw("data: {oops\n\n")], "completed"),
    "a finish reason nobody knows": ([SAY, Finish("tired")], "completed"),
    "length": ([SAY, Finish("length")], "length"),
    "content filter": ([SAY, Finish("content_filter")], "content_filter"),
    "a refusal in its own field": ([SAY, Refusal("no")], "refused"),
    "a tool call": ([SAY, Tool("add", {"a": 1})], "tool_calls"),
    "a tool call that says stop": ([SAY, Tool("add", {"a": 1}), Finish("stop")], "tool_calls"),
    "a whole JSON answer": ([Whole(), SAY], "completed"),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_a_complete_answer_ends_quietly(play: Any, drained: Any, mode: str, name: str) -> None:
    script, outcome = COMPLETE[name]
    stream = play(script, mode=mode)
    assert drained(stream) == (SAID, None)
    assert stream.outcome == outcome
    assert stream.result().text == SAID
    assert stream.result().outcome == outcome
    assert stream.done


BROKEN: dict[str, tuple[list[Any], type[Exception], str]] = {
    "a clean end, chunked": ([SAY, Cut()], TruncatedStream, "truncated"),
    "a clean end, by length": ([Framing("length"), SAY, Cut()], TruncatedStream, "truncated"),
    "a clean end, by close": ([Framing("close"), SAY, Cut()], TruncatedStream, "truncated"),
    "a reset": ([SAY, Pause(0.05), Reset()], StreamInterrupted, "transport_error"),
    "a FIN inside the chunks": ([SAY, Fin()], StreamInterrupted, "transport_error"),
    "a FIN before the length": (
        [Framing("length", 9999), SAY, Fin()],
        StreamInterrupted,
        "transport_error",
    ),
    "half an event": ([SAY, Raw('data: {"cho'), Cut()], TruncatedStream, "truncated"),
    "half a character": (
        [SAY, Raw(b'data: {"choices":[{"delta":{"content":"\xf0\x9f'), Cut()],
        TruncatedStream,
        "truncated",
    ),
    "an error object": ([SAY, Error("broke")], ProviderError, "provider_error"),
    "an error object, then done": ([SAY, Error("broke"), Done()], ProviderError, "provider_error"),
    "an error object after the finish": (
        [SAY, Finish(), Error("broke")],
        ProviderError,
        "provider_error",
    ),
    "an error for a finish reason": ([SAY, Finish("error")], ProviderError, "provider_error"),
    "an event that is not JSON": (
        [SAY, Data('{"choices": [oops'), Finish(), Done()],
        ProtocolError,
        "failed",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_raises_after_all_its_text(
    play: Any, drained: Any, mode: str, name: str
) -> None:
    script, kind, outcome = BROKEN[name]
    stream = play(script, mode=mode)
    text, error = drained(stream)
    assert text == SAID
    assert isinstance(error, kind)
    assert error.partial.text == SAID
    assert error.partial.outcome == error.outcome == stream.outcome == outcome
    assert error.stream_id == stream.id
    assert error.provider == "openai"
    assert error.stage == "body"
    assert error.elapsed > 0
    assert [attempt.error for attempt in error.attempts] == [error]
    assert stream.partial.text == SAID
    with pytest.raises(kind) as again:
        stream.result()
    assert again.value is error


def test_a_break_is_an_interruption_and_a_clean_end_is_a_truncation(
    play: Any, drained: Any
) -> None:
    # The two are siblings, so the table above would not notice one in the place of the other.
    assert type(drained(play([SAY, Fin()]))[1]) is StreamInterrupted
    assert type(drained(play([SAY, Cut()]))[1]) is TruncatedStream


EMPTY: dict[str, tuple[list[Any], type[Exception], str]] = {
    "an HTML page": ([HTML], ProtocolError, "an HTML page"),
    "an empty body": ([Cut()], TruncatedStream, "before any content"),
    "an empty body, by length": ([Framing("length"), Cut()], TruncatedStream, "before any content"),
    "comments only": ([Ping(3), Cut()], TruncatedStream, "before any content"),
    "done, and no content": ([Raw("data: [DONE]\n\n")], TruncatedStream, "before any content"),
    "a JSON error": ([Status(200, {"error": {"message": "no"}})], ProviderError, "no"),
    "JSON that is no answer": ([Status(200, {"hello": 1})], ProtocolError, "no answer"),
    "JSON that is cut": ([Status(200, '{"choices": [')], ProtocolError, "no answer"),
    "an error event first": ([Error("no")], ProviderError, "no"),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_answer_without_content_raises(play: Any, drained: Any, mode: str, name: str) -> None:
    script, kind, words = EMPTY[name]
    stream = play(script, mode=mode)
    text, error = drained(stream)
    assert text == ""
    assert isinstance(error, kind)
    assert words in str(error)
    assert error.partial is None or error.partial.text == ""
    assert len(play.server.requests) == 1


def test_an_answer_of_nothing_that_says_it_is_finished_is_complete(
    play: Any, drained: Any, mode: str
) -> None:
    stream = play([Finish(), Done()], mode=mode)
    assert drained(stream) == ("", None)
    assert stream.outcome == "completed"


@pytest.mark.parametrize("dialect", ["anthropic", "ollama"])
@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([SAY], None),
        ([SAY, Cut()], TruncatedStream),
        ([SAY, Fin()], StreamInterrupted),
        ([SAY, Error("broke")], ProviderError),
        ([Whole(), SAY], None),
        ([Cut()], TruncatedStream),
    ],
)
def test_other_dialects_end_by_the_same_rules(
    play: Any, drained: Any, dialect: str, script: list[Any], kind: Any
) -> None:
    text, error = drained(play(script, dialect=dialect))
    assert text == (SAID if SAY in script else "")
    assert error is None if kind is None else isinstance(error, kind)


def test_half_a_surrogate_that_is_held_comes_before_the_error(
    play: Any, drained: Any, mode: str
) -> None:
    stream = play([Text(pieces=("ab", "\ud83d")), Fin()], mode=mode)
    text, error = drained(stream)
    assert text == "ab\ufffd"
    assert error.partial.text == text


def test_a_surrogate_pair_that_was_split_is_joined(play: Any, drained: Any, mode: str) -> None:
    stream = play([Text(pieces=("ab", "\ud83d", "\ude00", "c"))], mode=mode)
    assert drained(stream) == ("ab😀c", None)
    assert stream.result().text == "ab😀c"


def test_a_clock_that_runs_out_raises_after_the_text(play: Any, drained: Any, mode: str) -> None:
    stream = play([SAY, Hang()], mode=mode, timeout=Timeouts(content=0.1))
    text, error = drained(stream)
    assert text == SAID
    assert isinstance(error, StreamTimeout)
    assert (error.clock, error.limit, error.partial.text) == ("content", 0.1, SAID)
    assert stream.outcome == "timeout"


def test_reasoning_and_refusals_are_part_of_the_result(play: Any, mode: str) -> None:
    result = play([Reasoning("hmm, so"), SAY, Refusal("I would rather not")], mode=mode).result()
    assert result.reasoning == "hmm, so"
    assert result.refusal == "I would rather not"
    assert result.text == SAID


def test_usage_after_the_finish_reason_is_waited_for(play: Any, mode: str) -> None:
    result = play([SAY, Usage(input=7, output=3, cached=2)], mode=mode).result()
    assert (result.usage.input_tokens, result.usage.output_tokens) == (7, 3)
    assert result.usage.cached_input_tokens == 2
    assert result.finish_reason == "stop"


# -- sending again


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_a_passing_failure_is_sent_again_with_the_same_bytes(
    play: Any, drained: Any, quick: RetryConfig, mode: str, status: int
) -> None:
    stream = play(scripts=[Status(status), Status(status), [SAY]], mode=mode, retry=quick)
    assert drained(stream) == (SAID, None)
    first, *others = play.server.requests
    assert len(others) == 2
    for other in others:
        assert other.body == first.body
        assert {**other.headers} == {**first.headers}
    attempts = stream.result().attempts
    assert [(a.number, a.status, a.error is None) for a in attempts] == [
        (1, status, False),
        (2, status, False),
        (3, 200, True),
    ]
    assert all(attempt.request_id for attempt in attempts)
    assert stream.metrics.retries == 2
    assert stream.metrics.errors == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_lasting_failure_is_not_sent_again(
    play: Any, drained: Any, quick: RetryConfig, status: int
) -> None:
    stream = play(Status(status), retry=quick)
    _, error = drained(stream)
    assert isinstance(error, ProviderError)
    assert error.status == status
    assert error.partial is None
    assert error.stage == "headers"
    assert len(play.server.requests) == len(error.attempts) == 1


def test_a_redirect_is_not_followed(play: Any, drained: Any, quick: RetryConfig) -> None:
    stream = play(
        Status(307, b"", headers={"location": "http://u:p@other.invalid/v1"}), retry=quick
    )
    _, error = drained(stream)
    assert "other.invalid" in str(error)
    assert "u:p" not in str(error)
    assert error.status == 307
    assert len(play.server.requests) == 1


def test_retries_end_after_max_retries(
    play: Any, drained: Any, quick: RetryConfig, mode: str
) -> None:
    stream = play(Status(500), mode=mode, retry=quick)
    _, error = drained(stream)
    assert isinstance(error, Overloaded)
    assert len(play.server.requests) == len(error.attempts) == 3
    assert error.attempts[-1].error is error
    assert [attempt.delay > 0 for attempt in error.attempts] == [True, True, False]


@pytest.mark.parametrize("retry", [None, False, RetryConfig(max_retries=0)])
def test_retries_can_be_switched_off(play: Any, drained: Any, retry: Any) -> None:
    assert isinstance(drained(play(Status(500), retry=retry))[1], Overloaded)
    assert len(play.server.requests) == 1


@pytest.mark.parametrize(
    ("status", "verdict", "requests"), [(400, "true", 3), (500, "false", 1), (500, "maybe", 3)]
)
def test_x_should_retry_wins_over_the_status(
    play: Any, drained: Any, quick: RetryConfig, status: int, verdict: str, requests: int
) -> None:
    stream = play(Status(status, headers={"x-should-retry": verdict}), retry=quick)
    assert drained(stream)[1].status == status
    assert len(play.server.requests) == requests


@pytest.mark.parametrize(
    "headers",
    [
        {"retry-after": "0"},
        {"retry-after": "0.01"},
        {"retry-after-ms": "5"},
        {"retry-after": "999", "retry-after-ms": "5"},
        {"retry-after": "-1"},
        {"retry-after": "nan"},
        {"retry-after": "inf"},
        {"retry-after": ""},
        {"retry-after": "soon"},
        {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
    ],
)
def test_retry_after_in_any_form_is_taken_or_ignored(
    play: Any, drained: Any, quick: RetryConfig, headers: dict[str, str]
) -> None:
    stream = play(scripts=[Status(429, headers=headers), [SAY]], retry=quick)
    assert drained(stream) == (SAID, None)
    assert stream.result().attempts[0].delay < 0.1


@pytest.mark.parametrize("value", ["61", "1e9", "Fri, 31 Dec 2999 23:59:59 GMT"])
def test_a_retry_after_beyond_the_bound_fails_at_once(
    play: Any, drained: Any, quick: RetryConfig, value: str
) -> None:
    stream = play(Status(429, headers={"retry-after": value}), retry=quick)
    _, error = drained(stream)
    assert isinstance(error, RateLimited)
    assert error.retry_after > 60
    assert len(play.server.requests) == 1


def test_a_wait_that_the_total_clock_forbids_is_not_begun(play: Any, drained: Any) -> None:
    stream = play(Status(429, headers={"retry-after": "30"}), retry=True, timeout=Timeouts(total=5))
    _, error = drained(stream)
    assert isinstance(error, RateLimited)
    assert error.elapsed < 5
    assert len(play.server.requests) == 1


@pytest.mark.parametrize("fault", [Fin(), Reset(), Cut()])
def test_a_break_before_content_is_sent_again(
    play: Any, drained: Any, quick: RetryConfig, mode: str, fault: Any
) -> None:
    stream = play(scripts=[[fault], [Ping(), fault], [SAY]], mode=mode, retry=quick)
    assert drained(stream) == (SAID, None)
    assert len(play.server.requests) == 3


@pytest.mark.parametrize("fault", [Fin(), Cut(), Error("broke", type="overloaded_error")])
def test_nothing_is_sent_again_after_content(
    play: Any, drained: Any, quick: RetryConfig, mode: str, fault: Any
) -> None:
    stream = play([SAY, fault], mode=mode, retry=quick)
    text, error = drained(stream)
    assert text == SAID
    assert error is not None
    assert len(play.server.requests) == 1


@pytest.mark.parametrize(
    "content",
    [Reasoning("hmm"), Tool("add", {"a": 1}), Refusal("no")],
    ids=lambda step: type(step).__name__,
)
def test_every_kind_of_content_forbids_a_retry(
    play: Any, drained: Any, quick: RetryConfig, content: Any
) -> None:
    assert drained(play([content, Fin()], retry=quick))[1] is not None
    assert len(play.server.requests) == 1


@pytest.mark.parametrize(
    ("kind", "requests"), [("overloaded_error", 3), ("server_error", 3), ("invalid_request", 1)]
)
def test_an_error_event_first_is_sent_again_if_it_is_transient(
    play: Any, drained: Any, quick: RetryConfig, kind: str, requests: int
) -> None:
    stream = play([Error("no", type=kind)], retry=quick)
    _, error = drained(stream)
    assert isinstance(error, ProviderError)
    assert len(play.server.requests) == requests
    # The server did answer these requests: the record says so.
    assert [attempt.status for attempt in error.attempts] == [200] * requests
    assert [attempt.request_id for attempt in error.attempts] == [
        f"req_local{number}" for number in range(1, requests + 1)
    ]
    assert error.request_id == f"req_local{requests}"


def test_usage_before_an_error_event_does_not_count_as_content(
    play: Any, drained: Any, quick: RetryConfig
) -> None:
    # Anthropic reports the tokens of the prompt before it says a word.
    failing = [Text(pieces=()), Error("busy", type="overloaded_error")]
    stream = play(scripts=[failing, [SAY]], dialect="anthropic", retry=quick)
    assert drained(stream) == (SAID, None)
    assert len(play.server.requests) == 2


def test_on_retry_sees_each_failed_attempt(
    play: Any, drained: Any, quick: RetryConfig, mode: str
) -> None:
    seen: list[Any] = []
    scripts = [Status(503), Status(500), [SAY]]
    stream = play(scripts=scripts, mode=mode, retry=quick, on_retry=seen.append)
    assert drained(stream) == (SAID, None)
    assert [(attempt.number, attempt.status) for attempt in seen] == [(1, 503), (2, 500)]
    assert tuple(seen) == stream.result().attempts[:2]


def test_what_on_retry_raises_ends_the_stream(
    play: Any, drained: Any, quick: RetryConfig, mode: str
) -> None:
    class Enough(Exception):
        pass

    def refuse(attempt: Any) -> None:
        raise Enough

    stream = play(Status(503), mode=mode, retry=quick, on_retry=refuse)
    _, error = drained(stream)
    assert type(error) is Enough
    assert stream.outcome == "failed"
    assert len(play.server.requests) == 1


def test_cancel_wakes_the_wait_between_two_requests(
    play: Any, mode: str, run_in_thread: Callable[..., Any]
) -> None:
    waiting = run_in_thread  # the loop runs there, the cancel here
    stream = play(Status(503, headers={"retry-after": "30"}), mode=mode, retry=True)
    task = waiting(lambda: list(stream))
    play.server.wait_request()
    play.server.wait_finished()
    stream.cancel()
    assert task.result() == []
    assert stream.outcome == "cancelled"
    assert stream.result().text == ""


def test_the_answer_of_a_retry_holds_nothing_of_the_failed_attempt(
    play: Any, quick: RetryConfig, mode: str
) -> None:
    failing = [Data({"id": "lost", "model": "lost", "choices": []}), Cut()]
    result = play(scripts=[failing, [SAY]], mode=mode, retry=quick).result()
    assert result.text == SAID
    assert result.id == "chatcmpl-local2"
    assert result.request_id == "req_local2"
    assert result.model == "m"


def test_bytes_of_all_attempts_are_counted(play: Any, quick: RetryConfig, mode: str) -> None:
    stream = play(scripts=[[Ping(), Cut()], [SAY]], mode=mode, retry=quick)
    stream.result()
    assert play.server.wait_finished() is not None
    assert stream.metrics.bytes_received == sum(r.sent for r in play.server.requests)


def test_an_invalid_request_is_named_as_such(play: Any, drained: Any) -> None:
    _, error = drained(play(Status(400, {"error": {"message": "no such thing", "code": "x"}})))
    assert isinstance(error, InvalidRequest)
    assert error.code == "x"
    assert "openai answered 400: no such thing (code x" in str(error)


def test_a_gate_shows_that_text_is_there_before_the_answer_ends(play: Any, mode: str) -> None:
    stream = play([Text("one"), Gate(), Text(" two")], mode=mode)
    pieces = iter(stream)
    assert next(pieces) == "one"
    play.server.release()
    assert "".join(pieces) == " two"
