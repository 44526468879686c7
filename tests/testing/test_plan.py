from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.testing import (
    BeforeHeaders,
    Cut,
    Data,
    Done,
    Error,
    Fin,
    Finish,
    Framing,
    Hang,
    Headers,
    OnAccept,
    Pause,
    Ping,
    Raw,
    Repeat,
    Reset,
    Status,
    Text,
    Tool,
    Usage,
)
from streamkit.testing.plan import plan

HI = Text("hi")


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        ([HI], [Finish("stop"), Done()]),
        ([HI, Tool("f")], [Finish("tool_calls"), Done()]),
        ([Repeat([HI], 2), Pause(1)], [Finish("stop"), Done()]),
        ([HI, Finish("length")], [Done()]),
        ([Finish()], [Done()]),
        ([HI, Done()], []),
        ([HI, Done(), Text("ghost")], []),
        ([HI, Cut()], []),
        ([HI, Fin()], []),
        ([HI, Reset()], []),
        ([HI, Hang()], []),
        ([HI, Error()], []),
        ([HI, Finish(), Cut()], []),
        ([HI, Headers(status=500)], []),
        ([Raw("x")], []),
        ([Data({})], []),
        ([Ping()], []),
        ([], []),
        ([Status(500)], []),
    ],
)
def test_the_ending_is_added_where_it_is_due(script: list[Any], ending: list[Any]) -> None:
    body = plan(script).body
    said = [step for step in script if not isinstance(step, (Headers, Status))]
    assert [*body] == said + ending


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([HI, "text"], "a script holds steps, got 'text'"),
        ([Repeat([b""])], "a script holds steps, got b''"),  # type: ignore[list-item]
        ([OnAccept([HI])], "outside the body there is no place for Text"),
        ([BeforeHeaders([Repeat([Ping()])])], "outside the body there is no place for Ping"),
        ([Framing("length"), Repeat([HI])], "framing 'length' needs a script that ends"),
        ([Status(500), HI], "a Status is the whole answer, got Text"),
    ],
)
def test_a_script_that_cannot_be_played_is_refused(script: list[Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        plan(script)


def test_usage_counts_wherever_it_stands() -> None:
    assert plan([HI, Usage(1, 2), Cut()]).usage == Usage(1, 2)
