"""
Where the chunks of one attempt come from.

A Source opens one attempt at a time and gives a Feed, which the attempt loop pumps. Over HTTP that
is a request, its answer's bytes and a new head (http.py); other kinds of source give chunks the
same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from streamkit.chunk import Chunk
from streamkit.errors import StreamkitError
from streamkit.transport.base import Link

__all__ = ["Feed", "Source"]


class Feed(Protocol):
    """
    The chunks of one attempt.

    Thread safety: **confined** to the reading thread.
    """

    status: int | None
    request_id: str | None
    #: Bytes of the body so far.
    received: int

    @property
    def finish_reason(self) -> str | None:
        """The provider's word for why it stopped; None while it has not."""
        ...

    @property
    def blocked(self) -> str | None:
        """Why the prompt was refused under status 200; None if it was not."""
        ...

    @property
    def failed(self) -> StreamkitError | None:
        """What the service said went wrong, while it may still say more; None if nothing."""
        ...

    @property
    def finished(self) -> bool:
        """True once the provider's terminal event came."""
        ...

    @property
    def terminal_is_complete(self) -> bool:
        """Whether the terminal event alone makes an answer complete, without content."""
        ...

    @property
    def names(self) -> tuple[str | None, str | None]:
        """The model that answers and the id of the answer, as far as known."""
        ...

    def read(self) -> list[Chunk] | None:
        """The next chunks, maybe none yet; None at the end of the body. Raises what went wrong."""
        ...

    def finish(self) -> None:
        """The answer is complete: give the connection back if that is cheap."""
        ...

    def close(self) -> None:
        """Let everything go; idempotent."""
        ...


class Source(Protocol):
    """
    Opens attempts.

    Thread safety: **confined** to the reading thread; ``headers`` may be read anywhere.
    """

    #: Of the last answer, an error included; lower-case names, no secrets.
    headers: Mapping[str, str]
    #: What was wrong with the bytes of all attempts and was let pass; part of Metrics.counters.
    tally: Mapping[str, float]

    def open(self, link: Link) -> Feed:
        """Begin an attempt; blocks until the headers are read."""
        ...
