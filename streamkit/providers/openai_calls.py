"""
The fragments of tool calls in the deltas of a chat answer, each given to its call.

Source: WIRE_FORMATS.md sections 2 and 2.2.
"""

from __future__ import annotations

from typing import Any

from streamkit.providers.calls import OpenCall, OpenCalls, word
from streamkit.providers.shape import as_list
from streamkit.wire.jsontext import encode

__all__ = ["read_fragments"]


def read_fragments(delta: dict[str, Any], calls: OpenCalls) -> list[tuple[OpenCall, str]]:
    """
    The calls a delta touches and what it adds to their arguments: each call once, in order.

    Raises:
        LimitExceeded: It opens more calls than an answer may have.
    """
    found: dict[OpenCall, list[str]] = {}
    for position, fragment in enumerate(as_list(delta.get("tool_calls"))):
        if isinstance(fragment, dict):
            name, text = _read_function(fragment.get("function") or fragment.get("custom"))
            call = _call_of(fragment, position, name, text, calls)
            call.learn(id=fragment.get("id"), name=name, arguments=text)
            found.setdefault(call, []).append(text)
    old = delta.get("function_call")
    if isinstance(old, dict) and old:
        call = calls.get("function_call") or calls.open("function_call")
        name, text = _read_function(old)
        call.learn(name=name)
        found.setdefault(call, []).append(text)
    return [(call, "".join(texts)) for call, texts in found.items()]


def _call_of(
    fragment: dict[str, Any], position: int, name: str, text: str, calls: OpenCalls
) -> OpenCall:
    """
    The call a fragment belongs to: by index, else by id, else by its place in the list.

    Some services number every call 0, so a new id with a name begins a call at a used index.
    """
    index = fragment.get("index")
    numbered = isinstance(index, int)
    place = index if numbered else ("position", position)
    id = word(fragment.get("id"))
    identified = (index if numbered else "id", id)
    if id and (call := calls.get(identified)):
        return call
    call = calls.get(place)
    if call is None or (id and not numbered) or (name and call.is_over(id, name, text)):
        call = calls.open(place, identified)
    return call


def _read_function(function: Any) -> tuple[str, str]:
    """The name, and the fragment of the arguments; a custom tool has a text as its input."""
    if not isinstance(function, dict):
        return "", ""
    arguments = function.get("arguments") or function.get("input")
    if isinstance(arguments, dict):  # not the format, but one meaning only
        arguments = encode(arguments)
    return word(function.get("name")), arguments if isinstance(arguments, str) else ""
