"""
Whatever JSON a server sends, a dialect gives sound chunks or one of our two errors, nothing else.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streamkit.chunk import Chunk
from streamkit.errors import ProtocolError, ProviderError
from streamkit.providers.anthropic import AnthropicMessages
from streamkit.providers.base import Endpoint
from streamkit.providers.cohere import CohereChat
from streamkit.providers.gemini import Gemini
from streamkit.providers.mistral import MistralChat
from streamkit.providers.ollama import OllamaChat
from streamkit.providers.ollama_generate import OllamaGenerate
from streamkit.providers.openai import OpenAIChat
from streamkit.providers.openai_completions import OpenAICompletions
from streamkit.providers.openai_responses import OpenAIResponses
from streamkit.providers.perplexity import PerplexityChat
from streamkit.wire.sse import Event

ENDPOINT = Endpoint(provider="p", base_url="http://h")


def words(text: str) -> list[str]:
    return text.split()


#: What the dialects look for, in frames put together at random.
NAMES = words("""
    error object message code type id model choices index delta content finish_reason usage x_groq
    reasoning_content reasoning reasoning_details text summary refusal audio transcript tool_calls
    function_call function name arguments prompt_tokens prompt_tokens_details cached_tokens thinking
    content_block input data citations citation partial_json signature stop_reason input_tokens
    done done_reason eval_count response logprobs tool_plan citations tokens context
    search_results url annotations executed_tools content_filter_results severity timings
    reasoning_steps thought web_search images prompt_filter_results cost
    tool_use_id image server_tool_use iterations
""")
TYPES = words("""
    error thinking text message_start message_delta message_stop content_block_start
    content_block_delta text_delta input_json_delta thinking_delta signature_delta citations_delta
    tool_use redacted_thinking message content_block_stop server_tool_use mcp_tool_use
    web_search_tool_result compaction compaction_delta
    message-start content-start content-delta tool-plan-delta tool-call-start tool-call-delta
    citation-start message-end
""")
LEAVES = st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "x", *TYPES])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4)
    ),
    max_leaves=20,
)
FRAMES = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)
DIALECTS = [
    OpenAIChat,
    OpenAICompletions,
    OpenAIResponses,
    MistralChat,
    PerplexityChat,
    AnthropicMessages,
    CohereChat,
    Gemini,
    OllamaChat,
    OllamaGenerate,
]
KINDS = ("text", "reasoning", "refusal", "tool_call", "usage", "citation")


def check(chunks: list[Chunk] | None) -> None:
    for chunk in chunks or ():
        assert isinstance(chunk.content, str)
        assert chunk.kind in KINDS
        assert chunk.content or chunk.metadata
        assert all(isinstance(v, (str, type(None))) for v in (chunk.model, chunk.id))


@pytest.mark.parametrize("dialect", DIALECTS)
@given(frames=st.lists(FRAMES, max_size=4))
@example(frames=[{"choices": [{"delta": {"content": ["x"], "tool_calls": [{"index": [1]}]}}]}])
@example(
    frames=[{"type": "content_block_start", "index": [], "content_block": {"type": "tool_use"}}]
)
@example(
    frames=[{"type": "content_block_delta", "index": {}, "delta": {"type": "input_json_delta"}}]
)
@example(frames=[{"type": "message-end", "delta": {"error": [5], "usage": {"tokens": "x"}}}])
@example(frames=[{"message": {"tool_calls": [{"id": [], "function": {"name": {}}}]}}])
def test_no_frame_breaks_a_dialect(dialect: Any, frames: list[dict[str, Any]]) -> None:
    reader = dialect(ENDPOINT)
    for frame in frames:
        text = json.dumps(frame)
        try:
            check(reader.feed(text if issubclass(dialect, OllamaChat) else Event("message", text)))
        except (ProviderError, ProtocolError) as error:
            str(error).encode()
    assert isinstance(reader.finish_reason, (str, type(None)))
    check(reader.flush())


@pytest.mark.parametrize("dialect", DIALECTS)
@given(body=FRAMES.map(json.dumps).map(str.encode) | st.binary())
@example(body=b'{"type": "message", "content": [{"type": "text", "citations": 5}]}')
def test_no_body_breaks_a_dialect(dialect: Any, body: bytes) -> None:
    try:
        check(dialect(ENDPOINT).whole(body))
    except ProviderError as error:
        str(error).encode()
    failure = dialect(ENDPOINT).error(500, {}, body)
    assert str(failure).isprintable()
