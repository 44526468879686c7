"""
The formats as another project writes them: aimock, a mock server made by strangers.

It needs npm, which fetches it once per run; ``.ci/run`` installs npm. Known deviations of the mock:
usage is 0 in all but OpenAI chat; Gemini answers server-sent events with and without ``alt=sse``,
and ends calls with a word of its own; Cohere's thinking comes as text, and Ollama's under a name
that Ollama does not use. It cuts text by UTF-16 unit, here after every one: surrogate pairs come in
halves.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from socket import create_server
from time import monotonic, sleep

import pytest

from streamkit import Client, InvalidRequest, ProviderError

VERSION = "1.43.0"
TEXT = "Hello, wörld! 😀 How are you?\n\nFine, thanks."
THOUGHT = "Six times seven: 👩‍🚀."
FIXTURES = {
    "fixtures": [
        {"match": {"userMessage": "greet"}, "response": {"content": TEXT}},
        {"match": {"userMessage": "think"}, "response": {"content": "42", "reasoning": THOUGHT}},
        {
            "match": {"userMessage": "tool"},
            "response": {
                "toolCalls": [
                    {"name": "add", "arguments": '{"a":1,"b":[2,"ü"]}'},
                    {"name": "now", "arguments": "{}"},
                ]
            },
        },
    ]
}

#: Provider, api, what follows the server's address in the base URL, model.
SERVICES = [
    ("openai", "chat", "/v1", "gpt-4o"),
    ("openai", "responses", "/v1", "gpt-4o"),
    ("openrouter", "chat", "/api/v1", "openai/gpt-4o"),
    ("azure", "chat", "?api-version=2024-10-21", "gpt-4o"),
    ("anthropic", "messages", "", "claude-sonnet-4-5"),
    ("gemini", "sse", "", "gemini-2.5-flash"),
    ("vertex", "sse", "/v1/projects/p/locations/l", "gemini-2.5-flash"),
    ("cohere", "v2", "", "command-a-03-2025"),
    ("ollama", "chat", "", "llama3"),
    ("ollama", "generate", "", "llama3"),
    ("bedrock", "converse", "", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
    ("bedrock", "invoke", "", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
]
Service = tuple[str, str, str, str]


def names(service: Service) -> str:
    return "-".join(service[:2])


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("aimock")
    package = f"@copilotkit/aimock@{VERSION}"
    install = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", package]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    fixtures = folder / "fixtures.json"
    fixtures.write_text(json.dumps(FIXTURES), encoding="utf-8")
    with create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    script = folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    options = ["-p", str(port), "-h", "127.0.0.1", "-f", str(fixtures), "-c", "1"]
    with subprocess.Popen(
        [node, str(script), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            await_server(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def await_server(process: subprocess.Popen[bytes], port: int) -> None:
    """Ask until it answers; it prints nothing that says so."""
    deadline = monotonic() + 30
    while True:
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            connection.getresponse().read()
            return
        except OSError:
            assert process.poll() is None, "aimock ended"
            assert monotonic() < deadline, "aimock did not answer within 30 s"
            sleep(0.05)
        finally:
            connection.close()


def client_of(service: Service, url: str) -> Client:
    provider, api, path, _ = service
    return Client(provider=provider, api=api, base_url=url + path, api_key="sk-test-0123456789")


@pytest.mark.parametrize("service", SERVICES, ids=names)
def test_text_cut_inside_characters_is_whole_again(aimock: str, service: Service) -> None:
    with client_of(service, aimock) as client:
        result = client.stream(service[3], "greet", max_tokens=100).result()
    assert result.text == TEXT
    assert result.outcome == "completed"
    if service[:2] == ("openai", "chat"):
        assert result.usage.output_tokens


WITH_TOOLS = [service for service in SERVICES if service[1] != "generate"]
WITH_REASONING = [service for service in SERVICES if service[0] not in ("cohere", "ollama")]


@pytest.mark.parametrize("service", WITH_TOOLS, ids=names)
def test_tool_calls_have_their_names_and_arguments(aimock: str, service: Service) -> None:
    with client_of(service, aimock) as client:
        result = client.stream(service[3], "tool", max_tokens=100).result()
    calls = [(call.name, call.parsed) for call in result.tool_calls]
    assert calls == [("add", {"a": 1, "b": [2, "ü"]}), ("now", {})]
    assert result.outcome == "tool_calls"
    assert result.text == ""


@pytest.mark.parametrize("service", WITH_REASONING, ids=names)
def test_reasoning_is_told_apart_from_the_text(aimock: str, service: Service) -> None:
    with client_of(service, aimock) as client:
        result = client.stream(service[3], "think", max_tokens=100).result()
    assert result.text == "42"
    assert result.reasoning == THOUGHT


@pytest.mark.parametrize("service", SERVICES, ids=names)
def test_a_prompt_it_does_not_know_is_an_error_with_its_words(
    aimock: str, service: Service
) -> None:
    with client_of(service, aimock) as client:
        stream = client.stream(service[3], "something else", max_tokens=100, retry=None)
        with pytest.raises(ProviderError, match=r"(?i)no fixture matched") as caught:
            stream.result()
    assert isinstance(caught.value, InvalidRequest)
    assert caught.value.status == 404
