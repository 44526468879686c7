"""Azure: which address a base URL and a version mean, the key's header, and the older fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.azure import AzureChat, AzureResponses
from streamkit.providers.base import Endpoint
from streamkit.providers.registry import resolve
from streamkit.request import Call, Message, Request, Secret
from streamkit.wire.sse import Event

ROOT = "https://res.openai.azure.com"
FOUNDRY = "https://res.services.ai.azure.com/models"
DEPLOYMENT = f"{ROOT}/openai/deployments/dep"
DATED = "2024-10-21"
OLD = "2024-02-01"
KEY = "0123456789abcdef"


def request(dialect: Any, base: str, version: str = "", **keywords: Any) -> Request:
    endpoint = Endpoint(
        provider="azure",
        base_url=base,
        api_key=Secret(KEY),
        params={"api_version": version} if version else {},
    )
    given = {"model": "gpt-5", "messages": (Message.user("Hi"),), **keywords}
    made: Request = dialect(endpoint).request(Call(**given))
    return made


def body_of(made: Request) -> Any:
    return json.loads(made.body)


# Addresses.


@pytest.mark.parametrize(
    ("base", "version", "path"),
    [
        (ROOT, "", "/openai/v1/chat/completions"),
        (ROOT, "preview", "/openai/v1/chat/completions?api-version=preview"),
        (ROOT, DATED, f"/openai/deployments/gpt-5/chat/completions?api-version={DATED}"),
        (f"{ROOT}/openai", "", "/openai/v1/chat/completions"),
        (f"{ROOT}/openai", DATED,
         f"/openai/deployments/gpt-5/chat/completions?api-version={DATED}"),
        (f"{ROOT}/openai/v1", "", "/openai/v1/chat/completions"),
        (f"{ROOT}/openai/v1", "v1", "/openai/v1/chat/completions?api-version=v1"),
        (f"{ROOT}/openai/v1", DATED, "/openai/v1/chat/completions"),
        (DEPLOYMENT, DATED, f"/openai/deployments/dep/chat/completions?api-version={DATED}"),
        (DEPLOYMENT, "", "/openai/deployments/dep/chat/completions"),
    ],
)  # fmt: skip
def test_chat_goes_to_the_api_that_base_and_version_mean(
    base: str, version: str, path: str
) -> None:
    assert request(AzureChat, base, version).url == ROOT + path


@pytest.mark.parametrize(
    ("base", "version", "path"),
    [
        (ROOT, "", "/openai/v1/responses"),
        (ROOT, "2025-04-01-preview", "/openai/responses?api-version=2025-04-01-preview"),
        (f"{ROOT}/openai/v1", "preview", "/openai/v1/responses?api-version=preview"),
        (DEPLOYMENT, DATED, f"/openai/responses?api-version={DATED}"),
        (DEPLOYMENT, "", "/openai/v1/responses"),
    ],
)
def test_responses_are_those_of_the_resource(base: str, version: str, path: str) -> None:
    assert request(AzureResponses, base, version).url == ROOT + path


def test_foundry_has_chat_and_the_resource_behind_it_the_rest() -> None:
    chat = request(AzureChat, FOUNDRY, "2024-05-01-preview").url
    assert chat == f"{FOUNDRY}/chat/completions?api-version=2024-05-01-preview"
    rest = request(AzureResponses, FOUNDRY, "2024-05-01-preview").url
    assert rest == "https://res.services.ai.azure.com/openai/v1/responses"


@pytest.mark.parametrize("model", ["../x", "a/b", "a?b=1", "a#b", "a b", "\u00e9", "%2e"])
def test_the_name_of_a_deployment_cannot_name_another_place(model: str) -> None:
    url = request(AzureChat, ROOT, DATED, model=model).url
    name = url.removeprefix(f"{ROOT}/openai/deployments/").removesuffix(
        f"/chat/completions?api-version={DATED}"
    )
    assert not set(name) & set("/?# ")
    assert name.isascii()


@pytest.mark.parametrize("model", [".", ".."])
def test_a_name_that_is_a_step_in_a_path_is_refused(model: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^a deployment's name must not be '\.\.?'$"):
        request(AzureChat, ROOT, DATED, model=model)
    assert request(AzureChat, ROOT, model=model).url.endswith("/v1/chat/completions")


def test_a_version_from_the_environment_cannot_add_to_the_query() -> None:
    assert request(AzureChat, DEPLOYMENT, "1&x=2").url.endswith("?api-version=1%26x%3D2")


@pytest.mark.parametrize(
    ("base", "version", "path"),
    [
        (ROOT, "", "/openai/v1/models"),
        (ROOT, DATED, f"/openai/models?api-version={DATED}"),
        (DEPLOYMENT, DATED, f"/openai/models?api-version={DATED}"),
        (f"{ROOT}/openai/v1", "preview", "/openai/v1/models?api-version=preview"),
    ],
)
def test_the_list_of_models_is_that_of_the_resource(base: str, version: str, path: str) -> None:
    params = {"api_version": version} if version else {}
    endpoint = Endpoint(provider="azure", base_url=base, api_key=Secret(KEY), params=params)
    for dialect in (AzureChat(endpoint), AzureResponses(endpoint)):
        made = dialect.models_request()
        assert made is not None
        assert (made.method, made.url) == ("GET", ROOT + path)
        assert made.headers["api-key"] == KEY


# Keys.


@pytest.mark.parametrize("dialect", [AzureChat, AzureResponses])
def test_the_key_goes_in_a_header_of_its_own_and_nowhere_else(dialect: Any) -> None:
    made = request(dialect, ROOT)
    assert made.headers["api-key"] == KEY
    assert "authorization" not in {name.lower() for name in made.headers}
    assert KEY not in repr(made) + made.url


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_token_of_entra_goes_as_bearer(api: str) -> None:
    env = {"AZURE_OPENAI_AD_TOKEN": "entra-0123456789", "AZURE_OPENAI_ENDPOINT": ROOT}
    target = resolve("azure/gpt-5", api=api, env=env)
    made = target.dialect(target.endpoint).request(Call(model="m", messages=(Message.user("Hi"),)))
    assert made.headers["Authorization"] == "Bearer entra-0123456789"
    assert "api-key" not in made.headers


def test_the_version_comes_with_the_base_url_or_from_the_environment() -> None:
    env = {"OPENAI_API_VERSION": OLD}
    call = Call(model="gpt-5", messages=(Message.user("Hi"),))
    for base, version in ((ROOT, OLD), (f"{ROOT}?api-version={DATED}", DATED)):
        target = resolve("azure/gpt-5", base_url=base, api_key=KEY, env=env)
        assert target.dialect(target.endpoint).request(call).url.endswith(f"api-version={version}")


# Bodies.


@pytest.mark.parametrize(
    ("base", "version", "field"),
    [
        (ROOT, "", "max_completion_tokens"),
        (ROOT, DATED, "max_completion_tokens"),
        (ROOT, "2024-09-01-preview", "max_completion_tokens"),
        (f"{ROOT}/openai/v1", OLD, "max_completion_tokens"),
        (ROOT, OLD, "max_tokens"),
        (DEPLOYMENT, "2024-08-01-preview", "max_tokens"),
        (FOUNDRY, "2024-05-01-preview", "max_tokens"),
    ],
)
def test_the_limit_goes_under_the_name_that_is_known_there(
    base: str, version: str, field: str
) -> None:
    body = body_of(request(AzureChat, base, version, max_tokens=7))
    assert {name: body[name] for name in body if name.startswith("max_")} == {field: 7}


@pytest.mark.parametrize(
    ("base", "version", "asked"),
    [
        (ROOT, "", True),
        (ROOT, DATED, True),
        (FOUNDRY, "2024-05-01-preview", True),
        (ROOT, OLD, False),
        (DEPLOYMENT, OLD, False),
    ],
)
def test_versions_that_refuse_it_are_not_asked_for_usage(
    base: str, version: str, asked: bool
) -> None:
    assert ("stream_options" in body_of(request(AzureChat, base, version))) is asked


def test_the_fields_of_the_user_stand_above() -> None:
    extra = {"max_completion_tokens": 9, "stream_options": {"include_usage": True}}
    body = body_of(request(AzureChat, ROOT, OLD, extra_body=extra))
    assert body["max_completion_tokens"] == 9
    assert body["stream_options"] == {"include_usage": True}


def test_the_body_names_the_deployment_as_the_model() -> None:
    assert body_of(request(AzureChat, ROOT))["model"] == "gpt-5"
    body = body_of(request(AzureResponses, ROOT, max_tokens=7))
    assert (body["model"], body["max_output_tokens"]) == ("gpt-5", 7)


def test_responses_refuse_what_openai_refuses() -> None:
    with pytest.raises(ConfigurationError, match="responses has no seed"):
        request(AzureResponses, ROOT, seed=1)


@pytest.mark.parametrize(
    ("base", "version", "expected"),
    [
        (ROOT, "", "/openai/v1/responses/resp_1?stream=true&starting_after=0"),
        (
            f"{ROOT}/openai/v1",
            "preview",
            "/openai/v1/responses/resp_1?api-version=preview&stream=true&starting_after=0",
        ),
    ],
)
def test_a_background_response_is_taken_up_where_it_was_made(
    base: str, version: str, expected: str
) -> None:
    made = request(AzureResponses, base, version, extra_body={"background": True})
    endpoint = Endpoint(
        provider="azure", base_url=base, params={"api_version": version} if version else {}
    )
    dialect = AzureResponses(endpoint)
    frame = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1"}}
    dialect.feed(Event("message", json.dumps(frame), "", None))
    resume = dialect.resume(made, 0)
    assert resume is not None
    assert resume.request.url == ROOT + expected
    assert resume.request.headers["api-key"] == KEY
    assert KEY not in resume.request.url
