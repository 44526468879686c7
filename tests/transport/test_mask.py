"""Secrets out of bytes in pieces: whole, torn, at the end, and nothing else touched."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamkit.request import MASK, Secret
from streamkit.transport.mask import Mask

KEY = "sk-marker-0123456789"
SECRETS = (Secret(f"Bearer {KEY}"), Secret(KEY))


def masked(pieces: list[bytes], secrets: tuple[str, ...] = SECRETS) -> list[tuple[int, bytes]]:
    mask: Mask[int] = Mask(secrets)
    given = [out for n, piece in enumerate(pieces) for out in mask.feed(n, piece)]
    return given + mask.flush()


def whole(out: list[tuple[int, bytes]]) -> bytes:
    return b"".join(data for _, data in out)


def test_without_secrets_a_piece_goes_through_at_once() -> None:
    mask: Mask[str] = Mask(())
    assert mask.feed("a", b"Bearer") == [("a", b"Bearer")]
    assert mask.flush() == []


def test_what_cannot_become_a_secret_does_not_wait() -> None:
    mask: Mask[int] = Mask(SECRETS)
    assert mask.feed(1, b'data: {"text": "Bearer"}\n\n') == [(1, b'data: {"text": "Bearer"}\n\n')]


def test_a_piece_that_may_begin_a_secret_waits_for_the_next() -> None:
    mask: Mask[int] = Mask(SECRETS)
    assert mask.feed(1, b"who is sk-mar") == []
    assert mask.feed(2, b"ble?") == [(1, b"who is sk-mar"), (2, b"ble?")]


def test_a_torn_secret_is_masked_where_it_begins() -> None:
    pieces = [b"a Bearer sk-", KEY[3:9].encode(), KEY[9:].encode() + b" b"]
    assert masked(pieces) == [(0, b"a " + MASK.encode()), (2, b" b")]


def test_two_secrets_in_a_row_and_one_over_the_end() -> None:
    out = masked([KEY.encode() + KEY[:5].encode(), KEY[5:].encode() + KEY[:10].encode()])
    assert whole(out) == MASK.encode() * 3


def test_less_than_eight_characters_of_a_secret_at_the_end_are_no_secret() -> None:
    assert whole(masked([b"x " + KEY[:7].encode()])) == b"x " + KEY[:7].encode()
    assert whole(masked([b"x " + KEY[:8].encode()])) == b"x " + MASK.encode()


def test_a_secret_beyond_ascii_is_found_as_its_bytes() -> None:
    secret = Secret("schlüssel-ä")
    data = secret.encode()
    assert whole(masked([data[:6], data[6:]], (secret,))) == MASK.encode()


def test_a_mask_shows_no_secret_of_its_own() -> None:
    mask: Mask[int] = Mask(SECRETS)
    assert KEY not in repr(vars(mask))


@given(
    st.lists(st.sampled_from(["Bearer ", KEY, "s", "sk-", KEY[:9], KEY[4:], "ü", "\n", "x"])),
    st.lists(st.integers(0, 200), max_size=12),
)
def test_the_split_never_decides_what_is_masked(words: list[str], cuts: list[int]) -> None:
    data = "".join(words).encode()
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[a:b] for a, b in pairwise(at)]
    out = masked(pieces)
    assert whole(out) == whole(masked([data]))
    assert KEY.encode() not in whole(out)
    assert all(piece for _, piece in out)
    assert [n for n, _ in out] == sorted({n for n, _ in out})
    if KEY not in "".join(words) and MASK.encode() not in whole(out):
        assert out == list(enumerate(pieces))


@given(st.binary(max_size=60), st.integers(1, 5))
def test_bytes_without_a_secret_keep_their_pieces(data: bytes, size: int) -> None:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert masked(pieces, (Secret("\0\1\2\3\4\5\6\7\x08" * 9),)) == list(enumerate(pieces))
