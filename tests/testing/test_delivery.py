from __future__ import annotations

from typing import Any

import pytest

from streamkit.errors import ConfigurationError
from streamkit.testing import Coding, Framing, Headers, Status, Wire


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Headers(size=0), "size must be at least 1, got 0"),
        (lambda: Headers(every=-1), "every must be at least 0, got -1"),
        (lambda: Wire(size=0), "size must be at least 1, got 0"),
        (lambda: Status(103), "code must be a final HTTP status, got 103"),
        (lambda: Framing("none"), "framing must be one of .*, got 'none'"),  # type: ignore[arg-type]
        (lambda: Coding("br"), "coding must be one of .*, got 'br'"),
        (lambda: Coding(("gzip", "zork")), "coding must be one of .*, got 'zork'"),
    ],
)
def test_a_bad_step_is_refused_when_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}$"):
        make()


def test_codings_are_told_innermost_first() -> None:
    assert Coding("gzip").chain() == ("gzip",)
    assert Coding(("gzip", "deflate")).chain() == ("gzip", "deflate")
