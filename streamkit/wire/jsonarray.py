"""
One long JSON array of objects: bytes -> one JSON text per object, as they arrive (Gemini).

How it works: the end of an object is the brace that closes it, outside of strings. ``ObjectEnd``
walks from brace to brace and remembers, from read to read, how many are open and whether a string
is. Nothing is parsed here, and nothing is looked at twice.

Source: WIRE_FORMATS 1.3.
"""

from __future__ import annotations

import re

from streamkit.errors import ProtocolError
from streamkit.wire.lines import MAX_EVENT, StoredError, check_bound, decode, over_limit

__all__ = ["JSONArrayDecoder"]

#: What may stand between two objects, a byte-order mark at the start included.
_GAP = re.compile(rb"[ \t\r\n,\[\]\xef\xbb\xbf]*")

#: To the next brace, over strings without escapes, or to the quote of one with them. The bounds on
#: repetition bound the memory of the match; a match that stops early is taken up again.
_CODE = re.compile(rb'[^{}"]*(?:"[^"\\]*"[^{}"]*){0,99}')
#: To the end of the string, or to a backslash that is the last byte so far.
_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*){0,99}', re.DOTALL)

_OPEN, _QUOTE = b'{"'

#: Bytes of what is no JSON that an error shows.
_SHOWN = 200


class ObjectEnd:
    """
    Where a JSON object ends, in bytes that come in any split.

    Thread safety: **confined**.
    """

    __slots__ = ("_depth", "_escaped", "_in_string")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def inside(self) -> bool:
        """Whether an object has begun and not ended."""
        return self._depth > 0

    def find(self, data: bytes, start: int) -> int:
        """The offset behind the object's last brace; 0 if it is not in ``data``."""
        size = len(data)
        while start < size:
            if self._escaped:
                self._escaped = False
                start += 1
                continue
            found = (_STRING if self._in_string else _CODE).match(data, start)
            assert found is not None, "both patterns match nothing as well"
            start = found.end() + 1
            if start > size:
                break
            byte = data[start - 1]
            if byte == _QUOTE:
                self._in_string = not self._in_string
            elif self._in_string:
                self._escaped = True
            else:
                self._depth += 1 if byte == _OPEN else -1
                if not self._depth:
                    return start
        return 0


class JSONArrayDecoder:
    """
    Bytes in any split -> JSON texts; the split changes neither the texts nor the error.

    >>> decoder = JSONArrayDecoder()
    >>> decoder.feed(b'[{"a": 1}\\n,\\r\\n{"a"'), decoder.feed(b': 2}\\n]'), decoder.flush()
    (['{"a": 1}'], ['{"a": 2}'], [])

    The brackets of the array say nothing that an answer needs, so they count as blanks, as commas
    do: an object in no array is an element too, and so is one in a list of its own. Errors come so.

    UTF-8 as in LineDecoder. An error never costs texts that were complete before it: a feed() that
    has some returns them and the next call raises; without any it raises at once. From then on
    feed() raises the same error and only flush(), which gives nothing, may be called.

    Linear in the bytes fed, however they are cut.

    Thread safety: **confined**.

    Args:
        max_event: Most bytes of one object, at least 1, else ConfigurationError. PROMISES.md P60.
    """

    #: Whether the format begins as JSON does; see Decoder in providers/base.py.
    reads_json = True

    # Invariant: _held is the beginning of one object, or of what is none, never both.

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        check_bound("max_event", max_event)
        #: Bad pieces of UTF-8 replaced by U+FFFD so far.
        self.replaced = 0
        self._max_event = max_event
        self._stored = StoredError()
        self._end = ObjectEnd()
        self._held = bytearray()
        self._junk = False

    def feed(self, data: bytes) -> list[str]:
        """
        Take bytes, give the texts they complete.

        Raises:
            LimitExceeded: An object is over ``max_event``.
            ProtocolError: Something else than an object came; told once its line, or 200 bytes of
                it, are there to be shown.
        """
        self._stored.raise_at_feed()
        texts: list[str] = []
        start = 0
        while start < len(data) and self._stored.error is None:
            start = self._take(data, start, texts)
        if not texts:
            self._stored.raise_at_feed()
        return texts

    def flush(self) -> list[str]:
        """
        End of input: an object that is not whole was cut there and is left out.

        Raises:
            LimitExceeded, ProtocolError: Found by a feed() that had texts to return, or at the end.
        """
        if self._junk and self._stored.error is None:
            self._refuse()
        self._held.clear()
        self._stored.raise_at_flush()
        return []

    def _take(self, data: bytes, start: int, texts: list[str]) -> int:
        """One object, gap or beginning of either; the offset behind it."""
        if self._junk:
            return self._collect(data, start)
        if not self._end.inside:
            gap = _GAP.match(data, start)
            assert gap is not None, "the pattern matches nothing as well"
            start = gap.end()
            if start < len(data) and data[start] != _OPEN:
                self._junk = True
            if start == len(data) or self._junk:
                return start
        end = self._end.find(data, start)
        stop = end or len(data)
        if len(self._held) + stop - start > self._max_event:
            shown = bytes(self._held[:_SHOWN]) + data[start : start + _SHOWN]
            shown = shown[: self._max_event + 1]
            self._stored.error = over_limit("an object", self._max_event, shown)
            self._held.clear()
        elif end:
            text, replaced = decode(bytes(self._held) + data[start:end])
            self._held.clear()
            self.replaced += replaced
            texts.append(text)
        else:
            self._held += data[start:]
        return stop

    def _collect(self, data: bytes, start: int) -> int:
        """What is no object, as far as the error shows it."""
        stop = data.find(b"\n", start, start + _SHOWN - len(self._held)) + 1
        self._held += data[start : stop or start + _SHOWN - len(self._held)]
        if stop or len(self._held) == _SHOWN:
            self._refuse()
        return len(data)

    def _refuse(self) -> None:
        found = bytes(self._held).strip()
        self._stored.error = ProtocolError(
            "an array may hold only objects here, got " + repr(found)[1:], data=found
        )
        self._held.clear()
