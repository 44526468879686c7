"""
Taking secrets out of what a server sent back.

A server may echo the key: in an error message, a body, a header. What leaves the library is
searched for each secret of the request, by value, with plain ``str.replace``: linear, whatever the
input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from json import dumps
from typing import TypeVar

from streamkit.errors import StreamkitError
from streamkit.request import MASK, Request, Secret

__all__ = ["Redactor"]

E = TypeVar("E", bound=StreamkitError)

#: Shorter values are placeholders for local servers ("none", "EMPTY"), and replacing them would
#: tear ordinary words apart.
SHORTEST = 8


class Redactor:
    """
    Replaces the secrets of one request wherever they show.

    Thread safety: **immutable**.
    """

    def __init__(self, request: Request) -> None:
        values = (v for v in request.headers.values() if isinstance(v, Secret))
        #: Every form they may show in, the longest first.
        self.secrets = tuple(sorted(_forms(values), key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self.secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def data(self, data: bytes) -> bytes:
        """The same for bytes."""
        for secret in self.secrets:
            data = data.replace(secret.encode("utf-8"), MASK.encode())
        return data

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers with lower-case names and clean values."""
        return {name.lower(): self.text(value) for name, value in headers.items()}

    def error(self, error: E) -> E:
        """
        The same error object, its message and fields cleaned in place, its traceback dropped.

        The frames that decoded the answer hold its bytes, which may be an echo of the key, and a
        traceback with locals would print them.
        """
        if not self.secrets:
            return error
        error.__traceback__ = None
        error.args = tuple(self.text(a) if isinstance(a, str) else a for a in error.args)
        for name, value in vars(error).items():
            if isinstance(value, str):
                setattr(error, name, self.text(value))
            elif isinstance(value, bytes):
                setattr(error, name, self.data(value))
        cause = error.__cause__
        if cause is not None:
            cause.args = tuple(self.text(a) if isinstance(a, str) else a for a in cause.args)
        return error

    def __repr__(self) -> str:
        return f"Redactor({len(self.secrets)} secrets)"


def _forms(values: Iterable[str]) -> set[str]:
    """Each secret as sent, without its scheme word, and as JSON would escape it."""
    found: set[str] = set()
    for value in values:
        for part in (str(value), value.partition(" ")[2]):
            if len(part) >= SHORTEST:
                found |= {str(part), dumps(part)[1:-1]}
    return {Secret(form) for form in found}
