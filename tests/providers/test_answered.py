"""Which call a tool's result answers, with ids and without."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.answered import Answered, Asked
from streamkit.providers.gemini_contents import convert_messages as to_gemini
from streamkit.providers.ollama import convert_messages as to_ollama


def calls(*named: tuple[Any, str]) -> dict[str, Any]:
    made = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}}
        for id, name in named
    ]
    return {"role": "assistant", "content": "", "tool_calls": made}


def result(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "tool", "content": content, **more}


def gemini(*messages: Any) -> list[tuple[str, str, Any]]:
    """Name, output and id of each result."""
    parts = [part for content in to_gemini(None, messages)[1] for part in content["parts"]]
    found = [part["functionResponse"] for part in parts if "functionResponse" in part]
    return [(r["name"], r["response"]["output"], r.get("id")) for r in found]


def ollama(*messages: Any) -> list[tuple[str, str]]:
    sent = to_ollama(None, messages)
    return [(m["tool_name"], m["content"]) for m in sent if m["role"] == "tool"]


@pytest.mark.parametrize("id", [None, ""])
def test_parallel_calls_without_ids_are_answered_in_their_order(id: Any) -> None:
    asked = calls((id, "a"), (id, "b"))
    results = [result(f"of {name}", tool_call_id=id) for name in "ab"]
    assert gemini(asked, *results) == [("a", "of a", None), ("b", "of b", None)]
    assert ollama(asked, *results) == [("a", "of a"), ("b", "of b")]


@pytest.mark.parametrize("id", [None, ""])
def test_a_name_tells_which_call_is_answered(id: Any) -> None:
    asked = calls((id, "a"), (id, "b"), (id, "a"))
    results = [result("1", name="b"), result("2"), result("3", tool_call_id=id)]
    assert gemini(asked, *results) == [("b", "1", None), ("a", "2", None), ("a", "3", None)]
    assert ollama(asked, *results) == [("b", "1"), ("a", "2"), ("a", "3")]


def test_ids_are_followed_in_any_order_and_over_messages() -> None:
    asked = calls(("1", "a"), ("2", "b")), {"role": "user", "content": "go on"}
    results = [result("of b", tool_call_id="2"), result("of a", tool_call_id="1")]
    assert gemini(*asked, *results) == [("b", "of b", "2"), ("a", "of a", "1")]
    assert ollama(*asked, *results) == [("b", "of b"), ("a", "of a")]


def test_a_result_without_the_id_its_call_has_gets_it() -> None:
    assert gemini(calls(("1", "a")), result("x")) == [("a", "x", "1")]


def test_a_name_of_the_result_stands_above_that_of_the_call() -> None:
    answer = result("x", tool_call_id="1", name="own")
    assert gemini(calls(("1", "a")), answer) == [("own", "x", "1")]
    assert ollama(calls(("1", "a")), answer) == [("own", "x")]


def test_calls_that_were_never_answered_wait_no_longer_after_new_ones() -> None:
    assert gemini(calls((None, "old")), calls((None, "new")), result("x")) == [("new", "x", None)]


@pytest.mark.parametrize("convert", [to_gemini, to_ollama])
def test_a_result_of_no_call_is_refused(convert: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^message 2 answers no tool call before it"):
        convert(None, [calls((None, "a")), result("x"), result("y")])


def test_an_id_that_no_call_has_is_not_taken_for_the_next() -> None:
    asked = Asked()
    asked.ask([{"function": {"name": "a"}}, {}])
    assert asked.answer({"tool_call_id": "1"}) == Answered("1", None)
    assert asked.answer({}) == Answered(None, "a")
    with pytest.raises(ConfigurationError, match="answers no tool call"):
        gemini(calls((None, "a")), result("x", tool_call_id="1"))
    assert "tool_name" not in json.dumps(to_ollama(None, [result("x", tool_call_id="1")]))
