"""
Messages in the chat form, with each part as a service has it that speaks the dialect but for some
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streamkit.providers.parts import check_messages

__all__ = ["convert_parts"]


def convert_parts(
    messages: Iterable[Mapping[str, Any]], part: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """
    The messages with each part of their contents as ``part`` makes it.

    The role ``developer``, which only OpenAI knows, becomes ``system``.

    Raises:
        ConfigurationError: What check_messages or ``part`` refuses.
    """
    messages = list(messages)
    check_messages(messages)
    return [_convert(message, part) for message in messages]


def _convert(
    message: Mapping[str, Any], part: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Mapping[str, Any]:
    content = message.get("content")
    changed: dict[str, Any] = {}
    if message.get("role") == "developer":
        changed["role"] = "system"
    if content is not None and not isinstance(content, str):
        changed["content"] = [part(item) for item in content]
    return {**message, **changed} if changed else message
