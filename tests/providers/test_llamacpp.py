"""llama.cpp's server: how an answer is taken up where the connection broke."""

from __future__ import annotations

import pytest

from streamkit.providers.base import Resume
from streamkit.providers.llamacpp import LlamaCppChat
from streamkit.providers.registry import resolve
from streamkit.request import Call, Message, Request, Secret

KEY = "sk-0123456789abcdef"


def resumed(received: int = 17, **headers: str) -> tuple[Request, Resume | None]:
    target = resolve("llamacpp/m", api_key=KEY, env={})
    dialect = target.dialect(target.endpoint)
    assert isinstance(dialect, LlamaCppChat)
    call = Call(model="m", messages=(Message.user("Hi"),), extra_headers=headers)
    request = dialect.request(call)
    return request, dialect.resume(request, received)


def test_the_rest_is_asked_for_by_the_bytes_received() -> None:
    request, resume = resumed(**{"X-Conversation-Id": "chat-1", "X-Other": "kept"})
    assert resume is not None
    asked = resume.request
    assert (resume.by, asked.method, asked.body) == ("offset", "GET", b"")
    assert asked.url == "http://127.0.0.1:8080/v1/stream?conv_id=chat-1&from=17"
    assert "Content-Type" not in asked.headers
    assert (asked.headers["X-Other"], asked.headers["Accept"]) == ("kept", "text/event-stream")
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert isinstance(asked.headers["Authorization"], Secret)
    assert KEY not in repr(resume)
    assert request.method == "POST"


def test_the_name_of_the_header_has_any_case() -> None:
    _, resume = resumed(**{"x-CONVERSATION-id": "c"})
    assert resume is not None and resume.request.url.endswith("conv_id=c&from=17")


@pytest.mark.parametrize(
    ("id", "quoted"),
    [("org/model::7b", "org%2Fmodel%3A%3A7b"), ("a&from=0", "a%26from%3D0"), ("ö", "%F6")],
)
def test_the_id_is_quoted_by_the_bytes_of_its_header(id: str, quoted: str) -> None:
    _, resume = resumed(**{"X-Conversation-Id": id})
    assert resume is not None and f"?conv_id={quoted}&from=17" in resume.request.url


def test_without_an_id_the_server_keeps_nothing() -> None:
    assert resumed()[1] is None


def test_what_was_resumed_can_be_resumed_again() -> None:
    _, resume = resumed(**{"X-Conversation-Id": "c"})
    assert resume is not None
    target = resolve("llamacpp/m", env={})
    again = target.dialect(target.endpoint).resume(resume.request, 40)
    assert again is not None and again.request.url.endswith("conv_id=c&from=40")
