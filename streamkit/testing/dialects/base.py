"""
What a dialect is, from the server's side: what a service would send for each step.

A dialect object writes one answer. It is pure: no socket, no waiting.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from streamkit.testing.script import Data, Error, Tool, Usage

__all__ = ["Dialect", "Said", "parsed", "to_json"]

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(value: Any) -> bytes:
    """JSON as UTF-8; a lone surrogate, which UTF-8 cannot carry, makes it all ASCII escapes."""
    try:
        return _encode(value).encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


@dataclass(slots=True)
class Said:
    """
    An answer folded into one, for a request that asked for no stream.

    Thread safety: **confined**.
    """

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tools: list[Tool] = field(default_factory=list)
    reason: str = "stop"


class Dialect(ABC):
    """
    Steps -> the bytes of events, for one answer. Thread safety: **confined**.

    Args:
        asked: The JSON body of the request.
        usage: What the script declares; None counts deltas.
        number: Which request this is, for the ids.
    """

    name: ClassVar[str]
    content_type: ClassVar[str]
    request_id: ClassVar[str] = "x-request-id"
    streams_by_default: ClassVar[bool] = False
    words: ClassVar[Mapping[str, str]] = {}

    def __init__(self, asked: Mapping[str, Any], usage: Usage | None, number: int) -> None:
        self.model = str(asked.get("model") or "local")
        self.asked = asked
        self.number = number
        self.created = time.time()
        self.tools = 0
        self._declared = usage
        self._deltas = 0

    @property
    def wants_stream(self) -> bool:
        """Whether the request asks for a stream."""
        return bool(self.asked.get("stream", self.streams_by_default))

    def usage(self) -> Usage:
        """The declared counts, or the deltas so far; four bytes of prompt make a token."""
        if self._declared is not None:
            return self._declared
        prompt = len(to_json(self.asked.get("messages", "")))
        return Usage(max(1, prompt // 4), self._deltas)

    def word(self, reason: str) -> str:
        """The dialect's own word for a finish reason."""
        return self.words.get(reason, reason)

    def tool_id(self, step: Tool) -> str:
        """The id of the next tool call."""
        return step.id or f"call_local_{self.number}_{self.tools}"

    def start(self) -> list[bytes]:
        """What comes before the first content."""
        return []

    @abstractmethod
    def text(self, piece: str) -> bytes:
        """One delta of visible text."""

    @abstractmethod
    def reasoning(self, piece: str) -> bytes:
        """One delta of thinking."""

    def refusal(self, piece: str) -> bytes:
        """One delta of a refusal."""
        return self.text(piece)

    @abstractmethod
    def tool(self, step: Tool) -> list[bytes]:
        """A tool call, an item per send."""

    def ping(self) -> bytes:
        """A sign of life."""
        return b": ping\n\n"

    def data(self, step: Data) -> bytes:
        """A payload of the user's, in an SSE event."""
        name = f"event: {step.event}\n" if step.event else ""
        return f"{name}data: {step.text()}\n\n".encode()

    @abstractmethod
    def finish(self, reason: str) -> list[bytes]:
        """Why the model stopped."""

    @abstractmethod
    def done(self) -> list[bytes]:
        """The terminal event, and what belongs right before it."""

    @abstractmethod
    def error(self, step: Error) -> bytes:
        """An error inside the stream."""

    @abstractmethod
    def whole(self, said: Said) -> bytes:
        """The answer as one JSON body."""

    @abstractmethod
    def problem(self, status: int, message: str) -> bytes:
        """The JSON body of an HTTP error."""


def parsed(step: Tool) -> Any:
    """The arguments as a JSON value; text that is no JSON stays text."""
    text = "".join(step.fragments())
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text
