"""A broken answer is carried on: joined exactly where that can be, and every seam is reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

import pytest

from streamkit import (
    AuthenticationError,
    Chunk,
    ConfigurationError,
    LimitExceeded,
    Overloaded,
    ProtocolError,
    RateLimited,
    RecoveryConfig,
    RecoveryFailed,
    RetryConfig,
    Seam,
    StopConfig,
    StreamInterrupted,
    StreamRecovery,
    StreamTimeout,
    TransportError,
    TruncatedStream,
    follow,
)
from streamkit.store import MemoryStore
from streamkit.testing import (
    FAULTS,
    BeforeHeaders,
    Cut,
    Data,
    Done,
    Error,
    Fin,
    Finish,
    Gate,
    Hang,
    Ping,
    Raw,
    Reasoning,
    RecordedRequest,
    Repeat,
    Reset,
    Status,
    Step,
    Text,
    Tool,
    Usage,
)

QUICK = RetryConfig(initial=0.001, cap=0.002)
PIECES = (
    "Rivers meander: ", "the outer ", "bank ", "erodes ", "fäster 😀 ", "than the inner.", "\n",
    "\n", "Silt settles ", "where the water ", "is slow,", " so each bend ", "grows.\n\n",
    "One day ", "the neck is ", "cut off.",
)  # fmt: skip
WHOLE = "".join(PIECES)
BREAKS: dict[str, tuple[Step, ...]] = {
    "reset": (Reset(),),
    "fin": (Fin(),),
    "no finish": (Cut(),),
    "error event": (Error("busy", type="overloaded_error"),),
}


def said(request: RecordedRequest) -> str:
    """The text that a request shows the model as its own so far, put together again."""
    messages = request.json["messages"]
    if messages[-1]["role"] == "assistant":
        return str(messages[-1]["content"])
    shown = next((m["content"] for m in messages if m["role"] == "assistant"), "")
    quoted = messages[-1]["content"].partition("<<<")[2].partition(">>>")[0]
    return shown + ("\n\n" if quoted else "") + quoted


class Model:
    """A provider that answers with WHOLE, breaks, and goes on from what it is shown."""

    def __init__(self, cuts: list[int], how: tuple[Step, ...], repeat: int = 0) -> None:
        self._cuts = iter(cuts)
        self._how = how
        self._repeat = repeat
        self.shown: list[str] = []

    def __call__(self, request: RecordedRequest) -> list[Step]:
        start = 0
        if len(request.json["messages"]) > 1:
            self.shown.append(said(request))
            assert WHOLE.startswith(self.shown[-1])
            start = max(0, len(self.shown[-1]) - self._repeat)
        end = next(self._cuts, len(WHOLE))
        return [Text(pieces=pieces(start, end)), *(self._how if end < len(WHOLE) else ())]


def pieces(start: int, end: int) -> tuple[str, ...]:
    """WHOLE from one place to another, cut as PIECES are."""
    found, at = [], 0
    for piece in PIECES:
        part = piece[max(0, start - at) : max(0, end - at)]
        found += [part] if part else []
        at += len(piece)
    return tuple(found)


EDGES = [len("".join(PIECES[:n])) for n in range(1, len(PIECES))]


@pytest.fixture
def ask(play: Any) -> Iterator[Callable[..., Any]]:
    def opened(script: Any = None, *, scripts: Any = None, **keywords: Any) -> Any:
        keywords.setdefault("retry", QUICK)
        keywords.setdefault("recovery", True)
        return play(script, scripts=scripts, **keywords)

    opened.server = lambda: play.server  # type: ignore[attr-defined]
    yield opened


@pytest.mark.parametrize("strategy", ["exact", "paragraph", "summarize"])
@pytest.mark.parametrize("repeat", [0, 20, 57, 200], ids=lambda n: f"repeats {n}")
def test_an_answer_cut_at_every_event_boundary_is_whole_again(
    ask: Any, strategy: str, repeat: int
) -> None:
    for cut in EDGES:
        if 0 < cut < repeat:
            continue
        model = Model([cut], (Reset(),), repeat)
        answer = ask(model, recovery={"strategy": strategy})
        assert "".join(answer) == WHOLE
        result = answer.result()
        (seam,) = result.recoveries
        assert (seam.at, seam.attempt, seam.trimmed) == (cut, 2, repeat)
        assert seam.how == ("overlap" if repeat else "appended")
        assert seam.error is not None and seam.error.startswith("StreamInterrupted: ")
        assert result.text == WHOLE and result.outcome == "completed"
        assert model.shown == [WHOLE[:cut]]


@pytest.mark.parametrize("came", [20, 40, 56, 57, 58, 80])
def test_an_attempt_that_breaks_while_it_repeats_shows_nothing_twice(ask: Any, came: int) -> None:
    cut, again = 100, 57
    model = Model([cut, cut - again + came], (Cut(),), again)
    answer = ask(model)
    assert "".join(answer) == WHOLE == answer.result().text
    assert model.shown == [WHOLE[:cut], WHOLE[: max(cut, cut - again + came)]]


@pytest.mark.parametrize("how", BREAKS)
def test_every_kind_of_break_is_carried_on_in_every_mode(ask: Any, how: str, mode: str) -> None:
    answer = ask(Model([30, 70, 110], BREAKS[how]), mode=mode)
    assert "".join(answer) == WHOLE
    assert [seam.at for seam in answer.result().recoveries] == [30, 70, 110]
    assert [made.error is None for made in answer.result().attempts] == [False] * 3 + [True]


@pytest.mark.parametrize("steps", [(Hang(),), (Repeat([Ping(), Gate()]),)], ids=["wire", "content"])
def test_a_stall_is_carried_on(ask: Any, steps: tuple[Step, ...], mode: str) -> None:
    answer = ask(Model([30], steps), mode=mode, timeout={"content": 0.05, "wire": 5.0})
    assert "".join(answer) == WHOLE
    assert answer.result().recoveries[0].error.startswith("StreamTimeout: ")


def test_a_text_may_be_cut_in_the_middle_of_everything(ask: Any, mode: str) -> None:
    for cut in range(1, len(WHOLE)):
        answer = ask(Model([cut, cut + 1], (Reset(),)), mode=mode)
        assert "".join(answer) == WHOLE, cut
        answer.close()


def test_the_seam_is_a_chunk_that_stands_where_it_is(ask: Any, mode: str) -> None:
    answer = ask(Model([30], (Reset(),)), mode=mode)
    before, seams, after = "", [], ""
    for chunk in answer.chunks():
        if chunk.kind == "retry":
            seams.append(chunk.metadata["seam"])
        elif seams:
            after += chunk.content
        else:
            before += chunk.content
    assert (before, after) == (WHOLE[:30], WHOLE[30:])
    assert seams == list(answer.result().recoveries)
    assert isinstance(seams[0], Seam)


def test_units_are_not_torn_at_a_seam(ask: Any, mode: str) -> None:
    whole = list(ask([Text(pieces=PIECES)], units="sentence", mode=mode))
    for cut in (5, 30, 61, 80):
        assert list(ask(Model([cut], (Reset(),)), units="sentence", mode=mode)) == whole


def test_what_a_unit_holds_comes_out_when_recovery_fails(ask: Any, mode: str) -> None:
    answer = ask([Text("One sentence. And half"), Reset()], units="sentence", mode=mode)
    got: list[str] = []
    with pytest.raises(RecoveryFailed):
        for text in answer:
            got.append(text)
    assert got[0] == "One sentence. "
    assert "".join(got).startswith("One sentence. And half")


def test_a_model_that_diverges_goes_on_after_a_seam_that_says_so(ask: Any) -> None:
    other = WHOLE[:25] + " for no reason at all."
    answer = ask(scripts=[[Text(WHOLE[:60]), Reset()], [Text(other)]], units="sentence")
    assert "".join(answer) == WHOLE[:60] + other
    assert [seam.how for seam in answer.result().recoveries] == ["diverged"]


def test_a_character_cut_in_half_is_joined_or_begun_again(ask: Any) -> None:
    for rest in ("\ude00 fine", "\U0001f600 fine"):
        first = [Text(pieces=("So ", "\ud83d")), Reset()]
        answer = ask(scripts=[first, [Text(pieces=(rest[0], rest[1:]))]])
        assert "".join(answer) == "So \U0001f600 fine"


def test_a_stop_string_is_found_across_the_seam(ask: Any) -> None:
    scripts = [[Text("one two ST"), Reset()], [Text("OP three")]]
    answer = ask(scripts=scripts, stop_when="STOP")
    assert "".join(answer) == "one two "
    assert answer.result().outcome == "stopped"


def test_thinking_alone_is_asked_for_again(ask: Any) -> None:
    first = [Reasoning("Let me see"), Reset()]
    answer = ask(scripts=[first, [Reasoning("Let me see"), Text("Yes.")]], dialect="anthropic")
    assert "".join(answer) == "Yes."
    result = answer.result()
    assert [seam.how for seam in result.recoveries] == ["again"]
    assert len({request.body for request in ask.server().requests}) == 1


def test_what_came_without_a_text_counts_no_more_once_it_is_asked_for_again(
    ask: Any, mode: str
) -> None:
    source = {"choices": [{"index": 0, "delta": {"annotations": [{"type": "url_citation"}]}}]}
    first = [Data(source), Reasoning(pieces=("Let me ", "see")), Reset()]
    again = [Data(source), Reasoning("Let me see it"), Text("Yes.")]
    answer = ask(scripts=[first, again], mode=mode)
    thought, seams = "", 0
    for chunk in answer.chunks():
        if chunk.kind == "retry":
            assert thought == "Let me see" and not seams
            thought, seams = "", seams + 1
        thought += chunk.content if chunk.kind == "reasoning" else ""
    result = answer.result()
    assert result.reasoning == thought == "Let me see it"
    assert len(result.citations) == 1 == len(result.recoveries)


def test_a_refusal_that_was_cut_is_made_anew(ask: Any) -> None:
    def refused(text: str) -> Data:
        return Data({"choices": [{"index": 0, "delta": {"refusal": text}}]})

    whole = [refused("I can"), refused("not."), Finish()]
    answer = ask(scripts=[[refused("I can"), Reset()], whole])
    assert answer.result().refusal == "I cannot."
    assert [seam.how for seam in answer.result().recoveries] == ["again"]


def test_a_tool_call_that_was_cut_is_made_anew(ask: Any, mode: str) -> None:
    call = Tool("weather", '{"city": "Paris"}', size=4)
    cut = Tool("weather", '{"city": "Pa', size=4)
    answer = ask(scripts=[[Text("I look."), cut, Reset()], [call]], mode=mode)
    kinds = [chunk.kind for chunk in answer.chunks()]
    result = answer.result()
    assert result.text == "I look."
    assert [c.parsed for c in result.tool_calls] == [{"city": "Paris"}]
    assert result.outcome == "tool_calls"
    assert result.recoveries[0].abandoned == 1
    assert kinds.index("retry") < len(kinds) - 1 - kinds[::-1].index("tool_call")


def test_a_cut_tool_call_stays_known_when_nothing_more_comes(ask: Any) -> None:
    cut = Tool("weather", '{"city": "Pa', size=4)
    answer = ask(scripts=[[cut, Reset()], Status(401)])
    with pytest.raises(RecoveryFailed):
        answer.result()
    assert answer.partial.tool_calls[0].arguments == '{"city": "Pa'


def test_usage_of_all_attempts_is_summed(ask: Any) -> None:
    used = Usage(7, 5)
    scripts = [[Text(WHOLE[:30]), used, Reset()], [Text(WHOLE[30:]), used]]
    result = ask(scripts=scripts, dialect="anthropic").result()
    assert result.text == WHOLE
    assert result.usage.input_tokens == 14
    assert result.usage.output_tokens is not None and result.usage.output_tokens > 5


@pytest.mark.parametrize("how", BREAKS)
def test_the_last_counts_before_a_break_are_those_that_count(ask: Any, how: str, mode: str) -> None:
    def said(text: str, count: int, **more: Any) -> Data:
        counts = {"promptTokenCount": 7, "candidatesTokenCount": count}
        candidate = {"index": 0, "content": {"parts": [{"text": text}]}, **more}
        names = {"modelVersion": "m", "responseId": "r"}
        return Data({"candidates": [candidate], "usageMetadata": counts, **names})

    first = [said("one", 1), said(" two", 2), said(" three", 3), *BREAKS[how]]
    rest = [said(" four", 1, finishReason="STOP"), Cut()]
    alone = ask(scripts=[first], dialect="gemini", recovery=None, mode=mode)
    with pytest.raises(Exception):  # noqa: B017 - which one is not what this is about
        alone.result()
    assert (alone.partial.usage.input_tokens, alone.partial.usage.output_tokens) == (7, 3)
    answer = ask(scripts=[first, rest], dialect="gemini", mode=mode)
    assert "".join(answer) == "one two three four"
    usage = answer.result().usage
    assert (usage.input_tokens, usage.output_tokens) == (14, 4)


def test_the_bill_is_the_sum_of_all_attempts_too(ask: Any) -> None:
    used = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.25}}
    scripts = [[Text(WHOLE[:30]), Data(used), Cut()], [Text(WHOLE[30:]), Data(used)]]
    assert ask(scripts=scripts).result().cost == 0.5


def test_an_attempt_cut_while_it_repeats_is_forgotten_by_the_next(ask: Any, mode: str) -> None:
    shown: list[str] = []

    def script(request: RecordedRequest) -> list[Step]:
        if len(request.json["messages"]) > 1:
            shown.append(said(request))
        start, end = [(0, 100), (40, 80), (100, len(WHOLE))][len(shown)]
        return [Text(WHOLE[start:end]), *((Cut(),) if end < len(WHOLE) else ())]

    answer = ask(script, mode=mode)
    assert "".join(answer) == WHOLE
    assert shown == [WHOLE[:100]] * 2
    assert [(seam.attempt, seam.at) for seam in answer.result().recoveries] == [(3, 100)]


def test_what_was_held_of_it_is_known_when_nothing_more_comes(ask: Any, mode: str) -> None:
    scripts = [[Text(WHOLE[:100]), Cut()], [Text(WHOLE[40:80]), Cut()], Status(401)]
    answer = ask(scripts=scripts, mode=mode)
    with pytest.raises(RecoveryFailed) as caught:
        answer.result()
    assert caught.value.partial is not None
    assert caught.value.partial.text == WHOLE[:100] + WHOLE[40:80]
    assert [seam.attempt for seam in caught.value.partial.recoveries] == [2]


# -- when it cannot be


def test_attempts_used_up_raise_recovery_failed_with_everything(ask: Any, mode: str) -> None:
    answer = ask(Model([20, 40, 60, 80], (Reset(),)), mode=mode)
    got = ""
    with pytest.raises(RecoveryFailed) as caught:
        for text in answer:
            got += text
    error = caught.value
    assert got == WHOLE[:80] == error.partial.text  # type: ignore[union-attr]
    assert len(error.attempts) == 4
    assert isinstance(error.__cause__, StreamInterrupted)
    assert [seam.at for seam in error.partial.recoveries] == [20, 40, 60]  # type: ignore[union-attr]
    assert "in 3 more requests" in str(error)
    assert answer.outcome == "transport_error"
    assert answer.result is not None


@pytest.mark.parametrize("times", [1, 2])
def test_a_service_that_is_busy_when_asked_for_the_rest_is_asked_again(
    ask: Any, times: int
) -> None:
    busy = [Status(503), Status(429, headers={"retry-after": "0"})][:times]
    answer = ask(scripts=[[Text(WHOLE[:30]), Reset()], *busy, [Text(WHOLE[30:])]])
    assert answer.result().text == WHOLE
    errors = [type(made.error) for made in answer.result().attempts]
    assert errors == [StreamInterrupted, *[Overloaded, RateLimited][:times], type(None)]


def test_a_key_that_is_refused_meanwhile_ends_it(ask: Any) -> None:
    answer = ask(scripts=[[Text(WHOLE[:30]), Reset()], Status(401)])
    with pytest.raises(RecoveryFailed) as caught:
        answer.result()
    assert isinstance(caught.value.__cause__, AuthenticationError)
    assert caught.value.partial.text == WHOLE[:30]  # type: ignore[union-attr]
    assert answer.outcome == "provider_error"
    assert len(caught.value.attempts) == 2


@pytest.mark.parametrize(
    "fault", ["html-200", "redirect", "banner", "gzip-lie", "invalid-json", "bad-chunk-size"]
)
def test_whatever_is_wrong_with_the_rest_it_could_not_be_carried_on(ask: Any, fault: str) -> None:
    answer = ask(scripts=[[Text(WHOLE[:30]), Reset()], FAULTS[fault]])
    with pytest.raises(RecoveryFailed) as caught:
        answer.result()
    assert isinstance(caught.value.__cause__, (ProtocolError, TransportError))
    assert caught.value.partial.text.startswith(WHOLE[:30])  # type: ignore[union-attr]
    assert caught.value.outcome == caught.value.__cause__.outcome == answer.outcome
    assert len(caught.value.attempts) == 2


@pytest.mark.parametrize(
    ("steps", "kind"),
    [
        ((Error("bad", type="invalid_request_error"),), "InvalidRequest"),
        ((Text("x", size=1), Finish("length")), None),
    ],
    ids=["a refusal", "length"],
)
def test_what_is_no_break_is_not_carried_on(ask: Any, steps: Any, kind: str | None) -> None:
    answer = ask(scripts=[[Text(WHOLE[:30]), *steps], [Text("never")]])
    error = None
    try:
        answer.result()
    except Exception as raised:
        error = raised
    assert (None if error is None else type(error).__name__) == kind
    assert len(answer.partial.attempts) == 1 and answer.partial.recoveries == ()


def test_what_a_users_function_raises_stays_itself(ask: Any) -> None:
    mine = StreamInterrupted("mine")

    def check(chunk: Any) -> bool:
        if "boom" in chunk.content:
            raise mine
        return True

    stream = ask(scripts=[[Text("Hello"), Reset()], [Text(" boom")]], validate=check)
    with pytest.raises(StreamInterrupted) as raised:
        list(stream)
    assert raised.value is mine


def test_what_a_users_function_raises_during_the_wait_ends_it(ask: Any, mode: str) -> None:
    class Broken:
        def feed(self, text: str) -> list[str]:
            return []

        def flush(self) -> str:
            return ""

        def release(self) -> str:
            raise KeyError("mine")

    stream = ask(
        scripts=[[Text("Hello"), Reset()], [Text(" there")]],
        units=Broken, max_wait=0.05, mode=mode, retry={"initial": 30.0, "cap": 30.0},
    )  # fmt: skip
    with pytest.raises(KeyError, match="mine"):
        stream.result(10)
    assert len(ask.server().requests) == 1


def test_what_was_held_is_shown_where_the_service_cannot_be_asked(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask_for(*_: Any) -> Any:
        raise ConfigurationError("no way to say that")

    monkeypatch.setattr("streamkit.pipeline.http.HttpSource.ask", ask_for)
    stream = ask([Reasoning("hm"), Text("<thi"), Reset()], think=True)
    shown = []
    with pytest.raises(RecoveryFailed) as raised:
        shown += stream
    assert "".join(shown) == "<thi" == raised.value.partial.text


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_tag_of_thinking_that_was_cut_is_not_the_answers(ask: Any, cut: int) -> None:
    said = "<think>Hm, so.</think>Yes, it does."

    def script(request: RecordedRequest) -> list[Step]:
        if len(ask.server().requests) == 1:
            return [Text(said[:cut], size=1), Reset()]
        if len(request.json["messages"]) == 1:
            return [Text(said, size=1)]
        return [Text(said[22 + len(request.json["messages"][1]["content"]) :])]

    answer = ask(script, think=True)
    assert "".join(answer) == "Yes, it does."
    assert answer.result().reasoning == "Hm, so."


def test_the_total_clock_ends_recovery_too(ask: Any) -> None:
    answer = ask([Text("Hi"), Hang()], timeout={"content": 0.03, "total": 0.3})
    with pytest.raises((StreamTimeout, RecoveryFailed)):
        answer.result()
    assert answer.partial.text.startswith("Hi")


def test_limits_are_not_gone_around(ask: Any) -> None:
    from streamkit import Limits, StreamOptions

    options = StreamOptions(
        limits=Limits(answer=100), retry=QUICK, recovery=RecoveryConfig(strategy="exact")
    )
    answer = ask(Model([60], (Reset(),)), options=options)
    with pytest.raises(LimitExceeded):
        answer.result()


def test_without_recovery_a_broken_answer_raises_as_before(ask: Any, mode: str) -> None:
    answer = ask([Text("Hi"), Cut()], recovery=None, mode=mode)
    with pytest.raises(TruncatedStream):
        answer.result()


def test_before_the_first_content_it_is_a_retry_and_no_recovery(ask: Any) -> None:
    answer = ask(scripts=[[Reset()], [Text(WHOLE)]])
    assert answer.result().text == WHOLE
    assert answer.result().recoveries == ()


def test_on_retry_is_told_of_each_broken_attempt(ask: Any) -> None:
    told: list[int] = []
    answer = ask(Model([20, 40], (Reset(),)), on_retry=lambda attempt: told.append(attempt.number))
    assert answer.result().text == WHOLE
    assert told == [1, 2]
    assert answer.metrics.retries == 2


def test_cancel_ends_the_wait_for_the_next_attempt(
    ask: Any, run_in_thread: Any, until: Any, threaded: str
) -> None:
    answer = ask([Text("Hi"), Reset()], retry={"initial": 60.0, "cap": 60.0}, mode=threaded)
    got: list[str] = []
    task = run_in_thread(lambda: [got.append(text) for text in answer])
    until(lambda: bool(got) and answer.partial.attempts[0].error is not None)
    answer.cancel()
    task.result(5)
    assert got == ["Hi"]
    assert answer.outcome == "cancelled"


def test_what_is_due_meanwhile_is_shown_during_the_wait(ask: Any, threaded: str) -> None:
    answer = ask(
        [Text("Hello wor"), Reset()], units="sentence", max_wait=0.02, mode=threaded,
        retry={"initial": 30.0, "cap": 30.0},
    )  # fmt: skip
    assert next(iter(answer)) == "Hello wor"
    answer.cancel()


@pytest.mark.parametrize("ends", ["failed", "stopped"])
def test_what_came_due_in_the_read_that_broke_is_shown_where_no_rest_comes(
    ask: Any, mode: str, until: Any, ends: str, time_scale: float
) -> None:
    how: dict[str, Any] = {"retry": QUICK}
    if ends == "stopped":
        how = {"retry": {"initial": 30.0}, "stop_when": StopConfig(max_seconds=0.3 * time_scale)}
    script = [Text(pieces=("Hello ", "wor")), Gate(), Reset()]
    answer = ask(scripts=[script, [Status(503)]], units="word", max_wait=0.01, mode=mode, **how)
    shown: list[str] = []
    answer.on_text(shown.append).start()
    until(lambda: answer.metrics.chunks_received == 2)
    ask.server().release()
    with suppress(RecoveryFailed):
        answer.wait(5)
    assert "".join(shown) == answer.partial.text == "Hello wor"


class Raises:
    """A transform that lets all pass, and raises a moment after the last of it."""

    def __init__(self) -> None:
        self._due: float | None = None

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        if any("wor" in chunk.content for chunk in chunks):
            self._due = monotonic() + 0.05
        return chunks

    def flush(self) -> list[Chunk]:
        return []

    def due(self) -> float | None:
        return self._due

    def tick(self, now: float) -> list[Chunk]:
        if self._due is not None and now >= self._due:
            raise KeyError("mine")
        return []


@pytest.mark.parametrize("word", ["stop", "transform", "stop before the headers"])
def test_what_is_held_is_shown_where_the_user_ends_the_wait(
    ask: Any, word: str, mode: str, time_scale: float
) -> None:
    ends: dict[str, Any] = {"stop_when": StopConfig(max_seconds=0.2 * time_scale)}
    if word == "transform":
        ends = {"transform": Raises()}
    retry = QUICK if word.endswith("headers") else {"initial": 30.0, "cap": 30.0}
    answer = ask(
        scripts=[[Text(pieces=("Hello ", "wor")), Reset()], [BeforeHeaders([Hang()])]],
        units="word", mode=mode, retry=retry, **ends,
    )  # fmt: skip
    shown: list[str] = []
    with suppress(KeyError):
        shown.extend(answer)
    assert "".join(shown) == answer.partial.text == "Hello wor"
    assert answer.outcome == ("failed" if word == "transform" else "stopped")


def test_what_came_due_while_the_rest_was_asked_for_is_shown_where_time_is_up(
    ask: Any, mode: str, time_scale: float
) -> None:
    answer = ask(
        scripts=[[Text(pieces=("Hello ", "wor")), Reset()], [BeforeHeaders([Hang()])]],
        units="word", max_wait=0.15 * time_scale, mode=mode,
        stop_when=StopConfig(max_seconds=0.3 * time_scale),
    )  # fmt: skip
    assert "".join(answer) == answer.result().text == "Hello wor"
    assert answer.outcome == "stopped"


# -- prefill, and a service that refuses it


@pytest.mark.parametrize("cut", [15, 16, 62, 63, 64])
def test_a_prefill_goes_on_with_the_models_own_words(ask: Any, cut: int) -> None:
    model = Model([cut], (Reset(),))
    model_text = WHOLE[:cut]

    def script(request: RecordedRequest) -> list[Step]:
        steps = model(request)
        if model.shown and model.shown[-1] != model_text:  # blanks at the end are not sent
            assert model.shown[-1] == model_text.rstrip()
        return steps

    answer = ask(script, dialect="anthropic")
    assert "".join(answer) == WHOLE
    assert answer.result().recoveries[0].how == "prefill"


def test_a_service_that_refuses_a_prefill_is_asked_in_words(ask: Any) -> None:
    def script(request: RecordedRequest) -> Any:
        messages = request.json["messages"]
        if len(messages) == 1:
            return [Text(WHOLE[:30]), Reset()]
        if messages[-1]["role"] == "assistant":
            return Status(400)
        return [Text(WHOLE[30:])]

    answer = ask(script, dialect="anthropic")
    assert "".join(answer) == WHOLE
    assert [seam.how for seam in answer.result().recoveries] == ["appended"]
    assert [made.status for made in answer.result().attempts] == [200, 400, 200]


@pytest.mark.parametrize("strategy", ["exact", "paragraph", "summarize"])
def test_a_service_that_takes_one_message_is_asked_in_it(ask: Any, strategy: str) -> None:
    asked: list[str] = []

    def script(request: RecordedRequest) -> Any:
        asked.append(request.json["prompt"])
        return [Text(WHOLE[30:])] if len(asked) > 1 else [Text(WHOLE[:30]), Reset()]

    answer = ask(script, dialect="ollama", api="generate", recovery={"strategy": strategy})
    assert "".join(answer) == WHOLE
    assert [seam.how for seam in answer.result().recoveries] == ["appended"]
    assert asked[1].startswith("Hi\n\n") and f"<<<{WHOLE[:30]}>>>" in asked[1]


def test_what_was_asked_is_counted_where_there_is_no_way_left(ask: Any) -> None:
    answer = ask(scripts=[[Text(WHOLE[:30]), Reset()], Status(400)], api="completions")
    with pytest.raises(RecoveryFailed) as caught:
        answer.result()
    assert "in 1 more request; the last one ended with: openai" in str(caught.value)
    assert "there is no way to ask for the rest: openai completions" in str(caught.value)
    assert len(ask.server().requests) == 2


def test_the_coordinator_carries_on_with_the_users_own_request(play: Any) -> None:
    from streamkit import StreamingCoordinator

    server = play.serve(Model([30], (Reset(),)))
    got: list[str] = []
    with StreamingCoordinator() as coordinator:
        result = coordinator.simple_stream(
            server.base_url() + "/chat/completions",
            {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]},
            {},
            lambda chunk: got.append(chunk.content),
            parse_chunk=lambda data: json.loads(data)["choices"][0]["delta"].get("content"),
            stream_recovery=True,
            retry=QUICK,
        )
    assert result.text == "".join(got) == WHOLE
    assert len(server.requests) == 2 and server.requests[1].json["model"] == "m"


def test_a_source_that_the_rest_cites_again_is_listed_once(ask: Any) -> None:
    cites = [
        {"choices": [{"index": 0, "delta": {"annotations": [{"type": "url_citation", "n": n}]}}]}
        for n in (1, 2)
    ]
    first = [Data(cites[0]), Text(WHOLE[:100]), Cut()]
    store = MemoryStore()
    kept = {"store": store, "id": "a"}
    rest = [*map(Data, cites), Text(WHOLE[100:]), Data(cites[0])]
    answer = ask(scripts=[first, rest], recovery=kept)
    own = answer.result()
    for result in (own, follow(store, "a").result(), StreamRecovery(store).partial("a")):
        assert [source["n"] for source in result.citations] == [1, 2]
    store.close()


@pytest.mark.parametrize("blank", ["\n", " \n\n"])
def test_an_answer_of_blanks_is_asked_for_again(ask: Any, blank: str, mode: str) -> None:
    said = f"{blank}<think>Hm, so.</think>Yes."
    cut = [Text(blank), Text("<think>Hm, "), Reset()]
    answer = ask(scripts=[cut, [Text(said, size=1)]], think=True, mode=mode)
    assert "".join(answer) == answer.result().text == f"{blank}Yes."
    assert answer.result().reasoning == "Hm, so."
    assert [(seam.how, seam.trimmed) for seam in answer.result().recoveries] == [
        ("again", len(blank))
    ]
    assert len({request.body for request in ask.server().requests}) == 1


def test_what_comes_before_the_text_does_not_hide_that_it_repeats(ask: Any) -> None:
    source = {"type": "url_citation", "url_citation": {"url": "https://example.com"}}
    delta = {"choices": [{"index": 0, "delta": {"annotations": [source]}}]}
    answer = ask(scripts=[[Text(WHOLE[:100]), Cut()], [Data(delta), Text(WHOLE[40:])]])
    assert "".join(answer) == WHOLE
    assert len(answer.result().citations) == 1
    assert [seam.how for seam in answer.result().recoveries] == ["overlap"]


def test_a_quiet_end_of_the_rest_still_tells_the_seam(ask: Any) -> None:
    answer = ask(scripts=[[Text(WHOLE), Reset()], [Finish(), Done()]])
    assert "".join(answer) == WHOLE
    assert [seam.at for seam in answer.result().recoveries] == [len(WHOLE)]


# -- the rest of the very same answer

RESUMABLE: dict[str, dict[str, Any]] = {
    "responses": {"api": "responses", "extra_body": {"background": True}},
    "llamacpp": {"dialect": "llamacpp", "extra_headers": {"X-Conversation-Id": "c1"}},
}


@pytest.mark.parametrize("service", RESUMABLE)
def test_a_service_that_keeps_the_answer_sends_the_rest_of_it(
    ask: Any, service: str, mode: str
) -> None:
    call = Tool("weather", '{"city": "Paris"}', size=4)
    half = Text(pieces=("\ud83d", "\ude00"))
    script = [Text(WHOLE[:30]), Reset(), Text(WHOLE[30:]), half, Cut(), call, Reset()]
    answer = ask(script, mode=mode, **RESUMABLE[service])
    assert "".join(answer) == WHOLE + "\U0001f600"
    result = answer.result()
    assert [seam.how for seam in result.recoveries][:1] == ["resumed"]
    assert {seam.how for seam in result.recoveries} == {"resumed"}
    assert [c.parsed for c in result.tool_calls] == [{"city": "Paris"}]
    assert [request.method for request in ask.server().requests] == ["POST", *["GET"] * 3]


@pytest.mark.parametrize("how", ["reset", "fin", "no finish"])
@pytest.mark.parametrize("cut", range(1, 57, 5))
def test_an_event_that_was_cut_is_whole_when_the_rest_of_its_bytes_comes(
    ask: Any, how: str, cut: int
) -> None:
    torn = 'data: {"choices":[{"index":0,"delta":{"content":" two"}}]}\n\n'
    script = [Text("one"), Raw(torn[:cut]), *BREAKS[how], Raw(torn[cut:]), Text(" three")]
    answer = ask(script, **RESUMABLE["llamacpp"])
    assert "".join(answer) == "one two three"
    assert [seam.how for seam in answer.result().recoveries] == ["resumed"]


@pytest.mark.parametrize("service", RESUMABLE)
@pytest.mark.parametrize("status", [400, 404])
def test_a_service_that_has_forgotten_the_answer_is_asked_for_it_anew(
    ask: Any, service: str, status: int
) -> None:
    scripts = [[Text(WHOLE[:30]), Reset()], Status(status), [Text(WHOLE[30:])]]
    answer = ask(scripts=scripts, **RESUMABLE[service])
    assert "".join(answer) == WHOLE
    assert [made.status for made in answer.result().attempts] == [200, status, 200]
    assert answer.result().recoveries[0].how in ("prefill", "appended")
