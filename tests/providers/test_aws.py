"""
Signatures: what is signed is what is sent, and botocore's own signer comes to the same.

No test touches the network: credentials come from the environment, or from nowhere.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import pytest

from streamkit import Client, RateLimited
from streamkit.errors import AuthenticationError, ConfigurationError
from streamkit.providers import aws
from streamkit.providers.aws import Signer, authorized, model_path
from streamkit.providers.base import Endpoint
from streamkit.providers.bedrock import BedrockConverse
from streamkit.providers.bedrock_invoke import BedrockInvoke
from streamkit.request import Call, Message, Request, Secret, signed
from streamkit.testing import Headers, LocalProvider, Raw, Status
from streamkit.testing.pytest_plugin import local_provider

__all__ = ["local_provider"]

pytest.importorskip("botocore")

KEY, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY", "session-token-1"
NOW = datetime(2026, 11, 21, 6, 30)
STAMP = "20261121T063000Z"
ARN = "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0"


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own, no files and no service of the host."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setattr(aws, "_found", {})


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: NOW)
    monkeypatch.setattr(aws, "_now", lambda: NOW)


def endpoint(
    base_url: str = "https://bedrock-runtime.us-east-1.amazonaws.com",
    *,
    headers: Mapping[str, str] | None = None,
    **params: str,
) -> Endpoint:
    return Endpoint(provider="bedrock", base_url=base_url, headers=headers or {}, params=params)


def request_of(place: Endpoint, dialect: Any = BedrockConverse, **keywords: Any) -> Request:
    call = Call(model=keywords.pop("model", ARN), messages=(Message.user("Hi ü"),), **keywords)
    request: Request = dialect(place).request(call)
    return request


def expected(
    url: str, headers: Mapping[str, str], body: bytes, *, region: str = "us-east-1"
) -> str:
    """What botocore signs for these headers, at the time of the fixed clock."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    made = AWSRequest(method="POST", url=url, headers=dict(headers), data=body)
    SigV4Auth(Credentials(KEY, SECRET, TOKEN), "bedrock", region).add_auth(made)
    authorization: str = made.headers["Authorization"]
    return authorization


# What is signed.


@pytest.mark.usefixtures("keys", "clock")
@pytest.mark.parametrize("dialect", [BedrockConverse, BedrockInvoke])
def test_the_signature_is_the_one_botocore_makes(dialect: Any) -> None:
    model = "us.anthropic.claude-3:0" if dialect is BedrockInvoke else ARN
    request = signed(request_of(endpoint(), dialect, model=model))
    assert request.headers["Authorization"] == expected(
        request.url, {"Content-Type": "application/json"}, request.body
    )
    assert request.headers["X-Amz-Date"] == STAMP
    assert request.headers["X-Amz-Security-Token"] == TOKEN
    scope = f"{KEY}/20261121/us-east-1/bedrock/aws4_request"
    names = "content-type;host;x-amz-date;x-amz-security-token"
    assert f" Credential={scope}, SignedHeaders={names}, " in request.headers["Authorization"]


@pytest.mark.usefixtures("keys", "clock")
def test_headers_that_others_may_change_are_not_signed_but_those_of_amazon_are() -> None:
    extra = {"User-Agent": "mine", "X-Amzn-Bedrock-Trace": "ENABLED", "X-Other": "y"}
    request = signed(request_of(endpoint(), extra_headers=extra))
    names = "content-type;host;x-amz-date;x-amz-security-token;x-amzn-bedrock-trace"
    assert f"SignedHeaders={names}," in request.headers["Authorization"]
    assert request.headers["Authorization"] == expected(
        request.url,
        {"Content-Type": "application/json", "X-Amzn-Bedrock-Trace": "ENABLED"},
        request.body,
    )


@pytest.mark.usefixtures("keys")
def test_secrets_do_not_show(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    request = signed(request_of(endpoint()))
    shown = repr((request, request.headers, request.sign, aws._found)) + caplog.text
    assert SECRET not in shown
    assert TOKEN not in shown
    assert "Signature" not in shown
    assert isinstance(request.headers["Authorization"], Secret)
    for take in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="never pickled"):
            take(request.sign)  # type: ignore[operator]


@pytest.mark.usefixtures("keys")
def test_a_traceback_with_locals_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_of(endpoint())

    def fail(_: str) -> Any:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(aws, "_botocore", fail)
    with pytest.raises(AuthenticationError) as caught:
        signed(request)
    shown = "".join(traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    ).format())  # fmt: skip
    assert SECRET not in shown
    assert TOKEN not in shown


@pytest.mark.usefixtures("keys")
def test_each_send_is_signed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_of(endpoint())
    times = iter([NOW, datetime(2026, 11, 21, 6, 31)])
    monkeypatch.setattr(aws, "_now", lambda: next(times))
    assert [signed(request).headers["X-Amz-Date"][-5:] for _ in range(2)] == ["3000Z", "3100Z"]


# Where.


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("base_url", "params", "region"),
    [
        ("https://bedrock-runtime.eu-west-3.amazonaws.com", {}, "eu-west-3"),
        ("https://bedrock-runtime.eu-west-3.amazonaws.com", {"region": "us-east-1"}, "eu-west-3"),
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com", {}, "us-gov-west-1"),
        ("https://vpce-1.bedrock-runtime.us-east-2.vpce.amazonaws.com", {}, "us-east-2"),
        ("https://proxy.example/bedrock", {"region": "us-west-2"}, "us-west-2"),
    ],
)
def test_the_region_is_that_of_the_host_else_that_of_the_environment(
    base_url: str, params: dict[str, str], region: str
) -> None:
    request = signed(request_of(endpoint(base_url, **params)))
    assert f"/{region}/bedrock/aws4_request" in request.headers["Authorization"]


@pytest.mark.usefixtures("keys")
def test_without_a_region_there_is_nothing_to_sign_for() -> None:
    with pytest.raises(ConfigurationError, match=r"region to sign for.*set AWS_REGION"):
        request_of(endpoint("https://proxy.example"))


@pytest.mark.parametrize("model", [".", ".."])
def test_no_model_names_another_path(model: str) -> None:
    with pytest.raises(ConfigurationError, match="must be a model id or an ARN"):
        model_path(model)
    assert model_path("a/../b\ud83d") == "/model/a%2F..%2Fb%3F"


# With which credentials.


@pytest.mark.parametrize("name", ["Authorization", "authorization", "X-Api-Key"])
def test_a_request_with_a_key_of_its_own_is_not_signed(name: str) -> None:
    request = request_of(endpoint(headers={name: Secret("key-of-a-gateway")}))
    assert request.sign is None


def test_without_botocore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(ConfigurationError) as caught:
        request_of(endpoint())
    assert 'pip install "llm-streamkit[aws]"' in str(caught.value)
    assert "AWS_BEARER_TOKEN_BEDROCK" in str(caught.value)


def test_without_credentials_the_error_names_the_variables() -> None:
    with pytest.raises(ConfigurationError) as caught:
        request_of(endpoint())
    assert str(caught.value) == (
        "no Bedrock key and no AWS credentials: set AWS_BEARER_TOKEN_BEDROCK or pass api_key=, "
        "or set AWS_ACCESS_KEY_ID or AWS_PROFILE"
    )


def test_credentials_that_cannot_be_read_are_an_error_before_sending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        request_of(endpoint())
    assert "PartialCredentialsError" in str(caught.value)
    assert caught.value.__context__ is None
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ConfigurationError, match=r"cannot be read \(ProfileNotFound\)"):
        request_of(endpoint())


@pytest.mark.usefixtures("keys")
def test_credentials_are_looked_for_once_until_the_environment_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = request_of(endpoint()).sign, request_of(endpoint()).sign
    assert isinstance(first, Signer)
    assert isinstance(second, Signer)
    assert first._credentials is second._credentials
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER")
    assert "Credential=AKIDOTHER/" in signed(request_of(endpoint())).headers["Authorization"]
    assert len(aws._found) == 1


def test_credentials_that_cannot_be_renewed_are_an_authentication_error() -> None:
    class Expired:
        def get_frozen_credentials(self) -> Any:
            raise RuntimeError(SECRET)

    with pytest.raises(AuthenticationError, match=r"cannot be renewed \(RuntimeError\)") as caught:
        Signer("us-east-1", Expired())(Request(url="https://a.example", headers={}))
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_request_without_a_key_is_given_a_signer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "_credentials", lambda: None)
    plain = Request(url="https://a.example", headers={"Accept": "x"}, body=b"{}")
    made = authorized(plain, endpoint())
    assert repr(made.sign) == "Signer('us-east-1')"
    assert (made.url, made.headers, made.body) == (plain.url, plain.headers, plain.body)


# Over the wire.


def frames(recordings: Any) -> bytes:
    body: bytes = (recordings / "bedrock" / "bedrock-converse-text.bin").read_bytes()
    return body


@pytest.mark.usefixtures("keys", "clock")
def test_what_arrives_is_what_was_signed(
    local_provider: Callable[..., LocalProvider],
    recordings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    head = Headers({"content-type": "application/vnd.amazon.eventstream"})
    server = local_provider([head, Raw(frames(recordings), size=7)])
    with Client(provider="bedrock", base_url=server.url) as client:
        result = client.stream(ARN, "Hi ü", extra_headers={"X-Amzn-Trace": "a  b"}).result()
    assert result.text == '{"city":"Paris","country":"France","population":2161000}'
    assert result.outcome == "completed"
    (request,) = server.requests
    assert request.path == "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2F" + (
        "us.amazon.nova-lite-v1%3A0/converse-stream"
    )
    authorization = request.headers["Authorization"]
    names = authorization.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert names == ["content-type", "host", "x-amz-date", "x-amz-security-token", "x-amzn-trace"]
    # Signed again from what the server got; date and token are the signer's own.
    arrived = {name: request.headers[name] for name in names if name[:6] != "x-amz-"}
    assert authorization == expected(
        server.url + request.path, arrived, request.body, region="eu-west-3"
    )
    assert request.headers["X-Amz-Date"] == STAMP
    assert request.headers["X-Amz-Security-Token"] == TOKEN
    assert json.loads(request.body)["messages"][0]["content"] == [{"text": "Hi ü"}]


@pytest.mark.usefixtures("keys")
def test_a_retry_is_signed_anew_and_an_echo_of_the_token_is_redacted(
    local_provider: Callable[..., LocalProvider],
    recordings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    stamps = iter([NOW, datetime(2026, 11, 21, 6, 31)])
    monkeypatch.setattr(aws, "_now", lambda: next(stamps))
    refused = Status(429, body=json.dumps({"message": f"no {TOKEN}"}).encode())
    server = local_provider(scripts=[refused, Raw(frames(recordings))])
    with Client(provider="bedrock", base_url=server.url) as client:
        stream = client.stream(ARN, "Hi", retry={"max_retries": 1, "initial": 0.001})
        result = stream.result()
    first, second = server.requests
    assert first.headers["X-Amz-Date"] != second.headers["X-Amz-Date"]
    assert first.headers["Authorization"] != second.headers["Authorization"]
    assert first.body == second.body
    error = result.attempts[0].error
    assert isinstance(error, RateLimited)
    assert "[redacted]" in str(error)
    assert TOKEN not in str(error) + error.body


def test_a_bedrock_key_needs_no_botocore(
    local_provider: Callable[..., LocalProvider],
    recordings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("botocore", "botocore.auth", "botocore.session", "botocore.awsrequest"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-123")
    server = local_provider([Raw(frames(recordings))])
    with Client(provider="bedrock", base_url=server.url) as client:
        assert client.stream("m", "Hi").result().finish_reason == "end_turn"
    (request,) = server.requests
    assert request.headers["Authorization"] == "Bearer bedrock-api-key-123"
    assert "X-Amz-Date" not in request.headers
