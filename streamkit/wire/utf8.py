"""
Where bytes, in any split, stop being UTF-8: for those who would rather have no text than a wrong
one.
"""

from __future__ import annotations

from codecs import utf_8_decode

__all__ = ["Utf8Bound"]

_REPLACEMENT = "\ufffd"


class Utf8Bound:
    """
    How many bytes of a stream come before one bad piece too many.

    >>> bound = Utf8Bound(1)
    >>> bound.admit(b"a\\xffb"), bound.admit(b"c\\xe4"), bound.admit(b"d")
    (3, 2, 0)

    A bad piece is what a decoder replaces by one U+FFFD; one that was begun counts in the read that
    shows it is bad. Linear in the bytes, but for the one call that finds the place.

    Thread safety: **confined**.

    Args:
        limit: Bad pieces that may pass, at least 0.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._left = limit
        self._tail = b""

    def admit(self, data: bytes) -> int:
        """How many of the next bytes keep the bound; fewer than all once it is crossed."""
        whole = self._tail + data
        text, used = utf_8_decode(whole, "replace", False)
        # A U+FFFD the sender wrote is no bad piece. Its bytes cannot occur across characters.
        bad = text.count(_REPLACEMENT) - whole.count(_REPLACEMENT.encode(), 0, used)
        if bad > self._left:
            return max(0, self._place(whole) - len(self._tail))
        self._left -= bad
        self._tail = whole[used:]
        return len(data)

    def _place(self, whole: bytes) -> int:
        """The offset of the first bad piece that may not pass."""
        start = 0
        while True:
            try:
                utf_8_decode(whole[start:], "strict", False)
            except UnicodeDecodeError as error:
                if not self._left:
                    return start + error.start
                self._left -= 1
                start += error.end
