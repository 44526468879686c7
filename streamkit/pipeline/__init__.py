"""The threads, and the handle the user holds."""

from streamkit.pipeline.options import Limits, StreamOptions
from streamkit.pipeline.stream import Stream

__all__ = ["Limits", "Stream", "StreamOptions"]
