"""Parts that OpenAI alone has become blocks of the Messages API, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.providers.anthropic_messages import convert_messages
from streamkit.request import Message


def block(part: Any) -> Any:
    (message,) = convert_messages(None, [Message.user([part])])[1]
    return message["content"][0]


def file(data: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "file", "file": {"file_data": data, **more}}


def based(media_type: str) -> dict[str, str]:
    return {"type": "base64", "media_type": media_type, "data": "JVBE"}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            file("data:application/pdf;base64,JVBE", filename="a.pdf"),
            {"type": "document", "source": based("application/pdf"), "title": "a.pdf"},
        ),
        (
            file("data:image/png;base64,JVBE", filename="a.png"),
            {"type": "image", "source": based("image/png")},
        ),
        (
            file("data:text/plain;charset=utf-8;base64,w6k="),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "\u00e9"},
            },
        ),
        (
            file("https://h/a.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://h/a.pdf"}},
        ),
        (
            file(file_id="file_1"),
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        ),
        ({"type": "refusal", "refusal": "No"}, {"type": "text", "text": "No"}),
    ],
)
def test_a_part_becomes_a_block(part: Any, expected: Any) -> None:
    assert block(part) == expected


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (file(), "must hold a data URL"),
        (file("JVBE"), "must hold a data URL"),
        (file(5), "must hold a data URL"),
        (file(file_id=5), "must hold a data URL"),
        ({"type": "file", "file": "f"}, "must hold a data URL"),
        (file("data:application/zip;base64,JVBE"), "got 'application/zip'"),
        (file("data:text/plain;base64,/w=="), "must be UTF-8 in base64"),
        (file("data:text/plain;base64,?"), "must be UTF-8 in base64"),
        ({"type": "input_audio", "input_audio": {"data": "UklG"}}, "no input_audio"),
        ({"type": "image_url", "image_url": {}}, "must be a URL, got a NoneType"),
    ],
)
def test_a_part_that_has_no_place_is_refused(part: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        block(part)


def test_a_result_of_a_tool_may_hold_a_file() -> None:
    result = {"role": "tool", "tool_call_id": "c", "content": [file(file_id="file_1")]}
    (message,) = convert_messages(None, [result])[1]
    assert message["content"][0]["content"][0]["type"] == "document"
