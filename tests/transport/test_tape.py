"""The file of a recording: private, never replaced, and no line believed that was changed."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from streamkit.errors import ConfigurationError, ProtocolError
from streamkit.transport.tape import FORMAT, TapeReader, TapeWriter

LINES = [
    {"format": FORMAT, "provider": "demo"},
    {"attempt": 1, "after": 0.0},
    {"at": 0.25, "text": "caf\u00e9 \x9b2J \u202e"},
    {"at": 0.5, "end": "body"},
]


def test_a_fork_that_closes_what_it_inherited_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = TapeWriter(str(tmp_path / "mine"))
    for line in LINES[:2]:
        writer.write(line)
    with monkeypatch.context() as child:
        child.setattr("streamkit.transport.tape.generation", lambda: -1)
        writer.write({"at": 0.1, "end": "left"})
    for line in LINES[2:]:
        writer.write(line)
    writer.close()
    assert lines(tmp_path / "mine") == [*LINES[1:], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "tape"
    writer = TapeWriter(str(place))
    for line in LINES:
        writer.write(line)
    writer.close()
    return place


def lines(path: Path) -> list[object]:
    """Every line but the first, and how it ended: None, or the error."""
    reader = TapeReader(str(path))
    found: list[object] = []
    try:
        while (line := reader.peek()) is not None:
            found.append({k: v for k, v in line.items() if k != "check"})
            reader.advance()
    except ProtocolError as error:
        return [*found, error]
    return [*found, None]


def test_what_was_written_is_read(path: Path) -> None:
    assert lines(path) == [*LINES[1:], None]
    assert dict(TapeReader(str(path)).facts) == LINES[0]


def test_the_file_is_ascii_and_its_owners_alone(path: Path) -> None:
    assert path.read_bytes().isascii() and b"\x1b" not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def test_each_line_is_there_at_once(tmp_path: Path) -> None:
    writer = TapeWriter(str(tmp_path / "tape"))
    for number, line in enumerate(LINES):
        writer.write(line)
        assert len(lines(tmp_path / "tape")) == number + 1
    writer.close()


def test_it_is_closed_between_and_goes_on_where_it_was(tmp_path: Path) -> None:
    writer = TapeWriter(str(tmp_path / "tape"))
    for line in LINES:
        writer.write(line)
        writer.close()
    writer.close()
    assert lines(tmp_path / "tape") == [*LINES[1:], None]


def test_a_file_that_exists_is_never_written(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        TapeWriter(str(path)).write(LINES[0])
    assert path.read_bytes() == before


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "tape").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        TapeWriter(str(tmp_path / "tape")).write(LINES[0])
    assert not (tmp_path / "elsewhere").exists()


def test_another_file_in_its_place_is_not_written(tmp_path: Path) -> None:
    writer = TapeWriter(str(tmp_path / "tape"))
    writer.write(LINES[0])
    writer.close()
    os.rename(tmp_path / "tape", tmp_path / "mine")
    (tmp_path / "tape").write_text("theirs")
    with pytest.raises(FileExistsError):
        writer.write(LINES[1])
    assert (tmp_path / "tape").read_text() == "theirs"


def test_a_file_that_was_cut_anywhere_gives_the_lines_before_and_an_error(path: Path) -> None:
    data = path.read_bytes()
    for cut in range(len(data)):
        path.write_bytes(data[:cut])
        whole = data[:cut].count(b"\n")
        if not whole:
            with pytest.raises(ConfigurationError, match="no recording"):
                TapeReader(str(path))
            continue
        *found, ending = lines(path)
        assert found == LINES[1:whole]
        torn = cut > 0 and data[cut - 1 : cut] != b"\n"
        assert isinstance(ending, ProtocolError) is torn


def test_a_changed_byte_is_always_seen(path: Path) -> None:
    data = path.read_bytes()
    random = Random(5)
    for _ in range(2000):
        at = random.randrange(len(data))
        other = bytes([random.choice([b for b in range(256) if b != data[at]])])
        path.write_bytes(data[:at] + other + data[at + 1 :])
        whole = data[:at].count(b"\n")
        if not whole:
            with pytest.raises(ConfigurationError, match="no recording"):
                TapeReader(str(path))
        else:
            *found, ending = lines(path)
            assert found == LINES[1:whole]
            assert isinstance(ending, ProtocolError)


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 2, 3), (0, 1, 1, 2, 3)])
def test_lines_that_are_missing_moved_or_doubled_are_seen(
    path: Path, order: tuple[int, ...]
) -> None:
    kept = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(kept[n] for n in order))
    assert isinstance(lines(path)[-1], ProtocolError)


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", b"\xff" * 99, b"[" * 99999, b'{"format":1}'])
def test_what_is_no_recording_says_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tape").write_bytes(data)
    with pytest.raises(ConfigurationError, match="no recording"):
        TapeReader(str(tmp_path / "tape"))


def test_a_format_of_the_future_is_told(tmp_path: Path) -> None:
    writer = TapeWriter(str(tmp_path / "tape"))
    writer.write({"format": 2})
    writer.close()
    with pytest.raises(ConfigurationError, match="format of a recording must be 1, got 2"):
        TapeReader(str(tmp_path / "tape"))


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: "):
        TapeReader(str(tmp_path / name))


def test_a_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    from zlib import crc32

    for text in (b"[1}", b'{"a":' * 5000 + b"}"):
        line = text[:-1] + b',"check":"%08x"}\n' % crc32(text)
        (tmp_path / "tape").write_bytes(line)
        with pytest.raises(ConfigurationError, match="no recording"):
            TapeReader(str(tmp_path / "tape"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_what_is_no_plain_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(ConfigurationError, match="must be a plain file"):
            TapeReader(str(place))
