"""The place where a stream stops being UTF-8."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.wire.utf8 import Utf8Bound

#: Sound characters of one to four bytes, halves of such, and bytes that no character has.
PIECES = st.sampled_from(["a", "ä", "\ufffd", "€", "😀"]).map(str.encode) | st.sampled_from(
    [b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\x80", b"\xed\xa0\x80", b"\xc0\xaf"]
)


def places(data: bytes) -> list[int]:
    """Where each bad piece begins, as the decoder that replaces them sees it."""
    found = []
    start = 0
    while True:
        try:
            data[start:].decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data":
                return found  # it may go on
            found.append(start + error.start)
            start += error.end
        else:
            return found


@given(st.lists(PIECES, max_size=12).map(b"".join), st.integers(0, 4), st.data())
def test_it_is_the_same_place_however_the_bytes_are_cut(
    data: bytes, limit: int, more: st.DataObject
) -> None:
    bound = Utf8Bound(limit)
    bad = places(data)
    admitted = 0
    while admitted < len(data):
        piece = data[admitted : admitted + more.draw(st.integers(1, 5))]
        passed = bound.admit(piece)
        admitted += passed
        if passed < len(piece):
            break
    if len(bad) <= limit:
        assert admitted == len(data)
    else:
        # What was begun in an earlier read, and turned out to be bad, has been admitted in part.
        assert bad[limit] <= admitted <= bad[limit] + 3
        assert Utf8Bound(limit).admit(data) == bad[limit]


@pytest.mark.parametrize("cut", range(4))
def test_a_torn_character_is_none_that_is_bad(cut: int) -> None:
    whole = "😀".encode()
    bound = Utf8Bound(0)
    assert bound.admit(whole[:cut]) == cut
    assert bound.admit(whole[cut:] + b"x") == len(whole) - cut + 1


def test_many_bad_pieces_are_found_in_linear_time() -> None:
    data = b"\xff" * 20_000
    assert Utf8Bound(19_999).admit(data) == 19_999
    assert Utf8Bound(20_000).admit(data) == 20_000
