"""The citations of an answer, of which the rest that another request brings may repeat some."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

__all__ = ["Sources"]


class Sources:
    """
    Citations in the order in which they came; once the answer broke, each is listed once.

    >>> sources = Sources()
    >>> sources.add({"n": 1})
    >>> sources.break_off()
    >>> sources.add({"n": 1})
    >>> sources.add({"n": 2})
    >>> sources.listed
    [{'n': 1}, {'n': 2}]

    Thread safety: **confined**; ``listed`` may be read by any thread.

    Cost: O(1) for each, however many there are.
    """

    def __init__(self) -> None:
        self.listed: list[Any] = []
        self._known: set[Hashable] | None = None  # None while the answer has not broken

    def add(self, source: Any) -> None:
        """The next one."""
        if self._known is not None:
            if (key := _key(source)) in self._known:
                return
            self._known.add(key)
        self.listed.append(source)

    def break_off(self) -> None:
        """
        From now on a rest may come.

        Who follows hears of the break by its seam, when the rest may have cited already: so what
        is listed twice by then counts once too.
        """
        if self._known is None:
            found: dict[Hashable, Any] = {}
            for source in self.listed:
                found.setdefault(_key(source), source)
            self.listed, self._known = list(found.values()), set(found)

    def clear(self) -> None:
        """The answer begins anew."""
        self.listed.clear()
        self._known = None


def _key(source: Any) -> Hashable:
    try:
        return repr(source)
    except Exception:  # of somebody else's SDK it may be anything
        return object()
