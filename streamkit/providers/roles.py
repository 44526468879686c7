"""
Who may speak in a conversation: refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamkit.errors import ConfigurationError

__all__ = ["ROLES", "check_roles", "check_turns"]

#: The roles of OpenAI's form, but for the older ``function``, whose results name no call: only its
#: own dialect, which converts nothing, takes that.
ROLES = ("system", "developer", "user", "assistant", "tool")


def check_roles(
    messages: Iterable[Mapping[str, Any]], roles: Sequence[str] = ROLES, *, ids: bool = True
) -> None:
    """
    Refuse a message that no service could place. One whose ``type`` is not ``message`` is an item
    of an API's own form, and not looked at.

    Args:
        messages: The conversation.
        roles: Those the service has.
        ids: Whether a tool's result must name its call by id.

    Raises:
        ConfigurationError: A role not among ``roles``, or a tool's result without an id that must
            have one.
    """
    for number, message in enumerate(messages):
        if message.get("type") not in (None, "message"):
            continue
        role = message.get("role")
        if role not in roles:
            raise ConfigurationError(
                f"the role of message {number} must be one of {', '.join(roles)},"
                f" got {str(role)[:40]!r}; others go in extra_body"
            )
        id = message.get("tool_call_id")
        if ids and role == "tool" and not (id and isinstance(id, str)):
            raise ConfigurationError(f"message {number} is a tool's result and needs tool_call_id")


def check_turns(
    service: str,
    messages: Iterable[Mapping[str, Any]],
    roles: Sequence[str] = ROLES,
    *,
    ids: bool = True,
) -> None:
    """
    Refuse a conversation the service could not answer, before it is sent. ``roles`` and ``ids`` are
    those of check_roles.

    Raises:
        ConfigurationError: Nothing but system messages, which have a place of their own there, or
            what check_roles refuses.
    """
    messages = list(messages)
    check_roles(messages, roles, ids=ids)
    if all(message.get("role") in ("system", "developer") for message in messages):
        raise ConfigurationError(
            f"{service} takes system messages only beside others; got no other message"
        )
