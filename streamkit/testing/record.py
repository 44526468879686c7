"""
What a LocalProvider knows: the requests it saw, who is connected, which script is next.

The Journal is shared by the accept thread, the threads of the connections and the test. One lock
guards it; its condition is notified whenever anything changed that a test may wait for.
"""

from __future__ import annotations

import json
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from streamkit.testing.plan import Plan, plan
from streamkit.testing.script import Step
from streamkit.testing.speech import Text

if TYPE_CHECKING:
    from streamkit.testing.resume import Kept

__all__ = ["Answer", "Fields", "Journal", "RecordedRequest", "Script"]

#: One step, or a text to say, is short for a script that holds it.
Script = str | Step | Sequence[Step]
Answer = Script | Callable[["RecordedRequest"], Script]


class Fields(Mapping[str, str]):
    """
    Header fields, found whatever their case; a repeated name is joined with commas.

    >>> Fields([("X-Api-Key", "a")])["x-api-key"]
    'a'

    Thread safety: **immutable**.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            before = self._values.get(name.lower())
            self._values[name.lower()] = value if before is None else f"{before}, {value}"

    @override
    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    @override
    def __len__(self) -> int:
        return len(self._values)

    @override
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values


@dataclass(slots=True, eq=False)
class RecordedRequest:
    """
    One request and what became of its answer. Times are of ``time.monotonic``.

    A connection that a script ends before its request is read is recorded with an empty method.

    Thread safety: **shared**; the server goes on writing the counts until the answer has ended.

    Args:
        method: In capitals.
        path: With the query.
        headers: Looked up in any case.
        body: Decoded if it came in chunks.
        connection: Which connection it came over, from 1.
        number: Which request it is, from 1.
        received: When it had been read.
        sent: Bytes of body written, without the framing.
        bytes_written: All bytes written, head and framing included, as the kernel took them.
        finished: When the script had been played to its end.
        disconnected: When the client was seen to close the connection, during or after this answer.
    """

    method: str
    path: str
    headers: Fields = field(repr=False)
    body: bytes = field(repr=False)
    connection: int
    number: int = 0
    received: float = field(default_factory=monotonic)
    sent: int = 0
    bytes_written: int = 0
    finished: float | None = None
    disconnected: float | None = None
    blocked_before: float = field(default=0.0, repr=False)
    blocked_since: float | None = field(default=None, repr=False)

    @property
    def json(self) -> Any:
        """
        The body as a JSON value.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)

    @property
    def blocked(self) -> float:
        """Seconds spent waiting for the client to read, the present wait included."""
        since = self.blocked_since
        return self.blocked_before + (monotonic() - since if since is not None else 0.0)


class Peer(Protocol):
    """A connection, as the journal sees it."""

    def abort(self) -> None:
        """Shut the socket down; its thread then ends. Never blocks."""
        ...


class Journal:
    """
    The shared state of one LocalProvider.

    Thread safety: **shared**.
    """

    # Guarded by changed: everything below.

    def __init__(self, answers: Sequence[Answer]) -> None:
        #: Notified by the connections on each change, and by stop().
        self.changed = Condition()
        self.requests: list[RecordedRequest] = []
        self.peers: set[Peer] = set()
        self.accepted = 0
        self.at_gate: deque[tuple[socket.socket, socket.socket]] = deque()
        self.stopping = False
        self._answers = [_prepared(answer) for answer in answers]
        self._kept: dict[str, Kept] = {}
        self._next = 0
        self._releases = 0

    def claim_on_accept(self) -> Plan | None:
        """The next answer, but only if it begins when the connection is accepted."""
        with self.changed:
            following = self._following_locked()
            if isinstance(following, _Fixed) and following.plan.on_accept:
                self._claim_locked()
                return following.plan
            return None

    def _claim_locked(self) -> Callable[[RecordedRequest], Plan]:
        answer = self._following_locked()
        self._next += 1
        return answer

    def take_up(self, request: RecordedRequest, name: str) -> Kept | Plan | None:
        """
        Record a request for the rest of an answer, and give that answer; None if there is none.

        A Status that comes next stands in its place.
        """
        with self.changed:
            self._add_locked(request)
            following = self._following_locked()
            if isinstance(following, _Fixed) and following.plan.status is not None:
                self._claim_locked()
                return following.plan
            return self._kept.get(name)

    def keep(self, name: str, kept: Kept) -> None:
        """Keep an answer for those that take it up; it replaces the one of that name."""
        with self.changed:
            self._kept[name] = kept

    def _following_locked(self) -> Callable[[RecordedRequest], Plan]:
        return self._answers[min(self._next, len(self._answers) - 1)]

    def add(self, request: RecordedRequest) -> None:
        """Record a request whose answer was claimed on accept."""
        with self.changed:
            self._add_locked(request)

    def take(self, request: RecordedRequest) -> Callable[[RecordedRequest], Plan]:
        """Record a request and give what it is answered with."""
        with self.changed:
            self._add_locked(request)
            return self._claim_locked()

    def _add_locked(self, request: RecordedRequest) -> None:
        self.requests.append(request)
        request.number = len(self.requests)
        self.changed.notify_all()

    def finished(self, request: RecordedRequest) -> None:
        """Note that the answer was played to its end."""
        with self.changed:
            request.finished = monotonic()
            self.changed.notify_all()

    def disconnected(self, requests: Sequence[RecordedRequest]) -> None:
        """Note that the client closed the connection that these came over."""
        now = monotonic()
        with self.changed:
            if self.stopping:
                return
            for request in requests:
                request.disconnected = request.disconnected or now
            self.changed.notify_all()

    def enter_gate(self) -> socket.socket | None:
        """None: go through. Else a socket that becomes readable when the gate opens; close it."""
        with self.changed:
            if self._releases:
                self._releases -= 1
                return None
            ours, theirs = socket.socketpair()
            self.at_gate.append((ours, theirs))
            self.changed.notify_all()
            return ours

    def leave_gate(self, ours: socket.socket) -> None:
        """Give the place at the gate back, whether it opened or the client went."""
        with self.changed:
            for pair in [pair for pair in self.at_gate if pair[0] is ours]:
                self.at_gate.remove(pair)
                pair[1].close()
            ours.close()
            self.changed.notify_all()

    def release(self, n: int) -> None:
        """Let n pass: those that wait, in order, then those to come."""
        with self.changed:
            for _ in range(n):
                if self.at_gate:
                    self.at_gate.popleft()[1].close()
                else:
                    self._releases += 1

    def stop(self) -> None:
        """Wake every connection for good."""
        with self.changed:
            self.stopping = True
            for peer in self.peers:
                peer.abort()
            self.changed.notify_all()


@dataclass(frozen=True, slots=True)
class _Fixed:
    plan: Plan

    def __call__(self, request: RecordedRequest) -> Plan:
        return self.plan


def _prepared(answer: Answer) -> Callable[[RecordedRequest], Plan]:
    if callable(answer):
        return lambda request: plan(_steps(answer(request)))
    return _Fixed(plan(_steps(answer)))


def _steps(script: Script) -> Sequence[Step]:
    if isinstance(script, str):
        return (Text(script),)
    return (script,) if isinstance(script, Step) else script
