"""
The attempt loop: open, pump, judge the ending, ask the policies whether to try again.

``run()`` is a generator of chunk lists, one per network read, so the same loop serves the caller's
own thread (``direct``) and a producer thread. It ends quietly after a list whose last chunk is
``done``, or raises what ended the stream. Whatever was received is given out before that.

Endings are decided by protocol, not by the end of the body (DESIGN.md section 2):

    the provider's terminal event, or a finish reason at the end  -> complete
    a break or a clock after a finish reason                      -> complete
    a clean end with neither                                      -> TruncatedStream
    a break with neither                                          -> StreamInterrupted

What broke before its first content is retried; what broke after it is carried on, if the user asked
for that (carry.py). Then nothing is flushed: half a unit, half a character wait for the rest.

Before any of these comes the user's word: a stop ends the answer as ``stopped``, a validator or any
other function of the user that says no ends it with what it said. Either closes upstream at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import time

from streamkit.chunk import Attempt, Chunk, Outcome
from streamkit.errors import (
    ConfigurationError,
    LimitExceeded,
    ProviderError,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
    TruncatedStream,
)
from streamkit.latch import Latch
from streamkit.observe.counters import Counters
from streamkit.pipeline.carry import Carry
from streamkit.pipeline.source import Feed, Source
from streamkit.pipeline.tail import Tail
from streamkit.providers.finish import finish_class
from streamkit.recovery.retry import RetryPolicy
from streamkit.transport.base import Aborted, Link

__all__ = ["Attempts"]

log = logging.getLogger("streamkit.pipeline")

_OUTCOMES: dict[str, Outcome] = {
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "refused",
}


class Attempts:
    """
    All requests of one stream, until one becomes the answer.

    Thread safety: **confined** to the reading thread; its attributes may be read anywhere.

    Args:
        source: Opens each attempt.
        tail: Records what every attempt brings.
        link: Clocks and abort; shared by all attempts.
        policy: Whether and when to try again; None never.
        cancelled: Wakes a wait between attempts.
        counters: The received side of the metrics.
        on_retry: Called with the failed Attempt before each wait; what it raises ends the stream.
        carry: Carries an answer on that broke after its first content; None never.
        beats: Give out [] for a read that completed no chunk, so that whoever takes the lists in
            this very thread can look at the time.
    """

    def __init__(
        self,
        *,
        source: Source,
        tail: Tail,
        link: Link,
        policy: RetryPolicy | None,
        cancelled: Latch,
        counters: Counters,
        on_retry: Callable[[Attempt], None] | None = None,
        carry: Carry | None = None,
        beats: bool = False,
    ) -> None:
        self._source = source
        self._tail = tail
        self._link = link
        self._policy = policy
        self._cancelled = cancelled
        self._counters = counters
        self._on_retry = on_retry
        self._carry = carry
        self._verdict: tuple[StreamkitError, float | None] | None = None
        self._beats = beats
        #: One entry per attempt, the present one included once its headers are read.
        self.made: tuple[Attempt, ...] = ()
        self.request_id: str | None = None
        #: What came due while nothing came, where nobody else takes it; goes before what comes.
        self.late: list[Chunk] = []
        self._number = 0
        #: True once a byte of a body came: from then on errors carry a partial result.
        self.answered = False

    def run(self) -> Iterator[list[Chunk]]:
        """Chunk lists as they come; see the top of the file."""
        tail, now = self._tail, self._link.clocks.now
        # The first look at the time starts the clock of max_seconds.
        held = tail.tick(time(), now())
        if self._carry is not None and self._carry.resumes:
            for lot in self._carry.prepare(tail, 1, None, time()):
                held += lot
        yield from self._given(held)
        while not tail.stopped:
            self._link.begin_attempt()
            self._number += 1
            self.request_id = None
            try:
                yield from self._one()
                return
            except Aborted:
                return
            except StreamkitError as error:
                if tail.stopped:
                    break  # its time was up before an answer had begun
                delay = self._failed(error)
                if delay is None and self._carry is None:
                    raise
                broken = error
            yield from self._between(broken, delay)
            if self._cancelled.is_set:
                return
        yield from self._let_go()
        yield [tail.done("stopped", time())]

    def _let_go(self) -> Iterator[list[Chunk]]:
        """The user's word ends the answer where it waits for a rest: what is held is shown."""
        yield from self._belated()
        yield from self._given(self._tail.flush(time(), broken=True))
        if self._tail.error is not None:
            raise self._tail.error

    def _between(self, broken: StreamkitError, delay: float | None) -> Iterator[list[Chunk]]:
        """From one attempt to the next: the wait, and what comes due meanwhile."""
        tail, carry, now = self._tail, self._carry, self._link.clocks.now
        yield from self._belated()  # of the read that broke: no other may follow
        no_way: ConfigurationError | None = None
        if delay is not None:
            until = now() + delay
            while not tail.ended and not self._cancelled.wait(self._patience(until)):
                yield from self._given(tail.tick(time(), now()))
                if now() >= until:
                    break
            if tail.error is not None:
                yield from self._let_go()
            if tail.stopped or self._cancelled.is_set:
                return
            self._counters.retries += 1
            if carry is None or not tail.content:
                return
            try:
                for held in carry.prepare(tail, self._number + 1, broken, time()):
                    yield from self._given(held)
                return
            except ConfigurationError as error:
                log.debug("recovery failed error=%s", error)  # it cannot be asked for the rest
                no_way = error.with_traceback(None)
        # Nothing will come to complete what is held.
        yield from self._given(tail.flush(time(), broken=True))
        assert carry is not None
        raise broken if broken is tail.error else carry.failed(broken, no_way)  # the user's: itself

    def _patience(self, until: float) -> float:
        """Seconds to wait now: until the next attempt, or until something is due."""
        due, now = self._tail.due(), self._link.clocks.now()
        return max(0.0, (until if due is None else min(until, due)) - now)

    def _given(self, chunks: list[Chunk]) -> Iterator[list[Chunk]]:
        if chunks:
            self._counters.chunks_received += len(chunks)
            yield chunks

    def _one(self) -> Iterator[list[Chunk]]:
        tail = self._tail
        feed = self._source.open(self._link)
        try:
            self._counters.answered(self._link.clocks.now())
            self.request_id = feed.request_id
            self.made += (Attempt(self._number, feed.status, feed.request_id),)
            yield from self._pump(feed)
            if tail.stopped:
                feed.close()  # at once: what the provider still makes is paid for
                yield [tail.done("stopped", time())]
                return
            outcome = self._judge(feed)
            yield [tail.done(outcome, time())]
            feed.finish()
        finally:
            feed.close()

    def _pump(self, feed: Feed) -> Iterator[list[Chunk]]:
        """Everything the body holds, and what was held back, whatever ends it."""
        tail = self._tail
        try:
            yield from self._read(feed)
        except Aborted:
            raise
        except (StreamInterrupted, StreamTimeout) as error:
            if not (tail.ended or _decided(feed)) and self._goes_on(error):
                raise  # what is held waits for the rest
            broken = not (tail.ended or _decided(feed))
            yield from self._held(feed, broken=broken)
            if broken:
                raise
        except Exception as error:  # of a foreign source: anything
            if not self._goes_on(error):
                yield from self._held(feed, broken=True)
            raise
        else:
            broken = not (tail.ended or (_finishes(feed) and feed.failed is None))
            if broken and self._goes_on(cut := feed.failed or self._truncated()):
                raise cut
            yield from self._held(feed, broken=broken)
        if tail.error is not None:
            raise tail.error

    def _read(self, feed: Feed) -> Iterator[list[Chunk]]:
        tail, clocks, counters, late = self._tail, self._link.clocks, self._counters, self.late
        timed = counters.timed
        seen = quiet = 0
        finishing = False
        while not feed.finished:
            chunks = feed.read()
            if late:
                yield from self._belated()
            if chunks is None:
                return
            # Floods that bring no content never wait, so no clock of waiting stops them.
            if seen - quiet > tail.quiet_limit:
                raise LimitExceeded(
                    f"over {tail.quiet_limit} bytes came without content",
                    limit=tail.quiet_limit, observed=seen - quiet,
                )  # fmt: skip
            self.answered = True
            counters.bytes_received += feed.received - seen
            seen = feed.received
            if chunks:
                before = tail.content
                now = clocks.now()
                chunks = tail.feed(chunks, time(), now)
                counters.chunks_received += len(chunks)
                if tail.content != before:
                    quiet = seen
                    counters.arrived(now)
                    if not finishing:
                        clocks.progressed()
                    if not before:
                        tail.model, tail.id = feed.names
                if chunks or self._beats:
                    yield chunks
                    if timed:
                        counters.resumed(clocks.now())
                if tail.ended:
                    return
                if (over := tail.over) is not None:
                    raise over
            elif self._beats:
                yield chunks
                if timed:
                    counters.resumed(clocks.now())
            if finishing:
                if clocks.over():
                    return
            elif _decided(feed):
                finishing = True
                clocks.finishing()

    def _held(self, feed: Feed, *, broken: bool) -> Iterator[list[Chunk]]:
        yield from self._belated()
        self._tail.model, self._tail.id = feed.names
        self._tail.finish_reason = feed.finish_reason
        yield from self._given(self._tail.flush(time(), broken=broken))

    def _belated(self) -> Iterator[list[Chunk]]:
        if self.late:
            late = self.late.copy()
            self.late.clear()
            yield late

    def _judge(self, feed: Feed) -> Outcome:
        tail, reason = self._tail, feed.finish_reason
        if feed.failed is not None:
            raise feed.failed
        if reason is None and feed.blocked is not None:
            return "content_filter"
        if reason is None:
            if not (feed.finished and (tail.content or feed.terminal_is_complete)):
                raise self._truncated()
            kind = "stop"
        else:
            kind = finish_class(reason)
        if kind == "error":
            raise ProviderError(f"the provider stopped with finish reason {reason!r}", stage="body")
        if kind in ("stop", "other") and tail.has_calls:
            # Ollama, Gemini and old LM Studio say stop (WIRE_FORMATS.md 14); others, new words.
            return "tool_calls"
        if kind == "stop" and tail.has_refusal:
            return "refused"
        return _OUTCOMES.get(kind, "completed")

    def _truncated(self) -> TruncatedStream:
        where = "" if self._tail.content else " before any content,"
        return TruncatedStream(f"the answer ended{where} without a finish reason", stage="body")

    def _goes_on(self, error: Exception) -> bool:
        """Whether the answer broke with this, and will be carried on."""
        if not isinstance(error, StreamkitError):
            return False
        if not self._tail.content:
            left, policy = self._link.clocks.total_left(), self._policy
            if policy and policy.delay(error, failures=self._number, total_left=left) is not None:
                self._tail.forget_tags()  # a retry makes them anew; else they would be text now
            return False
        if self._carry is None:
            return False
        return self._delay(error) is not None

    def _delay(self, error: StreamkitError) -> float | None:
        """Seconds to wait before another attempt, None for none; decided once for each error."""
        if self._verdict is None or self._verdict[0] is not error:
            delay, left = None, self._link.clocks.total_left()
            # What a function of the user raised may look like a failure of the network.
            if error is self._tail.error:
                pass
            elif self._tail.content:
                delay = None if self._carry is None else self._carry.delay(error, left)
            elif self._policy is not None:
                delay = self._policy.delay(error, failures=self._number, total_left=left)
            self._verdict = error, delay
        return self._verdict[1]

    def _failed(self, error: StreamkitError) -> float | None:
        """Note a failed attempt; seconds to wait before the next, or None to give up."""
        delay, number = self._delay(error), self._number
        self._verdict = None  # it holds the error, whose traceback holds us
        # An error inside a stream has no status of its own; the answer it came in had one.
        status = error.status or next((begun.status for begun in self.made[number - 1 :]), None)
        self.request_id = error.request_id or self.request_id
        attempt = Attempt(number, status, self.request_id, error, delay or 0.0)
        self.made = (*self.made[: number - 1], attempt)
        self._counters.failed()
        log.debug("attempt failed number=%d error=%s delay=%s", number, type(error).__name__, delay)
        if delay is not None:
            error.__traceback__ = None  # kept in Attempt: its frames would keep the answer alive
            if self._on_retry is not None:
                self._on_retry(attempt)
        return delay


def _finishes(feed: Feed) -> bool:
    """Whether the answer's end was told, by a reason or by the terminal event."""
    return feed.finished or _decided(feed)


def _decided(feed: Feed) -> bool:
    """Whether the provider has said how the answer ends."""
    return feed.finish_reason is not None or feed.blocked is not None or feed.failed is not None
