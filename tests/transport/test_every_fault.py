"""Every named fault, in every mode, through the public API: a clean end and nothing left behind."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit import Limits, StreamkitError, StreamOptions, Timeouts
from streamkit.testing import FAULTS

MODES = ("direct", "buffered", "managed")
#: Small, so that what never ends is soon over.
OPTIONS = StreamOptions(
    timeout=Timeouts(connect=0.4, first=0.4, content=0.4, wire=0.4, total=1.0),
    retry=None,
    limits=Limits(event=200_000, answer=50_000, error_body=20_000),
)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_ends_once_and_leaves_nothing(
    ask: Any, serve: Any, fault: str, mode: str, time_scale: float
) -> None:
    provider = serve(FAULTS[fault])
    ends: list[Any] = []
    errors: list[BaseException] = []
    stream = ask(
        provider, mode, options=OPTIONS, on_end=ends.append, on_error=errors.append, retry=None
    )
    pieces: list[str] = []
    try:
        for piece in stream:
            pieces.append(piece)
    except StreamkitError as error:
        check_failure(stream, error, "".join(pieces), errors)
    else:
        assert errors == []
        assert stream.result().outcome == stream.outcome
        assert stream.result().text == "".join(pieces)
    assert ends == [stream.partial]
    assert stream.done and list(stream) == []
    assert len(provider.requests) <= 1
    assert stream.progress.elapsed < 2.0 * time_scale


def check_failure(
    stream: Any, error: StreamkitError, text: str, heard: list[BaseException]
) -> None:
    assert heard == [error]
    assert error.outcome == stream.outcome
    assert str(error) and str(error).isprintable()
    assert stream.partial.text == text
    if error.partial is not None:
        assert error.partial.text == text
    else:
        assert text == ""
    for ask_again in (stream.result, stream.wait):
        with pytest.raises(type(error)) as caught:
            ask_again()
        assert caught.value is error
