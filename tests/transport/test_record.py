"""What a recording keeps of a transport, and that it never harms the stream."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamkit.deadline import Clocks, Timeouts
from streamkit.errors import StreamInterrupted, StreamTimeout
from streamkit.pipeline.redact import Redactor
from streamkit.request import Request, Secret
from streamkit.transport.base import Aborted, Link
from streamkit.transport.record import RecordingStream, RecordingTransport
from streamkit.transport.tape import TapeWriter

KEY = "sk-marker-0123456789"
REQUEST = Request(
    url="http://127.0.0.1/v1",
    headers={"Authorization": Secret(f"Bearer {KEY}")},
    body=b"the prompt",
)


class Fake:
    """A transport that gives what it is told, and raises what it is told."""

    def __init__(self, *pieces: Any, headers: dict[str, str] | None = None) -> None:
        self.pieces = list(pieces)
        self.status = 200
        self.headers = headers or {"Content-Type": "text/event-stream"}
        self.closed = self.finished = False

    def open(self, request: Request, link: Link) -> Fake:
        if self.pieces and self.pieces[0] is None:
            raise self.pieces[1]
        return self

    def read(self) -> bytes:
        piece = self.pieces.pop(0) if self.pieces else b""
        if isinstance(piece, BaseException):
            raise piece
        assert isinstance(piece, bytes)
        return piece

    def read_error_body(self, limit: int) -> bytes:
        return self.read()

    def finish(self) -> None:
        self.finished = True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def link() -> Link:
    return Link(Clocks(Timeouts()))


@pytest.fixture
def record(tmp_path: Path, link: Link) -> Iterator[Callable[..., RecordingStream]]:
    def begin(fake: Fake) -> RecordingStream:
        tape = TapeWriter(str(tmp_path / "tape"))
        return RecordingTransport(fake, tape, {"format": 1, "model": "m"}, Redactor).open(
            REQUEST, link
        )

    yield begin
    if (tmp_path / "tape").exists():
        text = (tmp_path / "tape").read_text()
        assert KEY not in text and "the prompt" not in text


def kept(folder: Path) -> list[dict[str, Any]]:
    """The lines after the first, without times and checks."""
    told = [json.loads(line) for line in (folder / "tape").read_text().splitlines()]
    return [
        {k: v for k, v in line.items() if k not in ("check", "at", "after")} for line in told[1:]
    ]


def test_head_reads_and_end_are_kept_in_order(record: Any, tmp_path: Path) -> None:
    stream = record(Fake(b"data: \xc3", b"\xa4\n\n"))
    assert [stream.read(), stream.read(), stream.read()] == [b"data: \xc3", b"\xa4\n\n", b""]
    stream.close()
    assert kept(tmp_path) == [
        {"attempt": 1},
        {"status": 200, "headers": {"content-type": "text/event-stream"}},
        {"base64": "ZGF0YTogww=="},
        {"base64": "pAoK"},
        {"end": "body"},
    ]


def test_times_count_from_the_beginning_of_the_attempt(record: Any, tmp_path: Path) -> None:
    stream = record(Fake(b"a", b"b"))
    stream.read(), stream.read(), stream.read()
    told = [json.loads(line) for line in (tmp_path / "tape").read_text().splitlines()]
    times = [line["at"] for line in told if "at" in line]
    assert len(times) == 4 and times == sorted(times) and times[0] >= 0 and times[-1] < 5


@pytest.mark.parametrize(
    ("leave", "how"), [("close", "left"), ("finish", "finished")], ids=["closed", "finished"]
)
def test_an_answer_that_is_left_says_so(record: Any, tmp_path: Path, leave: str, how: str) -> None:
    fake = Fake(b"a", b"b")
    stream = record(fake)
    stream.read()
    getattr(stream, leave)()
    stream.close()
    assert kept(tmp_path)[-1] == {"end": how}
    assert fake.closed and fake.finished is (how == "finished")


def test_an_error_is_kept_by_class_words_and_details(record: Any, tmp_path: Path) -> None:
    failed = StreamTimeout(f"no content, {KEY}", clock="first", limit=0.5, retryable=True)
    stream = record(Fake(b"a", failed))
    stream.read()
    with pytest.raises(StreamTimeout) as caught:
        stream.read()
    assert caught.value is failed
    assert kept(tmp_path)[-1]["end"] == "error"
    error = kept(tmp_path)[-1]["error"]
    assert error == {
        "type": "StreamTimeout",
        "message": "no content, [redacted]",
        "clock": "first",
        "limit": 0.5,
        "retryable": True,
    }


def test_an_attempt_without_an_answer_is_kept_too(record: Any, tmp_path: Path) -> None:
    with pytest.raises(StreamInterrupted):
        record(Fake(None, StreamInterrupted("gone", stage="headers")))
    assert [line.get("end") for line in kept(tmp_path)] == [None, "error"]


def test_an_error_of_somebody_elses_is_kept_as_one_of_the_network(
    record: Any, tmp_path: Path
) -> None:
    with pytest.raises(KeyError):
        record(Fake(None, KeyError(KEY)))
    assert kept(tmp_path)[-1]["error"] == {
        "type": "TransportError",
        "message": "KeyError: '[redacted]'",
    }


@pytest.mark.parametrize("raised", [Aborted(), KeyboardInterrupt()], ids=lambda e: type(e).__name__)
def test_a_stop_of_ours_is_no_error_of_the_service(
    record: Any, tmp_path: Path, raised: BaseException
) -> None:
    stream = record(Fake(b"a", raised))
    stream.read()
    with pytest.raises(type(raised)):
        stream.read()
    assert kept(tmp_path)[-1] == {"end": "left"}


def test_an_error_body_is_one_read(record: Any, tmp_path: Path) -> None:
    stream = record(Fake(f'{{"bad": "{KEY}"}}'.encode()))
    assert KEY.encode() in stream.read_error_body(99)
    stream.close()
    assert kept(tmp_path)[2:] == [{"text": '{"bad": "[redacted]"}'}, {"end": "body"}]


@pytest.mark.parametrize("cut", range(1, len(KEY)))
def test_a_key_torn_over_two_reads_is_not_in_the_file(
    record: Any, tmp_path: Path, cut: int
) -> None:
    data = f"who is Bearer {KEY}?".encode()
    at = data.index(KEY.encode()) + cut
    stream = record(Fake(data[:at], data[at:]))
    assert stream.read() + stream.read() == data
    stream.close()
    assert "".join(line.get("text", "") for line in kept(tmp_path)) == "who is [redacted]?"


def test_a_key_cut_off_by_the_end_goes_too(record: Any, tmp_path: Path) -> None:
    stream = record(Fake(f"who is {KEY[:-1]}".encode()))
    stream.read(), stream.read()
    assert kept(tmp_path)[2:] == [{"text": "who is [redacted]"}, {"end": "body"}]


def test_headers_lose_what_is_private_by_name_and_by_value(record: Any, tmp_path: Path) -> None:
    fake = Fake(headers={"Set-Cookie": "session=1", "X-Echo": f"a {KEY}", "X-Request-Id": "r1"})
    stream = record(fake)
    stream.close()
    assert stream.headers is fake.headers
    assert kept(tmp_path)[1]["headers"] == {
        "set-cookie": "[redacted]",
        "x-echo": "a [redacted]",
        "x-request-id": "r1",
    }


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_disk_that_fails_costs_one_warning_and_nothing_else(
    record: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    number: int,
    code: int,
) -> None:
    done = 0
    real = os.write

    def write(file: int, data: Any) -> int:
        nonlocal done
        done += 1
        if done == number + 1:
            real(file, data[:5])  # torn
            raise OSError(code, os.strerror(code))
        return real(file, data)

    monkeypatch.setattr("streamkit.transport.tape.os.write", write)
    with caplog.at_level(logging.WARNING):
        stream = record(Fake(b"a", b"b", b"c"))
        assert b"".join(iter(stream.read, b"")) == b"abc"
        stream.close()
    warnings = [r.getMessage() for r in caplog.records if "recording stopped" in r.getMessage()]
    assert len(warnings) == 1
    assert done == number + 1


def test_a_folder_that_went_costs_one_warning(
    tmp_path: Path, link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    transport = RecordingTransport(
        Fake(b"a"), TapeWriter(str(tmp_path / "gone" / "tape")), {"format": 1}, Redactor
    )
    stream = transport.open(REQUEST, link)
    assert stream.read() == b"a"
    stream.close()
    assert caplog.text.count("recording stopped") == 1
