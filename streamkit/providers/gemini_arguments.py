"""
The arguments of a call that Vertex streams value by value -> growing JSON text.

Each piece names its place by a path (``$.trip.stops[0]``) and brings a value, or the next part of
a string. Pieces come in the order of the text, so what a new path leaves can be closed for good.

Source: WIRE_FORMATS.md section 5; the paths are RFC 9535's, singular ones only.
"""

from __future__ import annotations

import re
from typing import Any

from streamkit.providers.shape import as_objects
from streamkit.wire.jsontext import encode

__all__ = ["ArgumentWriter"]

Key = str | int

#: ``.name``, ``[0]``, ``['name']`` or ``["name"]``; the bound keeps the search linear.
_STEP = re.compile(r"""\.([^.\[]+)|\[(\d{1,9})\]|\[(['"])((?:[^\\]|\\.){0,256}?)\3\]""", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class ArgumentWriter:
    """
    Pieces of arguments in any grouping -> the fragments of one JSON object.

    >>> writer = ArgumentWriter()
    >>> writer.write([{"jsonPath": "$.city", "stringValue": "Par", "willContinue": True}])
    '{"city": "Par'
    >>> writer.write([{"jsonPath": "$.city", "stringValue": "is"}]) + writer.close()
    'is"}'

    Thread safety: **confined**.
    """

    # Invariant: _path leads to the value last written; all containers along it are open, and so is
    # the value itself while _in_string.

    def __init__(self) -> None:
        self._path: list[Key] = []
        self._in_string = False

    def write(self, pieces: Any) -> str:
        """The text that these pieces add; one without a path or a value adds none."""
        text: list[str] = []
        for piece in as_objects(pieces):
            path = _path_of(piece.get("jsonPath"))
            if path:
                text += self._write(path, piece)
        return "".join(text)

    def close(self) -> str:
        """The text that ends the object."""
        end = self._leave(0) if self._path else "{}"
        self._path = []
        return end

    def _write(self, path: list[Key], piece: dict[str, Any]) -> list[str]:
        said = piece.get("stringValue")
        if isinstance(said, str):
            begun = self._in_string and path == self._path
            text = [] if begun else [self._move(path), '"']
            text.append(encode(said)[1:-1])
            self._in_string = True
            if not piece.get("willContinue"):
                text.append(self._end_string())
            return text
        for name in ("numberValue", "boolValue", "nullValue"):
            if name in piece:
                value = None if name == "nullValue" else piece[name]
                return [self._move(path), encode(_whole(value))]
        return []

    def _move(self, path: list[Key]) -> str:
        """From the value last written to the beginning of the next."""
        shared = 0
        last = min(len(path), len(self._path)) - 1
        while shared < last and path[shared] == self._path[shared]:
            shared += 1
        text = [self._leave(shared + 1) + ", " if self._path else _opening(path[0])]
        text.append(_label(path[shared]))
        for key in path[shared + 1 :]:
            text += (_opening(key), _label(key))
        self._path = path
        return "".join(text)

    def _leave(self, depth: int) -> str:
        """Close the string, and all containers but the first ``depth``."""
        closed = reversed(self._path[depth:])
        return self._end_string() + "".join("]" if isinstance(key, int) else "}" for key in closed)

    def _end_string(self) -> str:
        end = '"' if self._in_string else ""
        self._in_string = False
        return end


def _path_of(text: Any) -> list[Key]:
    path: list[Key] = []
    for name, number, _, quoted in _STEP.findall(text) if isinstance(text, str) else ():
        path.append(int(number) if number else name or _ESCAPE.sub(r"\1", quoted))
    return path


def _opening(key: Key) -> str:
    return "[" if isinstance(key, int) else "{"


def _label(key: Key) -> str:
    return "" if isinstance(key, int) else encode(key) + ": "


def _whole(value: Any) -> Any:
    """The protocol knows doubles only; 5.0 was written 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
