"""
What an answer says: content, its end and its counts, in no dialect's terms.

The server writes each of these steps in the wire format of the path that was asked. A script that
has content but does not say how it ends gets the usual ending.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any

from streamkit.errors import ConfigurationError
from streamkit.testing.script import Step, check_least, sliced

__all__ = [
    "GREETING",
    "Citation",
    "Data",
    "Done",
    "Error",
    "Finish",
    "Ping",
    "Reasoning",
    "Refusal",
    "Text",
    "Tool",
    "Usage",
]

#: A word with the blanks before it, as tokenizers cut; joined, the pieces are the text again.
_WORD = re.compile(r"\s*\S+|\s+")


@dataclass(frozen=True, slots=True)
class Text(Step):
    """
    Visible text, sent as several deltas.

    >>> Text("Hello there, you").deltas()
    ('Hello', ' there,', ' you')
    >>> Text("Hello", size=2).deltas()
    ('He', 'll', 'o')

    Thread safety: **immutable**.

    Args:
        text: Split into words, unless ``size`` or ``pieces`` says otherwise.
        size: Characters per delta.
        pieces: The deltas themselves; a lone surrogate goes out as a JSON escape.
        every: Seconds between two sends.
        burst: Deltas per send: 1 is a send for each, more is faster.
    """

    text: str = ""
    _: KW_ONLY
    size: int | None = None
    pieces: tuple[str, ...] | None = None
    every: float = 0.0
    burst: int = 1

    def __post_init__(self) -> None:
        check_least("size", self.size, least=1)
        check_least("every", self.every, least=0)
        check_least("burst", self.burst, least=1)
        if self.pieces is not None and self.text not in ("", "".join(self.pieces)):
            raise ConfigurationError(f"pieces must join to the text, got {self.pieces!r}")

    def deltas(self) -> tuple[str, ...]:
        """The text of each delta, in order."""
        if self.pieces is not None:
            return self.pieces
        if self.size is None:
            return tuple(_WORD.findall(self.text))
        return tuple(sliced(self.text, self.size))


@dataclass(frozen=True, slots=True)
class Reasoning(Text):
    """
    Thinking, where the dialect has a place for it; the arguments are those of Text.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class Refusal(Text):
    """
    A refusal: OpenAI's own field, plain text in the other dialects.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class Tool(Step):
    """
    A tool call, its arguments streamed in fragments where the dialect does so.

    It is left out where the dialect has none (completions, Ollama's generate).

    Thread safety: **immutable**.

    Args:
        name: The function.
        arguments: The JSON text, or a mapping to be written as such.
        id: Made up if None.
        size: Characters per fragment; None sends the arguments in one.
        pieces: The fragments themselves.
        every: Seconds between two sends.
    """

    name: str
    arguments: str | Mapping[str, Any] = ""
    _: KW_ONLY
    id: str | None = None
    size: int | None = None
    pieces: tuple[str, ...] | None = None
    every: float = 0.0

    def __post_init__(self) -> None:
        check_least("size", self.size, least=1)
        check_least("every", self.every, least=0)

    def fragments(self) -> tuple[str, ...]:
        """The JSON text of the arguments, as it is cut."""
        if self.pieces is not None:
            return self.pieces
        text = self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)
        return tuple(sliced(text, self.size or max(1, len(text))))


@dataclass(frozen=True, slots=True)
class Citation(Step):
    """
    A source of the answer, in the dialect's shape; nothing is sent where it has none.

    Thread safety: **immutable**.

    Args:
        url: The source.
        title: Its title.
        text: The words it stands for; with ``start`` a dialect that counts tells where they are.
        start: Characters of the answer before them.
    """

    url: str
    title: str = ""
    _: KW_ONLY
    text: str = ""
    start: int = 0

    def __post_init__(self) -> None:
        check_least("start", self.start, least=0)

    @property
    def end(self) -> int:
        """Characters of the answer up to the end of the words."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Usage(Step):
    """
    The token counts reported, wherever the dialect puts them; where in the script does not matter.

    Without this step the server counts its deltas. ``Usage()`` makes it silent about usage.

    Thread safety: **immutable**.
    """

    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cached: int | None = None
    cache_write: int | None = None


@dataclass(frozen=True, slots=True)
class Finish(Step):
    """
    Why the model stopped.

    ``stop``, ``length``, ``tool_calls`` and ``content_filter`` are translated into the dialect's
    word; any other goes out as it is.

    Thread safety: **immutable**.
    """

    reason: str = "stop"


@dataclass(frozen=True, slots=True)
class Done(Step):
    """
    The terminal event: ``[DONE]``, ``message_stop``, the line with ``done: true``.

    Nothing is sent where there is none (Gemini's events, Perplexity): there the body just ends.

    Thread safety: **immutable**.
    """


@dataclass(frozen=True, slots=True)
class Error(Step):
    """
    An error inside the stream, in the dialect's shape; the body then ends cleanly.

    Thread safety: **immutable**.
    """

    message: str = "the server had an error while processing your request"
    _: KW_ONLY
    type: str = "server_error"
    code: str | int | None = None


@dataclass(frozen=True, slots=True)
class Data(Step):
    """
    One event with a payload of your own, framed as the dialect frames events.

    Thread safety: **immutable**.

    Args:
        payload: Text as it is, or anything JSON can say.
        event: The SSE event name; None sends none. NDJSON has none.
    """

    payload: Any
    event: str | None = None

    def text(self) -> str:
        """The payload as the text of an event."""
        return self.payload if isinstance(self.payload, str) else json.dumps(self.payload)


@dataclass(frozen=True, slots=True)
class Ping(Step):
    """
    Signs of life without content: SSE comments, Anthropic's ping, an empty NDJSON line.

    Thread safety: **immutable**.
    """

    n: int = 1
    _: KW_ONLY
    every: float = 0.0

    def __post_init__(self) -> None:
        check_least("n", self.n, least=1)
        check_least("every", self.every, least=0)


#: What a LocalProvider without a script says. The delay is a quick model's pace, about 40 words/s.
GREETING: tuple[Step, ...] = (
    Text(
        "Hello! I am streamkit's local provider. I am not a language model: I am a small server "
        "inside this process, and this answer came to you over real HTTP, word by word.\n\n"
        "Set an API key and name a model to talk to a real one.",
        every=0.025,
    ),
)
