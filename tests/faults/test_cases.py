"""
Every named fault in every mode and every style of wire: one ending, which is the right one.

What it has to be stands in fault_cases.py.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from fault_cases import CASES, CLOCKS, LIMITS, STYLES, Case, check_clean

from streamkit import (
    Limits,
    StreamInterrupted,
    StreamkitError,
    StreamOptions,
    StreamTimeout,
    Timeouts,
    TruncatedStream,
)
from streamkit.testing import FAULTS, LocalProvider

MODES = ("direct", "buffered", "managed")
#: Cases that wait for a clock are tried in every mode in one style, in every style in one mode.
TRIED = [
    (fault, style, mode)
    for fault, case in CASES.items()
    for style in case.styles
    for mode in MODES
    if not case.slow or style == "openai" or mode == "buffered"
]


def options(case: Case, scale: float) -> StreamOptions:
    """The limits, and the clocks of a case; on a slow machine they are longer."""
    given = {**CLOCKS, **case.clocks} if case.slow else {}
    clocks = {name: None if s is None else s * scale for name, s in given.items()}
    return StreamOptions(timeout=Timeouts(**clocks), limits=Limits(**LIMITS))


def read(stream: Any) -> tuple[str, StreamkitError | None]:
    """Everything a loop gets, and what it raised."""
    text = ""
    try:
        for piece in stream:
            text += piece
    except StreamkitError as error:
        return text, error
    return text, None


def test_every_fault_has_its_case() -> None:
    assert list(CASES) == list(FAULTS)
    assert {style for case in CASES.values() for style in case.styles} == set(STYLES)


@pytest.mark.parametrize(("fault", "style", "mode"), TRIED)
def test_a_fault_gives_what_its_case_says(
    ask: Any, serve: Callable[..., LocalProvider], fault: str, style: str, mode: str,
    time_scale: float,
) -> None:  # fmt: skip
    case = CASES[fault]
    server = serve(FAULTS[fault])
    ends: list[Any] = []
    heard: list[BaseException] = []
    stream = ask(
        server, mode, style, options=options(case, time_scale),
        on_end=ends.append, on_error=heard.append,
    )  # fmt: skip
    text, error = read(stream)
    check_text(case, text, stream)
    if error is None:
        assert case.gives is None, f"ended quietly, {stream.outcome}"
        assert heard == []
        assert stream.result().text == text
    else:
        check_error(case, error, style, f"127.0.0.1:{server.port}")
        check_clean(error)
        assert heard == [error]
        check_told_again(stream, error, text)
        assert ask.key not in "".join((str(error), repr(error), *traceback.format_exception(error)))
    assert stream.outcome == case.outcome
    assert ends == [stream.partial]
    assert stream.done and list(stream) == []
    assert len(server.requests) <= 1
    ask.client.close()  # a connection that was kept for the next stream is closed now
    assert server.wait_idle()


def check_text(case: Case, text: str, stream: Any) -> None:
    if case.endless:
        assert text and text == (case.endless * (len(text) // len(case.endless) + 1))[: len(text)]
    else:
        assert text == case.text
    assert stream.partial.text == text


def check_error(case: Case, error: StreamkitError, style: str, host: str) -> None:
    assert case.gives is not None, repr(error)
    assert type(error) is case.instead.get(style, case.gives), repr(error)
    says = case.says.replace("HOST", re.escape(host)) + told_of_a_cut(case, error)
    assert re.fullmatch(says, str(error)), str(error)
    assert str(error).isprintable()
    assert case.stage in (None, error.stage)
    for name, value in case.details.items():
        assert getattr(error, name) == value
    assert error.outcome == case.outcome
    assert error.provider == style and error.stream_id
    assert error.elapsed is not None and len(error.attempts) == 1


def told_of_a_cut(case: Case, error: StreamkitError) -> str:
    """What the message says beside what happened (P36): how much came, of what, and what to do."""
    cut = isinstance(error, (TruncatedStream, StreamInterrupted, StreamTimeout))
    if not cut or error.partial is None or not error.partial.text:
        return ""
    seconds = "" if isinstance(error, StreamTimeout) else r" in \d+\.\d s"
    hint = "" if case.details == {"clock": "total"} else "; recovery=True carries such answers on"
    request = "" if error.request_id is None else f", request {error.request_id}"
    return rf", after {len(error.partial.text):,} characters{seconds}{request}{hint}"


def check_told_again(stream: Any, error: StreamkitError, text: str) -> None:
    """The one error, for whoever asks later; with all that came, once anything had."""
    for once_more in (stream.result, stream.wait):
        with pytest.raises(type(error)) as caught:
            once_more()
        assert caught.value is error
    assert (error.partial.text if error.partial is not None else "") == text


@pytest.mark.parametrize("fault", [name for name, case in CASES.items() if case.gives])
def test_a_fault_is_tried_again_or_not(
    ask: Any, serve: Callable[..., LocalProvider], fault: str, time_scale: float
) -> None:
    case = CASES[fault]
    server = serve(FAULTS[fault])
    text, error = read(
        ask(
            server, "direct", options=options(case, time_scale),
            retry={"max_retries": 1, "initial": 0.0},
        )
    )  # fmt: skip
    assert error is not None
    assert len(error.attempts) == len(server.requests) == (2 if case.sent_again else 1)
    if not case.endless:
        assert text == case.text
