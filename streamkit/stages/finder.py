"""
Finding strings in a text that comes in pieces.

How it works: the strings make a trie whose nodes know the longest other node that ends like them
(Aho and Corasick, 1975). One step per character then tells whether a string just ended here, and
how many of the last characters may still become one: those are held. Where no string is begun, a
regular expression skips to the next first letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from streamkit.callback import check_callable
from streamkit.errors import ConfigurationError

__all__ = ["Finder", "chooser", "strings_of"]


class Finder:
    """
    Text in any split -> its pieces, each with whether it is one of the strings.

    >>> finder = Finder(["END", "STOP"])
    >>> finder.feed("a ST"), finder.feed("OP b E"), finder.flush()
    ([('a ', False)], [('STOP', True), (' b ', False)], [('E', False)])

    A string counts as soon as it is complete; of those that end at the same character, the longest.
    The pieces joined are the text, and the split changes none of what is found.

    Cost: linear in the text, whatever its split; never more held than the longest string less one
    character.

    Thread safety: **confined**.

    Args:
        strings: None empty.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._fail = [0]
        self._depth = [0]
        self._hit = [0]  # the length of the string that ends at the node, 0 for none
        for string in strings:
            self._add(string)
        self._link()
        firsts = "".join(map(re.escape, self._next[0]))
        self._first = re.compile(f"[{firsts}]") if firsts else re.compile(r"(?!)")
        self._state = 0
        self._held = ""

    def feed(self, text: str) -> list[tuple[str, bool]]:
        """The pieces that are certain now."""
        pieces: list[tuple[str, bool]] = []
        whole, at, i = self._held + text, 0, len(self._held)
        state = self._state
        while i < len(whole):
            if not state:
                found = self._first.search(whole, i)
                if found is None:
                    break
                i = found.start()
            state = self._step(state, whole[i])
            i += 1
            if size := self._hit[state]:
                if at < i - size:
                    pieces.append((whole[at : i - size], False))
                pieces.append((whole[i - size : i], True))
                at, state = i, 0
        self._state = state
        end = len(whole) - self._depth[state]
        self._held = whole[end:]
        if at < end:
            pieces.append((whole[at:end], False))
        return pieces

    def flush(self) -> list[tuple[str, bool]]:
        """What was held, which is none of the strings; then as new."""
        held, self._held, self._state = self._held, "", 0
        return [(held, False)] if held else []

    def _step(self, state: int, character: str) -> int:
        while state and character not in self._next[state]:
            state = self._fail[state]
        return self._next[state].get(character, 0)

    def _add(self, string: str) -> None:
        node = 0
        for character in string:
            if character not in self._next[node]:
                self._next[node][character] = len(self._next)
                self._next.append({})
                self._fail.append(0)
                self._depth.append(self._depth[node] + 1)
                self._hit.append(0)
            node = self._next[node][character]
        self._hit[node] = len(string)

    def _link(self) -> None:
        """Breadth first: a node's failure link is shorter than it, so known by then."""
        queue = list(self._next[0].values())
        for node in queue:
            for character, child in self._next[node].items():
                self._fail[child] = self._step(self._fail[node], character)
                queue.append(child)
            self._hit[node] = self._hit[node] or self._hit[self._fail[node]]


def chooser(
    value: Iterable[str] | Callable[[str], object] | None, name: str
) -> Callable[[str], object]:
    """
    What says whether a string is one of those meant: any for None, those of a list, or the user.

    Raises:
        ConfigurationError: The list holds something else, or an empty string.
    """
    if value is None:
        return lambda _: True
    if callable(value):
        check_callable(**{name: value})
        return value
    return frozenset(strings_of(value, name)).__contains__


def strings_of(value: object, name: str) -> tuple[str, ...]:
    """
    One string or several, as a tuple.

    Raises:
        ConfigurationError: It holds something else, or an empty string.
    """
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, Iterable):
        raise ConfigurationError(f"{name} must be a str or a list of str, got {value!r}")
    strings = tuple(given)
    for string in strings:
        if not isinstance(string, str) or not string:
            raise ConfigurationError(f"{name} must be strings that are not empty, got {string!r}")
    return strings
