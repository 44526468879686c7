"""Gemini's answers through the public API: what the dialect alone cannot show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from streamkit import Client, Overloaded, RateLimited, Stream, StreamkitError
from streamkit.testing import Headers, LocalProvider, Raw
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

HELLO = {"candidates": [{"content": {"parts": [{"text": "Hello"}]}}], "modelVersion": "gemini"}
FAILURE = {
    "error": {
        "code": 503,
        "message": "The model is overloaded.",
        "status": "UNAVAILABLE",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48s"}],
    }
}
SSE = b"data: " + json.dumps(HELLO).encode() + b"\r\n\r\n"
ARRAY = b"[" + json.dumps(HELLO, indent=2).encode() + b"\n,\r\n"


@pytest.fixture
def ended(local_provider: Callable[..., LocalProvider]) -> Callable[..., Any]:
    """Play a body; the stream after its end, and the error that ended it."""

    def run(api: str, body: bytes, *, size: int | None = None, **head: Any) -> Any:
        headers = head.pop("headers", {"content-type": "text/event-stream"})
        url = local_provider([Headers(headers, **head), Raw(body, size=size)]).url
        with Client(provider="gemini", api=api, base_url=url, api_key="AIza-0123456789") as client:
            stream: Stream = client.stream("m", "Hi", retry=None)
            try:
                stream.result()
            except StreamkitError as error:
                return stream, error
            return stream, None

    return run


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("sse", SSE + json.dumps(FAILURE, indent=2).encode()),
        ("sse", SSE + b"data: " + json.dumps(FAILURE).encode() + b"\r\n\r\n"),
        ("sse", b"data: " + json.dumps(HELLO | FAILURE).encode() + b"\r\n\r\n" + SSE),
        ("sse", b"data: " + json.dumps([HELLO, FAILURE, HELLO]).encode() + b"\r\n\r\n"),
        ("array", ARRAY + json.dumps(FAILURE, indent=2).encode() + b"\n]"),
        ("array", b"[" + json.dumps(HELLO | FAILURE).encode() + b"]"),
        ("array", ARRAY + b"[" + json.dumps(FAILURE).encode() + b"]"),
    ],
)
def test_an_error_in_the_middle_keeps_the_text_before_it(
    ended: Any, api: str, body: bytes, size: int | None
) -> None:
    _, error = ended(api, body, size=size)
    assert type(error) is Overloaded
    assert (error.code, error.type, error.retry_after) == (503, "UNAVAILABLE", 48.0)
    assert "The model is overloaded." in str(error)
    assert error.partial is not None
    assert error.partial.text == "Hello"


@pytest.mark.parametrize("api", ["sse", "array"])
@pytest.mark.parametrize("body", [SSE, ARRAY])
def test_either_framing_is_read_whatever_was_asked_for(ended: Any, api: str, body: bytes) -> None:
    done = {"candidates": [{"finishReason": "STOP"}]}
    last = json.dumps(done).encode()
    rest = last + b"]" if body is ARRAY else b"data: " + last + b"\r\n\r\n"
    stream, error = ended(api, body + rest)
    assert error is None
    assert (stream.partial.text, stream.outcome) == ("Hello", "completed")


def test_a_blocked_prompt_ends_quietly(ended: Any) -> None:
    body = b'data: {"promptFeedback": {"blockReason": "SAFETY"}}\r\n\r\n'
    stream, error = ended("sse", body)
    assert error is None
    assert (stream.outcome, stream.partial.finish_reason) == ("content_filter", None)


@pytest.mark.parametrize(("headers", "seconds"), [({}, 48.0), ({"retry-after": "3"}, 3.0)])
def test_the_delay_is_the_headers_or_else_the_bodys(
    ended: Any, headers: dict[str, str], seconds: float
) -> None:
    body = json.dumps(FAILURE, indent=2).encode()
    _, error = ended("sse", body, status=429, headers={"content-type": "text/plain", **headers})
    assert type(error) is RateLimited
    assert error.retry_after == seconds
