"""
The options of a stream: each layer's own options in one frozen tree, and how keywords become it.

A keyword may be None (off), True (the defaults), a mapping of fields, or the options object itself;
``buffer=200`` is a capacity and ``timeout=30`` sets the clocks that wait for the provider. What is
wrong is said at once, naming the key, the value and the nearest known name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import NoneType
from typing import Any, Literal, TypeVar, get_args

from streamkit.deadline import Timeouts
from streamkit.errors import ConfigurationError
from streamkit.flow.batch import BatchConfig
from streamkit.flow.overflow import POLICIES
from streamkit.flow.ring import BufferConfig
from streamkit.flow.watermark import FlowConfig
from streamkit.observe.cost import Price, Prices, require_table
from streamkit.observe.metrics import MetricsConfig
from streamkit.pipeline.account import Tokenizer
from streamkit.recovery.retry import RetryConfig

__all__ = ["Limits", "Mode", "StreamOptions", "build_options", "nearest"]

Mode = Literal["direct", "buffered", "managed"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """
    How much one stream may bring, in bytes.

    Images come as one event of some MB (WIRE_FORMATS.md 1.2), which sets the first default; the
    others are PROMISES.md P60 and P63.

    Thread safety: **immutable**.

    Args:
        event: One line or event on the wire.
        answer: The whole answer, all kinds of content and their metadata together.
        error_body: How much of an HTTP error body is read.
    """

    event: int = 16 * 1024 * 1024
    answer: int = 64 * 1024 * 1024
    error_body: int = 64 * 1024

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"limit {entry.name} must be at least 1, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamOptions:
    """
    Everything that shapes one stream.

    Thread safety: **immutable**; vary with ``dataclasses.replace``.

    Args:
        mode: ``direct`` (no thread, no buffer), ``buffered`` or ``managed``.
        buffer: The ring between reader and consumer.
        batch: How on_batch and batches() group; None groups nothing by itself.
        flow: Water marks, in managed mode; None or ``enabled=False`` switches them off.
        metrics: How often on_metrics is called; None never calls it.
        timeout: The five clocks.
        retry: When a request is sent again before the first content; None never.
        limits: Bounds on what a provider may send.
        think: Whether thinking inside the text, between ``<think>`` and ``</think>``, becomes
            reasoning. None leaves it to the provider's row in the table.
        price: What Result.cost is reckoned by: Prices of the model, a function of usage, provider
            and model that gives US dollars or None, or True for the table of the extra ``prices``.
            None is the provider's own figure, where it reports one.
        tokenizer: Text -> how many tokens, or the tokens. It counts prompt and answer of a stream
            whose provider reported no usage at all, once, when the Result is final, in the thread
            that asks for it; tools and images are left out. Counts of the provider are never mixed
            with ours, also where the stream ended before the last of them: Anthropic's first ones
            hold the whole prompt, but hardly any output.

    Raises:
        ConfigurationError: A value that is not of its class; the short forms are for keywords.
    """

    mode: Mode = "buffered"
    buffer: BufferConfig = field(default_factory=BufferConfig)
    batch: BatchConfig | None = field(default_factory=BatchConfig)
    flow: FlowConfig | None = field(default_factory=FlowConfig)
    metrics: MetricsConfig | None = field(default_factory=MetricsConfig)
    timeout: Timeouts = field(default_factory=Timeouts)
    retry: RetryConfig | None = field(default_factory=RetryConfig)
    limits: Limits = field(default_factory=Limits)
    think: bool | None = None
    price: Price | None = None
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise ConfigurationError(
                f"mode must be one of {', '.join(get_args(Mode))}, got {self.mode!r}"
            )
        if not isinstance(self.think, (bool, NoneType)):
            raise ConfigurationError(f"think must be True, False or None, got {self.think!r}")
        for name, kind in _CONFIGS.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (value is None and name in _OPTIONAL):
                raise ConfigurationError(f"{name} must be a {kind.__name__}, got {value!r}")
        if self.price is True:
            require_table()
        elif not (self.price is None or callable(self.price) or isinstance(self.price, Prices)):
            raise ConfigurationError(
                f"price must be Prices, True or a function, got {self.price!r}"
            )
        if self.tokenizer is not None and not callable(self.tokenizer):
            raise ConfigurationError(f"tokenizer must be a function, got {self.tokenizer!r}")


_CONFIGS: Mapping[str, type] = {
    "buffer": BufferConfig,
    "batch": BatchConfig,
    "flow": FlowConfig,
    "metrics": MetricsConfig,
    "timeout": Timeouts,
    "retry": RetryConfig,
    "limits": Limits,
}
_OPTIONAL = frozenset({"batch", "flow", "metrics", "retry"})

#: Keywords of DESIGN.md whose part does not exist yet: refused by name, never ignored.
LATER = (
    "recovery",
    "units",
    "strip",
    "rate",
    "transform",
    "validate",
    "stop_when",
)


def build_options(given: Mapping[str, Any]) -> StreamOptions:
    """
    The options from the stream keywords a user gave.

    Raises:
        ConfigurationError: A value that is impossible, or a part that is not available yet.
    """
    for name in LATER:
        if given.get(name) not in (None, False):
            raise ConfigurationError(f"{name}= is not available in this version of streamkit")
    base = given.get("options")
    if base is None:
        base = StreamOptions()
    elif not isinstance(base, StreamOptions):
        raise ConfigurationError(f"options must be a StreamOptions, got {type(base).__name__}")
    changes: dict[str, Any] = {}
    for name in ("mode", "think"):
        if given.get(name) is not None:
            changes[name] = given[name]
    for name, read in _READERS.items():
        if name in given:
            changes[name] = read(name, given[name])
    if given.get("overflow") is not None:
        changes["buffer"] = _with_overflow(changes.get("buffer", base.buffer), given["overflow"])
    return replace(base, **changes)


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the closest known name, or an empty string."""
    from difflib import get_close_matches  # for a mistake only

    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _read(name: str, value: Any, kind: type[T]) -> T:
    if isinstance(value, kind):
        return value
    if value is True:
        return kind()
    if isinstance(value, Mapping):
        known = [entry.name for entry in fields(kind)]  # type: ignore[arg-type]
        for key in value:
            if key not in known:
                raise ConfigurationError(
                    f"{name} has no field {key!r}{nearest(str(key), known)} "
                    f"(it has {', '.join(known)})"
                )
        return kind(**value)
    raise ConfigurationError(
        f"{name} must be None, True, a mapping or {kind.__name__}, got {value!r}"
    )


def _optional(kind: type[T]) -> Callable[[str, Any], T | None]:
    return lambda name, value: None if value is None or value is False else _read(name, value, kind)


def _buffer(name: str, value: Any) -> BufferConfig:
    if isinstance(value, int) and not isinstance(value, bool):
        return BufferConfig(capacity=value)
    if value is None or value is False:
        raise ConfigurationError("buffer must not be None; mode='direct' works without one")
    return _read(name, value, BufferConfig)


def _with_overflow(buffer: BufferConfig, overflow: Any) -> BufferConfig:
    if isinstance(overflow, str) and overflow not in POLICIES:
        raise ConfigurationError(
            f"overflow must be one of {', '.join(POLICIES)}, got {overflow!r}"
            f"{nearest(overflow, POLICIES)}"
        )
    return replace(buffer, overflow=overflow)


def _timeout(name: str, value: Any) -> Timeouts:
    if value is None or value is False:
        return Timeouts(connect=None, first=None, content=None, wire=None, total=None)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        checked = Timeouts(first=value, content=value, wire=value)
        return replace(checked, connect=min(value, checked.connect or value))
    return _read(name, value, Timeouts)


def _price(name: str, value: Any) -> Price | None:
    if value is None or value is False:
        return None
    if value is True or callable(value):
        return value  # type: ignore[no-any-return]
    return _read(name, value, Prices)


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "buffer": _buffer,
    "batch": _optional(BatchConfig),
    "flow": _optional(FlowConfig),
    "metrics": _optional(MetricsConfig),
    "timeout": _timeout,
    "retry": _optional(RetryConfig),
    "price": _price,
    "tokenizer": lambda name, value: value,
}
