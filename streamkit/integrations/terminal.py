r"""
Text on its way to a terminal: shown, never obeyed.

A terminal obeys what a model writes: a few bytes set the clipboard, hide a line, fake a link or
rename the window. ``printable`` takes each control character for itself, without state, so a
sequence that comes torn over two chunks is as harmless as a whole one, and what followed the
control character stays readable. Source: PROMISES.md S9.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from functools import cache
from typing import TextIO

__all__ = ["Screen", "printable"]

#: C0 without tab and newline, DEL, C1, the bidirectional controls, and lone surrogates, which no
#: encoding can write and some error handlers turn back into raw bytes.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""
    The text with each character that a terminal would obey written out.

    >>> print(printable("\x1b]0;owned\x07 and plain\u202etext"))
    \x1b]0;owned\x07 and plain\u202etext

    Tab and newline stay; a carriage return is left out, so that CRLF reads as a newline and nothing
    is overwritten. ``printable(a + b) == printable(a) + printable(b)``, wherever the cut falls.
    """
    text = text.replace("\r", "")
    return text.translate(_written_out()) if _OBEYED.search(text) else text


@cache
def _written_out() -> Mapping[int, str]:
    # A table: a function called for each character took 6 s for 16 MiB of escapes (measured).
    obeyed = _OBEYED.findall("".join(map(chr, range(0x10000))))
    return {ord(found): ascii(found)[1:-1] for found in obeyed}


class Screen:
    """
    One of the standard streams.

    A terminal gets ``printable`` text in its own encoding; a pipe or a file gets the text as it is,
    in UTF-8. What the encoding lacks is written as an escape: nothing raises UnicodeEncodeError.

    Thread safety: **confined**.

    Args:
        stream: Its encoding and error handler are set for good. None, which Python puts where it
            found the stream closed, swallows everything.
        always: Filter for a pipe or a file too: such text often reaches a terminal later.
    """

    def __init__(self, stream: TextIO | None, *, always: bool = False) -> None:
        self._stream = stream
        self._is_terminal = stream is not None and stream.isatty()
        self._filtered = always or self._is_terminal
        self._in_line = False
        if isinstance(stream, io.TextIOWrapper):
            encoding = None if self._is_terminal else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")

    def write(self, text: str) -> None:
        """
        Show the text at once.

        Raises:
            OSError: The stream takes no more: BrokenPipeError where its reader has gone.
        """
        if self._filtered:
            text = printable(text)
        if self._stream is None or not text:
            return
        self._in_line = not text.endswith("\n")
        self._stream.write(text)
        self._stream.flush()

    def line(self, text: str) -> None:
        """Show the text as one line: line breaks and runs of blanks in it become one blank."""
        self.write(" ".join(text.split()) + "\n")

    def end_line(self) -> None:
        """On a terminal, go to the start of a line; a pipe or a file gets nothing added."""
        if self._is_terminal and self._in_line:
            self.write("\n")

    def abandon(self) -> None:
        """Nobody reads: let what is still buffered go nowhere, without a complaint at exit."""
        if self._stream is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
