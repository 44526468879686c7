"""A recording played below the stream: when, in which pieces, with which errors; how it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamkit.deadline import Clocks, Timeouts
from streamkit.errors import (
    ConfigurationError,
    ConnectError,
    LimitExceeded,
    ProtocolError,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
)
from streamkit.latch import Latch
from streamkit.request import Request
from streamkit.transport.base import Aborted, Link
from streamkit.transport.replay import ReplayStream, ReplayTransport
from streamkit.transport.tape import TapeReader, TapeWriter

REQUEST = Request(url="http://127.0.0.1/v1", headers={})
HEAD = {"at": 0.0, "status": 200, "headers": {"x-request-id": "r1"}}
BEGIN = {"attempt": 1, "after": 0.0}


def link(**seconds: float | None) -> Link:
    return Link(Clocks(Timeouts(**seconds)))


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., ReplayTransport]:
    def make(*lines: Any, speed: float | None = 0) -> ReplayTransport:
        place = tmp_path / f"tape{len(list(tmp_path.iterdir()))}"
        writer = TapeWriter(str(place))
        for line in ({"format": 1}, *lines):
            writer.write(line)
        writer.close()
        return ReplayTransport(TapeReader(str(place)), speed)

    return make


def test_reads_come_in_their_pieces(load: Any) -> None:
    body = [{"at": 0.1, "text": "ä"}, {"at": 0.2, "base64": "/w=="}, {"at": 0.3, "end": "body"}]
    stream = load(BEGIN, HEAD, *body).open(REQUEST, link())
    assert (stream.status, stream.headers) == (200, {"x-request-id": "r1"})
    assert [stream.read() for _ in range(4)] == ["ä".encode(), b"\xff", b"", b""]


def test_the_times_are_those_of_the_recording(load: Any, time_scale: float) -> None:
    lines = [BEGIN, {**HEAD, "at": 0.1}, {"at": 0.2, "text": "a"}, {"at": 0.3, "end": "body"}]
    for speed, factor in ((1, 1.0), (4, 0.25), (0.5, 2.0)):
        start = time.monotonic()
        stream = load(*lines, speed=speed).open(REQUEST, link())
        took = [time.monotonic() - start]
        while True:
            data = stream.read()
            took.append(time.monotonic() - start)
            if not data:
                break
        for real, told in zip(took, (0.1, 0.2, 0.3), strict=True):
            assert told * factor <= real < told * factor + 0.15 * time_scale


@pytest.mark.parametrize("speed", [0, None, 0.0])
def test_without_a_speed_nothing_waits(load: Any, speed: float | None) -> None:
    lines = [BEGIN, {**HEAD, "at": 900}, {"at": 1e9, "text": "a"}, {"at": 1e300, "end": "body"}]
    stream = load(*lines, speed=speed).open(REQUEST, link())
    assert [stream.read(), stream.read()] == [b"a", b""]


@pytest.mark.parametrize("speed", [-1, float("nan"), float("inf"), True, "2", 10**400])
def test_a_speed_that_is_no_number_is_refused(load: Any, speed: Any) -> None:
    with pytest.raises(ConfigurationError, match="speed must be a number of at least 0, or None"):
        load(BEGIN, speed=speed)


def raised(error: dict[str, Any], load: Any) -> StreamkitError:
    stream = load(BEGIN, HEAD, {"at": 0.0, "end": "error", "error": error}).open(REQUEST, link())
    with pytest.raises(StreamkitError) as caught:
        stream.read()
    return caught.value


def test_errors_come_back_with_what_they_knew(load: Any) -> None:
    error = raised({"type": "StreamTimeout", "message": "m", "clock": "wire", "limit": 2.5}, load)
    assert isinstance(error, StreamTimeout)
    assert (str(error), error.clock, error.limit) == ("m", "wire", 2.5)
    error = raised({"type": "ConnectError", "message": "m", "kind": "tls", "stage": "x"}, load)
    assert isinstance(error, ConnectError) and (error.kind, error.stage) == ("tls", "x")
    error = raised({"type": "LimitExceeded", "message": "m", "limit": 1, "observed": 2}, load)
    assert isinstance(error, LimitExceeded) and (error.limit, error.observed) == (1, 2)


@pytest.mark.parametrize(
    "error", [None, {}, [], "x", {"type": "SystemExit"}, {"type": ["a"]}, {"type": "Aborted"}]
)
def test_an_error_of_no_known_kind_is_one_of_the_recording(load: Any, error: Any) -> None:
    assert type(raised(error, load)) is ProtocolError


def test_details_of_the_wrong_type_are_left_out(load: Any) -> None:
    error = raised({"type": "StreamTimeout", "message": 7, "clock": [], "limit": "x"}, load)
    assert isinstance(error, StreamTimeout)
    assert (str(error), error.clock, error.limit) == ("7", "", 0.0)


def test_an_attempt_that_failed_before_its_head_fails_so_again(load: Any) -> None:
    end = {"at": 0.0, "end": "error", "error": {"type": "ConnectError", "message": "refused"}}
    again = {"attempt": 2, "after": 1.5}
    transport = load(BEGIN, end, again, HEAD, {"at": 0, "text": "a"}, speed=2)
    with pytest.raises(ConnectError, match="refused"):
        transport.open(REQUEST, link())
    assert transport.pause() == 0.75
    assert transport.open(REQUEST, link()).read() == b"a"
    with pytest.raises(ProtocolError, match="no further attempt"):
        transport.open(REQUEST, link())


def test_a_pause_counts_from_the_end_of_the_attempt_before(load: Any) -> None:
    lines = [BEGIN, HEAD, {"at": 0.5, "text": "a"}, {"at": 1.0, "end": "body"}]
    transport = load(*lines, {"attempt": 2, "after": 4.0}, HEAD, speed=1)
    transport.open(REQUEST, link()).close()
    assert transport.pause() == 3.0
    transport.open(REQUEST, link())
    assert transport.pause() is None


def test_what_was_stopped_while_it_was_recorded_breaks_here(load: Any) -> None:
    stream = load(BEGIN, HEAD, {"at": 0, "end": "left"}).open(REQUEST, link())
    with pytest.raises(StreamInterrupted, match="stopped while it was recorded") as caught:
        stream.read()
    assert not caught.value.retryable


def test_a_recording_that_ends_in_the_middle_says_so(load: Any) -> None:
    stream = load(BEGIN, HEAD, {"at": 0, "text": "a"}).open(REQUEST, link())
    assert stream.read() == b"a"
    for _ in range(2):
        with pytest.raises(ProtocolError, match="ends in the middle"):
            stream.read()
    with pytest.raises(ProtocolError, match="ends in the middle"):
        load(BEGIN).open(REQUEST, link())


def test_an_error_body_is_read_to_its_end_or_limit(load: Any) -> None:
    lines = [BEGIN, HEAD, {"at": 0, "text": "abc"}, {"at": 0, "text": "def"}]
    lines.append({"at": 0, "end": "body"})
    for limit, body in ((99, b"abcdef"), (4, b"abcd"), (3, b"abc")):
        assert load(*lines).open(REQUEST, link()).read_error_body(limit) == body


class Waited(Latch):
    """A latch that tells when somebody is about to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.seen.set()
        return super().wait(timeout)


@pytest.mark.parametrize("where", ["head", "read"])
def test_an_abort_ends_a_wait_at_once(
    load: Any, run_in_thread: Any, where: str, time_scale: float
) -> None:
    late = [{**HEAD, "at": 600}] if where == "head" else [HEAD, {"at": 600, "text": "a"}]
    transport, ours = load(BEGIN, *late, speed=1), link()
    transport._aborted = waited = Waited()
    task = run_in_thread(lambda: transport.open(REQUEST, ours).read())
    assert waited.seen.wait(10)
    start = time.monotonic()
    ours.abort()
    transport.abort()
    with pytest.raises(Aborted):
        task.result()
    assert time.monotonic() - start < 0.1 * time_scale


def test_the_total_clock_ends_a_wait(load: Any) -> None:
    stream = load(BEGIN, HEAD, {"at": 600, "text": "a"}, speed=1).open(REQUEST, link(total=0.05))
    with pytest.raises(StreamTimeout) as caught:
        stream.read()
    assert caught.value.clock == "total"


def test_no_other_clock_does(load: Any) -> None:
    clocks = link(connect=0.01, first=0.01, content=0.01, wire=0.01)
    stream = load(BEGIN, {**HEAD, "at": 0.05}, {"at": 0.1, "text": "a"}, speed=1).open(
        REQUEST, clocks
    )
    clocks.clocks.finishing()
    assert stream.read() == b"a" and not clocks.clocks.over()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["attempt", "after", "at", "status", "headers", "text", "base64", "end", "error"]
)
WORDS = st.sampled_from(["body", "left", "finished", "error", "YQ==", "\ud800", 200, 0.0])


@given(st.lists(st.dictionaries(NAMES, WORDS | JSON, max_size=4), max_size=6))
def test_lines_of_any_kind_raise_nothing_but_our_errors(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, Any]]
) -> None:
    writer = TapeWriter(str(tmp_path_factory.mktemp("t") / "tape"))
    for line in ({"format": 1}, BEGIN, HEAD, *lines):
        writer.write(line or {"at": 0})
    writer.close()
    transport = ReplayTransport(TapeReader(writer.path), 0)
    try:
        stream: ReplayStream = transport.open(REQUEST, link())
        for _ in range(9):
            stream.read()
        transport.pause()
    except StreamkitError:
        pass
