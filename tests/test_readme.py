"""What the README shows is true: its table from the seeds' names to ours, its blocks of Python."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import streamkit

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")

#: Theirs, ours, an expression, what it gives.
ROWS = re.findall(r"^\| (.+) \| (.+) \| `>>> (.+)` \| `(.+)` \|$", README, re.MULTILINE)
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_table_of_the_seeds_names_is_there() -> None:
    assert len(ROWS) >= 60


@pytest.mark.parametrize(("theirs", "ours", "expression", "gives"), ROWS)
def test_a_row_of_the_table_is_true(theirs: str, ours: str, expression: str, gives: str) -> None:
    names: dict[str, Any] = {name: getattr(streamkit, name) for name in streamkit.__all__}
    assert repr(eval(expression, names)) == gives


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_python_is_python(block: str) -> None:
    ast.parse(block)
