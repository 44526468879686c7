"""Nothing that a terminal would obey reaches it, wherever a sequence is cut."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.integrations.terminal import Screen, printable

#: Written as ranges of code points, independently of the code.
OBEYED = {
    *range(0x00, 0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0),
    0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A),
}  # fmt: skip

TEXT = st.text(st.characters(exclude_categories=[]), max_size=40)

SEQUENCES = [
    "\x1b[31mred\x1b[0m", "\x1b[2J\x1b[H", "\x1b[1A\x1b[2Koverwritten", "\x1b[?1049h", "\x1b[?25l",
    "\x1b[6n", "\x1b[c", "\x1b[8m hidden", "\x1b[20t", "\x1b[!p", "\x1b[4h", "\x1b[5i", "\x1b[200~",
    "\x1b[38;5;1m", "\x1b[999;999H", "\x1b]0;title\x07", "\x1b]2;title\x1b\\",
    "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\", "\x1b]52;c;cm0gLXJmIC8=\x07",
    "\x1b]10;?\x07", "\x1b]50;font\x07", "\x1b]1337;File=:AAAA\x07", "\x1bP$q\"p\x1b\\",
    "\x1bP+q544e\x1b\\", "\x1b_Gf=24;AAAA\x1b\\", "\x1b^private\x1b\\", "\x1bXstring\x1b\\",
    "\x1bc", "\x1b7\x1b8", "\x1b(0lqqk", "\x1b#8", "\x1b%G", "\x9b31mred", "\x9d0;title\x9c",
    "\x90q\x9c", "\x9fG\x9c", "abc\b\b\bxyz", "safe\rspoofed", "\x07\x0e\x0f\x7f",
    "admin\u202e\u2066 }if\u2069 \u2066", "\u200frtl\u061c", "\x00null", "\x0b\x0c",
]  # fmt: skip


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, Reader]]:
    """The writing side of a real terminal, which changes no byte, and what reads the other."""
    tty = pytest.importorskip("tty")
    outside, inside = os.openpty()
    tty.setraw(inside)
    stream = os.fdopen(inside, "w", encoding="utf-8")
    reader = Reader(outside)
    yield stream, reader
    if not stream.closed:
        stream.close()
    reader.join()


class Reader:
    """Reads a descriptor to its end in a thread."""

    def __init__(self, descriptor: int) -> None:
        self._data = b""
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._run, name="test-reader", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while data := os.read(self._descriptor, 4096):
                self._data += data
        except OSError:
            pass  # Linux says EIO when the last writer has closed
        os.close(self._descriptor)

    def join(self) -> bytes:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self._data


@given(TEXT)
def test_no_character_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = printable(text)
    assert OBEYED.isdisjoint(map(ord, shown))
    shown.encode("utf-8")  # no lone surrogate either


@given(TEXT, st.integers(0, 40))
def test_the_cut_between_two_chunks_changes_nothing(text: str, cut: int) -> None:
    assert printable(text[:cut]) + printable(text[cut:]) == printable(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"]) | st.sampled_from("\t\n")))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_joined_emoji_and_soft_hyphens_stay() -> None:
    text = "\U0001f469\u200d\U0001f680 na\u00efve co\u00adop \u4f60\u597d"
    assert printable(text) == text


def test_what_is_obeyed_is_written_out_and_crlf_is_a_newline() -> None:
    assert printable("\x1b[1m\x9b\u202e\x7f\b\0\ud800") == r"\x1b[1m\x9b\u202e\x7f\x08\x00\ud800"
    assert printable("one\r\ntwo\r\n") == "one\ntwo\n"


def test_sequences_torn_at_every_place_reach_a_real_terminal_harmless(
    terminal: tuple[TextIO, Reader],
) -> None:
    stream, reader = terminal
    assert len(SEQUENCES) >= 40
    screen = Screen(stream)
    for sequence in SEQUENCES:
        for cut in range(len(sequence) + 1):
            screen.write(sequence[:cut])
            screen.write(sequence[cut:])
    stream.close()
    shown = reader.join().decode("utf-8")
    assert OBEYED.isdisjoint(map(ord, shown))
    assert shown.count(r"\x1b]52;c;cm0gLXJmIC8=\x07") == len("\x1b]52;c;cm0gLXJmIC8=\x07") + 1


def test_a_terminal_with_a_small_alphabet_gets_escapes() -> None:
    class Latin(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    raw = io.BytesIO()
    stream = Latin(raw, encoding="latin-1", newline="\n")
    Screen(stream).write("caf\u00e9 \u4f60\x9b\n")
    assert raw.getvalue() == b"caf\xe9 \\u4f60\\x9b\n"


def test_a_pipe_gets_the_text_unchanged_in_utf_8_whatever_the_locale() -> None:
    raw = io.BytesIO()
    screen = Screen(io.TextIOWrapper(raw, encoding="ascii", newline="\n"))
    screen.write("\x1b[31m caf\u00e9 \u202e\r\n")
    screen.write("\udc9b")
    screen.end_line()
    assert raw.getvalue() == "\x1b[31m caf\u00e9 \u202e\r\n\\udc9b".encode()


def test_always_filters_for_a_pipe_too() -> None:
    stream = io.StringIO()
    Screen(stream, always=True).write("\x1b[31m")
    assert stream.getvalue() == r"\x1b[31m"


def test_line_makes_one_line_of_any_text() -> None:
    stream = io.StringIO()
    Screen(stream).line("  slow\r\ndown,\n\n please\u2028now ")
    assert stream.getvalue() == "slow down, please now\n"


@pytest.mark.parametrize(("text", "end"), [("word", b"word\n"), ("line\n", b"line\n"), ("", b"")])
def test_end_line_finishes_a_line_that_is_begun(
    text: str, end: bytes, terminal: tuple[TextIO, Reader]
) -> None:
    stream, reader = terminal
    screen = Screen(stream)
    screen.write(text)
    screen.end_line()
    screen.end_line()
    stream.close()
    assert reader.join() == end


def test_a_stream_that_was_closed_from_the_start_swallows_everything() -> None:
    screen = Screen(None)
    screen.write("text")
    screen.line("line")
    screen.end_line()
    screen.abandon()


def test_an_abandoned_pipe_takes_what_was_left_in_the_buffer() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        screen = Screen(stream)
        with pytest.raises(BrokenPipeError):
            screen.write("nobody reads this")
        screen.abandon()


def test_the_list_of_what_is_obeyed_is_the_documented_one() -> None:
    found = {code for code in range(0x110000) if printable(chr(code)) != chr(code)}
    assert found == OBEYED | set(range(0xD800, 0xE000))
    assert not re.search(r"[^\x20-\x7e]", "".join(printable(chr(code)) for code in found))
