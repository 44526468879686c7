"""
What the official SDKs read, told in one form: the peers of the differential tests, and those for
whom LocalProvider writes.

Each reader asks a server for a stream and folds the SDK's own events, without any helper of
streamkit. An SDK is imported when its reader runs: some take half a second.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

KEY = "sk-test-0123456789"
ASKED: list[Any] = [{"role": "user", "content": "hi"}]


@dataclass
class Heard:
    """An answer, as far as every SDK can tell it."""

    text: str = ""
    reasoning: str = ""
    #: Key -> id, name, text of the arguments.
    calls: dict[Any, list[str]] = field(default_factory=dict)
    finish_reason: str | None = None
    #: Input and output tokens; None where the service is silent.
    usage: tuple[int | None, int | None] = (None, None)
    #: URLs of sources, or how else the service names them; only some readers look for them.
    cited: list[Any] = field(default_factory=list)

    def call(self, key: Any, id: str | None, name: str | None, arguments: str | None) -> None:
        call = self.calls.setdefault(key, ["", "", ""])
        call[0] = call[0] or id or ""
        call[1] = call[1] or name or ""
        call[2] += arguments or ""

    @property
    def tools(self) -> list[tuple[str, Any]]:
        """Names and arguments of the calls; text that is no JSON stays text."""
        return [(name, parsed(arguments)) for _, name, arguments in self.calls.values()]


def parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def openai_chat(url: str) -> Heard:
    from openai import OpenAI

    heard = Heard()
    with OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        for chunk in client.chat.completions.create(
            model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
        ):
            read_chat_chunk(chunk, heard)
    return heard


def read_chat_chunk(chunk: Any, heard: Heard) -> None:
    usage = chunk.usage or read_groq_usage(chunk)
    if usage:
        heard.usage = (usage.prompt_tokens, usage.completion_tokens)
    for choice in chunk.choices or ():
        if choice.index:
            continue
        delta = choice.delta
        heard.finish_reason = choice.finish_reason or heard.finish_reason
        if delta is None:
            continue
        read_content(delta.content, heard)
        for found in getattr(delta, "annotations", None) or ():
            heard.cited.append(found.get("url_citation", found).get("url"))
        thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
        heard.reasoning += thought or ""
        for call in delta.tool_calls or ():
            function = call.function
            heard.call(call.index, call.id, function.name, function.arguments)


def read_content(content: Any, heard: Heard) -> None:
    """Text, or Mistral's list of parts: as its SDK has them, or as they came."""
    for part in content if isinstance(content, list) else [content or ""]:
        value = part if isinstance(part, (str, dict)) else part.model_dump()
        if isinstance(value, str):
            heard.text += value
        elif value.get("type") == "text":
            heard.text += value["text"]
        elif value.get("type") == "thinking":
            heard.reasoning += "".join(inner.get("text", "") for inner in value["thinking"])
        elif value.get("type") == "reference":
            heard.cited += value["reference_ids"]


def read_groq_usage(chunk: Any) -> Any:
    """The SDK keeps members it does not know as they came."""
    from openai.types import CompletionUsage

    counts = (getattr(chunk, "x_groq", None) or {}).get("usage")
    return counts and CompletionUsage.model_construct(**counts)


def openai_completions(url: str) -> Heard:
    from openai import OpenAI

    heard = Heard()
    with OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        for chunk in client.completions.create(
            model="m", prompt="hi", stream=True, stream_options={"include_usage": True}
        ):
            if chunk.usage:
                heard.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            for choice in chunk.choices:
                heard.text += choice.text
                heard.finish_reason = choice.finish_reason or heard.finish_reason
    return heard


def openai_responses(url: str) -> Heard:
    from openai import OpenAI

    heard = Heard()
    with OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        for event in client.responses.create(model="m", input="hi", stream=True):
            read_response_event(event, heard)
    return heard


def read_response_event(event: Any, heard: Heard) -> None:
    kind = event.type
    if kind == "response.output_text.delta":
        heard.text += event.delta
    elif kind in ("response.reasoning_text.delta", "response.reasoning_summary_text.delta"):
        heard.reasoning += event.delta
    elif kind == "response.output_item.done" and event.item.type == "function_call":
        item = event.item
        heard.call(event.output_index, item.call_id, item.name, item.arguments)
    elif kind in ("response.completed", "response.incomplete"):
        details = event.response.incomplete_details
        heard.finish_reason = details.reason if details else event.response.status
        usage = event.response.usage
        if usage:
            heard.usage = (usage.input_tokens, usage.output_tokens)


def anthropic_messages(url: str) -> Heard:
    from anthropic import Anthropic

    heard = Heard()
    with Anthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        for event in client.messages.create(model="m", messages=ASKED, max_tokens=9, stream=True):
            read_message_event(event, heard)
    return heard


def read_message_event(event: Any, heard: Heard) -> None:
    kind = event.type
    if kind == "message_start":
        heard.usage = (event.message.usage.input_tokens, event.message.usage.output_tokens)
    elif kind == "content_block_start" and event.content_block.type == "tool_use":
        block = event.content_block
        heard.call(
            event.index, block.id, block.name, json.dumps(block.input) if block.input else ""
        )
    elif kind == "content_block_delta":
        delta = event.delta
        heard.text += getattr(delta, "text", "")
        heard.reasoning += getattr(delta, "thinking", "")
        if delta.type == "input_json_delta" and event.index in heard.calls:
            heard.call(event.index, None, None, delta.partial_json)
    elif kind == "message_delta":
        heard.finish_reason = event.delta.stop_reason or heard.finish_reason
        given = event.usage.input_tokens
        heard.usage = (heard.usage[0] if given is None else given, event.usage.output_tokens)


def genai_client(**options: Any) -> Any:
    """To be closed by ``with``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the SDK's own, at import
        from google import genai
    return contextlib.closing(genai.Client(**options))


def google_genai(url: str) -> Heard:
    heard = Heard()
    options = {"base_url": url, "api_version": "v1beta"}
    with genai_client(api_key=KEY, http_options=options) as client:
        for chunk in client.models.generate_content_stream(model="m", contents="hi"):
            read_gemini_chunk(chunk, heard)
    return heard


def read_gemini_chunk(chunk: Any, heard: Heard) -> None:
    counts = chunk.usage_metadata
    if counts:
        heard.usage = (counts.prompt_token_count, counts.candidates_token_count)
    for candidate in (chunk.candidates or ())[:1]:
        if candidate.finish_reason:
            heard.finish_reason = candidate.finish_reason.value
        if candidate.grounding_metadata:
            found = candidate.grounding_metadata.grounding_chunks or ()
            heard.cited = [source.web.uri for source in found if source.web]
        for part in (candidate.content and candidate.content.parts) or ():
            if part.function_call:
                call = part.function_call
                heard.call(len(heard.calls), call.id, call.name, json.dumps(call.args or {}))
            elif part.text and part.thought:
                heard.reasoning += part.text
            else:
                heard.text += part.text or ""


def mistral_chat(url: str) -> Heard:
    from mistralai.client import Mistral

    heard = Heard()
    with Mistral(api_key=KEY, server_url=url.removesuffix("/v1")) as client:
        stream = client.chat.stream(model="m", messages=ASKED)
        with stream:
            for event in stream:
                read_mistral_chunk(event.data, heard)
    return heard


def read_mistral_chunk(chunk: Any, heard: Heard) -> None:
    if chunk.usage:
        heard.usage = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
    for choice in chunk.choices[:1]:
        heard.finish_reason = choice.finish_reason or heard.finish_reason
        read_content(choice.delta.content, heard)
        for call in choice.delta.tool_calls or ():
            arguments = call.function.arguments
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            heard.call(call.index, call.id, call.function.name, text)


def ollama_chat(url: str) -> Heard:
    heard = Heard()
    with ollama_client(url) as client:
        for part in client.chat(model="m", messages=ASKED, stream=True):
            heard.text += part.message.content or ""
            heard.reasoning += part.message.thinking or ""
            for call in part.message.tool_calls or ():
                arguments = json.dumps(dict(call.function.arguments))
                heard.call(len(heard.calls), None, call.function.name, arguments)
            finish_ollama(part, heard)
    return heard


def ollama_generate(url: str) -> Heard:
    heard = Heard()
    with ollama_client(url) as client:
        for part in client.generate(model="m", prompt="hi", stream=True):
            heard.text += part.response or ""
            heard.reasoning += part.thinking or ""
            finish_ollama(part, heard)
    return heard


@contextlib.contextmanager
def ollama_client(url: str) -> Iterator[Any]:
    from ollama import Client

    client = Client(host=url)
    try:
        yield client
    finally:
        client._client.close()


def finish_ollama(part: Any, heard: Heard) -> None:
    if part.done:
        heard.finish_reason = part.done_reason
        heard.usage = (part.prompt_eval_count, part.eval_count)


@contextlib.contextmanager
def cohere_client(url: str) -> Iterator[Any]:
    import cohere
    import httpx

    with httpx.Client() as http:
        yield cohere.ClientV2(api_key=KEY, base_url=url, httpx_client=http)


def cohere_chat(url: str) -> Heard:
    heard = Heard()
    with cohere_client(url) as client:
        for event in client.chat_stream(model="m", messages=ASKED):
            read_cohere_event(event, heard)
    return heard


def read_cohere_event(event: Any, heard: Heard) -> None:
    kind = event.type
    if kind == "content-delta":
        content = event.delta.message.content
        heard.text += content.text or ""
        heard.reasoning += content.thinking or ""
    elif kind == "tool-plan-delta":
        heard.reasoning += event.delta.message.tool_plan or ""
    elif kind == "tool-call-start":
        call = event.delta.message.tool_calls
        heard.call(event.index, call.id, call.function.name, call.function.arguments)
    elif kind == "tool-call-delta":
        heard.call(event.index, None, None, event.delta.message.tool_calls.function.arguments)
    elif kind == "citation-start":
        heard.cited += [source.id for source in event.delta.message.citations.sources or ()]
    elif kind == "message-end":
        heard.finish_reason = event.delta.finish_reason
        tokens = event.delta.usage and event.delta.usage.tokens
        if tokens:
            heard.usage = (whole(tokens.input_tokens), whole(tokens.output_tokens))


def whole(count: float | None) -> int | None:
    """The cohere SDK counts tokens in floats."""
    return None if count is None else int(count)


def botocore_converse(url: str) -> Heard:
    heard = Heard()
    with bedrock_client(url) as client:
        messages = [{"role": "user", "content": [{"text": "hi"}]}]
        answer = client.converse_stream(modelId="m", messages=messages)
        with contextlib.closing(answer["stream"]) as stream:
            for event in stream:
                read_converse_event(event, heard)
    return heard


@contextlib.contextmanager
def bedrock_client(url: str) -> Iterator[Any]:
    import botocore.session

    client = botocore.session.get_session().create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key=KEY,
    )
    try:
        yield client
    finally:
        client.close()


def read_converse_event(event: Any, heard: Heard) -> None:
    if "contentBlockStart" in event:
        start = event["contentBlockStart"]
        tool = start["start"].get("toolUse")
        if tool:
            heard.call(start["contentBlockIndex"], tool["toolUseId"], tool["name"], "")
    elif "contentBlockDelta" in event:
        delta = event["contentBlockDelta"]["delta"]
        heard.text += delta.get("text", "")
        heard.reasoning += delta.get("reasoningContent", {}).get("text", "")
        if web := delta.get("citation", {}).get("location", {}).get("web"):
            heard.cited.append(web["url"])
        if "toolUse" in delta:
            index = event["contentBlockDelta"]["contentBlockIndex"]
            heard.call(index, None, None, delta["toolUse"]["input"])
    elif "messageStop" in event:
        heard.finish_reason = event["messageStop"]["stopReason"]
    elif "metadata" in event:
        usage = event["metadata"]["usage"]
        heard.usage = (usage["inputTokens"], usage["outputTokens"])


def status_of(error: Any) -> Any:
    """The HTTP status, wherever an SDK keeps it."""
    if hasattr(error, "response") and isinstance(error.response, dict):
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return getattr(error, "status_code", None) or getattr(error, "code", None)


#: (provider, api) as in the recordings -> the SDK that reads it.
READERS: dict[tuple[str, str], Callable[[str], Heard]] = {
    ("openai", "chat"): openai_chat,
    ("openai", "responses"): openai_responses,
    ("openai", "completions"): openai_completions,
    ("anthropic", "messages"): anthropic_messages,
    ("gemini", "sse"): google_genai,
    ("mistral", "chat"): mistral_chat,
    ("ollama", "chat"): ollama_chat,
    ("ollama", "generate"): ollama_generate,
    ("cohere", "v2"): cohere_chat,
    ("bedrock", "converse"): botocore_converse,
}
#: Services whose users take the openai SDK.
SHAPED = (
    "alibaba", "azure", "cerebras", "deepseek", "groq", "huggingface", "llamacpp", "lmstudio",
    "ollama-openai", "openrouter", "together", "vllm", "xai",
)  # fmt: skip
for provider in SHAPED:
    for api in ("chat", "responses", "completions"):
        READERS[provider, api] = READERS["openai", api]


def has_answer(entry: dict[str, Any]) -> bool:
    """Whether the SDK reads this recording to a good end."""
    expected = entry["expected"]
    return (
        (entry["provider"], entry["api"]) in READERS
        and expected["error"] is None
        and expected["finish_class"] != "error"
        and entry["oracle"].get("sdk_exception") is None
    )
