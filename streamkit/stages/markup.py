"""
Markup in the visible text: code fences and citation marks, however the deltas cut them.

Source: CommonMark 0.31, sections 4.5 (fenced code blocks) and 6.1 (code spans).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from streamkit.callback import check_callable
from streamkit.chunk import Chunk
from streamkit.errors import ConfigurationError
from streamkit.stages.basic import StageMaker, words
from streamkit.stages.finder import chooser
from streamkit.stages.rewrite import Editor, Piece, Rewrite

__all__ = ["Fences", "format_code_blocks", "inline_citations"]

#: Characters of a line that may be a fence; longer ones are none. A language and some attributes
#: take 60. Chosen; not measured.
MAX_FENCE = 200

#: A line that opens a block. An info string behind backticks has none, or it is a code span.
_OPENS = re.compile(r" {0,3}(?P<run>`{3,}(?=[^`]*\Z)|~{3,})[ \t]*(?P<language>[^\s`]*).*", re.S)
#: The beginning of such a line.
_OPENING = re.compile(r" {0,3}(?:`{0,2}|~{0,2}|`{3,}[^`]*|~{3,}.*)", re.S)
_CLOSES = re.compile(r" {0,3}(?P<run>`{3,}|~{3,})[ \t\r\n]*")
_CLOSING = re.compile(r" {0,3}(?:`*|~*)[ \t\r]*")


class Fences(Editor):
    """
    Text -> the same text, in pieces that say which are fences and which are code.

    A piece of code has ``code`` in its metadata: the block's ``language`` ("" where none is named)
    and its number ``block``, from 1. A fence, which is a whole line, has ``fence``: the same, and
    whether it ``opens`` the block. Only text at the beginning of a line that may become a fence is
    held, so most text is never late.

    Thread safety: **confined**.

    Args:
        format: A chunk with a fence and its metadata -> what is shown in its place; None leaves it.
        is_meant: A language, in small letters -> whether blocks of it are marked; others are text.
    """

    def __init__(
        self,
        format: Callable[[Chunk], str] | None = None,
        is_meant: Callable[[str], object] = lambda _: True,
    ) -> None:
        self._format = format
        self._is_meant = is_meant
        self._marks = False  # the block is one of those
        self._held = ""
        self._at_start = True
        self._run = ""  # the characters that opened the block; "" outside
        self._language = ""
        self._block = 0

    @override
    def feed(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        text, self._held = self._held + text, ""
        at = 0
        while at < len(text):
            end = text.find("\n", at) + 1 or len(text)
            line = text[at:end]
            at = end
            if not self._at_start:
                pieces.append(self._plain(line))
            elif line.endswith("\n"):
                pieces.append(self._line(line))
            elif self._may_be_fence(line):
                self._held = line
                break
            else:
                pieces.append(self._plain(line))
            self._at_start = line.endswith("\n")
        return pieces

    @override
    def release(self) -> list[Piece]:
        held, self._held = self._held, ""
        self._at_start = not held
        return [self._line(held)] if held else []

    def _may_be_fence(self, line: str) -> bool:
        pattern = _CLOSING if self._run else _OPENING
        return len(line) <= MAX_FENCE and pattern.fullmatch(line) is not None

    def _line(self, line: str) -> Piece:
        """A whole line, or the last."""
        if len(line) > MAX_FENCE:
            return self._plain(line)
        if self._run:
            found = _CLOSES.fullmatch(line)
            if found is None or not found["run"].startswith(self._run):
                return self._plain(line)
            self._run = ""
        else:
            found = _OPENS.fullmatch(line)
            if found is None:
                return self._plain(line)
            self._run, self._language = found["run"], found["language"]
            self._marks = bool(self._is_meant(self._language.lower()))
            self._block += self._marks
        return self._fence(line)

    def _fence(self, line: str) -> Piece:
        if not self._marks:
            return Piece(line)
        about = {"language": self._language, "block": self._block, "opens": bool(self._run)}
        metadata = {"fence": about}
        if self._format is not None:
            line = words(self._format(Chunk(line, metadata=metadata)))
        return Piece(line, metadata)

    def _plain(self, text: str) -> Piece:
        if not self._run or not self._marks:
            return Piece(text)
        return Piece(text, {"code": {"language": self._language, "block": self._block}})


def format_code_blocks(
    format: Callable[[Chunk], str] | None = None,
    *,
    languages: Iterable[str] | Callable[[str], object] | None = None,
) -> StageMaker:
    """
    Mark the code blocks of an answer, for ``transform=``.

    >>> stage = format_code_blocks().stage()
    >>> out = stage.feed([Chunk("See:\\n``"), Chunk("`py\\nx = 1\\n```\\n")]) + stage.flush()
    >>> [(chunk.content, *chunk.metadata) for chunk in out if chunk.content.strip()]
    [('See:\\n',), ('```py\\n', 'fence'), ('x = 1\\n', 'code'), ('```\\n', 'fence')]

    Metadata ``fence`` and ``code`` say what a chunk holds; see Fences. The text stays as it is,
    unless ``format`` shows fences in another way: colours on and off in a terminal, for example.

    Args:
        format: A chunk that holds one whole fence -> what is shown in its place.
        languages: The blocks to mark: their languages in small letters, or a function of one (""
            where a block names none). None for all.

    Raises:
        ConfigurationError: format cannot be called, or an empty language.
    """
    check_callable(format=format)
    is_meant = chooser(languages, "languages")
    return StageMaker(lambda: Rewrite(lambda: Fences(format, is_meant)))


_TOKENS = re.compile(r"(?P<ticks>`+)|(?P<newline>\n)|\[(?P<number>[1-9][0-9]{0,2})\](?P<link>\()?")
#: What may go on as a mark, and a mark of which it is not known yet whether it is a link.
_UNDECIDED = re.compile(r"\[(?:[1-9][0-9]{0,2}\]?)?\Z")

#: Number of a source and the source as the service sent it -> what is shown, None for the mark.
CitationFormat = Callable[[int, Mapping[str, Any]], "str | None"]


class _Citations(Editor):
    """Fences first: a mark inside code is an index."""

    def __init__(self, format: CitationFormat, sources: list[Mapping[str, Any]]) -> None:
        self._format = format
        self._fences = Fences()
        self._sources = sources
        self._held = ""
        self._run = 0  # backticks at the end of the text, which may go on
        self._span = 0  # backticks that opened the span of code; 0 outside

    @override
    def see(self, chunk: Chunk) -> None:
        if chunk.kind == "citation":
            self._sources.append(chunk.metadata["citation"])

    @override
    def feed(self, text: str) -> list[Piece]:
        return self._read(self._fences.feed(text))

    @override
    def release(self) -> list[Piece]:
        pieces = self._read(self._fences.release())
        return pieces + self._leave()

    def _read(self, pieces: list[Piece]) -> list[Piece]:
        out: list[Piece] = []
        for piece in pieces:
            if piece.metadata:
                out += [*self._leave(), Piece(piece.text)]
                continue
            text = self._held + piece.text
            undecided = _UNDECIDED.search(text)
            end = undecided.start() if undecided else len(text)
            self._held = text[end:]
            out.append(Piece(self._replaced(text[:end])))
        return out

    def _leave(self) -> list[Piece]:
        """What follows is not this text: what was held, and no span goes on."""
        held, self._held = self._held, ""
        pieces = [Piece(self._replaced(held))] if held else []
        self._run = self._span = 0
        return pieces

    def _replaced(self, text: str) -> str:
        if text and text[0] != "`":
            self._end_run()
        return _TOKENS.sub(self._replace, text)

    def _replace(self, found: re.Match[str]) -> str:
        if found["ticks"]:
            self._run += found.end() - found.start()
            if found.end() < len(found.string):
                self._end_run()
            return found[0]
        if found["newline"]:
            # A span may go on in the next line; one that never closes must not hide all marks.
            self._span = 0
            return found[0]
        number = int(found["number"])
        if self._span or found["link"] or number > len(self._sources):
            return found[0]
        shown = self._format(number, self._sources[number - 1])
        return found[0] if shown is None else words(shown)

    def _end_run(self) -> None:
        """A run of backticks is over: it opens a span, or closes one that as many opened."""
        run, self._run = self._run, 0
        if run and self._span in (0, run):
            self._span = run - self._span


def _link(number: int, source: Mapping[str, Any]) -> str | None:
    """
    A Markdown link; None where the source has no web address.

    The address is the service's: other schemes could run scripts, brackets could end the link.
    """
    url = source.get("url") or source.get("uri")
    if not isinstance(url, str) or not url.lower().startswith(("https://", "http://")):
        return None
    return f"[{number}]({quote(url, safe='%/:?#@!$&*+,;=~')})"


def inline_citations(format: CitationFormat = _link) -> StageMaker:
    """
    Turn the marks ``[1]`` of an answer into links to its sources, for ``transform=``.

    >>> source = Chunk(kind="citation", metadata={"citation": {"url": "https://a.example/"}})
    >>> stage = inline_citations().stage()
    >>> out = stage.feed([source, Chunk("So it is [1"), Chunk("]. Or not [2].")])
    >>> "".join(chunk.content for chunk in out)
    'So it is [1](https://a.example/). Or not [2].'

    Numbers count the ``citation`` chunks of the stream from 1. A mark stays as it is where its
    source has not come yet or has no web address, in code (fences, and spans within a line), and
    where it is a link already. What may be a mark is held, and what may be a fence; see Fences.

    Args:
        format: Number and source (a mapping, as the service sent it) -> what is shown in place of
            the mark; None keeps it.

    Raises:
        ConfigurationError: format cannot be called.
    """
    if not callable(format):
        raise ConfigurationError(f"format must be callable, got {format!r}")
    check_callable(format=format)

    def make() -> Rewrite:
        sources: list[Mapping[str, Any]] = []  # of the stream: they outlive an attempt
        return Rewrite(lambda: _Citations(format, sources))

    return StageMaker(make)
