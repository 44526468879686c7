"""The chat dialect: what it sends, and every accent it reads."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import (
    ConfigurationError,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    ProtocolError,
    ProviderError,
    RateLimited,
)
from streamkit.providers.base import Endpoint
from streamkit.providers.mistral import MistralChat
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.openai_completions import OpenAICompletions
from streamkit.providers.openai_responses import OpenAIResponses
from streamkit.providers.perplexity import PerplexityChat
from streamkit.request import Call, Message, Secret
from streamkit.wire.sse import Event

OPENAI = Endpoint(
    provider="openai", base_url="https://api.openai.com/v1", api_key=Secret("sk-1234567890")
)
LOCAL = Endpoint(provider="openai-compatible", base_url="http://localhost:8000/v1")
HI = (Message.user("Hi"),)
BASE: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def body_of(call: Call, endpoint: Endpoint = OPENAI) -> Any:
    return json.loads(OpenAIChat(endpoint).request(call).body)


def event(frame: Any, name: str = "message") -> Event:
    return Event(name, frame if isinstance(frame, str) else json.dumps(frame), "", None)


def delta(finish: str | None = None, **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": members, "finish_reason": finish}
    return {"id": "c1", "model": "m1", "choices": [choice]}


def fed(*frames: Any) -> tuple[OpenAIChat, list[Chunk]]:
    dialect = OpenAIChat(LOCAL)
    return dialect, [chunk for frame in frames for chunk in dialect.feed(event(frame))]


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


def calls(chunks: list[Chunk]) -> list[tuple[int, str, str, str]]:
    """(index, id, name, arguments) of each call, put together."""
    found: dict[int, tuple[int, str, str, str]] = {}
    for chunk in chunks:
        if chunk.kind == "tool_call":
            m = chunk.metadata
            before = found.get(m["index"], (0, "", "", ""))[3]
            found[m["index"]] = (m["index"], m["id"], m["name"], before + chunk.content)
    return list(found.values())


# What goes out.


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"temperature": 0.0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
        ({"max_tokens": 7}, {"max_completion_tokens": 7}),
        ({"stop": ("a", "b"), "seed": 0}, {"stop": ["a", "b"], "seed": 0}),
        ({"tools": (TOOL,), "tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": "auto"}),
        (
            {"response_format": {"type": "json_object"}},
            {"response_format": {"type": "json_object"}},
        ),
        ({"extra_body": {"n": 2}}, {"n": 2}),
        (
            {"extra_body": {"stream_options": {"include_obfuscation": False}}},
            {"stream_options": {"include_usage": True, "include_obfuscation": False}},
        ),
        (
            {"system": "Be brief."},
            {"messages": [{"role": "system", "content": "Be brief."}, *BASE["messages"]]},
        ),
    ],
)
def test_each_option_has_its_place_in_the_body(
    keywords: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body_of(Call(model="m", messages=HI, **keywords)) == BASE | expected


def test_other_services_get_the_older_name_of_the_token_limit() -> None:
    assert body_of(Call(model="m", messages=HI, max_tokens=7), LOCAL) == BASE | {"max_tokens": 7}


def test_none_in_extra_body_takes_a_field_away() -> None:
    body = body_of(Call(model="m", messages=HI, extra_body={"stream_options": None}))
    assert "stream_options" not in body


def test_the_request_goes_to_the_chat_path_with_the_key_as_bearer() -> None:
    request = OpenAIChat(OPENAI).request(Call(model="m", messages=HI))
    assert request.url == "https://api.openai.com/v1/chat/completions"
    assert (request.method, request.provider) == ("POST", "openai")
    assert request.headers["Authorization"] == "Bearer sk-1234567890"
    assert "sk-1234567890" not in repr(dict(request.headers))
    assert request.headers["Content-Type"] == "application/json"
    assert "Authorization" not in OpenAIChat(LOCAL).request(Call(model="m", messages=HI)).headers


# What comes in.


def test_text_deltas_become_text_chunks_with_model_and_id() -> None:
    dialect, chunks = fed(
        delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo")
    )
    assert shown(chunks) == [("text", "Hel"), ("text", "lo")]
    assert {(c.model, c.id) for c in chunks} == {("m1", "c1")}
    assert (dialect.finished, dialect.finish_reason) == (False, None)


def test_the_first_model_and_id_that_say_something_stay() -> None:
    dialect, _ = fed({"id": "", "model": "", "choices": []}, delta(), {"id": "c2", "model": "m2"})
    assert (dialect.model, dialect.response_id) == ("m1", "c1")


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": "?"},
        {"choices": [None]},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {}}]},
        {"choices": [{"delta": {"content": None}}]},
        {"choices": [{"delta": {"content": 5, "tool_calls": 5, "audio": 5, "refusal": 5}}]},
        {"choices": [{"delta": {"tool_calls": [None], "reasoning_details": [None, {}]}}]},
        {"choices": [{"delta": {"content": [None, {"type": "reference", "reference_ids": [1]}]}}]},
        {"usage": None, "x_groq": None, "error": None, "p": "abc"},
        {"x_groq": {"id": "req"}, "usage": {}},
    ],
)
def test_frames_that_hold_nothing_give_nothing(frame: dict[str, Any]) -> None:
    assert fed(delta(), frame)[1] == []


@pytest.mark.parametrize("data", ["", "  ", "[]", "5", '"text"', "null"])
def test_data_that_is_no_object_gives_nothing(data: str) -> None:
    assert fed(data)[1] == []


@pytest.mark.parametrize("data", ["[DONE]", "[DONE]  ", " [DONE]\t"])
def test_the_end_mark_may_have_blanks_around_it(data: str) -> None:
    assert fed(data)[0].finished


def test_what_is_not_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        fed('{"choices": [')


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_content": "a", "reasoning": "b"}, "a"),
        ({"reasoning_content": "", "reasoning": "b"}, "b"),
        ({"reasoning": {"x": 1}, "reasoning_details": [{"text": "c"}, {"summary": "d"}]}, "cd"),
        ({"reasoning": "b", "reasoning_details": [{"text": "b"}]}, "b"),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "format": "x"}]}, ""),
    ],
)
def test_reasoning_is_read_from_the_first_name_that_holds_any(
    members: dict[str, Any], expected: str
) -> None:
    chunks = fed(delta(**members))[1]
    assert shown(chunks) == ([("reasoning", expected)] if expected else [])


def test_reasoning_comes_before_the_text_beside_it() -> None:
    _, chunks = fed(delta(content="b", reasoning_content="a"))
    assert shown(chunks) == [("reasoning", "a"), ("text", "b")]


def test_mistral_content_lists_give_thinking_and_text_in_order() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
        {"type": "text", "text": "so"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "thinking", "thinking": "mm"},
    ]
    _, chunks = fed(delta(content=parts))
    assert shown(chunks) == [("reasoning", "hm"), ("text", "so"), ("reasoning", "mm")]


def test_refusals_are_read() -> None:
    assert shown(fed(delta(refusal="I cannot"))[1]) == [("refusal", "I cannot")]


def test_audio_and_its_transcript_come_in_metadata() -> None:
    first, second = {"id": "a", "data": "AAAA"}, {"transcript": "Hello"}
    _, chunks = fed(delta(audio=first), delta(audio=second))
    assert shown(chunks) == [("text", ""), ("text", "")]
    assert [chunk.metadata for chunk in chunks] == [{"audio": first}, {"audio": second}]


def test_images_come_in_metadata_as_they_are() -> None:
    images = [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{n}"}} for n in "AB"
    ]
    _, chunks = fed(delta(content="", images=images), delta(content="x", images=[]))
    assert [c.metadata.get("image") for c in chunks] == [*images, None]
    assert shown(chunks) == [("text", ""), ("text", ""), ("text", "x")]


def test_other_choices_are_told_in_metadata_and_do_not_become_text() -> None:
    other = {"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}
    frame = delta("stop", content="yes")
    frame["choices"].append(other)
    dialect, chunks = fed(delta(), frame, {"choices": [{"index": 2, "delta": {"content": "2"}}]})
    assert [(c.content, c.metadata, c.finish_reason) for c in chunks] == [
        ("", {"choice": 1, "content": "no"}, None),
        ("", {"choice": 1, "finish_reason": "length"}, None),
        ("yes", {}, "stop"),
        ("", {"choice": 2, "content": "2"}, None),
    ]
    assert dialect.finish_reason == "stop"


def test_the_reasoning_and_the_calls_of_other_choices_are_left_out() -> None:
    members = {"content": "", "reasoning": "hm", "tool_calls": [{"index": 0}]}
    assert fed(delta(), {"choices": [{"index": 1, "delta": members}]})[1] == []


def test_the_last_finish_reason_stays_and_marks_the_last_chunk_of_its_event() -> None:
    dialect, chunks = fed(
        delta(content="a"), delta("length", content="b"), delta("stop"), delta(content="c")
    )
    assert [chunk.finish_reason for chunk in chunks] == [None, "length", None]
    assert dialect.finish_reason == "stop"


# What comes beside the text.


def noted(chunks: list[Chunk], name: str) -> list[Any]:
    return [chunk.metadata[name] for chunk in chunks if name in chunk.metadata]


def test_thinking_that_is_signed_or_encrypted_is_kept_as_it_is() -> None:
    blocks = [
        {"type": "reasoning.text", "text": "hm", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "e", "id": "i"},
        {"type": "reasoning.summary", "summary": "no"},
    ]
    _, chunks = fed(delta(reasoning="hm", reasoning_details=blocks))
    assert shown(chunks) == [("reasoning", "hm"), ("reasoning", ""), ("reasoning", "")]
    assert noted(chunks, "reasoning_detail") == blocks[:2]


def test_annotations_are_citations_with_their_url_on_top_each_once() -> None:
    inner = {"url": "https://a", "title": "A", "start_index": 1}
    annotation = {"type": "url_citation", "url_citation": inner}
    document = {"type": "document_citation", "document_id": "d"}
    _, chunks = fed(
        delta(content="x", annotations=[annotation]), delta(annotations=[annotation, document])
    )
    assert [chunk.kind for chunk in chunks] == ["text", "citation", "citation"]
    assert noted(chunks, "citation") == [{"type": "url_citation", **inner}, document]


def test_each_source_is_cited_once_with_what_the_search_results_know() -> None:
    cited = ["https://a", "https://b"]
    results = [{"url": "https://b", "title": "B"}, {"url": "https://c"}]
    first = delta(content="x") | {"citations": cited, "search_results": results}
    more = delta(content="y") | {"citations": [*cited, "https://d", {"url": "https://a"}, 5]}
    _, chunks = fed(first, first, more)
    assert [chunk.kind for chunk in chunks] == [
        "text", "citation", "citation", "text", "text", "citation",
    ]  # fmt: skip
    assert noted(chunks, "citation") == [
        {"url": "https://a"}, {"url": "https://b", "title": "B"}, {"url": "https://d"},
    ]  # fmt: skip


def test_search_results_without_citations_are_the_citations() -> None:
    results = [{"url": "https://c", "title": "C"}, {"title": "no url"}]
    _, chunks = fed(delta(), {"citations": [], "search_results": results})
    assert noted(chunks, "citation") == results


def test_a_tool_that_the_service_ran_is_told_once_and_then_what_came_of_it() -> None:
    begun = {"index": 0, "type": "search", "arguments": "{}"}
    ended = {**begun, "output": "found", "search_results": {"results": [{"url": "https://a"}]}}
    _, chunks = fed(*(delta(executed_tools=[tool]) for tool in (begun, ended, ended)))
    assert [(c.kind, c.content) for c in chunks] == [("text", "")] * 2
    call = {"name": "search", "index": 0}
    assert noted(chunks, "server_tool") == [{**call, "arguments": "{}"}]
    assert noted(chunks, "server_tool_result") == [
        {**call, "output": "found", "search_results": ended["search_results"]}
    ]


def test_tools_without_a_number_are_told_apart_by_what_was_asked() -> None:
    one, other = ({"type": "search", "arguments": query} for query in ("{1}", "{2}"))
    _, chunks = fed(*(delta(executed_tools=[tool]) for tool in (one, other, one, other)))
    assert [tool["arguments"] for tool in noted(chunks, "server_tool")] == ["{1}", "{2}"]


def test_search_results_beside_plain_text_are_read() -> None:
    results = [{"url": "https://c"}]
    _, chunks = fed(delta(content="x"), delta(content="y") | {"search_results": results})
    assert noted(chunks, "citation") == results


def test_log_probabilities_stand_in_the_metadata_of_their_text() -> None:
    frame = delta(content="x")
    frame["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": -0.5}]}
    bare = delta(content="")
    bare["choices"][0]["logprobs"] = {"content": [], "refusal": None}
    _, chunks = fed(bare, frame, delta(content="y"))
    assert shown(chunks) == [("text", "x"), ("text", "y")]
    assert noted(chunks, "logprobs") == [{"content": [{"token": "x", "logprob": -0.5}]}]


SAFE = {"hate": {"filtered": False, "severity": "safe"}, "jailbreak": {"detected": False}}
FILTERED = [
    {**SAFE, "hate": {"filtered": False, "severity": "low"}},
    {**SAFE, "violence": {"filtered": True}},
    {**SAFE, "jailbreak": {"detected": True}},
]


@pytest.mark.parametrize("found", FILTERED)
def test_filter_results_are_told_where_something_was_found(found: dict[str, Any]) -> None:
    frames = [delta(content="x") for _ in range(4)]
    for frame, results in zip(frames, (SAFE, SAFE, found, SAFE), strict=True):
        frame["choices"][0]["content_filter_results"] = results
    prompts = [
        {"choices": [], "prompt_filter_results": [{"content_filter_results": results}]}
        for results in (SAFE, found)
    ]
    _, chunks = fed(*prompts, delta(), *frames)
    assert shown(chunks) == [("text", ""), *[("text", "x")] * 4]
    assert noted(chunks, "filter_results") == [[{"content_filter_results": found}], found]
    assert chunks[3].metadata == {"filter_results": found}


# Tool calls.


def fragment(**members: Any) -> dict[str, Any]:
    function = {k: members.pop(k) for k in ("name", "arguments") if k in members}
    return {**members, "function": function}


TOOL_STREAMS = {
    "by index": [
        [fragment(index=0, id="a", name="f", arguments="")],
        [fragment(index=1, id="b", name="g", arguments="")],
        [fragment(index=0, arguments="{1"), fragment(index=1, arguments="{2")],
        [fragment(index=0, id="", name="", arguments="}"), fragment(index=1, arguments="}")],
    ],
    "id and name null later (Together)": [
        [fragment(index=0, id="a", name="f"), fragment(index=1, id="b", name="g")],
        [fragment(index=0, id=None, name=None, arguments="{1}")],
        [fragment(index=1, id=None, name=None, arguments="{2}")],
    ],
    "by id": [
        [fragment(id="a", name="f", arguments="{"), fragment(id="b", name="g", arguments="{")],
        [fragment(id="b", arguments="2}"), fragment(id="a", arguments="1}")],
    ],
    "by position, the word null (Mistral)": [
        [fragment(id="a", name="f", arguments="{")],
        [fragment(id="null", name="", arguments="1}")],
        [fragment(id="b", name="g", arguments="{")],
        [fragment(id="null", name="", arguments="2}")],
    ],
    "whole, as an object": [
        [fragment(index=0, id="a", name="f", arguments="{1}")],
        [fragment(index=1, id="b", name="g", arguments="{2}")],
    ],
    "name after the arguments began": [
        [fragment(index=0, id="a", arguments="{"), fragment(index=1, id="b", arguments="{2}")],
        [fragment(index=0, name="f", arguments="1}"), fragment(index=1, name="g")],
    ],
    "index always 0, whole": [
        [fragment(index=0, id="a", name="f", arguments="{1}")],
        [fragment(index=0, id="b", name="g", arguments="{2}")],
    ],
    "index always 0, whole, in one event": [
        [
            fragment(index=0, id="a", name="f", arguments="{1}"),
            fragment(index=0, id="b", name="g", arguments="{2}"),
        ],
    ],
    "index always 0, in fragments": [
        [fragment(index=0, id="a", name="f", arguments="")],
        [fragment(index=0, id="null", arguments="{")],
        [fragment(index=0, arguments="1}")],
        [fragment(index=0, id="b", name="g", arguments="")],
        [fragment(index=0, id=None, name=None, arguments="{2}")],
    ],
    "index always 0, mixed": [
        [fragment(index=0, id="a", name="f", arguments="{")],
        [fragment(index=0, id="b", name="g", arguments="{")],
        [fragment(index=0, id="a", arguments="1}"), fragment(index=0, id="b", arguments="2}")],
    ],
    "index from 1": [
        [fragment(index=1, id="a", name="f", arguments="{")],
        [fragment(index=1, arguments="1}")],
        [fragment(index=2, id="b", name="g", arguments="{2}")],
    ],
    "index missing, or null": [
        [fragment(id="a", name="f", arguments="{")],
        [fragment(index=None, arguments="1}")],
        [fragment(index=None, id="b", name="g", arguments="{")],
        [fragment(arguments="2}")],
    ],
    "id and name repeated": [
        [fragment(index=0, id="a", name="f", arguments="{")],
        [fragment(index=0, id="a", name="f", arguments="1}")],
        [fragment(index=0, id="a", name="f", arguments="")],
        [fragment(index=1, id="b", name="g", arguments="{")],
        [fragment(index=1, id="b", name="g", arguments="2}")],
    ],
    "another id without a name": [
        [fragment(index=0, id="a", name="f", arguments="{")],
        [fragment(index=0, id="x", arguments="1}")],
        [fragment(index=1, id="b", name="g", arguments="{")],
        [fragment(index=1, id="y", name="", arguments="2}")],
    ],
    "id empty, name repeated": [
        [fragment(index=0, id="a", name="f", arguments="{")],
        [fragment(index=0, id="", name="f", arguments="1}")],
        [fragment(index=1, id="b", name="g", arguments="{")],
        [fragment(index=1, id="", name="g", arguments="2}")],
    ],
    "another id with the name, in fragments": [
        [fragment(index=0, id="a", name="f", arguments="{")],
        [fragment(index=0, id="x", name="f", arguments="1")],
        [fragment(index=0, id="y", name="f", arguments="}")],
        [fragment(index=1, id="b", name="g", arguments="{2}")],
    ],
    "id late": [
        [fragment(index=0, name="f", arguments="{")],
        [fragment(index=0, id="a", name="f", arguments="1}")],
        [fragment(index=1, id="b", name="g", arguments="{2}")],
    ],
}


@pytest.mark.parametrize("name", TOOL_STREAMS)
def test_fragments_find_their_call(name: str) -> None:
    _, chunks = fed(*(delta(tool_calls=fragments) for fragments in TOOL_STREAMS[name]))
    assert calls(chunks) == [(0, "a", "f", "{1}"), (1, "b", "g", "{2}")]


TOOL_STREAMS_WITHOUT_ID = {
    "no id, by index": [
        [fragment(index=0, name="f", arguments="{"), fragment(index=1, name="g")],
        [fragment(index=0, arguments="1}"), fragment(index=1, arguments="{2}")],
    ],
    "no id, index always 0": [
        [fragment(index=0, name="f", arguments="{")],
        [fragment(index=0, name="f", arguments="1}")],
        [fragment(index=0, name="f", arguments="")],
        [fragment(index=0, name="g", arguments="")],
        [fragment(index=0, arguments="{2}")],
    ],
    "id empty, index missing": [
        [fragment(id="", name="f", arguments="{1}")],
        [fragment(id="", name="g", arguments="{2}")],
    ],
}


@pytest.mark.parametrize("name", TOOL_STREAMS_WITHOUT_ID)
def test_fragments_without_an_id_find_their_call(name: str) -> None:
    _, chunks = fed(*(delta(tool_calls=each) for each in TOOL_STREAMS_WITHOUT_ID[name]))
    assert calls(chunks) == [(0, "", "f", "{1}"), (1, "", "g", "{2}")]


def test_a_function_called_twice_without_ids_and_numbers_gives_two_calls() -> None:
    whole = [fragment(index=0, name="f", arguments={"n": n}) for n in (1, 2)]
    _, chunks = fed(*(delta(tool_calls=[each]) for each in whole))
    assert calls(chunks) == [(0, "", "f", '{"n": 1}'), (1, "", "f", '{"n": 2}')]


@pytest.mark.parametrize(
    "fragments",
    [
        [("a", '{"x": {}'), ("b", "}")],
        [("a", '{"x"'), ("b", ": {}"), ("c", ', "y": 1'), ("d", "}")],
    ],
)
def test_ids_that_change_with_each_fragment_make_one_call(fragments: Any) -> None:
    parts = [fragment(index=0, id=id, name="f", arguments=text) for id, text in fragments]
    _, chunks = fed(*(delta(tool_calls=[part]) for part in parts))
    assert calls(chunks) == [(0, "a", "f", "".join(text for _, text in fragments))]


@pytest.mark.parametrize("texts", [("", ""), ("{}", "{}"), ("{}", "")])
def test_calls_of_one_name_with_ids_of_their_own_at_one_index_are_two(texts: Any) -> None:
    parts = [
        fragment(index=0, id=i, name="f", arguments=t) for i, t in zip("ab", texts, strict=True)
    ]
    _, chunks = fed(*(delta(tool_calls=[part]) for part in parts))
    assert calls(chunks) == [(0, "a", "f", texts[0]), (1, "b", "f", texts[1])]


def test_each_fragment_is_a_chunk_even_without_arguments() -> None:
    _, chunks = fed(delta(tool_calls=[fragment(index=3, id="a", name="f")]), delta("tool_calls"))
    assert shown(chunks) == [("tool_call", "")]
    assert chunks[0].metadata == {"index": 0, "id": "a", "name": "f"}


def test_the_old_function_call_is_one_call_without_id() -> None:
    _, chunks = fed(
        delta(function_call={"name": "f", "arguments": ""}),
        delta(function_call={"arguments": "{}"}),
    )
    assert calls(chunks) == [(0, "", "f", "{}")]


def test_the_input_of_a_custom_tool_is_its_arguments() -> None:
    first = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "run", "input": "pri"}}
    rest = {"index": 0, "custom": {"input": "nt}"}}
    other = {"index": 1, "id": "b", "type": "custom", "custom": {"name": "run", "input": ""}}
    frames = [delta(tool_calls=[part]) for part in (first, rest, other)]
    assert calls(fed(*frames)[1]) == [(0, "a", "run", "print}"), (1, "b", "run", "")]


def test_arguments_sent_as_an_object_become_json_text() -> None:
    _, chunks = fed(delta(tool_calls=[fragment(index=0, id="a", name="f", arguments={"x": "é"})]))
    assert calls(chunks) == [(0, "a", "f", '{"x": "é"}')]


# Usage.


def test_usage_is_reported_when_it_changes_and_only_then() -> None:
    def counted(n: int) -> dict[str, Any]:
        return delta(content="x") | {"usage": {"prompt_tokens": 3, "completion_tokens": n}}

    _, chunks = fed(counted(1), counted(1), counted(2), {"choices": [], "usage": None})
    assert [c.kind for c in chunks] == ["text", "usage", "text", "text", "usage"]
    assert chunks[-1].metadata == {"usage": Usage(input_tokens=3, output_tokens=2)}


def test_usage_beside_the_finish_reason_or_in_x_groq_is_read() -> None:
    frame = delta("stop") | {"x_groq": {"usage": {"total_tokens": 9}}}
    _, chunks = fed(frame)
    assert chunks[0].metadata["usage"].total_tokens == 9
    assert chunks[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("frame", "details"),
    [
        ({"usage": {"total_tokens": 9, "prompt_tokens_details": {"audio_tokens": 0}}}, None),
        ({"usage": {"total_tokens": 9, "cost": 0}}, {"total_tokens": 9, "cost": 0}),
        (
            {"usage": {"total_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4}}},
            {"total_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4}},
        ),
        (
            {"usage": {"total_tokens": 9}, "time_info": {"queue_time": 0.5}, "stats": {}},
            {"time_info": {"queue_time": 0.5}},
        ),
        (
            {
                "usage": {"total_tokens": 9},
                "x_groq": {"id": "r", "usage_breakdown": {"models": []}},
            },
            {"usage_breakdown": {"models": []}},
        ),
    ],
)
def test_what_a_service_reports_beside_the_counts_is_in_the_details(
    frame: dict[str, Any], details: dict[str, Any] | None
) -> None:
    (chunk,) = fed(delta(), frame)[1]
    assert chunk.metadata["usage"] == Usage(total_tokens=9)
    assert chunk.metadata.get("details") == details


def test_times_without_usage_leave_the_counts_as_they_were() -> None:
    counted = {"usage": {"total_tokens": 9}}
    _, chunks = fed(delta(), counted, delta("stop") | {"timings": {"predicted_ms": 2.5}})
    assert chunks[-1].metadata == {
        "usage": Usage(total_tokens=9), "details": {"timings": {"predicted_ms": 2.5}},
    }  # fmt: skip


# Errors under status 200.


@pytest.mark.parametrize(
    ("data", "name", "kind", "code", "retryable"),
    [
        ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "message",
         RateLimited, "rate_limit_exceeded", True),
        ({"error": {"message": "oops", "type": "server_error", "code": 500}}, "message",
         Overloaded, 500, True),
        ({"error": "oops"}, "message", ProviderError, None, False),
        ({"object": "error", "message": "bad", "code": 400}, "message", InvalidRequest, 400, False),
        ({"choices": [], "error": {"code": 400, "message": "bad"}}, "message",
         InvalidRequest, 400, False),
        ({"error": {"message": "no", "type": "invalid_request_error"}}, "error",
         InvalidRequest, None, False),
        ({"message": "flat", "code": "overloaded"}, "error", Overloaded, "overloaded", True),
        ({"choices": [], "x_groq": {"id": "r", "error": "over_capacity"}}, "message",
         ProviderError, None, False),
        ([{"error": {"code": 503, "message": "gone"}}], "message", Overloaded, 503, True),
        ("plain text", "error", ProviderError, None, False),
        ({"message": "many", "type": "too_many_requests_error", "param": "x", "code": 429},
         "message", RateLimited, 429, True),
        ({"message": "gone", "type": "server_error"}, "message", Overloaded, None, True),
        ({"detail": "Unauthorized"}, "message", ProviderError, None, False),
        ({"detail": [{"type": "missing", "loc": ["body"], "msg": "bad"}]}, "message",
         ProviderError, None, False),
        ({"errors": [{"code": 500, "message": "bad"}], "success": False}, "message",
         Overloaded, 500, True),
    ],
)  # fmt: skip
def test_an_error_in_any_frame_is_raised(
    data: Any, name: str, kind: type[ProviderError], code: Any, retryable: bool
) -> None:
    dialect = OpenAIChat(LOCAL)
    with pytest.raises(ProviderError) as caught:
        dialect.feed(event(data, name))
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert caught.value.status is None
    assert str(caught.value).startswith("openai-compatible failed in the stream: ")


@pytest.mark.parametrize(
    "frame",
    [
        {"message": "warming up"},
        {"errors": [], "success": True},
        {"detail": None},
        {"message": {"role": "assistant"}, "code": 1},
        delta(content="") | {"message": "hi", "code": 0, "detail": "hi", "errors": ["hi"]},
    ],
)
def test_a_frame_that_may_be_no_error_is_none(frame: dict[str, Any]) -> None:
    dialect, chunks = fed(frame)
    assert (chunks, dialect.failure) == ([], None)


GONE = {"error": {"code": 502, "message": "gone"}}


@pytest.mark.parametrize(
    ("frame", "kinds", "finish"),
    [
        ({"choices": [{"delta": {"content": "x"}, **GONE}]}, ["text"], None),
        ({"choices": [{"delta": {"content": "x"}, "finish_reason": "error"}], **GONE},
         ["text"], "error"),
        ({"choices": [{"delta": {"content": ""}, "finish_reason": "error"}], **GONE}, [], "error"),
        ({"choices": [], "usage": {"total_tokens": 5}, **GONE}, ["usage"], None),
        ({"choices": [], "x_groq": {**GONE, "usage": {"total_tokens": 5}}}, ["usage"], None),
        ({"choices": [{"delta": {"content": "x"}}], "usage": {"total_tokens": 5}, **GONE},
         ["text", "usage"], None),
    ],
)  # fmt: skip
def test_what_comes_with_an_error_is_given_before_it(
    frame: dict[str, Any], kinds: list[str], finish: str | None
) -> None:
    dialect, chunks = fed(delta(content="first"), frame)
    assert [chunk.kind for chunk in chunks] == ["text", *kinds]
    assert (dialect.finish_reason, dialect.finished) == (finish, True)
    assert type(dialect.failure) is Overloaded
    assert (dialect.failure.code, dialect.failure.retryable) == (502, True)
    assert "gone" in str(dialect.failure)


def test_a_whole_answer_with_an_error_gives_what_it_has_first() -> None:
    dialect = OpenAIChat(LOCAL)
    answer = {"choices": [{"message": {"role": "assistant", "content": "Hi"}}], **GONE}
    chunks = dialect.whole(json.dumps(answer).encode())
    assert [chunk.content for chunk in chunks or ()] == ["Hi"]
    assert "gone" in str(dialect.failure)


# What cannot be sent.


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"role": "alien", "content": "x"}, "the role of message 1 must be one of .*'alien'"),
        ({"role": 5, "content": "x"}, "the role of message 1"),
        ({"content": "x"}, "the role of message 1"),
        ({"role": "tool", "content": "x"}, "message 1 is a tool's result and needs tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": ""}, "needs tool_call_id"),
        ({"role": "tool", "content": "x", "tool_call_id": 5}, "needs tool_call_id"),
    ],
)
@pytest.mark.parametrize("dialect", [OpenAIChat, OpenAIResponses, MistralChat, PerplexityChat])
def test_a_message_nobody_could_place_is_refused(
    dialect: Any, message: dict[str, Any], told: str
) -> None:
    call = Call(model="m", messages=(*HI, message))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=told):
        dialect(LOCAL).request(call)


@pytest.mark.parametrize("dialect", [OpenAIChat, OpenAIResponses, MistralChat, PerplexityChat])
@pytest.mark.parametrize("role", ["system", "developer"])
def test_messages_of_the_system_alone_are_sent(dialect: Any, role: str) -> None:
    call = Call(model="m", messages=(Message(role=role, content="Brief."),))
    body = json.loads(dialect(LOCAL).request(call).body)
    (sent,) = body.get("messages") or body["input"]
    assert sent["content"] == "Brief."


# A whole JSON answer where a stream was due.


def test_a_whole_answer_is_read() -> None:
    answer = {
        "id": "c1", "model": "m1", "object": "chat.completion",
        "choices": [{
            "index": 0, "finish_reason": "tool_calls",
            "message": {
                "role": "assistant", "content": "Hi", "reasoning_content": "hm",
                "tool_calls": [fragment(id="a", name="f", arguments="{}")],
            },
        }],
        "usage": {"total_tokens": 5},
    }  # fmt: skip
    dialect = OpenAIChat(LOCAL)
    chunks = dialect.whole(json.dumps(answer).encode())
    assert chunks is not None
    assert [c.kind for c in chunks] == ["reasoning", "text", "tool_call", "usage"]
    assert (dialect.finished, dialect.finish_reason) == (True, "tool_calls")
    assert (dialect.model, dialect.response_id) == ("m1", "c1")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"choices": []}', b'{"choices": [{"message":', b"\xff"]
)
def test_a_body_that_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    assert OpenAIChat(LOCAL).whole(body) is None


def test_a_whole_error_is_raised() -> None:
    with pytest.raises(ProviderError, match="no such model"):
        OpenAIChat(LOCAL).whole(b'{"error": {"message": "no such model"}}')


# What one event may cost.


def test_the_parts_of_an_event_are_joined_into_runs_of_one_kind() -> None:
    thought = {"type": "thinking", "thinking": ["x", {"type": "text", "text": "y"}]}
    _, chunks = fed(delta(content=["a", {"text": "b"}, thought, thought, "c", ""]))
    assert shown(chunks) == [("text", "ab"), ("reasoning", "xyxy"), ("text", "c")]


def test_the_fragments_of_an_event_are_joined_into_one_chunk_a_call() -> None:
    parts = [
        {"index": n % 2, "id": f"i{n % 2}", "function": {"arguments": str(n)}} for n in range(6)
    ]
    _, chunks = fed(delta(tool_calls=parts))
    assert shown(chunks) == [("tool_call", "024"), ("tool_call", "135")]
    assert [chunk.metadata["id"] for chunk in chunks] == ["i0", "i1"]


def test_a_flood_of_calls_is_an_error() -> None:
    with pytest.raises(LimitExceeded, match="at most 1024 tool calls"):
        fed(delta(tool_calls=[{}] * 2000))


@pytest.mark.parametrize("kind", ["thinking", "text"])
def test_parts_are_looked_into_four_levels_deep(kind: str) -> None:
    def nested(levels: int) -> Any:
        value: Any = ["a", "b"]
        for _ in range(levels):
            value = [{"type": kind, kind: value}]
        return value

    name = "reasoning" if kind == "thinking" else "text"
    assert shown(fed(delta(content=nested(3)))[1]) == [(name, "ab")]
    assert fed(delta(content=nested(4)))[1] == []
    assert fed(delta(content=[*nested(80), "c"]))[1][0].content == "c"


@pytest.mark.parametrize("value", [None, "", [], {}, "x"])
@pytest.mark.parametrize(
    "name",
    ["role", "token_id", "reasoning_content", "reasoning", "reasoning_details", "tool_calls",
     "function_call", "refusal", "audio"],
)  # fmt: skip
def test_members_beside_the_text_change_nothing_where_they_say_nothing(
    name: str, value: Any
) -> None:
    dialect, _ = fed(delta())
    chunks = dialect.feed(
        event(delta(**{"content": "t", "role": "assistant", "x": None, name: value}))
    )
    slow: list[Chunk] = []
    dialect._read_delta({"content": "t", name: value}, slow)
    assert chunks == slow
    assert ("text", "t") in shown(chunks)


# Any value in any place.

RICH: dict[str, Any] = {
    "id": "c1", "model": "m1", "citations": ["https://a"], "search_results": [{"url": "https://a"}],
    "images": ["i"], "timings": {"predicted_ms": 1}, "x_groq": {"usage": {"total_tokens": 1}},
    "prompt_filter_results": [{"content_filter_results": {"hate": {"severity": "high"}}}],
    "choices": [
        {
            "index": 0, "finish_reason": "stop", "logprobs": {"content": [{"token": "x"}]},
            "content_filter_results": {"hate": {"filtered": True}}, "text": "t",
            "delta": {
                "content": [{"type": "reference", "reference_ids": [1]}, {"text": "t"}],
                "reasoning_details": [{"text": "r", "signature": "s"}],
                "annotations": [{"type": "url_citation", "url_citation": {"url": "https://b"}}],
                "executed_tools": [{"index": 0, "type": "search", "output": "o"}],
                "reasoning_steps": [{"thought": "t", "type": "s", "s": {"results": []}}],
                "audio": {"id": "a", "transcript": "t"},
                "refusal": "no",
                "tool_calls": [{"index": 0, "id": "i", "function": {"name": "f", "arguments": ""}}],
            },
        },
        {"index": 1, "finish_reason": "stop", "delta": {"content": "o"}, "text": "o"},
    ],
}  # fmt: skip
VALUES: list[Any] = [
    None,
    True,
    -1,
    1e400,
    "",
    "\ud800",
    "url_citation",
    [],
    [[]],
    {},
    {"a": {"b": []}},
    [{}],
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values in a value."""
    yield path
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


@pytest.mark.parametrize(
    "dialect",
    [OpenAIChat, OpenAICompletions, MistralChat, PerplexityChat],
    ids=lambda d: d.__name__,
)
@pytest.mark.parametrize("path", [*places(RICH)], ids=str)
def test_any_value_in_any_place_breaks_nothing(dialect: Any, path: tuple[Any, ...]) -> None:
    for value in VALUES:
        frame: Any = {"": copy.deepcopy(RICH)}
        holder, key = frame, ""
        for step in path:
            holder, key = holder[key], step
        holder[key] = value
        reader = dialect(LOCAL)
        try:
            chunks = [c for _ in range(2) for c in reader.feed(event(json.dumps(frame[""])))]
        except ProviderError as error:
            str(error).encode()
            continue
        for chunk in chunks:
            assert chunk.content or chunk.metadata
            json.dumps({**chunk.metadata, "usage": None}, ensure_ascii=False).encode()
