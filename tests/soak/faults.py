"""
What the soak's server does wrong: a table of faults, each with the one right answer to it.

A fault is one request's worth of trouble. ``before`` faults strike before any text; ``mid`` faults
after some of it; ``none`` ones leave the answer whole, however odd it travels. The classes are
those of PROMISES.md section 2; where DESIGN.md section 2 differs (a broken framing is
StreamInterrupted), it wins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from streamkit.testing import (
    AfterAnswer,
    BeforeHeaders,
    Coding,
    Cut,
    Done,
    Error,
    Fin,
    Finish,
    Framing,
    Hang,
    Headers,
    NextRequest,
    Pause,
    Ping,
    Raw,
    Repeat,
    Reset,
    Status,
    Step,
    Text,
    Wire,
)

__all__ = ["BREAKS", "DIALECTS", "FAULTS", "FOREVER", "Fault"]

#: What the soak speaks.
DIALECTS = ("openai", "responses", "anthropic", "ollama", "gemini")

#: Dialects whose terminal event ends the answer; Gemini's answer ends with its body.
TERMINAL = frozenset(DIALECTS) - {"gemini"}

#: Faults after which an answer can be carried on, with ``recovery``.
BREAKS = ("rst", "fin", "fin-in-event", "fin-in-chunk", "short-length", "cut", "error")

#: What an endless answer says, over and over; no word of a real answer.
FOREVER = "and so on "

#: Seconds between the last word and a reset. The kernel of a sender that resets throws away what
#: it has not sent yet, for want of acknowledgements, which may be delayed by 40 ms (measured: 137
#: of 3,000 plain sockets lost some of 40 sends by a reset right behind them).
CALM = 0.15

Said = Sequence[Step]
Make = Callable[[Random, Said, Said], list[Step]]


@dataclass(frozen=True)
class Fault:
    """
    One row: how it is played, and what the client must make of it.

    Args:
        make: The script from (random numbers, what is said before it strikes, the proper end).
        error: The class of error; None where the answer is whole.
        where: Before any text, in the middle, or ``none``.
        retry: Whether the request is sent again, if no text came before it.
        silent: Whether it strikes before the first byte of an answer: on a kept connection that
            looks like a stale one, which is replaced without a word (PROMISES.md P53).
        clock: It is told by a clock: such streams have short ones.
        bytes: Whether every byte of the body is read, and none is in a coding.
        dialects: Where it makes sense.
        weight: How often it comes.
        endless: Whether it goes on for ever, so that the client must have enough at some point.
        loses: Whether the kernel may throw away the last of what was sent: any prefix is right.
    """

    make: Make
    error: str | None = None
    where: Literal["before", "mid", "none"] = "none"
    retry: bool = False
    silent: bool = False
    clock: bool = False
    bytes: bool = True
    dialects: frozenset[str] = frozenset(DIALECTS)
    weight: int = 4
    endless: bool = False
    loses: bool = False


def _before(error: str, *steps: Step, **more: object) -> Fault:
    return Fault(lambda random, said, end: [*steps], error, "before", **more)  # type: ignore[arg-type]


def _mid(error: str, *steps: Step, **more: object) -> Fault:
    return Fault(lambda random, said, end: [*said, *steps], error, "mid", **more)  # type: ignore[arg-type]


def _whole(*steps: Step, **more: object) -> Fault:
    return Fault(lambda random, said, end: [*steps, *said, *end], **more)  # type: ignore[arg-type]


def _status(error: str, code: int, retry: bool = False, **headers: str) -> Fault:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    # The body of such an answer belongs to the error and is no part of bytes_received.
    return _before(error, Status(code, headers=fields), retry=retry, bytes=False, weight=2)


def _torn(random: Random, said: Said, end: Said) -> list[Step]:
    return [Wire(size=random.randint(1, 40)), *said, *end]


def _jitter(random: Random, said: Said, end: Said) -> list[Step]:
    steps: list[Step] = []
    for step in said:
        steps += [step, *([Pause(random.uniform(0, 0.05))] if random.random() < 0.5 else [])]
    return [*steps, *end]


def _alive(random: Random, said: Said, end: Said) -> list[Step]:
    steps = [step for one in said for step in (Ping(random.randint(1, 3)), one)]
    return [*steps, Ping(), *end]


def _torn_mid(*ending: Step) -> Make:
    """The connection ends inside an event, and maybe inside a character."""

    def make(random: Random, said: Said, end: Said) -> list[Step]:
        rest = 'data: {"choices": [{"delta": {"content": "😀'.encode()
        return [*said, Raw(rest[: random.randint(1, len(rest))]), *ending]

    return make


def _short_chunk(random: Random, said: Said, end: Said) -> list[Step]:
    return [*said, Raw('ff\r\ndata: {"choi', framed=False), Fin()]


def _gzip_cut(random: Random, said: Said, end: Said) -> list[Step]:
    return [Coding(random.choice(["gzip", "deflate"])), *said, Cut()]


def _ghost(random: Random, said: Said, end: Said) -> list[Step]:
    return [*said, *end, Text(" ghost of an answer"), Finish(), Done()]


SSE = frozenset(DIALECTS) - {"ollama"}

FAULTS: dict[str, Fault] = {
    # Whole, however it travels.
    "none": _whole(weight=30),
    "torn": Fault(_torn, weight=8),
    "jitter": Fault(_jitter, weight=8),
    "keep-alives": Fault(_alive, weight=6),
    "gzip": _whole(Coding("gzip"), bytes=False),
    "deflate": _whole(Coding("deflate"), bytes=False),
    "by-length": _whole(Framing("length")),
    "by-close": _whole(Framing("close")),
    "wrong-content-type": _whole(Headers({"content-type": "application/json"})),
    "crlf": _whole(Wire(rewrite=lambda data: data.replace(b"\n", b"\r\n"))),
    "unknown-fields": _whole(Wire(rewrite=lambda data: b"x-new: 1\n" + data), dialects=SSE),
    "slow-headers": _whole(Headers(size=40, every=0.005)),
    "late-close": Fault(lambda random, said, end: [*said, *end, Pause(0.2)], bytes=False),
    "end-hangs": Fault(
        lambda random, said, end: [*said, *end, Hang()], bytes=False, dialects=TERMINAL
    ),
    "end-twice": Fault(
        lambda random, said, end: [*said, *end, *end], bytes=False, dialects=TERMINAL
    ),
    "after-the-end": Fault(_ghost, bytes=False, dialects=TERMINAL),
    "stale-fin": _whole(AfterAnswer([NextRequest(), Fin()])),
    "stale-rst": _whole(AfterAnswer([NextRequest(), Reset()])),
    # Every event twice: nobody guesses, the text is twice there.
    "events-twice": _whole(
        Wire(rewrite=lambda data: data * 2),
        bytes=False, dialects=frozenset({"openai"}),
    ),
    "endless": Fault(
        lambda random, said, end: [*said, Repeat([Text(FOREVER), Pause(0.001)])],
        bytes=False, endless=True,
    ),
    # Before any text.
    "fin-at-once": _before("StreamInterrupted", BeforeHeaders([Fin()]), retry=True, silent=True),
    "rst-at-once": _before("StreamInterrupted", BeforeHeaders([Reset()]), retry=True, silent=True),
    "headers-then-fin": _before("StreamInterrupted", Fin(), retry=True),
    "empty": _before("TruncatedStream", Cut(), retry=True),
    "html": _before(
        "ProtocolError",
        Status(200, "<html><h1>Login</h1></html>", headers={"content-type": "text/html"}),
    ),
    "hang": _before("StreamTimeout", BeforeHeaders([Hang()]), retry=True, clock=True, weight=1),
    "headers-then-hang": _before("StreamTimeout", Hang(), retry=True, clock=True, weight=1),
    "keep-alive-only": _before(
        "StreamTimeout", Repeat([Ping(), Pause(0.05)]),
        retry=True, clock=True, bytes=False, weight=1,
    ),
    "error-first": _before("Overloaded", Error("no"), retry=True),
    "400": _status("InvalidRequest", 400),
    "401": _status("AuthenticationError", 401),
    "404": _status("InvalidRequest", 404),
    "429": _status("RateLimited", 429, True, retry_after="0.02"),
    "429-ms": _status("RateLimited", 429, True, retry_after_ms="15"),
    "429-far": _status("RateLimited", 429, retry_after="86400"),
    "500": _status("Overloaded", 500, True),
    "503": _status("Overloaded", 503, True, retry_after="0.02"),
    "529": _status("Overloaded", 529, True, retry_after="nonsense"),
    # In the middle.
    "rst": _mid("StreamInterrupted", Pause(CALM), Reset(), weight=6),
    "rst-at-speed": _mid("StreamInterrupted", Reset(), loses=True, bytes=False, weight=6),
    "rst-in-event": Fault(_torn_mid(Pause(CALM), Reset()), "StreamInterrupted", "mid"),
    "fin": _mid("StreamInterrupted", Fin(), weight=8),
    "fin-in-event": Fault(_torn_mid(Fin()), "StreamInterrupted", "mid"),
    "fin-in-chunk": Fault(_short_chunk, "StreamInterrupted", "mid", bytes=False),
    "short-length": Fault(
        lambda random, said, end: [Framing("length", 1 << 20), *said, Fin()],
        "StreamInterrupted", "mid",
    ),
    "cut": _mid("TruncatedStream", Cut(), weight=8),
    "cut-in-event": Fault(_torn_mid(Cut()), "TruncatedStream", "mid", dialects=SSE),
    "cut-coded": Fault(_gzip_cut, "TruncatedStream", "mid", bytes=False),
    "bad-chunk-size": _mid(
        "ProtocolError", Raw("zz\r\nhello\r\n", framed=False), Fin(), bytes=False
    ),
    "error": _mid("Overloaded", Error("broke"), weight=6),
    "stall": _mid("StreamTimeout", Hang(), clock=True, weight=1),
    "stall-alive": _mid(
        "StreamTimeout", Repeat([Ping(), Pause(0.05)]), clock=True, bytes=False, weight=1
    ),
}  # fmt: skip
