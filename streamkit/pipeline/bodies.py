"""
Bodies for web frameworks: a stream as server-sent events or as lines of JSON.

How it ends, which the status line cannot tell any more:

    the answer is over     -> its ``done`` chunk, and in events ``[DONE]``
    the stream was stopped -> its ``done`` chunk, with the outcome ``cancelled``, and no ``[DONE]``
    it failed              -> an error in safe words, and no ``[DONE]``
    it was used elsewhere  -> the same: there is nothing left to send
    the client left        -> the server calls close(), which stops the stream; no more bytes
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from streamkit.chunk import Chunk, Outcome
from streamkit.errors import ConcurrencyError, StreamkitError
from streamkit.wire.encode import DONE, encode_event
from streamkit.wire.present import present_chunk, present_error, to_json

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Body", "NDJSONBody", "SSEBody"]

log = logging.getLogger("streamkit.pipeline")


class Streaming(Protocol):
    """What a body needs of a Stream."""

    @property
    def id(self) -> str:
        """Named in the log."""
        ...

    @property
    def outcome(self) -> Outcome | None:
        """How it ended."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """A generator; closing it stops the stream."""
        ...

    def cancel(self) -> None:
        """Stop; from any thread, idempotent."""
        ...


class Body(ABC):
    """
    A stream as an iterable of bytes, which sends its request when the first bytes are asked for.

    An error does not come out of the loop: where a server would log it and break the connection,
    the client is told in the format's own way. ``on_error``, ``result()`` and the log have it.

    Thread safety: **shared**: close() from any thread; one loop at a time, a second one raises
    ConcurrencyError while the stream runs and gets nothing after it, as any loop after close().
    """

    def __init__(self, stream: Streaming) -> None:
        self._stream = stream
        self._read = False
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        stream = self._stream
        if self._closed or (self._read and stream.outcome is not None):
            return
        self._read = True
        chunks = stream.chunks()
        last: bytes | None = None
        try:
            for chunk in chunks:
                if chunk.done:
                    last = self._end(present_chunk(chunk))
                else:
                    yield self._numbered(present_chunk(chunk), chunk.metadata.get("seq"))
        except ConcurrencyError:
            raise  # nothing the client should know of: another loop has the stream
        except Exception as error:
            last = self._failed(error)
        finally:
            chunks.close()  # type: ignore[attr-defined]
        if self._closed:
            return
        if last is None and stream.outcome == "cancelled":  # it gives its loop no last chunk
            last = self._end({"kind": "done", "outcome": "cancelled"})
        elif last is None:
            last = self._failed(ConcurrencyError("the stream was used already"))
        yield last

    def close(self) -> None:
        """Stop the stream, unless it has ended; servers call it when the client is gone."""
        self._closed = True  # first: the loop sees the cancel and then this
        self._stream.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _failed(self, error: Exception) -> bytes:
        """The last bytes after an error, which goes to the log."""
        _tell(self._stream.id, error)
        return self._failure(present_error(error))

    @abstractmethod
    def _piece(self, shown: dict[str, Any]) -> bytes:
        """One thing that is shown, in the body's own format."""

    def _numbered(self, shown: dict[str, Any], seq: object) -> bytes:
        """The same, with its place in the log where the stream comes out of one (follow())."""
        return self._piece({**shown, "seq": seq} if type(seq) is int else shown)

    def _end(self, shown: dict[str, Any]) -> bytes:
        return self._piece(shown)

    def _failure(self, shown: dict[str, Any]) -> bytes:
        return self._piece(shown)


class SSEBody(Body):
    """
    Server-sent events: JSON per chunk, then ``[DONE]``, or an event ``error``.

    After the outcome ``cancelled`` there is no ``[DONE]``: half an answer must not look whole. The
    events of a stream made by ``follow()`` carry ``id:``, which a browser that comes back sends as
    Last-Event-ID.

    Thread safety: **shared**; see Body.
    """

    @override
    def _piece(self, shown: dict[str, Any]) -> bytes:
        return encode_event(None, to_json(shown))

    @override
    def _numbered(self, shown: dict[str, Any], seq: object) -> bytes:
        return encode_event(None, to_json(shown), seq if type(seq) is int else None)

    @override
    def _end(self, shown: dict[str, Any]) -> bytes:
        last = self._piece(shown)
        return last if shown.get("outcome") == "cancelled" else last + encode_event(None, DONE)

    @override
    def _failure(self, shown: dict[str, Any]) -> bytes:
        return encode_event("error", to_json(shown))


class NDJSONBody(Body):
    """
    A JSON object per line; the last one is of kind ``done`` or ``error``.

    Thread safety: **shared**; see Body.
    """

    @override
    def _piece(self, shown: dict[str, Any]) -> bytes:
        return to_json(shown).encode() + b"\n"


def _tell(stream_id: str, error: Exception) -> None:
    """A user's own exception is a bug of theirs that no loop of theirs will show."""
    own = not isinstance(error, StreamkitError)
    log.warning(
        "body ends with an error id=%s error=%s",
        stream_id, type(error).__name__, exc_info=error if own else None,
    )  # fmt: skip
