"""The threads, and the handle the user holds."""

from streamkit.pipeline.options import Limits, StreamOptions
from streamkit.pipeline.probe import Health
from streamkit.pipeline.stream import Stream

__all__ = ["Health", "Limits", "Stream", "StreamOptions"]
