from __future__ import annotations

from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from streamkit.testing.dialects.frames import frame


@given(st.binary(max_size=300), st.sampled_from(["event", "exception"]))
def test_a_frame_can_be_taken_apart(payload: bytes, message: str) -> None:
    data = frame("contentBlockDelta", payload, message=message)
    total, size = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
    assert total == len(data)
    assert crc32(data[:8]) == int.from_bytes(data[8:12], "big")
    assert crc32(data[:-4]) == int.from_bytes(data[-4:], "big")
    assert data[12 + size : -4] == payload
    headers = {}
    rest = data[12 : 12 + size]
    while rest:
        name, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        kind, length = rest[0], int.from_bytes(rest[1:3], "big")
        headers[name.decode()], rest = rest[3 : 3 + length].decode(), rest[3 + length :]
        assert kind == 7
    assert headers == {
        f":{message}-type": "contentBlockDelta",
        ":content-type": "application/json",
        ":message-type": message,
    }


def test_a_frame_is_what_aws_sends() -> None:
    payload = b'{"p":"abcdefghijklmnopqrstuvwxyzAB","role":"assistant"}'
    data = frame("messageStart", payload)
    # The checksum of the prelude in the recording bedrock-converse-thinking.
    assert data[:12] == b"\x00\x00\x00\x99\x00\x00\x00R<Q\xaa\xd0"
    assert data[-4:] == b"\xd2/X\xcd"
