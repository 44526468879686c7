"""Tool calls while they stream in: fragments -> one ToolCall that grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamkit.chunk import ToolCall

__all__ = ["GrowingCall"]


class GrowingCall:
    """
    The fragments of one tool call, and the ToolCall they make so far.

    Thread safety: **confined** to the reading thread, except ``so_far()``: any thread.
    """

    __slots__ = ("_fragments", "_id", "_index", "_made", "_name")

    def __init__(self, index: int) -> None:
        self._index = index
        self._id = ""
        self._name = ""
        self._fragments: list[str] = []
        #: How many fragments are in the call beside it; the two change together, in one step.
        self._made = 0, ToolCall(index, "", "", "")

    def add(self, metadata: Mapping[str, Any], fragment: str) -> None:
        """The next delta; the first id and name that say something stay."""
        self._id = self._id or metadata.get("id") or ""
        self._name = self._name or metadata.get("name") or ""
        self._fragments.append(fragment)  # last: it tells so_far() that something is new

    def so_far(self) -> ToolCall:
        """
        The call as it is now: the same object until the next delta.

        Cost: one join of what came since the last time, and a copy of the rest.
        """
        count, call = self._made
        fresh = self._fragments[count:]
        if not fresh:
            return call
        call = ToolCall(self._index, self._id, self._name, call.arguments + "".join(fresh))
        # Of two threads here at once the later may put the older call back: it is then made again.
        self._made = count + len(fresh), call
        return call
