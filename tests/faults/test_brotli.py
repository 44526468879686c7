"""
An answer in Brotli, which nobody asked for: read where the module ``brotli`` is, refused elsewhere.

What is compressed here does not need the module, so that both cases run with and without it.
"""

from __future__ import annotations

from typing import Any

import pytest
from urllib3.response import BaseHTTPResponse

from streamkit import LimitExceeded, Limits, ProtocolError, StreamOptions
from streamkit.testing import Cut, Headers, Raw, Text

INSTALLED = "br" in BaseHTTPResponse.CONTENT_DECODERS
LABEL = Headers({"content-encoding": "br"})
#: What brotli.compress() makes of ``b"data: " + b" " * (100 << 20)``.
BOMB = bytes.fromhex(
    "cbffff3ff8a540744a90cb0a010b4c7bff17feffffc12f0110874500baf77ffcffff835f02200e0b0074effff8ffff07"
    "bf04401c1600e8defff1ffff0f7e0980382c00d0bdffe3ffff1ffc1200715800a07bffc7ffff3ff82500e2b00040f7fe"
    "8fffff7ff04b00c4610180eefd1fffffffe0970088c30200ddfb3ffeffffc12f0110870500baf77ffcffff835f02200e"
    "0b0074effff8ffff07bf04401c1600e8deff650100107e0980382c0000beff01"
)
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'


def stored(data: bytes) -> bytes:
    """A Brotli stream whose only block is not compressed. Source: RFC 7932 section 9."""
    assert 1 <= len(data) <= 1 << 16
    # Window of 16 bits (0), not the last block (0), length of four nibbles (00), the length less
    # one, stored (1); then the last and empty block (11).
    head = (len(data) - 1) << 4 | 1 << 20
    return head.to_bytes(3, "little") + data + b"\x03"


def test_identity_is_what_is_asked_for(ask: Any, serve: Any) -> None:
    server = serve([Text("Hi")])
    list(ask(server, "direct"))
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
def test_an_answer_is_read_or_refused(ask: Any, serve: Any, mode: str) -> None:
    server = serve([LABEL, Raw(stored(EVENT)), Cut()])
    stream = ask(server, mode)
    if INSTALLED:
        assert "".join(stream) == "Hi"
    else:
        with pytest.raises(ProtocolError, match="content encoding we cannot undo: 'br'"):
            list(stream)
        assert server.wait_idle()


def test_a_bomb_meets_the_limit_of_an_event(ask: Any, serve: Any) -> None:
    server = serve([LABEL, Raw(BOMB), Cut()])
    stream = ask(server, "direct", options=StreamOptions(limits=Limits(event=1 << 20)))
    with pytest.raises(LimitExceeded if INSTALLED else ProtocolError):
        list(stream)
    assert server.wait_idle()
