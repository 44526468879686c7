"""LineDecoder: bytes in any split -> lines."""

from __future__ import annotations

import codecs
import pickle
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.errors import ConfigurationError, LimitExceeded
from streamkit.wire import LineDecoder

BOM = codecs.BOM_UTF8

AWKWARD = [
    b"a", b"bc", b" ", b"\r", b"\n", b"\r\n", b"\0", BOM, b"\xff", b"\x80", b"\xe2\x80",
    b"\xf0\x9f\x98", "\u2028".encode(), "\x85".encode(), "😀".encode(), "\ufffd".encode(),
]  # fmt: skip


def lines(data: bytes, **options: Any) -> list[str]:
    decoder = LineDecoder(**options)
    return decoder.feed(data) + decoder.flush()


def slow_lines(data: bytes) -> list[str]:
    """The rules, one byte and one character at a time."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = "".join(decoder.decode(bytes([byte])) for byte in data) + decoder.decode(b"", final=True)
    found, line, previous = [], "", ""
    for character in text.removeprefix("\ufeff"):
        if character == "\r" or (character == "\n" and previous != "\r"):
            found.append(line)
            line = ""
        elif character != "\n":
            line += character
        previous = character
    return found + [line] * bool(line)


@given(st.lists(st.sampled_from(AWKWARD), max_size=30), st.integers(1, 7))
def test_lines_are_those_of_a_reader_that_takes_one_byte_at_a_time(
    tokens: list[bytes], step: int
) -> None:
    data = b"".join(tokens)
    decoder = LineDecoder()
    got = [line for i in range(0, len(data), step) for line in decoder.feed(data[i : i + step])]
    assert got + decoder.flush() == lines(data) == slow_lines(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a\nb\r\nc\rd",
        b"\r\r\n\n\r",
        BOM + BOM + "ü😀\r\n".encode(),
        b"\xef\xbbx\n",
        b"\xef\xbb",
        b"a\xf0\x9f\x98\nb\xff\xfe\xe2\x82\n",
        "a\u2028b\u2029c\x85d\x0be\x0cf\n".encode(),
        b"one long line without an end, longer than the short inputs are, and longer still",
    ],
)
def test_every_split_gives_the_same_lines(data: bytes, same_for_all_splits: Any) -> None:
    got, error = same_for_all_splits(LineDecoder, data)
    assert got == slow_lines(data)
    assert error is None


def test_a_line_ended_by_cr_is_given_at_once_and_the_lf_after_it_is_swallowed() -> None:
    decoder = LineDecoder()
    assert decoder.feed(b"a\r") == ["a"]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"\n") == [""]


def test_without_lone_cr_only_lf_and_crlf_end_a_line(same_for_all_splits: Any) -> None:
    got, _ = same_for_all_splits(partial(LineDecoder, lone_cr=False), b"a\rb\r\nc\n\r\n\r\rd\n")
    assert got == ["a\rb", "c", "", "\r\rd"]


@pytest.mark.parametrize(
    ("data", "text", "count"),
    [
        (b"\xe2\x82\n", "\ufffd", 1),
        (b"\xff\xfe\n", "\ufffd\ufffd", 2),
        (b"\xed\xa0\x80\n", "\ufffd\ufffd\ufffd", 3),
        (b"\xf0\x9f\x98A\n", "\ufffdA", 1),
        ("\ufffd".encode() + b"\xff\n", "\ufffd\ufffd", 1),
        ("\ufffdü\n".encode(), "\ufffdü", 0),
    ],
)
def test_each_maximal_bad_piece_becomes_one_counted_replacement(
    data: bytes, text: str, count: int, splits: Any
) -> None:
    for pieces in splits(data):
        decoder = LineDecoder()
        assert [line for piece in pieces for line in decoder.feed(piece)] == [text]
        assert decoder.replaced == count


@pytest.mark.parametrize("limit", [1, 3, 4, 5])
@pytest.mark.parametrize(
    "data",
    [b"abcd", b"abcd\n", b"abcd\r\n", b"ab\nabcd\nabcdef\n", b"\nab\r\rabcdefgh", BOM + b"abcd\n"],
)
def test_every_split_gives_the_same_error(
    data: bytes, limit: int, same_for_all_splits: Any
) -> None:
    got, error = same_for_all_splits(partial(LineDecoder, max_line=limit), data)
    expected = slow_lines(data)
    good = next((i for i, line in enumerate(expected) if len(line) > limit), None)
    assert got == expected[:good]
    if good is None:
        assert error is None
    else:
        message = f"a line may have at most {limit} bytes, got more"
        assert error == (message, limit, limit + 1, expected[good][: limit + 1].encode())


def test_the_bound_counts_bytes_not_characters() -> None:
    assert lines("üü".encode(), max_line=4) == ["üü"]
    with pytest.raises(LimitExceeded):
        lines("üü".encode(), max_line=3)


def test_a_line_over_the_bound_is_an_error_before_it_ends() -> None:
    decoder = LineDecoder(max_line=100)
    assert decoder.feed(b"x" * 100) == []
    with pytest.raises(LimitExceeded) as caught:
        decoder.feed(b"x")
    assert (caught.value.limit, caught.value.observed) == (100, 101)
    assert pickle.loads(pickle.dumps(caught.value)).data == b"x" * 101


def test_the_error_shows_200_bytes_and_the_decoder_lets_go_of_the_rest() -> None:
    decoder = LineDecoder(max_line=1000)
    with pytest.raises(LimitExceeded) as caught:
        decoder.feed(b"y" * 5000)
    assert caught.value.data == b"y" * 200
    assert not decoder._buffer.pending


def test_lines_before_an_error_are_given_first_then_each_feed_raises() -> None:
    decoder = LineDecoder(max_line=3)
    assert decoder.feed(b"a\nb\nlong line\nc\n") == ["a", "b"]
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            decoder.feed(b"c\n")
    assert decoder.flush() == []


def test_flush_raises_an_error_that_no_feed_has_raised_and_only_once() -> None:
    decoder = LineDecoder(max_line=3)
    assert decoder.feed(b"a\nlong line") == ["a"]
    with pytest.raises(LimitExceeded):
        decoder.flush()
    assert decoder.flush() == []


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_line must be at least 1, got 0"):
        LineDecoder(max_line=0)


@pytest.mark.parametrize("step", [4, 1000])
def test_a_long_line_in_small_pieces_is_copied_a_fixed_number_of_times(
    step: int, counting_tail: Any
) -> None:
    decoder = LineDecoder()
    decoder._buffer.tail = counting_tail
    size = 256 * 1024
    for _ in range(size // step):
        assert decoder.feed(b"x" * step) == []
    assert [len(line) for line in decoder.feed(b"\n")] == [size // step * step]
    assert counting_tail.copied <= 2 * size + 2
