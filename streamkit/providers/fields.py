"""
What a message in OpenAI's form holds beside its content: put into it, left out, or refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streamkit.errors import ConfigurationError

__all__ = ["settle_fields"]

_PLACED = ("role", "content", "tool_calls", "tool_call_id")

#: What the model thought, and notes on its text. Users send an answer back as they got it; in this
#: form no service but the one it came from takes these back.
_LEFT_OUT = ("reasoning", "reasoning_content", "reasoning_details", "annotations")


def settle_fields(
    service: str, messages: Iterable[Mapping[str, Any]], *own: str
) -> list[Mapping[str, Any]]:
    """
    The messages with no field but those that a converter has a place for.

    A ``refusal`` of the assistant becomes text, and the ``name`` of a tool's result stays. Left out
    are the fields that are empty, and of the assistant its thinking and annotations: the services
    take none back. A message that has a ``type`` is in an API's own form and not looked at.

    Args:
        service: What to call the API in the error.
        messages: Such as check_messages lets through.
        own: Further fields that the converter reads.

    Raises:
        ConfigurationError: Any other field has a value.
    """
    return [
        message if message.get("type") is not None else _settled(service, number, message, own)
        for number, message in enumerate(messages)
    ]


def _settled(
    service: str, number: int, message: Mapping[str, Any], own: tuple[str, ...]
) -> dict[str, Any]:
    role, refusal = message.get("role"), message.get("refusal")
    known: tuple[str, ...] = (*_PLACED, *own)
    if role == "tool":
        known += ("name",)
    settled = {name: value for name, value in message.items() if name in known}
    if role == "assistant":
        known += _LEFT_OUT
        if refusal and isinstance(refusal, str):
            known += ("refusal",)
            settled["content"] = _joined(message.get("content"), refusal)
    for name, value in message.items():
        if value and name not in known:
            raise ConfigurationError(
                f"{service} has no place for the field {str(name)[:40]!r} of message {number}"
            )
    return settled


def _joined(content: Any, refusal: str) -> Any:
    if not content:
        return refusal
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [*parts, {"type": "text", "text": refusal}]
