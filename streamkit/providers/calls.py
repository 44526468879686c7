"""
The tool calls of one answer while they stream in.

Providers name a call by position, by id or by content block, and repeat or blank out its id and
name in later fragments; here a call is opened once and its first non-empty id and name stay.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from streamkit.errors import LimitExceeded
from streamkit.wire.surrogates import clean

__all__ = ["MAX_CALLS", "OpenCall", "OpenCalls"]

#: Calls of one answer; no provider allows more than 128 (OpenAI). Each ``{}`` of an event opens one
#: and costs a hundred times its bytes.
MAX_CALLS = 1024


class OpenCall:
    """
    One call: its place in the answer, and what is known of it so far.

    Thread safety: **confined**.
    """

    __slots__ = ("begun", "closed", "id", "index", "name")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.begun = False  # some of the arguments came
        self.closed = False  # the arguments so far end as an object does

    def learn(self, *, id: Any = None, name: Any = None, arguments: str = "") -> None:
        """Keep the first id and the first name that say something, and how the arguments end."""
        self.id = self.id or word(id)
        self.name = self.name or word(name)
        if said := arguments.rstrip():
            self.begun = True
            self.closed = said.endswith("}")

    def is_over(self, id: str, name: str, arguments: str) -> bool:
        """
        Whether a fragment with this name, in this call's place, begins another call.

        A second id does, unless the name is the same and the arguments are under way: some
        services make a new id for each fragment. Without one it takes arguments that look complete,
        and then another name or a second object: no JSON text has ``}{`` outside of its strings.
        """
        renamed = bool(self.name) and name != self.name
        anew = arguments.lstrip().startswith("{")
        if not (id and self.id):
            return self.closed and (renamed or anew)
        if id == self.id:
            return False
        return renamed or not self.begun or (self.closed and (anew or not arguments.strip()))

    def metadata(self) -> dict[str, Any]:
        """What a ``tool_call`` chunk carries beside the fragment."""
        return {"index": self.index, "id": self.id, "name": self.name}


class OpenCalls:
    """
    All calls of one answer, in order of first sight.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        self._by_key: dict[Hashable, OpenCall] = {}
        self._count = 0

    def open(self, *keys: Hashable) -> OpenCall:
        """
        A new call, found from now on under each key; a key taken over leaves the older call.

        Raises:
            LimitExceeded: It is one more than 1,024.
        """
        if self._count == MAX_CALLS:
            raise LimitExceeded(
                f"an answer may have at most {MAX_CALLS} tool calls, got more",
                limit=MAX_CALLS,
                observed=MAX_CALLS + 1,
            )
        call = OpenCall(self._count)
        self._count += 1
        for key in keys:
            self._by_key[key] = call
        return call

    def get(self, key: Hashable) -> OpenCall | None:
        """The call last opened under that key."""
        return self._by_key.get(key)


def word(value: Any) -> str:
    """An id or name as sent, or ``""`` where it says nothing; ``"null"`` is Mistral's way."""
    return clean(value) if isinstance(value, str) and value != "null" else ""
