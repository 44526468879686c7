"""Headers, extra_body and JSON bytes, the same for all dialects."""

from __future__ import annotations

import json
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.base import Endpoint
from streamkit.providers.build import (
    build_request,
    check_lacks,
    checked_headers,
    fetching,
    merge_patch,
)
from streamkit.request import Call, Message, Request, Secret


def built(*, headers: dict[str, str] | None = None, body: Any = None, **keywords: Any) -> Request:
    endpoint = Endpoint(provider="p", base_url="http://h/v1", headers=headers or {})
    call = Call(model="m", messages=(Message.user("Hi"),), **keywords)
    return build_request(endpoint, "/path", {"A": "dialect", "B": "dialect"}, body or {}, call)


def test_the_path_stands_below_the_base_url() -> None:
    request = built()
    assert (request.url, request.method, request.provider) == ("http://h/v1/path", "POST", "p")


def test_later_layers_of_headers_win_whatever_their_case() -> None:
    request = built(headers={"a": "endpoint", "c": "endpoint"}, extra_headers={"C": "call"})
    assert request.headers == {
        "Content-Type": "application/json", "a": "endpoint", "B": "dialect", "C": "call"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "api-key", "Cookie", "X-My-Token"])
def test_headers_that_carry_keys_are_secrets(name: str) -> None:
    headers = checked_headers({name: "canary", "X-Plain": "shown"})
    assert isinstance(headers[name], Secret)
    assert "canary" not in repr(headers)
    assert "shown" in repr(headers)


@pytest.mark.parametrize("value", ["", " x", "x ", "x\r\nY: z", "x\x00", "x\x7f", "x\u2028", None])
def test_a_header_that_cannot_be_sent_is_refused_and_not_quoted(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^the value of X-Key "):
        built(extra_headers={"X-Key": value})


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\n", "é"])
def test_a_header_name_must_be_a_token(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^header names "):
        built(headers={name: "x"})


@pytest.mark.parametrize(
    ("body", "patch", "expected"),
    [
        ({}, {}, {}),
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": [2]}, {"a": [2]}),
        ({"a": 1, "b": 2}, {"a": None, "c": None}, {"b": 2}),
        ({"a": {"b": 1}}, {"a": {"c": {"d": 2}}}, {"a": {"b": 1, "c": {"d": 2}}}),
        ({"a": 1}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ],
)
def test_extra_body_is_a_merge_patch(body: Any, patch: Any, expected: Any) -> None:
    before = json.dumps(body)
    assert merge_patch(body, patch) == expected
    assert json.dumps(body) == before


def test_the_body_is_compact_utf8_json() -> None:
    frozen = MappingProxyType({"b": (1, 2)})
    request = built(body={"a": "né", "m": frozen, "o": OrderedDict(x=1)})
    assert request.body == '{"a":"né","m":{"b":[1,2]},"o":{"x":1}}'.encode()


LOOP: list[Any] = []
LOOP.append(LOOP)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "infinity"),
        (b"canary", "got a bytes"),
        ({"canary"}, "got a set"),
        ({(1, 2): 3}, "keys must be"),
        ("canary \ud800", "lone surrogate"),
        (LOOP, "itself"),
        (DEEP, "nested too deeply"),
    ],
    ids=["nan", "inf", "bytes", "set", "key", "surrogate", "loop", "deep"],
)
def test_what_json_cannot_carry_is_refused_and_not_quoted(value: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        built(body={"a": value})
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_extra_body_that_holds_itself_or_is_very_deep_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["a"] = loop
    deep: dict[str, Any] = {}
    for _ in range(10_000):
        deep = {"a": deep}
    for patch in (loop, deep):
        with pytest.raises(ConfigurationError, match="nested too deeply for JSON, or holds itself"):
            built(extra_body=patch)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X": None}, "the value of X must be text, got a NoneType"),
        ({"X": b"canary"}, "the value of X must be text, got a bytes"),
        ({"X": ""}, "the value of X must not be empty"),
        ({b"X": "a"}, "header names must be RFC 9110 tokens, got a bytes"),
    ],
)
def test_a_header_that_is_no_text_is_named_with_its_type(headers: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        built(extra_headers=headers)
    assert str(caught.value) == message


def test_what_an_api_has_not_is_refused_with_what_to_do_instead() -> None:
    call = Call(model="m", messages=(Message.user("Hi"),), seed=0)
    check_lacks("some api", call, "system", "tools")
    with pytest.raises(ConfigurationError, match=r"^some api has no seed; its own fields go in ex"):
        check_lacks("some api", call, "system", "seed")
    with pytest.raises(ConfigurationError, match=r"^some api has no seed; use the other$"):
        check_lacks("some api", call, "seed", instead="use the other")


def test_fetching_keeps_the_headers_that_are_not_about_the_body() -> None:
    def sign(request: Request) -> dict[str, str]:
        return {}

    headers = {"Authorization": Secret("Bearer k"), "content-TYPE": "application/json", "X-A": "b"}
    post = Request(url="http://h/a", headers=headers, body=b"{}", provider="p", sign=sign)
    get = fetching(post, "http://h/b")
    kept = {"Authorization": "Bearer k", "X-A": "b"}
    assert get == Request(url="http://h/b", headers=kept, method="GET", provider="p", sign=sign)
    assert isinstance(get.headers["Authorization"], Secret)
