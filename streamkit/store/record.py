"""Entries as they are kept: JSON in UTF-8, never a pickle; what is read builds nothing but data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from streamkit.errors import ConfigurationError, StoreError
from streamkit.store.base import Entry

__all__ = ["Record", "dump", "load"]


class Record(NamedTuple):
    """
    An entry whose data is still JSON.

    Thread safety: **immutable**.
    """

    seq: int
    epoch: int
    kind: str
    data: bytes
    ts: float

    def entry(self) -> Entry:
        """
        The entry, with data of its own.

        Raises:
            StoreError: The data is no JSON object.
        """
        return Entry(self.seq, self.epoch, self.kind, load(self.data), self.ts)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def dump(what: str, data: object) -> bytes:
    """
    A mapping -> JSON.

    Raises:
        ConfigurationError: JSON or UTF-8 cannot say it. The message does not quote it.
    """
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"{what} must be a mapping, got a {type(data).__name__}")
    try:
        return _encode(data if type(data) is dict else dict(data)).encode()
    except (TypeError, ValueError, RecursionError) as error:
        # UnicodeEncodeError is a ValueError, and holds the text.
        problem = "it has half of a character" if isinstance(error, UnicodeError) else str(error)
        raise ConfigurationError(f"{what} must be what JSON can say: {problem[:200]}") from None


def load(data: bytes) -> dict[str, Any]:
    """
    JSON -> a dict.

    Raises:
        StoreError: It is no JSON object.
    """
    try:
        value = json.loads(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(f"the store holds what is not JSON: {type(error).__name__}") from None
    if not isinstance(value, dict):
        raise StoreError(f"the store holds a {type(value).__name__} where a mapping should be")
    return value
