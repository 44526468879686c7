"""
Bytes in any split -> lines. One machine for every format that is made of lines.

How it works: bytes are cut into lines before they are decoded. CR and LF never occur inside a
character of UTF-8, so a line holds whole characters however the reads were cut, and an invalid
piece never reaches over its end: no decoder state has to be carried from read to read.
``LineBuffer`` holds the one unfinished line and nothing else; the formats above it count, check
their bounds and decode.

Source: SSE_RULES 1 to 7 (WHATWG HTML, 9.2.5 and 9.2.6).
"""

from __future__ import annotations

from streamkit.errors import ConfigurationError, LimitExceeded, ProtocolError

__all__ = ["LineDecoder"]

#: Bytes of one line or one event. PROMISES.md P60; the largest event recorded had 503 KB.
MAX_EVENT = 16 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_REPLACEMENT = "\ufffd"
_CR = 13


class LineBuffer:
    """
    Bytes in any split -> the bytes of whole lines, still joined, each ended by one LF.

    Linear in the bytes fed, however they are cut: each byte is searched once and copied at most
    three times. A byte-order mark at the very start is dropped.

    Thread safety: **confined**.

    Args:
        lone_cr: Whether CR ends a line, as in SSE. If not, CR is an ordinary byte.
    """

    # Invariant: tail holds no LF, and no CR where CR ends a line.
    # Invariant: _edge is set while the next byte is special: _start is not None while the stream
    # may still begin with a mark (it holds the part of one seen), else the last byte was a CR.

    __slots__ = ("_edge", "_lone_cr", "_start", "tail")

    def __init__(self, *, lone_cr: bool = True) -> None:
        #: The line that has not ended yet. A bytearray grows in place: a long line that comes in
        #: small reads stays linear, without the 40 bytes each read would cost in a list.
        self.tail = bytearray()
        self._lone_cr = lone_cr
        self._start: bytes | None = b""
        self._edge = True

    def feed(self, data: bytes) -> bytes:
        """Take bytes, give the lines complete now; b"" when there is none."""
        if self._edge and data:
            data = self._after_edge(data)
        if _CR in data and self._lone_cr:
            # A CR at the end of a read ends its line now: waiting for an LF would delay the event.
            self._edge = data[-1] == _CR
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        cut = data.rfind(b"\n") + 1
        if not cut:
            self.tail += data
            return b""
        whole = data[:cut]
        if self.tail:
            self.tail += whole
            whole = bytes(self.tail)
            self.tail.clear()
        if cut < len(data):
            self.tail += data[cut:]
        return whole

    def _after_edge(self, data: bytes) -> bytes:
        """Drop what the start of the stream, or the CR just before, makes meaningless."""
        if self._start is None:
            self._edge = False
            return data.removeprefix(b"\n")
        data = self._start + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        self._edge = False
        return data.removeprefix(_BOM)

    def take_rest(self) -> bytes:
        """Give the unfinished line and forget it."""
        rest = (self._start or b"") + bytes(self.tail)
        self._start = None
        self._edge = False
        self.tail.clear()
        return rest

    @property
    def pending(self) -> bool:
        """Whether bytes of an unfinished line are held."""
        return bool(self.tail or self._start)


class StoredError:
    """
    An error found behind good events: kept until they are out, then raised.

    Thread safety: **confined**.
    """

    __slots__ = ("_raised", "error")

    def __init__(self) -> None:
        self.error: ProtocolError | None = None
        self._raised = False

    def raise_at_feed(self) -> None:
        """Raise what is stored, every time."""
        if self.error is not None:
            self._raised = True
            raise self.error

    def raise_at_flush(self) -> None:
        """Raise what is stored if no feed() has raised it yet."""
        if not self._raised:
            self.raise_at_feed()


class LineDecoder:
    """
    Bytes in any split -> lines of text; the split changes neither the lines nor the error.

    >>> decoder = LineDecoder()
    >>> decoder.feed(b"one\\r"), decoder.feed(b"\\ntwo\\nth"), decoder.flush()
    (['one'], ['two'], ['th'])

    LF, CRLF and CR end a line, nothing else does. Bytes that are not UTF-8 become U+FFFD, one for
    each maximal bad piece. One byte-order mark at the start is dropped. Source: SSE_RULES 1 to 7.

    An error never costs lines that were complete before it: a feed() that has some returns them
    and the next call raises; without any it raises at once. From then on feed() raises the same
    error and only flush(), which gives nothing, may be called.

    Thread safety: **confined**.

    Args:
        max_line: Most bytes of one line, its end not counted (a CR that ``lone_cr=False`` makes
            ordinary is). At least 1, else ConfigurationError.
        lone_cr: False for formats where only LF and CRLF end a line.
    """

    def __init__(self, *, max_line: int = MAX_EVENT, lone_cr: bool = True) -> None:
        check_bound("max_line", max_line)
        #: Bad pieces replaced by U+FFFD so far.
        self.replaced = 0
        self._max_line = max_line
        self._lone_cr = lone_cr
        self._buffer = LineBuffer(lone_cr=lone_cr)
        self._stored = StoredError()

    def feed(self, data: bytes) -> list[str]:
        """
        Take bytes, give the lines they complete.

        Raises:
            LimitExceeded: A line is over ``max_line``; found with the byte that crosses it, not
                with the end of the line, so that memory stays bounded.
        """
        self._stored.raise_at_feed()
        whole = self._buffer.feed(data)
        if len(whole) + len(self._buffer.tail) > self._max_line:
            whole = self._within_bound(whole)
        if whole:
            return self._decode(whole)
        self._stored.raise_at_feed()
        return []

    def flush(self) -> list[str]:
        """
        End of input: the last line, if it has no end.

        Raises:
            LimitExceeded: Found by a feed() that had lines to return.
        """
        self._stored.raise_at_flush()
        rest = self._buffer.take_rest()
        return self._decode(rest + b"\n") if rest else []

    def _within_bound(self, whole: bytes) -> bytes:
        """The lines before the first that is too long; that one becomes the stored error."""
        start = 0
        bad: bytes | bytearray = b""
        while start < len(whole) and not bad:
            end = whole.index(b"\n", start)
            if end - start > self._max_line:
                bad = whole[start:end]
            else:
                start = end + 1
        bad = bad or self._buffer.tail
        if len(bad) > self._max_line:
            self._stored.error = over_limit("a line", self._max_line, bad[: self._max_line + 1])
            self._buffer.take_rest()
        return whole[:start]

    def _decode(self, whole: bytes) -> list[str]:
        if not self._lone_cr and _CR in whole:
            whole = whole.replace(b"\r\n", b"\n")
        text, replaced = decode(whole)
        self.replaced += replaced
        lines = text.split("\n")
        lines.pop()  # what follows the last LF: nothing
        return lines


def decode(data: bytes) -> tuple[str, int]:
    """Text, and how many bad pieces became U+FFFD in it. ``data`` holds whole characters."""
    try:
        return data.decode(), 0
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
        # A U+FFFD the sender wrote is no replacement. Its bytes cannot occur across characters.
        return text, text.count(_REPLACEMENT) - data.count(_REPLACEMENT.encode())


def over_limit(
    what: str, limit: int, line: bytes | bytearray, unit: str = "bytes"
) -> LimitExceeded:
    """
    The error for the first byte over a bound.

    ``observed`` is the limit plus one and ``line`` ends with the offending byte, however much more
    the same read brought: so the error does not depend on the split.
    """
    return LimitExceeded(
        f"{what} may have at most {limit} {unit}, got more",
        limit=limit,
        observed=limit + 1,
        data=bytes(line[:200]),
    )


def check_bound(name: str, value: int, *, least: int = 1) -> None:
    """
    Refuse a bound that nothing could pass.

    Raises:
        ConfigurationError: It is below ``least``.
    """
    if value < least:
        raise ConfigurationError(f"{name} must be at least {least}, got {value!r}")
