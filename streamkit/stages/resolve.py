"""What users give to ``transform=`` and ``validate=`` -> fresh stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.stages import STAGES
from streamkit.stages.base import Stage
from streamkit.stages.basic import Transform, Validate

__all__ = ["transform_stages", "validate_stages"]


def transform_stages(value: Any) -> list[Stage]:
    """
    Fresh stages for one stream.

    Args:
        value: None; a function of a chunk; a name in STAGES; whatever has ``stage()`` (Transform,
            Validate and the features of this folder) or is a stage itself, with ``feed`` and
            ``flush``, which then serves one stream only; or a list of these, in the order the
            chunks go through.

    Raises:
        ConfigurationError: It is something else, or its ``stage()`` raised or gave no stage.
    """
    return _stages(value, "transform", lambda fn: Transform(fn).stage())


def validate_stages(value: Any) -> list[Stage]:
    """As transform_stages; a function is that of Validate."""
    return _stages(value, "validate", lambda check: Validate(check).stage())


def _stages(value: Any, name: str, wrap: Callable[[Any], Stage]) -> list[Stage]:
    if value is None:
        return []
    if isinstance(value, (list, tuple)):
        return [stage for item in value for stage in _stages(item, name, wrap)]
    if isinstance(value, str):
        if value not in STAGES:
            raise ConfigurationError(f"{name} must be one of {', '.join(STAGES)}, got {value!r}")
        return [STAGES[value]()]
    if callable(make := getattr(value, "stage", None)):
        return [_made(make, f"{name}: stage() of {type(value).__name__}")]
    if _is_stage(value):
        return [value]
    if callable(value):
        return [wrap(value)]
    raise ConfigurationError(f"{name} must be callable, a stage or a list of these, got {value!r}")


def _is_stage(value: Any) -> bool:
    return callable(getattr(value, "feed", None)) and callable(getattr(value, "flush", None))


def _made(make: Callable[[], Stage], who: str) -> Stage:
    try:
        stage = make()
    except ConfigurationError:
        raise
    except Exception as error:
        raise ConfigurationError(f"{who} raised {type(error).__name__}: {error}") from error
    if not _is_stage(stage):
        raise ConfigurationError(f"{who} must give a stage, got {stage!r}")
    return stage
