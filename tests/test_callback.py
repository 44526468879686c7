"""What counts as a function that is given to be called: an ``async def`` does not."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest

from streamkit import (
    BufferConfig,
    ChunkAggregator,
    ConfigurationError,
    FlowController,
    ProgressTracker,
    StopConfig,
    StreamingCoordinator,
    StreamOptions,
    Transform,
    Validate,
    throttled,
    wrap,
)
from streamkit.callback import async_kind, check_callable
from streamkit.pipeline.hooks import HOOKS
from streamkit.stages.moderate import content_moderation, validate_sources


async def _coroutine(*_: Any) -> bool:
    return True


async def _generator(*_: Any) -> AsyncIterator[bool]:
    yield True


class _Called:
    async def __call__(self, *_: Any) -> None: ...

    async def method(self, *_: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (_coroutine, "a coroutine"),
        (partial(_coroutine, 1), "a coroutine"),
        (_Called(), "a coroutine"),
        (_Called().method, "a coroutine"),
        (_generator, "an async generator"),
        (print, None),
        (lambda: _coroutine(), None),
        (str, None),
        (_Called, None),
        (Mock(), None),
        (7, None),
    ],
)
def test_a_function_is_async_by_its_own_word(function: Any, kind: str | None) -> None:
    assert async_kind(function) == kind


def test_the_first_that_cannot_be_called_is_named() -> None:
    check_callable(a=None, b=print)
    with pytest.raises(ConfigurationError, match="b must be callable, got 7"):
        check_callable(a=None, b=7)


TAKERS: dict[str, Callable[[Any], object]] = {
    **{name: lambda call, name=name: wrap([]).hook(name, call) for name in HOOKS},
    "stop when": lambda call: StopConfig(when=call),
    "stop when, given as stop_when": lambda call: wrap(["a"], stop_when=call),
    "price": lambda call: StreamOptions(price=call),
    "tokenizer": lambda call: StreamOptions(tokenizer=call),
    "tokenizer of a tracker": lambda call: ProgressTracker(tokenizer=call),
    "tokenizer of an aggregator": lambda call: ChunkAggregator(tokenizer=call),
    "on_metrics of options": lambda call: StreamOptions(on_metrics=call),
    "on_metrics of settings": lambda call: StreamOptions.from_mapping({"on_metrics": call}),
    "on_error of settings": lambda call: StreamOptions.from_mapping({"on_error": call}),
    "transform": Transform,
    "transform in a list": lambda call: wrap(["a"], transform=[call]),
    "validate": Validate,
    "words": content_moderation,
    "allowed": validate_sources,
    "overflow": lambda call: BufferConfig(overflow=call),
    "consume": FlowController,
    "on_event": lambda call: FlowController(print, on_event=call),
    "callback": lambda call: throttled(call, 0.1),
}


@pytest.mark.parametrize(
    ("function", "kind"), [(_coroutine, "coroutine"), (_generator, "async generator")]
)
@pytest.mark.parametrize("name", TAKERS)
def test_an_async_function_is_refused_where_it_is_given(
    name: str, function: Any, kind: str
) -> None:
    said = re.split(r",| of | in ", name)[0]
    rule = f"{said} must be a plain function, got an? {kind} function"
    with pytest.raises(ConfigurationError, match=rule):
        TAKERS[name](function)


@pytest.mark.parametrize("name", ["parse_chunk", "on_error", "on_chunk"])
def test_a_coordinator_refuses_them_before_anything_is_sent(name: str) -> None:
    calls = {"callback": print, "parse_chunk": str}
    calls["callback" if name == "on_chunk" else name] = _coroutine
    with (
        StreamingCoordinator() as coordinator,
        pytest.raises(ConfigurationError, match=f"{name} must be a plain function"),
    ):
        coordinator.start_stream("http://127.0.0.1:9/", {}, {}, **calls)
