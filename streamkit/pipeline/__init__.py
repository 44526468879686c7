"""The threads, and the handle the user holds."""

from typing import TYPE_CHECKING

from streamkit.lazy import lazy
from streamkit.pipeline.options import Limits, StreamOptions
from streamkit.pipeline.stream import Stream

if TYPE_CHECKING:
    from streamkit.pipeline.channel import Channel
    from streamkit.pipeline.merge import Merge
    from streamkit.pipeline.probe import Health
else:
    __getattr__ = lazy(
        __name__, {"channel": ("Channel",), "merge": ("Merge",), "probe": ("Health",)}
    )

__all__ = ["Channel", "Health", "Limits", "Merge", "Stream", "StreamOptions"]
