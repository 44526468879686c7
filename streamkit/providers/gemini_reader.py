"""
Any frame of a Gemini answer -> its chunks. The frames that hold text alone are read in gemini.py.

Every frame has the form of a whole answer and holds what is new. There is no terminal event: the
finish reason is the ending, or the reason why the prompt was refused. What a candidate holds is in
gemini_parts.py.

Source: WIRE_FORMATS.md section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from streamkit.chunk import Chunk
from streamkit.providers.base import Endpoint
from streamkit.providers.gemini_parts import PartReader, name_of
from streamkit.providers.shape import as_index, as_objects
from streamkit.providers.usage import GEMINI, holds_more, read_usage
from streamkit.wire.jsontext import parse

if TYPE_CHECKING:
    from streamkit.wire.sse import Event

__all__ = ["FrameReader"]

#: Reasons to block a prompt, by number.
BLOCK_REASONS = ("", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY")


class FrameReader(PartReader):
    """
    The half of the dialect that knows what stands beside the parts: ends, refusals, counts.

    Thread safety: **confined**; one instance reads one attempt.
    """

    #: Finish reasons by number, which clients get that ask for ``enum-encoding=int``.
    reasons: ClassVar[tuple[str, ...]] = (
        "", "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "OTHER", "LANGUAGE", "BLOCKLIST",
        "PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY",
    )  # fmt: skip

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        #: The last usage object that is not reported yet, and whether one is.
        self._unreported: dict[str, Any] | None = None
        self._counted = False

    @override
    def flush(self) -> list[Chunk]:
        """The usage, if the answer ended without a finish reason."""
        return self._report()

    def _read_odd(self, event: Event) -> list[Chunk]:
        """What is no plain frame: an error event, blank data, an end mark, a list of frames."""
        data = event.data.strip()
        if event.event == "error":
            raise self._failure(data)
        if not data or data.startswith("[DONE]"):  # gateways append it; it ends nothing here
            return []
        frame = parse(data)
        chunks: list[Chunk] = []
        for one in as_objects(frame if isinstance(frame, list) else [frame]):
            chunks += self._read(one, alone=not chunks)
            if self.failure is not None:
                break
        return chunks

    def _read(self, frame: dict[str, Any], *, alone: bool = True) -> list[Chunk]:
        """
        Any frame; ``alone`` says that no chunks of its event are held that an error would cost.

        Raises:
            ProviderError: The frame is an error and nothing else; else the error is in ``failure``.
        """
        failed = frame.get("error")
        if failed and alone and not (frame.get("candidates") or frame.get("usageMetadata")):
            raise self._failure(frame)
        version = frame.get("modelVersion")
        if version and isinstance(version, str) and version != self.model:
            self.model = self._clean(version)  # unlike at other services, the last one counts
        self._identify(None, frame.get("responseId"))
        self._read_feedback(frame.get("promptFeedback"))
        chunks: list[Chunk] = []
        finish = None
        for candidate in as_objects(frame.get("candidates")):
            index = as_index(candidate.get("index"))
            reason = name_of(candidate.get("finishReason"), self.reasons)
            if index:
                self._read_other(int(index), candidate, reason, chunks)
            else:
                self._read_candidate(candidate, chunks)
                finish = reason or finish
        self._note(frame)
        if finish or self.finish_reason or self.blocked or failed or not self._counted:
            chunks += self._report()
        self._finish(finish, chunks)
        if failed:
            self.failure = self._failure({"error": failed})
            self.finished = True
        return chunks

    def _read_feedback(self, feedback: Any) -> None:
        """On the prompt; a reason to block it is the whole answer."""
        if isinstance(feedback, dict):
            self.blocked = name_of(feedback.get("blockReason"), BLOCK_REASONS) or self.blocked

    def _note(self, frame: dict[str, Any]) -> None:
        usage = frame.get("usageMetadata")
        if usage and isinstance(usage, dict):
            self._unreported = usage

    def _report(self) -> list[Chunk]:
        """The counts so far, unless they are reported."""
        raw, self._unreported = self._unreported, None
        if raw is None:
            return []
        self._counted = True
        details = raw if holds_more(raw, GEMINI) else None
        return self._report_usage(read_usage(raw, GEMINI), details)
