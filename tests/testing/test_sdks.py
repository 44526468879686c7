"""
Every format of a LocalProvider, read by the official SDK of the service.

Readers of the differential tests serve here too. Those below are for what only a LocalProvider is
asked: whole answers, other clients, and helpers of an SDK that check the order of events.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest
from sdks import (
    KEY,
    Heard,
    bedrock_client,
    botocore_converse,
    cohere_chat,
    cohere_client,
    genai_client,
    google_genai,
    mistral_chat,
    ollama_chat,
    ollama_client,
    ollama_generate,
    openai_chat,
    openai_completions,
    read_chat_chunk,
    read_content,
    read_gemini_chunk,
    status_of,
)

from streamkit.testing import (
    Citation,
    Error,
    LocalProvider,
    Reasoning,
    Reset,
    Status,
    Text,
    Tool,
    Usage,
)

ASKED: dict[str, Any] = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}
Reader = Callable[[LocalProvider, ExitStack], Heard]


def by(read: Callable[[str], Heard], name: str) -> Reader:
    """A reader of the differential tests, at the address of a service."""
    return lambda provider, stack: read(provider.base_url(name))


def openai_at(name: str, provider: LocalProvider, stack: ExitStack) -> Any:
    from openai import OpenAI

    client = OpenAI(base_url=provider.base_url(name), api_key=KEY, max_retries=0)
    return stack.enter_context(client)


def heard_in_chat(chunks: Any) -> Heard:
    heard = Heard()
    for chunk in chunks:
        read_chat_chunk(chunk, heard)
    return heard


def azure(provider: LocalProvider, stack: ExitStack) -> Heard:
    from openai import AzureOpenAI

    client = AzureOpenAI(
        azure_endpoint=provider.base_url("azure"), api_key=KEY, api_version="2026-01-01"
    )
    chunks = stack.enter_context(client).chat.completions.create(
        **ASKED, stream=True, stream_options={"include_usage": True}
    )
    heard = heard_in_chat(chunks)
    assert provider.requests[0].path.startswith("/azure/openai/deployments/m-1/chat/completions?")
    return heard


def responses(name: str) -> Reader:
    def read(provider: LocalProvider, stack: ExitStack) -> Heard:
        client = openai_at(name, provider, stack)
        heard = Heard()
        numbers = []
        with client.responses.stream(model="m-1", input="hi") as stream:
            for event in stream:
                numbers.append(event.sequence_number)
                match event.type:
                    case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                        heard.reasoning += event.delta
                    case "response.output_text.annotation.added":
                        heard.cited.append(event.annotation.url)
                    case "response.output_item.added" if event.item.type == "function_call":
                        heard.call(event.output_index, None, event.item.name, None)
                    case "response.function_call_arguments.delta":
                        heard.call(event.output_index, None, None, event.delta)
            final = stream.get_final_response()
        assert numbers == sorted(set(numbers))
        heard.text = final.output_text
        heard.finish_reason = final.status
        heard.usage = final.usage.input_tokens, final.usage.output_tokens
        calls = [item for item in final.output if item.type == "function_call"]
        assert [json.loads(call.arguments or "{}") for call in calls] == [a for _, a in heard.tools]
        return heard

    return read


def perplexity(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = openai_at("perplexity", provider, stack)
    chunks = [*client.chat.completions.create(**ASKED, stream=True)]
    heard = heard_in_chat(chunks)
    assert chunks[-1].choices[0].message["content"] == heard.text
    heard.cited = chunks[-1].citations
    return heard


def heard_in_messages(stream: Any) -> Heard:
    heard = Heard()
    with stream as opened:
        message = opened.get_final_message()
    for number, block in enumerate(message.content):
        heard.text += getattr(block, "text", "")
        heard.reasoning += getattr(block, "thinking", "")
        heard.cited += [found.url for found in getattr(block, "citations", None) or ()]
        if block.type == "tool_use":
            heard.call(number, None, block.name, json.dumps(block.input))
    heard.finish_reason = message.stop_reason
    heard.usage = message.usage.input_tokens, message.usage.output_tokens
    return heard


def anthropic(provider: LocalProvider, stack: ExitStack) -> Heard:
    from anthropic import Anthropic

    client = Anthropic(base_url=provider.base_url("anthropic"), api_key=KEY)
    return heard_in_messages(stack.enter_context(client).messages.stream(**ASKED, max_tokens=9))


def anthropic_vertex(provider: LocalProvider, stack: ExitStack) -> Heard:
    from anthropic import AnthropicVertex

    client = AnthropicVertex(
        base_url=provider.url + "/v1", region="local", project_id="p", access_token=KEY
    )
    return heard_in_messages(stack.enter_context(client).messages.stream(**ASKED, max_tokens=9))


def invoke(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = stack.enter_context(bedrock_client(provider.url))
    answer = client.invoke_model_with_response_stream(modelId="m-1", body="{}")
    heard = Heard()
    for frame in stack.enter_context(closing(answer["body"])):
        event = json.loads(frame["chunk"]["bytes"])
        delta = event.get("delta", {})
        heard.text += delta.get("text", "")
        heard.reasoning += delta.get("thinking", "")
        heard.cited += [delta["citation"]["url"]] if "citation" in delta else []
        if event.get("content_block", {}).get("type") == "tool_use":
            heard.call(event["index"], None, event["content_block"]["name"], None)
        if "partial_json" in delta:
            heard.call(event["index"], None, None, delta["partial_json"])
        heard.finish_reason = delta.get("stop_reason", heard.finish_reason)
        if "amazon-bedrock-invocationMetrics" in event:
            metrics = event["amazon-bedrock-invocationMetrics"]
            heard.usage = metrics["inputTokenCount"], metrics["outputTokenCount"]
    return heard


def vertex(provider: LocalProvider, stack: ExitStack) -> Heard:
    from google.oauth2.credentials import Credentials

    client = genai_client(
        vertexai=True,
        project="p",
        location="global",
        credentials=Credentials(token=KEY),
        http_options={"base_url": provider.url},
    )
    heard = Heard()
    models = stack.enter_context(client).models
    for chunk in models.generate_content_stream(model="m-1", contents="hi"):
        read_gemini_chunk(chunk, heard)
    return heard


TEXT, THOUGHT, URL = "Hällo 😀 there", "let me see", "https://example.com/a"
CALLS = [("add", {"a": 1}), ("now", {})]
SAID = [
    Reasoning(THOUGHT),
    Text(TEXT),
    Citation(URL, "A page", text="there"),
    Tool("add", {"a": 1}, id="call_1", size=3),
    Tool("now"),
    Usage(11, 7, reasoning=3, cached=5),
]


#: Gemini counts them beside the rest of the output.
WITHOUT_THOUGHTS = 7 - 3


@dataclass
class Case:
    """A reader, and what it hears where that is not all the script says."""

    read: Reader
    finish: str = "tool_calls"
    text: str = TEXT
    reasoning: str = THOUGHT
    tools: bool = True
    cited: Any = URL
    output: int = 7


CHATS = (
    "openai", "groq", "deepseek", "xai", "together", "openrouter", "cerebras", "huggingface",
    "lmstudio", "ollama-openai",
)  # fmt: skip
CASES = {
    **{name: Case(by(openai_chat, name)) for name in CHATS},
    "azure": Case(azure),
    "mistral-by-openai": Case(by(openai_chat, "mistral"), cited=0),
    "mistral": Case(by(mistral_chat, "mistral"), cited=0),
    "perplexity": Case(perplexity, "stop", f"<think>{THOUGHT}</think>{TEXT}", "", False),
    "responses": Case(responses("openai"), "completed"),
    "responses-raw-reasoning": Case(responses("deepseek"), "completed"),
    "responses-bare": Case(responses("openrouter"), "completed"),
    "completions": Case(
        by(openai_completions, "openai"), "stop", reasoning="", tools=False, cited=None
    ),
    "anthropic": Case(anthropic, "tool_use"),
    "anthropic-vertex": Case(anthropic_vertex, "tool_use"),
    "bedrock-invoke": Case(invoke, "tool_use"),
    "bedrock-converse": Case(by(botocore_converse, "bedrock"), "tool_use"),
    "gemini": Case(by(google_genai, "gemini"), "STOP", output=WITHOUT_THOUGHTS),
    "vertex": Case(vertex, "STOP", output=WITHOUT_THOUGHTS),
    "cohere": Case(by(cohere_chat, "cohere"), "TOOL_CALL"),
    "ollama": Case(by(ollama_chat, "ollama"), "stop", cited=None),
    "ollama-generate": Case(by(ollama_generate, "ollama"), "stop", tools=False, cited=None),
}


@pytest.mark.parametrize("name", CASES)
def test_an_sdk_reads_a_stream(local_provider: Any, stack: ExitStack, name: str) -> None:
    case = CASES[name]
    script = SAID if name != "perplexity" else [s for s in SAID if not isinstance(s, Tool)]
    check(case.read(local_provider(script), stack), case)


def check(heard: Heard, case: Case) -> None:
    assert heard.text == case.text
    assert heard.reasoning == case.reasoning
    assert heard.tools == (CALLS if case.tools else [])
    assert heard.cited == ([] if case.cited is None else [case.cited])
    assert heard.finish_reason == case.finish
    assert heard.usage == (11, case.output)


# Whole answers


def whole_responses(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = openai_at("openai", provider, stack)
    answer = client.responses.create(model="m-1", input="hi")
    heard = Heard(answer.output_text, finish_reason=answer.status)
    for number, item in enumerate(answer.output):
        if item.type == "reasoning":
            heard.reasoning += item.summary[0].text
        elif item.type == "function_call":
            heard.call(number, None, item.name, item.arguments)
        else:
            heard.cited = [found.url for found in item.content[0].annotations]
    heard.usage = answer.usage.input_tokens, answer.usage.output_tokens
    return heard


def whole_converse(provider: LocalProvider, stack: ExitStack) -> Heard:
    answer = stack.enter_context(bedrock_client(provider.url)).converse(
        modelId="m-1", messages=[{"role": "user", "content": [{"text": "hi"}]}]
    )
    heard = Heard(finish_reason=answer["stopReason"])
    for number, block in enumerate(answer["output"]["message"]["content"]):
        ((kind, value),) = block.items()
        if kind == "citationsContent":
            heard.text += value["content"][0]["text"]
            heard.cited = [found["location"]["web"]["url"] for found in value["citations"]]
        elif kind == "reasoningContent":
            heard.reasoning += value["reasoningText"]["text"]
        else:
            heard.call(number, None, value["name"], json.dumps(value["input"]))
    heard.usage = answer["usage"]["inputTokens"], answer["usage"]["outputTokens"]
    return heard


def whole_gemini(provider: LocalProvider, stack: ExitStack) -> Heard:
    options = {"base_url": provider.base_url("gemini")}
    client = stack.enter_context(genai_client(api_key=KEY, http_options=options))
    heard = Heard()
    read_gemini_chunk(client.models.generate_content(model="m-1", contents="hi"), heard)
    return heard


def whole_cohere(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = stack.enter_context(cohere_client(provider.base_url("cohere")))
    answer = client.chat(**ASKED)
    heard = Heard(finish_reason=answer.finish_reason)
    for block in answer.message.content:
        heard.text += getattr(block, "text", "")
        heard.reasoning += getattr(block, "thinking", "")
    for number, call in enumerate(answer.message.tool_calls):
        heard.call(number, None, call.function.name, call.function.arguments)
    heard.cited = [found.sources[0].id for found in answer.message.citations]
    tokens = answer.usage.tokens
    heard.usage = int(tokens.input_tokens), int(tokens.output_tokens)
    return heard


def whole_mistral(provider: LocalProvider, stack: ExitStack) -> Heard:
    from mistralai.client import Mistral

    url = provider.base_url("mistral").removesuffix("/v1")
    client = stack.enter_context(Mistral(api_key=KEY, server_url=url))
    answer = client.chat.complete(**ASKED)
    heard = Heard(finish_reason=answer.choices[0].finish_reason)
    read_content(answer.choices[0].message.content, heard)
    for call in answer.choices[0].message.tool_calls:
        heard.call(call.id, None, call.function.name, call.function.arguments)
    heard.usage = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return heard


def whole_generate(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = stack.enter_context(ollama_client(provider.base_url("ollama")))
    answer = client.generate(model="m-1", prompt="hi")
    counts = answer.prompt_eval_count, answer.eval_count
    return Heard(answer.response, answer.thinking, finish_reason=answer.done_reason, usage=counts)


def whole_completions(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = openai_at("openai", provider, stack)
    answer = client.completions.create(model="m-1", prompt="hi")
    counts = answer.usage.prompt_tokens, answer.usage.completion_tokens
    choice = answer.choices[0]
    return Heard(choice.text, finish_reason=choice.finish_reason, usage=counts)


def whole_perplexity(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = openai_at("perplexity", provider, stack)
    answer = client.chat.completions.create(**ASKED)
    choice = answer.choices[0]
    heard = Heard(
        choice.message.content, finish_reason=choice.finish_reason, cited=answer.citations
    )
    for call in choice.message.tool_calls:
        heard.call(call.id, None, call.function.name, call.function.arguments)
    heard.usage = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return heard


def whole_invoke(provider: LocalProvider, stack: ExitStack) -> Heard:
    answer = stack.enter_context(bedrock_client(provider.url)).invoke_model(
        modelId="m-1", body="{}"
    )
    message = json.loads(answer["body"].read())
    heard = Heard(finish_reason=message["stop_reason"])
    for number, block in enumerate(message["content"]):
        heard.text += block.get("text", "")
        heard.reasoning += block.get("thinking", "")
        heard.cited += [found["url"] for found in block.get("citations", ())]
        if block["type"] == "tool_use":
            heard.call(number, None, block["name"], json.dumps(block["input"]))
    heard.usage = message["usage"]["input_tokens"], message["usage"]["output_tokens"]
    return heard


WHOLE = {
    "perplexity": Case(whole_perplexity, text=f"<think>{THOUGHT}</think>{TEXT}", reasoning=""),
    "bedrock-invoke": Case(whole_invoke, "tool_use"),
    "responses": Case(whole_responses, "completed"),
    "completions": Case(whole_completions, "stop", reasoning="", tools=False, cited=None),
    "bedrock-converse": Case(whole_converse, "tool_use"),
    "gemini": Case(whole_gemini, "STOP", output=WITHOUT_THOUGHTS),
    "cohere": Case(whole_cohere, "TOOL_CALL"),
    "mistral": Case(whole_mistral, cited=None),
    "ollama-generate": Case(whole_generate, "stop", tools=False, cited=None),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_sdk_reads_a_whole_answer(local_provider: Any, stack: ExitStack, name: str) -> None:
    heard = WHOLE[name].read(local_provider(SAID), stack)
    check(heard, WHOLE[name])


# Errors


FAILING = ("openai", "azure", "responses", "mistral", "anthropic", "anthropic-vertex")
FAILING += ("bedrock-invoke", "bedrock-converse", "gemini", "cohere", "ollama", "ollama-generate")


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("name", FAILING)
def test_an_sdk_reads_an_http_error(
    local_provider: Any, stack: ExitStack, name: str, status: int
) -> None:
    provider = local_provider(Status(status, message="it went wrong"))
    with pytest.raises(Exception, match="it went wrong") as caught:
        CASES[name].read(provider, stack)
    assert status_of(caught.value) == status


@pytest.mark.parametrize(
    "name",
    ["openai", "azure", "anthropic", "bedrock-converse", "bedrock-invoke", "gemini", "ollama"],
)
def test_an_sdk_raises_an_error_inside_the_stream(
    local_provider: Any, stack: ExitStack, name: str
) -> None:
    provider = local_provider([Text("one two"), Error("it went wrong")])
    with pytest.raises(Exception, match="it went wrong"):
        CASES[name].read(provider, stack)


def test_the_sdk_of_openai_takes_a_background_response_up(
    local_provider: Any, stack: ExitStack
) -> None:
    from openai import APIConnectionError

    client = openai_at("openai", local_provider([Text("one "), Reset(), Text("two")]), stack)
    events: list[Any] = []
    stream = client.responses.create(model="m-1", input="hi", background=True, stream=True)
    with pytest.raises(APIConnectionError):
        events.extend(stream)
    rest = client.responses.retrieve(
        events[0].response.id, stream=True, starting_after=events[-1].sequence_number
    )
    events += rest
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == events[-1].response.output_text == "one two"
