"""
Which stores there are, and how a URL becomes one.

Outside packages add a row with an entry point of the group ``streamkit.stores``, whose name is the
scheme and whose value is called with what follows ``scheme://``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from streamkit.errors import ConfigurationError, StoreUnavailable
from streamkit.process import on_fork
from streamkit.store.base import StreamStore
from streamkit.store.turn import Turn

__all__ = ["STORES", "open_store"]

GROUP = "streamkit.stores"


def _memory(name: str) -> StreamStore:
    from streamkit.store.memory import MemoryStore

    return MemoryStore()


def _sqlite(rest: str) -> StreamStore:
    from streamkit.store.sqlite import SqliteStore  # late: few programs need sqlite3

    return SqliteStore(_path(rest))


#: What a store must be able to do. Source: StreamStore.
METHODS = ["claim", "read", "info", "streams", "cancel", "delete", "sweep", "close"]

#: Scheme -> what makes the store of the rest of its URL.
STORES: Mapping[str, Callable[[str], StreamStore]] = {"memory": _memory, "sqlite": _sqlite}

# Written under _turn alone: _open. Reset in a forked child, where a thread that had it is gone.
_turn = Turn()
_open: dict[str, StreamStore] = {}


def open_store(store: str | StreamStore) -> StreamStore:
    """
    The store of a URL, the same object each time in one process; a store is returned as it is.

    >>> open_store("memory://") is open_store("memory://")
    True

    ``memory://`` or ``memory://name`` is kept by this process, for its threads.
    ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` is a file, taken as it is written (no
    %-escapes), for all processes of one host. A store that was closed is opened anew.

    Raises:
        ConfigurationError: A scheme that does not exist, or a bad URL; no message quotes what
            follows the scheme.
        StoreError: The store cannot be opened.

    Thread safety: **shared**.
    """
    if not isinstance(store, str):
        return _checked(store, "a store must be a URL or a StreamStore")
    scheme, mark, rest = store.partition("://")
    if not mark:
        raise ConfigurationError(f"a store URL begins with one of {_known()}")
    make = _find(scheme.lower())
    if any(ord(c) < 32 or c in "?#" for c in rest):
        raise ConfigurationError("a store URL has no options, fragment or control characters")
    key = _absolute(_path(rest)) if make is _sqlite else rest
    key = f"{scheme.lower()}://{key}"
    if (found := _found(key)) is not None:
        return found  # without a turn: a signal handler may ask, whatever it interrupts
    with _turn:
        if (found := _found(key)) is None:
            found = _checked(make(rest), f"{scheme}:// must make a StreamStore")
            _open[key] = found
        return found


def _found(key: str) -> StreamStore | None:
    found = _open.get(key)
    return None if getattr(found, "closed", False) else found


def _checked(store: Any, rule: str) -> StreamStore:
    missing = [name for name in METHODS if not callable(getattr(store, name, None))]
    if isinstance(store, type):
        raise ConfigurationError(f"{rule}, got the class {store.__name__}")
    if missing:
        lacks = "" if missing == METHODS else f", which has no {', '.join(missing)}"
        raise ConfigurationError(f"{rule}, got a {type(store).__name__}{lacks}")
    return cast(StreamStore, store)


def _find(scheme: str) -> Callable[[str], StreamStore]:
    make = STORES.get(scheme)
    if make is not None:
        return make
    plugin = _plugins().get(scheme)
    if plugin is None:
        later = "; Redis comes in a later version" if scheme in ("redis", "rediss") else ""
        raise ConfigurationError(f"no store {scheme[:40]!r}: a URL begins with {_known()}{later}")
    try:
        made: Callable[[str], StreamStore] = plugin.load()
    except Exception as error:  # the module may be anybody's
        raise ConfigurationError(
            f"the store plugin {plugin.value!r} cannot be imported: {error!r}"
        ) from error
    return made


@cache
def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _known() -> str:
    return ", ".join(f"{scheme}://" for scheme in sorted({*STORES, *_plugins()}))


def _path(rest: str) -> str:
    """The file of a SQLite URL, whose place for a host is empty."""
    if not rest.startswith("/") or not rest[1:].strip("/"):
        raise ConfigurationError("write sqlite:///relative.db or sqlite:////absolute.db")
    return rest[1:]


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)
    except OSError as error:  # the current folder was removed, as by the next release of a server
        raise StoreUnavailable(f"the store {path!r} cannot be used: {error.strerror}") from error


def _reset() -> None:
    global _turn
    _turn = Turn()
    _open.clear()


on_fork(_reset)
