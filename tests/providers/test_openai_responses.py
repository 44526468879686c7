"""The Responses dialect: what it makes of each event, and of what others send instead."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamkit.chunk import Chunk, Usage
from streamkit.errors import (
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    ProtocolError,
    ProviderError,
    RateLimited,
)
from streamkit.providers.base import Endpoint
from streamkit.providers.calls import MAX_CALLS
from streamkit.providers.openai_responses import OpenAIResponses
from streamkit.request import Call, Message, Request, Secret
from streamkit.wire.sse import Event

ENDPOINT = Endpoint(provider="openai", base_url="https://h/v1", api_key=Secret("sk-0123456789"))
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 17,
}


def event(frame: Any, name: str = "message") -> Event:
    return Event(name, frame if isinstance(frame, str) else json.dumps(frame), "", None)


def fed(*frames: Any) -> tuple[OpenAIResponses, list[Chunk]]:
    dialect = OpenAIResponses(ENDPOINT)
    return dialect, [chunk for frame in frames for chunk in dialect.feed(event(frame))]


def whole(**members: Any) -> tuple[OpenAIResponses, list[Chunk] | None]:
    dialect = OpenAIResponses(ENDPOINT)
    return dialect, dialect.whole(json.dumps(members).encode())


def of(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **members}


def delta(kind: str, text: Any, **members: Any) -> dict[str, Any]:
    return of(f"{kind}.delta", delta=text, **members)


def added(index: int, **item: Any) -> dict[str, Any]:
    return of("output_item.added", output_index=index, item=item)


def done(index: int, **item: Any) -> dict[str, Any]:
    return of("output_item.done", output_index=index, item=item)


def function(arguments: Any = "", **members: Any) -> dict[str, Any]:
    item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "add"}
    return {**item, "arguments": arguments, **members}


def ended(kind: str = "completed", **response: Any) -> dict[str, Any]:
    return of(kind, response={"id": "resp_1", "model": "gpt-5-1", "status": kind, **response})


def shown(chunks: Iterable[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


def notes(chunks: Iterable[Chunk], key: str) -> list[Any]:
    return [chunk.metadata[key] for chunk in chunks if key in chunk.metadata]


def calls(chunks: Iterable[Chunk]) -> list[tuple[int, str, str, str]]:
    """(index, id, name, arguments) of each call, put together."""
    found: dict[int, tuple[int, str, str, str]] = {}
    for chunk in chunks:
        if chunk.kind == "tool_call":
            m = chunk.metadata
            before = found.get(m["index"], (0, "", "", ""))[3]
            found[m["index"]] = (m["index"], m["id"], m["name"], before + chunk.content)
    return list(found.values())


# Text and its like.


def test_each_kind_of_delta_is_a_chunk_of_its_kind() -> None:
    _, chunks = fed(
        delta("reasoning_summary_text", "**Plan**"),
        delta("reasoning_text", "hm"),
        delta("output_text", "Hi"),
        delta("refusal", "No"),
    )
    assert shown(chunks) == [
        ("reasoning", "**Plan**"), ("reasoning", "hm"), ("text", "Hi"), ("refusal", "No"),
    ]  # fmt: skip


def test_the_events_that_end_a_part_repeat_it_and_are_not_read() -> None:
    part = {"type": "output_text", "text": "Hi", "annotations": []}
    _, chunks = fed(
        added(0, type="message", id="m", content=[]),
        of("content_part.added", part={**part, "text": ""}),
        delta("output_text", "Hi"),
        of("output_text.done", text="Hi"),
        of("content_part.done", part=part),
        done(0, type="message", id="m", content=[part]),
        ended(output=[{"type": "message", "content": [part]}]),
    )
    assert shown(chunks) == [("text", "Hi")]


@pytest.mark.parametrize("text", ["", None, 5, ["x"], {"text": "x"}])
def test_a_delta_that_is_no_text_gives_nothing(text: Any) -> None:
    assert fed(delta("output_text", text), delta("reasoning_text", text))[1] == []


@pytest.mark.parametrize(
    "frame",
    ["", "  ", "5", "[]", "null", {}, {"type": None}, {"type": []}, {"type": 5},
     {"type": "response.unheard_of", "delta": "x"}, of("steer.failed", error={"message": "m"}),
     of("web_search_call.searching", item_id="ws_1")],
)  # fmt: skip
def test_what_says_nothing_to_us_is_skipped(frame: Any) -> None:
    dialect, chunks = fed(frame, delta("output_text", "Hi"))
    assert shown(chunks) == [("text", "Hi")]
    assert not dialect.finished


def test_a_frame_with_blanks_around_it_is_read() -> None:
    assert shown(fed(" " + json.dumps(delta("output_text", "Hi")) + " ")[1]) == [("text", "Hi")]


def test_what_is_not_json_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        fed("{oops")


# Names and the end.


def test_the_first_id_and_the_last_model_stay() -> None:
    dialect, chunks = fed(
        of("created", response={"id": "resp_1", "model": "gpt-5"}),
        delta("output_text", "Hi"),
        ended(id="resp_2", usage=USAGE),
    )
    assert (dialect.response_id, dialect.model) == ("resp_1", "gpt-5-1")
    assert [(chunk.id, chunk.model) for chunk in chunks] == [
        ("resp_1", "gpt-5"),
        ("resp_1", "gpt-5-1"),
    ]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (ended(), "completed"),
        (of("completed", response={}), "completed"),
        (of("completed"), "completed"),
        (of("incomplete", response=None), "incomplete"),
        (ended("incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (ended("incomplete", incomplete_details={"reason": ["x"]}), "incomplete"),
        (ended("failed"), "failed"),
    ],
)
def test_the_end_says_why(frame: Any, reason: str) -> None:
    dialect, _ = fed(frame)
    assert dialect.finished
    assert dialect.finish_reason == reason


def test_the_mark_of_gateways_ends_but_makes_nothing_complete() -> None:
    dialect, chunks = fed("[DONE] ")
    assert (dialect.finished, dialect.finish_reason, chunks) == (True, None, [])
    assert not dialect.terminal_is_complete


def test_the_usage_comes_with_the_end_and_carries_the_finish_reason() -> None:
    _, (chunk,) = fed(ended(usage=USAGE))
    assert chunk.metadata == {"usage": Usage(10, 7, 17, 3, 4)}
    assert (chunk.kind, chunk.finish_reason) == ("usage", "completed")


@pytest.mark.parametrize(
    "usage",
    [{**USAGE, "cost": 0.25}, {**USAGE, "input_tokens_details": {"cache_write_tokens": 5}}],
)
def test_what_usage_holds_beside_the_counts_is_kept(usage: Any) -> None:
    _, (chunk,) = fed(ended(usage=usage))
    assert chunk.metadata["details"] == usage


# Calls.


def test_the_fragments_of_a_call_are_joined_and_its_end_adds_nothing() -> None:
    full = '{"a": 1}'
    _, chunks = fed(
        added(0, **function()),
        delta("function_call_arguments", '{"a"', output_index=0),
        delta("function_call_arguments", ": 1}", output_index=0),
        of("function_call_arguments.done", output_index=0, arguments=full),
        done(0, **function(full)),
    )
    assert calls(chunks) == [(0, "call_1", "add", full)]
    assert [chunk.content for chunk in chunks] == ["", '{"a"', ": 1}"]


@pytest.mark.parametrize(
    "frames",
    [
        [added(0, **function()), of("function_call_arguments.done", output_index=0, arguments="{}"),
         done(0, **function("{}"))],
        [added(0, **function()), done(0, **function("{}"))],
        [added(0, **function("{}")), done(0, **function("{}"))],
        [done(0, **function("{}"))],
        [done(0, **function("{}")), done(0, **function("{}"))],
        [added(0, **function()), delta("function_call_arguments", "{", output_index=0),
         done(0, **function("{}"))],
        [added(0, **function(None)), done(0, **function("{}", name=None, call_id=""))],
    ],
)  # fmt: skip
def test_arguments_that_come_late_come_once(frames: list[Any]) -> None:
    assert calls(fed(*frames)[1]) == [(0, "call_1", "add", "{}")]


def test_where_the_end_differs_from_the_fragments_they_stay() -> None:
    frames = [delta("function_call_arguments", '{"a":1}', output_index=0)]
    _, chunks = fed(added(0, **function()), *frames, done(0, **function('{"a": 1}')))
    assert calls(chunks) == [(0, "call_1", "add", '{"a":1}')]


def test_parallel_calls_are_told_apart_by_their_place_though_ids_change() -> None:
    _, chunks = fed(
        added(1, **function()),
        added(2, **function(call_id="call_2", id="fc_2", name="sub")),
        delta("function_call_arguments", "{2", output_index=2, item_id="other"),
        delta("function_call_arguments", "{1", output_index=1, item_id="another"),
        done(1, **function("{1}", id="rotated")),
        done(2, **function("{2}", id="rotated", call_id="call_2")),
    )
    assert calls(chunks) == [(0, "call_1", "add", "{1}"), (1, "call_2", "sub", "{2}")]


def test_without_a_place_the_id_of_the_item_tells() -> None:
    begin, end = added(0, **function()), done(0, **function("{1}"))
    del begin["output_index"], end["output_index"]
    _, chunks = fed(begin, delta("function_call_arguments", "{1", item_id="fc_1"), end)
    assert calls(chunks) == [(0, "call_1", "add", "{1}")]


def test_fragments_of_an_unknown_call_are_skipped() -> None:
    frames = [delta("function_call_arguments", "{", output_index=3),
              of("function_call_arguments.done", output_index=3, arguments="{}"),
              added(3, type="message"),
              delta("function_call_arguments", "{", output_index=3)]  # fmt: skip
    assert fed(*frames)[1] == []


def test_the_input_of_a_custom_call_is_its_arguments() -> None:
    item = {"type": "custom_tool_call", "id": "ct_1", "call_id": "call_1", "name": "sh"}
    _, chunks = fed(
        added(0, **item, input=""),
        delta("custom_tool_call_input", "ls", output_index=0),
        of("custom_tool_call_input.done", output_index=0, input="ls -l"),
        done(0, **item, input="ls -l"),
    )
    assert calls(chunks) == [(0, "call_1", "sh", "ls -l")]


def test_arguments_sent_as_an_object_are_dumped() -> None:
    _, chunks = fed(done(0, **function({"a": 1})))
    assert calls(chunks) == [(0, "call_1", "add", '{"a": 1}')]


def test_an_answer_has_a_bounded_number_of_calls() -> None:
    dialect, _ = fed(*(added(number, **function()) for number in range(MAX_CALLS)))
    with pytest.raises(LimitExceeded):
        dialect.feed(event(added(MAX_CALLS, **function())))


# What is no text: tools of the service, citations, reasoning to be sent back, images.


def test_a_tool_of_the_service_is_told_when_it_begins_and_when_it_has_ended() -> None:
    action = {"type": "search", "query": "peaks"}
    _, chunks = fed(
        added(0, type="web_search_call", id="ws_1", status="in_progress"),
        of("web_search_call.completed", output_index=0),
        done(0, type="web_search_call", id="ws_1", status="completed", action=action),
    )
    begun = {"name": "web_search_call", "id": "ws_1", "status": "in_progress"}
    assert notes(chunks, "server_tool") == [begun]
    assert notes(chunks, "server_tool_result") == [
        {**begun, "status": "completed", "action": action}
    ]
    assert shown(chunks) == [("text", ""), ("text", "")]


def test_a_tool_told_only_at_its_end_is_told_as_both() -> None:
    _, chunks = fed(done(0, type="mcp_call", id="mcp_1", name="roll", output="6"))
    told = {"name": "mcp_call", "id": "mcp_1", "tool": "roll", "output": "6"}
    assert notes(chunks, "server_tool") == [told]
    assert notes(chunks, "server_tool_result") == [told]


def test_a_request_for_approval_is_told() -> None:
    _, chunks = fed(added(0, type="mcp_approval_request", id="a1", name="roll", arguments="{}"))
    assert notes(chunks, "server_tool")[0]["tool"] == "roll"


def test_a_request_for_approval_has_no_result_and_is_told_once() -> None:
    item = {"type": "mcp_approval_request", "id": "a1", "name": "roll", "arguments": "{}"}
    _, chunks = fed(added(0, **item), done(0, **item))
    assert [list(chunk.metadata) for chunk in chunks] == [["server_tool"]]


def test_each_annotation_is_cited_once() -> None:
    first, second = ({"type": "url_citation", "url": f"https://h/{n}"} for n in (1, 2))
    part = {"type": "output_text", "text": "Hi", "annotations": [first, second]}
    _, chunks = fed(
        added(0, type="message", id="m"),
        of("output_text.annotation.added", output_index=0, content_index=0, annotation=first),
        done(0, type="message", id="m", content=[part]),
    )
    assert notes(chunks, "citation") == [first, second]


@pytest.mark.parametrize("annotation", [None, {}, "x", 5, []])
def test_an_annotation_that_says_nothing_is_skipped(annotation: Any) -> None:
    assert fed(of("output_text.annotation.added", annotation=annotation))[1] == []


def test_encrypted_reasoning_is_kept_with_what_it_must_be_sent_back_with() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": []}
    _, chunks = fed(
        added(0, **item, encrypted_content="part"), done(0, **item, encrypted_content="all")
    )
    assert shown(chunks) == [("reasoning", "")]
    assert chunks[0].metadata == {"encrypted": "all", "id": "rs_1", "type": "reasoning"}


def test_images_come_as_previews_and_then_whole_and_are_no_text() -> None:
    item = {"type": "image_generation_call", "id": "ig_1"}
    _, chunks = fed(
        added(0, **item),
        of("image_generation_call.partial_image", item_id="ig_1", partial_image_index=0,
           partial_image_b64="iV", size="1024x1024"),
        done(0, **item, result="iVBO", output_format="png"),
    )  # fmt: skip
    assert notes(chunks, "image") == [
        {"id": "ig_1", "data": "iV", "partial": True, "number": 0, "size": "1024x1024"},
        {"id": "ig_1", "data": "iVBO", "partial": False, "output_format": "png"},
    ]
    assert "".join(chunk.content for chunk in chunks) == ""
    (result,) = notes(chunks, "server_tool_result")
    assert "result" not in result


@pytest.mark.parametrize("result", [None, "", 5])
def test_an_image_without_data_is_none(result: Any) -> None:
    _, chunks = fed(
        of("image_generation_call.partial_image", partial_image_b64=result),
        done(0, type="image_generation_call", id="ig_1", result=result),
    )
    assert notes(chunks, "image") == []


def test_lone_surrogates_do_not_reach_metadata() -> None:
    _, chunks = fed(
        done(0, type="web_search_call", id="\ud83d", query="\ud83d"),
        of("output_text.annotation.added", annotation={"title": "\ud83d"}),
        done(1, type="reasoning", id="r", encrypted_content="\ud83d"),
        done(2, **function("{}", call_id="\ud83d")),
        of("created", response={"id": "\ud83d", "model": "\ud83d"}),
        ended(usage={**USAGE, "note": "\ud83d"}),
    )
    assert len(chunks) == 7
    for chunk in chunks:
        told = {name: value for name, value in chunk.metadata.items() if name != "usage"}
        json.dumps([told, chunk.model, chunk.id], ensure_ascii=False).encode()


# Errors.


SORRY = {"type": "server_error", "code": "server_error", "message": "Sorry"}


def test_the_flat_error_event_waits_for_the_next() -> None:
    dialect, _ = fed(
        {"type": "error", "code": "rate_limit_exceeded", "message": "Slow down", "param": None}
    )
    failure = dialect.failure
    assert type(failure) is RateLimited
    assert (failure.code, failure.type, failure.message) == (
        "rate_limit_exceeded", None, "Slow down",
    )  # fmt: skip
    assert failure.retryable
    assert (dialect.finished, dialect.finish_reason) == (False, None)


@pytest.mark.parametrize("name", ["error", "message"])
def test_the_failed_answer_behind_an_error_event_is_read_and_has_the_last_word(name: str) -> None:
    dialect = OpenAIResponses(ENDPOINT)
    assert dialect.feed(event({"type": "error", "error": SORRY}, name)) == []
    assert dialect.failure is not None
    assert (dialect.failure.type, dialect.finished) == ("server_error", False)
    error = {"code": "server_error", "message": "Sorry indeed"}
    (usage,) = dialect.feed(event(ended("failed", error=error, usage=USAGE)))
    assert usage.kind == "usage"
    assert (dialect.failure.type, dialect.failure.message) == (None, "Sorry indeed")
    assert (dialect.finish_reason, dialect.finished, dialect.model) == ("failed", True, "gpt-5-1")


def test_a_failed_answer_without_an_error_leaves_that_of_the_event_before() -> None:
    dialect, _ = fed({"type": "error", "error": SORRY}, ended("failed"))
    assert dialect.failure is not None
    assert dialect.failure.message == "Sorry"


@pytest.mark.parametrize("frame", [delta("output_text", "x"), ended(), of("unheard_of")])
def test_any_other_event_behind_an_error_event_ends_the_answer_unread(frame: Any) -> None:
    dialect, chunks = fed(delta("output_text", "a"), {"type": "error", "error": SORRY}, frame)
    assert [chunk.content for chunk in chunks] == ["a"]
    assert (dialect.finish_reason, dialect.finished) == (None, True)
    assert type(dialect.failure) is Overloaded


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        ("server_error", Overloaded, True),
        ("rate_limit_exceeded", RateLimited, True),
        ("insufficient_quota", RateLimited, False),
        ("invalid_prompt", InvalidRequest, False),
    ],
)
def test_a_failed_answer_gives_its_usage_and_then_its_error(
    code: str, kind: type[ProviderError], retryable: bool
) -> None:
    error = {"code": code, "message": "Sorry"}
    dialect, chunks = fed(ended("failed", error=error, usage=USAGE))
    assert [chunk.metadata["usage"].input_tokens for chunk in chunks] == [10]
    failure = dialect.failure
    assert type(failure) is kind
    assert "Sorry" in str(failure)
    assert (failure.code, failure.retryable) == (code, retryable)
    assert (dialect.finish_reason, dialect.finished, dialect.model) == ("failed", True, "gpt-5-1")


def test_the_error_of_a_failed_answer_does_not_quote_the_instructions() -> None:
    dialect, _ = fed(ended("failed", instructions="secret plan", error={"message": "Sorry"}))
    assert dialect.failure is not None
    assert "secret plan" not in dialect.failure.body


def test_an_error_in_a_list_is_one() -> None:
    failure = fed([{"type": "error", "code": "server_error", "message": "gone"}])[0].failure
    assert type(failure) is Overloaded
    assert fed([], [5], [[{"type": "error"}]])[1] == []


@pytest.mark.parametrize(
    ("data", "message"),
    [('{"error": {"message": "gone"}}', "gone"), ('{"error": "gone"}', "gone"), ("gone", "gone"),
     ('{"cut', "cut"), ('{"message": "gone"}', "gone")],
)  # fmt: skip
def test_an_event_named_error_is_one_whatever_it_holds(data: str, message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        OpenAIResponses(ENDPOINT).feed(event(data, "error"))


def test_an_error_object_without_a_type_is_one() -> None:
    dialect = OpenAIResponses(ENDPOINT)
    with pytest.raises(ProviderError, match="gone"):
        dialect.feed(event({"error": {"message": "gone"}}))
    assert dialect.finish_reason is None


def test_the_key_does_not_come_back_in_an_error() -> None:
    failure = fed({"type": "error", "message": "bad key sk-0123456789"})[0].failure
    assert failure is not None
    assert "sk-0123456789" not in f"{failure} {failure.body} {failure.message}"


# Parts and calls that are told at one end only.


def part_done(kind: str, text: str, **place: Any) -> list[dict[str, Any]]:
    """The two events that end a part and repeat it."""
    member = "refusal" if kind == "refusal" else "text"
    part = {"type": kind, member: text}
    return [
        of(f"{kind}.done", **{member: text}, **place),
        of("content_part.done", part=part, **place),
    ]


@pytest.mark.parametrize(("kind", "read_as"), [("output_text", "text"), ("refusal", "refusal")])
@pytest.mark.parametrize("ends", [(0, 1), (0,), (1,)], ids=["both", "first", "second"])
def test_a_part_without_deltas_is_read_from_its_end_once(
    kind: str, read_as: str, ends: tuple[int, ...]
) -> None:
    first = part_done(kind, "ab", output_index=0, content_index=0)
    second = part_done(kind, "cd", output_index=0, content_index=1)
    begun = delta(kind, "ab", output_index=0, content_index=0)
    _, chunks = fed(begun, *(first[end] for end in ends), *(second[end] for end in ends))
    assert [(chunk.kind, chunk.content) for chunk in chunks] == [(read_as, "ab"), (read_as, "cd")]


@pytest.mark.parametrize("at_delta", [{}, {"item_id": "x"}, {"output_index": 0}])
@pytest.mark.parametrize("at_end", [{}, {"item_id": "y"}, {"output_index": 0, "content_index": 0}])
def test_a_part_that_had_deltas_is_never_told_again(
    at_delta: dict[str, Any], at_end: dict[str, Any]
) -> None:
    deltas = [delta("output_text", text, **at_delta) for text in "abc"]
    assert text_of(*deltas, *part_done("output_text", "abc", **at_end)) == "abc"


def test_deltas_of_two_parts_at_a_time_are_told_once() -> None:
    places = [{"output_index": n, "content_index": 0} for n in (0, 1)]
    deltas = [delta("output_text", text, **place) for text in "ab" for place in places]
    ends = [end for place in places for end in part_done("output_text", "ab", **place)]
    assert text_of(*deltas, *ends) == "aabb"


def test_reasoning_is_read_from_its_deltas_alone() -> None:
    part = {"type": "reasoning_text", "text": "hm"}
    assert fed(of("content_part.done", output_index=0, part=part))[1] == []


def test_arguments_at_the_start_that_come_again_as_deltas_are_told_once() -> None:
    place = {"output_index": 0}
    frames = [
        added(0, **function("{1}")),
        delta("function_call_arguments", "{1", **place),
        delta("function_call_arguments", "}", **place),
        of("function_call_arguments.done", arguments="{1}", **place),
        done(0, **function("{1}")),
        ended(),
    ]
    assert calls(fed(*frames)[1]) == [(0, "call_1", "add", "{1}")]
    assert calls(fed(frames[0], frames[-1])[1]) == [(0, "call_1", "add", "{1}")]
    assert calls(fed(frames[0], "[DONE]")[1]) == [(0, "call_1", "add", "{1}")]
    dialect, chunks = fed(frames[0])
    assert calls(chunks + dialect.flush()) == [(0, "call_1", "add", "{1}")]


def test_a_call_that_is_named_at_its_end_is_named_in_a_chunk() -> None:
    _, chunks = fed(added(0, **function(call_id="", name=None)), done(0, **function("")))
    assert [(c.metadata["id"], c.metadata["name"]) for c in chunks] == [("", ""), ("call_1", "add")]


# A whole answer where a stream was due.


def test_a_whole_answer_gives_what_its_stream_would() -> None:
    citation = {"type": "url_citation", "url": "https://h/1"}
    dialect, chunks = whole(
        id="resp_1",
        model="gpt-5-1",
        status="completed",
        error=None,
        usage=USAGE,
        output=[
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "gA==",
             "summary": [{"type": "summary_text", "text": "Plan"}],
             "content": [{"type": "reasoning_text", "text": "hm"}]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "message", "id": "m", "content": [
                {"type": "output_text", "text": "Hi", "annotations": [citation]},
                {"type": "refusal", "refusal": "No"}]},
            function('{"a": 1}'),
        ],
    )  # fmt: skip
    assert chunks is not None
    assert [pair for pair in shown(chunks) if pair[1]] == [
        ("reasoning", "Plan"), ("reasoning", "hm"), ("text", "Hi"), ("refusal", "No"),
        ("tool_call", '{"a": 1}'),
    ]  # fmt: skip
    assert calls(chunks) == [(0, "call_1", "add", '{"a": 1}')]
    assert notes(chunks, "encrypted") == ["gA=="]
    assert notes(chunks, "citation") == [citation]
    assert len(notes(chunks, "server_tool")) == 1
    assert notes(chunks, "usage") == [Usage(10, 7, 17, 3, 4)]
    assert (dialect.finish_reason, dialect.finished) == ("completed", True)
    assert (dialect.response_id, dialect.model) == ("resp_1", "gpt-5-1")
    assert chunks[-1].finish_reason == "completed"


@pytest.mark.parametrize(
    "members", [{}, {"output": "x"}, {"choices": []}, {"output": [], "status": "queued"}]
)
def test_a_body_that_is_no_ended_answer_is_none(members: Any) -> None:
    assert whole(**members)[1] is None
    assert OpenAIResponses(ENDPOINT).whole(b"[]") is None


@pytest.mark.parametrize("members", [{}, {"output": None}, {"output": [], "status": "in_progress"}])
def test_a_whole_error_is_raised(members: Any) -> None:
    with pytest.raises(ProviderError, match="gone"):
        whole(error={"message": "gone"}, **members)


def test_a_whole_answer_that_failed_gives_what_it_has_and_then_its_error() -> None:
    part = {"type": "output_text", "text": "Hi"}
    message = {"type": "message", "id": "m", "content": [part]}
    dialect, chunks = whole(
        status="failed", output=[message], usage=USAGE, error={"message": "gone"}
    )
    assert chunks is not None
    assert shown(chunks) == [("text", "Hi"), ("usage", "")]
    assert "gone" in str(dialect.failure)


# Numbers of events.


def numbered(*numbers: Any, text: str = "a") -> list[dict[str, Any]]:
    return [delta("output_text", text, sequence_number=number) for number in numbers]


def text_of(*frames: Any) -> str:
    return "".join(chunk.content for chunk in fed(*frames)[1])


def test_an_event_that_comes_again_under_its_number_is_dropped() -> None:
    assert text_of(*numbered(0, 1, 1, 2, 0, 1, 2, 3)) == "aaaa"
    added_twice = [{**added(0, **function("{}")), "sequence_number": 0}] * 2
    assert calls(fed(*added_twice)[1]) == [(0, "call_1", "add", "")]


@pytest.mark.parametrize("number", [None, "1", 1.0, True, [1], {}])
def test_without_numbers_the_same_event_twice_is_said_twice(number: Any) -> None:
    assert text_of(*numbered(number, number)) == "aa"
    assert text_of(delta("output_text", "a"), delta("output_text", "a")) == "aa"


def test_numbers_that_two_events_share_are_no_numbers() -> None:
    frames = [*numbered(4), *numbered(4, text="b"), *numbered(4, 4), *numbered(4, text="b")]
    assert text_of(*frames) == "abaab"


@pytest.mark.parametrize("name", ["stats", "timings"])
def test_how_fast_the_answer_was_made_stands_beside_the_usage(name: str) -> None:
    figures = {"tokens_per_second": 3.5}
    _, chunks = fed(ended(usage=USAGE, **{name: figures}))
    (usage,) = chunks
    assert usage.metadata["usage"].input_tokens == 10
    assert usage.metadata["details"] == {name: figures}
    _, chunks = fed(ended(usage=None, **{name: figures}))
    assert notes(chunks, "details") == [{name: figures}]
    assert fed(ended(usage=None, **{name: {}}))[1] == []


# Whatever comes.


def words(text: str) -> list[str]:
    return text.split()


TYPES = words("""
    output_text.delta output_item.added output_item.done created completed incomplete failed
    output_text.annotation.added function_call_arguments.delta function_call_arguments.done
    custom_tool_call_input.delta image_generation_call.partial_image reasoning_text.delta
""")
NAMES = words("""
    output_index item item_id id type name call_id arguments input delta response error usage
    annotation annotations content_index content summary text refusal status encrypted_content
    result model incomplete_details reason input_tokens output_tokens_details output code message
    partial_image_b64
""")
ITEMS = words("""
    message reasoning function_call custom_tool_call web_search_call image_generation_call
""")
LEAVES = st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "x", *ITEMS])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=15,
)
FRAMES = st.tuples(
    st.sampled_from(TYPES), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)
).map(lambda pair: {**pair[1], "type": f"response.{pair[0]}"})


@given(frames=st.lists(FRAMES, max_size=5))
@example(frames=[added(0, type=["function_call"]), done(0, **function([1], name={}, call_id=[]))])
@example(frames=[of("output_item.done", output_index={}, item={"type": [], "id": []})])
@example(frames=[done(0, type="message", content=[{"annotations": [5, {}]}, 5])])
@example(frames=[of("output_text.annotation.added", annotation={"a": 1}, content_index=[])])
@example(frames=[ended(usage={"input_tokens_details": {"x": []}})])
@example(frames=[ended(error=5)])
def test_no_event_breaks_the_dialect(frames: list[dict[str, Any]]) -> None:
    dialect = OpenAIResponses(ENDPOINT)
    for frame in frames:
        try:
            chunks = dialect.feed(event(frame))
        except (ProviderError, ProtocolError) as error:
            str(error).encode()
            continue
        for chunk in chunks:
            assert isinstance(chunk.content, str)
            assert chunk.content or chunk.metadata
            assert all(isinstance(v, (str, type(None))) for v in (chunk.model, chunk.id))
    assert isinstance(dialect.finish_reason, (str, type(None)))


@given(pieces=st.lists(st.text(max_size=4), max_size=6), told=st.integers(0, 30))
def test_however_much_the_fragments_said_the_arguments_are_whole(
    pieces: list[str], told: int
) -> None:
    full = "".join(pieces)
    fragments = [delta("function_call_arguments", piece, output_index=0) for piece in pieces]
    _, chunks = fed(added(0, **function()), *fragments[:told], done(0, **function(full)))
    assert [text for _, _, _, text in calls(chunks)] == [full]


# Taking a background response up where it broke.


def background(**body: Any) -> Request:
    call = Call(
        model="m",
        messages=(Message.user("Hi"),),
        extra_body={"background": True, **body},
        extra_headers={"X-Other": "kept"},
    )
    return OpenAIResponses(ENDPOINT).request(call)


def reading(*frames: Any) -> OpenAIResponses:
    dialect = OpenAIResponses(ENDPOINT)
    for frame in frames:
        dialect.feed(event(frame))
    return dialect


CREATED = of("created", response={"id": "resp_1", "model": "m"}, sequence_number=0)
SECOND = delta("output_text", "x", sequence_number=5)


def test_a_background_response_is_asked_for_what_follows_the_last_number() -> None:
    resume = reading(CREATED, SECOND).resume(background(), 999)
    assert resume is not None
    asked = resume.request
    assert (resume.by, asked.method, asked.body) == ("event", "GET", b"")
    assert asked.url == "https://h/v1/responses/resp_1?stream=true&starting_after=5"
    assert asked.headers["Authorization"] == "Bearer sk-0123456789"
    assert isinstance(asked.headers["Authorization"], Secret)
    assert (asked.headers["X-Other"], asked.headers["Accept"]) == ("kept", "text/event-stream")
    assert "Content-Type" not in asked.headers
    assert reading(CREATED, SECOND).resume(asked, 999) == resume


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [SECOND],
        [of("created", response={"id": "resp_1"})],
        [of("created", response={"id": ".."}, sequence_number=0)],
        [CREATED, of("in_progress", a=1, sequence_number=0)],
        [CREATED, ended(id="resp_1")],
        [CREATED, {"type": "error", "message": "x", "sequence_number": 1}],
    ],
    ids=["nothing", "no id", "no number", "id of dots", "no numbering", "ended", "failed"],
)
def test_what_cannot_be_asked_for_is_not(frames: list[Any]) -> None:
    assert reading(*frames).resume(background(), 0) is None


def test_a_response_that_ends_with_its_connection_is_not_asked_for() -> None:
    plain = OpenAIResponses(ENDPOINT).request(Call(model="m", messages=(Message.user("Hi"),)))
    assert reading(CREATED, SECOND).resume(plain, 0) is None
    assert reading(CREATED, SECOND).resume(background(store=False), 0) is None


def test_the_id_of_a_response_is_one_segment_of_the_path() -> None:
    odd = of("created", response={"id": "../a?b"}, sequence_number=0)
    resume = reading(odd).resume(background(), 0)
    assert resume is not None
    assert resume.request.url == "https://h/v1/responses/..%2Fa%3Fb?stream=true&starting_after=0"


def test_events_that_come_again_after_it_was_taken_up_are_read_once() -> None:
    dialect = reading(CREATED, SECOND)
    assert dialect.resume(background(), 0) is not None
    again = [dialect.feed(event(frame)) for frame in (CREATED, SECOND)]
    more = dialect.feed(event(delta("output_text", "y", sequence_number=6)))
    assert (again, shown(more)) == ([[], []], [("text", "y")])
