"""
A stream written into a store while it runs, for other threads and processes to follow.

Who does what. The consumer thread drains the stream, runs the callbacks, and puts what it took into
the *outbox*. The publisher thread takes it out in batches, appends them, and renews the lease; so
the lease lives while a callback takes its time and while the provider is silent, in every mode.

When the store cannot be written the publisher keeps its batch and tries again, up to ``grace``
seconds. The outbox fills meanwhile, the consumer waits for room in it, and the stream's own buffer
does what its policy says.

How it ends. The stream is not over before its end is in the store, so who waited for it may exit,
or resume it. After a cancel, or when a callback raised, nobody waits: the entry that says so
follows as soon as may be. A process that is killed leaves what was appended, and its readers find
it gone, or its lease run out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from math import inf
from operator import attrgetter
from threading import Thread, current_thread
from time import monotonic
from typing import Any, Literal

from streamkit.chunk import Chunk, Result
from streamkit.errors import (
    BufferClosed,
    ConcurrencyError,
    ConfigurationError,
    ConnectError,
    StoreError,
    StoreUnavailable,
)
from streamkit.flow.batch import Batch, BatchConfig, ChunkBatcher
from streamkit.flow.ring import StreamBuffer
from streamkit.latch import Latch
from streamkit.number import is_number
from streamkit.pipeline.consumer import Drain, open_drain
from streamkit.pipeline.failures import error_to_json
from streamkit.pipeline.hooks import length
from streamkit.pipeline.ledger import chunk_to_json, end_to_json
from streamkit.pipeline.run import Run
from streamkit.process import forget, remember
from streamkit.store import AppendReply, StreamStore, Writer, open_store
from streamkit.store.base import RENEW

__all__ = ["Publisher", "publish"]

log = logging.getLogger("streamkit.store")

#: What may wait between the two threads: some batches, and no more bytes than a ring holds.
ROOM, BYTES = 64, 4 * 1024 * 1024

#: Seconds before an append is tried again; doubles up to the second number. Chosen: a store that
#: was busy for a moment is soon asked again, one that is gone not often.
AGAIN, MOST = 0.05, 1.0


def publish(
    run: Run,
    store: str | StreamStore,
    id: str | None,
    *,
    lease: float,
    retain: float,
    grace: float,
    on_lost: Literal["fail", "takeover"],
) -> None:
    """See Stream.publish()."""
    if not (is_number(grace) and 0 <= grace < inf):
        raise ConfigurationError(f"grace must be seconds, 0 or more, got {grace!r}")
    if run.claimed or run.ended.is_set:
        raise ConcurrencyError("publish() needs an unused stream", stream_id=run.id)
    run.check_process()
    shared, name = open_store(store), run.id if id is None else id
    _check_apart(run, shared, name)
    writer = shared.claim(
        name,
        lease=lease,
        retain=retain,
        meta=_meta(run),
        on_lost=on_lost,
        policy="restart",  # the request is made anew
    )
    try:
        drain = open_drain(run)
        if drain is None:
            raise ConcurrencyError("publish() needs an unused stream", stream_id=run.id)
        publisher = Publisher(run, writer, grace=grace)
    except BaseException:
        give_up(writer)
        raise
    publisher.start(drain)


def _check_apart(run: Run, store: StreamStore, name: str) -> None:
    """Recovery would claim the id that was just claimed, and find it busy."""
    kept = run.options.recovery
    if kept is None or kept.store is None or (kept.id or run.id) != name:
        return
    if open_store(kept.store) is store:
        raise ConfigurationError(
            f"recovery keeps this answer in that store as {name[:80]!r} already: give publish() "
            "another id, or recovery no store, for what is published can be resumed as well"
        )


def give_up(writer: Writer) -> None:
    """Give the lease back; where that fails it runs out by itself."""
    try:
        writer.close()
    except Exception as error:  # of a store from outside: anything
        log.debug("lease not given back id=%r error=%s", writer.id[:80], type(error).__name__)


def _meta(run: Run) -> Mapping[str, Any]:
    """Whose stream it is; and what was asked, if the text that is kept is the model's own."""
    options = run.options
    meta: Mapping[str, Any] = {"provider": run.provider, "model": run.model}
    shaped = options.transform is not None or options.strip or run.lossy
    shaped = shaped or run.resumes is not None  # which shows the rest of its answer only
    if run.describe is not None and not shaped:
        try:
            meta = run.describe()
        except ConfigurationError as error:  # JSON cannot say the request: it is not kept
            log.debug("request not kept id=%s because=%s", run.id, error)
    return {**meta, "stream": run.id}


class Publisher:
    """
    The publisher thread of one stream, and its outbox.

    Thread safety: **shared**: the consumer thread gives, the publisher thread appends.
    """

    def __init__(self, run: Run, writer: Writer, *, grace: float) -> None:
        self._run = run
        self._writer = writer
        self._grace = grace
        self._outbox: StreamBuffer[Chunk] = StreamBuffer(
            ROOM, max_bytes=BYTES, size_of=attrgetter("weight")
        )
        self._batcher: ChunkBatcher[Chunk] = ChunkBatcher(BatchConfig(), size_of=length)
        self._renew_at = monotonic() + writer.lease * RENEW
        self._never = Latch()
        #: What the consumer thread found at a quiet end, before it closed the outbox.
        self._result: Result | None = None
        #: What the reader ended with, found there too.
        self._failure: BaseException | None = None
        self._thread = Thread(target=self._work, name=f"streamkit-publisher-{run.id}", daemon=True)

    def start(self, drain: Drain) -> None:
        """
        Start both threads; whatever is raised, the lease is given back.

        Raises:
            ConnectError: No thread can be started; the stream has failed with it.
        """
        run = self._run
        remember(self)  # first: it may be over, and forgotten, as soon as it is started
        try:
            self._thread.start()
        except RuntimeError as error:
            self._dismiss()
            raised = ConnectError(
                f"no thread for the publisher: {error}", kind="resources", retryable=False
            )
            run.fail(raised)
            run.release()
            raise raised from None
        except BaseException:  # Ctrl-C while we waited for it to begin: it may run or not
            run.cancel("interrupted")
            self._dismiss()
            raise
        try:
            run.start_consumer(lambda: self._consume(drain))
        except BaseException:
            self._dismiss()  # it writes that the stream has failed
            raise

    def _dismiss(self) -> None:
        """
        The stream is over before it began, which the thread says in the store, where there is one.

        The lease is the thread's to give back then: who did it here might be quicker, and readers
        would hear that the publisher is lost.
        """
        self._outbox.close()
        if self._thread.ident is None:
            forget(self)
            give_up(self._writer)
        else:
            self.join(MOST)

    def stop(self) -> None:
        """See Stoppable: the stream itself is stopped, and then this has little left to do."""

    def join(self, timeout: float) -> None:
        """See Stoppable."""
        if self._thread is not current_thread():
            self._thread.join(timeout)

    # -- the consumer thread

    def _consume(self, drain: Drain) -> None:
        run = self._run
        run.only_calls = True
        try:
            while (chunks := drain.next(delivered=True, settles=False)) is not None:
                self._outbox.push_many(chunks)
            if drain.final is not None:
                self._result = run.settled_result(drain.final.metadata["outcome"])
                self._outbox.close()
                self._thread.join()
            drain.end()
        except BufferClosed:
            pass  # the publisher gave up, and told the stream why
        except BaseException as error:
            if run.failed_with(error):
                self._failure = error
                self._outbox.close()
                self._thread.join()
                run.fail(error)
            # else settled; either way result() and wait() raise it
        finally:
            self._outbox.close()
            drain.leave()

    # -- the publisher thread

    def _work(self) -> None:
        try:
            self._pump()
            self._finish()
        except StoreError as error:
            log.debug("publishing ended id=%s error=%s", self._run.id, type(error).__name__)
            if self._failure is None:
                self._run.break_off(error)
        except BaseException as error:  # of a store from outside: anything
            self._run.break_off(error)
        finally:
            self._outbox.abort()
            forget(self)
            give_up(self._writer)

    def _pump(self) -> None:
        """Everything from the outbox into the store."""
        batcher = self._batcher
        while True:
            now = monotonic()
            due = min(inf if (due := batcher.due()) is None else due, self._renew_at)
            try:
                chunks = self._outbox.pop_many(ROOM, timeout=max(0.0, due - now))
            except TimeoutError:
                self._append(batcher.tick(monotonic()))
            else:
                if not chunks:
                    break
                self._append(batcher.feed(chunks, monotonic()))
            if monotonic() >= self._renew_at:
                self._heed(self._ask(self._writer.renew))
        self._append(batcher.close())

    def _append(self, batches: list[Batch[Chunk]]) -> None:
        for batch in batches:
            items = [chunk_to_json(chunk) for chunk in batch]
            self._heed(self._ask(lambda items=items: self._writer.append(items)))  # type: ignore[misc]

    def _heed(self, reply: AppendReply) -> None:
        """Somebody may ask to cancel; not once the end is written, which is what all are told."""
        if reply.cancel_requested:
            self._run.cancel(reply.reason)

    def _finish(self) -> None:
        """The entry that ends the stream."""
        run, result, error = self._run, self._result, self._run.error or self._failure
        if run.outcome == "cancelled" or (result is None and error is None):
            said = end_to_json(run.settled_result("cancelled"))
            self._ask(lambda: self._writer.cancelled(said))
        elif error is not None:
            failure = error_to_json(error)
            self._ask(lambda: self._writer.fail(failure))
        elif result is not None:
            ending = end_to_json(result)
            self._ask(lambda: self._writer.end(ending))

    def _ask(self, call: Callable[[], AppendReply]) -> AppendReply:
        """One call to the store, repeated while it is away: it writes nothing twice."""
        until, delay = None, AGAIN
        while True:
            try:
                reply = call()
                break
            except StoreUnavailable:
                now = monotonic()
                until = now + self._grace if until is None else until
                if now >= until or self._run.outcome == "cancelled":
                    raise
            # A cancel ends the wait; after a failure there is nothing left to be woken by.
            alarm = self._never if self._run.ended.is_set else self._run.ended
            alarm.wait(min(delay, until - now))
            delay = min(2 * delay, MOST)
        self._renew_at = monotonic() + self._writer.lease * RENEW
        return reply
