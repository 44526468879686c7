"""
The handle a user holds: the verbs of a stream, each a few lines over one Run.

A Stream is an Iterable and not an Iterator: each ``iter(s)`` is a fresh generator, so a ``break``,
an exception in the loop body or a dropped temporary closes the stream at once, by CPython's
reference counting, without the garbage collector.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from threading import current_thread
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from streamkit.callback import check_callable
from streamkit.chunk import Chunk, Outcome, Result
from streamkit.errors import ConcurrencyError, ConfigurationError
from streamkit.flow.batch import Batch, BatchConfig, ChunkBatcher
from streamkit.observe.metrics import Metrics
from streamkit.observe.progress import Progress
from streamkit.pipeline.bodies import NDJSONBody, SSEBody
from streamkit.pipeline.consumer import Drain, open_drain
from streamkit.pipeline.hooks import HOOKS, length
from streamkit.pipeline.pull import Pull, check_timeout
from streamkit.pipeline.run import Run

if TYPE_CHECKING:
    from typing_extensions import Self

    from streamkit.store import StreamStore

__all__ = ["Stream"]

#: How long close() waits for a callback that is running; PROMISES.md P14 allows 250 ms.
CLOSE_PATIENCE = 0.2


class Stream:
    """
    One answer, as it comes, made by ``stream()``, ``wrap()`` and the like. Begun at the first use.

    Thread safety: **shared**. One consumer drains it (a loop, the consumer thread, or get/poll); a
    second raises ConcurrencyError. Everything else may be called from any thread at any time.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pull = Pull(run)
        self._made_at = _caller()

    # -- loops

    def __iter__(self) -> Iterator[str]:
        """
        The text, delta by delta.

        Raises, inside the loop:
            StreamkitError: What ended the stream, after all text that arrived.
            ConcurrencyError: The stream has another consumer.
        """
        run = self._run
        if (drain := open_drain(self._run)) is None:
            return
        try:
            while (chunks := drain.next()) is not None:
                for chunk in drain.hand_out(chunks):
                    if chunk.kind == "text" and chunk.content:
                        yield chunk.content
                        if run.ended.is_set:
                            return
            drain.end()
        finally:
            drain.leave()

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of every kind; a quiet end adds a last one of kind ``done``."""
        run = self._run
        if (drain := open_drain(self._run)) is None:
            return
        try:
            while (chunks := drain.next()) is not None:
                for chunk in drain.hand_out(chunks):
                    yield chunk
                    if run.ended.is_set:
                        return
            drain.end()
            if drain.final is not None:
                yield drain.final
        finally:
            drain.leave()

    def batches(
        self, size: int | None = None, *, max_wait: float | None = None
    ) -> Iterator[Batch[Chunk]]:
        """
        The chunks in lists: as soon as ``size`` are there, or ``max_wait`` seconds after the first.

        What is left at the end comes as a last, shorter list, also before an error. In ``direct``
        mode the time is looked at when the next bytes come. Without arguments: the batch options.
        Each list says why it left when it did: ``batch.trigger``.

        Raises:
            ConfigurationError: A size below 1, a negative wait.
        """
        config = self._run.options.batch or BatchConfig()
        if size is not None or max_wait is not None:
            size = config.effective_size if size is None else size
            wait = config.timeout if max_wait is None else max_wait
            if wait is not None and (not isinstance(wait, (int, float)) or not wait >= 0):
                raise ConfigurationError(f"max_wait must be seconds, 0 or more, got {wait!r}")
            config = BatchConfig(size=size, timeout=wait, min_size=1, max_size=size, adaptive=False)
        return self._batches(ChunkBatcher(config, size_of=length))

    def _batches(self, batcher: ChunkBatcher[Chunk]) -> Iterator[Batch[Chunk]]:
        if (drain := open_drain(self._run)) is None:
            return
        try:
            more = True
            while more:
                due = batcher.due()
                try:
                    patience = None if due is None else max(0.0, due - monotonic())
                    chunks = drain.next(patience, settles=False)
                except Exception as error:
                    for batch in batcher.close():
                        drain.count(batch)
                        yield batch
                    if not drain.failed(error):
                        return
                    raise
                if chunks is None:
                    more = False
                    ready = [] if self._run.ended.is_set else batcher.close()
                else:
                    ready = batcher.feed(chunks, monotonic()) if chunks else []
                    ready += batcher.tick(monotonic())
                for batch in ready:
                    drain.count(batch)
                    drain.handing()
                    began = monotonic()
                    yield batch
                    batcher.handled(drain.handled(began) - began)
                    if self._run.ended.is_set:
                        return
            drain.end()
        finally:
            drain.leave()

    # -- one at a time

    def get(self, timeout: float | None = None) -> Chunk | None:
        """
        The next chunk; None at the end.

        In ``direct`` mode the time is looked at between network reads only.

        Args:
            timeout: Seconds to wait; None waits as long as the clocks allow.

        Raises:
            TimeoutError: Nothing came in time; the stream goes on. A StreamTimeout, which ended it,
                is one too: catch that first.
            ValueError: A timeout that is no number of seconds, 0 or more.
            StreamkitError: What ended the stream, once, after the last chunk.
        """
        check_timeout(timeout)
        return self._pull.get(timeout)

    def poll(self, max_items: int | None = None) -> list[Chunk]:
        """
        What is there now; never blocks. For timers: Tk ``after``, Qt timers, game loops.

        ``[]`` means nothing now, or the end: ask ``done``. The error that ended the stream is
        raised once, after the last chunks were given out.

        Raises:
            ConfigurationError: In ``direct`` mode, where nobody reads ahead; use ``buffered``. A
                ``max_items`` below 1.
        """
        if self._run.options.mode == "direct":
            raise ConfigurationError("poll() needs a reading thread: use mode='buffered'")
        if max_items is not None and (not isinstance(max_items, int) or max_items < 1):
            raise ConfigurationError(f"max_items must be a number of at least 1, got {max_items!r}")
        return self._pull.poll(max_items)

    # -- callbacks

    def on_text(self, call: Callable[[str], Any]) -> Self:
        """Call with each text delta."""
        return self.hook("on_text", call)

    def on_chunk(self, call: Callable[[Chunk], Any]) -> Self:
        """Call with each chunk, the ``done`` chunk last."""
        return self.hook("on_chunk", call)

    def on_batch(self, call: Callable[[list[Chunk]], Any]) -> Self:
        """Call with Batches, lists of chunks, grouped by the batch options."""
        return self.hook("on_batch", call)

    def on_metrics(self, call: Callable[[Metrics], Any]) -> Self:
        """Call every metrics interval, and once at the end."""
        return self.hook("on_metrics", call)

    def on_progress(self, call: Callable[[Progress], Any]) -> Self:
        """Call at most every StreamOptions.progress_interval, and once at the end."""
        return self.hook("on_progress", call)

    def on_error(self, call: Callable[[BaseException], Any]) -> Self:
        """Call once with what ended the stream, if it did not end quietly."""
        return self.hook("on_error", call)

    def on_end(self, call: Callable[[Result], Any]) -> Self:
        """Call once with the Result, last of all, however the stream ended."""
        return self.hook("on_end", call)

    def hook(self, name: str, call: Callable[[Any], Any]) -> Self:
        """
        Register a callback by name: ``s.hook("on_text", f)`` is ``s.on_text(f)``.

        ``on_retry``, which has no method, gets the failed Attempt before the wait for the next.
        """
        if name not in HOOKS:
            raise ConfigurationError(f"no callback is called {name!r}")
        if not callable(call):
            raise ConfigurationError(f"{name} must be callable, got {type(call).__name__}")
        check_callable(**{name: call})
        if self._run.claimed:
            raise ConcurrencyError(f"{name} must be given before the stream is used")
        getattr(self._run.hooks, name).append(call)
        return self

    # -- a thread of its own

    def start(self) -> Self:
        """
        Drain in a consumer thread, which owns the stream until its end; returns at once.

        Raises:
            ConcurrencyError: The stream has a consumer already.
        """
        drain = open_drain(self._run)
        if drain is not None:
            self._run.start_consumer(lambda: _drain_all(drain))
        return self

    def publish(
        self,
        store: str | StreamStore,
        id: str | None = None,
        *,
        lease: float = 15.0,
        retain: float = 600.0,
        grace: float = 10.0,
        on_lost: Literal["fail", "takeover"] = "fail",
    ) -> Self:
        """
        start(), and write the stream into a store while it runs, for ``follow()`` elsewhere.

        What is written is what the callbacks get, in batches of some 5 chunks or 25 ms. The request
        is kept with it, without keys, so that StreamRecovery can carry a lost stream on; not where
        ``transform``, ``strip`` or a lossy buffer make the text another than the model's, and not
        by the stream that resume() gives, whose rest is no answer by itself. The only
        consumers in this process are callbacks: another one is a follower.

        wait() and result() return once the end is in the store. A request to cancel
        (``store.cancel(id)``) is seen at the next batch, or within a third of the lease.

        Args:
            store: A URL, or a store.
            id: What followers call it; None is the stream's own id.
            lease: Seconds without a sign of life after which this process counts as lost.
            retain: Seconds the store keeps the stream after its end.
            grace: Seconds that the store may be away; then the stream ends with StoreUnavailable.
            on_lost: ``takeover`` writes on under the id of a stream that is lost, failed or
                cancelled; its followers are told to begin anew.

        Raises:
            StreamBusy, StreamEnded: The id is taken; nothing was sent.
            StoreError: The store cannot be used; nothing was sent.
            ConfigurationError: A bad URL, id or number.
            ConcurrencyError: The stream has a consumer already.
        """
        from streamkit.pipeline.publish import publish

        publish(self._run, store, id, lease=lease, retain=retain, grace=grace, on_lost=on_lost)
        return self

    def wait(self, timeout: float | None = None) -> Result:
        """
        Wait for the end (starting the consumer thread if nobody drains); the Result.

        Raises:
            TimeoutError: It has not ended in time; the stream goes on.
            ValueError: A timeout that is no number of seconds, 0 or more; nothing is sent.
            BaseException: What ended it, the same object every time.
            ConcurrencyError: Called from the thread that drains: it would wait for itself.
        """
        check_timeout(timeout)
        if (drain := self._claim()) is not None:
            self._run.start_consumer(lambda: _drain_all(drain))
        return self._wait(timeout)

    def result(self, timeout: float | None = None) -> Result:
        """
        The Result: drives the stream to its end if nobody else does; never sends twice.

        After a quiet ending, a break or a cancel it returns; else it raises what the loop raised.

        Raises:
            TimeoutError: It has not ended in time; the stream goes on.
            ValueError: A timeout that is no number of seconds, 0 or more; nothing is sent.
            BaseException: What ended it, the same object every time.
            ConcurrencyError: Called from the thread that drains: it would wait for itself.
        """
        check_timeout(timeout)
        if (drain := self._claim()) is not None:
            if timeout is None:
                _drain_all(drain)
            else:
                self._run.start_consumer(lambda: _drain_all(drain))
        return self._wait(timeout)

    def _wait(self, timeout: float | None) -> Result:
        run = self._run
        end = None if timeout is None else monotonic() + timeout
        mine = run.drainer is current_thread()
        if not run.ended.is_set:
            if mine:
                raise ConcurrencyError(
                    "this thread drains the stream: waiting here for its end would never end",
                    stream_id=run.id,
                )
            try:
                ended = run.ended.wait(timeout)
            except KeyboardInterrupt:
                run.cancel("interrupted")  # Ctrl-C in a wait means the stream, as in a loop
                raise
            if not ended:
                raise TimeoutError(f"the stream has not ended within {timeout:g} s")
        if run.outcome != "cancelled" and not mine:
            # on_end and on_error have returned when we do, unless that takes longer than we have; a
            # cancel waits for no callback.
            run.told.wait(None if end is None else max(0.0, end - monotonic()))
        if run.error is not None:
            raise run.error
        return run.result()

    # -- stopping

    def cancel(self, reason: str = "") -> None:
        """
        Stop now: wake every waiter, close the connection. ``reason`` is for the log.

        Idempotent; from any thread, a callback, a signal handler, ``__del__``. The outcome is
        ``cancelled``, unless the stream had ended.
        """
        self._run.cancel(reason)

    def close(self) -> None:
        """
        cancel(), then wait up to 0.2 s for a callback of the consumer thread that is running.

        on_text, on_chunk and on_batch are not called after it returned. Where a loop in another
        thread drains, the final callbacks (on_progress, on_end) run there, when it notices.
        """
        run = self._run
        run.cancel()
        thread = run.consumer
        started = thread is not None and thread.ident is not None
        if thread is not None and started and thread is not current_thread() and not run.inherited:
            thread.join(CLOSE_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        run = getattr(self, "_run", None)
        if run is None:
            return  # __init__ was never reached, or refused what it was given
        if run.consumer is not None or run.ended.is_set or run.inherited:
            return
        begun = run.begun
        run.cancel()
        if begun:
            warnings.warn(
                f"unclosed stream {run.id}, made at {self._made_at}; iterate it to its end, use "
                "'with', or call close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    # -- bodies for web frameworks

    def sse(self) -> SSEBody:
        """
        The stream as server-sent events: an iterable of bytes, for a web framework's response.

        Send it with SSE_HEADERS. An error becomes an event in safe words, without ``[DONE]`` after
        it. When the server closes the body, because the client left, the stream is stopped.
        """
        return SSEBody(self)

    def ndjson(self) -> NDJSONBody:
        """The same as lines of JSON."""
        return NDJSONBody(self)

    # -- snapshots

    def count(self, name: str, n: float = 1) -> None:
        """Add to a counter of your own, which the metrics report; from any thread."""
        self._run.counters.count(name, n)

    @property
    def partial(self) -> Result:
        """The Result so far; never blocks, never raises."""
        return self._run.result()

    @property
    def metrics(self) -> Metrics:
        """The numbers so far."""
        return self._run.metrics()

    @property
    def progress(self) -> Progress:
        """How far the answer has come, in deltas of the provider, whatever units are shown."""
        return self._run.progress()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the last HTTP answer, names in lower case; empty before it."""
        return self._run.headers

    @property
    def request_id(self) -> str | None:
        """The provider's id of the request, for its support desk."""
        return self._run.request_id

    @property
    def id(self) -> str:
        """Our id of the stream: in log records, thread names and errors."""
        return self._run.id

    @property
    def done(self) -> bool:
        """Whether the stream has ended and everything was taken out."""
        run = self._run
        return run.ended.is_set and (run.outcome == "cancelled" or not self._pull.holds)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None while it runs."""
        return self._run.outcome

    def __repr__(self) -> str:
        run = self._run
        state = run.outcome or ("running" if run.begun else "not started")
        return f"<Stream {run.id} {run.provider}/{run.model} {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stream cannot be pickled: send its Result, or open it on the other side")

    # -- inside

    def _claim(self) -> Drain | None:
        """Become the consumer; None if there is one, or the stream has ended."""
        run = self._run
        run.check_process()
        if run.claimed or run.ended.is_set:
            return None
        try:
            return Drain(run)
        except ConcurrencyError:
            return None  # another thread was quicker


def _drain_all(drain: Drain) -> None:
    """Run a stream to its end for its callbacks and its Result; wait() raises what ended it."""
    drain.run.only_calls = True
    try:
        while drain.next(delivered=True) is not None:
            pass
        drain.end()
    except (KeyboardInterrupt, SystemExit):
        if drain.run.consumer is None:
            raise
    except BaseException:
        pass  # settled: result() and wait() raise it
    finally:
        drain.leave()


def _caller() -> str:
    """file:line of the first frame outside this library: where the user made the stream."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("streamkit."):
        frame = frame.f_back
    return "unknown" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
