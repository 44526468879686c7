"""What the tests of wire/ share: ways to cut bytes, and what a decoder makes of the pieces."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamkit.errors import LimitExceeded, ProtocolError

#: Up to here every one- and two-cut split is tried; above, seeded random ones.
SHORT = 48


def _splits(data: bytes) -> Iterator[list[bytes]]:
    yield [data]
    yield [data[i : i + 1] for i in range(len(data))]
    if len(data) <= SHORT:
        for a, b in itertools.combinations_with_replacement(range(len(data) + 1), 2):
            yield [data[:a], data[a:b], data[b:]]
        return
    rng = random.Random(len(data))
    for count in (1, 1, 2, 2, 3, 5, 8, 13, 40):
        cuts = sorted(rng.choices(range(len(data) + 1), k=count))
        yield [data[a:b] for a, b in itertools.pairwise([0, *cuts, len(data)])]


def _outcome(decoder: Any, pieces: list[bytes]) -> tuple[list[Any], Any]:
    """All events, and the error as a tuple or None, of a decoder driven as a pipeline drives it."""
    events: list[Any] = []
    try:
        for piece in pieces:
            events += decoder.feed(piece)
        events += decoder.flush()
    except LimitExceeded as error:
        return events, (str(error), error.limit, error.observed, error.data)
    except ProtocolError as error:
        return events, (str(error), error.data)
    return events, None


@pytest.fixture(scope="session")
def splits() -> Callable[[bytes], Iterator[list[bytes]]]:
    """``splits(data)`` gives ways to cut it: all that matter for short data, many for long."""
    return _splits


@pytest.fixture(scope="session")
def outcome() -> Callable[[Any, list[bytes]], tuple[list[Any], Any]]:
    """``outcome(decoder, pieces)`` gives the events and the error."""
    return _outcome


@pytest.fixture(scope="session")
def same_for_all_splits() -> Callable[[Callable[[], Any], bytes], tuple[list[Any], Any]]:
    """``same_for_all_splits(make, data)`` gives the one outcome, or fails naming the split."""

    def check(make: Callable[[], Any], data: bytes) -> tuple[list[Any], Any]:
        whole = _outcome(make(), [data])
        for pieces in _splits(data):
            got = _outcome(make(), pieces)
            assert got == whole, f"cut as {pieces!r}"
        return whole

    return check


class CountingTail(bytearray):
    """A bytearray that counts the bytes copied into and out of it."""

    copied = 0

    def __iadd__(self, other: Any) -> CountingTail:
        self.copied += len(other)
        return super().__iadd__(other)

    def __bytes__(self) -> bytes:
        self.copied += len(self)
        return bytes(memoryview(self))


@pytest.fixture
def counting_tail() -> CountingTail:
    """To put in place of ``LineBuffer.tail``."""
    return CountingTail()
