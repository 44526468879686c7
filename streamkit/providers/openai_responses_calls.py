"""
The calls among the output items of a Responses answer, while their arguments stream in.

Of a call the ended item is the truth, because some services send no deltas of its arguments, or
one; what the deltas have said already is not said again.

Source: WIRE_FORMATS.md section 3.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from streamkit.providers.calls import OpenCall, OpenCalls, word
from streamkit.providers.openai_responses_items import CALLS, arguments_text

__all__ = ["ItemCalls", "place_of"]

#: A call, and what is added to its arguments.
Piece = tuple[OpenCall, str]


class ItemCalls:
    """
    Items that begin, grow and end -> the pieces of the calls among them.

    Thread safety: **confined**.
    """

    def __init__(self, calls: OpenCalls) -> None:
        self._calls = calls
        #: Place -> the call there and the fragments of it so far; None for what is no call.
        self._items: dict[Hashable, tuple[OpenCall, list[str]] | None] = {}

    def __contains__(self, place: Hashable) -> bool:
        """Whether an item has begun there, of whichever kind."""
        return place in self._items

    def is_call(self, place: Hashable) -> bool:
        """Whether the item that has begun there is a call."""
        return self._items.get(place) is not None

    def begin(self, place: Hashable, item: dict[str, Any]) -> list[Piece]:
        """
        An item begins, perhaps with arguments; one that is no call has no pieces.

        Raises:
            LimitExceeded: It is one call more than an answer may have.
        """
        self._items[place] = None
        if item.get("type") not in CALLS:
            return []
        call = self._calls.open()
        call.learn(id=item.get("call_id") or item.get("id"), name=item.get("name"))
        fragment = arguments_text(item)
        self._items[place] = call, [fragment]
        return [(call, fragment)]

    def extend(self, place: Hashable, fragment: Any) -> list[Piece]:
        """A delta of the arguments; no piece where there is no call."""
        found = self._items.get(place)
        if found is None or not fragment or not isinstance(fragment, str):
            return []
        call, fragments = found
        fragments.append(fragment)
        return [(call, fragment)]

    def end(self, place: Hashable, arguments: str) -> list[Piece]:
        """What the fragments have not said; where they said otherwise, they stay."""
        found = self._items.get(place)
        if found is None:
            return []
        _, fragments = found
        said = "".join(fragments)
        fragments[:] = [said]  # joined once, however often the end is told
        return self.extend(place, arguments[len(said) :] if arguments.startswith(said) else "")


def place_of(frame: dict[str, Any], id: Any) -> Hashable:
    """An item's place in the answer; its id only without one, since proxies change the ids."""
    index = frame.get("output_index")
    return index if isinstance(index, int) else word(id)
