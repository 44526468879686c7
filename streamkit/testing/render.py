"""
The body of an answer, rendered: steps -> bytes for one send each, and what lies between them. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from streamkit.testing.dialects import Dialect, Said
from streamkit.testing.script import CONTROLS, Pause, Raw, Repeat, Step
from streamkit.testing.speech import (
    Citation,
    Data,
    Done,
    Error,
    Finish,
    Ping,
    Reasoning,
    Refusal,
    Text,
    Tool,
    Usage,
)

__all__ = ["Unframed", "render", "render_whole"]


class Unframed(bytes):
    """Bytes that go to the connection as they are."""


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
        case Reasoning():
            yield from _said(step, dialect.reasoning)
        case Refusal():
            yield from _said(step, dialect.refusal)
        case Text():
            yield from _said(step, dialect.text)
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

    def listen(step: Step) -> Iterator[bytes | Step]:
        nonlocal answered
        if answered:
            return
        match step:
            case Error():
                answered = True
                yield dialect.problem(500, step.message)
            case Done():
                answered = True
                yield dialect.whole(said)
            case Text():
                deltas = step.deltas()
                dialect.count(len(deltas))
                _add(said, step, "".join(deltas))
            case Tool():
                said.tools.append(step)
            case Citation():
                said.citations.append(step)
            case Finish():
                said.reason = step.reason

    yield from _rendered(steps, listen)


def _add(said: Said, step: Text, text: str) -> None:
    if isinstance(step, Reasoning):
        said.reasoning += text
    elif isinstance(step, Refusal):
        said.refusal += text
    else:
        said.text += text
