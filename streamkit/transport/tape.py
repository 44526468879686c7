"""
The file of a recording: one JSON object a line, each with a check that hangs on all before it.

The first line says what was recorded, the others what happened, in order:

    {"format": 1, ...}                               facts of the stream, for who plays it
    {"attempt": 1, "after": 0.0}                     seconds since the first attempt began
    {"at": 0.1, "status": 200, "headers": {...}}     seconds since this attempt began
    {"at": 0.2, "text": "..."}                       one read; "base64" where it is no UTF-8
    {"at": 0.3, "end": "body"}                       or "finished", "left", "error" with "error"

``check``, the last member, is the CRC-32 of the line without it, begun with the one before. So no
line can be changed, lost or moved without being seen, and what stands before a tear is readable.
Everything is ASCII: a file that is shown on a terminal commands nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from zlib import crc32

from streamkit.errors import ConfigurationError, ProtocolError
from streamkit.process import generation

__all__ = ["FORMAT", "TapeReader", "TapeWriter"]

FORMAT = 1

_CHECK = ',"check":"%08x"}\n'
_TAIL = len(_CHECK % 0)

#: A read has 64 KiB, an error body what ``Limits.error_body`` says; JSON makes six of one byte. A
#: longer line was not written by us. Chosen; not measured.
LONGEST = 64 * 1024 * 1024

#: Not every system has them.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_BINARY = getattr(os, "O_BINARY", 0)


class TapeWriter:
    """
    Writes the lines, each to the system at once.

    The file is made by the first line, for its owner alone. One that exists is never written to,
    and no link is followed.

    Thread safety: **confined**.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._made: tuple[int, int] | None = None
        self._file: int | None = None
        self._check = 0
        self._generation = generation()

    def write(self, line: Mapping[str, Any]) -> None:
        """
        Add a line; nothing in a forked child, whose parent writes the file.

        Raises:
            OSError: It could not be written; it may be there in part.
        """
        if self._generation != generation():
            return  # a fork closes the stream it inherited, which its parent goes on recording
        if self._file is None:
            self._file = self._open()
        text = json.dumps(line, separators=(",", ":"))
        self._check = crc32(text.encode(), self._check)
        data = memoryview((text[:-1] + _CHECK % self._check).encode())
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close the file until the next line."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # every line had been written
                os.close(file)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | _NO_LINK | _BINARY
        if self._made is None:
            file = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        else:
            file = os.open(self.path, flags)
        found = os.fstat(file)
        here = (found.st_dev, found.st_ino)
        if self._made not in (None, here):
            os.close(file)
            raise FileExistsError(f"another file took the place of {self.path}")
        self._made = here
        return file


class TapeReader:
    """
    Reads the lines, and believes none whose check is wrong.

    Thread safety: **confined**.

    Raises:
        ConfigurationError: There is no such file, or it is no recording of a format known here.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._place = 0
        self._check = 0
        self._ahead: Mapping[str, Any] | None = None
        if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
            # To open a pipe may take for ever, and it cannot be read line by line, as is done here.
            raise ConfigurationError(f"a recording must be a plain file, which {path!r} is not")
        try:
            head = self.peek()
        except ProtocolError:
            head = None
        if head is None or "format" not in head:
            raise ConfigurationError(f"no recording, or one that was changed: {path!r}")
        if head["format"] != FORMAT:
            raise ConfigurationError(
                f"the format of a recording must be {FORMAT}, got {head['format']!r}"
            )
        self.facts: Mapping[str, Any] = head
        self.advance()

    def peek(self) -> Mapping[str, Any] | None:
        """
        The next line; None at the end of the file.

        Raises:
            ConfigurationError: The file cannot be read.
            ProtocolError: The line was torn off, or changed.
        """
        if self._ahead is None:
            line = self._read()
            if not line:
                return None
            self._ahead = self._parsed(line)
        return self._ahead

    def advance(self) -> None:
        """Go on to the line after the one last seen."""
        self._ahead = None

    def _read(self) -> bytes:
        # Opened for each line: no file stays open while a stream waits, or is dropped.
        try:
            with open(self.path, "rb") as file:
                file.seek(self._place)
                return file.readline(LONGEST)
        except OSError as error:
            raise ConfigurationError(
                f"the recording {self.path!r} cannot be read: {error.strerror or error}"
            ) from None

    def _parsed(self, line: bytes) -> Mapping[str, Any]:
        text, tail = line[:-_TAIL] + b"}", line[-_TAIL:]
        check = crc32(text, self._check)
        if tail != (_CHECK % check).encode():
            raise ProtocolError("the recording is torn or changed here", data=line[:200])
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProtocolError("the recording has a line that is no record", data=line[:200])
        self._place += len(line)
        self._check = check
        return found
