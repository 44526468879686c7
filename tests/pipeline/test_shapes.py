"""What other libraries stream, by the look of it: each shape as object and as mapping."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from streamkit.chunk import Chunk, Usage
from streamkit.errors import ConfigurationError
from streamkit.pipeline.shapes import ItemReader


def as_object(value: Any) -> Any:
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


def chat(content: Any, finish: Any = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": content, **delta}, "finish_reason": finish}
    return {"id": "r1", "model": "m1", "choices": [choice], "usage": None}


def block(**delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def event(kind: str, **members: Any) -> dict[str, Any]:
    return {"type": kind, **members}


SHAPES: dict[str, tuple[list[Any], str, str, str | None]] = {
    "openai": (
        [chat("", role="assistant"), chat(None, reasoning_content="hm"), chat("Hi"),
         chat(None, "length")],
        "Hi", "hm", "length",
    ),
    "openai, a second choice": (
        [chat("Hi"), {"choices": [{"index": 1, "delta": {"content": "No"}}]}], "Hi", "", None,
    ),
    "openai's chat helper": (
        [event("chunk", chunk=chat("Hi", "stop"), snapshot={"choices": []}),
         event("content.delta", delta="Hi", snapshot="Hi", parsed=None),
         event("content.done", content="Hi", parsed=None)],
        "Hi", "", "stop",
    ),
    "mistralai": ([{"data": chat("Hi", "stop")}], "Hi", "", "stop"),
    "completions": ([{"choices": [{"text": "Hi", "finish_reason": "stop"}]}], "Hi", "", "stop"),
    "responses": (
        [event("response.created", response={"id": "r"}),
         event("response.reasoning_summary_text.delta", delta="hm"),
         event("response.output_text.delta", delta="Hi"),
         event("response.output_text.done", text="Hi"),
         event("response.function_call_arguments.delta", delta='{"a"'),
         event("response.incomplete", response={
             "id": "r", "status": "incomplete",
             "incomplete_details": {"reason": "max_output_tokens"}})],
        "Hi", "hm", "max_output_tokens",
    ),
    "anthropic": (
        [event("message_start", message={"id": "r", "model": "m", "usage": {"input_tokens": 3}}),
         event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
         block(type="thinking_delta", thinking="hm"), block(type="text_delta", text="Hi"),
         event("text", text="Hi", snapshot="Hi"),
         event("content_block_stop", index=0, content_block={"type": "text", "text": "Hi"}),
         event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 2}),
         event("message_stop", message={"content": "Hi"})],
        "Hi", "hm", "end_turn",
    ),
    "ollama chat": (
        [{"model": "m", "message": {"role": "assistant", "content": "", "thinking": "hm"},
          "done": False},
         {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True,
          "done_reason": "stop"}],
        "Hi", "hm", "stop",
    ),
    "ollama generate": (
        [{"response": "Hi", "done": False}, {"response": "", "done": True, "done_reason": "load"}],
        "Hi", "", "load",
    ),
    "cohere": (
        [event("message-start", id="r"),
         event("content-delta", delta={"message": {"content": {"text": "Hi"}}}),
         event("message-end", delta={"finish_reason": "COMPLETE"})],
        "Hi", "", "COMPLETE",
    ),
    "gemini": (
        [{"candidates": [{"content": {"parts": [{"text": "hm", "thought": True},
                                                {"text": "Hi"}]}}]},
         {"candidates": [{"finish_reason": SimpleNamespace(value="MAX_TOKENS")}]}],
        "Hi", "hm", "MAX_TOKENS",
    ),
    "bedrock": (
        [{"messageStart": {"role": "assistant"}},
         {"contentBlockDelta": {"delta": {"text": "Hi"}}},
         {"contentBlockStop": {"contentBlockIndex": 0}},
         {"messageStop": {"stopReason": "end_turn"}},
         {"metadata": {"usage": {"outputTokens": 2}}}],
        "Hi", "", "end_turn",
    ),
    "langchain": (
        [event("AIMessageChunk", content=[event("text", text="H")]),
         event("AIMessageChunk", content="i", response_metadata={"finish_reason": "stop"})],
        "Hi", "", "stop",
    ),
    "llamaindex": (
        [{"delta": "H", "text": "H", "message": {"content": "H"}},
         {"delta": "i", "text": "Hi", "message": {"content": "Hi"}}],
        "Hi", "", None,
    ),
    "huggingface": (
        [{"token": {"text": "Hi", "special": False}, "details": None},
         {"token": {"text": "</s>", "special": True}, "details": {"finish_reason": "stop"}}],
        "Hi", "", "stop",
    ),
    "texts": (["H", "", None, "i"], "Hi", "", None),
}  # fmt: skip


@pytest.mark.parametrize("form", [lambda item: item, as_object], ids=["mapping", "object"])
@pytest.mark.parametrize("name", SHAPES)
def test_the_text_the_reasoning_and_the_finish_reason_are_found(name: str, form: Any) -> None:
    items, text, reasoning, finish = SHAPES[name]
    reader = ItemReader()
    chunks = [chunk for item in items for chunk in reader.read(form(item))]
    assert "".join(c.content for c in chunks if c.kind == "text") == text
    assert "".join(c.content for c in chunks if c.kind == "reasoning") == reasoning
    assert reader.finish_reason == finish


def test_usage_is_found_and_completed() -> None:
    reader = ItemReader()
    items, *_ = SHAPES["anthropic"]
    usages = [c.metadata["usage"] for i in items for c in reader.read(i) if c.kind == "usage"]
    assert usages[-1] == Usage(input_tokens=3, output_tokens=2)
    assert (reader.model, reader.id) == ("m", "r")
    last = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    (chunk,) = ItemReader().read(last)
    assert chunk.metadata["usage"] == Usage(input_tokens=1, output_tokens=2)


def test_a_chunk_is_copied_and_loses_its_end() -> None:
    mine = Chunk("a", done=True, metadata={"k": 1}, finish_reason="stop")
    reader = ItemReader()
    (chunk,) = reader.read(mine)
    assert (chunk.content, chunk.done, chunk.metadata) == ("a", False, {"k": 1})
    assert chunk is not mine and chunk.metadata is not mine.metadata
    assert reader.done and reader.finish_reason == "stop"
    assert ItemReader().read(Chunk(kind="done", done=True)) == []


def test_a_chunk_with_an_error_is_that_error() -> None:
    error = ValueError("x")
    with pytest.raises(ValueError) as caught:
        ItemReader().read(Chunk(error=error))
    assert caught.value is error


@pytest.mark.parametrize("item", [7, b"bytes", object(), {"unknown": 1}])
def test_an_unknown_item_is_refused_and_text_helps(item: Any) -> None:
    with pytest.raises(ConfigurationError, match="pass text="):
        ItemReader().read(item)
    (chunk,) = ItemReader(lambda item: "said").read(item)
    assert chunk.content == "said"
    assert ItemReader(lambda item: None).read(item) == []
