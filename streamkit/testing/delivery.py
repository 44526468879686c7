"""
How an answer travels: steps for TCP and HTTP.

They describe the whole answer, so their place in a script does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from streamkit.errors import ConfigurationError
from streamkit.testing.script import Step, check_least

__all__ = [
    "AfterAnswer",
    "BeforeHeaders",
    "Coding",
    "Framing",
    "Headers",
    "OnAccept",
    "Status",
    "Whole",
    "Wire",
]

CODINGS = ("gzip", "deflate", "raw-deflate")
FRAMINGS = ("chunked", "length", "close")


@dataclass(frozen=True, slots=True)
class Around(Step):
    """
    Steps outside the body: Raw goes straight to the connection, content has no place here.

    Thread safety: **immutable**.
    """

    steps: Sequence[Step]


@dataclass(frozen=True, slots=True)
class OnAccept(Around):
    """
    Played when the connection is accepted, before TLS and before any request is read.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class BeforeHeaders(Around):
    """Played once the request is read, before the status line. Thread safety: **immutable**."""


@dataclass(frozen=True, slots=True)
class AfterAnswer(Around):
    """
    Played after a complete answer that promised to keep the connection.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class Headers(Step):
    """
    Change the head of the answer.

    Thread safety: **immutable**.

    Args:
        headers: A mapping, or pairs where a name repeats. Replaces headers of the same name; a
            None value removes one, ``transfer-encoding`` and ``content-length`` included.
        status: In place of 200; no usual ending is added then.
        size: Bytes of the head per send.
        every: Seconds between these.
    """

    headers: Mapping[str, str | None] | Sequence[tuple[str, str | None]] = ()
    _: KW_ONLY
    status: int | None = None
    size: int | None = None
    every: float = 0.0

    def __post_init__(self) -> None:
        check_least("size", self.size, least=1)
        check_least("every", self.every, least=0)


@dataclass(frozen=True, slots=True)
class Status(Step):
    """
    An answer that is no stream, and the whole of it: no other content goes with it.

    Thread safety: **immutable**.

    Args:
        code: The HTTP status.
        body: Bytes or text as they are, anything else as JSON; None is the dialect's own error.
        headers: As in Headers.
        message: What the dialect's own error says.
    """

    code: int
    body: Any = None
    _: KW_ONLY
    headers: Mapping[str, str | None] | Sequence[tuple[str, str | None]] = ()
    message: str = "the request failed, as the script says"

    def __post_init__(self) -> None:
        if not 200 <= self.code <= 999:
            raise ConfigurationError(f"code must be a final HTTP status, got {self.code}")


@dataclass(frozen=True, slots=True)
class Framing(Step):
    """
    How the body is delimited: ``chunked`` (default), by its ``length``, or by the ``close``.

    ``length`` is counted beforehand, so the script must end; giving a number makes the header lie.

    Thread safety: **immutable**.
    """

    kind: Literal["chunked", "length", "close"] = "chunked"
    length: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in FRAMINGS:
            raise ConfigurationError(f"framing must be one of {FRAMINGS}, got {self.kind!r}")


@dataclass(frozen=True, slots=True)
class Coding(Step):
    """
    Compress the body.

    Thread safety: **immutable**.

    Args:
        names: One of gzip, deflate, raw-deflate (labelled deflate), or several, innermost first.
        flush: After each send; False lets the compressor hold text back, as some proxies do.
    """

    names: str | tuple[str, ...]
    _: KW_ONLY
    flush: bool = True

    def __post_init__(self) -> None:
        for name in self.chain():
            if name not in CODINGS:
                raise ConfigurationError(f"coding must be one of {CODINGS}, got {name!r}")

    def chain(self) -> tuple[str, ...]:
        """The codings, innermost first."""
        return (self.names,) if isinstance(self.names, str) else self.names


@dataclass(frozen=True, slots=True)
class Wire(Step):
    """
    Change the bytes of the whole body.

    Thread safety: **immutable**.

    Args:
        size: Bytes per send and per HTTP chunk, cutting characters and events alike.
        rewrite: Takes the bytes of one send, gives those that go out.
    """

    _: KW_ONLY
    size: int | None = None
    rewrite: Callable[[bytes], bytes] | None = None

    def __post_init__(self) -> None:
        check_least("size", self.size, least=1)


@dataclass(frozen=True, slots=True)
class Whole(Step):
    """
    Answer with one JSON body, although the request asks for a stream.

    Thread safety: **immutable**.
    """
