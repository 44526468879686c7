"""
A transport that writes down what another one brings: when, in which pieces, and how it ended.

What a server sends is kept, what it was sent is not: no prompt, no body, no key. A key that it
echoes is masked, in headers, bytes and errors; not one that comes in disguise (escaped in a way
JSON does not need, or as words of an answer, which is then the answer's text everywhere).

Recording never harms a stream: where the disk fails, one warning is logged, and no more is written.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Protocol

from streamkit.errors import StreamkitError
from streamkit.request import MASK, Request
from streamkit.transport.base import Aborted, ByteStream, Link, Transport
from streamkit.transport.mask import Mask
from streamkit.transport.tape import TapeWriter

__all__ = ["DETAILS", "Cleaner", "RecordingTransport"]

log = logging.getLogger("streamkit.transport")

#: Headers whose value is nobody's business, whatever it is.
PRIVATE = frozenset({
    "api-key", "authorization", "cookie", "proxy-authenticate", "proxy-authorization", "set-cookie",
    "set-cookie2", "www-authenticate", "x-amz-security-token", "x-api-key", "x-goog-api-key",
})  # fmt: skip

#: What is kept of an error beside its class and its words.
DETAILS: Mapping[str, type | tuple[type, ...]] = {
    "stage": str,
    "retryable": bool,
    "kind": str,
    "clock": str,
    "limit": (int, float),
    "observed": (int, float),
    "elapsed": (int, float),
}


class Cleaner(Protocol):
    """Knows the secrets of one request."""

    secrets: tuple[str, ...]

    def text(self, text: str) -> str:
        """The text without secrets."""
        ...

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers with lower-case names and clean values."""
        ...


class RecordingTransport:
    """
    Another transport, recorded attempt by attempt; for one stream.

    Thread safety: **confined** to the reading thread, as one stream uses it.

    Args:
        inner: What opens the requests.
        tape: The file.
        facts: The first line.
        cleaner: Knows the secrets of a request.
    """

    def __init__(
        self,
        inner: Transport,
        tape: TapeWriter,
        facts: Mapping[str, Any],
        cleaner: Callable[[Request], Cleaner],
    ) -> None:
        self._inner = inner
        self._record = _Record(tape, facts)
        self._cleaner = cleaner

    def open(self, request: Request, link: Link) -> RecordingStream:
        """See Transport.open."""
        cleaner = self._cleaner(request)
        self._record.begin(cleaner)
        try:
            stream = self._inner.open(request, link)
        except BaseException as error:
            self._record.failed(error)
            raise
        self._record.answered(stream.status, stream.headers)
        return RecordingStream(stream, self._record)

    def close(self) -> None:
        """See Transport.close."""
        self._inner.close()


class RecordingStream:
    """
    The answer to one request, recorded as it is read.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, inner: ByteStream, record: _Record) -> None:
        self.status: int = inner.status
        self.headers: Mapping[str, str] = inner.headers
        self._inner = inner
        self._record = record

    def read(self) -> bytes:
        """See ByteStream.read."""
        try:
            data = self._inner.read()
        except BaseException as error:
            self._record.failed(error)
            raise
        if data:
            self._record.came(data)
        else:
            self._record.ended("body")
        return data

    def read_error_body(self, limit: int) -> bytes:
        """See ByteStream.read_error_body."""
        try:
            body = self._inner.read_error_body(limit)
        except BaseException as error:
            self._record.failed(error)
            raise
        if body:
            self._record.came(body)
        self._record.ended("body")
        return body

    def finish(self) -> None:
        """See ByteStream.finish."""
        self._record.ended("finished")
        self._inner.finish()

    def close(self) -> None:
        """See ByteStream.close."""
        self._inner.close()  # first: nobody upstream waits for our disk
        # Let go of as the inner one does: they may echo the key, and an error's frames hold us.
        self.headers = self._inner.headers
        self._record.ended("left")


class _Record:
    """
    The lines of one recording, made of what happens.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(self, tape: TapeWriter, facts: Mapping[str, Any]) -> None:
        self._tape = tape
        self._facts = facts
        self._number = 0
        self._first = self._began = 0.0
        self._open = False
        self._broken = False
        self._cleaner: Cleaner | None = None
        self._mask: Mask[float] = Mask(())

    def begin(self, cleaner: Cleaner) -> None:
        """An attempt begins."""
        self._cleaner, self._mask = cleaner, Mask(cleaner.secrets)
        self._began = monotonic()
        self._number += 1
        if self._number == 1:
            self._first = self._began
            self._write({k: self._clean(v) for k, v in self._facts.items()})
        self._write({"attempt": self._number, "after": round(self._began - self._first, 6)})
        self._open = True

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The head of the answer is there."""
        assert self._cleaner is not None  # begin() was called
        clean = self._cleaner.headers(headers)
        shown = {name: MASK if name in PRIVATE else value for name, value in clean.items()}
        self._write({"at": self._now(), "status": status, "headers": shown})

    def came(self, data: bytes) -> None:
        """A read gave bytes."""
        self._write_reads(self._mask.feed(self._now(), data))

    def failed(self, error: BaseException) -> None:
        """The attempt ended with this error; not if it was one of ours that says it was stopped."""
        if isinstance(error, StreamkitError):
            details = {
                name: self._clean(value)
                for name, kind in DETAILS.items()
                if isinstance(value := getattr(error, name, None), kind)
            }
            told = {"type": type(error).__name__, "message": self._clean(str(error)), **details}
            self.ended("error", error=told)
        elif isinstance(error, Aborted) or not isinstance(error, Exception):
            self.ended("left")
        else:  # of a hook in the user's own session
            message = self._clean(f"{type(error).__name__}: {error}")
            self.ended("error", error={"type": "TransportError", "message": message})

    def ended(self, how: str, **more: Any) -> None:
        """The attempt is over; what comes after that is not told."""
        if not self._open:
            return
        self._write_reads(self._mask.flush())
        self._write({"at": self._now(), "end": how, **more})
        self._open = False
        self._tape.close()

    def _now(self) -> float:
        return round(monotonic() - self._began, 6)

    def _clean(self, value: Any) -> Any:
        assert self._cleaner is not None  # begin() was called
        return self._cleaner.text(value) if isinstance(value, str) else value

    def _write_reads(self, pieces: list[tuple[float, bytes]]) -> None:
        for at, data in pieces:
            try:
                read = {"text": data.decode("utf-8")}
            except UnicodeDecodeError:
                read = {"base64": base64.b64encode(data).decode("ascii")}
            self._write({"at": at, **read})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._broken:
            return
        try:
            self._tape.write(line)
        except OSError as error:
            self._broken = True
            self._tape.close()
            log.warning(
                "recording stopped path=%r error=%s", self._tape.path, error.strerror or error
            )
