"""SSEWriter: server-sent events into a socket file, a response or a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any, Protocol

from streamkit.chunk import Chunk
from streamkit.errors import ConcurrencyError, ConfigurationError
from streamkit.number import is_number
from streamkit.wire.encode import DONE, encode_comment, encode_event
from streamkit.wire.present import present_chunk, present_error, to_json

__all__ = ["SSEWriter", "write_sse"]

#: How a whole answer ends; None is an iterable that does not say. After the rest comes no [DONE].
_WHOLE = (None, "completed", "length", "tool_calls", "content_filter", "refused", "stopped")


class Writable(Protocol):
    """A file or a response: whatever has ``write``; its ``flush`` is used where it has one."""

    def write(self, data: Any, /) -> Any:
        """Take bytes, or text if it is a text file."""
        ...


Sink = Callable[[bytes], Any] | Writable


class SSEWriter:
    r"""
    Write events, each with one call of the sink and one flush.

    >>> writer = SSEWriter(print)
    >>> writer.write_event("greeting", "Hello")
    b'event: greeting\ndata: Hello\n\n'

    What the sink raises comes out unchanged: that is how a client that left is noticed.

    Thread safety: **shared**: events are never mixed. A lock is held while the sink writes, so the
    sink must not use the writer.

    Args:
        sink: A function of bytes (WSGI's ``write``), a binary or text file (``wfile``,
            ``sys.stdout``), or anything else with ``write``.

    Raises:
        ConfigurationError: The sink is none of these.
    """

    def __init__(self, sink: Sink) -> None:
        write = getattr(sink, "write", sink)
        if not callable(write):
            raise ConfigurationError(
                f"sink must be callable or have write(), got {type(sink).__name__}"
            )
        self._write: Callable[[Any], Any] = write
        self._flush: Callable[[], Any] | None = getattr(sink, "flush", None)
        self._text = hasattr(sink, "encoding")  # as text files and their wrappers have
        self._lock = Lock()  # one event at a time

    def write_event(
        self, event: str | None, data: str, id: str | int | None = None, retry: int | None = None
    ) -> None:
        """
        One event; ``None`` leaves a field out.

        Raises:
            ConfigurationError: What encode_event() refuses; nothing was written.
        """
        self._send(encode_event(event, data, id, retry))

    def write_data(self, data: str) -> None:
        """An event without a type, whose data is this text."""
        self._send(encode_event(None, data))

    def write_json(self, value: Any, event: str | None = None) -> None:
        """
        An event whose data is the value as JSON.

        Raises:
            ConfigurationError: The value is not JSON; nothing was written.
        """
        self._send(encode_event(event, to_json(value)))

    def write_progress(self, done: int, total: int | None = None) -> None:
        """
        An event ``progress``: how many of how many; percent, up to 100, where the total is known.

        Raises:
            ConfigurationError: A number below 0, or none; nothing was written.
        """
        for name, value in (("done", done), ("total", 0 if total is None else total)):
            if not (is_number(value) and value >= 0):
                raise ConfigurationError(f"{name} must be at least 0, got {value!r}")
        percent = min(100.0, round(100.0 * done / total, 1)) if total else None
        self.write_json({"done": done, "total": total, "percent": percent}, "progress")

    def write_done(self) -> None:
        """``[DONE]``: the answer came whole."""
        self.write_data(DONE)

    def write_error(self, error: BaseException | str) -> None:
        """
        An event ``error``; after it nothing more should be written, ``[DONE]`` least of all.

        Args:
            error: An exception, of which the client is told the class alone and not the message,
                or your own words for it.
        """
        self.write_json(present_error(error), "error")

    def heartbeat(self, text: str = "ping") -> None:
        """A comment: clients ignore it, proxies keep the connection, a client that left shows."""
        self._send(encode_comment(text))

    def _send(self, data: bytes) -> None:
        piece = data.decode() if self._text else data
        with self._lock:
            self._write(piece)
            if self._flush is not None:
                self._flush()


def write_sse(writer: SSEWriter | Sink, chunks: Iterable[Chunk | str]) -> None:
    """
    Write an answer: an event of JSON per chunk, then ``[DONE]``.

    A stream that was cancelled, also before it was given here, ends with a ``done`` chunk, whose
    outcome is ``cancelled``, and no ``[DONE]``: half an answer must not look whole, nor does one
    whose ``done`` chunk tells of a failure. If the chunks end with an error, or one of them
    cannot be written as JSON, an event ``error`` is written instead of ``[DONE]``, and the error is
    raised. Whatever happens the chunks are closed where they can be, so that a client that left
    stops the stream.

    Args:
        writer: An SSEWriter, or what one can be made of.
        chunks: Any iterable of chunks or texts; of a Stream, all its chunks. Give the Stream: the
            ``chunks()`` of one that is cancelled just end. A chunk that carries an ``error`` counts
            as that error.

    Raises:
        ConfigurationError: The chunks cannot be iterated, or one is something else.
        ConcurrencyError: A Stream that was used. If it has ended, nothing was written.
        BaseException: What the iterable or the sink raised, the same object.
    """
    out = writer if isinstance(writer, SSEWriter) else SSEWriter(writer)
    every = getattr(chunks, "chunks", None)  # to iterate a Stream gives its text alone
    if every is None and not isinstance(chunks, Iterable):
        raise ConfigurationError(f"write_sse() needs chunks or texts, got {type(chunks).__name__}")
    if every is not None and getattr(chunks, "outcome", None) not in (None, "cancelled"):
        raise ConcurrencyError("write_sse() needs an unused stream: the stream was used already")
    source = iter(chunks if every is None else every())
    shown = _shown(source, chunks)
    try:
        while True:
            try:
                data = next(shown, None)
            except Exception as error:
                out.write_error(error)
                raise
            if data is None:
                break
            out.write_data(data)
    finally:
        for thing in (source, chunks):
            close = getattr(thing, "close", None)
            if close is not None:
                close()


def _shown(source: Iterator[Chunk | str], stream: object) -> Iterator[str]:
    """The data of each event; the last ones say how it ended."""
    last: Chunk | None = None
    for chunk in source:
        if isinstance(chunk, Chunk):
            if chunk.error is not None:
                raise chunk.error
            last = chunk if chunk.done else last
        elif not isinstance(chunk, str):
            raise ConfigurationError(
                f"write_sse() needs chunks or texts, got {type(chunk).__name__} among them"
            )
        yield to_json(present_chunk(chunk))
    # A stream that is cancelled gives its loop no last chunk.
    outcome = getattr(stream, "outcome", None) if last is None else last.metadata.get("outcome")
    if last is None and outcome is not None:
        yield to_json({"kind": "done", "outcome": outcome})
    if outcome in _WHOLE:
        yield DONE
