"""
Answers that a client may take up where they broke, as two services let it.

    OpenAI     asked for with "background": true
               GET .../responses/ID?stream=true&starting_after=N    the events after number N
    llama.cpp  asked for with the header X-Conversation-Id, below /llamacpp
               GET .../stream?conv_id=ID&from=N                     the body from byte N

The script goes on behind the break that ended the connection. Breaks behind that one are played in
their turn, waits only where something new is sent; a script that ends with a break gets the usual
ending. Pure, but for what Kept counts.

Source: WIRE_FORMATS.md section 3; llama.cpp, tools/server/README-dev.md, "Resumable streaming".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote

from streamkit.testing.dialects import Asked, Dialect, dialect_for
from streamkit.testing.dialects.accents import service_of
from streamkit.testing.dialects.openai import OpenAI
from streamkit.testing.dialects.responses import Responses
from streamkit.testing.plan import Plan, ending
from streamkit.testing.record import RecordedRequest
from streamkit.testing.script import BREAKS, Step

__all__ = ["Kept", "Unsent", "name_of", "wanted"]

#: In an event, not in a text that it quotes.
_NUMBER = re.compile(rb'[^\\]"sequence_number":(\d+)')
_RESPONSE = re.compile(r"/responses/([^/]+)$")

#: The bytes of a send -> those that the client has not had.
Unsent = Callable[[bytes], bytes]


@dataclass(slots=True)
class Kept:
    """
    An answer that may be taken up.

    Thread safety: **confined**: to one connection after the other, as the client changes them.

    Args:
        plan: What is said.
        writer: In which format, from the beginning.
        breaks: How many have been played.
    """

    plan: Plan
    writer: Dialect
    breaks: int = 0

    @property
    def rest(self) -> Plan:
        """What a client that takes it up is answered with, from the beginning."""
        body = self.plan.body
        body += tuple(ending([step for step in body if not isinstance(step, BREAKS)]))
        return replace(self.plan, framing=None, on_accept=(), before=(), after=(), body=body)

    def play(
        self, steps: Iterable[bytes | Step], unsent: Unsent | None = None
    ) -> Iterator[bytes | Step]:
        """The rendered steps, without what was played before."""
        met = 0
        reached = unsent is None
        for step in steps:
            if isinstance(step, BREAKS):
                met += 1
                if met > self.breaks:
                    self.breaks = met
                    yield step
            elif reached or unsent is None:
                yield step
            elif type(step) is bytes and (data := unsent(step)):
                reached = True
                yield data


def name_of(request: RecordedRequest, asked: Asked) -> str | None:
    """Under which name the answer is kept; None if it is not."""
    kind = dialect_for(request.path)
    if kind is Responses and asked.body.get("background") is True and asked.body.get("stream"):
        return f"resp_local{request.number}"
    if kind is OpenAI and service_of(request.path) == "llamacpp" and asked.body.get("stream"):
        return request.headers.get("x-conversation-id") or None
    return None


def wanted(request: RecordedRequest) -> tuple[str, Unsent] | None:
    """Which answer a request takes up and what of it is missing; None if it is no such request."""
    if request.method != "GET":
        return None
    path, _, rest = request.path.partition("?")
    query = dict(parse_qsl(rest, encoding="latin-1"))
    found = _RESPONSE.search(path)
    if found and query.get("stream") == "true":
        return unquote(found[1]), _after(_number(query.get("starting_after", ""), -1))
    if service_of(path) == "llamacpp" and path.endswith("/stream"):
        return query.get("conv_id", ""), _from(_number(query.get("from", ""), 0))
    return None


def _number(text: str, default: int) -> int:
    return int(text) if text.isdecimal() else default


def _after(number: int) -> Unsent:
    def unsent(data: bytes) -> bytes:
        events = [event + b"\n\n" for event in data.split(b"\n\n") if event]
        numbered = [(_NUMBER.findall(event), event) for event in events]
        return b"".join(event for found, event in numbered if found and int(found[-1]) > number)

    return unsent


def _from(offset: int) -> Unsent:
    left = offset

    def unsent(data: bytes) -> bytes:
        nonlocal left
        known = min(left, len(data))
        left -= known
        return data[known:]

    return unsent
