"""
wrap() over what the official SDKs stream: the same text, ending and usage as reading it by hand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from recorded import STREAMS, body_of, by_id
from sdks import ASKED, KEY, READERS, Heard, bedrock_client, has_answer, ollama_client

from streamkit.api import wrap
from streamkit.chunk import Result
from streamkit.testing import Gate, Headers, LocalProvider, Raw, Reasoning, Text, Usage
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

Local = Callable[..., LocalProvider]
Opened = Iterator[Any]

pytestmark = [
    # pydantic and httpx warn of their own doings in some versions; they are not under test.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def openai(url: str) -> Any:
    from openai import OpenAI

    return OpenAI(base_url=url, api_key=KEY, max_retries=0)


@contextlib.contextmanager
def openai_chat(url: str) -> Opened:
    with openai(url) as client:
        yield client.chat.completions.create(
            model="m", messages=ASKED, stream=True, stream_options={"include_usage": True}
        )


@contextlib.contextmanager
def openai_chat_helper(url: str) -> Opened:
    options: Any = {"include_usage": True}
    with (
        openai(url) as client,
        client.chat.completions.stream(model="m", messages=ASKED, stream_options=options) as stream,
    ):
        yield stream


@contextlib.contextmanager
def openai_completions(url: str) -> Opened:
    with openai(url) as client:
        yield client.completions.create(
            model="m", prompt="hi", stream=True, stream_options={"include_usage": True}
        )


@contextlib.contextmanager
def openai_responses(url: str) -> Opened:
    with openai(url) as client:
        yield client.responses.create(model="m", input="hi", stream=True)


@contextlib.contextmanager
def openai_responses_helper(url: str) -> Opened:
    with openai(url) as client, client.responses.stream(model="m", input="hi") as stream:
        yield stream


@contextlib.contextmanager
def anthropic_messages(url: str) -> Opened:
    from anthropic import Anthropic

    with Anthropic(base_url=url, api_key=KEY, max_retries=0) as client:
        yield client.messages.create(model="m", messages=ASKED, max_tokens=9, stream=True)


@contextlib.contextmanager
def anthropic_helper(url: str) -> Opened:
    from anthropic import Anthropic

    with (
        Anthropic(base_url=url, api_key=KEY, max_retries=0) as client,
        client.messages.stream(model="m", messages=ASKED, max_tokens=9) as stream,
    ):
        yield stream


@contextlib.contextmanager
def google_genai(url: str) -> Opened:
    from google import genai

    options: Any = {"base_url": url, "api_version": "v1beta"}
    with contextlib.closing(genai.Client(api_key=KEY, http_options=options)) as client:
        yield client.models.generate_content_stream(model="m", contents="hi")


@contextlib.contextmanager
def mistral_chat(url: str) -> Opened:
    from mistralai.client import Mistral

    with Mistral(api_key=KEY, server_url=url.removesuffix("/v1")) as client:
        yield client.chat.stream(model="m", messages=ASKED)


@contextlib.contextmanager
def ollama_chat(url: str) -> Opened:
    with ollama_client(url) as client:
        yield client.chat(model="m", messages=ASKED, stream=True)


@contextlib.contextmanager
def ollama_generate(url: str) -> Opened:
    with ollama_client(url) as client:
        yield client.generate(model="m", prompt="hi", stream=True)


@contextlib.contextmanager
def cohere_chat(url: str) -> Opened:
    import cohere
    import httpx

    with httpx.Client() as http:
        client = cohere.ClientV2(api_key=KEY, base_url=url, httpx_client=http)
        yield client.chat_stream(model="m", messages=ASKED)


@contextlib.contextmanager
def botocore_converse(url: str) -> Opened:
    with bedrock_client(url) as client:
        messages = [{"role": "user", "content": [{"text": "hi"}]}]
        answer = client.converse_stream(modelId="m", messages=messages)
        with contextlib.closing(answer["stream"]) as stream:
            yield stream


OPENERS: dict[str, tuple[Any, tuple[str, str]]] = {
    "openai chat": (openai_chat, ("openai", "chat")),
    "openai chat helper": (openai_chat_helper, ("openai", "chat")),
    "openai completions": (openai_completions, ("openai", "completions")),
    "openai responses": (openai_responses, ("openai", "responses")),
    "openai responses helper": (openai_responses_helper, ("openai", "responses")),
    "anthropic": (anthropic_messages, ("anthropic", "messages")),
    "anthropic helper": (anthropic_helper, ("anthropic", "messages")),
    "google": (google_genai, ("gemini", "sse")),
    "mistral": (mistral_chat, ("mistral", "chat")),
    "ollama chat": (ollama_chat, ("ollama", "chat")),
    "ollama generate": (ollama_generate, ("ollama", "generate")),
    "cohere": (cohere_chat, ("cohere", "v2")),
    "bedrock": (botocore_converse, ("bedrock", "converse")),
}
PLAIN = {"openai completions", "ollama generate"}
SCRIPTS: dict[str, list[Any]] = {
    "text": [Text("Hällo 😀 there, you. How are things?"), Usage(11, 7)],
    "thinking": [Reasoning("let me see\n\n"), Text("It is 42."), Usage(11, 7)],
}
CASES = [(name, script) for name in OPENERS for script in SCRIPTS
         if script == "text" or name not in PLAIN]  # fmt: skip


def check(result: Result, theirs: Heard) -> None:
    assert result.text == theirs.text
    assert result.reasoning == theirs.reasoning
    assert result.finish_reason == theirs.finish_reason
    assert (result.usage.input_tokens, result.usage.output_tokens) == theirs.usage


@pytest.mark.parametrize(("name", "script"), CASES)
def test_a_wrapped_stream_says_what_the_sdk_says(
    local_provider: Local, name: str, script: str
) -> None:
    opener, key = OPENERS[name]
    url = local_provider(SCRIPTS[script]).base_url(key[0])
    theirs = READERS[key](url)
    with opener(url) as stream:
        result = wrap(stream).result()
    check(result, theirs)
    assert result.outcome == "completed"
    assert result.model or name in {"cohere", "bedrock"}  # they do not say
    assert result.id or name in {"ollama chat", "ollama generate", "bedrock"}


RECORDED = [entry for entry in STREAMS if has_answer(entry)]


@pytest.mark.parametrize("entry", RECORDED, ids=by_id)
def test_a_recorded_answer_is_wrapped_alike(local_provider: Local, entry: dict[str, Any]) -> None:
    key = entry["provider"], entry["api"]
    openers = {by: opener for name, (opener, by) in OPENERS.items() if "helper" not in name}
    opener = openers.get(key) or openers["openai", entry["api"]]
    head = Headers({"content-type": entry["content_type"]}, status=entry["status"])
    url = local_provider([head, Raw(body_of(entry))]).url
    theirs = READERS[key](url)
    with opener(url) as stream:
        check(wrap(stream).result(), theirs)


@pytest.mark.parametrize("mode", ["direct", "buffered"])
@pytest.mark.parametrize("name", OPENERS)
def test_leaving_the_loop_closes_the_sdks_connection(
    local_provider: Local, name: str, mode: Any
) -> None:
    opener, key = OPENERS[name]
    server = local_provider([Text("One two"), Gate(), Text(" three four"), Gate()])
    with opener(server.base_url(key[0])) as foreign:
        stream = wrap(foreign, mode=mode)
        for piece in stream:
            assert piece
            break
        assert stream.outcome == "cancelled"
        server.release()  # the SDK's blocked read ends with its next item
        stream._run.join(10)
    server.release()
    assert server.wait_disconnect(timeout=10)
