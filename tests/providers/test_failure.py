"""Errors of services: class, attributes, message, and no key in any of them."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from streamkit.errors import (
    AuthenticationError,
    ContentBlocked,
    InvalidRequest,
    Overloaded,
    ProviderError,
    RateLimited,
)
from streamkit.providers.base import Endpoint
from streamkit.providers.failure import http_failure, request_id, stream_failure
from streamkit.request import Secret

KEY = "sk-canary-1234567890"
ENDPOINT = Endpoint(provider="openai", base_url="https://h", api_key=Secret(KEY))


def http(
    status: int, body: Any = b"", headers: dict[str, str] | None = None, endpoint: Any = ENDPOINT
) -> ProviderError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return http_failure(endpoint, status, headers or {}, data)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, InvalidRequest, False),
        (401, AuthenticationError, False),
        (403, AuthenticationError, False),
        (404, InvalidRequest, False),
        (408, InvalidRequest, True),
        (409, InvalidRequest, True),
        (413, InvalidRequest, False),
        (422, InvalidRequest, False),
        (429, RateLimited, True),
        (500, Overloaded, True),
        (501, Overloaded, False),
        (502, Overloaded, True),
        (503, Overloaded, True),
        (504, Overloaded, True),
        (529, Overloaded, True),
    ],
)
def test_the_status_decides_class_and_retry(
    status: int, kind: type[ProviderError], retryable: bool
) -> None:
    error = http(status, {"error": {"message": "no"}})
    assert type(error) is kind
    assert (error.status, error.retryable, error.retry_after) == (status, retryable, None)
    assert error.provider == "openai"


@pytest.mark.parametrize(
    "error",
    [
        {"code": "insufficient_quota", "type": "insufficient_quota"},
        {"code": "429", "type": "insufficient_quota"},
        {"code": "QuotaExceeded"},
        {"code": "billing_hard_limit_reached"},
    ],
)
def test_a_quota_that_is_used_up_is_not_tried_again(error: dict[str, Any]) -> None:
    body = {"error": {"message": "m", **error}}
    refused = http(429, body)
    assert type(refused) is RateLimited
    assert not refused.retryable
    assert http(429, body, {"x-should-retry": "true"}).retryable
    failed = stream_failure(ENDPOINT, body)
    assert (type(failed), failed.retryable) == (RateLimited, False)


@pytest.mark.parametrize(
    ("status", "header", "retryable"),
    [(400, "true", True), (503, "false", False), (503, "maybe", True), (400, "", False)],
)
def test_the_services_own_verdict_on_retry_wins(status: int, header: str, retryable: bool) -> None:
    assert http(status, b"", {"x-should-retry": header}).retryable is retryable


def test_a_prompt_blocked_for_its_content_has_its_own_class() -> None:
    for code in ("content_filter", "content_policy_violation", "data_inspection_failed"):
        error = http(400, {"error": {"message": "filtered", "code": code}})
        assert type(error) is ContentBlocked


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}},
         "openai answered 429: Rate limit reached (code rate_limit_exceeded)"),
        ({"error": {"message": "slow", "type": "rate_limit_error"}, "request_id": "req_1"},
         "openai answered 429: slow (type rate_limit_error, request req_1)"),
        ({"error": {"message": "slow", "code": None, "type": None}}, "openai answered 429: slow"),
        (b"", "openai answered 429: Too Many Requests"),
        (b"<html><title>busy</title></html>", "openai answered 429: Too Many Requests"),
        (b"  upstream busy\n", "openai answered 429: upstream busy"),
        (b"{}", "openai answered 429: Too Many Requests"),
        (b"[]", "openai answered 429: Too Many Requests"),
        (b"\x00\xff", "openai answered 429: \\x00\ufffd"),
    ],
)  # fmt: skip
def test_the_message_is_the_services_own_or_else_the_status_line(body: Any, expected: str) -> None:
    assert str(http(429, body)) == expected


def test_a_status_without_a_name_is_shown_as_a_number() -> None:
    assert str(http(529)) == "openai answered 529"


def test_control_and_bidi_characters_are_shown_escaped() -> None:
    error = http(500, {"error": {"message": "a\x1b[2Jb\u202ec\nd\x9b \ud800e"}})
    assert str(error) == "openai answered 500: a\\x1b[2Jb\\u202ec\\nd\\x9b \ufffde"


def test_the_message_is_also_kept_as_it_is() -> None:
    error = http(500, {"error": {"message": "a\x1b[2Jb\nc \ud800e" + "x" * 600}})
    assert error.message == "a\x1b[2Jb\nc \ufffde" + "x" * 600
    assert http(500, b"<html>").message is None
    assert http(500, b"  upstream busy\n").message == "upstream busy"
    assert http(500, {"error": " busy\n"}).message == " busy\n"
    assert http(500, {"error": f"no {KEY}"}).message == "no [redacted]"
    in_stream = stream_failure(ENDPOINT, {"error": {"message": "a\tb"}})
    assert (in_stream.message, pickle.loads(pickle.dumps(in_stream)).message) == ("a\tb", "a\tb")


@pytest.mark.parametrize("frame", ['"no\\nslot"', {"error": "no\nslot"}])
def test_words_alone_are_the_message(frame: Any) -> None:
    error = stream_failure(ENDPOINT, frame)
    assert error.message == "no\nslot"
    assert str(error).endswith("failed in the stream: no\\nslot")


def test_a_long_message_is_cut_and_the_body_kept() -> None:
    error = http(500, {"error": {"message": "x" * 600}})
    assert str(error) == "openai answered 500: " + "x" * 500
    assert "x" * 600 in error.body


def test_a_body_cut_in_the_middle_is_shown_as_it_is() -> None:
    body = json.dumps({"error": {"message": "x" * 100_000}}).encode()[: 1 << 16]
    error = http(500, body)
    assert str(error).startswith('openai answered 500: {"error": {"message": "xxx')
    assert len(str(error)) < 600


def test_errors_survive_pickling() -> None:
    error = http(429, {"error": {"message": "slow", "code": 7}}, {"x-request-id": "r"})
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is RateLimited
    assert (str(copy), copy.__dict__) == (str(error), error.__dict__)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-request-id": "a", "cf-ray": "b"}, "a"),
        ({"request-id": "req_1"}, "req_1"),
        ({"cf-ray": "8f\x1b"}, "8f\\x1b"),
        ({"x-request-id": "", "x-generation-id": "gen-1"}, "gen-1"),
    ],
)
def test_the_request_id_is_found_in_the_headers(
    headers: dict[str, str], expected: str | None
) -> None:
    assert request_id(headers) == expected
    assert http(500, b"", headers).request_id == expected


# Keys.


@pytest.mark.parametrize(
    "body",
    [
        KEY.encode(),
        f"Bearer {KEY} is wrong".encode(),
        json.dumps({"error": {"message": f"bad key {KEY}", "code": KEY}}).encode(),
        json.dumps({"error": {"message": f"bad key {KEY}"}}).replace("-", "\\u002d").encode(),
        b"x" * ((1 << 16) - 12) + KEY.encode(),
    ],
    ids=["bare", "bearer", "json", "escaped", "cut"],
)
def test_an_echoed_key_is_redacted(body: bytes) -> None:
    endpoint = Endpoint(
        provider="openai",
        base_url="https://h",
        api_key=Secret(KEY),
        headers={"X-Other-Key": Secret("other-" + KEY)},
    )
    for error in (http(401, body, endpoint=endpoint), stream_failure(endpoint, body.decode())):
        assert KEY not in str(error)
        assert KEY[:12] not in error.body.replace("\\u002d", "")
        assert KEY not in repr(error.__dict__)
        assert KEY.encode() not in pickle.dumps(error)


def test_a_place_holder_for_a_key_redacts_nothing() -> None:
    endpoint = Endpoint(provider="vllm", base_url="http://h", api_key=Secret("EMPTY"))
    assert str(http(400, b"EMPTY prompt", endpoint=endpoint)) == "vllm answered 400: EMPTY prompt"


# In the stream.


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        ({"type": "overloaded_error"}, Overloaded, True),
        ({"type": "api_error"}, Overloaded, True),
        ({"type": "server_error"}, Overloaded, True),
        ({"type": "timeout_error"}, Overloaded, True),
        ({"code": "internal_server_error"}, Overloaded, True),
        ({"type": "InternalServerError"}, Overloaded, True),
        ({"code": "rate_limit_exceeded", "type": "requests"}, RateLimited, True),
        ({"type": "rate_limit_error"}, RateLimited, True),
        ({"code": 429}, RateLimited, True),
        ({"code": "429"}, RateLimited, True),
        ({"code": 503}, Overloaded, True),
        ({"code": 501}, Overloaded, False),
        ({"code": "insufficient_quota"}, RateLimited, False),
        ({"type": "authentication_error"}, AuthenticationError, False),
        ({"type": "invalid_request_error", "code": "invalid_api_key"}, AuthenticationError, False),
        ({"code": 403}, AuthenticationError, False),
        ({"type": "invalid_request_error"}, InvalidRequest, False),
        ({"type": "BadRequestError", "code": 400}, InvalidRequest, False),
        ({"type": "invalid_request_error", "code": "something_new"}, InvalidRequest, False),
        ({"code": "content_filter"}, ContentBlocked, False),
        ({"code": "something_new"}, ProviderError, False),
        ({"code": 7}, ProviderError, False),
        ({"code": True}, ProviderError, False),
        ({}, ProviderError, False),
    ],
)
def test_code_then_type_decide_class_and_retry(
    error: dict[str, Any], kind: type[ProviderError], retryable: bool
) -> None:
    failure = stream_failure(ENDPOINT, {"error": {"message": "m", **error}})
    assert type(failure) is kind
    assert (failure.retryable, failure.status) == (retryable, None)


def test_the_body_of_a_stream_error_is_the_frame() -> None:
    frame = {"error": {"message": "né"}}
    assert json.loads(stream_failure(ENDPOINT, frame).body) == frame
