"""
What other libraries stream -> chunks, by the look of the items: nothing of theirs is imported.

An item is an object or a mapping; ``_get`` reads both. First its ``type`` is looked up, which the
services with typed events have, then its members are tried, the most telling first.

Source: the streamed types of openai 2, anthropic 0.7x, ollama 0.6, cohere 5, google-genai 1,
boto3's converse_stream, mistralai 1, langchain-core 1, haystack 2, huggingface_hub 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamkit.chunk import Chunk, Kind, Usage
from streamkit.errors import ConfigurationError
from streamkit.providers.parsed import own_chunk
from streamkit.providers.usage import (
    BEDROCK,
    CHAT,
    COHERE,
    GEMINI,
    MESSAGES,
    OLLAMA,
    RESPONSES,
    Places,
    read_usage,
)  # fmt: skip

__all__ = ["ItemReader", "Teller"]

#: The user's own: an item -> its text, a chunk, or None where it has nothing to say.
Teller = Callable[[Any], "str | Chunk | None"]


class ItemReader:
    """
    The items of one foreign stream -> chunks, and what they said of its end.

    Tool calls are left to the library that made the items: of them only the finish reason shows.

    Thread safety: **confined**.

    Args:
        text: Used for every item instead of all that is known here.
    """

    def __init__(self, text: Teller | None = None) -> None:
        self._text = text
        self.finish_reason: str | None = None
        self.model: str | None = None
        self.id: str | None = None
        #: A chunk said that it was the last.
        self.done = False
        self._counts: dict[str, Any] = {}
        self._usage = Usage()

    def read(self, item: Any) -> list[Chunk]:
        """
        One item -> its chunks, maybe none.

        Raises:
            ConfigurationError: Nothing in it is known; ``text=`` must say what its text is.
            BaseException: The item is a chunk that carries an error: this error.
        """
        if self._text is not None:
            item = self._text(item)
        if item is None:
            return []
        if isinstance(item, str):
            return [Chunk(item)] if item else []
        if isinstance(item, Chunk):
            return self._own(item)
        return self._shaped(item)

    def _own(self, chunk: Chunk) -> list[Chunk]:
        if chunk.error is not None:
            raise chunk.error
        self.done = self.done or chunk.done or chunk.kind == "done"
        self._finish(chunk.finish_reason)
        self.model, self.id = self.model or chunk.model, self.id or chunk.id
        own = own_chunk(chunk)
        return [] if own is None else [own]

    def _shaped(self, item: Any) -> list[Chunk]:
        kind = _get(item, "type") or _get(item, "event_type")
        if isinstance(kind, str):
            if kind in _EVENTS:
                return _EVENTS[kind](self, item)
            # Others of OpenAI's, and those of anthropic's helpers, say again what was said.
            if kind.startswith("response.") or _get(item, "snapshot") is not None:
                return []
        for member, read in _MEMBERS:
            found = _get(item, *member)
            if found is not None:
                return read(self, item, found)
        if isinstance(kind, str) or any(_get(item, name) is not None for name in _SILENT):
            return []  # an event that says nothing to be shown
        raise ConfigurationError(
            f"no text is known in items of type {type(item).__name__}: pass text=, a function"
        )

    # -- what the shapes have in common

    def _say(self, content: Any, kind: Kind = "text") -> list[Chunk]:
        return [Chunk(content, kind=kind)] if isinstance(content, str) and content else []

    def _finish(self, reason: Any) -> None:
        reason = getattr(reason, "value", reason)  # google-genai has an enumeration
        if isinstance(reason, str) and reason:
            self.finish_reason = reason

    def _identify(self, item: Any, model: str = "model", id: str = "id") -> None:
        for name, value in (("model", _get(item, model)), ("id", _get(item, id))):
            if isinstance(value, str) and value and getattr(self, name) is None:
                setattr(self, name, value)

    def _count(self, raw: Any, places: Places) -> list[Chunk]:
        dump = getattr(raw, "model_dump", None)
        raw = dump(by_alias=True) if dump is not None else raw
        if not isinstance(raw, Mapping):
            return []
        # Anthropic reports the input first and the output later.
        self._counts.update((k, _whole(v)) for k, v in raw.items() if v is not None)
        usage = read_usage(self._counts, places)
        if usage == self._usage:
            return []
        self._usage = usage
        return [Chunk(kind="usage", metadata={"usage": usage})]

    # -- by type

    def _block_delta(self, item: Any) -> list[Chunk]:
        said = self._say(_get(item, "delta", "text"))
        thought = _get(item, "delta", "thinking") or _get(item, "delta", "reasoningContent", "text")
        return said or self._say(thought, "reasoning")

    def _begin(self, item: Any) -> list[Chunk]:
        self._identify(item)
        return []

    def _message_start(self, item: Any) -> list[Chunk]:
        self._identify(_get(item, "message"))
        return self._count(_get(item, "message", "usage"), MESSAGES)

    def _message_delta(self, item: Any) -> list[Chunk]:
        self._finish(_get(item, "delta", "stop_reason"))
        return self._count(_get(item, "usage"), MESSAGES)

    def _response_end(self, item: Any) -> list[Chunk]:
        self._identify(_get(item, "response"))
        reason = _get(item, "response", "incomplete_details", "reason")
        self._finish(reason or _get(item, "response", "status"))
        return self._count(_get(item, "response", "usage"), RESPONSES)

    def _cohere_end(self, item: Any) -> list[Chunk]:
        self._finish(_get(item, "delta", "finish_reason") or _get(item, "finish_reason"))
        return self._count(_get(item, "delta", "usage"), COHERE)

    # -- by member

    def _choices(self, item: Any, choices: Any) -> list[Chunk]:
        self._identify(item)
        said: list[Chunk] = []
        for choice in choices or ():
            if (_get(choice, "index") or 0) == 0:  # the first choice is the answer
                delta = _get(choice, "delta")
                reasoning = _get(delta, "reasoning_content") or _get(delta, "reasoning")
                said += self._say(reasoning, "reasoning")
                said += self._parts(_get(delta, "content") or _get(choice, "text"))
                said += self._say(_get(delta, "refusal"), "refusal")
                self._finish(_get(choice, "finish_reason"))
        # The second is groq's, among the members that the openai SDK does not know.
        return said + self._count(_get(item, "usage") or _get(item, "x_groq", "usage"), CHAT)

    def _candidates(self, item: Any, candidates: Any) -> list[Chunk]:
        self._identify(item, "model_version", "response_id")
        self._identify(item, "modelVersion", "responseId")
        said: list[Chunk] = []
        first = candidates[0] if candidates else None  # the last may hold the usage alone
        for part in _get(first, "content", "parts") or ():
            said += self._say(_get(part, "text"), "reasoning" if _get(part, "thought") else "text")
        self._finish(_get(first, "finish_reason") or _get(first, "finishReason"))
        usage = _get(item, "usage_metadata") or _get(item, "usageMetadata")
        return said + self._count(usage, GEMINI)

    def _bedrock_end(self, item: Any, stop: Any) -> list[Chunk]:
        self._finish(_get(stop, "stopReason"))
        return []

    def _token(self, item: Any, text: Any) -> list[Chunk]:
        return self._content(item, "" if _get(item, "token", "special") else text)

    def _ollama(self, item: Any, text: Any) -> list[Chunk]:
        said = self._say(_get(item, "message", "thinking") or _get(item, "thinking"), "reasoning")
        said += self._say(text)
        self._identify(item)
        self._finish(_get(item, "done_reason"))
        return said + (self._count(item, OLLAMA) if _get(item, "done") else [])

    def _content(self, item: Any, content: Any) -> list[Chunk]:
        self._finish(
            _get(item, "finish_reason")
            or _get(item, "response_metadata", "finish_reason")
            or _get(item, "details", "finish_reason")
        )
        return self._parts(content)

    def _parts(self, content: Any, kind: Kind = "text") -> list[Chunk]:
        """Text, or a list of parts, some of which are thoughts."""
        if not isinstance(content, (list, tuple)):
            return self._say(content, kind)
        said: list[Chunk] = []
        for part in content:
            said += self._parts(_get(part, "thinking"), "reasoning")
            said += self._say(_get(part, "text") or part, kind)
        return said


def _get(item: Any, *path: str) -> Any:
    """A member of a member..., of objects and mappings alike; None where there is none."""
    for name in path:
        item = item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)
        if item is None:
            return None
    return item


def _whole(value: Any) -> Any:
    """Counts without the fractions that cohere's SDK gives them."""
    if isinstance(value, Mapping):
        return {name: _whole(inner) for name, inner in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Read = Callable[[ItemReader, Any], "list[Chunk]"]
_ReadFound = Callable[[ItemReader, Any, Any], "list[Chunk]"]


def _delta(*path: str, kind: Kind = "text") -> _Read:
    return lambda reader, item: reader._say(_get(item, *path), kind)


#: The type of an event -> how it is read. Those that say nothing are known by not being here.
_EVENTS: Mapping[str, _Read] = {
    "chunk": lambda reader, item: reader.read(_get(item, "chunk")),  # openai's chat helper
    "content.done": lambda reader, item: [],  # which says it all again here
    "content_block_delta": ItemReader._block_delta,
    "message_start": ItemReader._message_start,
    "message_delta": ItemReader._message_delta,
    "content_block_stop": lambda reader, item: [],  # their helpers repeat the whole block here
    "message_stop": lambda reader, item: [],
    "response.output_text.delta": _delta("delta"),
    "response.refusal.delta": _delta("delta", kind="refusal"),
    "response.reasoning_text.delta": _delta("delta", kind="reasoning"),
    "response.reasoning_summary_text.delta": _delta("delta", kind="reasoning"),
    "response.completed": ItemReader._response_end,
    "response.incomplete": ItemReader._response_end,
    "message-start": lambda reader, item: reader._begin(item),
    "content-delta": lambda reader, item: reader._parts(
        [_get(item, "delta", "message", "content")]
    ),
    "tool-plan-delta": _delta("delta", "message", "tool_plan", kind="reasoning"),
    "message-end": ItemReader._cohere_end,
    "text-generation": _delta("text"),
    "stream-end": ItemReader._cohere_end,
}

#: A member that tells the shape -> how the item is read.
_MEMBERS: tuple[tuple[tuple[str, ...], _ReadFound], ...] = (
    (("choices",), ItemReader._choices),
    (("data", "choices"), lambda reader, item, found: reader._choices(_get(item, "data"), found)),
    (("candidates",), ItemReader._candidates),
    (("contentBlockDelta",), lambda reader, item, found: reader._block_delta(found)),
    (("messageStop",), ItemReader._bedrock_end),
    (("metadata", "usage"), lambda reader, item, found: reader._count(found, BEDROCK)),
    (("delta",), ItemReader._content),  # before members that may hold all the text so far
    (("message", "content"), ItemReader._ollama),
    (("response",), ItemReader._ollama),
    (("token", "text"), ItemReader._token),
    (("content",), ItemReader._content),
    (("text",), ItemReader._content),
)

#: Members of items that are known and have no text of their own, such as openai's usage chunk.
_SILENT = (
    "usage", "usage_metadata", "message", "messageStart", "contentBlockStart",
    "contentBlockStop", "metadata", "done",
)  # fmt: skip
