"""Every format of a LocalProvider, read by the official SDK of the service."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from streamkit.testing import (
    Citation,
    Error,
    LocalProvider,
    Reasoning,
    Status,
    Text,
    Tool,
    Usage,
)


@dataclass
class Heard:
    """What an SDK made of a stream."""

    text: str = ""
    reasoning: str = ""
    tools: dict[Any, list[str]] = field(default_factory=dict)
    cited: list[str] = field(default_factory=list)
    finish: Any = None
    counts: tuple[int, int] | None = None

    def call(self, key: Any, name: str | None, arguments: str | None) -> None:
        made = self.tools.setdefault(key, ["", ""])
        made[0] += name or ""
        made[1] += arguments or ""

    @property
    def calls(self) -> list[tuple[str, Any]]:
        return [(name, json.loads(text or "{}")) for name, text in self.tools.values()]


ASKED: dict[str, Any] = {"model": "m-1", "messages": [{"role": "user", "content": "hi"}]}
Reader = Callable[[LocalProvider, ExitStack], Heard]


def chat(name: str) -> Reader:
    """The openai SDK, at the address of a service that speaks its format."""

    def read(provider: LocalProvider, stack: ExitStack) -> Heard:
        sdk = pytest.importorskip("openai")
        client = sdk.OpenAI(base_url=provider.base_url(name), api_key="k", max_retries=0)
        chunks = stack.enter_context(client).chat.completions.create(
            **ASKED, stream=True, stream_options={"include_usage": True}
        )
        return heard_in_chat(chunks)

    return read


def heard_in_chat(chunks: Any) -> Heard:
    heard = Heard()
    for chunk in chunks:
        if chunk.usage:
            heard.counts = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
        for choice in chunk.choices:
            delta = choice.delta
            take_content(heard, delta.content)
            for member in ("reasoning", "reasoning_content"):
                heard.reasoning += getattr(delta, member, None) or ""
            for call in delta.tool_calls or ():
                heard.call(call.index, call.function.name, call.function.arguments)
            for found in getattr(delta, "annotations", None) or ():
                heard.cited.append(found["url_citation"]["url"])
            heard.finish = choice.finish_reason or heard.finish
    return heard


def take_content(heard: Heard, content: Any) -> None:
    for part in content if isinstance(content, list) else [content or ""]:
        value = part if isinstance(part, (str, dict)) else part.model_dump()
        if isinstance(value, str):
            heard.text += value
        elif value["type"] == "thinking":
            heard.reasoning += value["thinking"][0]["text"]
        elif value["type"] == "reference":
            heard.cited.append(value["reference_ids"][0])
        else:
            heard.text += value["text"]


def azure(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("openai")
    client = sdk.AzureOpenAI(
        azure_endpoint=provider.base_url("azure"), api_key="k", api_version="2026-01-01"
    )
    chunks = stack.enter_context(client).chat.completions.create(
        **ASKED, stream=True, stream_options={"include_usage": True}
    )
    heard = heard_in_chat(chunks)
    assert provider.requests[0].path.startswith("/azure/openai/deployments/m-1/chat/completions?")
    return heard


def responses(name: str) -> Reader:
    def read(provider: LocalProvider, stack: ExitStack) -> Heard:
        sdk = pytest.importorskip("openai")
        client = sdk.OpenAI(base_url=provider.base_url(name), api_key="k", max_retries=0)
        heard = Heard()
        numbers = []
        with stack.enter_context(client).responses.stream(model="m-1", input="hi") as stream:
            for event in stream:
                numbers.append(event.sequence_number)
                match event.type:
                    case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                        heard.reasoning += event.delta
                    case "response.output_text.annotation.added":
                        heard.cited.append(event.annotation.url)
                    case "response.output_item.added" if event.item.type == "function_call":
                        heard.call(event.output_index, event.item.name, None)
                    case "response.function_call_arguments.delta":
                        heard.call(event.output_index, None, event.delta)
            final = stream.get_final_response()
        assert numbers == sorted(set(numbers))
        heard.text = final.output_text
        heard.finish = final.status
        heard.counts = final.usage.input_tokens, final.usage.output_tokens
        calls = [item for item in final.output if item.type == "function_call"]
        assert [json.loads(call.arguments or "{}") for call in calls] == [a for _, a in heard.calls]
        return heard

    return read


def mistral(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("mistralai.client")
    url = provider.base_url("mistral").removesuffix("/v1")
    client = stack.enter_context(sdk.Mistral(api_key="k", server_url=url))
    events = stack.enter_context(client.chat.stream(**ASKED))
    return heard_in_chat(event.data for event in events)


def perplexity(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("openai")
    client = sdk.OpenAI(base_url=provider.base_url("perplexity"), api_key="k", max_retries=0)
    chunks = [*stack.enter_context(client).chat.completions.create(**ASKED, stream=True)]
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
            heard.call(number, block.name, json.dumps(block.input))
    heard.finish = message.stop_reason
    heard.counts = message.usage.input_tokens, message.usage.output_tokens
    return heard


def anthropic(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("anthropic")
    client = sdk.Anthropic(base_url=provider.base_url("anthropic"), api_key="k")
    return heard_in_messages(stack.enter_context(client).messages.stream(**ASKED, max_tokens=9))


def anthropic_vertex(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("anthropic")
    client = sdk.AnthropicVertex(
        base_url=provider.url + "/v1", region="local", project_id="p", access_token="k"
    )
    return heard_in_messages(stack.enter_context(client).messages.stream(**ASKED, max_tokens=9))


def bedrock_client(provider: LocalProvider, stack: ExitStack) -> Any:
    sdk = pytest.importorskip("botocore.session")
    config = pytest.importorskip("botocore.config")
    client = sdk.Session().create_client(
        "bedrock-runtime",
        endpoint_url=provider.base_url("bedrock"),
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
        config=config.Config(retries={"total_max_attempts": 1}),
    )
    return stack.enter_context(closing(client))


def invoke(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = bedrock_client(provider, stack)
    answer = client.invoke_model_with_response_stream(modelId="m-1", body="{}")
    heard = Heard()
    for frame in stack.enter_context(closing(answer["body"])):
        event = json.loads(frame["chunk"]["bytes"])
        delta = event.get("delta", {})
        heard.text += delta.get("text", "")
        heard.reasoning += delta.get("thinking", "")
        heard.cited += [delta["citation"]["url"]] if "citation" in delta else []
        if event.get("content_block", {}).get("type") == "tool_use":
            heard.call(event["index"], event["content_block"]["name"], None)
        if "partial_json" in delta:
            heard.call(event["index"], None, delta["partial_json"])
        heard.finish = delta.get("stop_reason", heard.finish)
        if "amazon-bedrock-invocationMetrics" in event:
            metrics = event["amazon-bedrock-invocationMetrics"]
            heard.counts = metrics["inputTokenCount"], metrics["outputTokenCount"]
    return heard


def converse(provider: LocalProvider, stack: ExitStack) -> Heard:
    client = bedrock_client(provider, stack)
    answer = client.converse_stream(
        modelId="m-1", messages=[{"role": "user", "content": [{"text": "hi"}]}]
    )
    heard = Heard()
    for event in stack.enter_context(closing(answer["stream"])):
        ((kind, value),) = event.items()
        delta = value.get("delta", {})
        heard.text += delta.get("text", "")
        heard.reasoning += delta.get("reasoningContent", {}).get("text", "")
        if "citation" in delta:
            heard.cited.append(delta["citation"]["location"]["web"]["url"])
        if kind == "contentBlockStart":
            heard.call(value["contentBlockIndex"], value["start"]["toolUse"]["name"], None)
        if "toolUse" in delta:
            heard.call(value["contentBlockIndex"], None, delta["toolUse"]["input"])
        heard.finish = value.get("stopReason", heard.finish)
        if kind == "metadata":
            heard.counts = value["usage"]["inputTokens"], value["usage"]["outputTokens"]
    return heard


def gemini_client(provider: LocalProvider, stack: ExitStack, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the SDK's own, at import
        sdk = pytest.importorskip("google.genai")
    return stack.enter_context(closing(sdk.Client(**options)))


def heard_from_gemini(chunks: Any) -> Heard:
    heard = Heard()
    for chunk in chunks:
        candidate = chunk.candidates[0]
        for part in candidate.content.parts:
            if part.function_call is not None:
                call = part.function_call
                heard.call(len(heard.tools), call.name, json.dumps(call.args))
            elif part.thought:
                heard.reasoning += part.text
            else:
                heard.text += part.text
        if candidate.grounding_metadata:
            heard.cited = [s.web.uri for s in candidate.grounding_metadata.grounding_chunks]
        if candidate.finish_reason:
            heard.finish = candidate.finish_reason.value
        usage = chunk.usage_metadata
        answer = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        heard.counts = usage.prompt_token_count, answer
        assert usage.total_token_count == sum(heard.counts)
    return heard


def gemini(provider: LocalProvider, stack: ExitStack) -> Heard:
    options = {"base_url": provider.base_url("gemini")}
    client = gemini_client(provider, stack, api_key="k", http_options=options)
    heard = heard_from_gemini(client.models.generate_content_stream(model="m-1", contents="hi"))
    assert provider.requests[0].path.endswith("/models/m-1:streamGenerateContent?alt=sse")
    return heard


def vertex(provider: LocalProvider, stack: ExitStack) -> Heard:
    auth = pytest.importorskip("google.oauth2.credentials")
    client = gemini_client(
        provider,
        stack,
        vertexai=True,
        project="p",
        location="global",
        credentials=auth.Credentials(token="k"),
        http_options={"base_url": provider.url},
    )
    return heard_from_gemini(client.models.generate_content_stream(model="m-1", contents="hi"))


def cohere(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk, httpx = pytest.importorskip("cohere"), pytest.importorskip("httpx")
    http = stack.enter_context(httpx.Client())
    client = sdk.ClientV2(api_key="k", base_url=provider.base_url("cohere"), httpx_client=http)
    heard = Heard()
    for event in client.chat_stream(**ASKED):
        match event.type:
            case "content-delta":
                heard.text += event.delta.message.content.text or ""
                heard.reasoning += event.delta.message.content.thinking or ""
            case "tool-call-start" | "tool-call-delta":
                function = event.delta.message.tool_calls.function
                heard.call(event.index, getattr(function, "name", None), function.arguments)
            case "citation-start":
                heard.cited.append(event.delta.message.citations.sources[0].id)
            case "message-end":
                heard.finish = event.delta.finish_reason
                tokens = event.delta.usage.tokens
                heard.counts = int(tokens.input_tokens), int(tokens.output_tokens)
    return heard


def ollama(method: str, **asked: Any) -> Reader:
    def read(provider: LocalProvider, stack: ExitStack) -> Heard:
        sdk = pytest.importorskip("ollama")
        client = sdk.Client(host=provider.base_url("ollama"))
        stack.callback(client._client.close)
        heard = Heard()
        for line in getattr(client, method)(model="m-1", stream=True, **asked):
            said = line.message if method == "chat" else line
            heard.text += (said.content if method == "chat" else said.response) or ""
            heard.reasoning += said.thinking or ""
            for call in getattr(said, "tool_calls", None) or ():
                arguments = json.dumps(dict(call.function.arguments))
                heard.call(len(heard.tools), call.function.name, arguments)
            if line.done:
                heard.finish = line.done_reason
                heard.counts = line.prompt_eval_count, line.eval_count
        return heard

    return read


def completions(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("openai")
    client = stack.enter_context(sdk.OpenAI(base_url=provider.base_url("openai"), api_key="k"))
    heard = Heard()
    for chunk in client.completions.create(
        model="m-1", prompt="hi", stream=True, stream_options={"include_usage": True}
    ):
        for choice in chunk.choices:
            heard.text += choice.text
            heard.finish = choice.finish_reason or heard.finish
        if chunk.usage:
            heard.counts = chunk.usage.prompt_tokens, chunk.usage.completion_tokens
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


@dataclass
class Case:
    """A reader, and what it hears where that is not all the script says."""

    read: Reader
    finish: str = "tool_calls"
    text: str = TEXT
    reasoning: str = THOUGHT
    tools: bool = True
    cited: Any = URL


CASES = {
    "openai": Case(chat("openai")),
    "azure": Case(azure),
    **{
        name: Case(chat(name))
        for name in (
            "groq",
            "deepseek",
            "xai",
            "together",
            "openrouter",
            "cerebras",
            "huggingface",
            "lmstudio",
            "ollama-openai",
        )
    },
    "mistral-by-openai": Case(chat("mistral"), cited=0),
    "mistral": Case(mistral, cited=0),
    "perplexity": Case(perplexity, "stop", f"<think>{THOUGHT}</think>{TEXT}", "", False),
    "responses": Case(responses("openai"), "completed"),
    "responses-raw-reasoning": Case(responses("deepseek"), "completed"),
    "responses-bare": Case(responses("openrouter"), "completed"),
    "completions": Case(completions, "stop", reasoning="", tools=False, cited=None),
    "anthropic": Case(anthropic, "tool_use"),
    "anthropic-vertex": Case(anthropic_vertex, "tool_use"),
    "bedrock-invoke": Case(invoke, "tool_use"),
    "bedrock-converse": Case(converse, "tool_use"),
    "gemini": Case(gemini, "STOP"),
    "vertex": Case(vertex, "STOP"),
    "cohere": Case(cohere, "TOOL_CALL"),
    "ollama": Case(ollama("chat", messages=ASKED["messages"]), "stop", cited=None),
    "ollama-generate": Case(ollama("generate", prompt="hi"), "stop", tools=False, cited=None),
}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("name", CASES)
def test_an_sdk_reads_a_stream(local_provider: Any, stack: ExitStack, name: str) -> None:
    case = CASES[name]
    script = SAID if name != "perplexity" else [s for s in SAID if not isinstance(s, Tool)]
    check(case.read(local_provider(script), stack), case)


def check(heard: Heard, case: Case) -> None:
    assert heard.text == (case.text)
    assert heard.reasoning == case.reasoning
    assert heard.calls == (CALLS if case.tools else [])
    assert heard.cited == ([] if case.cited is None else [case.cited])
    assert heard.finish == case.finish
    assert heard.counts == (11, 7)


# Whole answers


def whole_responses(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("openai")
    client = stack.enter_context(sdk.OpenAI(base_url=provider.base_url("openai"), api_key="k"))
    answer = client.responses.create(model="m-1", input="hi")
    heard = Heard(answer.output_text, finish=answer.status)
    for number, item in enumerate(answer.output):
        if item.type == "reasoning":
            heard.reasoning += item.summary[0].text
        elif item.type == "function_call":
            heard.call(number, item.name, item.arguments)
        else:
            heard.cited = [found.url for found in item.content[0].annotations]
    heard.counts = answer.usage.input_tokens, answer.usage.output_tokens
    return heard


def whole_converse(provider: LocalProvider, stack: ExitStack) -> Heard:
    answer = bedrock_client(provider, stack).converse(
        modelId="m-1", messages=[{"role": "user", "content": [{"text": "hi"}]}]
    )
    heard = Heard(finish=answer["stopReason"])
    for number, block in enumerate(answer["output"]["message"]["content"]):
        ((kind, value),) = block.items()
        if kind == "citationsContent":
            heard.text += value["content"][0]["text"]
            heard.cited = [found["location"]["web"]["url"] for found in value["citations"]]
        elif kind == "reasoningContent":
            heard.reasoning += value["reasoningText"]["text"]
        else:
            heard.call(number, value["name"], json.dumps(value["input"]))
    heard.counts = answer["usage"]["inputTokens"], answer["usage"]["outputTokens"]
    return heard


def whole_gemini(provider: LocalProvider, stack: ExitStack) -> Heard:
    options = {"base_url": provider.base_url("gemini")}
    client = gemini_client(provider, stack, api_key="k", http_options=options)
    return heard_from_gemini([client.models.generate_content(model="m-1", contents="hi")])


def whole_cohere(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk, httpx = pytest.importorskip("cohere"), pytest.importorskip("httpx")
    http = stack.enter_context(httpx.Client())
    client = sdk.ClientV2(api_key="k", base_url=provider.base_url("cohere"), httpx_client=http)
    answer = client.chat(**ASKED)
    heard = Heard(finish=answer.finish_reason)
    for block in answer.message.content:
        heard.text += getattr(block, "text", "")
        heard.reasoning += getattr(block, "thinking", "")
    for number, call in enumerate(answer.message.tool_calls):
        heard.call(number, call.function.name, call.function.arguments)
    heard.cited = [found.sources[0].id for found in answer.message.citations]
    tokens = answer.usage.tokens
    heard.counts = int(tokens.input_tokens), int(tokens.output_tokens)
    return heard


def whole_mistral(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("mistralai.client")
    url = provider.base_url("mistral").removesuffix("/v1")
    client = stack.enter_context(sdk.Mistral(api_key="k", server_url=url))
    answer = client.chat.complete(**ASKED)
    heard = Heard(finish=answer.choices[0].finish_reason)
    take_content(heard, answer.choices[0].message.content)
    for call in answer.choices[0].message.tool_calls:
        heard.call(call.id, call.function.name, call.function.arguments)
    heard.counts = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return heard


def whole_generate(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("ollama")
    client = sdk.Client(host=provider.base_url("ollama"))
    stack.callback(client._client.close)
    answer = client.generate(model="m-1", prompt="hi")
    counts = answer.prompt_eval_count, answer.eval_count
    return Heard(answer.response, answer.thinking, finish=answer.done_reason, counts=counts)


def whole_completions(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("openai")
    client = stack.enter_context(sdk.OpenAI(base_url=provider.base_url("openai"), api_key="k"))
    answer = client.completions.create(model="m-1", prompt="hi")
    counts = answer.usage.prompt_tokens, answer.usage.completion_tokens
    choice = answer.choices[0]
    return Heard(choice.text, finish=choice.finish_reason, counts=counts)


def whole_perplexity(provider: LocalProvider, stack: ExitStack) -> Heard:
    sdk = pytest.importorskip("openai")
    client = sdk.OpenAI(base_url=provider.base_url("perplexity"), api_key="k", max_retries=0)
    answer = stack.enter_context(client).chat.completions.create(**ASKED)
    choice = answer.choices[0]
    heard = Heard(choice.message.content, finish=choice.finish_reason, cited=answer.citations)
    for call in choice.message.tool_calls:
        heard.call(call.id, call.function.name, call.function.arguments)
    heard.counts = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return heard


def whole_invoke(provider: LocalProvider, stack: ExitStack) -> Heard:
    answer = bedrock_client(provider, stack).invoke_model(modelId="m-1", body="{}")
    message = json.loads(answer["body"].read())
    heard = Heard(finish=message["stop_reason"])
    for number, block in enumerate(message["content"]):
        heard.text += block.get("text", "")
        heard.reasoning += block.get("thinking", "")
        heard.cited += [found["url"] for found in block.get("citations", ())]
        if block["type"] == "tool_use":
            heard.call(number, block["name"], json.dumps(block["input"]))
    heard.counts = message["usage"]["input_tokens"], message["usage"]["output_tokens"]
    return heard


WHOLE = {
    "perplexity": Case(whole_perplexity, text=f"<think>{THOUGHT}</think>{TEXT}", reasoning=""),
    "bedrock-invoke": Case(whole_invoke, "tool_use"),
    "responses": Case(whole_responses, "completed"),
    "completions": Case(whole_completions, "stop", reasoning="", tools=False, cited=None),
    "bedrock-converse": Case(whole_converse, "tool_use"),
    "gemini": Case(whole_gemini, "STOP"),
    "cohere": Case(whole_cohere, "TOOL_CALL"),
    "mistral": Case(whole_mistral, cited=None),
    "ollama-generate": Case(whole_generate, "stop", tools=False, cited=None),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_sdk_reads_a_whole_answer(local_provider: Any, stack: ExitStack, name: str) -> None:
    heard = WHOLE[name].read(local_provider(SAID), stack)
    check(heard, WHOLE[name])


# Errors


def status_of(error: Any) -> Any:
    """The HTTP status, wherever an SDK keeps it."""
    if hasattr(error, "response") and isinstance(error.response, dict):
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return getattr(error, "status_code", None) or getattr(error, "code", None)


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


# Lists of models


def openai_models(provider: LocalProvider, stack: ExitStack, name: str) -> list[str]:
    sdk = pytest.importorskip("openai")
    client = sdk.OpenAI(base_url=provider.base_url(name), api_key="k", max_retries=0)
    return [model.id for model in stack.enter_context(client).models.list()]


def anthropic_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    sdk = pytest.importorskip("anthropic")
    client = sdk.Anthropic(base_url=provider.base_url("anthropic"), api_key="k", max_retries=0)
    return [model.id for model in stack.enter_context(client).models.list()]


def gemini_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    options = {"base_url": provider.base_url("gemini")}
    client = gemini_client(provider, stack, api_key="k", http_options=options)
    return [model.name.removeprefix("models/") for model in client.models.list()]


def cohere_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    sdk, httpx = pytest.importorskip("cohere"), pytest.importorskip("httpx")
    http = stack.enter_context(httpx.Client())
    client = sdk.ClientV2(api_key="k", base_url=provider.base_url("cohere"), httpx_client=http)
    return [model.name for model in client.models.list().models]


def ollama_models(provider: LocalProvider, stack: ExitStack) -> list[str]:
    sdk = pytest.importorskip("ollama")
    client = sdk.Client(host=provider.base_url("ollama"))
    stack.callback(client._client.close)
    return [model.model for model in client.list().models]


LISTS = {
    "openai": partial(openai_models, name="openai"),
    "groq": partial(openai_models, name="groq"),
    "anthropic": anthropic_models,
    "gemini": gemini_models,
    "cohere": cohere_models,
    "ollama": ollama_models,
}


@pytest.mark.parametrize("name", LISTS)
def test_an_sdk_lists_the_models(local_provider: Any, stack: ExitStack, name: str) -> None:
    assert LISTS[name](local_provider("hi"), stack) == ["local"]


@pytest.mark.parametrize("name", LISTS)
def test_a_status_answers_for_the_list_too(
    local_provider: Any, stack: ExitStack, name: str
) -> None:
    with pytest.raises(Exception, match="no entry") as caught:
        LISTS[name](local_provider(Status(401, message="no entry")), stack)
    assert status_of(caught.value) == 401
