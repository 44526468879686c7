"""
How the soak's client drains a stream: a function for each consumer, and what it notes down.

A consumer drives a stream to its end, or leaves it in its own way, and never looks at what is
right: that is for checker.py, when the server has told its side.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import sleep
from typing import Any

from checker import CAPITALS, History
from scenario import Scenario

import streamkit
from streamkit import Chunk, FlowConfig, Limits, Result, Stream, StreamOptions

__all__ = ["Boom", "drive"]

#: How many of the first items a slow consumer takes its time for: the ring fills, the run goes on.
SLOW_ITEMS = 30
#: Seconds within which every stream of the soak ends by itself, stalls, retries and all.
PATIENCE = 60.0

MODELS: dict[str, dict[str, Any]] = {
    "openai": {"model": "openai/m"},
    "responses": {"model": "openai/m", "api": "responses"},
    "anthropic": {"model": "anthropic/m"},
    "ollama": {"model": "ollama/m"},
    "gemini": {"model": "gemini/m"},
}


class Boom(Exception):
    """What the user's own code raises."""


class Consumer:
    """
    One stream and what its consumer notes.

    Thread safety: **confined** to whoever drains, but for the timer that cancels.
    """

    def __init__(self, plan: Scenario, base_url: str) -> None:
        self.plan = plan
        self.history = History()
        self._error: BaseException | None = None
        self._ended = False
        self._timer: threading.Timer | None = None
        self._base_url = base_url

    def run(self) -> History:
        """Drain it as its scenario says."""
        stream = self._open()
        if self.plan.cancel is not None:
            self._timer = threading.Timer(self.plan.cancel, stream.cancel)
            self._timer.start()
        try:
            CONSUMERS[self.plan.consumer](self, stream)
        except Boom as error:
            if not (self.plan.consumer == "loop-raises" and self.history.left):
                self._raised(error)
        except Exception as error:
            self._raised(error)
        if self.plan.consumer == "drop":
            if self._timer is not None:
                self._timer.cancel()
                self._timer.join()
                self._timer = None  # it holds the stream's last reference
            del stream
        else:
            self._settle(stream)
        self._error = None
        return self.history

    def _settle(self, stream: Stream) -> None:
        """The Result, from the stream itself; whoever asks for it again is told the same."""
        history = self.history
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        try:
            stream.result(PATIENCE)
            history.same &= self._error is None
        except Exception as error:
            history.same &= error is self._error
        stream._run.join(PATIENCE)  # the metrics are final when the threads are gone
        history.result, history.metrics = stream.partial, stream.metrics

    def _raised(self, error: BaseException) -> None:
        self._error = error
        self.history.raised = type(error).__name__
        partial = getattr(error, "partial", None)
        self.history.partial = None if partial is None else partial.text

    # -- making it

    def _open(self) -> Stream:
        plan = self.plan
        given = {**MODELS[plan.dialect], **plan.keywords, **self._functions()}
        if plan.retries is None:
            given["retry"] = None
        else:
            given["retry"] = {"max_retries": plan.retries, "initial": 0.01, "cap": 0.05}
        if plan.limit is not None:
            given["options"] = StreamOptions(limits=Limits(answer=plan.limit))
        if plan.consumer == "errors-counted":
            given["flow"] = FlowConfig(errors="count")
        stream = streamkit.stream(
            given.pop("model"), plan.prompt, base_url=self._base_url, api_key="k" * 20, **given
        )
        return stream.on_end(self._on_end).on_error(self._on_error)

    def _functions(self) -> dict[str, Any]:
        plan, made = self.plan, {}
        if plan.stop is not None:
            made["stop_when"] = plan.stop
        elif plan.chars is not None:
            made["stop_when"] = streamkit.StopConfig(max_chars=plan.chars)
        if plan.reject is not None:
            made["validate"] = _refuse(plan.reject, plan.boom)
        if plan.upper:
            made["transform"] = _capitals
        return made

    def _on_end(self, result: Result) -> None:
        self.history.ends += 1
        self.history.result, self.history.metrics = result, result.metrics
        self._ended = True

    def _on_error(self, error: BaseException) -> None:
        self.history.errors += 1
        self.history.late += self._ended
        if self._error is None:
            self._raised(error)  # callbacks hear of it before whoever waits
        else:
            self.history.same &= error is self._error

    # -- noting

    def note_text(self, text: str) -> None:
        """A piece of text."""
        self.history.late += self._ended and not self.history.left
        self.history.texts.append(text)
        self._dawdle()

    def note(self, chunk: Chunk) -> None:
        """A chunk of any kind."""
        history = self.history
        history.all_kinds = True
        if chunk.kind == "done":
            return
        history.late += self._ended and not history.left
        if chunk.kind == "gap":
            history.gaps += chunk.metadata["dropped"]
            return
        history.count = (history.count or 0) + 1
        history.indexes.append(chunk.index)
        if chunk.kind == "text":
            history.texts.append(chunk.content)
            history.deltas += 1
        elif chunk.kind == "reasoning":
            history.thoughts.append(chunk.content)
            history.deltas += 1
        self._dawdle()

    def _dawdle(self) -> None:
        if self.plan.slow and len(self.history.texts) < SLOW_ITEMS:
            sleep(self.plan.slow)

    def enough(self, got: int) -> bool:
        """Whether it is time to leave."""
        self.history.left |= got >= self.plan.after
        return self.history.left


def drive(plan: Scenario, base_url: str) -> History:
    """Run one stream to its end, however that comes; what was seen of it."""
    return Consumer(plan, base_url).run()


def _refuse(where: str, boom: bool) -> Callable[[Chunk], Any]:
    def check(chunk: Chunk) -> bool:
        if chunk.kind != "text" or where not in chunk.content:
            return True
        if boom:
            raise Boom("a validator")
        return False

    return check


def _capitals(chunk: Chunk) -> None:
    if chunk.kind == "text":
        chunk.content = chunk.content.translate(CAPITALS)


# The consumers.


def _for(us: Consumer, stream: Stream) -> None:
    for text in stream:
        us.note_text(text)


def _chunks(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    for chunk in stream.chunks():
        us.note(chunk)


def _batches(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    for batch in stream.batches():
        for chunk in batch:
            us.note(chunk)


def _get(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    while (chunk := stream.get(PATIENCE)) is not None:
        us.note(chunk)


def _poll(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    while not stream.done:
        chunks = stream.poll(us.plan.after if us.plan.after > 1 else None)
        for chunk in chunks:
            us.note(chunk)
        if not chunks:
            sleep(0.001)


def _result(us: Consumer, stream: Stream) -> None:
    stream.result()


def _on_text(us: Consumer, stream: Stream) -> None:
    stream.on_text(us.note_text).wait(PATIENCE)


def _on_chunk(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    stream.on_chunk(us.note).start().wait(PATIENCE)


def _on_batch(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    stream.on_batch(lambda batch: [us.note(chunk) for chunk in batch])
    if us.plan.after == 1:
        stream.result()  # in this very thread
    else:
        stream.wait(PATIENCE)


def _break(us: Consumer, stream: Stream) -> None:
    for number, text in enumerate(stream, 1):
        us.note_text(text)
        if us.enough(number):
            break


def _break_chunks(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    for number, chunk in enumerate(stream.chunks(), 1):
        us.note(chunk)
        if not chunk.done and us.enough(number):
            break


def _loop_raises(us: Consumer, stream: Stream) -> None:
    for number, text in enumerate(stream, 1):
        us.note_text(text)
        if us.enough(number):
            raise Boom("a loop body")


def _callback_raises(us: Consumer, stream: Stream) -> None:
    def call(text: str) -> None:
        us.note_text(text)
        if len(us.history.texts) >= us.plan.after:
            us.history.blew = True
            raise Boom("a callback")

    stream.on_text(call).wait(PATIENCE)


def _callback_cancels(us: Consumer, stream: Stream) -> None:
    cancel = stream.cancel

    def call(text: str) -> None:
        us.note_text(text)
        if us.enough(len(us.history.texts)):
            cancel("enough")

    stream.on_text(call).start().wait(PATIENCE)


def _errors_counted(us: Consumer, stream: Stream) -> None:
    def call(text: str) -> None:
        us.note_text(text)
        if len(us.history.texts) % 3 == 1:
            us.history.counted += 1
            raise Boom("a callback that may")

    stream.on_text(call).wait(PATIENCE)


def _drop(us: Consumer, stream: Stream) -> None:
    us.history.all_kinds, us.history.count = True, 0
    for number in range(1, us.plan.after + 1):
        chunk = stream.get(PATIENCE)
        if chunk is None:
            return
        us.note(chunk)
        us.history.left = number == us.plan.after and not chunk.done


def _close(us: Consumer, stream: Stream) -> None:
    with stream:
        for number, text in enumerate(stream, 1):
            us.note_text(text)
            if us.enough(number):
                stream.close()


CONSUMERS: dict[str, Callable[[Consumer, Stream], None]] = {
    "for": _for,
    "chunks": _chunks,
    "batches": _batches,
    "get": _get,
    "poll": _poll,
    "result": _result,
    "on_text": _on_text,
    "on_chunk": _on_chunk,
    "on_batch": _on_batch,
    "break": _break,
    "break-chunks": _break_chunks,
    "loop-raises": _loop_raises,
    "callback-raises": _callback_raises,
    "callback-cancels": _callback_cancels,
    "errors-counted": _errors_counted,
    "drop": _drop,
    "close": _close,
}
