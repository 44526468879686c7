"""
How an answer goes wrong: a table of named faults.

Each is composed of the steps that users have too; the table shows how to build your own.
"""

from __future__ import annotations

from collections.abc import Mapping

from streamkit.testing.delivery import (
    AfterAnswer,
    BeforeHeaders,
    Coding,
    Framing,
    Headers,
    OnAccept,
    Status,
    Whole,
    Wire,
)
from streamkit.testing.script import Cut, Fin, Hang, NextRequest, Pause, Raw, Repeat, Reset, Step
from streamkit.testing.speech import Data, Done, Error, Finish, Ping, Text, Usage

__all__ = ["FAULTS", "PREFIX"]

#: The text that every fault in the middle of a stream has sent before it strikes.
PREFIX = "Hällo 😀 world"
_SAID = Text(PREFIX)
_END = (Finish(), Done())


def _replaced(old: bytes, new: bytes) -> Wire:
    return Wire(rewrite=lambda data: data.replace(old, new))


def _interim(code: int) -> BeforeHeaders:
    return BeforeHeaders([Raw(f"HTTP/1.1 {code} Wait\r\nx-early: 1\r\n\r\n")])


def _garbled(*steps: Step) -> tuple[Step, ...]:
    return (BeforeHeaders([*steps, Fin()]),)


#: Fault name -> script, for one request. Where a script holds raw events they are OpenAI's.
#: Source: PROMISES.md section 2, whose names and order these are.
FAULTS: Mapping[str, tuple[Step, ...]] = {
    "accept-close": (OnAccept([Fin()]),),
    "accept-rst": (OnAccept([Reset()]),),
    "accept-hang": (OnAccept([Hang()]),),
    "banner": (OnAccept([Raw("SSH-2.0-OpenSSH_9.6\r\n"), Fin()]),),
    "garbage-status": _garbled(Raw("HTTP/1.1 abc \x1b[31m\r\n\r\n")),
    "half-status-line": _garbled(Raw("HTTP/1.1 2")),
    "close-before-headers": (BeforeHeaders([Fin()]),),
    "rst-before-headers": (BeforeHeaders([Reset()]),),
    "hang-before-headers": (BeforeHeaders([Hang()]),),
    "headers-then-hang": (Hang(),),
    "slow-headers": (Headers(size=2, every=0.005), _SAID),
    "loris": (
        BeforeHeaders(
            [Raw("HTTP/1.1 200 OK\r\n"), Repeat([Raw("x-a: 1\r\n", size=1, every=0.05)])]
        ),
    ),
    "interim-100": (_interim(100), _SAID),
    "interim-102": (_interim(102), _SAID),
    "interim-103": (_interim(103), _SAID),
    "many-headers": (Headers([(f"x-{n}", "1") for n in range(200)]), _SAID),
    "huge-header": (Headers({"x-huge": "a" * 100_000}), _SAID),
    "headers-then-fin": (Fin(),),
    "empty-200": (Cut(),),
    "error-body-hang": (Headers(status=500), Raw('{"error": {"mess'), Hang()),
    "error-body-endless": (Headers(status=500), Repeat([Raw(b"x" * 65536)])),
    "error-length-lie": (Headers(status=500), Framing("length", 5000), Raw('{"error": 1}'), Fin()),
    "error-gzip": (Headers(status=500), Coding("gzip"), Raw('{"error": {"message": "coded"}}')),
    "redirect": (Status(307, b"", headers={"location": "http://other.invalid/v1"}),),
    "redirect-bomb": (
        Headers({"location": "/elsewhere"}, status=302),
        Coding("gzip"),
        Repeat([Raw(bytes(1 << 20))], times=200),
    ),
    "error-200-json": (Status(200, {"error": {"message": "no", "type": "server_error"}}),),
    "error-first": (Error("no"),),
    "html-200": (
        Status(200, "<html><h1>Login</h1></html>", headers={"content-type": "text/html"}),
    ),
    "json-200": (Whole(), _SAID),
    "unknown-encoding": (Headers({"content-encoding": "zork"}), _SAID),
    "wrong-content-type": (Headers({"content-type": "application/json"}), _SAID),
    "no-content-type": (Headers({"content-type": None}), _SAID),
    "latin1-label": (Headers({"content-type": "text/event-stream; charset=iso-8859-1"}), _SAID),
    "error-mid": (_SAID, Error("broke")),
    "error-then-done": (_SAID, Error("broke"), Done()),
    "rst-after": (_SAID, Reset()),
    "rst-mid-event": (_SAID, Raw('data: {"choi'), Reset()),
    "truncated-chunked": (_SAID, Fin()),
    "truncated-in-chunk": (_SAID, Raw('ff\r\ndata: {"choi', framed=False), Fin()),
    "cut-length": (Framing("length", 1 << 20), _SAID, Fin()),
    "fin-after": (Framing("close"), _SAID, Cut()),
    "no-finish": (_SAID, Cut()),
    "cut-json": (_SAID, Raw('data: {"choi'), Cut()),
    "cut-utf8": (_SAID, Raw(b'data: {"choices":[{"delta":{"content":"\xf0\x9f'), Cut()),
    "bad-chunk-size": (_SAID, Raw("zz\r\nhello\r\n", framed=False), Fin()),
    "te-and-cl": (Headers({"content-length": "7"}), _SAID),
    "dup-cl": (Framing("length"), Headers([("content-length", n) for n in ("9", "90")]), _SAID),
    "no-done": (_SAID, Finish(), Cut()),
    "done-no-finish": (_SAID, Done()),
    "no-final-blank": (_SAID, Finish(), Raw("data: [DONE]\n"), Cut()),
    "done-nospace": (_replaced(b"data: [DONE]", b"data:[DONE]"), _SAID),
    "done-then-hang": (_SAID, *_END, Hang()),
    "late-close": (_SAID, *_END, Pause(0.5)),
    "finish-then-hang": (_SAID, Finish(), Hang()),
    "data-after-done": (_SAID, *_END, Text(" ghost")),
    "empty-stream": _END,
    "gzip": (Coding("gzip"), _SAID),
    "gzip-noflush": (Coding("gzip", flush=False), _SAID),
    "deflate": (Coding("deflate"), _SAID),
    "raw-deflate": (Coding("raw-deflate"), _SAID),
    "gzip-lie": (Headers({"content-encoding": "gzip"}), _SAID),
    "gzip-truncated": (Coding("gzip"), _SAID, Cut()),
    "gzip-bomb": (Coding("gzip"), Repeat([Raw(bytes(1 << 20))], times=200)),
    "gzip-bomb-comments": (Coding("gzip"), Repeat([Raw(b":\n\n" * (1 << 18))], times=200)),
    "gzip-chain": (Coding(("gzip",) * 6), _SAID),
    "torn-utf8": (Wire(size=3), _SAID),
    "byte-at-a-time": (Wire(size=1), _SAID),
    "invalid-utf8": (_replaced("ä".encode(), b"\xff"), _SAID),
    "lone-surrogate": (Text(pieces=(PREFIX, "\ud83d")),),
    "split-surrogate": (Text(pieces=(PREFIX, "\ud83d", "\ude00")),),
    "bom": (Raw(b"\xef\xbb\xbf"), _SAID),
    "nul": (Text("a\x00b", size=1),),
    "unicode-lines": (Text("a\u2028b\u2029c\x85d", size=1),),
    "crlf": (_replaced(b"\n", b"\r\n"), _SAID),
    "cr": (_replaced(b"\n", b"\r"), _SAID),
    "crlf-torn": (Wire(size=1, rewrite=lambda data: data.replace(b"\n", b"\r\n")), _SAID),
    "no-space": (_replaced(b"data: ", b"data:"), _SAID),
    "multi-line-data": (_replaced(b',"', b',\ndata: "'), _SAID),
    "comments": (Ping(3), _SAID, Ping(3)),
    "unknown-fields": (_replaced(b"data: ", b"x-new: 1\nid: 7\nretry: 9\ndata: "), _SAID),
    "empty-data": (_SAID, Raw("data:\n\n"), *_END),
    "huge-event": (_SAID, Raw("data: "), Repeat([Raw(b"x" * 65536)], times=512), Raw("\n\n")),
    "no-newline-endless": (_SAID, Repeat([Raw(b"x" * 65536)])),
    "endless-event-name": (_SAID, Raw("event: "), Repeat([Raw(b"x" * 65536)])),
    "many-data-lines": (_SAID, Repeat([Raw(b"data: x\n" * 8192)], times=64), Raw("\n")),
    "invalid-json": (_SAID, Data('{"choices": [oops'), *_END),
    "deep-json": (_SAID, Data('{"a":' * 5000 + "1" + "}" * 5000), *_END),
    "big-int": (_SAID, Data('{"created": 1' + "0" * 5000 + "}"), *_END),
    "nan": (_SAID, Data('{"created": NaN, "choices": []}'), *_END),
    "json-array": (_SAID, Data([1, 2]), *_END),
    "dup-events": (Wire(rewrite=lambda data: data * 2), _SAID),
    "finish-length": (_SAID, Finish("length")),
    "multi-choice": (
        _SAID,
        Data({"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": None}]}),
        *_END,
    ),
    "ansi": (Text("\x1b]0;owned\x07\x1b[31mred\x1b[0m\x9b2J", size=3),),
    "sse-inject": (Text("a\n\nevent: done\ndata: [DONE]\n\nb\r\rid: 1", size=4),),
    "no-usage": (_SAID, Usage()),
    "stall-after": (_SAID, Hang()),
    "stall-keepalive": (_SAID, Repeat([Ping(), Pause(0.05)])),
    "keepalive-forever": (Repeat([Ping(), Pause(0.05)]),),
    "drip": (Text(PREFIX, size=1, every=0.01),),
    "stall-before-first": (Pause(0.2), _SAID),
    "pause-mid": (_SAID, Pause(0.2), Text(" again")),
    "infinite": (Repeat([Text("and so on ")]),),
    "infinite-slow": (Repeat([Text("and "), Pause(0.02)]),),
    "stale-fin": (_SAID, AfterAnswer([NextRequest(), Fin()])),
    "stale-rst": (_SAID, AfterAnswer([NextRequest(), Reset()])),
    "set-cookie": (Headers({"set-cookie": "session=1; Path=/"}), _SAID),
}
