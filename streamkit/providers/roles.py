"""
Who may speak in a conversation, for the services that want a question in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.providers.parts import check_roles

__all__ = ["ROLES", "check_turns"]

#: The roles of OpenAI's form, but for the older ``function``, whose results name no call.
ROLES = ("system", "developer", "user", "assistant", "tool")


def check_turns(
    service: str, messages: Iterable[Mapping[str, Any]], roles: Sequence[str] = ROLES
) -> None:
    """
    Refuse a conversation the service could not answer, before it is sent.

    Raises:
        ConfigurationError: Nothing but system messages, which have a place of their own there, or
            what check_roles refuses.
    """
    messages = list(messages)
    check_roles(messages, roles)
    if all(message.get("role") in ("system", "developer") for message in messages):
        raise ConfigurationError(
            f"{service} takes system messages only beside others; got no other message"
        )
