"""The formats, read by the services' own SDKs where those are installed, and byte by byte."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from streamkit.testing import (
    Citation,
    Data,
    Done,
    Error,
    Finish,
    Framing,
    LocalProvider,
    Ping,
    Raw,
    Reasoning,
    Refusal,
    Status,
    Text,
    Tool,
    Usage,
)

Exchange = Callable[..., tuple[bytes, bytes, str]]
Unframed = Callable[[bytes], tuple[bytes, bool]]

#: The paths of conftest.py, by their names.
PATHS = ["openai", "mistral", "perplexity", "completions", "responses", "anthropic", "gemini"]
PATHS += ["gemini-array", "cohere", "ollama", "ollama-generate", "bedrock", "bedrock-invoke"]

SAID = [
    Reasoning("let me see"),
    Text("Hällo 😀 there"),
    Tool("add", {"a": 1}, id="call_1", size=3),
    Tool("now"),
    Usage(11, 7, reasoning=3, cached=5),
]


@pytest.fixture
def events(exchange: Exchange, unframed: Unframed) -> Callable[..., list[Any]]:
    """Play a script, give the JSON of each event or line."""

    def play(script: Any, dialect: str, **body: Any) -> list[Any]:
        text = unframed(exchange(script, dialect, **body)[1])[0].decode()
        lines = [
            line
            for line in re.split("\r?\n", text)
            if line and not line.startswith((":", "event:"))
        ]
        payloads = [line.removeprefix("data: ") for line in lines]
        return [p if p == "[DONE]" else json.loads(p) for p in payloads]

    return play


@pytest.fixture
def openai_sdk() -> Any:
    return pytest.importorskip("openai")


@pytest.fixture
def anthropic_sdk() -> Any:
    return pytest.importorskip("anthropic")


ASKED = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}


def test_the_openai_sdk_reads_a_stream(local_provider: Any, openai_sdk: Any) -> None:
    provider = local_provider(SAID)
    with openai_sdk.OpenAI(base_url=provider.base_url("openai"), api_key="k") as client:
        chunks = [
            *client.chat.completions.create(
                **ASKED, stream=True, stream_options={"include_usage": True}
            )
        ]
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "Hällo 😀 there"
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "let me see"
    assert [(c.index, c.id, c.function.name) for c in calls if c.id] == [
        (0, "call_1", "add"),
        (1, "call_local_1_1", "now"),
    ]
    assert "".join(c.function.arguments for c in calls if c.index == 0) == '{"a": 1}'
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "tool_calls"
    assert {chunk.model for chunk in chunks} == {"m-1"}
    assert len({chunk.id for chunk in chunks}) == 1
    usage = chunks[-1].usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 7, 18)
    assert usage.completion_tokens_details.reasoning_tokens == 3
    assert provider.requests[0].headers["Authorization"] == "Bearer k"


def test_the_openai_sdk_reads_a_whole_answer(local_provider: Any, openai_sdk: Any) -> None:
    provider = local_provider(SAID)
    with openai_sdk.OpenAI(base_url=provider.base_url("openai"), api_key="k") as client:
        answer = client.chat.completions.create(**ASKED)
    message = answer.choices[0].message
    assert message.content == "Hällo 😀 there"
    assert message.tool_calls[0].function.arguments == '{"a": 1}'
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage.total_tokens == 18


def test_the_openai_sdk_raises_the_errors(local_provider: Any, openai_sdk: Any) -> None:
    provider = local_provider(
        scripts=[[Status(401, message="bad key")], [Text("a"), Error("boom")]]
    )
    url = provider.base_url("openai")
    with openai_sdk.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        with pytest.raises(openai_sdk.AuthenticationError, match="bad key"):
            client.chat.completions.create(**ASKED)
        with pytest.raises(openai_sdk.APIError, match="boom"):
            [*client.chat.completions.create(**ASKED, stream=True)]


def test_the_anthropic_sdk_reads_a_stream(local_provider: Any, anthropic_sdk: Any) -> None:
    provider = local_provider(SAID)
    client = anthropic_sdk.Anthropic(base_url=provider.base_url("anthropic"), api_key="k")
    with client, client.messages.stream(**ASKED, max_tokens=9) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    thinking, text, add, now = message.content
    assert (thinking.thinking, text.text) == ("let me see", "Hällo 😀 there")
    assert (add.id, add.name, add.input) == ("call_1", "add", {"a": 1})
    assert (now.name, now.input) == ("now", {})
    assert message.stop_reason == "tool_use"
    assert (message.model, message.id) == ("m-1", "msg_local1")
    assert message.usage.input_tokens == 11
    assert message.usage.output_tokens == 7
    assert message.usage.cache_read_input_tokens == 5
    assert provider.requests[0].path == "/v1/messages"


def test_the_anthropic_sdk_reads_a_whole_answer(local_provider: Any, anthropic_sdk: Any) -> None:
    provider = local_provider(SAID)
    with anthropic_sdk.Anthropic(base_url=provider.base_url("anthropic"), api_key="k") as client:
        message = client.messages.create(**ASKED, max_tokens=9)
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[1].text == "Hällo 😀 there"
    assert message.stop_reason == "tool_use"


def test_the_anthropic_sdk_raises_the_errors(local_provider: Any, anthropic_sdk: Any) -> None:
    scripts = [[Status(529)], [Text("a"), Error("boom", type="overloaded_error")]]
    url = local_provider(scripts=scripts).base_url("anthropic")
    with anthropic_sdk.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        with pytest.raises(anthropic_sdk.APIStatusError, match="overloaded_error"):
            client.messages.create(**ASKED, max_tokens=9)
        with pytest.raises(anthropic_sdk.APIStatusError, match="boom"):
            [*client.messages.create(**ASKED, max_tokens=9, stream=True)]


def test_ollama_sends_a_line_for_each_delta_and_one_at_the_end(events: Any) -> None:
    lines = events(SAID, "ollama")
    messages = [line["message"] for line in lines]
    assert "".join(m["content"] for m in messages) == "Hällo 😀 there"
    assert "".join(m.get("thinking", "") for m in messages) == "let me see"
    calls = [m["tool_calls"][0] for m in messages if "tool_calls" in m]
    assert calls == [
        {"id": "call_1", "function": {"index": 0, "name": "add", "arguments": {"a": 1}}},
        {"function": {"index": 1, "name": "now", "arguments": {}}},
    ]
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[-1]["done_reason"] == "stop"
    assert (lines[-1]["prompt_eval_count"], lines[-1]["eval_count"]) == (11, 7)
    assert {len(line["created_at"]) for line in lines} == {30}


def test_ollama_answers_whole_when_asked(exchange: Exchange) -> None:
    head, body, _ = exchange(SAID, "ollama", stream=False)
    answer = json.loads(body)
    assert b"content-type: application/json" in head
    assert answer["message"]["content"] == "Hällo 😀 there"
    assert answer["message"]["thinking"] == "let me see"
    assert len(answer["message"]["tool_calls"]) == 2
    assert answer["done"] is True


@pytest.mark.parametrize(
    ("dialect", "kind"),
    [
        ("openai", b"text/event-stream; charset=utf-8"),
        ("anthropic", b"text/event-stream; charset=utf-8"),
        ("ollama", b"application/x-ndjson"),
        ("responses", b"text/event-stream; charset=utf-8"),
        ("perplexity", b"text/event-stream"),
        ("gemini", b"text/event-stream"),
        ("gemini-array", b"application/json; charset=UTF-8"),
        ("cohere", b"text/event-stream"),
        ("bedrock", b"application/vnd.amazon.eventstream"),
        ("bedrock-invoke", b"application/vnd.amazon.eventstream"),
    ],
)
def test_the_head_is_the_dialects(exchange: Exchange, dialect: str, kind: bytes) -> None:
    head, _, _ = exchange("hi", dialect)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-type: " + kind + b"\r\n" in head
    assert re.search(rb"request-?id: req_local1\r\n", head)


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ("openai", ["stop", "length", "tool_calls", "content_filter", "odd"]),
        ("anthropic", ["end_turn", "max_tokens", "tool_use", "refusal", "odd"]),
        ("ollama", ["stop", "length", "stop", "content_filter", "odd"]),
        ("completions", ["stop", "length", "stop", "content_filter", "odd"]),
        ("gemini", ["STOP", "MAX_TOKENS", "STOP", "SAFETY", "odd"]),
        ("cohere", ["COMPLETE", "MAX_TOKENS", "TOOL_CALL", "content_filter", "odd"]),
    ],
)
def test_finish_reasons_are_said_in_the_dialects_words(
    events: Any, dialect: str, words: list[str]
) -> None:
    found = []
    for reason in ("stop", "length", "tool_calls", "content_filter", "odd"):
        text = json.dumps(events([Text("x"), Finish(reason)], dialect))
        found.append(next(word for word in reversed([*words, "?"]) if f'"{word}"' in text))
    assert found == words


EVENTS = ["openai", "anthropic", "ollama", "responses", "completions", "gemini", "cohere"]
EVENTS += ["mistral", "perplexity", "ollama-generate"]


@pytest.mark.parametrize("dialect", EVENTS)
def test_usage_is_counted_declared_or_left_out(events: Any, dialect: str) -> None:
    options = {"stream_options": {"include_usage": True}}
    names = ["completion_tokens", "output_tokens", "eval_count", "candidatesTokenCount"]
    counted = json.dumps(events([Text("a b c")], dialect, **options))
    assert any(f'"{name}": 3' in counted for name in names)
    silent = json.dumps(events([Text("a b c"), Usage()], dialect, **options))
    assert not any(f'"{name}"' in silent for name in names)


def test_openai_reports_usage_only_when_asked(events: Any) -> None:
    assert "usage" not in json.dumps(events([Text("a"), Usage(1, 2)], "openai"))


@pytest.mark.parametrize("dialect", [name for name in EVENTS if name not in ("gemini", "cohere")])
def test_errors_and_data_are_framed_as_events(events: Any, dialect: str) -> None:
    assert events([Data({"odd": [1]}), Error("broke")], dialect)[0] == {"odd": [1]}
    assert "broke" in json.dumps(events([Error("broke")], dialect)[0]["error"])


@pytest.mark.parametrize(
    ("dialect", "sign"),
    [
        ("openai", b": ping\n\n"),
        ("gemini", b": ping\n\n"),
        ("anthropic", b'{"type":"ping"}'),
        ("ollama", b"\n\n"),
        ("bedrock", b"ping"),
        ("bedrock-invoke", b'"bytes":"'),
    ],
)
def test_a_ping_is_no_content(
    exchange: Exchange, unframed: Unframed, dialect: str, sign: bytes
) -> None:
    body, complete = unframed(exchange([Ping(2), Done()], dialect)[1])
    assert sign in body and complete


def test_a_refusal_has_its_own_field_at_openai_only(events: Any) -> None:
    deltas = [event["choices"][0]["delta"] for event in events([Refusal("no, sir")], "openai")[:3]]
    assert [delta.get("refusal") for delta in deltas] == [None, "no,", " sir"]
    lines = events([Refusal("no, sir")], "ollama")
    assert "".join(line["message"]["content"] for line in lines) == "no, sir"


@pytest.mark.parametrize("dialect", PATHS)
def test_a_length_counted_beforehand_is_right(exchange: Exchange, dialect: str) -> None:
    script = [Framing("length"), Ping(), *SAID, Citation("https://example.com/a"), Refusal("no")]
    head, body, _ = exchange(script, dialect)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    assert length == len(body) > 100


@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_of_nothing_is_no_accident(exchange: Exchange, dialect: str) -> None:
    head, _, ending = exchange([Done()], dialect)
    assert head.startswith(b"HTTP/1.1 200 ") and ending == "eof"


def test_several_deltas_can_go_in_one_send(exchange: Exchange) -> None:
    chunks = exchange([Text("a b c d e", burst=4)])[1].split(b"\r\n")[1::2]
    assert [chunk.count(b'"content":') for chunk in chunks] == [1, 4, 1, 0, 0, 0]


def test_a_lone_surrogate_goes_out_escaped(exchange: Exchange) -> None:
    assert rb'"content":"\ud83d"' in exchange([Text(pieces=("\ud83d",))])[1]


def test_arguments_that_are_no_json_stay_text_where_json_is_due(events: Any) -> None:
    line = events([Tool("f", "{oops")], "ollama")[0]
    assert line["message"]["tool_calls"][0]["function"]["arguments"] == "{oops"


def fetch(provider: LocalProvider, path: str) -> tuple[int, Any]:
    client = http.client.HTTPConnection("127.0.0.1", provider.port, timeout=5)
    client.request("GET", path)
    response = client.getresponse()
    body = response.read()
    client.close()
    return response.status, json.loads(body) if body.startswith((b"{", b"[")) else body


def test_a_path_without_a_dialect_is_not_found(local_provider: Any) -> None:
    status, body = fetch(local_provider(), "/v1/nothing")
    assert status == 404
    assert body["error"]["message"] == "no dialect is spoken at /v1/nothing"


def test_a_list_of_models_takes_its_turn_among_the_scripts(local_provider: Any) -> None:
    provider = local_provider(scripts=["hi", Status(503), Raw("bytes of my own"), "hi"])
    answers = [fetch(provider, "/v1/models") for _ in range(4)]
    assert [status for status, _ in answers] == [200, 503, 200, 200]
    assert [answers[n][1]["data"][0]["id"] for n in (0, 3)] == ["local", "local"]
    assert answers[2][1] == b"bytes of my own"


def test_together_lists_its_models_in_a_bare_list(local_provider: Any) -> None:
    assert fetch(local_provider(), "/together/v1/models")[1][0]["id"] == "local"
