"""The fault matrix tells the truth: in the README, of the tests it names, of what these expect."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from fault_cases import CASES
from fault_promises import PROMISES
from fault_rows import HEADING, ROWS, Row, table

import streamkit

ROOT = Path(__file__).resolve().parents[2]
ERRORS = {
    name
    for name in streamkit.__all__
    if isinstance(kind := getattr(streamkit, name), type) and issubclass(kind, BaseException)
}

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))


@cache
def defined_in(path: str) -> set[str]:
    """The tests a file defines."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_row_and_every_fault_is_there_once() -> None:
    numbers = [row.number for row in ROWS]
    assert numbers == list(range(1, 73))
    faults = [fault for row in ROWS for fault in row.faults]
    assert sorted(faults) == sorted(CASES)


def check_exist(names: Iterable[str]) -> None:
    for name in names:
        path, _, test = name.partition("::")
        assert test in defined_in(path), f"there is no {name}"


@rows
def test_a_row_names_tests_that_exist(row: Row) -> None:
    assert row.faults or row.tests, "nothing shows it"
    check_exist(row.tests)


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_tests_that_exist(promise: str) -> None:
    assert PROMISES[promise]
    check_exist(PROMISES[promise])


@rows
def test_a_row_names_the_errors_its_faults_give(row: Row) -> None:
    named = set(re.findall(r"`(\w+)`", row.gives)) & ERRORS
    given = {kind for fault in row.faults if (kind := CASES[fault].gives)}
    assert {kind.__name__ for kind in given} <= named
    if row.faults and not row.tests:
        assert {kind.__name__ for kind in given} | {"ProviderError"} >= named
    for fault in row.faults:
        assert all(str(value) in row.gives for value in CASES[fault].details.values())


@rows
def test_a_row_says_what_is_sent_again(row: Row) -> None:
    told = {"yes": True, "no": False}.get(row.again)
    for fault in row.faults:
        if told is not None and CASES[fault].gives is not None:
            assert CASES[fault].sent_again is told, fault


def test_the_readme_shows_the_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"\n{HEADING}\n" in readme
    section = readme.partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    shown = "".join(line + "\n" for line in section.splitlines() if line.startswith("|"))
    assert shown == table(), "paste what table() in tests/faults/fault_rows.py gives"
