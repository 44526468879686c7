"""
What users type -> StreamOptions.

A keyword may be None (off), True (the defaults), a mapping of fields, or the options object itself;
``buffer=200`` is a capacity and ``timeout=30`` sets the clocks that wait for the provider. What is
wrong is said at once, naming the key, the value and the nearest known name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from streamkit.deadline import Timeouts
from streamkit.errors import ConfigurationError
from streamkit.flow.batch import BatchConfig
from streamkit.flow.bounds import BufferConfig
from streamkit.flow.limiter import RateConfig
from streamkit.flow.overflow import POLICIES
from streamkit.flow.watermark import FlowConfig
from streamkit.observe.cost import Price, Prices
from streamkit.observe.metrics import MetricsConfig
from streamkit.pipeline.names import nearest
from streamkit.pipeline.options import USUAL_BUFFER, StreamOptions
from streamkit.recovery import RecoveryConfig, RetryConfig

__all__ = ["build_options"]

T = TypeVar("T")


def build_options(given: Mapping[str, Any]) -> StreamOptions:
    """
    The options from the stream keywords a user gave.

    Raises:
        ConfigurationError: A value that is impossible.
    """
    base = given.get("options")
    if base is None:
        base = StreamOptions()
    elif not isinstance(base, StreamOptions):
        raise ConfigurationError(f"options must be a StreamOptions, got {type(base).__name__}")
    changes: dict[str, Any] = {}
    for name in ("mode", "think", "strip"):
        if given.get(name) is not None:
            changes[name] = given[name]
    for name, read in _READERS.items():
        if name in given:
            changes[name] = read(name, given[name])
    if given.get("overflow") is not None:
        changes["buffer"] = _with_overflow(changes.get("buffer", base.buffer), given["overflow"])
    elif changes.get("rate", base.rate) is not None and not _chose_overflow(base, given):
        changes["buffer"] = replace(changes.get("buffer", base.buffer), overflow="coalesce")
    return replace(base, **changes)


def _chose_overflow(base: StreamOptions, given: Mapping[str, Any]) -> bool:
    """Whether the user chose a policy, if only by giving a whole BufferConfig."""
    buffer = given.get("buffer")
    if isinstance(buffer, Mapping):
        return "overflow" in buffer
    if buffer is None:
        return base.buffer is not USUAL_BUFFER
    return isinstance(buffer, BufferConfig)


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
    if not isinstance(value, (Mapping, Prices)):
        raise ConfigurationError(
            f"price must be None, True, a mapping, Prices or a function, got {value!r}"
        )
    return _read(name, value, Prices)


def _rate(name: str, value: Any) -> RateConfig | None:
    if value is None or value is False:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        config = RateConfig(value)
        return config if config.rate else None  # 0 is unlimited
    if value is True or (isinstance(value, Mapping) and "rate" not in value):
        raise ConfigurationError(f"rate must say how many tokens per second, got {value!r}")
    if not isinstance(value, (Mapping, RateConfig)):
        raise ConfigurationError(
            f"rate must be None, tokens per second, a mapping or RateConfig, got {value!r}"
        )
    return _read(name, value, RateConfig)


def _given(name: str, value: Any) -> Any:
    return value


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "buffer": _buffer,
    "batch": _optional(BatchConfig),
    "flow": _optional(FlowConfig),
    "metrics": _optional(MetricsConfig),
    "timeout": _timeout,
    "retry": _optional(RetryConfig),
    "recovery": _optional(RecoveryConfig),
    "price": _price,
    "tokenizer": _given,
    "units": _given,
    "max_wait": _given,
    "rate": _rate,
    "transform": _given,
    "validate": _given,
    "stop_when": _given,
}
