"""
The user's own functions as stages: transform changes chunks, validate refuses them.

Both see every chunk of content (text, reasoning, tool_call, citation, refusal), empty ones with
metadata included, one at a time and in order; usage, gap, retry and done pass them by.

How a stage ends a stream: it never raises. What ends the stream waits in ``error``, so that the
chunks before it are delivered first; from then on the stage gives nothing. Whoever drives it looks
at ``error`` after each feed and flush.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from typing_extensions import override

from streamkit.callback import check_callable
from streamkit.chunk import Chunk
from streamkit.errors import ChunkRejected, ConfigurationError
from streamkit.stages.base import Stage

__all__ = [
    "CONTENT",
    "SKIP",
    "SPOKEN",
    "OnReject",
    "StageMaker",
    "Transform",
    "Validate",
    "check_on_reject",
    "fit",
    "refusal_by",
    "rejection",
    "words",
]

#: Kinds that are part of the answer.
CONTENT = frozenset({"text", "reasoning", "tool_call", "citation", "refusal"})

#: Kinds that a stage may give; ``done`` is the stream's own word.
KINDS = CONTENT | {"usage", "gap", "retry"}

#: Kinds in which the model itself speaks beside its text: what the text had begun does not go on
#: after them. Citations and usage are reports, which some services send between any two deltas.
SPOKEN = frozenset({"reasoning", "tool_call", "refusal"})

#: Kinds whose content is words, for which others can stand.
WORDED = frozenset({"text", "reasoning", "refusal"})

#: What a kind cannot be read without.
NEEDED = {"tool_call": "index", "citation": "citation", "usage": "usage"}

OnReject = Literal["raise", "skip", "replace"]


class _Skip(Enum):
    SKIP = "skip"

    def __repr__(self) -> str:
        return "SKIP"


#: What a transform returns to drop a chunk.
SKIP: Final = _Skip.SKIP

#: A chunk; None for the one given, as it is now; SKIP for none. ``("ok", chunk)`` and ``"skip"``
#: are what the streaming coordinators of other languages return, and mean the same.
Transformed: TypeAlias = "Chunk | _Skip | tuple[str, Chunk] | str | None"

#: True, None or "ok" for a chunk that may pass. False, a reason, an exception and
#: ``("error", reason)`` refuse it.
Verdict: TypeAlias = "bool | str | BaseException | tuple[str, Any] | None"


@dataclass(frozen=True, slots=True)
class StageMaker:
    """
    What makes a fresh stage for each stream; may be given to ``transform=`` and ``validate=``.

    Thread safety: **immutable**.
    """

    make: Callable[[], Stage]

    def stage(self) -> Stage:
        """A stage for one stream."""
        return self.make()


@dataclass(frozen=True, slots=True)
class Transform:
    """
    A function that changes chunks, and what its exceptions do.

    >>> stage = Transform(lambda chunk: SKIP if chunk.content.isspace() else None).stage()
    >>> [chunk.content for chunk in stage.feed([Chunk("a"), Chunk(" "), Chunk("b")])]
    ['a', 'b']

    It works on what is shown: ``Result`` keeps the model's own text.

    Thread safety: **immutable**; the function runs in the reading thread of each stream.

    Args:
        fn: Chunk -> a chunk, None (the chunk it was given, which it may have changed) or SKIP.
        on_error: ``raise`` ends the stream with what fn raised; ``skip`` drops that chunk and
            counts it in the stage's ``errors``.

    Raises:
        ConfigurationError: fn cannot be called, or on_error is another word.
    """

    fn: Callable[[Chunk], Transformed]
    on_error: Literal["raise", "skip"] = field(default="raise", kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise ConfigurationError(f"transform must be callable, got {self.fn!r}")
        check_callable(transform=self.fn)
        if self.on_error not in ("raise", "skip"):
            raise ConfigurationError(f"on_error must be raise or skip, got {self.on_error!r}")

    def stage(self) -> Stage:
        """A stage for one stream."""
        return _Transforming(self)


class _EachChunk(ABC):
    """Content, one chunk at a time, until there is an error; nothing is held."""

    error: BaseException | None = None

    def feed(self, chunks: list[Chunk]) -> list[Chunk]:
        out: list[Chunk] = []
        for chunk in chunks:
            if self.error is not None:
                break
            kept = self._keep(chunk) if chunk.kind in CONTENT else chunk
            if kept is not None:
                out.append(kept)
        return out

    def flush(self) -> list[Chunk]:
        return []

    @abstractmethod
    def _keep(self, chunk: Chunk) -> Chunk | None:
        """What becomes of one chunk; None drops it."""


class _Transforming(_EachChunk):
    def __init__(self, options: Transform) -> None:
        self._options = options
        self.errors = 0

    @override
    def _keep(self, chunk: Chunk) -> Chunk | None:
        try:
            return _transformed(self._options.fn(chunk), chunk)
        except Exception as error:
            if self._options.on_error == "skip":
                self.errors += 1
            else:
                self.error = error
            return None


def _transformed(answer: Any, chunk: Chunk) -> Chunk | None:
    if answer is None or isinstance(answer, Chunk):
        return fit("transform", answer or chunk, chunk)
    if answer is SKIP or answer == "skip":
        return None
    if isinstance(answer, tuple) and len(answer) == 2 and answer[0] == "ok":
        return _transformed(answer[1], chunk)
    raise TypeError(f"transform must return a Chunk, None or SKIP, got a {type(answer).__name__}")


@dataclass(frozen=True, slots=True)
class Validate:
    """
    A function that refuses chunks, and what is done with those.

    >>> stage = Validate(lambda chunk: "!" not in chunk.content, on_reject="skip").stage()
    >>> [chunk.content for chunk in stage.feed([Chunk("a"), Chunk("b!"), Chunk("c")])]
    ['a', 'c']

    It works on what is recorded: what it takes out is in no ``Result``. It sees deltas, which may
    be cut anywhere; to act on words, see ``content_moderation``.

    Thread safety: **immutable**; the function runs in the reading thread of each stream.

    Args:
        check: Chunk -> True or None where it may pass; False, a reason, an exception or
            ``("error", reason)`` where not.
        on_reject: ``raise`` ends the stream with ChunkRejected, or with what check itself raised;
            ``skip`` drops the chunk; ``replace`` puts other words in its place, and drops tool
            calls and citations, which no words can replace. For these two a check that raises has
            refused; the stage counts in ``rejected``.
        replacement: What ``replace`` puts there.

    Raises:
        ConfigurationError: check cannot be called, on_reject is another word, or replacement is no
            text.
    """

    check: Callable[[Chunk], Verdict]
    on_reject: OnReject = field(default="raise", kw_only=True)
    replacement: str = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if not callable(self.check):
            raise ConfigurationError(f"validate must be callable, got {self.check!r}")
        check_callable(validate=self.check)
        check_on_reject(self.on_reject, self.replacement)

    def stage(self) -> Stage:
        """A stage for one stream."""
        return _Validating(self)


class _Validating(_EachChunk):
    def __init__(self, options: Validate) -> None:
        self._options = options
        self.rejected = 0

    @override
    def _keep(self, chunk: Chunk) -> Chunk | None:
        on_reject = self._options.on_reject
        try:
            verdict = self._options.check(chunk)
            reason = _refusal(verdict)
        except Exception as error:
            if on_reject == "raise":
                self.error = error
                return None
            verdict = reason = str(error)
        if reason is None:
            return self._passed(chunk)
        if on_reject == "raise":
            self.error = rejection(chunk, reason)
            self.error.__cause__ = verdict if isinstance(verdict, BaseException) else None
            return None
        self.rejected += 1
        if on_reject == "skip" or chunk.kind not in WORDED:
            return None
        return replace(chunk, content=self._options.replacement)

    def _passed(self, chunk: Chunk) -> Chunk | None:
        try:
            return fit("validate", chunk, chunk)  # check may have changed it
        except TypeError as error:
            self.error = error
            return None


def fit(name: str, chunk: Any, given: Chunk | None = None) -> Chunk:
    """
    A chunk that a user's function made, for the stream to keep: the given one, or else a copy, for
    a function may give the same one again.

    Raises:
        TypeError: It is no chunk that a stream can show; the error says who gave it.
    """
    if not isinstance(chunk, Chunk):
        raise TypeError(f"{name} must give Chunks, got a {type(chunk).__name__}")
    if not isinstance(chunk.content, str):
        raise TypeError(f"{name} gave a chunk whose content is no str: {chunk.content!r}")
    if not isinstance(chunk.metadata, dict):
        raise TypeError(f"{name} gave a chunk whose metadata is no dict: {chunk.metadata!r}")
    if chunk.kind not in KINDS or chunk.done:
        raise TypeError(f"{name} gave a chunk of kind {chunk.kind!r}, done={chunk.done!r}")
    if chunk.error is not None:
        raise TypeError(f"{name} gave a chunk with an error; raise it instead") from chunk.error
    if chunk is given:
        return chunk
    if (needed := NEEDED.get(chunk.kind)) is not None and needed not in chunk.metadata:
        raise TypeError(f"{name} gave a {chunk.kind} without {needed!r} in its metadata")
    return replace(chunk)


def words(text: Any) -> str:
    """
    What a user's ``format`` returned.

    Raises:
        TypeError: It is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"format must return a str, got a {type(text).__name__}")
    return text


def _refusal(verdict: Any) -> str | None:
    """
    Why a verdict refuses; None where it does not.

    Raises:
        TypeError: It is no verdict.
    """
    if verdict is None or verdict is True or verdict == "ok":
        return None
    if verdict is False:
        return "the validator said no"
    if isinstance(verdict, str):
        return verdict
    if isinstance(verdict, BaseException):
        return str(verdict) or type(verdict).__name__
    if isinstance(verdict, tuple) and len(verdict) == 2 and verdict[0] == "error":
        return str(verdict[1])
    raise TypeError(f"validate must return True, None or an error, got a {type(verdict).__name__}")


def refusal_by(check: Callable[[Any], Any], value: Any) -> str | Exception | None:
    """Why a check refuses a value: a reason, or the exception it raised; None where it does not."""
    try:
        return _refusal(check(value))
    except Exception as error:
        return error


def rejection(chunk: Chunk, reason: str) -> ChunkRejected:
    """The error for a chunk that was refused."""
    return ChunkRejected(
        f"a chunk of {chunk.kind} was rejected: {reason}", chunk=chunk, reason=reason
    )


def check_on_reject(on_reject: Any, replacement: Any) -> None:
    """
    Refuse options that cannot be.

    Raises:
        ConfigurationError: The word is another, or replacement is no text.
    """
    if on_reject not in ("raise", "skip", "replace"):
        raise ConfigurationError(f"on_reject must be raise, skip or replace, got {on_reject!r}")
    if not isinstance(replacement, str):
        raise ConfigurationError(f"replacement must be a str, got {replacement!r}")
