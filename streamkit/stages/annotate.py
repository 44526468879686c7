"""
Marks on what is not the visible text: thinking, tool calls, and how fast it all came.

For ``transform=``: they change what is shown, and nothing of what is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from streamkit.callback import check_callable
from streamkit.chunk import Chunk, Kind
from streamkit.stages.basic import CONTENT, SPOKEN, StageMaker, words
from streamkit.stages.finder import chooser

__all__ = ["annotate_reasoning", "highlight_function_calls", "show_performance"]

#: A chunk with the metadata of a mark -> the words of the mark.
MarkFormat = Callable[[Chunk], str]


class _Runs:
    """Chunks that belong together and follow each other -> the same, marked, maybe with words."""

    def __init__(
        self,
        is_meant: Callable[[Chunk], object],
        shown_as: Kind,
        format: MarkFormat | None,
    ) -> None:
        self._is_meant = is_meant
        self._shown_as = shown_as
        self._format = format
        self._call: Any = None  # the call of the run
        self._last: Chunk | None = None  # of the run; None outside
        self._block = 0
        self._named: dict[Any, dict[str, Any]] = {}  # what each call began with
        self.error: BaseException | None = None

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        out: list[Chunk] = []
        try:
            for chunk in chunks:
                self._read(chunk, out)
        except Exception as error:  # of a function of the user
            self.error = self.error or error
        return out

    def flush(self) -> list[Chunk]:
        out: list[Chunk] = []
        try:
            self._end(out)
        except Exception as error:
            self.error = self.error or error
        self._named = {}  # the next attempt counts its calls anew
        return out

    def _read(self, chunk: Chunk, out: list[Chunk]) -> None:
        if self.error is not None:
            return
        begins = False
        if self._says_more(chunk) and self._is_meant(self._known(chunk)):
            if self._last is None or chunk.metadata.get("index") != self._call:
                self._end(out)
                self._begin(chunk, out)
                begins = True
            self._last = chunk
            chunk.metadata |= {"mark": "begin" if begins else "inside", "block": self._block}
        elif chunk.kind == "tool_call" or (chunk.content and chunk.kind in _GO_BETWEEN):
            self._end(out)
        out.append(chunk)
        if chunk.finish_reason:
            self._end(out)

    def _says_more(self, chunk: Chunk) -> bool:
        """A tool call may begin with its name alone; thinking without words is sealed."""
        return chunk.kind in CONTENT and (
            bool(chunk.content) or chunk.kind == "tool_call" or self._last is not None
        )

    def _known(self, chunk: Chunk) -> Chunk:
        """The chunk with what its call began with, which later fragments leave out."""
        if chunk.kind != "tool_call":
            return chunk
        named = self._named.setdefault(chunk.metadata.get("index"), {})
        named |= {key: chunk.metadata[key] for key in _NAMES if chunk.metadata.get(key) is not None}
        return replace(chunk, metadata={**chunk.metadata, **named})

    def _begin(self, chunk: Chunk, out: list[Chunk]) -> None:
        self._call = chunk.metadata.get("index")
        self._block += 1
        self._show("begin", chunk, out)

    def _end(self, out: list[Chunk]) -> None:
        last, self._last = self._last, None
        if last is not None:
            self._show("end", last, out)

    def _show(self, mark: str, beside: Chunk, out: list[Chunk]) -> None:
        if self._format is None:
            return
        metadata = {**self._named.get(self._call, {}), "block": self._block, "mark": mark}
        shown = replace(
            beside, content="", kind=self._shown_as, metadata=metadata, finish_reason=None
        )
        shown.content = words(self._format(shown))
        out.append(shown)


#: Kinds whose words end what came before them.
_GO_BETWEEN = SPOKEN | {"text"}
#: What a tool call is known by.
_NAMES = ("index", "id", "name")


def annotate_reasoning(
    format: MarkFormat | None = None, *, when: Callable[[Chunk], object] | None = None
) -> StageMaker:
    """
    Mark where thinking begins and goes on, for ``transform=``.

    >>> brackets = {"begin": "<<", "end": ">>"}
    >>> stage = annotate_reasoning(lambda mark: brackets[mark.metadata["mark"]]).stage()
    >>> out = stage.feed([Chunk("Hm", kind="reasoning"), Chunk(".", kind="reasoning"), Chunk("Hi")])
    >>> [chunk.content for chunk in out]
    ['<<', 'Hm', '.', '>>', 'Hi']

    Chunks of thinking get ``mark`` ("begin" or "inside") and ``block``, their number from 1, in
    their metadata.

    Args:
        format: Gives the words of two more chunks of kind ``reasoning``, before and after each
            block, from a chunk whose metadata has ``mark`` ("begin" or "end") and ``block``. None
            adds none.
        when: A chunk -> whether it is thinking; None for those of kind ``reasoning``.

    Raises:
        ConfigurationError: format or when cannot be called.
    """
    check_callable(format=format, when=when)
    is_meant = when or (lambda chunk: chunk.kind == "reasoning")
    return StageMaker(lambda: _Runs(is_meant, "reasoning", format))


def highlight_function_calls(
    format: MarkFormat | None = None,
    *,
    names: Iterable[str] | Callable[[str], object] | None = None,
) -> StageMaker:
    """
    Mark the calls of an answer, for ``transform=``.

    >>> def words(mark):
    ...     return f"[{mark.metadata['name']}]" if mark.metadata["mark"] == "begin" else ""
    >>> call = {"index": 0, "id": "c", "name": "add"}
    >>> stage = highlight_function_calls(words).stage()
    >>> out = stage.feed([Chunk("So: "), Chunk('{"a": 1}', kind="tool_call", metadata=call)])
    >>> "".join(chunk.content for chunk in out if chunk.kind == "text")
    'So: [add]'

    Fragments of a call get ``mark`` ("begin" or "inside") and ``block``, their number from 1, in
    their metadata. Where a service mixes the fragments of two calls, each change begins a block.

    Args:
        format: Gives the words of two more chunks of kind ``text``, before and after each call,
            from a chunk whose metadata has ``mark`` ("begin" or "end"), ``block``, and the
            ``index``, ``id`` and ``name`` the call began with. None adds none.
        names: The calls to mark: their names, or a function of a name. None for all.

    Raises:
        ConfigurationError: format cannot be called, or an empty name.
    """
    check_callable(format=format)
    is_named = chooser(names, "names")

    def is_meant(chunk: Chunk) -> object:
        return chunk.kind == "tool_call" and is_named(chunk.metadata.get("name") or "")

    return StageMaker(lambda: _Runs(is_meant, "text", format))


class _Performance:
    def __init__(self, format: Callable[[Mapping[str, Any]], str] | None) -> None:
        self._format = format
        self._deltas = self._characters = 0
        self._first: float | None = None
        self._last = Chunk()
        self._tokens: int | None = None
        self._reported: Mapping[str, Any] | None = None
        self.error: BaseException | None = None

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        for chunk in chunks:
            if chunk.kind == "usage":
                self._tokens = chunk.metadata["usage"].output_tokens
                self._reported = chunk.metadata.get("details", self._reported)
            elif chunk.kind in CONTENT:
                self._deltas += 1
                self._characters += len(chunk.content)
                self._first = chunk.timestamp if self._first is None else self._first
                self._last = chunk
        return chunks

    def flush(self) -> list[Chunk]:
        if self._first is None:
            return []
        # The clock on the wall may be set back meanwhile.
        seconds = max(0.0, self._last.timestamp - self._first)
        numbers = {
            "deltas": self._deltas,
            "characters": self._characters,
            "seconds": seconds,
            "deltas_per_second": self._deltas / seconds if seconds else None,
            "tokens": self._tokens,
            "tokens_per_second": self._tokens / seconds if seconds and self._tokens else None,
            "reported": self._reported,
        }
        # The next attempt counts anew.
        self._first = self._tokens = self._reported = None
        self._deltas = self._characters = 0
        try:
            shown = words(self._format(numbers)) if self._format else ""
        except Exception as error:
            self.error = error
            return []
        performance = {"performance": numbers}
        return [
            replace(
                self._last, content=shown, kind="text", metadata=performance, finish_reason=None
            )
        ]


def show_performance(format: Callable[[Mapping[str, Any]], str] | None = None) -> StageMaker:
    """
    One more chunk at the end of an answer, which says how fast it came; for ``transform=``.

    >>> stage = show_performance(lambda p: f"({p['deltas']} in {p['seconds']:.1f} s)").stage()
    >>> _ = stage.feed([Chunk("a", timestamp=5.0), Chunk("b", timestamp=5.5)])
    >>> [chunk.content for chunk in stage.flush()]
    ['(2 in 0.5 s)']

    Its metadata has ``performance``: ``deltas`` and ``characters`` of content, ``seconds`` from the
    first delta to the last, ``deltas_per_second``, ``tokens`` and ``tokens_per_second`` where the
    service counted, and ``reported``, what the service itself said beside its counts. What is not
    known is None. The times are those of the chunks, as exact as the clock on the wall.

    Args:
        format: The same mapping -> the words of the chunk; None leaves it without words.

    Raises:
        ConfigurationError: format cannot be called.
    """
    check_callable(format=format)
    return StageMaker(lambda: _Performance(format))
