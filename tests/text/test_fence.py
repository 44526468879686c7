"""Where a code block begins and ends, torn at any place."""

from __future__ import annotations

import pytest

from streamkit.text.fence import Fence


def read(text: str) -> tuple[int, bool, bool]:
    """Where it was over, whether it was, and whether it was a block; the same in any two cuts."""
    whole = fed([text])
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            pieces = [text[:first], text[first:second], text[second:]]
            assert fed(pieces) == whole, f"cut as {pieces!r}"
    return whole


def fed(pieces: list[str]) -> tuple[int, bool, bool]:
    fence = Fence("".join(pieces)[0])
    at = 0
    for piece in pieces:
        end = fence.read(piece, 0)
        at += end
        if end < len(piece):
            break
    return at, fence.over, fence.closed


@pytest.mark.parametrize(
    ("block", "after"),
    [
        ("```\nx\n```\n", "y"),
        ("```python\nprint('`')\n```  \n", "y"),
        ("~~~ a `b`\n```\n~~~\n", "y"),
        ("````\n```\n````\n", "y"),
        ("```\nx\n  `````\n", "y"),
        ("```\n    ```\n", "```\n"),
        ("```\n``` py\n\n```\n", ""),
        ("```\r\nx\r\n```\r\n", "y"),
    ],
)
def test_a_block_ends_with_its_closing_line(block: str, after: str) -> None:
    assert read(block + after) == (len(block), True, True)


@pytest.mark.parametrize("text", ["`a` b\n", "``a``\n", "~~gone~~\n", "```a``` b\n", "``\n```\n"])
def test_what_is_no_block_is_over_at_once(text: str) -> None:
    at, over, closed = read(text)
    assert over and not closed
    assert at <= text.index("\n")


@pytest.mark.parametrize(
    "text", ["```", "```py", "```\nx", "```\nx\n``", "```\nx\n```", "~~~\n```\n"]
)
def test_a_block_without_its_closing_line_goes_on(text: str) -> None:
    assert read(text) == (len(text), False, False)
