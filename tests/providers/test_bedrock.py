"""Converse: what it sends, and the events it reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
from streamkit.providers.bedrock import BedrockConverse
from streamkit.request import Call, Message, Secret
from streamkit.wire.eventstream import BinaryEvent

ENDPOINT = Endpoint(
    provider="bedrock",
    base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
    api_key=Secret("bedrock-api-key-123"),
)
HI = (Message.user("Hi"),)
BASE = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
TOOL = {"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object"}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}


def request_of(model: str = "m", **keywords: Any) -> Any:
    call = Call(model=model, **{"messages": HI, **keywords})
    return BedrockConverse(ENDPOINT).request(call)


def event(kind: str, frame: Any) -> BinaryEvent:
    payload = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    return BinaryEvent({":message-type": "event", ":event-type": kind}, payload)


def exception(name: str, payload: bytes) -> BinaryEvent:
    return BinaryEvent({":message-type": "exception", ":exception-type": name}, payload)


def start(index: int, **members: Any) -> BinaryEvent:
    return event("contentBlockStart", {"contentBlockIndex": index, "start": members})


def delta(index: int, **members: Any) -> BinaryEvent:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": members, "p": "abc"})


def fed(*events: BinaryEvent) -> tuple[BedrockConverse, list[Chunk]]:
    dialect = BedrockConverse(ENDPOINT)
    return dialect, [chunk for one in events for chunk in dialect.feed(one)]


def shown(chunks: list[Chunk]) -> list[Any]:
    return [(chunk.kind, chunk.content, chunk.metadata) for chunk in chunks]


# What goes out.


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({}, {}),
        ({"max_tokens": 7, "temperature": 0.0, "top_p": 0.5, "stop": ("a",)},
         {"inferenceConfig":
          {"maxTokens": 7, "temperature": 0.0, "topP": 0.5, "stopSequences": ["a"]}}),
        ({"system": "Be brief."}, {"system": [{"text": "Be brief."}]}),
        ({"tools": (TOOL,), "tool_choice": "required"},
         {"toolConfig": {"tools": [TOOL], "toolChoice": {"any": {}}}}),
        ({"response_format": SCHEMA},
         {"outputConfig": {"textFormat": {"type": "json_schema",
          "structure": {"jsonSchema": {"schema": "{}", "name": "n"}}}}}),
        ({"max_tokens": 7, "extra_body": {"inferenceConfig": {"topP": 1}, "serviceTier": {}}},
         {"inferenceConfig": {"maxTokens": 7, "topP": 1}, "serviceTier": {}}),
    ],
)  # fmt: skip
def test_each_option_has_its_place_in_the_body(keywords: Any, expected: Any) -> None:
    assert json.loads(request_of(**keywords).body) == BASE | expected


def test_the_model_is_one_segment_of_the_path() -> None:
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0"
    assert request_of(arn).url == (
        ENDPOINT.base_url + "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile"
        "%2Fus.amazon.nova-lite-v1%3A0/converse-stream"
    )
    assert request_of("../a?b#c").url.endswith("/model/..%2Fa%3Fb%23c/converse-stream")


def test_a_key_goes_as_bearer_and_nothing_is_signed() -> None:
    request = request_of()
    assert request.sign is None
    assert request.headers["Authorization"] == "Bearer bedrock-api-key-123"
    assert request.headers["Accept"] == "application/vnd.amazon.eventstream"
    assert "bedrock-api-key" not in repr(request.headers)


@pytest.mark.parametrize(
    "keywords", [{"seed": 1}, {"response_format": {"type": "json_object"}}, {"tool_choice": "none"}]
)
def test_what_the_api_has_not_is_refused_before_sending(keywords: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(keywords))):
        request_of(**keywords)


def everything() -> dict[str, Any]:
    """A call that uses all there is, in OpenAI's form."""
    function = {"name": "add", "arguments": '{"a": 1}'}
    png, pdf = "data:image/png;base64,iVBO", "data:application/pdf;base64,JVBE"
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": png}},
        {"type": "image_url", "image_url": "s3://bucket/a.jpg"},
        {"type": "file", "file": {"file_data": pdf, "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
    ]
    return {
        "messages": (
            Message.system("Be kind."),
            Message.user(parts),
            Message.assistant("", tool_calls=[{"id": "c1", "function": function}]),
            Message.tool("2", tool_call_id="c1"),
        ),
        "system": "Be brief.",
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.5,
        "stop": ("a",),
        "tools": ({"type": "function", "function": {"name": "add", "description": "Adds."}},),
        "tool_choice": {"type": "function", "function": {"name": "add"}},
        "response_format": SCHEMA,
    }


def test_botocore_finds_nothing_wrong_with_a_request_and_sends_it_to_the_same_path() -> None:
    session = pytest.importorskip("botocore.session")
    serialize = pytest.importorskip("botocore.serialize")
    service = session.Session().get_service_model("bedrock-runtime")
    operation = service.operation_model("ConverseStream")
    arn = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0"
    request = request_of(arn, **everything())
    fields = {"modelId": arn, **json.loads(request.body)}
    validator = pytest.importorskip("botocore.validate").ParamValidator()
    assert validator.validate(fields, operation.input_shape).generate_report() == ""
    theirs = serialize.create_serializer("rest-json").serialize_to_request(fields, operation)
    assert request.url == ENDPOINT.base_url + theirs["url_path"]
    assert theirs["method"] == request.method


def test_the_list_of_models_is_on_another_host() -> None:
    assert BedrockConverse(ENDPOINT).models_request() is None


# What comes back.


def test_text_reasoning_and_citations_are_read() -> None:
    citation = {"title": "T", "location": {"web": {"url": "https://a.example"}}}
    _, chunks = fed(
        event("messageStart", {"role": "assistant"}),
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"signature": "sig\ud83d"}),
        delta(0, reasoningContent={"redactedContent": "cmVk"}),
        event("contentBlockStop", {"contentBlockIndex": 0}),
        delta(1, text=""),
        delta(1, text="Hi \ud83d"),
        delta(1, citation=citation),
        delta(1, image={"source": {}}),
    )
    assert shown(chunks) == [
        ("reasoning", "Hm", {}),
        ("reasoning", "", {"signature": "sig\ufffd"}),
        ("reasoning", "", {"redacted": "cmVk"}),
        ("text", "Hi \ud83d", {}),
        ("citation", "", {"citation": citation}),
        ("text", "", {"image": {"source": {}}}),
    ]


def test_an_image_is_told_with_its_format() -> None:
    image = {"format": "png", "source": {"bytes": "iVBO"}}
    _, chunks = fed(
        start(0, image={"format": "png"}), delta(0, image={"source": {"bytes": "iVBO"}})
    )
    whole = {"output": {"message": {"content": [{"image": image}]}}}
    chunks += BedrockConverse(ENDPOINT).whole(json.dumps(whole).encode()) or []
    assert shown(chunks) == [("text", "", {"image": image})] * 2


def test_tool_calls_are_told_apart_by_block() -> None:
    _, chunks = fed(
        start(1, toolUse={"toolUseId": "a", "name": "add"}),
        start(2, toolUse={"toolUseId": "b", "name": "sub"}),
        delta(2, toolUse={"input": '{"x"'}),
        delta(1, toolUse={"input": "{}"}),
        delta(2, toolUse={"input": ":1}"}),
        delta(2, toolUse={"input": ""}),
        delta(7, toolUse={"input": "lost"}),
    )
    a, b = {"index": 0, "id": "a", "name": "add"}, {"index": 1, "id": "b", "name": "sub"}
    assert shown(chunks) == [
        ("tool_call", "", a),
        ("tool_call", "", b),
        ("tool_call", '{"x"', b),
        ("tool_call", "{}", a),
        ("tool_call", ":1}", b),
    ]


def test_tools_of_the_service_are_marked_and_their_results_told() -> None:
    _, chunks = fed(
        start(0, toolUse={"toolUseId": "a", "name": "code", "type": "server_tool_use"}),
        start(1, toolResult={"toolUseId": "a", "type": "code_result", "status": "success"}),
        delta(1, toolResult=[{"json": {"stdOut": "7"}}]),
    )
    assert [chunk.metadata for chunk in chunks] == [
        {"index": 0, "id": "a", "name": "code", "type": "server_tool_use"},
        {"server_tool_result": {"id": "a", "type": "code_result", "status": "success"}},
        {"server_tool_result": {"id": "a", "content": [{"json": {"stdOut": "7"}}]}},
    ]


def test_the_answer_goes_on_after_its_finish_reason_to_the_usage() -> None:
    stop = event("messageStop", {"stopReason": "end_turn"})
    dialect, chunks = fed(delta(0, text="Hi"), stop)
    assert (dialect.finish_reason, dialect.finished) == ("end_turn", False)
    counts = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5, "cacheReadInputTokens": 1}
    last = event("metadata", {"usage": counts, "metrics": {"latencyMs": 9}, "p": "abc"})
    (report,) = dialect.feed(last)
    assert dialect.finished
    assert report.metadata["usage"] == Usage(
        input_tokens=3, output_tokens=2, total_tokens=5, cached_input_tokens=1
    )
    assert report.metadata["details"] == {"metrics": {"latencyMs": 9}}
    assert len(chunks) == 1


def test_counts_of_the_services_own_are_details() -> None:
    counts = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5, "cacheDetails": [{}]}
    _, (report,) = fed(event("metadata", {"usage": counts}))
    assert report.metadata["details"] == {"usage": counts}


def test_the_model_that_a_router_chose_is_known() -> None:
    dialect, _ = fed(event("metadata", {"trace": {"promptRouter": {"invokedModelId": "arn:x"}}}))
    assert dialect.model == "arn:x"


def test_a_whole_answer_is_read() -> None:
    body = {
        "output": {
            "message": {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}}},
                    {"reasoningContent": {"redactedContent": "cmVk"}},
                    {"text": "Hi"},
                    {"citationsContent": {"content": [{"text": "!"}], "citations": [{"a": 1}]}},
                    {"toolUse": {"toolUseId": "a", "name": "add", "input": {"x": 1}}},
                    {"toolUse": {"toolUseId": "b", "name": "now", "input": {}}},
                ],
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 3},
    }
    dialect = BedrockConverse(ENDPOINT)
    chunks = dialect.whole(json.dumps(body).encode())
    assert chunks is not None
    assert [(chunk.kind, chunk.content) for chunk in chunks] == [
        ("reasoning", "Hm"), ("reasoning", ""), ("reasoning", ""), ("text", "Hi"), ("text", "!"),
        ("citation", ""), ("tool_call", '{"x": 1}'), ("tool_call", ""), ("usage", ""),
    ]  # fmt: skip
    assert chunks[-1].finish_reason == dialect.finish_reason == "tool_use"
    assert dialect.finished


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output": {"message": {"content": 5}}}'])
def test_a_body_that_is_no_answer_is_none(body: bytes) -> None:
    assert BedrockConverse(ENDPOINT).whole(body) is None


# Errors.


@pytest.mark.parametrize(
    ("name", "kind", "retryable"),
    [
        ("throttlingException", RateLimited, True),
        ("internalServerException", Overloaded, True),
        ("serviceUnavailableException", Overloaded, True),
        ("modelStreamErrorException", Overloaded, True),
        ("modelTimeoutException", Overloaded, True),
        ("validationException", InvalidRequest, False),
        ("newException", ProviderError, False),
    ],
)
def test_an_exception_event_is_a_provider_error(name: str, kind: Any, retryable: bool) -> None:
    with pytest.raises(ProviderError) as caught:
        fed(exception(name, b'{"message": "Too bad", "originalStatusCode": 500}'))
    error = caught.value
    assert (type(error), error.type, error.retryable) == (kind, name, retryable)
    assert str(error) == f"bedrock failed in the stream: Too bad (type {name})"
    assert json.loads(error.body)["error"]["originalStatusCode"] == 500


def test_an_exception_that_is_no_json_and_an_error_event_are_told_too() -> None:
    with pytest.raises(ProviderError, match=r"in the stream: oops \(type xException\)"):
        fed(exception("xException", b"oops"))
    error = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Oh no"}
    with pytest.raises(Overloaded, match=r"in the stream: Oh no \(type InternalError\)"):
        fed(BinaryEvent(error, b""))
    with pytest.raises(ProviderError):
        fed(BinaryEvent({":message-type": "error"}, b""))


@pytest.mark.parametrize(
    ("headers", "body", "kind", "message"),
    [
        ({"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/x"},
         b'{"message":"Slow down"}', "ThrottlingException", "Slow down"),
        ({}, b'{"Message":"Not your model"}', None, "Not your model"),
        ({}, b'{"__type":"ThrottlingException","message":"No"}', "ThrottlingException", "No"),
        ({}, b'{"__type":"com.amazon.coral#ThrottlingException:http://x","message":"No"}',
         "ThrottlingException", "No"),
        ({"x-amzn-errortype": "ServiceQuotaExceededException"},
         b'{"__type":"ThrottlingException","message":"No"}', "ServiceQuotaExceededException", "No"),
        ({}, b'{"__type":5,"message":"No"}', None, "No"),
        ({}, b'["__type"]', None, "__type"),
        ({}, b'{"__type":"x', None, '{"__type":"x'),
        ({"x-amzn-requestid": "r-1"}, b"", None, "Too Many Requests (request r-1)"),
    ],
)  # fmt: skip
def test_an_http_error_names_its_type_in_a_header_or_its_body(
    headers: Any, body: bytes, kind: str | None, message: str
) -> None:
    error = BedrockConverse(ENDPOINT).error(429, headers, body)
    assert isinstance(error, RateLimited)
    assert (error.type, error.request_id) == (kind, headers.get("x-amzn-requestid"))
    told = f" (type {kind})" if kind else ""
    assert str(error) == f"bedrock answered 429: {message}{told}"


def test_the_type_in_a_header_never_holds_the_key() -> None:
    error = BedrockConverse(ENDPOINT).error(400, {"x-amzn-errortype": str(ENDPOINT.api_key)}, b"{}")
    assert error.type == "[redacted]"


@pytest.mark.parametrize("kind", ["contentBlockDelta", "messageStop", "metadata"])
def test_a_payload_that_is_no_json_is_a_protocol_error(kind: str) -> None:
    with pytest.raises(ProtocolError):
        fed(event(kind, b"{"))


NAMES = [
    "contentBlockIndex", "start", "delta", "toolUse", "toolUseId", "name", "type", "input", "text",
    "toolResult", "status", "reasoningContent", "reasoningText", "signature", "redactedContent",
    "citation", "citations", "citationsContent", "content", "stopReason", "usage", "inputTokens",
    "metrics", "trace", "promptRouter", "invokedModelId", "output", "message", "error",
]  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "x", "\ud83d"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=20,
)
KINDS = ["contentBlockStart", "contentBlockDelta", "messageStop", "metadata", "other", 5, b"x"]
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        ":event-type": st.sampled_from(KINDS),
        ":message-type": st.sampled_from(["event", "exception", "error", 1]),
        ":exception-type": st.sampled_from(["throttlingException", b"\xff", 1]),
        ":error-code": st.sampled_from(["\ufffd", True]),
    },
)
PAYLOADS = VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=20)


@given(st.lists(st.tuples(HEADERS, PAYLOADS), max_size=5))
@example([({":event-type": "contentBlockStart"}, b'{"start": {"toolResult": {"type": []}}}')])
@example([({":event-type": "contentBlockDelta"}, b'{"contentBlockIndex": [], "delta": {}}')])
def test_no_event_breaks_the_dialect(events: list[tuple[dict[str, Any], bytes]]) -> None:
    dialect = BedrockConverse(ENDPOINT)
    for headers, payload in events:
        try:
            for chunk in dialect.feed(BinaryEvent(headers, payload)):
                assert isinstance(chunk.content, str)
                assert chunk.content or chunk.metadata
                json.dumps(chunk.metadata, default=str, ensure_ascii=False).encode()
        except (ProviderError, ProtocolError) as error:
            str(error).encode()
    assert isinstance(dialect.finish_reason, (str, type(None)))


@given(PAYLOADS)
@example(b'{"output": {"message": {"content": [{"citationsContent": {"citations": [5]}}]}}}')
def test_no_body_breaks_the_dialect(body: bytes) -> None:
    BedrockConverse(ENDPOINT).whole(body)
    assert str(BedrockConverse(ENDPOINT).error(500, {}, body)).isprintable()


def test_calls_have_a_bound() -> None:
    with pytest.raises(LimitExceeded):
        fed(*[start(index, toolUse={}) for index in range(1025)])
