from __future__ import annotations

import json

from streamkit.testing import Done, Error, Fin, Finish, Pause, Raw, Reasoning, Repeat, Text, Tool
from streamkit.testing.dialects import Asked, OpenAI
from streamkit.testing.render import Unframed, render, render_whole

ASKED = Asked({"model": "m"}, "/v1/chat/completions", 1)


def test_without_a_dialect_only_bytes_and_controls_are_rendered() -> None:
    steps = [Repeat([Raw("ab", size=1, every=2)], 2), Raw("c", framed=False), Text("hi"), Fin()]
    rendered = [*render(steps, None)]
    assert rendered == [b"a", Pause(2), b"b", b"a", Pause(2), b"b", b"c", Fin()]
    assert type(rendered[-2]) is Unframed


def test_an_endless_repeat_is_rendered_piece_by_piece() -> None:
    endless = render([Repeat([Repeat([Raw("a")], 1)])], None)
    assert [next(endless) for _ in range(3)] == [b"a"] * 3


def test_a_script_is_folded_into_one_body() -> None:
    steps = [
        Reasoning("hm"),
        Text("one "),
        Pause(1),
        Text("two"),
        Tool("f"),
        Finish("stop"),
        Done(),
    ]
    pause, body = render_whole([*steps, Text("ghost"), Done()], OpenAI(ASKED, None))
    assert pause == Pause(1)
    answer = json.loads(body)
    message = answer["choices"][0]["message"]
    assert message["content"] == "one two"
    assert message["reasoning_content"] == "hm"
    assert [call["function"]["name"] for call in message["tool_calls"]] == ["f"]
    assert answer["usage"]["completion_tokens"] == 4  # deltas


def test_an_error_is_the_whole_body() -> None:
    (body,) = render_whole([Text("one"), Error("broke"), Done()], OpenAI(ASKED, None))
    assert json.loads(body)["error"]["message"] == "broke"
