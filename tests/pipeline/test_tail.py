"""Stages on the way from the provider to the user: which run, in what order, and when anew."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit import (
    Chunk,
    ConfigurationError,
    Limits,
    Result,
    StreamOptions,
    TruncatedStream,
)
from streamkit.pipeline import tail as tail_module
from streamkit.pipeline.carry import Splice
from streamkit.pipeline.tail import Tail, stage_names
from streamkit.providers import registry
from streamkit.providers.service import CHAT, Service
from streamkit.testing import Cut, Reset, Text

#: An answer that thinks first, its tags in pieces.
THINKING = Text(pieces=("<th", "ink>Hm", "m.</", "think>", "\n\nHi", " <think>"))


class Mark:
    """A stage that holds the last chunk back and leaves its name on each."""

    name = ""

    def __init__(self) -> None:
        self._held: list[Chunk] = []

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        for chunk in chunks:
            chunk.content += self.name
        out = self._held + chunks
        self._held = out[-1:]
        return out[:-1]

    def flush(self) -> list[Chunk]:
        held, self._held = self._held, []
        return held


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stages, a and b."""
    table = {name: type(name, (Mark,), {"name": name}) for name in "ab"}
    monkeypatch.setattr(tail_module, "STAGES", table)


@pytest.fixture
def thinker(monkeypatch: pytest.MonkeyPatch) -> str:
    """A provider whose row asks for the stage."""
    monkeypatch.setattr(registry, "_registered", {})
    registry.register(
        Service(
            name="thinker", dialects={"chat": CHAT}, default_api="chat", base_url="http://x",
            key_required=False, stages=("think",),
        )
    )  # fmt: skip
    return "thinker"


@pytest.mark.usefixtures("marks")
def test_chunks_go_through_the_stages_in_order_and_are_numbered_after() -> None:
    tail = Tail(Limits(), ("a", "b"))
    assert tail.feed([Chunk("1")], 0.0, 0.0) == []
    assert tail.result().text == ""
    out = tail.feed([Chunk("2"), Chunk("3")], 0.0, 0.0) + tail.flush(0.0)
    assert [(chunk.index, chunk.content) for chunk in out] == [(0, "1ab"), (1, "2ab"), (2, "3ab")]
    assert tail.result().text == "1ab2ab3ab"
    assert tail.flush(0.0) == []


@pytest.mark.usefixtures("marks")
def test_half_a_character_is_joined_before_the_stages() -> None:
    tail = Tail(Limits(), ("a",))
    out = tail.feed([Chunk("\ud83d"), Chunk("\ude00"), Chunk("\ud83d")], 0.0, 0.0) + tail.flush(0.0)
    assert [chunk.content for chunk in out] == ["\U0001f600a", "\ufffda"]


@pytest.mark.parametrize(
    ("usual", "think", "names"),
    [
        ((), None, ()),
        ((), False, ()),
        ((), True, ("think",)),
        (("a",), True, ("think", "a")),
        (("a", "think"), None, ("a", "think")),
        (("a", "think"), True, ("a", "think")),
        (("a", "think"), False, ("a",)),
    ],
)
def test_the_row_names_the_stages_and_the_user_has_the_last_word(
    usual: tuple[str, ...], think: bool | None, names: tuple[str, ...]
) -> None:
    assert stage_names(usual, think) == names


def test_a_stage_that_does_not_exist_is_refused_before_anything_is_sent(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    row = Service(name="odd", dialects={"chat": CHAT}, default_api="chat", stages=("thnik",))
    registry.register(row)
    play.serve([Text("Hi")])
    with pytest.raises(
        ConfigurationError, match=r"a stage must be one of .*, think, .*, got 'thnik'"
    ):
        play.client.stream("m", "Hi", provider="odd", base_url=play.server.base_url())
    assert play.server.connections == 0


@pytest.mark.parametrize("asked", [{"think": True}, {"options": StreamOptions(think=True)}])
def test_thinking_in_the_text_becomes_reasoning_if_asked_for(
    play: Any, drained: Any, mode: str, asked: dict[str, Any]
) -> None:
    stream = play([THINKING], mode=mode, **asked)
    assert drained(stream) == ("\n\nHi <think>", None)
    result = stream.result()
    assert (result.reasoning, result.text) == ("Hmm.", "\n\nHi <think>")
    assert result.outcome == "completed"


def test_thinking_in_the_text_stays_there_if_nobody_asked(play: Any, drained: Any) -> None:
    assert drained(play([THINKING])) == ("".join(THINKING.pieces or ()), None)


@pytest.mark.parametrize(("think", "reasoning"), [(None, "Hmm."), (True, "Hmm."), (False, "")])
def test_a_row_may_ask_for_it_and_the_user_may_refuse(
    play: Any, thinker: str, think: bool | None, reasoning: str
) -> None:
    url = play.serve([THINKING]).base_url()
    stream = play.client.stream("m", "Hi", provider=thinker, base_url=url, think=think)
    assert stream.result().reasoning == reasoning


def test_an_attempt_begins_outside_of_the_thinking_of_the_one_before(
    play: Any, drained: Any, mode: str, quick: Any
) -> None:
    scripts = [[Text("<think>"), Reset()], [Text("Hi")]]
    stream = play(scripts=scripts, mode=mode, think=True, retry=quick)
    assert drained(stream) == ("Hi", None)
    assert (stream.result().reasoning, len(stream.result().attempts)) == ("", 2)


def test_text_that_was_held_is_delivered_before_the_error(
    play: Any, drained: Any, mode: str
) -> None:
    text, error = drained(play([Text("<thi"), Cut()], mode=mode, think=True))
    assert text == "<thi"
    assert type(error) is TruncatedStream
    assert error.partial is not None
    assert error.partial.text == "<thi"


def test_a_call_that_the_service_runs_itself_asks_nothing_of_the_user() -> None:
    tail = Tail(Limits())
    own = {"index": 0, "id": "a", "name": "code"}
    first = Chunk("", kind="tool_call", metadata={**own, "type": "server_tool_use"})
    tail.feed([first, Chunk("{}", kind="tool_call", metadata=own)], 0.0, 0.0)
    assert ([call.name for call in tail.result().tool_calls], tail.has_calls) == (["code"], False)
    asked = Chunk("{}", kind="tool_call", metadata={"index": 1, "id": "b", "name": "add"})
    tail.feed([asked], 0.0, 0.0)
    assert tail.has_calls


def test_an_answer_that_begins_anew_begins_its_bound_anew() -> None:
    tail = Tail(Limits(answer=10))
    for _ in range(3):
        tail.feed([Chunk("12345678")], 0.0, 0.0)
        assert tail.over is None
        tail.forget()
    assert tail.result().text == ""
    tail.feed([Chunk("12345678901")], 0.0, 0.0)
    assert tail.over is not None


def test_what_another_stream_had_brought_counts_for_the_bound_in_bytes() -> None:
    tail = Tail(Limits(answer=30), splice=Splice())
    tail.preload(Result(text="\u6cb3" * 10))
    assert tail.over is None
    tail.feed([Chunk("!", finish_reason="stop")], 0.0, 0.0)
    assert tail.over is not None
