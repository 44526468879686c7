"""
The arguments of a tool call: JSON text, whole or still growing -> values.

Both readings know no lone surrogates: what a server escapes as half a character (FACTS.md F10) is
U+FFFD here, as it is in text, unless its other half may still come.
"""

from __future__ import annotations

import json
import re
from typing import Any

from streamkit.extras import require

__all__ = ["read_growing", "read_whole"]

#: Each escape, so that a half of a pair is told from its whole, and from an escaped backslash.
_ESCAPES = re.compile(
    r"\\u[dD][89abAB]..\\u[dD][c-fC-F].."
    r"|\\u[dD][89abAB]..(?:\\(?:u.{0,3})?)?\Z"  # the text ends for now, and jiter leaves it out
    r"|(?P<alone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)


def read_whole(text: str) -> Any:
    """
    The value of a whole JSON text; ``{}`` of a blank one.

    Raises:
        ValueError: It is not JSON, or nested too deeply to be read.
    """
    if "\\ud" in text or "\\uD" in text:
        text = _mended(text)
    try:
        return json.loads(text) if text.strip() else {}
    except RecursionError:
        raise ValueError("the arguments are nested too deeply") from None


def read_growing(text: str) -> Any:
    """
    The value of the beginning of a JSON text, as far as it goes; ``{}`` of a blank one.

    A string that is not closed is there as far as it came, and a number too, which may be a part of
    one; a member without a value is not. jiter looks no further than the first mistake behind a
    value, so ``{"a": 1 oops`` is ``{"a": 1}``.

    Cost: the whole text is read each time, in C: 9 us per KB of small values.

    Raises:
        ConfigurationError: jiter is not installed.
        ValueError: It cannot become JSON, or is nested deeper than jiter reads (some 200 levels).
    """
    from_json = require("jiter", extra="json", what="ToolCall.partial").from_json
    if not text.strip():
        return {}
    try:
        return from_json(text.encode("utf-8", "replace"), partial_mode="trailing-strings")
    except ValueError:
        # Halves of pairs are rare, and jiter takes none: look for them only now.
        mended = _mended(text)
        if mended == text:
            raise
    return from_json(mended.encode("utf-8", "replace"), partial_mode="trailing-strings")


def _mended(text: str) -> str:
    return _ESCAPES.sub(lambda found: "\\ufffd" if found["alone"] else found[0], text)
