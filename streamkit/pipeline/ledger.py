"""
What a store keeps of a stream: its chunks and its end as plain JSON, and back.

What is read is data that anybody may have written. It is checked, and nothing is built by a name
that it holds: each kind of chunk has its own few objects, in fixed places (PROMISES.md S15).
Members that are not known are passed over. What JSON cannot say of a chunk's metadata, or what may
be a key, is left out; the text never is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any, get_args

from streamkit.chunk import Chunk, Kind, Outcome, Result, Seam, Usage
from streamkit.errors import StoreError
from streamkit.request import Secret
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["Ending", "chunk_from_json", "chunk_to_json", "end_from_json", "end_to_json"]

#: Deeper metadata is left out; json gives up at some 1,000 levels, less what its caller used.
DEPTH = 50
#: Whole numbers that any reader of JSON takes; Python refuses those of over 4,300 digits.
BITS = 64

_NAMES = ("finish_reason", "model", "id")
_MISFIT = object()


def chunk_to_json(chunk: Chunk) -> dict[str, Any]:
    """
    A chunk as the data of an entry; what is empty is left out.

    >>> chunk_to_json(Chunk("Hi"))
    {'content': 'Hi'}
    """
    data: dict[str, Any] = {}
    if chunk.kind != "text":
        data["type"] = chunk.kind
    if chunk.content:
        data["content"] = clean(chunk.content)
    if chunk.metadata:
        data["metadata"] = _said(chunk.metadata)
    for name in _NAMES:
        value = getattr(chunk, name)
        if isinstance(value, str):  # of somebody else's SDK it may be anything
            data[name] = clean(value)
    return data


def chunk_from_json(data: Mapping[str, Any]) -> Chunk:
    """
    The chunk again, with the Usage and the Seam it had.

    Raises:
        StoreError: It is none, or one of a kind this version does not know.
    """
    kind = member(data, "type", str, "text")
    if kind not in get_args(Kind) or kind == "done":
        raise StoreError(f"the store holds a chunk of an unknown kind, {kind[:40]!r}")
    metadata = dict(member(data, "metadata", dict, {}))
    clean_deep(metadata)
    if (rebuild := _REBUILT.get(kind)) is not None:
        rebuild(metadata)
    said = {name: member(data, name, (str, type(None)), None) for name in _NAMES}
    return Chunk(clean(member(data, "content", str, "")), metadata=metadata, kind=kind, **said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """
    How a stream ended for the one who published it.

    Thread safety: **immutable**.
    """

    outcome: Outcome
    finish_reason: str | None = None
    model: str | None = None
    id: str | None = None
    request_id: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None


def end_to_json(result: Result) -> dict[str, Any]:
    """What the final Result says beside the text, as the data of the entry that ends a stream."""
    data: dict[str, Any] = {"outcome": result.outcome, "usage": _counts(result.usage)}
    for name in (*_NAMES, "request_id"):
        value = getattr(result, name)
        if isinstance(value, str):
            data[name] = clean(value)
    if result.cost is not None and (cost := _plain(result.cost, 0)) is not _MISFIT:
        data["cost"] = cost
    return data


def end_from_json(data: Mapping[str, Any]) -> Ending:
    """
    The end again.

    Raises:
        StoreError: It is none.
    """
    outcome = member(data, "outcome", str, "completed")
    if outcome not in get_args(Outcome):
        raise StoreError(f"the store holds an unknown outcome, {outcome[:40]!r}")
    said = {n: member(data, n, (str, type(None)), None) for n in (*_NAMES, "request_id")}
    cost = member(data, "cost", (int, float, type(None)), None)
    usage = _usage(member(data, "usage", dict, {}))
    return Ending(outcome=outcome, usage=usage, cost=cost, **said)


def member(data: Mapping[str, Any], name: str, kind: Any, default: Any) -> Any:
    """
    A member of what a store gave, of the type it must have.

    Raises:
        StoreError: It is of another.
    """
    value = data.get(name, default)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise StoreError(f"the store holds a {type(value).__name__} as {name!r}")
    return value


def _said(metadata: Mapping[str, Any]) -> dict[str, Any]:
    said = _plain(metadata, 0)
    return said if isinstance(said, dict) else {}


def _plain(value: Any, depth: int) -> Any:
    """What JSON can say of a value; _MISFIT for nothing."""
    if isinstance(value, Secret) or depth > DEPTH:
        return _MISFIT
    if value is None or isinstance(value, (bool, str)):
        return clean(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value) if value.bit_length() <= BITS else _MISFIT
    if isinstance(value, float):
        return value if isfinite(value) else _MISFIT
    if isinstance(value, Usage):
        return _counts(value)
    if isinstance(value, Seam):
        return asdict(value)
    if isinstance(value, Mapping):
        inside = {
            clean(name): _plain(item, depth + 1)
            for name, item in value.items()
            if isinstance(name, str) and not isinstance(name, Secret)
        }
        return {name: item for name, item in inside.items() if item is not _MISFIT}
    if isinstance(value, (list, tuple)):
        items = [_plain(item, depth + 1) for item in value]
        return [item for item in items if item is not _MISFIT]
    return _MISFIT


def _counts(usage: Usage) -> dict[str, Any]:
    # A count of 0 says something; "estimated" only where it is true.
    return {
        n: value for n, value in asdict(usage).items() if value is not None and value is not False
    }


def _usage(data: dict[str, Any]) -> Usage:
    counts: dict[str, Any] = {}
    for entry in fields(Usage):
        kind = bool if entry.name == "estimated" else (int, type(None))
        counts[entry.name] = member(data, entry.name, kind, entry.default)
    return Usage(**counts)


def _seam(data: dict[str, Any]) -> Seam:
    numbers = {n: member(data, n, int, 0) for n in ("attempt", "at", "trimmed", "abandoned")}
    words = {
        "how": member(data, "how", str, ""),
        "error": member(data, "error", (str, type(None)), None),
    }
    return Seam(**numbers, **words)


def _with_usage(metadata: dict[str, Any]) -> None:
    metadata["usage"] = _usage(member(metadata, "usage", dict, None))


def _with_seam(metadata: dict[str, Any]) -> None:
    if "seam" in metadata:
        metadata["seam"] = _seam(member(metadata, "seam", dict, None))


def _with_call(metadata: dict[str, Any]) -> None:
    member(metadata, "index", int, None)
    for name in ("id", "name"):
        member(metadata, name, (str, type(None)), None)


def _with_citation(metadata: dict[str, Any]) -> None:
    member(metadata, "citation", dict, None)


def _with_loss(metadata: dict[str, Any]) -> None:
    member(metadata, "dropped", int, 0)


#: Kind -> what its metadata must hold, made into our objects where there are any.
_REBUILT = {
    "usage": _with_usage,
    "retry": _with_seam,
    "tool_call": _with_call,
    "citation": _with_citation,
    "gap": _with_loss,
}
