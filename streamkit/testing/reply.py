"""
The answer to one request: its head, its body in the chosen framing, and the counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamkit.testing.delivery import Framing, Headers, Status
from streamkit.testing.dialects import Dialect
from streamkit.testing.dialects.base import to_json
from streamkit.testing.framing import Body, head
from streamkit.testing.link import Link
from streamkit.testing.plan import Plan
from streamkit.testing.record import RecordedRequest
from streamkit.testing.render import render, render_whole
from streamkit.testing.script import BREAKS, Step

__all__ = ["Reply"]


class Reply:
    """
    One answer on its way.

    Thread safety: **confined**.

    Args:
        link: Where it goes.
        request: Whose counts are kept.
        chosen: What to say.
        dialect: In which format.
        known: Whether the path named the dialect; else it only serves for ids.
    """

    def __init__(
        self, link: Link, request: RecordedRequest, chosen: Plan, dialect: Dialect, *, known: bool
    ) -> None:
        self._link = link
        self._request = request
        self._plan = chosen
        self._dialect = dialect
        self._known = known
        self._whole = known and (chosen.whole or not dialect.wants_stream) and chosen.speaks
        whole = self._whole or chosen.status is not None
        self._framing = chosen.framing or Framing("length" if whole else "chunked")
        self._body = Body(chosen, self._framing)
        self._length: int | None = None
        wanted = request.headers.get("connection", "").lower() != "close"
        self.keep = wanted and self._framing.kind != "close"

    def send(self, data: bytes) -> None:
        """Write outside the framing."""
        self._link.send(data, self._request)

    def write(self, data: bytes) -> None:
        """Write a piece of the body."""
        for size, framed in self._body.pieces(data):
            self._link.send(framed, self._request)
            self._request.sent += size

    def steps(self) -> Iterable[bytes | Step]:
        """The body: bytes for one send each, and what lies between them."""
        status = self._plan.status
        if status is not None:
            body = _status_body(status, self._dialect)
            return iter([body] if body else [])
        if self._whole:
            return render_whole(self._plan.body, self._dialect)
        return render(self._plan.body, self._dialect)

    def send_head(self) -> None:
        """The status line and the headers."""
        status = self._plan.status
        fields = [("server", "streamkit-testing"), ("cache-control", "no-cache")]
        fields.append(("content-type", self._content_type()))
        fields.append((self._dialect.request_id, f"req_local{self._request.number}"))
        fields.append(("connection", "keep-alive" if self.keep else "close"))
        fields += self._delimiters()
        changes = [*self._plan.headers]
        if status is not None:
            if status.body is None:
                changes.insert(0, Headers(self._dialect.problem_headers(status.code)))
            changes.append(Headers(status.headers, status=status.code))
        data = head(200, fields, changes)
        slow = next((change for change in changes if change.size), None)
        if slow is None or slow.size is None:
            self.send(data)
            return
        for start in range(0, len(data), slow.size):
            if start:
                self._link.sleep(slow.every)
            self.send(data[start : start + slow.size])

    def _content_type(self) -> str:
        if self._plan.status is not None or self._whole:
            return "application/json"
        if any((change.status or 200) >= 400 for change in self._plan.headers):
            return "application/json"
        return self._dialect.content_type if self._known else "application/octet-stream"

    def _delimiters(self) -> list[tuple[str, str]]:
        fields = []
        if self._plan.coding is not None:
            names = [name.removeprefix("raw-") for name in self._plan.coding.chain()]
            fields.append(("content-encoding", ", ".join(names)))
        if self._framing.kind == "chunked":
            fields.append(("transfer-encoding", "chunked"))
        elif self._framing.kind == "length":
            self._length = self._framing.length
            if self._length is None:
                self._length = self._count()
            fields.append(("content-length", str(self._length)))
        return fields

    def _count(self) -> int:
        """Play the body into the void: rendering has no effect but on the dialect's own counts."""
        rehearsal = Reply(
            self._link,
            self._request,
            self._plan,
            self._dialect.again(),
            known=self._known,
        )
        total = 0
        complete = True
        for step in rehearsal.steps():
            if type(step) is bytes:
                total += sum(size for size, _ in rehearsal._body.pieces(step))
            elif isinstance(step, BREAKS):
                complete = False
                break
        return total + sum(size for size, _ in rehearsal._body.end(complete=complete))

    def end(self, *, complete: bool) -> None:
        """End the body; a length that was a lie leaves only closing the connection."""
        for size, framed in self._body.end(complete=complete):
            self._link.send(framed, self._request)
            self._request.sent += size
        if self._length is not None and self._length != self._request.sent:
            self.keep = False


def _status_body(status: Status, dialect: Dialect) -> bytes:
    if status.body is None:
        return dialect.problem(status.code, status.message)
    if isinstance(status.body, bytes):
        return status.body
    return status.body.encode() if isinstance(status.body, str) else to_json(status.body)
