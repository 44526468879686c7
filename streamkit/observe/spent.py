"""
Where the time of a stream went, as its consumer saw it.

Every moment from the first use to the end belongs to one of five, so that they add up to the whole:

    handler      the user's code has the chunks: a callback, the body of a loop
    connect      the consumer waits, and the answer's headers are not read yet; attempts that
                 failed, and the waits between them, are part of it
    first_token  the consumer waits, the headers are read, and no content came yet
    provider     the consumer waits for more content, and none has come
    queue        the rest: content was there and not handed out yet: the buffer, a batch that is
                 held together, a rate limit, our own work

The consumer's waits are what the network cost *it*: while a handler is busy the provider's time is
free, and is not counted. Between two calls of get() or poll() the time is the handler's if the
first of them brought chunks, else it is a wait.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Ledger", "TimeSpent", "divide"]

#: Seconds of connect, first_token, provider and handler, up to an instant, which comes last.
Ledger = tuple[float, float, float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeSpent:
    """
    Where the time went, in seconds that add up to the duration of the stream.

    Thread safety: **immutable**.

    Args:
        connect: Waiting, until the headers of the answer.
        first_token: Waiting, from the headers to the first content.
        provider: Waiting for more content.
        queue: Content was there, but not handed out yet.
        handler: The user's own code.
    """

    connect: float = 0.0
    first_token: float = 0.0
    provider: float = 0.0
    queue: float = 0.0
    handler: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.connect + self.first_token + self.provider + self.queue + self.handler


def divide(
    since: float, until: float, opened: float | None, first: float | None, last: float | None
) -> tuple[float, float, float]:
    """
    A wait -> the seconds of it that are connect, first_token and provider; what is left is queue.

    Args:
        since: The instant the wait began; ``until`` the one it ended.
        opened: When the headers were read; None while they are not.
        first: When the first content came; ``last`` when the latest did.
    """
    begun = until if first is None else min(max(first, since), until)
    answered = begun if opened is None else min(max(opened, since), begun)
    # Content that came while we waited ends the provider's part; the rest is our hand-over.
    came = until if last is None or last <= since else min(last, until)
    return answered - since, begun - answered, came - begun
