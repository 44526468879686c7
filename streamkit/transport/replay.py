"""
A transport that plays a recording: the same bytes in the same pieces, when they came, and the same
errors. Nothing is sent.

Of the clocks only ``total`` holds here. What the others did is in the recording.
"""

from __future__ import annotations

import base64
import math
from binascii import Error as NotBase64
from collections.abc import Mapping
from time import monotonic
from typing import Any

from streamkit.errors import (
    ConfigurationError,
    ConnectError,
    LimitExceeded,
    ProtocolError,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
    TransportError,
)
from streamkit.latch import Latch
from streamkit.number import is_number
from streamkit.request import Request
from streamkit.transport.base import Aborted, Link
from streamkit.transport.record import DETAILS
from streamkit.transport.tape import TapeReader

__all__ = ["ReplayStream", "ReplayTransport"]

#: What a transport may raise.
_ERRORS: Mapping[str, type[StreamkitError]] = {
    kind.__name__: kind
    for kind in (
        ConfigurationError, ConnectError, LimitExceeded, ProtocolError, StreamInterrupted,
        StreamTimeout, TransportError,
    )
}  # fmt: skip


class ReplayTransport:
    """
    The attempts of a recording, one after the other.

    Thread safety: **confined** to the reading thread; abort() from anywhere.

    Args:
        tape: The file, read up to the first attempt.
        speed: How much faster than it was; None or 0 never waits.

    Raises:
        ConfigurationError: A speed that is no such number.
    """

    def __init__(self, tape: TapeReader, speed: float | None) -> None:
        if speed is not None and not (is_number(speed) and 0 <= speed < math.inf):
            raise ConfigurationError(
                f"speed must be a number of at least 0, or None, got {speed!r}"
            )
        self._tape = tape
        self._speed = speed or 0.0
        self._aborted = Latch()
        self._after = 0.0
        self._last = 0.0

    def abort(self) -> None:
        """Wake a wait for what comes next; from any thread or signal handler."""
        self._aborted.set()

    def pause(self) -> float | None:
        """
        Seconds that the next attempt waits after the end of this one, if there is a next.

        Raises:
            ConfigurationError, ProtocolError: The file is gone, torn or changed.
        """
        line = self._skip()
        if line is None:
            return None
        return self._scaled(max(0.0, _number(line, "after") - self._after - self._last))

    def open(self, request: Request, link: Link) -> ReplayStream:
        """
        Begin the next attempt: wait for its head, or for what it failed with.

        Raises:
            Aborted: The stream was stopped.
            StreamTimeout: The ``total`` clock ran out.
            ProtocolError: The recording ends before it, or is malformed.
            StreamkitError: As recorded.
        """
        link.clocks.connected()
        link.clocks.grace = math.inf  # what was waited for, and in vain, is in the recording
        line = self._skip()
        if line is None:
            raise ProtocolError("the recording has no further attempt", stage="connect")
        self._after = _number(line, "after")
        self._tape.advance()
        stream = ReplayStream(self, link, monotonic())
        stream.begin()
        return stream

    def close(self) -> None:
        """See Transport.close: there is nothing to close."""

    def next(self) -> Mapping[str, Any]:
        """
        The next line of the attempt that plays; it stays the next until taken.

        Raises:
            ProtocolError: There is none.
        """
        line = self._tape.peek()
        if line is None or "attempt" in line:
            raise ProtocolError(
                "the recording ends in the middle of an answer: its process was killed, the disk "
                "was full, or it is being written"
            )
        self._last = _number(line, "at")
        return line

    def take(self) -> None:
        """Go on to the line after."""
        self._tape.advance()

    def wait(self, at: float, began: float, link: Link) -> None:
        """
        Wait until that long after the beginning of the attempt.

        Raises:
            Aborted: The stream was stopped; at once.
            StreamTimeout: The ``total`` clock ran out, or the timer of the link wants no more.
        """
        due = began + self._scaled(at)
        while True:
            if link.aborted or self._aborted.is_set:
                raise Aborted
            try:
                timed = link.tick()
            except TimeoutError:
                raise link.clocks.expired() from None
            total = link.clocks.total_left()
            if total <= 0:
                raise link.clocks.expired()
            left = due - monotonic()
            if left <= 0:
                return
            self._aborted.wait(min(left, timed, total))

    def _scaled(self, seconds: float) -> float:
        return seconds / self._speed if self._speed else 0.0

    def _skip(self) -> Mapping[str, Any] | None:
        """Past what was not read of an attempt, to the line that begins the next."""
        while (line := self._tape.peek()) is not None:
            if "attempt" in line:
                return line
            self._last = _number(line, "at")
            self._tape.advance()
        return None


class ReplayStream:
    """
    The answer of one recorded attempt.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, transport: ReplayTransport, link: Link, began: float) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._transport = transport
        self._link = link
        self._began = began

    def begin(self) -> None:
        """Wait for the head; see ReplayTransport.open."""
        line = self._wait()
        if "end" in line:
            self._end(line)
            raise ProtocolError("the recording has an end where a head was due", stage="headers")
        status, headers = line.get("status"), line.get("headers")
        if type(status) is not int or not isinstance(headers, dict):
            raise ProtocolError("the recording has no head of an answer", stage="headers")
        self.status = status
        self.headers = {name: str(value) for name, value in headers.items()}
        self._transport.take()

    def read(self) -> bytes:
        """See ByteStream.read; raises also what the recording says that was raised."""
        line = self._wait()
        if "end" in line:
            return self._end(line)
        data = _data(line)
        self._transport.take()
        return data

    def read_error_body(self, limit: int) -> bytes:
        """See ByteStream.read_error_body; a recording that is torn raises."""
        body = b""
        while len(body) < limit and (data := self.read()):
            body += data
        return body[:limit]

    def finish(self) -> None:
        """See ByteStream.finish: nobody waits for the rest."""

    def close(self) -> None:
        """See ByteStream.close: there is no connection."""

    def _wait(self) -> Mapping[str, Any]:
        line = self._transport.next()
        self._transport.wait(_number(line, "at"), self._began, self._link)
        return line

    def _end(self, line: Mapping[str, Any]) -> bytes:
        """How the attempt ended; the line stays where it is, for who asks once more."""
        how = line["end"]
        if how in ("body", "finished"):
            return b""
        if how == "error":
            raise _error(line.get("error"))
        # In the middle, or after the finish reason, which makes a break of it that does no harm.
        raise StreamInterrupted(
            "the recording ends here: the stream was stopped while it was recorded",
            retryable=False, stage="body",
        )  # fmt: skip


def _error(told: Any) -> StreamkitError:
    kind = _ERRORS.get(str(told.get("type"))) if isinstance(told, dict) else None
    if kind is None:
        return ProtocolError("the recording ends with an error of no known kind")
    details = {name: told[name] for name, of in DETAILS.items() if isinstance(told.get(name), of)}
    return kind(str(told.get("message", "")), **details)


def _number(line: Mapping[str, Any], name: str) -> float:
    value = line.get(name)
    if not is_number(value) or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ProtocolError(f"the recording has a line without the time {name!r}")
    return float(value)  # type: ignore[arg-type]


def _data(line: Mapping[str, Any]) -> bytes:
    text, coded = line.get("text"), line.get("base64")
    data = b""
    try:
        if isinstance(text, str):
            data = text.encode("utf-8")
        elif isinstance(coded, str):
            data = base64.b64decode(coded, validate=True)
    except (UnicodeEncodeError, NotBase64, ValueError):
        pass
    if not data:
        raise ProtocolError("the recording has a read without bytes")
    return data
