"""Text in any split -> units: characters, words, sentences ... Pure, and nothing is lost."""

from typing import TYPE_CHECKING

from streamkit.lazy import lazy
from streamkit.text.segmenter import SEGMENTERS, Segmenter, new_buffer

if TYPE_CHECKING:
    from streamkit.text.base import UnitBuffer
else:
    __getattr__ = lazy(__name__, {"base": ("UnitBuffer",)})

__all__ = ["SEGMENTERS", "Segmenter", "UnitBuffer", "new_buffer"]
