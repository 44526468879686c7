"""Faults that need more than a script of a LocalProvider; those that do not are in tests/faults."""

from __future__ import annotations

import contextlib
import errno
import gc
import http.client
import re
import socket
import subprocess
import sys
import textwrap

import pytest
from fault_cases import check_clean
from urllib3.exceptions import NewConnectionError

import streamkit
from streamkit.deadline import Clocks, Timeouts
from streamkit.errors import (
    ConnectError,
    InvalidRequest,
    LimitExceeded,
    Overloaded,
    ProtocolError,
    StreamInterrupted,
    StreamkitError,
    TransportError,
)
from streamkit.testing import (
    FAULTS,
    AfterAnswer,
    BeforeHeaders,
    Coding,
    Fin,
    Framing,
    Hang,
    Headers,
    NextRequest,
    OnAccept,
    Raw,
    Repeat,
    Reset,
    Status,
    Text,
)
from streamkit.transport.failure import map_failure
from streamkit.transport.http import HttpTransport

MODES = ("direct", "buffered", "managed")


@pytest.mark.parametrize("mode", MODES)
def test_refused(ask, mode):
    _, error = ask.fail("http://127.0.0.1:1/v1", mode)
    assert isinstance(error, ConnectError) and isinstance(error, TransportError)
    assert str(error) == "127.0.0.1:1 refused the connection"
    assert (error.kind, error.stage, error.retryable) == ("refused", "connect", True)
    assert isinstance(error.__cause__, ConnectionRefusedError)
    check_clean(error)


@pytest.mark.parametrize("mode", MODES)
def test_a_name_nobody_knows(ask, mode):
    _, error = ask.fail("https://no-such-host.invalid:8080/v1", mode)
    assert isinstance(error, ConnectError)
    assert (error.kind, error.stage) == ("dns", "connect")
    assert str(error).startswith("cannot look up no-such-host.invalid:8080: ")
    check_clean(error)


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "a..b"])
def test_a_name_that_dns_cannot_carry(ask, host):
    with pytest.raises(ConnectError) as caught:
        HttpTransport().open(ask.request(f"http://{host}:8080/v1"), ask.link())
    assert caught.value.kind == "dns"
    assert str(caught.value).startswith(f"cannot look up {host}:8080: ")


@pytest.mark.parametrize("size", [b"-5", b"zz", b"", b"0x"])
def test_a_chunk_size_that_is_none(ask, serve, size):
    provider = serve([Text("one"), Raw(size + b"\r\nhello\r\n", framed=False), Fin()])
    text, error = ask.fail(provider)
    assert text == "one"
    assert type(error) is ProtocolError


def test_a_redirect_bomb_is_not_read(ask, serve):
    provider = serve(FAULTS["redirect-bomb"])
    _, error = ask.fail(provider)
    assert type(error) is TransportError
    assert provider.wait_disconnect() is not None
    assert provider.requests[0].sent < 100 * 1024  # of 200 KiB; the kernel's buffers took them


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(ask, serve, status):
    other = serve([Text("stolen")])
    provider = serve([Status(status, b"", headers={"location": other.base_url()})])
    _, error = ask.fail(provider, retry=True)
    assert isinstance(error, TransportError)
    assert (len(provider.requests), other.connections) == (1, 0)


def test_interim_answers_without_end_are_refused(ask, serve):
    flood = Repeat([Raw(b"HTTP/1.1 103 Early\r\n\r\n" * 100)])
    _, error = ask.fail(serve([BeforeHeaders([flood])]))
    assert isinstance(error, LimitExceeded)


def test_a_gzip_bomb_stops_at_the_limit_of_an_event(ask, serve):
    _, error = ask.fail(serve(FAULTS["gzip-bomb"]))
    assert isinstance(error, LimitExceeded)


@pytest.mark.parametrize("body", [b"", b"x", b"null", b"[]", b"<html>", b"\xff\xfe"])
@pytest.mark.parametrize("framing", ["chunked", "length", "close"])
def test_an_error_status_is_the_error_whatever_its_body(ask, serve, body, framing):
    steps = [Headers(status=404), Framing(framing)] + ([Raw(body)] if body else [])
    _, error = ask.fail(serve(steps))
    assert isinstance(error, InvalidRequest) and error.status == 404


@pytest.mark.parametrize("fault", ["error-length-lie", "error-gzip"])
def test_an_error_body_that_lies_does_not_hide_the_status(ask, serve, fault):
    _, error = ask.fail(serve(FAULTS[fault]))
    assert isinstance(error, Overloaded) and error.status == 500


def test_an_error_body_in_too_many_codings_does_not_hide_the_status(ask, serve):
    _, error = ask.fail(serve([Headers(status=503), Coding(("gzip",) * 6), Raw("no")]))
    assert isinstance(error, Overloaded)


@pytest.mark.parametrize("fault", ["flaky-rst", "flaky-fin"])
def test_a_break_before_the_answer_is_tried_again(ask, serve, fault):
    broken = [OnAccept([Reset() if fault == "flaky-rst" else Fin()])]
    provider = serve(scripts=[broken, broken, [Text("Hi")]])
    stream = ask(provider, retry={"initial": 0.0})
    assert list(stream) == ["Hi"]
    assert len(stream.result().attempts) == 3


def test_out_of_descriptors(tmp_path):
    script = tmp_path / "starve.py"
    script.write_text(
        textwrap.dedent("""
        import os, resource, streamkit
        from streamkit.testing import Gate, LocalProvider, Text

        def ask(**keywords):
            return streamkit.stream("openai/m", "Hi", base_url=url, api_key="k" * 9, **keywords)

        with LocalProvider([Text("one"), Gate(), Text(" two")]) as provider:
            url = provider.base_url()
            running = iter(ask())
            assert next(running) == "one"
            provider.wait_gate()
            used = len(os.listdir("/proc/self/fd"))
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
            hogs = []
            try:
                while True:
                    hogs.append(os.dup(0))
            except OSError:
                pass
            for mode in ("direct", "buffered", "managed"):
                try:
                    list(ask(mode=mode, retry=None))
                except streamkit.ConnectError as error:
                    assert error.kind == "resources" and error.retryable, error
                    assert "Too many open files" in str(error), error
                else:
                    raise AssertionError(mode)
            for hog in hogs:
                os.close(hog)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            provider.release(2)
            assert list(running) == [" two"]
            assert list(ask()) == ["one", " two"]
        streamkit.close()
        print("ok")
        """)
    )
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ok\n", "")


@pytest.mark.parametrize("count", [90, 99])
def test_a_head_that_is_too_long_as_a_whole(ask, serve, count):
    many = Headers([(f"x-{number}", "v" * 2000) for number in range(count)])
    _, error = ask.fail(serve([many, Text("Hi")]))
    assert type(error) is LimitExceeded
    assert re.match(
        r"the headers or a chunk line from 127.0.0.1:\d+ are over 65536 bytes", str(error)
    )


def test_a_long_head_and_a_long_answer_pass(ask, serve):
    long = Headers([(f"x-{number}", "v" * 900) for number in range(60)])
    assert "".join(ask(serve([long, Text("x" * 200_000)]))) == "x" * 200_000


@pytest.mark.parametrize("codings", [["chunked, chunked"], ["gzip, chunked"], ["chunked"] * 2])
def test_a_transfer_coding_that_is_not_undone_is_refused(ask, serve, codings):
    head = b"".join(b"Transfer-Encoding: %s\r\n" % coding.encode() for coding in codings)
    _, error = ask.fail(serve([BeforeHeaders([Raw(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")])]))
    assert type(error) is ProtocolError
    assert "transfer-encoding" in str(error)


@pytest.mark.parametrize(
    "head",
    [
        "transfer-encoding: chunked\r\ncontent-length: 7\r\n",
        "transfer-encoding: chunked\r\nno header\r\n",
        "transfer-encoding: chunked\r\nset-cookie: a=b; Max-Age=" + "9" * 400 + "\r\n",
        "transfer-encoding: chunked\r\nset-cookie: a=b; Version=zz\r\n",
    ],
    ids=["two lengths", "no header", "endless cookie", "odd cookie"],
)
def test_an_odd_head_warns_nobody(ask, serve, head, caplog):
    event = '{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}'
    body = f"data: {event}\n\ndata: [DONE]\n\n"
    chunks = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n"
    provider = serve([BeforeHeaders([Raw(f"HTTP/1.1 200 OK\r\n{head}\r\n{chunks}"), Hang()])])
    assert "".join(ask(provider)) == "Hi"
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_stream_leaves_no_garbage_for_the_collector(ask, serve):
    """Cycles would hold sockets and answers until the collector comes by."""
    provider = serve(scripts=[[Text("Hi")], FAULTS["rst-after"], FAULTS["rst-before-headers"]])
    list(ask(provider))
    ask.fail(provider)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(2):
            list(ask(serve([Text("Hi")])))
            list(ask(serve([Text("Hi")]), "buffered"))
        gc.collect()
        ours = {"requests", "urllib3", "streamkit.transport", "http.client"}
        found = [
            type(thing)
            for thing in gc.garbage
            if any(type(thing).__module__.startswith(name) for name in ours)
            and "email" not in type(thing).__module__
        ]
        assert found == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize(
    "scripts",
    [
        [[Text("Hi"), AfterAnswer([NextRequest(), Reset()])], [Text("Hi")]],
        [FAULTS["rst-after"]],
        [FAULTS["rst-before-headers"]],
        [FAULTS["gzip-lie"]],
        [FAULTS["unknown-encoding"]],
        [FAULTS["cut-length"]],
        [FAULTS["dup-cl"]],
    ],
    ids=["stale", "break", "break before headers", "gzip", "unknown coding", "short", "head"],
)
def test_a_failure_leaves_no_garbage_for_the_collector_either(ask, serve, scripts):
    provider = serve(scripts=scripts)
    transport = HttpTransport()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(2):
            try:
                stream = transport.open(ask.request(provider.base_url()), ask.link())
            except StreamkitError:
                continue
            with contextlib.suppress(StreamkitError):
                while stream.read():
                    pass
                stream.finish()
            stream.close()
            del stream
        gc.collect()
        assert [thing for thing in gc.garbage if "streamkit" in type(thing).__module__] == []
        assert [
            thing for thing in gc.garbage if isinstance(thing, (Exception, socket.socket))
        ] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    transport.close()


def test_an_error_is_mapped_by_what_it_wraps_not_by_its_order():
    outer = http.client.HTTPException("wrapped")
    outer.__cause__ = OSError(errno.EMFILE, "Too many open files")
    mapped = map_failure(outer, url="http://h/v1", clocks=Clocks(Timeouts()), answered=False)
    assert isinstance(mapped, ConnectError) and mapped.kind == "resources"


def test_a_reset_during_the_connect_is_a_break():
    reset = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    wrapped = NewConnectionError(None, "failed")  # type: ignore[arg-type]
    wrapped.__cause__ = reset
    mapped = map_failure(wrapped, url="http://h/v1", clocks=Clocks(Timeouts()), answered=False)
    assert isinstance(mapped, StreamInterrupted) and mapped.retryable
    assert mapped.__cause__ is reset


def test_a_kernel_that_gives_up_is_a_break_and_no_clock():
    gone = TimeoutError(errno.ETIMEDOUT, "Connection timed out")
    mapped = map_failure(gone, url="http://h/v1", clocks=Clocks(Timeouts()), answered=True)
    assert isinstance(mapped, StreamInterrupted)
    assert str(mapped) == "h broke the connection in the middle of the answer: Connection timed out"


def test_closing_twice_and_reading_after_close_are_harmless(ask, serve):
    provider = serve([Text("Hi")])
    transport = HttpTransport()
    stream = transport.open(ask.request(provider.base_url()), ask.link())
    stream.close()
    stream.close()
    stream.finish()
    with pytest.raises(StreamkitError):
        while stream.read():
            pass
        raise streamkit.TruncatedStream  # the end of a body that was given up looks like any end
    transport.close()
