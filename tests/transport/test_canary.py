"""
A marker key through every fault, searched for in whatever a program can print, store or log
(PROMISES.md S1). test_secrets.py has the servers that echo the key, place by place.
"""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import threading
import traceback
from contextlib import closing
from dataclasses import asdict
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

import streamkit
from streamkit import (
    Limits,
    RecoveryFailed,
    RetryConfig,
    StreamkitError,
    StreamOptions,
    StreamRecovery,
    Timeouts,
    follow,
    open_store,
)
from streamkit.request import Secret
from streamkit.testing import FAULTS, Data, Done, Error, Headers, Raw, Reset, Status, Text

KEY = "sk-marker-0123456789abcdef"
OPTIONS = StreamOptions(
    timeout=Timeouts(connect=0.3, first=0.3, content=0.3, wire=0.3, total=0.6),
    retry=None,
    limits=Limits(event=200_000, answer=50_000, error_body=20_000),
)
#: Beside the ways of test_secrets.py: forms a key takes on its way back, and successes.
ECHOES: dict[str, Any] = {
    "escaped in JSON": [Status(401, '{"error": {"message": "bad key sk\\u002d' + KEY[3:] + '"}}')],
    "in a field": [Status(400, {"error": {"message": "no", "param": KEY, "code": KEY}})],
    "deep in the body": [Status(422, {"detail": [{"loc": ["header", KEY], "msg": KEY}]})],
    "in a list": [Status(400, [{"error": KEY}])],
    "twice, back to back": [Status(500, KEY + KEY)],
    "as its own header": [Headers({"authorization": f"Bearer {KEY}", "x-api-key": KEY}), Text("a")],
    "in the request id": [Headers({"x-request-id": KEY}), Text("a")],
    "as the model and the id": [Data({"id": KEY, "model": KEY, "choices": []}), Text("a"), Done()],
    "in an event name": [Text("a"), Raw(f"event: {KEY}\nid: {KEY}\ndata: {{\n\n")],
    "in a comment": [Raw(f": {KEY}\n\n"), Text("a")],
    "in an error after text": [Text("a"), Error(KEY, code=KEY)],
    "in the head of an answer that breaks": [
        Headers({"x-request-id": KEY, "x-more": KEY}), Text("a"), Reset(),
    ],
    "in the head of a refusal": [Status(503, "no", headers={"x-request-id": KEY, "x-more": KEY})],
    "in a redirect's query": [Status(307, b"", headers={"location": f"https://h/?k={KEY}"})],
    "in a redirect's user": [Status(307, b"", headers={"location": f"https://{KEY}:{KEY}@h/"})],
}  # fmt: skip
#: What breaks an answer that is carried on, and then its rest.
BROKEN: dict[str, Any] = {
    "an error event": [Text("half"), Error(KEY, code=KEY)],
    "a comment": [Text("half"), Raw(f": {KEY}\n\n"), Reset()],
    "the names": [Text("half"), Data({"id": KEY, "model": KEY, "choices": []}), Reset()],
    "the head": [Headers({"x-request-id": KEY, "x-more": KEY}), Text("half"), Reset()],
    "a refusal of the rest": [
        [Text("half"), Reset()],
        [Status(503, {"error": {"message": KEY, "code": KEY}}, headers={"x-request-id": KEY})],
    ],
}
#: Ends of the walk: what belongs to the interpreter, and to the tests.
OUTSIDE = (type, ModuleType, FunctionType, BuiltinFunctionType, logging.Logger, threading.Thread)
MOST = 1_000_000


def reached(root: Any) -> list[Any]:
    """What the garbage collector can reach from an object, at most MOST things."""
    seen: dict[int, Any] = {}
    todo = [root]
    while todo and len(seen) < MOST:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, OUTSIDE):
            continue
        if isinstance(thing, dict) and "__builtins__" in thing:  # the globals of a module
            continue
        seen[id(thing)] = thing
        if isinstance(thing, FrameType):  # of a test it is no leak: tests know the marker
            if "/streamkit/" in thing.f_code.co_filename:
                todo += list(thing.f_locals.values())
        else:
            todo += gc.get_referents(thing)
    return list(seen.values())


def plain(thing: Any) -> bool:
    """Whether it holds the key otherwise than as a Secret."""
    if isinstance(thing, str):
        return not isinstance(thing, Secret) and KEY in thing
    return isinstance(thing, (bytes, bytearray)) and KEY.encode() in thing


def shown(stream: Any, error: BaseException | None, chunks: list[Any]) -> str:
    """All that printing can show of a stream that has ended."""
    result = stream.partial
    things = [
        stream, result, stream.metrics, stream.progress, stream.headers, stream.request_id,
        stream._run, stream._run.options, *chunks, *(threading.enumerate()),
    ]  # fmt: skip
    text = "".join(f"{thing!r}\n{thing!s}\n" for thing in things)
    for thing in (result, stream.metrics):
        text += repr(asdict(thing)) + repr(copy.deepcopy(thing))
        text += pickle.dumps(thing).decode("latin-1")
    if error is not None:
        text += f"{error!r}{error!s}{vars(error)!r}" + traced(error)
        text += repr(copy.copy(error)) + pickle.dumps(error).decode("latin-1")
    return text


def traced(error: BaseException) -> str:
    """The traceback with its locals, without those of tests, which know the marker."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines = ""
    while told is not None:
        frames = [frame for frame in told.stack if "/streamkit/" in frame.filename]
        lines += "".join(told.format_exception_only()) + "".join(repr(f.locals) for f in frames)
        told = told.__cause__ or told.__context__
    return lines


def check(ask: Any, provider: Any, mode: str, caplog: Any, capfd: Any, recwarn: Any) -> None:
    chunks: list[Any] = []
    error: BaseException | None = None
    with caplog.at_level(logging.DEBUG):
        stream = ask(provider, mode, options=OPTIONS)
        try:
            chunks.extend(stream.chunks())
        except StreamkitError as caught:
            error = caught
    text = shown(stream, error, chunks)
    assert KEY not in text, text[max(0, text.index(KEY) - 300) :][:500]
    if error is not None:
        assert [thing for thing in reached(error) if plain(thing)] == []
    assert KEY not in caplog.text
    for record in caplog.records:
        assert record.getMessage().isprintable(), "one record is one line"
    assert KEY not in "".join(capfd.readouterr())
    assert not any(KEY in str(warning.message) for warning in recwarn)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_fault_shows_the_key(ask, serve, caplog, capfd, recwarn, fault):
    check(ask, serve(FAULTS[fault]), "direct", caplog, capfd, recwarn)


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
@pytest.mark.parametrize("where", ECHOES)
def test_no_echo_shows_the_key(ask, serve, caplog, capfd, recwarn, where, mode):
    check(ask, serve(ECHOES[where]), mode, caplog, capfd, recwarn)


@pytest.mark.parametrize("kept_by", ["recovery", "publish"])
@pytest.mark.parametrize("echo", BROKEN)
def test_neither_recovery_nor_a_store_shows_the_key(ask, serve, tmp_path, caplog, echo, kept_by):
    url, script = f"sqlite:///{tmp_path}/s.db", BROKEN[echo]
    provider = serve(scripts=script) if isinstance(script[0], list) else serve(script)
    keep = {"store": url, "id": "a"} if kept_by == "recovery" else {}
    with caplog.at_level(logging.DEBUG), closing(open_store(url)) as store:
        stream = ask(
            provider, "buffered", retry=RetryConfig(initial=0.001, max_retries=1),
            recovery={"max_retries": 1, **keep}, extra_headers={"X-Token": KEY},
        )  # fmt: skip
        if kept_by == "publish":
            stream.publish(url, "a")
        with pytest.raises(RecoveryFailed) as caught:
            stream.wait(10)
        with pytest.raises(RecoveryFailed) as followed:
            list(follow(url, "a"))
        error, read = caught.value, followed.value
        text = shown(stream, error, []) + f"{read!r}{vars(read)!r}{store.info('a')!r}"
        text += repr(error.partial.recoveries) + repr(StreamRecovery(url).partial("a"))
        text += "".join(file.read_bytes().decode("latin-1") for file in tmp_path.iterdir())
    assert "half" in text and KEY not in text + caplog.text
    assert [thing for thing in reached(error) if plain(thing)] == []


@pytest.mark.parametrize("mode", ["direct", "buffered", "managed"])
@pytest.mark.parametrize("recovery", [None, {"max_retries": 1}])
@pytest.mark.parametrize("echo", BROKEN)
def test_a_stream_that_is_recorded_shows_no_key(ask, serve, tmp_path, echo, recovery, mode):
    script, file = BROKEN[echo], tmp_path / "a.jsonl"
    provider = serve(scripts=script) if isinstance(script[0], list) else serve(script)
    retry = RetryConfig(initial=0.001, max_retries=1)
    stream = ask(provider, mode, retry=retry, recovery=recovery, record=file)
    with pytest.raises(StreamkitError) as caught:
        list(stream)
    assert KEY not in shown(stream, caught.value, []) + file.read_text()
    assert [thing for thing in reached(caught.value) if plain(thing)] == []


def test_client_call_and_request_show_no_key(ask, serve):
    request = ask.request("https://h")
    for thing in (ask.client, vars(ask.client), request, request.headers, ask.client._transport):
        assert KEY not in f"{thing!r}{thing!s}"
    for copied in (pickle.dumps, copy.deepcopy, asdict):
        with pytest.raises(TypeError, match=r"never pickled|pickle"):
            copied(request)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(ask.client)
    with pytest.raises(TypeError):
        pickle.dumps(ask(serve([Text("a")])))


def test_the_walk_finds_a_plain_key_and_passes_a_secret():
    error = StreamkitError("no")
    error.hidden = {"headers": [Secret(KEY)]}  # type: ignore[attr-defined]
    assert not any(map(plain, reached(error)))
    error.hidden["headers"].append({"x": (b"Bearer " + KEY.encode(),)})  # type: ignore[attr-defined]
    assert any(map(plain, reached(error)))


def test_the_package_has_no_switch_that_shows_it():
    assert KEY not in repr(vars(streamkit))
