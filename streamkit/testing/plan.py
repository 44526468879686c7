"""
A script sorted out: what surrounds the answer, and the body in the order it is played. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from streamkit.errors import ConfigurationError
from streamkit.testing.delivery import (
    AfterAnswer,
    Around,
    BeforeHeaders,
    Coding,
    Framing,
    Headers,
    OnAccept,
    Status,
    Whole,
    Wire,
)
from streamkit.testing.script import BREAKS, CONTROLS, Raw, Repeat, Step
from streamkit.testing.speech import (
    Citation,
    Data,
    Done,
    Error,
    Finish,
    Ping,
    Text,
    Tool,
    Usage,
)

__all__ = ["Plan", "ending", "plan"]

#: Steps that only a dialect can put on the wire.
SPEECH = (Text, Tool, Citation, Finish, Done, Error, Data, Ping)
#: A script that has one of these says something, and so gets the usual ending.
CONTENT = (Text, Tool, Citation, Usage)
#: A script that ends with one of these has its ending.
ENDINGS = (Done, Error, *BREAKS)
#: Steps that say something of the whole answer and have no place in the body.
AROUND = (Around, Headers, Framing, Coding, Wire, Whole, Status)


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
    for step in _walk(script):
        if not isinstance(step, Step):
            raise ConfigurationError(f"a script holds steps, got {step!r:.80}")
    made = reduce(_with, script, Plan())
    body = [step for step in script if not isinstance(step, AROUND)]
    if made.status is not None and body:
        raise ConfigurationError(f"a Status is the whole answer, got {body[0]!r:.80} beside it")
    if made.framing == Framing("length") and any(_endless(step) for step in _walk(script)):
        raise ConfigurationError("framing 'length' needs a script that ends, got an endless Repeat")
    if all(header.status is None for header in made.headers):
        body += ending(body)
    return replace(made, body=tuple(body))


def _with(made: Plan, step: Step) -> Plan:
    """The plan with what a step says of the whole answer."""
    match step:
        case OnAccept():
            return replace(made, on_accept=_outside(step.steps))
        case BeforeHeaders():
            return replace(made, before=made.before + _outside(step.steps))
        case AfterAnswer():
            return replace(made, after=_outside(step.steps))
        case Headers():
            return replace(made, headers=(*made.headers, step))
        case Framing():
            return replace(made, framing=step)
        case Coding():
            return replace(made, coding=step)
        case Wire():
            return replace(made, wire=step)
        case Whole():
            return replace(made, whole=True)
        case Status():
            return replace(made, status=step)
        case Usage():
            return replace(made, usage=step)
    return made


def ending(body: Sequence[Step]) -> list[Step]:
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
