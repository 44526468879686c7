"""Vertex AI: the same dialects at another address, with a token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers import resolve
from streamkit.providers.base import Endpoint
from streamkit.providers.vertex import Vertex, VertexArray, VertexMessages
from streamkit.request import Call, Message, Secret
from streamkit.wire.sse import Event

BASE = "https://us-east5-aiplatform.googleapis.com/v1beta1/projects/p/locations/us-east5"
ENDPOINT = Endpoint(provider="vertex", base_url=BASE, api_key=Secret("ya29.token"))


def asked(dialect: Any, **keywords: Any) -> Any:
    call = Call(**{"model": "m", "messages": (Message.user("Hi"),), **keywords})
    return dialect(ENDPOINT).request(call)


@pytest.mark.parametrize(
    ("dialect", "model", "path"),
    [
        (Vertex, "m", "google/models/m:streamGenerateContent?alt=sse"),
        (Vertex, "models/m", "google/models/m:streamGenerateContent?alt=sse"),
        (Vertex, "../x?", "google/models/..%2Fx%3F:streamGenerateContent?alt=sse"),
        (VertexArray, "m", "google/models/m:streamGenerateContent"),
        (VertexMessages, "claude@20250929", "anthropic/models/claude@20250929:streamRawPredict"),
        (VertexMessages, "../x?", "anthropic/models/..%2Fx%3F:streamRawPredict"),
    ],
)
def test_a_model_is_named_in_the_address(dialect: Any, model: str, path: str) -> None:
    base = BASE.replace("/v1beta1/", "/v1/") if dialect is VertexMessages else BASE
    assert asked(dialect, model=model).url == f"{base}/publishers/{path}"


@pytest.mark.parametrize(("model", "place"), [("endpoints/12", "12"), ("endpoints/../x", "..%2Fx")])
def test_a_tuned_model_is_an_endpoint(model: str, place: str) -> None:
    assert asked(VertexArray, model=model).url == f"{BASE}/endpoints/{place}:streamGenerateContent"


@pytest.mark.parametrize("dialect", [Vertex, VertexArray, VertexMessages])
def test_the_token_goes_as_bearer_alone(dialect: Any) -> None:
    headers = asked(dialect).headers
    assert headers["Authorization"] == "Bearer ya29.token"
    assert headers.keys() == {"Content-Type", "Accept", "Authorization"}
    assert "ya29" not in repr(headers)
    assert dialect(ENDPOINT).models_request() is None


def test_project_and_location_make_the_address() -> None:
    env = {
        "GOOGLE_CLOUD_PROJECT": "p",
        "GOOGLE_CLOUD_LOCATION": "us-east5",
        "GOOGLE_VERTEX_ACCESS_TOKEN": "ya29.token",
    }
    target = resolve("vertex/gemini-2.5-flash", env=env)
    assert target.endpoint.base_url == BASE
    with pytest.raises(ConfigurationError, match="GOOGLE_CLOUD_PROJECT"):
        resolve("vertex/gemini-2.5-flash", api_key="ya29.token", env={})


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("us", "aiplatform.us.rep"),
        ("eu", "aiplatform.eu.rep"),
        ("global", "aiplatform"),
        ("us-east5", "us-east5-aiplatform"),
    ],
)
def test_locations_of_many_regions_have_hosts_of_their_own(location: str, host: str) -> None:
    env = {"GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": location}
    target = resolve("claude", provider="vertex", api="messages", api_key="ya29.token", env=env)
    call = Call(model="claude", messages=(Message.user("Hi"),))
    assert VertexMessages(target.endpoint).request(call).url == (
        f"https://{host}.googleapis.com/v1/projects/p/locations/{location}"
        "/publishers/anthropic/models/claude:streamRawPredict"
    )


def test_claude_is_asked_without_the_model_and_with_the_version_in_the_body() -> None:
    assert json.loads(asked(VertexMessages, max_tokens=5).body) == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
    }


def test_the_users_own_fields_stand_above() -> None:
    extra = {"anthropic_version": "vertex-2030", "thinking": {"type": "adaptive"}}
    body = json.loads(asked(VertexMessages, extra_body=extra).body)
    assert body.items() >= extra.items()
    assert "model" not in body


def test_numbers_of_finish_reasons_are_those_of_vertex() -> None:
    dialect = Vertex(ENDPOINT)
    dialect.feed(Event(data='{"candidates": [{"finishReason": 7}]}'))
    assert dialect.finish_reason == "PROHIBITED_CONTENT"
