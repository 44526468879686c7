"""
Where a fenced code block ends.

How it works: what may be a fence begins at the first mark of a line. Three marks or more open it,
once the rest of their line has come; a line of at least as many marks and nothing else closes it.
Each step is a state, so a fence may be torn over texts at any place.

Source: https://spec.commonmark.org/0.31.2/#fenced-code-blocks, with one difference: any indent will
do, as models indent the code that belongs to an item of a list.
"""

from __future__ import annotations

import re
from collections.abc import Callable

__all__ = ["MARKS", "Fence", "run_end"]

#: What fences are made of.
MARKS = "`~"


class Fence:
    r"""
    One code block, from its first mark on.

    >>> fence = Fence("`")
    >>> text = "```py\nx = 1\n```\nNext"
    >>> fence.read(text, 0), fence.over, fence.closed
    (16, True, True)

    Thread safety: **confined**.

    Args:
        mark: One of MARKS, at which ``read`` begins.
    """

    def __init__(self, mark: str) -> None:
        self._step: Callable[[Fence, str, int], int] = Fence._opening
        self._mark = mark
        self._marks = re.compile(f"{mark}*")
        # Backticks in the rest of the first line make it a span of code within a text.
        self._no_info = re.compile("[`\n]" if mark == "`" else "\n")
        self._opened = 0  # marks in the first line
        self._found = 0  # marks in the line that may close it
        #: It has ended, or proved to be none; then nothing more is to be read.
        self.over = False
        #: It has ended.
        self.closed = False

    def read(self, text: str, at: int) -> int:
        """Read on from ``at`` -> where it is over, or the end of the text."""
        while at < len(text) and not self.over:
            at = self._step(self, text, at)
        return at

    def _opening(self, text: str, at: int) -> int:
        end = run_end(self._marks, text, at)
        self._opened += end - at
        if end < len(text):
            self._step = Fence._info
            self.over = self._opened < 3
        return end

    def _info(self, text: str, at: int) -> int:
        found = self._no_info.search(text, at)
        if found is None:
            return len(text)
        self._step = Fence._edge
        self.over = found[0] != "\n"
        return found.end()

    def _code(self, text: str, at: int) -> int:
        end = text.find("\n", at) + 1
        if not end:
            return len(text)
        self._step = Fence._edge
        return end

    def _edge(self, text: str, at: int) -> int:
        at = run_end(_BLANKS, text, at)
        if at < len(text):
            self._step = Fence._closing if text[at] == self._mark else Fence._code
            self._found = 0
        return at

    def _closing(self, text: str, at: int) -> int:
        end = run_end(self._marks, text, at)
        self._found += end - at
        if end < len(text):
            self._step = Fence._rest if self._found >= self._opened else Fence._code
        return end

    def _rest(self, text: str, at: int) -> int:
        at = run_end(_BLANKS, text, at)
        if at == len(text):
            return at
        self.closed = self.over = text[at] == "\n"
        self._step = Fence._code
        return at + self.closed


_BLANKS = re.compile(r"[^\S\n]*")


def run_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a run from ``at`` ends; the patterns match nothing as well."""
    found = pattern.match(text, at)
    return found.end() if found else at
