"""stream(), Client and close(): where requests go, what they carry, and many at a time."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import streamkit
from streamkit import Client, ConfigurationError, Message, Stream, UnknownProvider
from streamkit.testing import LocalProvider, RecordedRequest, Text
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

KEY = "sk-test-0123456789"
SAY = Text("Hello there")


@pytest.fixture
def server(local_provider: Callable[..., LocalProvider]) -> LocalProvider:
    return local_provider([SAY])


@pytest.fixture
def client(server: LocalProvider) -> Iterator[Client]:
    with Client(provider="openai", base_url=server.base_url(), api_key=KEY) as client:
        yield client


@pytest.fixture(autouse=True)
def _shared() -> Iterator[None]:
    """The process-wide client leaves no connection to the next test."""
    yield
    streamkit.close()


# -- stream() and close()


def test_stream_needs_no_client(server: LocalProvider) -> None:
    url = server.base_url()
    pieces = list(streamkit.stream("openai/gpt-x", "Hi", base_url=url, api_key=KEY))
    assert pieces == ["Hello", " there"]
    assert server.requests[0].json["model"] == "gpt-x"


def test_stream_and_close_share_one_client(server: LocalProvider) -> None:
    where: Any = {"base_url": server.base_url(), "api_key": KEY}
    for _ in range(3):
        streamkit.stream("openai/m", "Hi", mode="direct", **where).result()
    assert server.connections == 1
    streamkit.close()
    assert server.wait_idle(2)
    streamkit.close()
    streamkit.stream("openai/m", "Hi", **where).result()
    assert server.connections == 2


@pytest.mark.parametrize(("mode", "most"), [("direct", 1), ("buffered", 3), ("managed", 3)])
def test_streams_in_a_row_use_the_same_connection(
    server: LocalProvider, client: Client, mode: Any, most: int
) -> None:
    # With a reading thread the end is told before the connection is back in the pool: the next
    # stream may be quicker than that (PROMISES.md P54).
    for _ in range(30):
        assert client.stream("m", "Hi", mode=mode).result().text == SAY.text
    assert server.connections <= most
    assert len(server.requests) == 30


# -- where a request goes


def test_a_stream_keyword_wins_over_the_client(
    server: LocalProvider, local_provider: Callable[..., LocalProvider], client: Client
) -> None:
    other = local_provider([Text("other")])
    stream = client.stream("m", "Hi", base_url=other.base_url(), api_key="sk-other-987654")
    assert stream.result().text == "other"
    assert other.requests[0].headers["authorization"] == "Bearer sk-other-987654"
    assert server.requests == []


def test_the_client_wins_over_the_environment(
    server: LocalProvider, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    client.stream("m", "Hi").result()
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_environment_wins_over_the_default(
    server: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url())
    assert streamkit.stream("openai/m", "Hi").result().text == SAY.text
    assert server.requests[0].headers["authorization"] == "Bearer sk-environment"


def test_without_a_key_nothing_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="set OPENAI_API_KEY or pass api_key="):
        streamkit.stream("openai/m", "Hi")


def test_headers_of_client_and_stream_are_sent(server: LocalProvider) -> None:
    where: Any = {"provider": "openai", "base_url": server.base_url(), "api_key": KEY}
    with Client(headers={"x-team": "a", "x-both": "client"}, **where) as client:
        client.stream("m", "Hi", extra_headers={"x-one": "b", "x-both": "stream"}).result()
    headers = server.requests[0].headers
    assert (headers["x-team"], headers["x-one"], headers["x-both"]) == ("a", "b", "stream")


def test_the_text_before_the_slash_is_the_provider(server: LocalProvider) -> None:
    result = streamkit.stream("ollama/llama3:8b", "Hi", base_url=server.base_url("ollama")).result()
    assert result.text == SAY.text
    assert server.requests[0].path == "/api/chat"
    assert server.requests[0].json["model"] == "llama3:8b"


def test_with_provider_the_model_is_taken_verbatim(server: LocalProvider, client: Client) -> None:
    client.stream("anthropic/claude", "Hi").result()
    assert server.requests[0].json["model"] == "anthropic/claude"


def test_a_base_url_alone_means_openai_chat(server: LocalProvider) -> None:
    result = streamkit.stream("meta/llama", "Hi", base_url=server.base_url()).result()
    assert result.text == SAY.text
    assert server.requests[0].json["model"] == "meta/llama"
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("model", ["gpt-4o", "opnai/gpt-4o", "", "/", "nobody/x"])
def test_a_model_without_a_provider_is_an_unknown_provider(model: str) -> None:
    with pytest.raises(UnknownProvider, match="openai"):
        streamkit.stream(model, "Hi", api_key=KEY)


# -- what is asked


@pytest.mark.parametrize(
    ("prompt", "messages"),
    [
        ("Hi", [{"role": "user", "content": "Hi"}]),
        ([{"role": "user", "content": "Hi"}], [{"role": "user", "content": "Hi"}]),
        (
            (Message.system("Be brief"), Message.user("Hi"), Message.assistant("Yes?")),
            [
                {"role": "system", "content": "Be brief"},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Yes?"},
            ],
        ),
        (
            [Message.user([{"type": "text", "text": "Hi"}]), Message.tool("4", tool_call_id="c")],
            [
                {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                {"role": "tool", "content": "4", "tool_call_id": "c"},
            ],
        ),
    ],
)
def test_a_prompt_is_text_or_messages(
    server: LocalProvider, client: Client, prompt: Any, messages: list[Any]
) -> None:
    client.stream("m", prompt).result()
    assert server.requests[0].json["messages"] == messages


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("", "prompt must not be empty"),
        ([], "at least one message"),
        (None, "prompt must be text or a list of messages, got NoneType"),
        (b"Hi", "prompt must be text or a list of messages, got bytes"),
        ({"role": "user"}, "prompt must be text or a list of messages, got dict"),
        (["Hi"], "message 0 must be a mapping with a 'role'"),
        ([{"role": "user", "content": "a"}, {"content": "b"}], "message 1 must be a mapping"),
        ([{"role": "user", "content": object()}], "JSON"),
        ([{"role": "user", "content": float("nan")}], "JSON"),
        (iter([{"role": "user", "content": "a"}]), "prompt must be text or a list of messages"),
    ],
    ids=str,
)
def test_a_prompt_that_cannot_be_sent_is_refused_at_once(
    server: LocalProvider, client: Client, prompt: Any, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        client.stream("m", prompt)
    assert server.connections == 0


def test_the_request_keywords_reach_the_body(server: LocalProvider, client: Client) -> None:
    tool = {"type": "function", "function": {"name": "add"}}
    client.stream(
        "m", "Hi", system="Be brief", temperature=0, top_p=0.5, max_tokens=9, stop="END", seed=7,
        tools=[tool], tool_choice="auto", response_format={"type": "json_object"},
        extra_body={"logprobs": True, "top_p": 0.25},
    ).result()  # fmt: skip
    body = server.requests[0].json
    assert body["messages"][0] == {"role": "system", "content": "Be brief"}
    assert body["max_completion_tokens"] == 9
    assert (body["temperature"], body["top_p"], body["seed"]) == (0, 0.25, 7)
    assert (body["stop"], body["tools"], body["tool_choice"]) == (["END"], [tool], "auto")
    assert body["logprobs"] is True
    assert body["stream"] is True


def test_changing_the_prompt_later_changes_nothing(server: LocalProvider, client: Client) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    stream = client.stream("m", messages)
    messages[0]["content"] = "changed"
    messages.append({"role": "user", "content": "more"})
    stream.result()
    assert server.requests[0].json["messages"] == [{"role": "user", "content": "Hi"}]


# -- the client


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"mode": "direct"}, r"Client\(\) has no keyword 'mode'"),
        ({"base_ulr": "x"}, "did you mean 'base_url'"),
        ({"temperature": 1}, r"Client\(\) has no keyword 'temperature'"),
    ],
)
def test_a_client_takes_client_keywords_only(keywords: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Client(**keywords)


def test_what_wrap_does_not_take_is_not_sent_to_a_keyword_that_is_refused_too() -> None:
    with pytest.raises(ConfigurationError, match=r"has no keyword 'retry'$"):
        streamkit.wrap(["a"], retry=3)


def test_a_closed_client_opens_no_stream_and_lets_others_finish(server: LocalProvider) -> None:
    client = Client(provider="openai", base_url=server.base_url(), api_key=KEY)
    running = client.stream("m", "Hi")
    loop = iter(running)
    next(loop)
    client.close()
    client.close()
    assert "".join(loop) == " there"
    with pytest.raises(ConfigurationError, match="closed"):
        client.stream("m", "Hi").result()
    assert server.wait_idle(2)


def test_neither_client_nor_stream_shows_or_pickles_a_key(client: Client) -> None:
    stream = client.stream("m", "Hi", extra_headers={"x-token": "very-secret-1"})
    for thing in (client, stream):
        assert KEY not in repr(thing) + str(vars(thing))
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(thing)
    assert repr(client) == "<Client openai>"
    stream.close()


# -- many at a time


def answer(request: RecordedRequest) -> list[Any]:
    """Say what was asked, so that each answer can be told from all others."""
    asked = request.json["messages"][0]["content"]
    return [Text("".join(f"[{asked}:{number}]" for number in range(20)), size=7, burst=3)]


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_threads_that_share_a_client_get_their_own_answers(
    local_provider: Callable[..., LocalProvider], run_in_thread: Callable[..., Any], mode: Any
) -> None:
    server = local_provider(answer)
    barrier = threading.Barrier(32)

    def work(client: Client, worker: int) -> None:
        barrier.wait(10)
        for turn in range(20):
            asked = f"{worker}.{turn}"
            stream = client.stream("m", asked, mode=mode)
            want = "".join(f"[{asked}:{number}]" for number in range(20))
            text = "".join(stream) if turn % 2 else stream.result().text
            assert text == stream.result().text == want
            assert stream.result().id == stream.partial.id

    with Client(provider="openai", base_url=server.base_url(), api_key=KEY) as client:
        tasks = [run_in_thread(work, client, worker) for worker in range(32)]
        for task in tasks:
            task.result(30)
    asked = [json.loads(r.body)["messages"][0]["content"] for r in server.requests]
    assert len(asked) == len(set(asked)) == 640
    assert server.connections <= 64


def test_streams_that_run_side_by_side_do_not_mix(
    local_provider: Callable[..., LocalProvider],
) -> None:
    server = local_provider(answer)
    with Client(provider="openai", base_url=server.base_url(), api_key=KEY) as client:
        streams: list[Stream] = [client.stream("m", f"s{number}") for number in range(20)]
        texts = [""] * len(streams)
        loops = {number: iter(stream) for number, stream in enumerate(streams)}
        while loops:
            for number, loop in list(loops.items()):
                piece = next(loop, None)
                if piece is None:
                    del loops[number]
                else:
                    texts[number] += piece
    for number, text in enumerate(texts):
        assert text == "".join(f"[s{number}:{n}]" for n in range(20))
