"""
Call -> Request, as far as it is the same for all dialects: headers, ``extra_body``, JSON bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.providers.base import Endpoint
from streamkit.request import Call, Request, Secret, check_header, check_header_name

__all__ = [
    "build_request",
    "check_lacks",
    "check_text",
    "checked_headers",
    "fetching",
    "merge_patch",
    "without_none",
]

#: Parts of header names whose values are keys; PROMISES.md S1 redacts by name as well as by value.
_SENSITIVE = ("auth", "key", "token", "secret", "cookie")


def build_request(
    endpoint: Endpoint, path: str, headers: Mapping[str, str], body: dict[str, Any], call: Call
) -> Request:
    """
    The request that POSTs ``body`` to ``path`` below the endpoint's base URL.

    The endpoint's headers stand above ``headers``, the call's ``extra_headers`` above both, and
    ``extra_body`` is merged into the body last.

    Raises:
        ConfigurationError: A header that cannot be sent; a body that is not JSON.
    """
    common = {"Content-Type": "application/json"}
    layers = (common, headers, endpoint.headers, call.extra_headers or {})
    return Request(
        url=endpoint.base_url + path,
        headers=checked_headers(*layers),
        body=_encode(body, call.extra_body or {}),
        provider=endpoint.provider,
        allow_http=endpoint.allow_http,
    )


def fetching(request: Request, url: str) -> Request:
    """``GET`` the URL with the headers of a request: its key, and what the user added."""
    headers = {name: h for name, h in request.headers.items() if name.lower() != "content-type"}
    return replace(request, method="GET", url=url, headers=headers, body=b"")


def check_lacks(
    service: str, call: Call, *names: str, instead: str = "its own fields go in extra_body"
) -> None:
    """
    Refuse a call that asks for what the API has not.

    Args:
        service: What to call the API in the error.
        names: The options of the call that it has no field for.
        instead: What to do in their place.

    Raises:
        ConfigurationError: One of them has a value.
    """
    for name in names:
        if getattr(call, name) is not None:
            raise ConfigurationError(f"{service} has no {name}; {instead}")


def checked_headers(*layers: Mapping[str, str]) -> dict[str, str]:
    """
    One mapping of all layers, the later above the earlier whatever the case of the names.

    Values that carry a key by the header's name become ``Secret``.

    Raises:
        ConfigurationError: A name or value that is no text, is empty, or that check_header refuses.
    """
    merged: dict[str, tuple[str, str]] = {}
    for layer in layers:
        for name, value in layer.items():
            if not isinstance(name, str):
                raise ConfigurationError(
                    f"header names must be RFC 9110 tokens, got a {type(name).__name__}"
                )
            check_header_name(name)
            check_text(f"the value of {name[:40]}", value)
            check_header(name, value)
            folded = name.lower()
            if not isinstance(value, Secret) and any(part in folded for part in _SENSITIVE):
                value = Secret(value)
            merged[folded] = (name, value)
    return dict(merged.values())


def check_text(what: str, value: Any) -> None:
    """
    Refuse what is no text, or none at all; the message does not quote it: it may be a key.

    Raises:
        ConfigurationError: It is something else, or empty.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{what} must be text, got a {type(value).__name__}")
    if not value:
        raise ConfigurationError(f"{what} must not be empty")


def merge_patch(body: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """
    ``patch`` over ``body``: mappings are merged, None removes a key, all else replaces.

    >>> merge_patch({"a": 1, "options": {"b": 2}}, {"a": None, "options": {"c": 3}})
    {'options': {'b': 2, 'c': 3}}

    Source: RFC 7396. Removing matters: some servers refuse a field they do not know.
    """
    merged = dict(body)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            old = merged.get(key)
            merged[key] = merge_patch(old if isinstance(old, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def without_none(**fields: Any) -> dict[str, Any]:
    """The fields that have a value: what the user left open is not sent."""
    return {name: value for name, value in fields.items() if value is not None}


def _encode(body: dict[str, Any], patch: Mapping[str, Any]) -> bytes:
    # The errors' own texts may quote the prompt; ours name the rule and, where it helps, the type.
    try:
        merged = merge_patch(body, patch)
        return json.dumps(
            merged, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        ).encode()
    except UnicodeEncodeError:
        raise ConfigurationError(
            "a message or option holds a lone surrogate, which is not text"
        ) from None
    except RecursionError:
        raise ConfigurationError(
            "a message or option is nested too deeply for JSON, or holds itself"
        ) from None
    except ValueError:
        raise ConfigurationError(
            "a message or option holds NaN, an infinity or itself, which JSON cannot"
        ) from None
    except TypeError as error:
        raise ConfigurationError(f"a message or option is no JSON: {error}") from None


def _plain(value: Any) -> Any:
    """Mappings and tuples of any class are welcome where JSON has objects."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"got a {type(value).__name__}")
