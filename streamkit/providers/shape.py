"""
Parsed JSON as what the format says it is, and empty where it is something else: a frame may hold
any value in any place, and none may stop a reader.
"""

from __future__ import annotations

from typing import Any

__all__ = ["as_index", "as_list", "as_object", "as_objects"]


def as_object(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def as_objects(value: Any) -> list[dict[str, Any]]:
    """
    The objects in a list; whatever else is in it is left out.

    >>> as_objects([{"text": "a"}, None, "b"]), as_objects({"text": "a"})
    ([{'text': 'a'}], [])
    """
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_index(value: Any) -> int | None:
    """The number of a block or call; None where there is none."""
    return value if isinstance(value, int) else None
