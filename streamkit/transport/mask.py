"""
Secrets out of bytes that come in pieces, wherever the pieces tear them.

Pieces that end in what may become a secret wait for those that follow. A secret becomes
``[redacted]`` in the piece where it begins and is gone from the others, so no other byte moves from
one piece to another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from streamkit.request import MASK

__all__ = ["Mask"]

#: Of a secret that the end of the bytes cuts off, so much is a secret too: as many characters as
#: the shortest secret has (pipeline/redact.py).
TELLING = 8

T = TypeVar("T")


class Mask(Generic[T]):
    """
    Pieces of bytes, each with a tag -> the same without secrets.

    Thread safety: **confined**.

    Args:
        secrets: What must not show, as ``Secret`` (so that no traceback with locals prints it).
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # Latin-1 keeps each byte a character, and a Secret prints nothing of itself.
        forms = (type(s)(s.encode("utf-8").decode("latin-1")) for s in secrets)
        self._secrets = tuple(sorted(forms, key=len, reverse=True))
        self._tags: list[tuple[T, int]] = []
        self._held = ""

    def feed(self, tag: T, data: bytes) -> list[tuple[T, bytes]]:
        """Take a piece, give those that are decided; none of them is empty."""
        if not self._secrets:
            return [(tag, data)]
        self._tags.append((tag, len(data)))
        self._held += data.decode("latin-1")
        spans = self._spans()
        return self._give(self._decided(spans), spans)

    def flush(self) -> list[tuple[T, bytes]]:
        """The end of the bytes -> all that was held."""
        spans = self._spans()
        begun = self._begun()
        if len(self._held) - begun >= TELLING and not (spans and spans[-1][1] > begun):
            spans.append((begun, len(self._held)))
        return self._give(len(self._tags), spans)

    def _spans(self) -> list[tuple[int, int]]:
        """Where the secrets are in what is held; the longest of those that begin together."""
        spans: list[tuple[int, int]] = []
        at = 0
        while True:
            found = [(i, -len(s)) for s in self._secrets if (i := self._held.find(s, at)) >= 0]
            if not found:
                return spans
            start, length = min(found)
            at = start - length
            spans.append((start, at))

    def _begun(self) -> int:
        """Where a secret begins that what is held may only hold the beginning of; else its end."""
        held, end = self._held, len(self._held)
        first = end
        for secret in self._secrets:
            at = held.find(secret[0], max(0, end - len(secret) + 1))
            while 0 <= at < first:
                if secret.startswith(held[at:]):
                    first = at
                at = held.find(secret[0], at + 1)
        return first

    def _decided(self, spans: list[tuple[int, int]]) -> int:
        """How many pieces nothing that follows can change."""
        cut = self._begun()
        for start, end in reversed(spans):
            if start < cut < end:
                cut = start
        count = end_of = 0
        for number, (_, size) in enumerate(self._tags, 1):
            end_of += size
            if end_of > cut:
                break
            if not any(start < end_of < end for start, end in spans):
                count = number
        return count

    def _give(self, count: int, spans: list[tuple[int, int]]) -> list[tuple[T, bytes]]:
        given = []
        begin = 0
        for tag, size in self._tags[:count]:
            if piece := _shown(self._held, begin, begin + size, spans):
                given.append((tag, piece.encode("latin-1")))
            begin += size
        self._held = self._held[begin:]
        del self._tags[:count]
        return given


def _shown(held: str, begin: int, end: int, spans: list[tuple[int, int]]) -> str:
    """That part of what is held, without secrets."""
    parts = []
    for start, stop in spans:
        if stop <= begin or start >= end:
            continue
        parts.append(held[begin:start])  # nothing, where the secret began before
        if start >= begin:
            parts.append(MASK)
        begin = max(begin, min(stop, end))
    parts.append(held[begin:end])
    return "".join(parts)
