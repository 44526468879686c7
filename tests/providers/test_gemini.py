"""Gemini's dialect: what it sends, and the frames it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import Overloaded, ProtocolError, ProviderError, RateLimited
from streamkit.providers.base import Endpoint
from streamkit.providers.gemini import Gemini, GeminiArray
from streamkit.request import Call, Message, Secret
from streamkit.wire.sse import Event

ENDPOINT = Endpoint(provider="gemini", base_url="https://h", api_key=Secret("AIza-123456"))
HI = (Message.user("Hi"),)
CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]


def asked(endpoint: Endpoint = ENDPOINT, dialect: Any = Gemini, **keywords: Any) -> Any:
    return dialect(endpoint).request(Call(**{"model": "m", "messages": HI, **keywords}))


def frame(*parts: Any, model: str = "gemini", **candidate: Any) -> dict[str, Any]:
    content = {"parts": list(parts), "role": "model"}
    return {
        "candidates": [{"content": content, "index": 0, **candidate}],
        "modelVersion": model,
        "responseId": "r1",
    }


def text(content: str, **candidate: Any) -> dict[str, Any]:
    return frame({"text": content}, **candidate)


def call(name: str = "", **members: Any) -> dict[str, Any]:
    return frame({"functionCall": {"name": name, **members} if name else members})


def counts(**numbers: int) -> dict[str, Any]:
    return {"usageMetadata": {f"{name}TokenCount": n for name, n in numbers.items()}}


def fed(*frames: Any) -> tuple[Gemini, list[Chunk]]:
    dialect = Gemini(ENDPOINT)
    events = (Event(data=f if isinstance(f, str) else json.dumps(f)) for f in frames)
    return dialect, [chunk for event in events for chunk in dialect.feed(event)]


def shown(chunks: list[Chunk]) -> list[tuple[str, str]]:
    return [(chunk.kind, chunk.content) for chunk in chunks]


def metadata(*frames: Any) -> list[dict[str, Any]]:
    """Of the chunks without content."""
    return [chunk.metadata for chunk in fed(*frames)[1] if not chunk.content]


# What goes out.


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"system": "Be brief."}, {"systemInstruction": {"parts": [{"text": "Be brief."}]}}),
        (
            {"max_tokens": 7, "temperature": 0.0, "top_p": 0.5, "stop": ("a",), "seed": 3},
            {"generationConfig": {"maxOutputTokens": 7, "temperature": 0.0, "topP": 0.5,
                                  "stopSequences": ["a"], "seed": 3}},
        ),
        ({"response_format": {"type": "json_object"}},
         {"generationConfig": {"responseMimeType": "application/json"}}),
        ({"tools": ({"type": "function", "function": {"name": "f"}},), "tool_choice": "required"},
         {"tools": [{"functionDeclarations": [{"name": "f"}]}],
          "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        ({"max_tokens": 7,
          "extra_body": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}},
         {"generationConfig": {"maxOutputTokens": 7, "thinkingConfig": {"includeThoughts": True}}}),
    ],
)  # fmt: skip
def test_each_option_has_its_place_in_the_body(keywords: dict[str, Any], expected: Any) -> None:
    assert json.loads(asked(**keywords).body) == {"contents": CONTENTS, **expected}


@pytest.mark.parametrize(
    ("base_url", "params", "base"),
    [
        ("https://h", {}, "https://h/v1beta"),
        ("https://h", {"api_version": "v1alpha"}, "https://h/v1alpha"),
        ("https://h/v1", {}, "https://h/v1"),
        ("https://h/v1beta", {"api_version": "v1"}, "https://h/v1beta"),
        ("https://h/gateway", {"api_version": "../x?"}, "https://h/gateway/..%2Fx%3F"),
    ],
)
def test_the_address_has_one_version(base_url: str, params: dict[str, str], base: str) -> None:
    endpoint = Endpoint(provider="gemini", base_url=base_url, params=params)
    assert asked(endpoint).url == f"{base}/models/m:streamGenerateContent?alt=sse"
    models = Gemini(endpoint).models_request()
    assert models is not None
    assert (models.method, models.url) == ("GET", f"{base}/models?pageSize=1000")


@pytest.mark.parametrize(
    ("model", "place"),
    [
        ("gemini-2.5-flash", "models/gemini-2.5-flash"),
        ("models/x", "models/x"),
        ("tunedModels/x", "tunedModels/x"),
        ("../../x?y#z", "models/..%2F..%2Fx%3Fy%23z"),
        ("models/../x", "models/..%2Fx"),
    ],
)
def test_a_model_cannot_name_another_path(model: str, place: str) -> None:
    assert asked(model=model).url.startswith(f"https://h/v1beta/{place}:stream")


def test_the_array_is_asked_for_by_not_asking_for_events() -> None:
    assert asked(dialect=GeminiArray).url == "https://h/v1beta/models/m:streamGenerateContent"


def test_the_key_goes_in_its_header_and_shows_nowhere() -> None:
    request = asked()
    assert request.headers["x-goog-api-key"] == "AIza-123456"
    assert "AIza" not in repr(request.headers) + request.url
    models = Gemini(ENDPOINT).models_request()
    assert models is not None
    assert models.headers["x-goog-api-key"] == "AIza-123456"
    assert "x-goog-api-key" not in asked(Endpoint(provider="gemini", base_url="https://h")).headers


def test_the_names_of_models_lack_their_folder() -> None:
    body = b'{"models": [{"name": "models/gemini-2.5-flash", "version": "001"}]}'
    assert Gemini(ENDPOINT).model_names(body) == ["gemini-2.5-flash"]


# What comes in.


def test_a_text_answer_is_read_with_its_end() -> None:
    dialect, chunks = fed(text("Hel"), text("lo"), text("", finishReason="STOP"))
    assert shown(chunks) == [("text", "Hel"), ("text", "lo")]
    assert (dialect.finish_reason, dialect.finished, dialect.blocked) == ("STOP", False, None)
    assert {(chunk.model, chunk.id) for chunk in chunks} == {("gemini", "r1")}


def test_usage_is_reported_with_the_first_frame_and_with_the_last() -> None:
    dialect, chunks = fed(
        text("a") | counts(prompt=9, candidates=1),
        text("b") | counts(prompt=9, candidates=2),
        text("c") | counts(prompt=9, candidates=3),
        text("d", finishReason="STOP") | counts(prompt=9, candidates=4, thoughts=5, total=18),
    )
    assert [chunk.kind for chunk in chunks] == ["text", "usage", "text", "text", "text", "usage"]
    assert chunks[1].metadata["usage"] == Usage(input_tokens=9, output_tokens=1)
    last = Usage(input_tokens=9, output_tokens=4, total_tokens=18, reasoning_tokens=5)
    assert chunks[-1].metadata == {"usage": last}
    assert chunks[-1].finish_reason == "STOP"
    assert dialect.flush() == []


def test_usage_of_an_answer_without_an_end_comes_with_the_flush() -> None:
    dialect, _ = fed(text("a") | counts(prompt=9, candidates=1), text("b") | counts(prompt=9))
    (chunk,) = dialect.flush()
    assert chunk.metadata["usage"] == Usage(input_tokens=9)


def test_usage_may_follow_the_finish_reason() -> None:
    _, chunks = fed(text("a", finishReason="STOP"), counts(prompt=9))
    assert chunks[-1].metadata["usage"] == Usage(input_tokens=9)


def test_more_than_counts_goes_in_the_details() -> None:
    raw = {"promptTokenCount": 9, "toolUsePromptTokenCount": 4, "serviceTier": "standard"}
    _, chunks = fed(text("a", finishReason="STOP") | {"usageMetadata": raw})
    assert chunks[-1].metadata == {"usage": Usage(input_tokens=9), "details": raw}


def test_thoughts_are_reasoning_and_signatures_come_apart() -> None:
    _, chunks = fed(
        frame({"text": "Hm", "thought": True}),
        frame({"text": "So"}, {"text": "", "thoughtSignature": "sig\ud800"}),
    )
    assert shown(chunks) == [("reasoning", "Hm"), ("text", "So"), ("reasoning", "")]
    assert chunks[-1].metadata == {"signature": "sig\ufffd"}


def test_a_call_comes_whole_and_its_signature_tells_which() -> None:
    _, chunks = fed(
        call("add", args={"a": 1, "b": "ü"}, id="c1"),
        frame({"functionCall": {"name": "now"}, "thoughtSignature": "sig"}),
    )
    assert shown(chunks) == [("tool_call", '{"a": 1, "b": "ü"}'), ("tool_call", "{}"),
                             ("reasoning", "")]  # fmt: skip
    assert chunks[0].metadata == {"index": 0, "id": "c1", "name": "add"}
    assert chunks[1].metadata == {"index": 1, "id": "", "name": "now"}
    assert chunks[2].metadata == {"signature": "sig", "tool_call": 1}


def test_streamed_arguments_are_one_growing_text() -> None:
    def piece(value: str, **more: Any) -> dict[str, Any]:
        return {"jsonPath": "$.city", "stringValue": value, **more}

    _, chunks = fed(
        call("f", id="c1", willContinue=True),
        call(partialArgs=[piece("Pa", willContinue=True)], willContinue=True),
        call(partialArgs=[piece("ris")], willContinue=True),
        call(),
        call("g", partialArgs=[piece("Rome")]),
    )
    assert [(chunk.content, chunk.metadata["index"]) for chunk in chunks] == [
        ("", 0), ('{"city": "Pa', 0), ('ris"', 0), ("}", 0), ('{"city": "Rome"}', 1),
    ]  # fmt: skip
    assert {chunk.metadata["id"] for chunk in chunks[:4]} == {"c1"}


def test_a_call_with_a_name_ends_the_one_before_it() -> None:
    _, chunks = fed(call("f", willContinue=True), call("g", args={"a": 1}))
    assert [(chunk.content, chunk.metadata["name"]) for chunk in chunks] == [
        ("", "f"), ("{}", "f"), ('{"a": 1}', "g"),
    ]  # fmt: skip


def test_what_the_service_runs_itself_is_told_in_metadata() -> None:
    assert metadata(
        frame({"executableCode": {"language": "PYTHON", "code": "1+1"}}),
        frame({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}),
        frame({"toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {}}}),
        frame({"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB"}}),
    ) == [
        {"server_tool": {"name": "code_execution", "id": "", "language": "PYTHON", "code": "1+1"}},
        {"server_tool_result": {"name": "code_execution", "id": "", "outcome": "OUTCOME_OK",
                                "output": "2"}},
        {"server_tool": {"name": "GOOGLE_SEARCH_WEB", "id": "t1", "args": {},
                         "toolType": "GOOGLE_SEARCH_WEB"}},
        {"server_tool_result": {"name": "GOOGLE_SEARCH_WEB", "id": "t1",
                                "toolType": "GOOGLE_SEARCH_WEB"}},
    ]  # fmt: skip


def test_inline_data_is_told_in_metadata() -> None:
    image = {"mimeType": "image/png", "data": "iVBO"}
    assert metadata(frame({"inlineData": image})) == [{"inline_data": image}]


def test_each_source_is_a_citation_once() -> None:
    web = {"web": {"uri": "https://h", "title": "H"}}
    other = {"web": {"uri": "https://i"}}
    quote = {"startIndex": 1, "endIndex": 9, "uri": "https://q"}
    found = metadata(
        text("a", groundingMetadata={"groundingChunks": [web]}),
        text("b", groundingMetadata={"groundingChunks": [web, other]}),
        text("c", citationMetadata={"citationSources": [quote]}),
        text("d", citationMetadata={"citations": [quote]}),
        text("e", groundingMetadata={}, urlContextMetadata={"urlMetadata": [{}]}),
    )
    assert found == [{"citation": web}, {"citation": other}, {"citation": quote}]


def test_other_candidates_are_told_in_metadata() -> None:
    other = {"content": {"parts": [{"text": "B"}, {"text": "hm", "thought": True}]}, "index": 1}
    both = text("A")
    both["candidates"].append({**other, "finishReason": "MAX_TOKENS"})
    dialect, chunks = fed(both)
    assert shown(chunks) == [("text", "A"), ("text", ""), ("text", "")]
    assert chunks[1].metadata == {"choice": 1, "content": "B"}
    assert chunks[2].metadata == {"choice": 1, "finish_reason": "MAX_TOKENS"}
    assert dialect.finish_reason is None


@pytest.mark.parametrize(
    ("raw", "word"),
    [("SAFETY", "SAFETY"), ("NEW_REASON", "NEW_REASON"), (1, "STOP"), (2, "MAX_TOKENS"),
     (7, "BLOCKLIST"), (99, "99"), (0, None), (-1, None), (True, None), (None, None), ([], None)],
)  # fmt: skip
def test_a_finish_reason_may_be_a_word_or_a_number(raw: Any, word: str | None) -> None:
    dialect, chunks = fed(text("a", finishReason=raw))
    assert dialect.finish_reason == chunks[-1].finish_reason == word


@pytest.mark.parametrize(("raw", "word"), [("SAFETY", "SAFETY"), (4, "PROHIBITED_CONTENT")])
def test_a_blocked_prompt_is_no_finish_reason(raw: Any, word: str) -> None:
    dialect, chunks = fed({"promptFeedback": {"blockReason": raw}, **counts(prompt=3)})
    assert (dialect.blocked, dialect.finish_reason) == (word, None)
    assert [chunk.metadata["usage"].input_tokens for chunk in chunks] == [3]


def test_feedback_without_a_reason_blocks_nothing() -> None:
    dialect, _ = fed(text("a"), text("b") | {"promptFeedback": {"safetyRatings": []}})
    assert dialect.blocked is None


def test_the_last_model_and_the_first_id_stay() -> None:
    dialect, chunks = fed(text("a"), text("b", model="gemini-2") | {"responseId": "r2"})
    assert (dialect.model, dialect.response_id) == ("gemini-2", "r1")
    assert [chunk.model for chunk in chunks] == ["gemini", "gemini-2"]


def test_an_answer_that_names_no_model_is_read() -> None:
    _, chunks = fed(*[{"candidates": [{"content": {"parts": [{"text": "a"}]}}]}] * 2)
    assert shown(chunks) == [("text", "a")] * 2


@pytest.mark.parametrize("data", ["", " \n", "5", "[]", '{"candidates": [{"content": {}}]}'])
def test_an_event_that_says_nothing_gives_nothing(data: str) -> None:
    assert fed(data)[1] == []


def test_data_that_is_no_json_is_refused() -> None:
    with pytest.raises(ProtocolError):
        fed("{oops")


UNAVAILABLE = {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize("data", [UNAVAILABLE, [UNAVAILABLE], {"candidates": []} | UNAVAILABLE])
def test_an_error_in_the_stream_is_raised(data: Any) -> None:
    with pytest.raises(Overloaded, match=r"Busy\.") as caught:
        fed(text("a"), json.dumps(data))
    error = caught.value
    assert (error.code, error.type, error.retryable) == (503, "UNAVAILABLE", True)


@pytest.mark.parametrize(
    "data",
    [text("b") | UNAVAILABLE, [text("b"), UNAVAILABLE, text("c")], [text("b") | UNAVAILABLE]],
)
def test_an_error_that_comes_with_content_waits_for_it(data: Any) -> None:
    dialect, chunks = fed(text("a"), json.dumps(data))
    assert [chunk.content for chunk in chunks] == ["a", "b"]
    assert isinstance(dialect.failure, Overloaded)
    assert str(dialect.failure) == "gemini failed in the stream: Busy. (code 503)"
    assert dialect.finished


def test_an_error_that_comes_with_counts_waits_for_them() -> None:
    few, more = ({"usageMetadata": {"promptTokenCount": n}} for n in (3, 4))
    dialect, chunks = fed(text("a") | few, more | UNAVAILABLE)
    assert [chunk.metadata.get("usage") for chunk in chunks] == [None, Usage(3), Usage(4)]
    assert isinstance(dialect.failure, Overloaded)


def test_a_whole_answer_may_hold_an_error_too() -> None:
    dialect = Gemini(ENDPOINT)
    chunks = dialect.whole(json.dumps(text("a") | UNAVAILABLE).encode())
    assert [chunk.content for chunk in chunks or ()] == ["a"]
    assert isinstance(dialect.failure, Overloaded)


def test_the_end_mark_that_gateways_append_ends_nothing() -> None:
    dialect, chunks = fed(text("a"), "[DONE]", text("b"), " [DONE]\t")
    assert [chunk.content for chunk in chunks] == ["a", "b"]
    assert (dialect.finished, dialect.finish_reason) == (False, None)


def test_an_event_named_error_is_raised() -> None:
    with pytest.raises(ProviderError, match="no luck"):
        Gemini(ENDPOINT).feed(Event("error", "no luck"))


def quota(delay: Any) -> dict[str, Any]:
    details = [{"@type": "google.rpc.Help"}, {"@type": "google.rpc.RetryInfo", "retryDelay": delay}]
    error = {"code": 429, "message": "Slow.", "status": "RESOURCE_EXHAUSTED", "details": details}
    return {"error": error}


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [("48s", 48.0), ("0.25s", 0.25), ("48", None), ("-1s", None), ("1e9s", None), (48, None)],
)
def test_the_delay_an_error_asks_for_is_in_its_body(delay: Any, seconds: float | None) -> None:
    texts = [json.dumps(body) for body in (quota(delay), [quota(delay)])]
    for text in (*texts, f": sorry\r\ndata: {texts[0]}\r\n\r\n"):
        error = Gemini(ENDPOINT).error(429, {}, text.encode())
        assert (type(error), error.retry_after) == (RateLimited, seconds)
    with pytest.raises(RateLimited) as caught:
        fed(quota(delay))
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error": {"details": 5}}', b"[]", b"\xff"])
def test_an_error_body_of_another_form_asks_for_no_delay(body: bytes) -> None:
    assert Gemini(ENDPOINT).error(503, {}, body).retry_after is None


def test_a_whole_answer_is_read() -> None:
    dialect = Gemini(ENDPOINT)
    chunks = dialect.whole(json.dumps(text("Hi", finishReason="STOP")).encode())
    assert chunks is not None
    assert shown(chunks) == [("text", "Hi")]
    assert dialect.finish_reason == "STOP"


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b'{"models": []}'])
def test_another_body_is_no_answer(body: bytes) -> None:
    assert Gemini(ENDPOINT).whole(body) is None
