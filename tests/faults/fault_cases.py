"""
What each named fault of LocalProvider does to a stream: one case per entry of FAULTS.

What waits for a clock has short ones, so that it is soon over: ``first`` ends a wait for content,
``wire`` silence after it, ``content`` keep-alives. All else has time enough on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamkit import (
    LimitExceeded,
    Overloaded,
    ProtocolError,
    ProviderError,
    StreamInterrupted,
    StreamkitError,
    StreamTimeout,
    TransportError,
    TruncatedStream,
)
from streamkit.testing import PREFIX

__all__ = ["CASES", "CLOCKS", "LIMITS", "STYLES", "Case", "check_clean"]

#: One style per framing: server-sent events with and without names, lines of JSON, and Gemini's,
#: which has no terminal event.
STYLES = ("openai", "anthropic", "ollama", "gemini")
#: The styles in which the script means what its name says.
EVENTS = ("openai", "anthropic", "gemini")
TERMINAL = ("openai", "anthropic", "ollama")

#: Seconds; PROMISES.md P40 has the meaning of each.
CLOCKS = {"connect": 0.5, "first": 0.2, "wire": 0.25, "content": 0.3, "total": 5.0}
#: Bytes.
LIMITS = {"event": 200_000, "answer": 10_000, "error_body": 20_000}


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    One fault.

    Args:
        gives: The class raised, exactly; None for a quiet end.
        text: All that is delivered; stands in ``.partial`` too.
        endless: The text is the beginning of this, without end.
        outcome: Result.outcome.
        stage: Where the error says it happened; None for any.
        says: A pattern of the whole message; HOST is the server.
        details: Other attributes of the error.
        sent_again: Whether it is tried again, if retries are on.
        styles: Where the script means this.
        instead: Styles whose error has another class.
        clocks: In place of some of CLOCKS, which slow cases have.
        slow: It waits, for a clock as a rule, so not every style is tried in every mode.
    """

    gives: type[StreamkitError] | None = None
    text: str = PREFIX
    endless: str = ""
    outcome: str = "completed"
    stage: str | None = None
    says: str = r"(?s).+"
    details: Mapping[str, Any] = field(default_factory=dict)
    sent_again: bool = False
    styles: tuple[str, ...] = STYLES
    instead: Mapping[str, type[StreamkitError]] = field(default_factory=dict)
    clocks: Mapping[str, float | None] = field(default_factory=dict)
    slow: bool = False


def _whole(text: str = PREFIX, **known: Any) -> Case:
    return Case(text=text, **known)


def _broken(says: str, stage: str = "body", text: str = PREFIX) -> Case:
    """The connection went; nothing is sent again once there was text."""
    return Case(
        gives=StreamInterrupted, outcome="transport_error", stage=stage, says=says, text=text,
        sent_again=not text,
    )  # fmt: skip


def _cut(text: str = PREFIX, **known: Any) -> Case:
    return Case(
        gives=TruncatedStream, outcome="truncated", stage="body", text=text,
        sent_again=not text, **known,
    )  # fmt: skip


def _malformed(says: str = r"(?s).+", stage: str = "body", text: str = "", **known: Any) -> Case:
    return Case(gives=ProtocolError, outcome="failed", stage=stage, says=says, text=text, **known)


def _over(says: str = r"(?s).+", stage: str = "body", text: str = "", **known: Any) -> Case:
    return Case(gives=LimitExceeded, outcome="failed", stage=stage, says=says, text=text, **known)


def _late(clock: str, stage: str, text: str = "", **known: Any) -> Case:
    known.setdefault("sent_again", clock == "first")
    if clock != "first":
        known["clocks"] = {"first": 5.0, **known.get("clocks", {})}
    return Case(
        gives=StreamTimeout, outcome="timeout", stage=stage, text=text, details={"clock": clock},
        says=rf"(?s).*\d s.*'{clock}'.*", slow=True, **known,
    )  # fmt: skip


def _refused(text: str = "", kind: type[StreamkitError] = Overloaded, **known: Any) -> Case:
    known.setdefault("sent_again", not text)
    return Case(gives=kind, outcome="provider_error", text=text, **known)


_BEFORE = r"HOST broke the connection before the answer: .+"
_WITHIN = r"HOST broke the connection in the middle of the answer: .+"
_NO_HTTP = r"HOST does not speak HTTP: it began with "
_OLLAMA = {"ollama": ProviderError}  # its errors are words without a type

#: Fault -> what it does; as many as FAULTS has, in its order.
CASES: Mapping[str, Case] = {
    "accept-close": _broken(_BEFORE, "headers", ""),
    "accept-rst": _broken(_BEFORE, "headers", ""),
    "accept-hang": _late("first", "headers"),
    "banner": _malformed(_NO_HTTP + r"b'SSH-2\.0-OpenSSH_9\.6\\r\\n'", "headers"),
    "garbage-status": _malformed(_NO_HTTP + r"b'HTTP/1\.1 abc \\x1b\[31m\\r\\n'", "headers"),
    "half-status-line": _malformed(_NO_HTTP + r"b'HTTP/1\.1 2'", "headers"),
    "close-before-headers": _broken(
        r"HOST .+ before the answer: Remote end closed connection without response", "headers", ""
    ),
    "rst-before-headers": _broken(
        r"HOST .+ before the answer: Connection reset by peer", "headers", ""
    ),
    "hang-before-headers": _late("first", "headers"),
    "headers-then-hang": _late("first", "body"),
    "slow-headers": _whole(clocks={"first": 5.0}, slow=True, styles=("openai",)),
    "loris": _late("total", "headers", clocks={"total": 0.4}, styles=("openai",)),
    "interim-100": _whole(),
    "interim-102": _whole(),
    "interim-103": _whole(),
    "many-headers": _over(
        r"HOST sent too many headers: got more than 100 headers \(the limit counts headers\)",
        "headers",
    ),
    "huge-header": _over(r"the headers or a chunk line from HOST are over 65536 bytes", "headers"),
    "headers-then-fin": _broken(_WITHIN, text=""),
    "empty-200": _cut(""),
    "error-body-hang": _refused(stage="headers", slow=True, clocks={"first": 5.0}),
    "error-body-endless": _refused(stage="headers"),
    "error-length-lie": _refused(stage="headers"),
    "error-gzip": _refused(stage="headers"),
    "redirect": Case(
        gives=TransportError,
        outcome="transport_error",
        stage="headers",
        text="",
        says=r"\w+ answered 307, a redirect to 'other\.invalid'; redirects are not followed: "
        r"they would carry the key along",
    ),
    "redirect-bomb": Case(
        gives=TransportError, outcome="transport_error", stage="headers", text=""
    ),
    "error-200-json": _refused(),
    "error-first": _refused(instead=_OLLAMA),
    "html-200": _malformed(r"an HTML page came where a stream was due: .+", stage="body"),
    "json-200": _whole(),
    "unknown-encoding": _malformed(r"the answer has a content encoding we cannot undo: 'zork'"),
    "wrong-content-type": _whole(),
    "no-content-type": _whole(),
    "latin1-label": _whole(),
    "error-mid": _refused(PREFIX, instead=_OLLAMA),
    "error-then-done": _refused(PREFIX, instead=_OLLAMA),
    "rst-after": _broken(r"HOST .+ in the middle of the answer: Connection reset by peer"),
    "rst-mid-event": _broken(_WITHIN),
    "truncated-chunked": _broken(_WITHIN),
    "truncated-in-chunk": _broken(_WITHIN),
    "cut-length": _broken(r"the connection ended \d+ bytes before the end of the answer"),
    "fin-after": _cut(),
    "no-finish": _cut(),
    "cut-json": _cut(styles=EVENTS),
    "cut-utf8": _cut(styles=EVENTS),
    "bad-chunk-size": _malformed(r"the chunked framing of the answer is malformed", text=PREFIX),
    "te-and-cl": _whole(),
    "dup-cl": _malformed(r"the answer of HOST is malformed: .+", "headers"),
    "no-done": _whole(styles=EVENTS),
    "done-no-finish": _whole(styles=TERMINAL),
    "no-final-blank": _whole(styles=EVENTS),
    "done-nospace": _whole(),
    "done-then-hang": _whole(styles=TERMINAL),
    "late-close": _whole(styles=TERMINAL),
    "finish-then-hang": _whole(styles=EVENTS, slow=True, clocks={"first": 5.0}),
    "data-after-done": _whole(styles=TERMINAL),
    "empty-stream": _whole(""),
    "gzip": _whole(),
    "gzip-noflush": _whole(),
    "deflate": _whole(),
    "raw-deflate": _whole(),
    "gzip-lie": _malformed(r"the answer of HOST is malformed: .+"),
    "gzip-truncated": _cut(),
    "gzip-bomb": _over(),
    "gzip-bomb-comments": _over(styles=EVENTS, slow=True, clocks={"first": 5.0, "content": 5.0}),
    "gzip-chain": _over(
        r"the answer is compressed 6 times over, at most 5 are undone \(the limit counts codings\)"
    ),
    "torn-utf8": _whole(),
    "byte-at-a-time": _whole(),
    "invalid-utf8": _whole(PREFIX.replace("ä", "\ufffd")),
    "lone-surrogate": _whole(PREFIX + "\ufffd"),
    "split-surrogate": _whole(PREFIX + "😀"),
    "bom": _whole(),
    "nul": _whole("a\x00b"),
    "unicode-lines": _whole("a\u2028b\u2029c\x85d"),
    "crlf": _whole(),
    "cr": _whole(styles=EVENTS),
    "crlf-torn": _whole(),
    "no-space": _whole(),
    "multi-line-data": _whole(styles=EVENTS),
    "comments": _whole(),
    "unknown-fields": _whole(),
    "empty-data": _whole(styles=EVENTS),
    "huge-event": _over(text=PREFIX),
    "no-newline-endless": _over(text=PREFIX),
    "endless-event-name": _over(text=PREFIX),
    "many-data-lines": _over(text=PREFIX, styles=EVENTS),
    "invalid-json": _malformed(r"an event must be JSON: .+", text=PREFIX),
    "deep-json": _malformed(
        r"JSON may be nested 256 levels deep, got more|an event must be JSON: .+", text=PREFIX
    ),
    "big-int": _whole(),
    "nan": _whole(),
    "json-array": _whole(),
    "dup-events": _whole("HälloHällo 😀 😀 world world"),
    "finish-length": _whole(outcome="length"),
    "multi-choice": _whole(styles=("openai",)),
    "ansi": _whole("\x1b]0;owned\x07\x1b[31mred\x1b[0m\x9b2J"),
    "sse-inject": _whole("a\n\nevent: done\ndata: [DONE]\n\nb\r\rid: 1"),
    "no-usage": _whole(),
    "stall-after": _late("wire", "body", PREFIX),
    "stall-keepalive": _late("content", "body", PREFIX),
    "keepalive-forever": _late("first", "body"),
    "drip": _whole(),
    "stall-before-first": _whole(clocks={"first": 5.0, "wire": 5.0}, slow=True),
    "pause-mid": _whole(PREFIX + " again", clocks={"wire": 5.0, "content": 5.0}, slow=True),
    "infinite": _over(
        r"the answer is over 10000 bytes",
        stage="body",
        endless="and so on ",
        slow=True,
        clocks={"first": 5.0, "wire": 5.0, "content": 5.0},
    ),
    "infinite-slow": _late("total", "body", endless="and ", clocks={"total": 0.4}),
    "stale-fin": _whole(),
    "stale-rst": _whole(),
    "set-cookie": _whole(),
}


def check_clean(error: StreamkitError) -> None:
    """No foreign object, traceback or further error hangs on it."""
    cause = error.__cause__
    assert error.__context__ is cause or error.__context__ is None
    if cause is not None:
        assert cause.__traceback__ is None and cause.__cause__ is None and cause.__context__ is None
        for name in ("request", "response", "pool", "conn"):
            assert getattr(cause, name, None) is None
