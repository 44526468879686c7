"""The key is on the wire and nowhere else: errors, tracebacks, logs, pickles, object graphs."""

from __future__ import annotations

import logging
import pickle
import traceback
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import streamkit
from streamkit.testing import (
    FAULTS,
    BeforeHeaders,
    Error,
    Fin,
    Headers,
    Raw,
    Status,
    Text,
)

MODES = ("direct", "buffered", "managed")
KEY = "sk-marker-0123456789abcdef"

ECHOES = {
    "in an error body": [Status(401, {"error": {"message": f"bad key {KEY}"}})],
    "in a bare error body": [Status(400, f"who is Bearer {KEY}?")],
    "in an html error": [Status(503, f"<h1>{KEY}</h1>")],
    "in a header": [Status(429, headers={"x-echo": KEY, "retry-after": KEY, "x-request-id": KEY})],
    "in the status line": [BeforeHeaders([Raw(f"SSH {KEY}\r\n"), Fin()])],
    "in the reason": [BeforeHeaders([Raw(f"HTTP/1.1 zz {KEY}\r\n\r\n"), Fin()])],
    "in a stream error": [Text("one"), Error(f"bad key {KEY}", code=KEY, type=KEY)],
    "in the redirect": [Status(302, b"", headers={"location": f"http://{KEY}.invalid/"})],
    "in the encoding": [Headers({"content-encoding": KEY}), Text("one")],
    "in the content type": [Headers({"content-type": f"text/{KEY}"}), Raw(f"{KEY}"), Fin()],
    "in bad JSON": [Text("one"), Raw(f"data: {{{KEY}\n\n")],
    "in the content length": [Headers([("content-length", KEY)]), Text("one"), Fin()],
}
SILENT = [
    "accept-close", "accept-rst", "close-before-headers", "rst-before-headers", "half-status-line",
    "many-headers", "huge-header", "headers-then-fin", "empty-200", "unknown-encoding", "gzip-lie",
    "gzip-chain", "redirect", "rst-after", "truncated-in-chunk", "cut-length", "bad-chunk-size",
    "fin-after", "error-mid", "html-200", "error-gzip", "hang-before-headers", "stall-after",
]  # fmt: skip


def reachable(root: Any) -> list[Any]:
    """Everything that hangs on an error: fields, arguments, causes, and what these hold."""
    seen: dict[int, Any] = {}
    todo = [root]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (type, ModuleType, FunctionType)):
            continue
        seen[id(thing)] = thing
        if isinstance(thing, BaseException):
            todo += [thing.__cause__, thing.__context__, *thing.args]
        if isinstance(thing, dict):
            todo += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset)):
            todo += list(thing)
        todo += list(getattr(thing, "__dict__", {}).values())
        for kind in type(thing).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            names = (slots,) if isinstance(slots, str) else slots
            todo += [getattr(thing, name) for name in names if hasattr(thing, name)]
    return list(seen.values())


def holds_key(thing: Any) -> bool:
    if isinstance(thing, str):
        return KEY in str(thing)
    return isinstance(thing, (bytes, bytearray)) and KEY.encode() in bytes(thing)


def check(error: BaseException, stream: Any, log: str) -> None:
    assert KEY not in str(error) + repr(error)
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    text = "".join(shown.format())
    # The frames of this test name the marker; those of the library must not.
    inside = text[text.index("streamkit/") :] if "streamkit/" in text else text
    assert KEY not in inside, inside[max(0, inside.index(KEY) - 400) :][:600]
    assert [thing for thing in reachable(error) if holds_key(thing)] == []
    assert KEY.encode() not in pickle.dumps(error)
    assert KEY not in str(pickle.loads(pickle.dumps(error)))
    assert KEY not in log
    for snapshot in (stream, stream.metrics, stream.partial, stream.headers, stream.request_id):
        assert KEY not in repr(snapshot)


def fails(ask, provider, mode, caplog, **keywords):
    with caplog.at_level(logging.DEBUG):
        stream = ask(provider, mode, **keywords)
        try:
            list(stream)
        except BaseException as error:
            check(error, stream, caplog.text)
            return error
    raise AssertionError(f"ended quietly: {stream.outcome}")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("where", ECHOES)
def test_a_server_that_echoes_the_key(ask, serve, caplog, where, mode):
    provider = serve(ECHOES[where])
    fails(ask, provider, mode, caplog)
    assert KEY in str(dict(provider.requests[0].headers))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", SILENT)
def test_a_fault_does_not_bring_the_request_along(ask, serve, caplog, fault, mode):
    fails(ask, serve(FAULTS[fault]), mode, caplog, timeout=0.2)


@pytest.mark.parametrize("mode", MODES)
def test_nor_do_retries(ask, serve, caplog, mode):
    provider = serve([Status(503, f"{KEY}")])
    error = fails(ask, provider, mode, caplog, retry={"initial": 0.0})
    assert len(error.attempts) == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "https://no-such-host.invalid/v1"])
def test_nor_do_connections_that_fail(ask, caplog, url):
    fails(ask, url, "direct", caplog)


def test_a_certificate_error_does_not_bring_the_request_along(ask, serve, tls, caplog):
    fails(ask, serve([Text("Hi")], tls=tls), "direct", caplog)


def test_the_key_is_sent_as_it_is(ask, serve):
    provider = serve([Text("Hi")])
    list(ask(provider))
    assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("entry", ["machine 127.0.0.1", "default"])
def test_netrc_never_replaces_the_key(ask, serve, tmp_path: Path, monkeypatch, entry):
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"{entry}\n  login intruder\n  password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))
    provider = serve([Text("Hi")])
    assert list(ask(provider)) == ["Hi"]
    assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_cookies_are_neither_stored_nor_sent(ask, serve):
    provider = serve(FAULTS["set-cookie"])
    for _ in range(2):
        list(ask(provider))
    assert not any("cookie" in request.headers for request in provider.requests)


def test_a_successful_stream_shows_the_key_nowhere(ask, serve, caplog):
    with caplog.at_level(logging.DEBUG):
        provider = serve([Headers({"x-echo": KEY}), Text("Hi")])
        stream = ask(provider)
        result = stream.result()
    for thing in (stream, result, stream.metrics, stream.headers, ask.client):
        assert KEY not in repr(thing)
    assert KEY.encode() not in pickle.dumps(result)
    assert KEY not in caplog.text


def test_a_bad_key_is_refused_without_being_quoted():
    bad = f"{KEY}\r\nX-Evil: 1"
    with pytest.raises(streamkit.ConfigurationError) as caught:
        streamkit.stream("openai/m", "Hi", base_url="http://127.0.0.1:1/v1", api_key=bad)
    assert KEY not in str(caught.value)
