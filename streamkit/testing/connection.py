"""
One connection: reads requests, plays a script for each, until either side has had enough.

Runs on a thread of its own. ``Gone`` (the client went) and ``_Over`` (the script ended the
connection) unwind to ``run``, which alone closes the socket.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from streamkit.testing.delivery import Status
from streamkit.testing.dialects import Asked, OpenAI, dialect_for
from streamkit.testing.link import Gone, Link
from streamkit.testing.listing import listing
from streamkit.testing.plan import Plan, plan
from streamkit.testing.record import Fields, Journal, RecordedRequest
from streamkit.testing.render import Unframed, render
from streamkit.testing.reply import Reply
from streamkit.testing.resume import Kept, Unsent, name_of, wanted
from streamkit.testing.script import BREAKS, Cut, Fin, Gate, Hang, NextRequest, Pause, Reset, Step

__all__ = ["Connection"]

#: The head of a request may be so long. Chosen; not measured.
MAX_HEAD = 1 << 20
_UNKNOWN = plan([Status(404, message="no answer is kept under that name")])


class _Over(Exception):
    """The script has ended the connection."""


class Connection:
    """
    Serve one client.

    Thread safety: **confined** to the thread that runs it, but for abort().

    Args:
        journal: Where everything is recorded; knows the scripts.
        sock: Accepted a moment ago.
        number: Counts from 1.
        tls: The server's side, None for plain HTTP.
    """

    def __init__(
        self, journal: Journal, sock: socket.socket, number: int, tls: ssl.SSLContext | None
    ) -> None:
        self._journal = journal
        self._link = Link(sock)
        self._number = number
        self._tls = tls
        self._seen: list[RecordedRequest] = []

    def abort(self) -> None:
        """Shut the socket down; the thread then ends. Never blocks, any thread."""
        self._link.abort()

    def run(self) -> None:
        """Serve until the connection ends. Closes the socket."""
        try:
            self._serve()
        except _Over:
            pass
        except Gone:
            self._journal.disconnected(self._seen)
        finally:
            # Under the lock, so that abort() never meets a descriptor that was given away.
            with self._journal.changed:
                self._journal.peers.discard(self)
                self._link.sock.close()
                self._journal.changed.notify_all()

    def _serve(self) -> None:
        first = self._journal.claim_on_accept()
        if first is not None:
            self._on_accept(first)
        if self._tls is not None:
            with self._journal.changed:
                self._link.wrap(self._tls)
            self._link.start_tls()
        keep = True
        while keep:
            request = self._read_request()
            self._seen.append(request)
            rest = wanted(request)
            if first is not None:
                self._journal.add(request)
                keep, first = self._answer(request, first), None
            elif rest is not None:
                keep = self._take_up(request, *rest)
            else:
                keep = self._answer(request, self._journal.take(request)(request))
        self._link.finish()

    def _on_accept(self, chosen: Plan) -> None:
        if isinstance(chosen.on_accept[-1], BREAKS):
            record = RecordedRequest("", "", Fields(), b"", self._number)
            self._journal.add(record)
            self._seen.append(record)
        self._play(render(chosen.on_accept, None), self._link.send)

    def _answer(self, request: RecordedRequest, chosen: Plan) -> bool:
        """Play one answer; whether the connection goes on."""
        kind = dialect_for(request.path)
        listed, models = listing(request)
        asked = Asked(_json_of(request), request.path, request.number)
        dialect = (kind or listed)(asked, chosen.usage)
        if kind is None and chosen.speaks:
            chosen = _without_dialect(request, chosen, models)
        reply = Reply(self._link, request, chosen, dialect, known=kind is not None)
        steps = reply.steps()
        name = name_of(request, asked)
        if name is not None and chosen.status is None:
            kept = Kept(chosen, dialect.again())
            self._journal.keep(name, kept)
            steps = kept.play(steps)
        return self._reply(request, chosen, reply, steps)

    def _take_up(self, request: RecordedRequest, name: str, unsent: Unsent) -> bool:
        """Play what is left of an answer; whether the connection goes on."""
        kept = self._journal.take_up(request, name) or _UNKNOWN
        if isinstance(kept, Plan):
            chosen, dialect = kept, OpenAI(Asked({}, request.path, request.number), None)
            reply = Reply(self._link, request, chosen, dialect, known=False)
            return self._reply(request, chosen, reply, reply.steps())
        chosen = kept.rest
        reply = Reply(self._link, request, chosen, kept.writer.again(), known=True)
        return self._reply(request, chosen, reply, kept.play(reply.steps(), unsent))

    def _reply(
        self,
        request: RecordedRequest,
        chosen: Plan,
        reply: Reply,
        steps: Iterable[bytes | Step],
    ) -> bool:
        self._play(render(chosen.before, None), reply.send)
        reply.send_head()
        ended = self._play(steps, reply.write, reply.send)
        reply.end(complete=not ended)
        self._journal.finished(request)
        if reply.keep:
            self._play(render(chosen.after, None), reply.send)
        return reply.keep

    def _play(
        self,
        steps: Iterable[bytes | Step],
        write: Callable[[bytes], None],
        bare: Callable[[bytes], None] | None = None,
    ) -> bool:
        """Write the bytes and carry out the rest, in order; whether a Cut ended it."""
        for step in steps:
            if type(step) is bytes:
                write(step)
            elif isinstance(step, Unframed):
                (bare or write)(step)
            elif isinstance(step, Cut):
                return True
            elif isinstance(step, Step):
                self._control(step)
        return False

    def _control(self, step: Step) -> None:
        link = self._link
        match step:
            case Pause():
                link.sleep(step.seconds)
            case Hang():
                link.sleep(None)
            case NextRequest():
                if not link.inbox:
                    link.fill()
            case Gate():
                self._pass_gate()
            case Fin():
                link.fin()
                raise _Over
            case Reset():
                link.reset()
                raise _Over

    def _pass_gate(self) -> None:
        ours = self._journal.enter_gate()
        if ours is None:
            return
        try:
            self._link.sleep(None, wake=ours)
        finally:
            self._journal.leave_gate(ours)

    def _read_request(self) -> RecordedRequest:
        inbox = self._link.inbox
        while (end := inbox.find(b"\r\n\r\n")) < 0:
            if len(inbox) > MAX_HEAD:
                raise _Over
            self._link.fill()
        lines = inbox[:end].decode("latin-1").split("\r\n")
        del inbox[: end + 4]
        method, _, target = lines[0].partition(" ")
        pairs = [line.partition(":")[::2] for line in lines[1:]]
        headers = Fields([(name.strip(), value.strip()) for name, value in pairs])
        if headers.get("expect", "").lower() == "100-continue":
            self._link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = self._read_body(headers)
        return RecordedRequest(
            method.upper(), target.rpartition(" ")[0], headers, body, self._number
        )

    def _read_body(self, headers: Fields) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            parts = []
            while size := _number(self._take_line().partition(b";")[0].decode("latin-1"), 16):
                parts.append(self._take(size + 2)[:-2])
            while self._take_line():
                pass
            return b"".join(parts)
        return self._take(_number(headers.get("content-length", "0"), 10))

    def _take(self, size: int) -> bytes:
        inbox = self._link.inbox
        while len(inbox) < size:
            self._link.fill()
        data = bytes(inbox[:size])
        del inbox[:size]
        return data

    def _take_line(self) -> bytes:
        inbox = self._link.inbox
        while (end := inbox.find(b"\r\n")) < 0:
            self._link.fill()
        return self._take(end + 2)[:-2]


def _number(text: str, base: int) -> int:
    try:
        return int(text, base)
    except ValueError:
        raise _Over from None


def _without_dialect(request: RecordedRequest, chosen: Plan, models: Any) -> Plan:
    """What a script says where no dialect is spoken: a Status stands, content has no place."""
    if models is None:
        return plan([Status(404, message=f"no dialect is spoken at {request.path}")])
    if chosen.status is not None:
        return chosen
    return replace(chosen, status=Status(200, body=models), body=())


def _json_of(request: RecordedRequest) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError):
        body = json.loads(request.body)
        if isinstance(body, dict):
            return body
    return {}
