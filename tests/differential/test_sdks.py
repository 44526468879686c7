"""
One server, two readers: streamkit and the service's official SDK find the same in the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from recorded import STREAMS, body_of, by_id
from sdks import KEY, READERS, Heard, has_answer

from streamkit import Client
from streamkit.testing import (
    Headers,
    LocalProvider,
    Raw,
    Reasoning,
    Text,
    Tool,
    Usage,
)
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

Local = Callable[..., LocalProvider]

pytestmark = [
    # pydantic and httpx warn of their own doings in some versions; they are not under test.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def ours(provider: str, api: str, url: str) -> Heard:
    """What streamkit reads."""
    with Client(provider=provider, api=api, base_url=url, api_key=KEY) as client:
        result = client.stream("m", "hi", retry=None).result()
    heard = Heard(text=result.text, reasoning=result.reasoning)
    for call in result.tool_calls:
        heard.call(call.index, call.id, call.name, call.arguments)
    heard.finish_reason = result.finish_reason
    heard.usage = (result.usage.input_tokens, result.usage.output_tokens)
    return heard


def check(mine: Heard, theirs: Heard) -> None:
    assert mine.text == theirs.text
    assert mine.reasoning == theirs.reasoning
    assert mine.tools == theirs.tools
    assert mine.finish_reason == theirs.finish_reason
    assert mine.usage == theirs.usage


#: Dialects that have no place for tools, nor all of them for reasoning.
PLAIN = {("openai", "completions"), ("ollama", "generate")}
SCRIPTS: dict[str, list[Any]] = {
    "text": [Text("Hällo 😀 there, you. How are things?"), Usage(11, 7)],
    "thinking": [Reasoning("let me see\n\n"), Text("It is 42."), Usage(11, 7)],
    "tools": [
        Text("I ask."),
        Tool("add", {"a": 1, "b": [2, "ü"]}, size=3),
        Tool("now"),
        Usage(11, 7),
    ],
}
OWN = [key for key in READERS if key[0] in {"openai", "anthropic", "gemini", "mistral", "ollama",
                                            "cohere", "bedrock"}]  # fmt: skip


CASES = [(key, name) for key in OWN for name in SCRIPTS if name == "text" or key not in PLAIN]


@pytest.mark.parametrize(("key", "name"), CASES)
def test_the_local_provider_is_read_alike(
    local_provider: Local, key: tuple[str, str], name: str
) -> None:
    provider, api = key
    url = local_provider(SCRIPTS[name]).base_url(provider)
    mine, theirs = ours(provider, api, url), READERS[key](url)
    check(mine, theirs)
    assert mine.text == "".join(s.text for s in SCRIPTS[name] if type(s) is Text)
    assert mine.usage == (11, 7)
    if name == "tools":
        assert mine.tools == [("add", {"a": 1, "b": [2, "ü"]}), ("now", {})]


WITH_SDK = [entry for entry in STREAMS if has_answer(entry)]


@pytest.mark.parametrize("entry", WITH_SDK, ids=by_id)
def test_a_recorded_answer_is_read_alike(local_provider: Local, entry: dict[str, Any]) -> None:
    provider, api = entry["provider"], entry["api"]
    head = Headers({"content-type": entry["content_type"]}, status=entry["status"])
    url = local_provider([head, Raw(body_of(entry))]).url
    mine, theirs = ours(provider, api, url), READERS[provider, api](url)
    check(mine, theirs)
