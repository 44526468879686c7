"""
A stream over somebody else's iterable: ``wrap()``.

The reading thread pulls the iterable. Its end is the answer's end; what it raises ends the stream
as the same object. It is closed by the thread that reads it, once that is out of it, for a
generator cannot be closed while it runs and an SDK's close() is not made for a second thread. So a
cancel frees the caller at once; the foreign read ends with its next item, or at once through the
user's ``cancel=``, which must be fit to be called from any thread.

A Stream inside keeps its ending: its error is ours, its outcome too, and if it was cancelled the
answer is cut short for whoever reads it through us.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from typing_extensions import override

from streamkit.callback import check_callable
from streamkit.chunk import Chunk
from streamkit.errors import (
    ConcurrencyError,
    ConfigurationError,
    StreamkitError,
    TruncatedStream,
)
from streamkit.latch import Once
from streamkit.pipeline.options import StreamOptions
from streamkit.pipeline.run import Run
from streamkit.pipeline.shapes import ItemReader, Teller
from streamkit.pipeline.source import Source
from streamkit.pipeline.stream import Stream
from streamkit.transport.base import Aborted, Link

__all__ = ["ForeignRun", "ItemFeed", "IterableSource", "check_iterable", "wrapped"]

log = logging.getLogger("streamkit.pipeline")


class Abortable(Source, Protocol):
    """A source that no socket of ours serves, and that must be told itself when to stop."""

    def abort(self) -> None:
        """Stop; from any thread or signal handler, idempotent, never raises."""
        ...


class ForeignRun(Run):
    """
    A Run whose source is told of the end. (HTTP is told through its Link.)

    Thread safety: **shared**, as Run.
    """

    def __init__(self, source: Abortable, options: StreamOptions, **known: Any) -> None:
        super().__init__(source, options, **known)
        self._abort = source.abort

    @override
    def cut(self) -> None:
        """Close the source and wake everybody."""
        super().cut()
        self._abort()


class OuterRun(ForeignRun):
    """
    A ForeignRun over a Stream: what ended that quietly is told as our outcome.

    Thread safety: **shared**, as Run.
    """

    def __init__(
        self, inner: Stream, source: Abortable, options: StreamOptions, **known: Any
    ) -> None:
        super().__init__(source, options, **known)
        self._inner = inner

    @override
    def take(self, timeout: float | None) -> list[Chunk] | None:
        """See Run."""
        chunks = super().take(timeout)
        if chunks and chunks[-1].done:
            end, outcome = chunks[-1].metadata, self._inner.outcome
            # A stop, or a blocked prompt, has no finish reason that would have told us. Cancelled
            # it can be only if we had no need of the rest.
            if end["outcome"] == "completed" and outcome not in (None, "cancelled"):
                end["outcome"] = outcome
        return chunks


class ItemFeed:
    """
    What the feeds of foreign items have in common; they differ in ``read()``.

    The finish reason is told at the end only: it starts the grace of PROMISES.md P30, and an agent
    that streams several answers in one iterable has several.

    Thread safety: **confined** to the reading thread.
    """

    status: int | None = None
    request_id: str | None = None
    blocked: str | None = None
    failed: StreamkitError | None = None
    terminal_is_complete = True

    def __init__(self, reader: ItemReader, link: Link) -> None:
        self.received = 0
        self.finished = False
        self._reader = reader
        self._link = link
        link.clocks.connected()  # there is no connection to be made

    @property
    def finish_reason(self) -> str | None:
        """See Feed."""
        return self._reader.finish_reason if self.finished else None

    @property
    def names(self) -> tuple[str | None, str | None]:
        """See Feed."""
        return self._reader.model, self._reader.id

    def check(self) -> None:
        """
        Raise if the stream was stopped or has no time left.

        Of the clocks only ``total`` holds: the others are about a connection, which is not ours.
        """
        if self._link.aborted:
            raise Aborted
        if self._link.clocks.total_left() <= 0:
            raise self._link.clocks.expired()

    def read_item(self, item: Any) -> list[Chunk]:
        """One item -> its chunks; counts the bytes of text."""
        chunks = self._reader.read(item)
        self.received += sum(chunk.weight for chunk in chunks)
        self.finished = self._reader.done
        return chunks

    def finish(self) -> None:
        """See Feed: there is no connection to give back."""


class IterableSource:
    """
    Any iterable of texts, chunks or an SDK's items; read once.

    Thread safety: **confined** to the reading thread; abort() from anywhere.

    Args:
        iterable: Its iterator is made in the reading thread.
        cancel: Called once, by whoever stops the stream before its end.
        text: See ItemReader.
    """

    headers: Mapping[str, str] = {}
    tally: Mapping[str, float] = {}

    def __init__(
        self, iterable: Iterable[Any], cancel: Callable[[], Any] | None, text: Teller | None
    ) -> None:
        self._iterable = iterable
        self._cancel = cancel
        self._text = text
        self._taken = Once()  # by the reader, or by an abort() that came before it
        self._aborted = Once()
        self.ended = False

    def open(self, link: Link) -> IterableFeed:
        """
        Make the iterator.

        Raises:
            Aborted: The stream was cancelled before it began.
        """
        if not self._taken.take():
            raise Aborted
        return IterableFeed(self, self._iterable, ItemReader(self._text), link)

    def abort(self) -> None:
        """See Abortable."""
        if self.ended or not self._aborted.take():
            return
        if self._cancel is not None:
            quietly(self._cancel)
        if self._taken.take():  # nobody reads it, and nobody will
            close(self._iterable)


class IterableFeed(ItemFeed):
    """
    The items of an iterable, as chunks.

    Thread safety: **confined** to the reading thread.
    """

    def __init__(
        self, source: IterableSource, iterable: Iterable[Any], reader: ItemReader, link: Link
    ) -> None:
        super().__init__(reader, link)
        self._source = source
        self._iterable = iterable
        self._items: Iterator[Any] = iter(iterable)

    def read(self) -> list[Chunk] | None:
        """See Feed; raises what the iterable raises."""
        self.check()
        try:
            item = next(self._items)
        except StopIteration:
            self.finished = self._source.ended = True
            return None
        except Exception:
            if self._link.aborted:
                raise Aborted from None  # what a cut read raises is our doing
            raise
        if self._link.aborted:
            raise Aborted
        return self.read_item(item)  # also when time is up: it did arrive

    def close(self) -> None:
        """See Feed."""
        self._source.ended = True
        close(self._items)
        if self._items is not self._iterable:
            close(self._iterable)


def wrapped(
    iterable: Iterable[Any],
    options: StreamOptions,
    *,
    cancel: Callable[[], Any] | None,
    text: Teller | None,
) -> Stream:
    """
    A Stream over the iterable.

    Raises:
        ConfigurationError: It is not iterable, or is one text; a ``cancel`` or ``text`` that is
            not a plain function.
        ConcurrencyError: It is a Stream that was used.
    """
    check_iterable(iterable, "wrap()")
    check_callable(cancel=cancel, text=text)
    kind = type(iterable)
    known = {"provider": _origin(kind), "model": kind.__qualname__}
    if isinstance(iterable, Stream):
        _check_unused(iterable)
        source = IterableSource(_whole(iterable), cancel or iterable.cancel, text)
        return Stream(OuterRun(iterable, source, options, **known))
    return Stream(ForeignRun(IterableSource(iterable, cancel, text), options, **known))


def check_iterable(value: object, who: str) -> None:
    """
    Refuse what no stream can be made of, in the name of the function it was given to.

    Raises:
        ConfigurationError: It is not iterable, or is one text.
    """
    if isinstance(value, (str, bytes)) or not hasattr(type(value), "__iter__"):
        raise ConfigurationError(
            f"{who} needs an iterable of texts, chunks or events, got {type(value).__name__}"
        )


def _whole(stream: Stream) -> Iterator[Chunk]:
    """The chunks of a stream, not the text alone; raises where they would just end too early."""
    _check_unused(stream)  # again: much may have happened since wrap()
    yield from stream.chunks()
    if stream.outcome == "cancelled":
        raise TruncatedStream("the wrapped stream was cancelled", stage="body")


def _check_unused(stream: Stream) -> None:
    if stream._run.claimed:
        raise ConcurrencyError(
            "wrap() needs an unused stream, got one that was used", stream_id=stream.id
        )


def _origin(kind: type) -> str:
    """The library that a class comes from."""
    return (kind.__module__ or "wrap").partition(".")[0]


def close(thing: Any) -> None:
    """Call its ``close()`` if it has one."""
    call = getattr(thing, "close", None)
    if callable(call):
        quietly(call)


def quietly(call: Callable[[], Any]) -> None:
    """Call what stops somebody else's stream; its errors change nothing for ours."""
    try:
        call()
    except Exception:
        log.exception("foreign close failed")
