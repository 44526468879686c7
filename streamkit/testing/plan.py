"""
A script sorted out: what surrounds the answer, and the body in the order it is played.

Pure: ``render`` turns steps into bytes and waits, which the connection carries out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.testing.dialects import Dialect, Said
from streamkit.testing.faults import (
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
from streamkit.testing.script import (
    Citation,
    Cut,
    Data,
    Done,
    Error,
    Fin,
    Finish,
    Gate,
    Hang,
    NextRequest,
    Pause,
    Ping,
    Raw,
    Reasoning,
    Refusal,
    Repeat,
    Reset,
    Step,
    Text,
    Tool,
    Usage,
)

__all__ = ["Plan", "Unframed", "plan", "render", "render_whole"]

#: Steps that only a dialect can put on the wire.
SPEECH = (Text, Tool, Citation, Finish, Done, Error, Data, Ping)
#: A script that has one of these says something, and so gets the usual ending.
CONTENT = (Text, Tool, Citation, Usage)
#: A script that ends with one of these has its ending.
ENDINGS = (Done, Error, Cut, Fin, Reset, Hang)
#: What rendering leaves to the connection.
CONTROLS = (Pause, Gate, NextRequest, Hang, Cut, Fin, Reset)


class Unframed(bytes):
    """Bytes that go to the connection as they are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One answer. Thread safety: **immutable**."""

    on_accept: tuple[Step, ...] = ()
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    status: Status | None = None
    headers: tuple[Headers, ...] = ()
    framing: Framing | None = None
    coding: Coding | None = None
    wire: Wire | None = None
    whole: bool = False
    usage: Usage | None = None
    body: tuple[Step, ...] = ()

    @property
    def speaks(self) -> bool:
        """Whether some step needs a dialect."""
        return any(isinstance(step, SPEECH) for step in _walk(self.body)) or (
            self.status is not None and self.status.body is None
        )


def plan(script: Sequence[Step]) -> Plan:
    """
    Sort a script out and add the ending it does not spell out.

    Raises:
        ConfigurationError: Something that is no step, or content outside the body.
    """
    made = Plan()
    body: list[Step] = []
    for step in _walk(script):
        if not isinstance(step, Step):
            raise ConfigurationError(f"a script holds steps, got {step!r:.80}")
    for step in script:
        match step:
            case OnAccept():
                made = replace(made, on_accept=_outside(step.steps))
            case BeforeHeaders():
                made = replace(made, before=made.before + _outside(step.steps))
            case AfterAnswer():
                made = replace(made, after=_outside(step.steps))
            case Headers():
                made = replace(made, headers=(*made.headers, step))
            case Framing():
                made = replace(made, framing=step)
            case Coding():
                made = replace(made, coding=step)
            case Wire():
                made = replace(made, wire=step)
            case Whole():
                made = replace(made, whole=True)
            case Status():
                made = replace(made, status=step)
            case Usage():
                made = replace(made, usage=step)
                body.append(step)
            case _:
                body.append(step)
    if made.status is not None and body:
        raise ConfigurationError(f"a Status is the whole answer, got {body[0]!r:.80} beside it")
    if made.framing == Framing("length") and any(_endless(step) for step in _walk(script)):
        raise ConfigurationError("framing 'length' needs a script that ends, got an endless Repeat")
    if all(header.status is None for header in made.headers):
        body += _ending(body)
    return replace(made, body=tuple(body))


def _ending(body: Sequence[Step]) -> list[Step]:
    """Finish and Done, as far as they are missing and due."""
    steps = list(_walk(body))
    if not any(isinstance(step, (*CONTENT, Finish)) for step in steps):
        return []
    if isinstance(body[-1], ENDINGS) or any(isinstance(step, Done) for step in steps):
        return []
    if any(isinstance(step, Finish) for step in steps):
        return [Done()]
    called = any(isinstance(step, Tool) for step in steps)
    return [Finish("tool_calls" if called else "stop"), Done()]


def _walk(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, Repeat):
            yield from _walk(step.steps)


def _endless(step: Step) -> bool:
    return isinstance(step, Repeat) and step.times is None


def _outside(steps: Sequence[Step]) -> tuple[Step, ...]:
    for step in _walk(steps):
        if not isinstance(step, (*CONTROLS, Raw, Repeat)):
            raise ConfigurationError(f"outside the body there is no place for {step!r:.80}")
    return tuple(steps)


def render(steps: Sequence[Step], dialect: Dialect | None) -> Iterator[bytes | Step]:
    """
    Steps -> bytes, each for one send, and the waits and endings between them.

    Without a dialect only Raw and the control steps can be rendered.
    """
    if dialect is None:
        yield from _rendered(steps, lambda step: iter(()))
        return
    started = False

    def speak(step: Step) -> Iterator[bytes | Step]:
        nonlocal started
        if not started and isinstance(step, (Text, Tool, Citation, Finish)):
            started = True
            yield from dialect.start()
        yield from _spoken(step, dialect)

    yield from _rendered(steps, speak)


def _rendered(
    steps: Sequence[Step], speak: Callable[[Step], Iterator[bytes | Step]]
) -> Iterator[bytes | Step]:
    for step in steps:
        match step:
            case Repeat():
                turn = 0
                while step.times is None or turn < step.times:
                    turn += 1
                    yield from _rendered(step.steps, speak)
            case Raw():
                kind = bytes if step.framed else Unframed
                yield from _paced([kind(piece) for piece in step.pieces()], step.every)
            case Usage():
                pass
            case _ if isinstance(step, CONTROLS):
                yield step
            case _:
                yield from speak(step)


def _spoken(step: Step, dialect: Dialect) -> Iterator[bytes | Step]:
    match step:
        case Text():
            say = dialect.text
            if isinstance(step, Reasoning):
                say = dialect.reasoning
            elif isinstance(step, Refusal):
                say = dialect.refusal
            yield from _said(step, say)
        case Tool():
            yield from _paced(dialect.tool(step), step.every)
        case Citation():
            yield from dialect.citation(step)
        case Ping():
            yield from _paced([dialect.ping()] * step.n, step.every)
        case Data():
            yield dialect.data(step)
        case Finish():
            yield from dialect.finish(step.reason)
        case Done():
            yield from dialect.done()
        case Error():
            yield dialect.error(step)


def _said(step: Text, say: Callable[[str], bytes]) -> Iterator[bytes | Step]:
    deltas = step.deltas()
    for start in range(0, len(deltas), step.burst):
        if start and step.every:
            yield Pause(step.every)
        if step.burst == 1:
            yield say(deltas[start])
        else:
            yield b"".join([say(piece) for piece in deltas[start : start + step.burst]])


def _paced(sends: Sequence[bytes], every: float) -> Iterator[bytes | Step]:
    for number, data in enumerate(sends):
        if number and every:
            yield Pause(every)
        yield data


def render_whole(steps: Sequence[Step], dialect: Dialect) -> Iterator[bytes | Step]:
    """The same script as one JSON body: waits stay waits, and an Error is the body."""
    said = Said()
    answered = False
    fold: dict[type[Step], Callable[[Any], None]] = {
        Text: lambda step: _add(said, "text", step),
        Reasoning: lambda step: _add(said, "reasoning", step),
        Refusal: lambda step: _add(said, "refusal", step),
        Tool: lambda step: said.tools.append(step),
        Citation: lambda step: said.citations.append(step),
        Finish: lambda step: setattr(said, "reason", step.reason),
    }

    def listen(step: Step) -> Iterator[bytes | Step]:
        nonlocal answered
        if answered:
            return
        if type(step) in fold:
            fold[type(step)](step)
            if isinstance(step, Text):
                dialect.count(len(step.deltas()))
        elif isinstance(step, Error):
            answered = True
            yield dialect.problem(500, step.message)
        elif isinstance(step, Done):
            answered = True
            yield dialect.whole(said)

    yield from _rendered(steps, listen)


def _add(said: Said, name: str, step: Text) -> None:
    setattr(said, name, getattr(said, name) + "".join(step.deltas()))
