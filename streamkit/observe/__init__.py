"""Numbers about a running stream."""

from streamkit.observe.cost import Prices
from streamkit.observe.metrics import Metrics, MetricsConfig
from streamkit.observe.progress import Progress

__all__ = ["Metrics", "MetricsConfig", "Prices", "Progress"]
