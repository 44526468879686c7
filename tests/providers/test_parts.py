"""Parts of messages in OpenAI's form."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.parts import arguments_of, check_messages, image_url_of, split_data_url


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [('{"a": 1}', {"a": 1}), ("", {}), (" ", {}), (None, {}), ({"a": 1}, {"a": 1})],
)
def test_arguments_become_an_object(arguments: Any, expected: Any) -> None:
    assert arguments_of({"name": "f", "arguments": arguments}) == expected


@pytest.mark.parametrize("arguments", ["{", "[1]", "5", "null", [1], "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(arguments: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"the tool call 'f' are not a JSON object$"):
        arguments_of({"name": "f", "arguments": arguments})


@pytest.mark.parametrize(
    ("part", "expected"),
    [({"image_url": "u"}, "u"), ({"image_url": {"url": "u", "detail": "low"}}, "u")],
)
def test_the_url_of_an_image_stands_bare_or_in_an_object(part: Any, expected: Any) -> None:
    assert image_url_of(part) == expected


@pytest.mark.parametrize("part", [{}, {"image_url": {}}, {"image_url": {"url": ""}}])
def test_an_image_without_a_url_is_refused(part: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^an image must be a URL, got "):
        image_url_of(part)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,iVBO", ("image/png", "iVBO")),
        ("data:image/png,raw", None),
        ("data:image/png;base64,", None),
        ("https://h/i.png", None),
        (None, None),
    ],
)
def test_only_a_base64_data_url_is_split(url: Any, expected: Any) -> None:
    assert split_data_url(url) == expected


@pytest.mark.parametrize(
    "message",
    [
        {"content": 5},
        {"content": {"a": 1}},
        {"content": ["text"]},
        {"content": b"text"},
        {"tool_calls": 5},
        {"tool_calls": [5]},
        {"tool_calls": [{"function": "f"}]},
    ],
)
def test_messages_that_cannot_be_taken_apart_are_refused(message: Any) -> None:
    check_messages([{"role": "user", "content": None, "tool_calls": [{"id": "a"}]}])
    with pytest.raises(ConfigurationError, match="of message 1 must be "):
        check_messages([{"role": "user", "content": "Hi"}, {"role": "user", **message}])
