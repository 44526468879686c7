"""
Settings as people keep them in YAML, TOML and JSON -> what StreamOptions takes.

The structures are those of the systems streamkit comes from, unchanged: names, nesting, and
milliseconds where they had milliseconds. A row of a table per name says where its value goes.
Nothing is skipped in silence: a name nobody knows, a value of the wrong type and a value that is
impossible are refused, with the path of the key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import NoneType
from typing import Any, get_args

from streamkit.callback import check_callable
from streamkit.deadline import Timeouts
from streamkit.errors import ConfigurationError, ProviderError
from streamkit.flow.batch import BatchConfig
from streamkit.flow.bounds import BufferConfig
from streamkit.flow.limiter import RateConfig
from streamkit.flow.overflow import POLICIES
from streamkit.flow.watermark import FlowConfig
from streamkit.number import is_number
from streamkit.observe.metrics import MetricsConfig
from streamkit.pipeline.names import Mode, nearest
from streamkit.recovery.recovery import RecoveryConfig, Strategy
from streamkit.text import SEGMENTERS

__all__ = ["read_mapping", "status_and_body"]

#: How alike, by difflib, a misspelt name must be; "authorization" and "optimization" are 0.64.
SURE = 0.8
#: No number of theirs reaches this.
MOST = 1e15

#: Path of the key, value -> the value of a field.
Reader = Callable[[str, Any], Any]

#: Source: the durations of Go, in which the structure with ``progress_interval`` was written.
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ms|us|µs|ns|s|m|h)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def read_mapping(given: Any) -> dict[str, Any]:
    """
    A mapping -> fields of StreamOptions.

    Raises:
        ConfigurationError: What is wrong: the key, the value, and the nearest known name.
    """
    _mapping("from_mapping()", given)
    made: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for key, value in given.items():
        reader = _look_up(_TOP, key, value, "from_mapping()")
        for name, field in _checked(key, reader, value).items():
            if origin.setdefault(name, key) != key and made[name] != field:
                made[name] = _both(made[name], field, f"{origin[name]} and {key}")
                continue
            made[name] = field
    if given.get("stream_recovery") is False:
        made.pop("recovery", None)  # the switch; how it would work may stay in the file
    if made.get("rate") and "buffer" in made and "overflow_strategy" not in given["buffer_config"]:
        made["buffer"] = replace(made["buffer"], overflow="coalesce")
    return made


def status_and_body(error: BaseException) -> tuple[int | None, str]:
    """What the ``on_error`` of such structures gets; status None where no service answered."""
    if isinstance(error, ProviderError):
        return error.status, error.body or str(error)
    return getattr(error, "status", None), str(error)


def _look_up(table: Mapping[str, Any], key: Any, value: Any, path: str) -> Any:
    if key in table:
        return table[key]
    near = nearest(str(key), table)
    # A value is shown where the key is surely a known one misspelt: else it might be a secret.
    plain = isinstance(value, (str, int, float, NoneType))
    shown = f", got {value!r}" if plain and nearest(str(key), table, SURE) else ""
    raise ConfigurationError(f"{path} has no key {key!r}{shown}{near} (it has {', '.join(table)})")


def _checked(path: str, reader: Reader, value: Any) -> Any:
    """What the reader makes of a value; a config class does not know the key it was given for."""
    try:
        return reader(path, value)
    except ConfigurationError as error:
        if str(error).startswith(path):
            raise
        raise ConfigurationError(f"{path}: {error}") from None


def _both(old: Any, new: Any, names: str) -> Any:
    """Two keys that set one field: they may complete each other, not contradict."""
    if RecoveryConfig() in (old, new):
        return old if new == RecoveryConfig() else new  # on, and how
    if isinstance(old, MetricsConfig) and old.enabled == new.enabled:
        # track_metrics says one thing of it, metrics the rest.
        usual = MetricsConfig().interval
        return replace(old, interval=new.interval if old.interval == usual else old.interval)
    raise ConfigurationError(f"{names} contradict each other; give one of them")


# -- values


def _mapping(path: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{path} must be a mapping, got {value!r}")


def _any(path: str, value: Any) -> Any:
    """A value that the config class checks."""
    return value


def _flag(path: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{path} must be true or false, got {value!r}")
    return value


def _number(path: str, value: Any) -> float:
    if not (is_number(value) and abs(value) < MOST):
        raise ConfigurationError(f"{path} must be a number, got {value!r}")
    return value  # type: ignore[no-any-return]


def _milliseconds(path: str, value: Any) -> float:
    if not _number(path, value) >= 0:
        raise ConfigurationError(f"{path} must be milliseconds, 0 or more, got {value!r}")
    return value / 1000.0  # type: ignore[no-any-return]


def _duration(path: str, value: Any) -> float:
    parts = _PART.findall(value) if isinstance(value, str) else []
    if "".join(number + unit for number, unit in parts) != value or not parts:
        raise ConfigurationError(f"{path} must be a duration such as '100ms', got {value!r}")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _callback(path: str, value: Any) -> Any:
    check_callable(**{path: value})
    return value


# -- sections

#: Key -> the field its value goes to, and how it is read.
Rows = Mapping[str, tuple[str, Reader]]


def _entries(rows: Rows, path: str, value: Any) -> dict[str, Any]:
    """The fields that a section sets."""
    _mapping(path, value)
    made = {}
    for key, entry in value.items():
        name, reader = _look_up(rows, key, entry, path)
        made[name] = _checked(f"{path}.{key}", reader, entry)
    return made


def _section(field: str, kind: Callable[..., Any], rows: Rows) -> Reader:
    """The reader of a mapping that becomes a config object; what it leaves out has its default."""

    def read(path: str, value: Any) -> dict[str, Any]:
        return {field: kind(**_entries(rows, path, value))}

    return read


def _flow(*, backpressure_threshold: float | None = None, **fields: Any) -> FlowConfig:
    """The structures have one mark; where it is low, the other goes below it in proportion."""
    usual = FlowConfig()
    if backpressure_threshold is None:
        return FlowConfig(**fields)
    ratio = usual.resume_threshold / usual.backpressure_threshold
    return FlowConfig(
        backpressure_threshold=backpressure_threshold,
        resume_threshold=min(usual.resume_threshold, backpressure_threshold * ratio),
        **fields,
    )


def _one(field: str, reader: Reader) -> Reader:
    return lambda path, value: {field: reader(path, value)}


def _buffer_chunks(path: str, value: Any) -> dict[str, Any]:
    if value is None:  # all three would not be given
        raise ConfigurationError(f"{path} must be a whole number, got None")
    return {"batch": BatchConfig(size=value, min_size=value, max_size=value, adaptive=False)}


def _track_metrics(path: str, value: Any) -> dict[str, Any]:
    return {"metrics": MetricsConfig(enabled=_flag(path, value))}


def _total(path: str, value: Any) -> dict[str, Any]:
    return {"timeout": Timeouts(total=_milliseconds(path, value))}


def _stream_recovery(path: str, value: Any) -> dict[str, Any]:
    return {} if value is None or not _flag(path, value) else {"recovery": RecoveryConfig()}


def _rate_limit(path: str, value: Any) -> RateConfig | None:
    config = RateConfig(_number(path, value))
    return config if config.rate else None


def _on_error(path: str, value: Any) -> dict[str, Any]:
    call = _callback(path, value)
    return {"on_error": call and (lambda error: call(*status_and_body(error)))}


def _optimization(path: str, value: Any) -> dict[str, Any]:
    _mapping(path, value)
    made: dict[str, Any] = {}
    for key, section in value.items():
        _look_up({"streaming": None}, key, section, path)
        made = _streaming(f"{path}.{key}", section)
    return made


def _streaming(path: str, value: Any) -> dict[str, Any]:
    """``enabled: false`` leaves all of it at the defaults; it is checked all the same."""
    made = _entries(_STREAMING, path, value)
    return made if made.pop("enabled", True) else {}


def _choice(names: tuple[str, ...]) -> Reader:
    def read(path: str, value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ConfigurationError(
                f"{path} must be one of {', '.join(names)}, got {value!r}"
                f"{nearest(str(value), names)}"
            )
        return value

    return read


_STREAMING: Rows = {
    "enabled": ("enabled", _flag),
    "buffer_type": ("units", _choice(tuple(SEGMENTERS))),
    "progress_interval": ("progress_interval", _duration),
    "rate_limit": ("rate", _rate_limit),
}

_TOP: dict[str, Reader] = {
    "consumer_type": _one("mode", _choice(get_args(Mode))),
    "buffer_config": _section(
        "buffer",
        BufferConfig,
        {
            "capacity": ("capacity", _any),
            "overflow_strategy": ("overflow", _choice(tuple(POLICIES))),
        },
    ),
    "batch_config": _section(
        "batch",
        BatchConfig,
        {
            "size": ("size", _any),
            "timeout_ms": ("timeout", _milliseconds),
            "min_size": ("min_size", _any),
            "max_size": ("max_size", _any),
        },
    ),
    "flow_control": _section(
        "flow",
        _flow,
        {
            "enabled": ("enabled", _flag),
            "slow_threshold_ms": ("slow_threshold", _milliseconds),
            "backpressure_threshold": ("backpressure_threshold", _number),
        },
    ),
    "metrics": _section(
        "metrics",
        MetricsConfig,
        {"enabled": ("enabled", _flag), "interval_ms": ("interval", _milliseconds)},
    ),
    "on_metrics": _one("on_metrics", _callback),
    "track_metrics": _track_metrics,
    "transform_chunk": _one("transform", _callback),
    "validate_chunk": _one("validate", _callback),
    "buffer_chunks": _buffer_chunks,
    "stream_recovery": _stream_recovery,
    "recovery": _section(
        "recovery",
        RecoveryConfig,
        {
            "strategy": ("strategy", _choice(get_args(Strategy))),
            "max_retries": ("max_retries", _any),
        },
    ),
    "on_error": _on_error,
    "timeout": _total,
    "optimization": _optimization,
}
