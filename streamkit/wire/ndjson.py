"""
Newline-delimited JSON: bytes -> one JSON text per line (Ollama).

Source: WIRE_FORMATS 1.3. JSON strings escape LF, so a line is a value.
"""

from __future__ import annotations

from streamkit.wire.jsontext import is_whole
from streamkit.wire.lines import MAX_EVENT, LineDecoder, check_bound

__all__ = ["NDJSONDecoder"]

_BLANK = " \t\r"


class NDJSONDecoder:
    """
    Bytes in any split -> JSON texts; the split changes neither the texts nor the error.

    >>> decoder = NDJSONDecoder()
    >>> decoder.feed(b'{"a": 1}\\r\\n\\n{"a"'), decoder.feed(b': 2}'), decoder.flush()
    (['{"a": 1}'], [], ['{"a": 2}'])

    Only LF and CRLF end a line; blank lines are skipped. UTF-8 and errors as in LineDecoder: texts
    that were complete before an error are returned first, the next call raises it.

    Thread safety: **confined**.

    Args:
        max_event: Most bytes of one line, a CR before its LF included. At least 1, else
            ConfigurationError. PROMISES.md P60.
    """

    #: Whether the format begins as JSON does; see Decoder in providers/base.py.
    reads_json = True

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        check_bound("max_event", max_event)
        self._lines = LineDecoder(max_line=max_event, lone_cr=False)

    @property
    def replaced(self) -> int:
        """Bad pieces of UTF-8 replaced by U+FFFD so far."""
        return self._lines.replaced

    def feed(self, data: bytes) -> list[str]:
        """
        Take bytes, give the texts they complete.

        Raises:
            LimitExceeded: A line is over ``max_event``.
        """
        return [line for line in self._lines.feed(data) if line.strip(_BLANK)]

    def flush(self) -> list[str]:
        """
        End of input: the last line, if it has no end.

        A last value without LF is data: only a line end is missing, and writers may leave it out.
        An object that is not whole was cut there and is left out: whoever reads the values knows
        whether one is missing. What is no object is given as it is, so that an error can show it.

        Raises:
            LimitExceeded: Found by a feed() that had texts to return.
        """
        rest = [line.strip(_BLANK) for line in self._lines.flush()]
        return [line for line in rest if line and (line[0] != "{" or is_whole(line))]
