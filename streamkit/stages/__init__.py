"""Chunks -> chunks, push style (feed, flush). Pure."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from streamkit.lazy import lazy
from streamkit.stages.base import Stage
from streamkit.stages.basic import SKIP, StageMaker, Transform, Validate
from streamkit.stages.stop import StopConfig
from streamkit.stages.think import Think

if TYPE_CHECKING:
    from streamkit.stages.annotate import (
        annotate_reasoning,
        highlight_function_calls,
        show_performance,
    )
    from streamkit.stages.markup import format_code_blocks, inline_citations
    from streamkit.stages.moderate import (
        TEMPLATE_MARKS,
        content_moderation,
        validate_local,
        validate_quality,
        validate_sources,
    )
else:
    __getattr__ = lazy(
        __name__,
        {
            "annotate": ("annotate_reasoning", "highlight_function_calls", "show_performance"),
            "markup": ("format_code_blocks", "inline_citations"),
            "moderate": (
                "TEMPLATE_MARKS",
                "content_moderation",
                "validate_local",
                "validate_quality",
                "validate_sources",
            ),
        },
    )

__all__ = [
    "SKIP",
    "STAGES",
    "TEMPLATE_MARKS",
    "Stage",
    "StageMaker",
    "StopConfig",
    "Transform",
    "Validate",
    "annotate_reasoning",
    "content_moderation",
    "format_code_blocks",
    "highlight_function_calls",
    "inline_citations",
    "show_performance",
    "validate_local",
    "validate_quality",
    "validate_sources",
]


def _usual(feature: str) -> Callable[[], Stage]:
    """A feature of this folder with its defaults."""

    def stage() -> Stage:
        maker: StageMaker = getattr(import_module(__name__), feature)()
        return maker.stage()

    return stage


#: Name -> what makes a fresh stage. Rows of the table of providers name their stages by these.
STAGES: Mapping[str, Callable[[], Stage]] = {
    "annotate_reasoning": _usual("annotate_reasoning"),
    "format_code_blocks": _usual("format_code_blocks"),
    "highlight_function_calls": _usual("highlight_function_calls"),
    "inline_citations": _usual("inline_citations"),
    "show_performance": _usual("show_performance"),
    "think": Think,
    "validate_local": _usual("validate_local"),
    "validate_quality": _usual("validate_quality"),
}
