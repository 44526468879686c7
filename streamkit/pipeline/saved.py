"""
What was asked, as plain JSON beside an answer in a store: enough to ask for the rest elsewhere.

Never a key and never headers. What is read back is checked as if a stranger had written it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args
from urllib.parse import urlsplit

from streamkit.chunk import Result
from streamkit.errors import ConfigurationError, StoreError
from streamkit.pipeline.ledger import member
from streamkit.recovery.recovery import Strategy
from streamkit.request import Call, Secret, build_call
from streamkit.store import StreamInfo
from streamkit.wire.present import to_json

__all__ = ["Place", "Saved", "call_from_json", "call_to_json", "describe", "read_meta"]

#: Grows when what is written can no longer be read as before.
FORMAT = 1

#: The fields of a Call that are kept: all but the headers, in which keys may be.
_FIELDS = tuple(f.name for f in fields(Call) if f.name not in ("model", "extra_headers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    Where the request went.

    Thread safety: **immutable**.

    Args:
        provider: The name of the service.
        api: Its dialect; None is the usual one.
        base_url: As it was; a key must not be sent there only because a store says so.
        model: The provider's name of the model.
    """

    provider: str
    api: str | None = None
    base_url: str | None = None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """
    An answer in a store, and what it takes to carry it on.

    Thread safety: **immutable**.

    Args:
        id: Its name in the store.
        info: The stream as it stood.
        call: What was asked.
        place: Where.
        strategy: How a model is asked to go on.
        result: All that came.
    """

    id: str
    info: StreamInfo
    call: Call
    place: Place
    strategy: Strategy
    result: Result


def describe(place: Place, call: Call, strategy: str = "paragraph") -> dict[str, Any]:
    """
    The ``meta`` of a stream that can be carried on.

    Raises:
        ConfigurationError: JSON cannot say the call.
    """
    return {
        "format": FORMAT,
        "provider": place.provider,
        "api": place.api,
        "base_url": _bare(place.base_url),
        "model": place.model,
        "call": call_to_json(call),
        "strategy": strategy,
    }


def read_meta(meta: Mapping[str, Any]) -> tuple[Place, Call, Strategy]:
    """
    What describe() was told.

    Raises:
        StoreError: There is no call in it, or it is not as we write it.
    """
    if "call" not in meta:
        raise StoreError("this stream cannot be resumed: its request was not kept with it")
    if (version := meta.get("format")) != FORMAT:
        raise StoreError(f"the store holds a request of format {version!r:.20}, not {FORMAT}")
    strategy = member(meta, "strategy", str, "paragraph")
    if strategy not in get_args(Strategy):
        raise StoreError(f"the store holds an unknown strategy, {strategy[:40]!r}")
    text = (str, type(None))
    place = Place(
        provider=member(meta, "provider", str, None),
        api=member(meta, "api", text, None),
        base_url=member(meta, "base_url", text, None),
        model=member(meta, "model", str, None),
    )
    call = call_from_json({**member(meta, "call", dict, None), "model": place.model})
    return place, call, strategy


def call_to_json(call: Call) -> dict[str, Any]:
    """
    A call as JSON, without its model and its headers.

    Raises:
        ConfigurationError: JSON cannot say it (bytes in a message), or a key is in it.
    """
    data: dict[str, Any] = {}
    for name in _FIELDS:
        value = getattr(call, name)
        if value is not None:
            data[name] = _strict(value, name)
            try:
                to_json(data[name])
            except ConfigurationError as error:
                raise _unsayable(name, str(error)) from None
    return data


def call_from_json(data: Mapping[str, Any]) -> Call:
    """
    The call again.

    Raises:
        StoreError: It is none.
    """
    known = {name: data[name] for name in _FIELDS if name in data}
    messages = known.pop("messages", None)
    if not isinstance(messages, list) or not isinstance(data.get("model"), str):
        raise StoreError("the store holds a request without messages or model")
    try:
        return build_call(data["model"], messages, known)
    except ConfigurationError as error:
        raise StoreError(f"the store holds no proper request: {error}") from None


def _strict(value: Any, place: str) -> Any:
    """A copy of plain dicts and lists; what else there is to refuse, to_json() finds."""
    if isinstance(value, Secret):
        raise _unsayable(place, "a key is in it")
    if isinstance(value, Mapping):
        return {name: _strict(item, place) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item, place) for item in value]
    return value


def _unsayable(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{name} cannot be kept in a store: {why}")


def _bare(url: str | None) -> str | None:
    """The URL without what may be a secret: user, password, query."""
    if url is None:
        return None
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"
