"""What the user asks: of any size, sent exactly, or refused before anything is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fault_cases import STYLES

from streamkit import ConfigurationError
from streamkit.testing import Text

#: Text that JSON, UTF-8, HTTP or server-sent events might trip over.
ODD = 'a\x00b\r\n\r\ndata: [DONE]\n\n\u2028\u2029\x85 😀 \\u0041 \ufeff\x1b[31m"}]}'


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_a_prompt_of_50_megabytes_is_sent_exactly(ask: Any, serve: Any, mode: str) -> None:
    server = serve([Text("Hi")])
    prompt = "0123456789" * 5_000_000
    url = server.base_url()
    stream = ask.client.stream("openai/m", prompt, base_url=url, mode=mode, retry=None)
    assert "".join(stream) == "Hi"
    (request,) = server.requests
    assert json.loads(request.body)["messages"] == [{"role": "user", "content": prompt}]


@pytest.mark.parametrize("style", STYLES)
def test_odd_text_is_sent_exactly(ask: Any, serve: Any, style: str) -> None:
    server = serve([Text("Hi")])
    url = server.base_url(style)
    assert "".join(ask.client.stream("m", ODD, provider=style, base_url=url)) == "Hi"
    assert ODD in texts(json.loads(server.requests[0].body))


def texts(value: Any) -> list[str]:
    """Every text in a body."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in texts(item)]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "content",
    ["half \ud83d a pair", float("nan"), float("inf"), object(), b"bytes", {1, 2}],
    ids=["surrogate", "nan", "inf", "object", "bytes", "set"],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(
    ask: Any, serve: Any, style: str, content: Any
) -> None:
    server = serve([Text("Hi")])
    with pytest.raises(ConfigurationError):
        ask.client.stream(
            "m", [{"role": "user", "content": content}],
            provider=style, base_url=server.base_url(style),
        )  # fmt: skip
    assert server.connections == 0
