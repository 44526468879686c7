"""
Judging what an answer says: its words, its paragraphs, its sources, and what does not belong there.

All act on the text as a whole, not on chunks: a word that a delta cuts in two is one word, and the
"hate" in "whatever" is none. For ``validate=``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from streamkit.callback import check_callable
from streamkit.chunk import Chunk
from streamkit.stages.basic import (
    OnReject,
    StageMaker,
    Validate,
    check_on_reject,
    refusal_by,
)
from streamkit.stages.finder import Finder, strings_of
from streamkit.stages.rewrite import Editor, Piece, Rewrite
from streamkit.stages.words import Words, phrase_of

__all__ = [
    "TEMPLATE_MARKS",
    "content_moderation",
    "validate_local",
    "validate_quality",
    "validate_sources",
]

#: A paragraph that comes as often is one too many; short ones, as of a song, may. Chosen.
MAX_REPEATS = 3
MIN_REPEATED = 20

#: Marks of chat templates, which a local model prints where its template or its end token is wrong.
#: Source: the templates of Llama 2 and 3, Mistral, Gemma, Phi, and ChatML (Qwen and many more).
TEMPLATE_MARKS = (
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>",
    "<|end_header_id|>", "<|begin_of_text|>", "<start_of_turn>", "<end_of_turn>", "[INST]",
    "[/INST]", "<<SYS>>", "<</SYS>>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "</s>",
)  # fmt: skip


def content_moderation(
    words: Iterable[str] | Callable[[str], Any],
    *,
    on_reject: OnReject = "raise",
    replacement: str = "***",
) -> StageMaker:
    """
    Refuse words in the visible text, for ``validate=``.

    >>> stage = content_moderation(["hate"], on_reject="replace").stage()
    >>> out = stage.feed([Chunk("Whatever. I ha"), Chunk("te it.")])
    >>> "".join(chunk.content for chunk in out)
    'Whatever. I *** it.'

    Case and width do not matter, nor what stands between the words of a phrase (up to 8
    characters), nor a soft hyphen or anything else without width. Words of scripts without blanks
    (Chinese, Japanese, Thai ...) are found anywhere, as nothing shows where one begins. This is a
    list of words and no judgement: for that, ask a moderation service.

    Args:
        words: Words and phrases; or a function of a word, which answers as Validate's check does.
        on_reject: See Validate; ``skip`` and ``replace`` act on the word alone.
        replacement: What ``replace`` puts there.

    Raises:
        ConfigurationError: An entry without a letter, or a bad option.
    """
    check_on_reject(on_reject, replacement)
    make: Callable[[], Editor]
    if callable(words):
        check_callable(words=words)
        make = partial(Words, check=words)
    else:
        make = partial(Words, frozenset(map(phrase_of, strings_of(words, "words"))))
    return StageMaker(lambda: Rewrite(make, on_reject=on_reject, replacement=replacement))


class _Paragraphs(Editor):
    """Text -> the same text, refused where a paragraph ends that should not be."""

    def __init__(self, check: Callable[[str], Any]) -> None:
        self._check = check
        self._parts: list[str] = []
        self._blank = True  # the line, so far

    @override
    def feed(self, text: str) -> list[Piece]:
        pieces: list[Piece] = []
        for line in _LINES.findall(text):
            pieces.append(Piece(line))
            self._parts.append(line)
            self._blank = self._blank and not line.strip()
            if line.endswith("\n"):
                if self._blank:
                    pieces += self.release()
                self._blank = True
        return pieces

    @override
    def release(self) -> list[Piece]:
        paragraph = "".join(self._parts).strip()
        self._parts, self._blank = [], True
        refused = refusal_by(self._check, paragraph) if paragraph else None
        return [] if refused is None else [Piece(paragraph, refused=refused)]


_LINES = re.compile(r"[^\n]*\n|[^\n]+")


class _Repeats:
    """Whether a paragraph came again and again, as of a model that cannot find the end."""

    def __init__(self) -> None:
        self._last = ""
        self._times = 0

    def __call__(self, paragraph: str) -> str | None:
        self._times = self._times + 1 if paragraph == self._last else 1
        self._last = paragraph
        if self._times < MAX_REPEATS or len(paragraph) < MIN_REPEATED:
            return None
        return f"the same paragraph came {self._times} times in a row"


def validate_quality(check: Callable[[str], Any] | None = None) -> StageMaker:
    """
    Judge each paragraph of the visible text when it ends, for ``validate=``.

    >>> stage = validate_quality(lambda text: "as an ai" not in text.lower()).stage()
    >>> [chunk.content for chunk in stage.feed([Chunk("Fine.\\n\\nAs an AI, "), Chunk("I\\n\\nx")])]
    ['Fine.\\n\\nAs an AI, ', 'I\\n\\n']
    >>> stage.error.reason
    'the validator said no'

    Nothing is held back: the text flows on, and a paragraph that is refused is the last one that is
    delivered, before ChunkRejected. Blank lines are no paragraphs; a tool call, thinking and the
    end of the answer end one.

    Args:
        check: A paragraph without the blanks around it -> an answer as that of Validate's check.
            None refuses a paragraph of at least 20 characters that comes three times in a row.

    Raises:
        ConfigurationError: check cannot be called.
    """
    check_callable(check=check)
    return StageMaker(lambda: Rewrite(lambda: _Paragraphs(check or _Repeats())))


class _Marks(Editor):
    """Text -> pieces, of which some strings stand apart, refused."""

    def __init__(self, strings: tuple[str, ...]) -> None:
        self._finder = Finder(strings)

    @override
    def feed(self, text: str) -> list[Piece]:
        return [
            Piece(part, refused=f"{part!r} is no part of an answer" if found else None)
            for part, found in self._finder.feed(text)
        ]

    @override
    def release(self) -> list[Piece]:
        return [Piece(part) for part, _ in self._finder.flush()]


def validate_local(
    marks: Iterable[str] = TEMPLATE_MARKS,
    *,
    on_reject: OnReject = "raise",
    replacement: str = "",
) -> StageMaker:
    """
    Refuse marks of a chat template in the visible text, for ``validate=``.

    >>> stage = validate_local(on_reject="skip").stage()
    >>> out = stage.feed([Chunk("Hi!<|im_"), Chunk("end|>")]) + stage.flush()
    >>> [chunk.content for chunk in out]
    ['Hi!']

    A local model prints them where its template or its end token is set wrong. An answer that is
    about templates holds them rightly: give other marks there, or leave this out.

    Args:
        marks: What must not come, exactly as written.
        on_reject: See Validate; ``skip`` and ``replace`` act on the mark alone.
        replacement: What ``replace`` puts there.

    Raises:
        ConfigurationError: An empty mark, or a bad option.
    """
    check_on_reject(on_reject, replacement)
    make = partial(_Marks, strings_of(marks, "marks"))
    return StageMaker(lambda: Rewrite(make, on_reject=on_reject, replacement=replacement))


def validate_sources(
    allowed: Iterable[str] | Callable[[Mapping[str, Any]], Any], *, on_reject: OnReject = "raise"
) -> Validate:
    """
    Refuse sources, for ``validate=``.

    >>> sources = [{"url": "https://en.example.org/a"}, {"url": "https://notexample.org/"}]
    >>> chunks = [Chunk(kind="citation", metadata={"citation": source}) for source in sources]
    >>> stage = validate_sources(["example.org"], on_reject="skip").stage()
    >>> [chunk.metadata["citation"]["url"] for chunk in stage.feed(chunks)]
    ['https://en.example.org/a']

    Where sources are skipped, the numbers of the marks in the text no longer fit those that stay:
    leave ``inline_citations`` out, or show sources in another way.

    Args:
        allowed: Domains, whose subdomains are allowed too (a source without a web address is not);
            or a function of a source, a mapping as the service sent it, which answers as Validate's
            check does.
        on_reject: See Validate; ``replace`` is ``skip``.

    Raises:
        ConfigurationError: An empty domain, or a bad option.
    """
    if callable(allowed):
        check_callable(allowed=allowed)
        judge = allowed
    else:
        stripped = [d.lower().strip(".") for d in strings_of(allowed, "domains")]
        domains = strings_of(stripped, "domains")

        def judge(source: Mapping[str, Any]) -> Any:
            host = _host(source)
            known = any(host == domain or host.endswith("." + domain) for domain in domains)
            return known or f"the source is of {host or 'no web address'}"

    def check(chunk: Chunk) -> Any:
        return chunk.kind != "citation" or judge(chunk.metadata["citation"])

    return Validate(check, on_reject=on_reject)


def _host(source: Mapping[str, Any]) -> str:
    url = source.get("url") or source.get("uri")
    try:
        return (urlsplit(url).hostname or "").rstrip(".") if isinstance(url, str) else ""
    except ValueError:
        return ""  # half an IPv6 address
