"""
Call at most once per interval, and never lose the last call.

A call that comes too early is kept, and replaced by the next: callbacks of this kind show a state,
and only the latest one counts. There is no timer thread. The kept call is made by the first call
after the interval, by flush(), or by a call whose first argument says that it is ``done``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from math import inf
from threading import Lock
from time import monotonic
from typing import Any, Generic, ParamSpec, overload

from typing_extensions import Self

from streamkit.callback import check_callable
from streamkit.errors import ConfigurationError
from streamkit.number import is_number

__all__ = ["Throttled", "throttled"]

P = ParamSpec("P")

#: No callback was given, which is not None: that is a callback somebody forgot to make.
_ABSENT: Any = object()


class Throttled(Generic[P]):
    """
    A callback that is called at most once per interval; made by ``throttled()``.

    Thread safety: **shared**. The callback never runs in two threads at once, and sees calls in
    order. A call or flush() that comes while it runs returns at once; the thread that is in it then
    makes the last call. What the callback raises goes to whoever runs it.
    """

    # One thread at a time makes calls: whoever finds _busy False. No lock is held meanwhile, so the
    # callback may call this object again.
    # Guarded by _lock: everything below except the first three.

    def __init__(
        self, callback: Callable[P, object], interval: float, clock: Callable[[], float]
    ) -> None:
        if not callable(callback):
            raise ConfigurationError(f"callback must be callable, got {callback!r}")
        check_callable(callback=callback)
        update_wrapper(self, callback)
        self._callback = callback
        self._interval = interval
        self._clock = clock
        self._lock = Lock()
        self._kept: Callable[[], object] | None = None
        self._called = -inf
        self._busy = False
        #: The kept call is the last one: make it, whatever the time is.
        self._last = False

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        with self._lock:
            self._kept = partial(self._callback, *args, **kwargs)
            if args and getattr(args[0], "done", False) is True:
                self._last = True
        self._work()

    def flush(self) -> None:
        """Make the call that is kept back, if any, without waiting for its time."""
        with self._lock:
            self._last = True
        self._work()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def _work(self) -> None:
        failure: Exception | None = None
        while (call := self._due()) is not None:
            try:
                call()
            except Exception as error:  # the last call may be waiting for us to make it
                failure = error
            finally:
                with self._lock:
                    self._busy = False
        if failure is not None:
            raise failure

    def _due(self) -> Callable[[], object] | None:
        """Take the kept call, if it may be made, and become the one thread that makes calls."""
        with self._lock:
            if self._busy:
                return None
            call, last = self._kept, self._last
            self._last = False
            now = self._clock()
            if call is None or not (last or now - self._called >= self._interval):
                return None
            self._kept = None
            self._busy = True
            self._called = now
            return call


@overload
def throttled(
    callback: Callable[P, object], interval: float = ..., *, clock: Callable[[], float] = ...
) -> Throttled[P]: ...
@overload
def throttled(
    *, interval: float = ..., clock: Callable[[], float] = ...
) -> Callable[[Callable[P, object]], Throttled[P]]: ...
def throttled(
    callback: Callable[..., object] = _ABSENT,
    interval: float = 0.1,
    *,
    clock: Callable[[], float] = monotonic,
) -> Any:
    """
    Make a callback that is called at most once per interval, and with the last value for sure.

    >>> shown = []
    >>> with throttled(shown.append, 60) as show:
    ...     for percent in range(101):
    ...         show(percent)
    >>> shown
    [0, 100]

    Without a callback it is a decorator of functions: ``@throttled(interval=0.5)``. The first call
    is made at once, a later one once the interval is over. The last one is made whatever the time
    is: the one that flush(), or the end of a ``with`` block, finds kept back, and one whose first
    argument has a true ``done``, as the last Progress and Metrics of a stream have.

    Args:
        callback: What it returns is ignored.
        interval: Least seconds from call to call, at least 0. 0.1 is the seeds'; more often than
            that nobody sees.
        clock: Gives monotonic seconds.

    Raises:
        ConfigurationError: An interval that is no number of seconds from 0, or a callback that
            cannot be called.
    """
    if not (is_number(interval) and interval >= 0):
        raise ConfigurationError(f"interval must be at least 0 seconds, got {interval!r}")
    if callback is _ABSENT:
        return partial(Throttled, interval=interval, clock=clock)
    return Throttled(callback, interval, clock)
