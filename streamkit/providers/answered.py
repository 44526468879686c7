"""
Which call a tool's result answers, for the services that go by names because calls have no ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = ["Answered", "Asked"]


class Answered(NamedTuple):
    """
    The call a result answers; None for what nobody says.

    Thread safety: **immutable**.
    """

    id: Any
    name: Any


class Asked:
    """
    The calls of a conversation, as far as they have been seen.

    A result with an id answers the call that has it. One without answers the next open call of the
    last message that made calls: of the name it gives, if it gives one. A name it gives stands.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        self._known: dict[str, Answered] = {}
        self._open: list[Answered] = []

    def ask(self, calls: Iterable[Mapping[str, Any]]) -> None:
        """Note the calls of one message; those of an earlier one wait no longer."""
        self._open = [
            Answered(call.get("id") or None, (call.get("function") or {}).get("name"))
            for call in calls
        ]
        self._known.update((str(call.id), call) for call in self._open if call.id)

    def answer(self, message: Mapping[str, Any]) -> Answered:
        """Id and name of the call that a tool's result answers, which is open no longer."""
        id = message.get("tool_call_id") or None
        name = message.get("tool_name") or message.get("name") or None
        call = self._take(id, name)
        return Answered(id or call.id, name or call.name)

    def _take(self, id: Any, name: Any) -> Answered:
        for place, call in enumerate(self._open):
            if (call.id == id) if id else (name in (None, call.name)):
                return self._open.pop(place)
        return self._known.get(str(id), Answered(id, None))
