"""
Parts of messages in OpenAI's form, read for the dialects that need them in another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from streamkit.errors import ConfigurationError

__all__ = ["arguments_of", "image_url_of", "split_data_url"]


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


def image_url_of(part: Mapping[str, Any]) -> Any:
    """The URL of an ``image_url`` part, which holds it bare or in an object."""
    image = part.get("image_url")
    return image.get("url") if isinstance(image, Mapping) else image


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
