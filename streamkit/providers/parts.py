"""
Parts of messages in OpenAI's form, read for the dialects that need them in another.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamkit.errors import ConfigurationError

__all__ = ["arguments_of", "check_messages", "image_url_of", "split_data_url"]


def check_messages(messages: Iterable[Mapping[str, Any]]) -> None:
    """
    Refuse what no converter could take apart; OpenAI's own dialect sends it as it is.

    Raises:
        ConfigurationError: A content that is neither text nor a list of mappings, or a tool call
            that is no mapping with a mapping as its function.
    """
    for number, message in enumerate(messages):
        content, calls = message.get("content"), message.get("tool_calls")
        if not (isinstance(content, str) or _is_list(content)):
            raise ConfigurationError(
                f"the content of message {number} must be text or a list of mappings"
            )
        if not _is_list(calls) or not all(
            isinstance(call.get("function") or {}, Mapping) for call in calls or ()
        ):
            raise ConfigurationError(
                f"the tool_calls of message {number} must be a list of mappings"
            )


def _is_list(value: Any) -> bool:
    """Whether it is a list of mappings, or not there at all."""
    return value is None or (
        isinstance(value, Sequence) and all(isinstance(item, Mapping) for item in value)
    )


def arguments_of(function: Mapping[str, Any]) -> Any:
    """
    The arguments of a call in OpenAI's form as an object, whether sent as JSON text or as one.

    Raises:
        ConfigurationError: The text is not a JSON object.
    """
    arguments = function.get("arguments")
    if isinstance(arguments, str) or arguments is None:
        try:
            arguments = json.loads(arguments) if arguments and arguments.strip() else {}
        except (ValueError, RecursionError):
            arguments = None
    if not isinstance(arguments, Mapping):
        name = str(function.get("name"))[:80]
        raise ConfigurationError(f"the arguments of the tool call {name!r} are not a JSON object")
    return arguments


def image_url_of(part: Mapping[str, Any]) -> str:
    """
    The URL of an ``image_url`` part, which holds it bare or in an object.

    Raises:
        ConfigurationError: There is none.
    """
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str):
        raise ConfigurationError(f"an image must be a URL, got a {type(url).__name__}")
    if not url:
        raise ConfigurationError("an image must be a URL, got an empty text")
    return url


def split_data_url(url: Any) -> tuple[str, str] | None:
    """
    Media type and base64 text of a data URL; None for any other.

    >>> split_data_url("data:image/png;base64,iVBO")
    ('image/png', 'iVBO')
    """
    if not isinstance(url, str) or not url.startswith("data:"):
        return None
    head, _, data = url.removeprefix("data:").partition(";base64,")
    return (head, data) if data else None
