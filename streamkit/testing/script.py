"""
What a LocalProvider plays: a script is a sequence of frozen steps, played in order.

Steps here go to the connection in every format: bytes, waits, endings. Those of ``speech.py`` say
what the answer is, in no dialect's terms; those of ``delivery.py`` say how all of it travels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any

from streamkit.errors import ConfigurationError

__all__ = [
    "Cut",
    "Fin",
    "Gate",
    "Hang",
    "NextRequest",
    "Pause",
    "Raw",
    "Repeat",
    "Reset",
    "Step",
]


class Step:
    """The base of every step. Thread safety: **immutable**, as are all steps."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Raw(Step):
    """
    Bytes of your own.

    Thread safety: **immutable**.

    Args:
        data: Text is encoded as UTF-8.
        cuts: Offsets at which the bytes are split into separate sends.
        size: Bytes per send, in place of ``cuts``.
        every: Seconds between two sends.
        framed: False puts the bytes on the connection outside the HTTP framing of the body.
    """

    data: bytes | str
    _: KW_ONLY
    cuts: tuple[int, ...] = ()
    size: int | None = None
    every: float = 0.0
    framed: bool = True

    def __post_init__(self) -> None:
        check_least("size", self.size, least=1)
        check_least("every", self.every, least=0)

    def pieces(self) -> Iterator[bytes]:
        """The bytes of each send; none is empty."""
        data = self.data.encode() if isinstance(self.data, str) else self.data
        if self.size is not None:
            yield from sliced(data, self.size)
            return
        edges = [0, *sorted(self.cuts), len(data)]
        for start, end in pairwise(edges):
            if data[start:end]:
                yield data[start:end]


@dataclass(frozen=True, slots=True)
class Pause(Step):
    """Nothing for so many seconds; a client that goes ends it. Thread safety: **immutable**."""

    seconds: float

    def __post_init__(self) -> None:
        check_least("seconds", self.seconds, least=0)


@dataclass(frozen=True, slots=True)
class Gate(Step):
    """
    Wait until ``LocalProvider.release()``: what tests use in place of sleeping.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class NextRequest(Step):
    """Wait until the client sends more; the bytes stay unread. Thread safety: **immutable**."""


@dataclass(frozen=True, slots=True)
class Hang(Step):
    """Stay silent until the client goes or the server stops. Thread safety: **immutable**."""


@dataclass(frozen=True, slots=True)
class Cut(Step):
    """
    End the body here, cleanly in its framing: what a proxy that gives up looks like.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class Fin(Step):
    """
    Close the connection here with a FIN, in the middle of the framing.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class Reset(Step):
    """Reset the connection here (RST). Thread safety: **immutable**."""


@dataclass(frozen=True, slots=True)
class Repeat(Step):
    """Play the steps so many times; None is endless. Thread safety: **immutable**."""

    steps: Sequence[Step]
    times: int | None = None

    def __post_init__(self) -> None:
        check_least("times", self.times, least=0)
        if not self.steps:
            raise ConfigurationError("steps must hold at least one step, got none")


#: What ends a connection, or at least its answer.
BREAKS = (Hang, Cut, Fin, Reset)
#: What no format changes, and the connection carries out.
CONTROLS = (Pause, Gate, NextRequest, *BREAKS)


def sliced(data: Any, size: int) -> Iterator[Any]:
    """Text or bytes in pieces of a size; the last may be shorter."""
    return (data[start : start + size] for start in range(0, len(data), size))


def check_least(name: str, value: float | None, *, least: int) -> None:
    """Raise ConfigurationError for a value that is given and too small."""
    if value is not None and not value >= least:
        raise ConfigurationError(f"{name} must be at least {least}, got {value}")
