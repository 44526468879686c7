"""
The calls among the output items of a Responses answer, while their arguments stream in.

Of a call the ended item is the truth, because some services send no deltas of its arguments, or
one; what the deltas have said already is not said again. Others give all of them at the start and
then again as deltas, so what comes at the start waits for the end.

Source: WIRE_FORMATS.md section 3.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from streamkit.providers.calls import OpenCall, OpenCalls, word
from streamkit.providers.openai_responses_items import CALLS, arguments_text

__all__ = ["ItemCalls", "place_of"]

Json = dict[str, Any]

#: A call, and what is added to its arguments.
Piece = tuple[OpenCall, str]


class ItemCalls:
    """
    Items that begin, grow and end -> the pieces of the calls among them.

    Thread safety: **confined**.
    """

    def __init__(self, calls: OpenCalls) -> None:
        self._calls = calls
        #: Place -> the call there, what its item said at the start, and the fragments of it so far;
        #: None for what is no call.
        self._items: dict[Hashable, tuple[OpenCall, Json, list[str]] | None] = {}

    def __contains__(self, place: Hashable) -> bool:
        """Whether an item has begun there, of whichever kind."""
        return place in self._items

    def is_call(self, place: Hashable) -> bool:
        """Whether the item that has begun there is a call."""
        return self._items.get(place) is not None

    def begin(self, place: Hashable, item: Json) -> list[Piece]:
        """
        An item begins; one that is no call has no pieces.

        Raises:
            LimitExceeded: It is one call more than an answer may have.
        """
        self._items[place] = None
        if item.get("type") not in CALLS:
            return []
        call = self._calls.open()
        call.learn(id=item.get("call_id"), name=item.get("name"))
        self._items[place] = call, item, []
        return [(call, "")]

    def extend(self, place: Hashable, fragment: Any) -> list[Piece]:
        """A delta of the arguments; no piece where there is no call."""
        found = self._items.get(place)
        if found is None or not fragment or not isinstance(fragment, str):
            return []
        call, _, fragments = found
        fragments.append(fragment)
        return [(call, fragment)]

    def end(self, place: Hashable, source: Json, *, ended: bool = False) -> list[Piece]:
        """
        What has not been said: names, arguments. Where the fragments said otherwise, they stay.

        Args:
            source: The item, or the event that ends its arguments.
            ended: Whether it is the item, after which nothing more is known.
        """
        found = self._items.get(place)
        if found is None:
            return []
        call, start, fragments = found
        known = call.id, call.name
        call.learn(id=source.get("call_id"), name=source.get("name"))
        if ended:
            call.learn(id=source.get("id") or start.get("id"))
        full = arguments_text(source) or arguments_text(start)
        said = "".join(fragments)
        fragments[:] = [said]  # joined once, however often the end is told
        pieces = self.extend(place, full[len(said) :] if full.startswith(said) else "")
        return pieces or ([(call, "")] if known != (call.id, call.name) else [])

    def end_all(self) -> list[Piece]:
        """The end of the answer: what the ends of its items have not said."""
        return [
            piece
            for place, found in self._items.items()
            if found is not None
            for piece in self.end(place, found[1], ended=True)
        ]


def place_of(frame: dict[str, Any], id: Any) -> Hashable:
    """An item's place in the answer; its id only without one, since proxies change the ids."""
    index = frame.get("output_index")
    return index if isinstance(index, int) else word(id)
