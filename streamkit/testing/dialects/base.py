"""
What a dialect is, from the server's side: what a service would send for each step.

A dialect object writes one answer. It is pure: no socket, no waiting.
"""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import unquote

from typing_extensions import Self

from streamkit.testing.speech import Citation, Data, Error, Tool, Usage

__all__ = ["HOLE", "Asked", "Dialect", "Said", "around", "json_writer", "parsed", "to_json"]

#: Stands in a template where the text of a delta goes.
HOLE = "streamkit hole"
_QUOTED = f'"{HOLE}"'.encode()

#: Where requests keep the prompt.
_PROMPTS = ("messages", "input", "contents", "prompt")
#: The model in a path: what follows ``models``, ``model`` or ``deployments``, without its verb.
_MODEL = re.compile(r"/(?:models?|deployments)/([^/?]+?)(?=:[A-Za-z]+(?:\?|$)|[/?]|$)")


def json_writer(
    separators: tuple[str, str] = (",", ":"), indent: int | None = None
) -> Callable[[Any], bytes]:
    """
    A function from a value to its JSON as UTF-8, with blanks where a service puts them.

    A lone surrogate, which UTF-8 cannot carry, makes it all ASCII escapes.
    """
    options: dict[str, Any] = {"separators": separators, "indent": indent}
    plain = json.JSONEncoder(ensure_ascii=False, **options).encode
    escaped = json.JSONEncoder(**options).encode

    def write(value: Any) -> bytes:
        try:
            return plain(value).encode()
        except UnicodeEncodeError:
            return escaped(value).encode()

    return write


#: JSON without blanks, as most services write it.
to_json = json_writer()


def around(written: bytes) -> tuple[bytes, bytes]:
    """
    What stands before and after the HOLE of a template.

    >>> around(to_json({"text": HOLE}))
    (b'{"text":', b'}')
    """
    head, _, tail = written.partition(_QUOTED)
    return head, tail


@dataclass(frozen=True, slots=True)
class Asked:
    """
    A request, as far as the answer depends on it.

    Thread safety: **immutable**.

    Args:
        body: Its JSON.
        path: With the query: some dialects say there what others say in the body.
        number: Which request this is, for the ids.
        at: When it came, by ``time.time``.
    """

    body: Mapping[str, Any]
    path: str
    number: int
    at: float = field(default_factory=time.time)


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
    citations: list[Citation] = field(default_factory=list)
    reason: str = "stop"


class Dialect(ABC):
    """
    Steps -> the bytes of events, for one answer. Thread safety: **confined**.

    Args:
        asked: What is answered.
        usage: What the script declares; None counts deltas.
    """

    name: ClassVar[str]
    content_type: ClassVar[str]
    request_id: ClassVar[str] = "x-request-id"
    streams_by_default: ClassVar[bool] = False
    words: ClassVar[Mapping[str, str]] = {}

    def __init__(self, asked: Asked, usage: Usage | None) -> None:
        self.asked = asked
        self.number = asked.number
        self.path = asked.path
        self.model = str(asked.body.get("model") or _model_of(asked.path))
        self.created = asked.at
        self.tools = 0
        self._declared = usage
        self._deltas = 0
        self.prompt_tokens = _estimated(asked.body) if usage is None else usage.input or 0

    def again(self) -> Self:
        """A writer of the same answer, byte for byte, from its beginning."""
        return type(self)(self.asked, self._declared)

    @property
    def wants_stream(self) -> bool:
        """Whether the request asks for a stream."""
        return bool(self.asked.body.get("stream", self.streams_by_default))

    def usage(self) -> Usage:
        """The declared counts, or an estimate of the prompt and the deltas so far."""
        if self._declared is not None:
            return self._declared
        return Usage(self.prompt_tokens, self._deltas)

    def output_so_far(self) -> int:
        """Output tokens while the answer runs: one for each delta, no more than declared."""
        declared = self._declared
        return self._deltas if declared is None else min(declared.output or 0, self._deltas)

    def count(self, deltas: int) -> None:
        """Count deltas that are folded into a whole answer."""
        self._deltas += deltas

    def word(self, reason: str) -> str:
        """The dialect's own word for a finish reason."""
        return self.words.get(reason, reason)

    def tool_id(self, step: Tool) -> str:
        """The id of the next tool call."""
        return step.id or f"call_local_{self.number}_{self.tools}"

    def called(self, step: Tool) -> dict[str, Any]:
        """The next tool call, whole, in the form of OpenAI that others took over."""
        function = {"name": step.name, "arguments": "".join(step.fragments())}
        return {"id": self.tool_id(step), "type": "function", "function": function}

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

    def citation(self, step: Citation) -> list[bytes]:
        """A source; nothing where the dialect has no citations."""
        return []

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
        """The body of an HTTP error."""

    def problem_headers(self, status: int) -> Mapping[str, str]:
        """Headers that go with it, beside or in place of the usual ones."""
        return {}


def parsed(step: Tool) -> Any:
    """The arguments as a JSON value; text that is no JSON stays text."""
    text = "".join(step.fragments())
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text


def _model_of(path: str) -> str:
    found = _MODEL.search(path)
    return unquote(found[1]) if found else "local"


def _estimated(body: Mapping[str, Any]) -> int:
    """The prompt in tokens, at four bytes each."""
    prompt = next((body[name] for name in _PROMPTS if name in body), "")
    return max(1, len(to_json(prompt)) // 4)
