"""What is sent again is what was sent: the same bytes, the same keys of the user's."""

from __future__ import annotations

from typing import Any

import pytest
from fault_cases import STYLES

from streamkit.testing import FAULTS, Status, Text

#: Of a failed attempt; all are tried again.
FAILURES = ([Status(503)], [Status(429)], FAULTS["rst-before-headers"], FAULTS["empty-200"])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("failure", FAILURES, ids=["503", "429", "reset", "empty"])
def test_every_attempt_sends_the_same_body_and_the_same_headers(
    ask: Any, serve: Any, style: str, failure: Any
) -> None:
    server = serve(scripts=[failure, failure, [Text("Hi")]])
    stream = ask(
        server, "direct", style, retry={"initial": 0.0},
        extra_headers={"Idempotency-Key": "once-and-only-once"}, extra_body={"seed": 7},
    )  # fmt: skip
    assert "".join(stream) == "Hi"
    first, *others = server.requests
    assert len(others) == 2
    assert first.headers["idempotency-key"] == "once-and-only-once"
    for request in others:
        assert (request.method, request.path) == (first.method, first.path)
        assert request.body == first.body
        assert request.headers == first.headers
