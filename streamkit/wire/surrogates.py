"""
Lone surrogates -> text that can be encoded.

A server that cuts text by UTF-16 unit sends an emoji as two deltas, ``"\\ud83d"`` and
``"\\ude00"``. Each parses into a string that neither print() nor encode() accepts. Here the halves
are joined again, and a half without its other one becomes U+FFFD.

Source: PROMISES.md P65, FACTS.md F10.
"""

from __future__ import annotations

from typing import Any

__all__ = ["SurrogateJoiner", "clean", "clean_deep"]


def clean(text: str) -> str:
    r"""
    The text with halves of a pair joined and all other surrogates replaced by U+FFFD.

    >>> clean("a\ud83d\ude00b\ud83d") == "a\U0001f600b\ufffd"
    True

    Cost: next to nothing for ASCII, one encoding for other text.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        # In UTF-16 two halves side by side are a pair, and a decoder replaces each half alone.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_deep(value: Any) -> Any:
    r"""
    A parsed JSON value with each text in it cleaned, names of members too; changed in place.

    >>> clean_deep({"a": ["\ud83d"]}) == {"a": ["\ufffd"]}
    True
    """
    top = [value]
    nodes: list[Any] = [top]
    for node in nodes:  # it grows meanwhile: no recursion, however deep the value
        if isinstance(node, dict):
            cleaned = {clean(name): item for name, item in node.items()}
            node.clear()
            node.update(cleaned)
        for key, item in node.items() if isinstance(node, dict) else enumerate(node):
            if isinstance(item, str):
                node[key] = clean(item)
            elif isinstance(item, (dict, list)):
                nodes.append(item)
    return top[0]


class SurrogateJoiner:
    r"""
    Text in any split -> text that can be encoded; joined, it is ``clean()`` of the whole.

    >>> joiner = SurrogateJoiner()
    >>> joiner.feed("Hi \ud83d"), joiner.feed("\ude00!") == "\U0001f600!", joiner.flush()
    ('Hi ', True, '')

    One joiner serves one run of text: text, reasoning and each tool call have their own.

    Thread safety: **confined**.
    """

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """Take text, give what is certain: a high half at the end waits for the next text."""
        if self._held:
            text = self._held + text
            self._held = ""
        if text.isascii():
            return text
        if "\ud800" <= text[-1] <= "\udbff":
            self._held = text[-1]
            text = text[:-1]
        return clean(text)

    @property
    def pending(self) -> bool:
        """Whether a half is held."""
        return bool(self._held)

    def flush(self) -> str:
        """End of the text: U+FFFD for a half that is still held."""
        held, self._held = self._held, ""
        return clean(held)
