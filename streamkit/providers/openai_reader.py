"""
Any frame of a chat answer -> its chunks. The frames that hold text alone are read in openai.py.

Source: WIRE_FORMATS.md section 2, from recordings of some twenty services.
"""

from __future__ import annotations

from typing import Any

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.providers.base import Endpoint
from streamkit.providers.events import EventDialect
from streamkit.providers.openai_calls import read_fragments
from streamkit.providers.openai_delta import (
    annotations_of,
    executed_tool,
    reasoning_of,
    runs_of,
    says_more,
    sealed_reasoning,
)
from streamkit.providers.openai_frame import (
    details_of,
    failed_part,
    flat_error,
    is_filtered,
    sources_of,
    usage_of,
)
from streamkit.providers.shape import as_object, as_objects
from streamkit.providers.usage import CHAT, read_usage
from streamkit.wire.jsontext import encode
from streamkit.wire.surrogates import clean, clean_deep

__all__ = ["ChatReader"]


class ChatReader(EventDialect):
    """
    The state of a chat answer and the slow way to read it.

    Thread safety: **confined**; one instance reads one attempt.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._seen: set[int] = set()
        self._sources: tuple[Any, Any] = (None, None)
        #: The last filter results that found nothing: Azure sends the same with each delta.
        self._unfiltered: Any = None

    def _is_answer(self, frame: dict[str, Any]) -> bool:
        choices = as_objects(frame.get("choices"))
        return any(isinstance(self._delta_of(choice, "message"), dict) for choice in choices)

    def _delta_of(self, choice: dict[str, Any], member: str) -> Any:
        """What a choice says, as an object with ``content``."""
        return choice.get(member)

    @override
    def _read(self, frame: dict[str, Any], member: str = "delta") -> list[Chunk]:
        """
        Any frame; a choice holds its text in ``member``: delta, or message in a whole answer.

        Raises:
            ProviderError: The frame is an error and nothing else; else the error is in ``failure``.
        """
        failed = failed_part(frame) or flat_error(frame)
        if failed and not frame.get("choices") and not usage_of(frame):
            raise self._failure(failed)
        self._identify(frame.get("model"), frame.get("id"))
        chunks: list[Chunk] = []
        others: list[Chunk] = []
        finish = None
        for choice in as_objects(frame.get("choices")):
            if choice.get("index"):
                self._read_other(choice, member, others)
            else:
                self._read_choice(choice, member, chunks)
                finish = choice.get("finish_reason") or finish
        self._read_beside(frame, chunks)
        self._finish(finish, chunks)
        if failed:
            self._fail(failed)
        return others + chunks if others else chunks

    def _fail(self, part: dict[str, Any]) -> None:
        """The answer ends with an error, once what came in the same event is delivered."""
        self.failure = self._failure(part)
        self.finished = True

    def _read_choice(self, choice: dict[str, Any], member: str, chunks: list[Chunk]) -> None:
        if choice.get("error"):  # OpenRouter
            self._fail(choice)
        delta = self._delta_of(choice, member)
        if isinstance(delta, dict):
            self._read_delta(delta, chunks)
        logprobs = choice.get("logprobs")
        if any(logprobs.values() if isinstance(logprobs, dict) else (logprobs,)):
            self._note("logprobs", logprobs, chunks)
        results = choice.get("content_filter_results")
        if is_filtered(results):
            self._note("filter_results", results, chunks)
        elif results:
            self._unfiltered = results

    def _read_other(self, choice: dict[str, Any], member: str, chunks: list[Chunk]) -> None:
        number, finish = choice["index"], choice.get("finish_reason")
        if number.__class__ is not int:
            return
        delta = as_object(self._delta_of(choice, member))
        for kind, text in runs_of(delta.get("content")):
            if kind == "text":
                chunks.append(self._chunk("", "text", {"choice": number, "content": clean(text)}))
        if finish and isinstance(finish, str):
            told = {"choice": number, "finish_reason": clean(finish)}
            chunks.append(self._chunk("", "text", told))

    def _read_beside(self, frame: dict[str, Any], chunks: list[Chunk]) -> None:
        """What a frame holds beside its choices."""
        sources = frame.get("citations"), frame.get("search_results")
        if sources != self._sources:  # Perplexity repeats them with each delta
            self._sources = sources
            for source in sources_of(*sources):
                self._cite(source, source.get("url"), chunks)
        prompts = as_objects(frame.get("prompt_filter_results"))
        if any(is_filtered(prompt.get("content_filter_results")) for prompt in prompts):
            self._note("filter_results", prompts, chunks)
        usage = usage_of(frame)
        if details := details_of(frame, usage):
            counts = read_usage(usage, CHAT) if usage else self._usage
            chunks += self._report_usage(counts, details)
        elif usage:
            chunks += self._report_usage(read_usage(usage, CHAT))

    def _read_delta(self, delta: dict[str, Any], chunks: list[Chunk]) -> None:
        reasoning = reasoning_of(delta)
        if reasoning:
            chunks.append(self._chunk(reasoning, "reasoning"))
        content = delta.get("content")
        if content:
            self._read_content(content, chunks)
        if not says_more(delta):
            return
        for block in sealed_reasoning(delta):
            chunks.append(self._chunk("", "reasoning", {"reasoning_detail": clean_deep(block)}))
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            chunks.append(self._chunk(refusal, "refusal"))
        audio = delta.get("audio")
        if audio and isinstance(audio, dict):
            chunks.append(self._chunk("", "text", {"audio": clean_deep(audio)}))
        for image in as_objects(delta.get("images")):  # OpenRouter
            chunks.append(self._chunk("", "text", {"image": clean_deep(image)}))
        for citation in annotations_of(delta):
            self._cite(citation, citation, chunks)
        for tool in as_objects(delta.get("executed_tools")):
            self._read_executed(tool, chunks)
        for call, fragment in read_fragments(delta, self._calls):
            chunks.append(self._call_chunk(call, fragment))

    def _read_content(self, content: Any, chunks: list[Chunk]) -> None:
        for kind, text in runs_of(content):
            chunks.append(self._chunk(text, kind))

    def _read_executed(self, tool: dict[str, Any], chunks: list[Chunk]) -> None:
        call, result = executed_tool(tool)
        # Without a number it is told apart by what was asked.
        if self._is_new("tool", call if call["index"] is None else call["index"]):
            chunks.append(self._chunk("", "text", {"server_tool": clean_deep(call)}))
        if result and self._is_new("result", result):
            chunks.append(self._chunk("", "text", {"server_tool_result": clean_deep(result)}))

    def _cite(self, citation: dict[str, Any], key: Any, chunks: list[Chunk]) -> None:
        """A citation, unless one with that key has been."""
        if self._is_new("citation", key or citation):
            chunks.append(self._chunk("", "citation", {"citation": clean_deep(dict(citation))}))

    def _is_new(self, kind: str, value: Any) -> bool:
        """Whether it is the first time; only hashes are kept, a search result may be 500 KB."""
        mark = hash((kind, encode(value)))
        if mark in self._seen:
            return False
        self._seen.add(mark)
        return True

    def _note(self, name: str, value: Any, chunks: list[Chunk]) -> None:
        """Say it in the metadata of the last chunk, or of one made for it."""
        if not chunks:
            chunks.append(self._chunk("", "text"))
        chunks[-1].metadata[name] = clean_deep(value)
