"""
Logging manners: a quiet logger, and one environment variable that makes it speak.

``STREAMKIT_LOG=debug`` (or info, warning, error) prints the library's records to stderr. Records
are fixed event names with key=value pairs; keys, prompts and answers are never among them.
"""

from __future__ import annotations

import logging
import os

__all__ = ["configure"]

VARIABLE = "STREAMKIT_LOG"


def configure() -> None:
    """Give the logger ``streamkit`` a handler that does nothing, and one for stderr if asked."""
    logger = logging.getLogger("streamkit")
    logger.addHandler(logging.NullHandler())
    level = logging.getLevelName(os.environ.get(VARIABLE, "").strip().upper() or "NOTSET")
    if isinstance(level, int) and level > logging.NOTSET:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(level)
