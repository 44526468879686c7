"""Chunks -> chunks, push style (feed, flush). Pure."""

from collections.abc import Callable, Mapping

from streamkit.stages.base import Stage
from streamkit.stages.think import Think

__all__ = ["STAGES", "Stage"]

#: Name -> what makes a fresh stage. Rows of the table of providers name their stages by these.
STAGES: Mapping[str, Callable[[], Stage]] = {
    "think": Think,
}
