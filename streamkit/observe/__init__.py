"""Numbers about a running stream."""

from typing import TYPE_CHECKING

from streamkit.lazy import lazy
from streamkit.observe.cost import Prices
from streamkit.observe.metrics import Metrics, MetricsConfig
from streamkit.observe.progress import Progress, ProgressTracker
from streamkit.observe.spent import TimeSpent

if TYPE_CHECKING:
    from streamkit.observe.aggregate import Aggregate, ChunkAggregator, StreamAggregator
    from streamkit.observe.bars import rich_progress, tqdm_progress
    from streamkit.observe.throttle import Throttled, throttled
else:
    __getattr__ = lazy(
        __name__,
        {
            "aggregate": ("Aggregate", "ChunkAggregator", "StreamAggregator"),
            "bars": ("rich_progress", "tqdm_progress"),
            "throttle": ("Throttled", "throttled"),
        },
    )

__all__ = [
    "Aggregate",
    "ChunkAggregator",
    "Metrics",
    "MetricsConfig",
    "Prices",
    "Progress",
    "ProgressTracker",
    "StreamAggregator",
    "Throttled",
    "TimeSpent",
    "rich_progress",
    "throttled",
    "tqdm_progress",
]
