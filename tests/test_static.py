"""What the source never does: a walk of its syntax trees (PROMISES.md S6 and S15)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import streamkit

PACKAGE = Path(streamkit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: They make objects or run code of what they read.
MODULES = {
    "code", "codeop", "dbm", "dill", "cloudpickle", "jsonpickle", "joblib", "marshal", "pickle",
    "pty", "shelve", "subprocess", "yaml",
}  # fmt: skip
CALLS = {"eval", "exec", "compile", "__import__", "breakpoint"}
ATTRIBUTES = {
    "os": {"system", "popen", "execv", "execve", "execvp", "spawnv", "spawnl", "posix_spawn"},
    "asyncio": {"create_subprocess_shell", "create_subprocess_exec"},
    "ssl": {"_create_unverified_context", "CERT_NONE", "CERT_OPTIONAL"},
    "urllib3": {"disable_warnings"},
    "tempfile": {"mktemp"},
}


def found(tree: ast.AST) -> Iterator[str]:
    """Each use of what is forbidden, with its line."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module.partition(".")[0]]
            bad = ATTRIBUTES.get(module, set())
            yield from (f"{a.name}:{node.lineno}" for a in node.names if a.name in bad)
        yield from (f"{name}:{node.lineno}" for name in names if name in MODULES)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in CALLS:
                yield f"{node.func.id}():{node.lineno}"
            for word in node.keywords:
                off = isinstance(word.value, ast.Constant) and word.value.value is False
                if word.arg in ("verify", "check_hostname", "assert_hostname") and off:
                    yield f"{word.arg}=False:{node.lineno}"
                on = isinstance(word.value, ast.Constant) and word.value.value is True
                if word.arg == "shell" and on:
                    yield f"shell=True:{node.lineno}"
        if isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            bad = ATTRIBUTES.get(owner, set())
            if isinstance(node.ctx, ast.Store):
                bad = bad | {"verify", "check_hostname", "verify_mode", "minimum_version"}
            if node.attr in bad:
                yield f"{owner}.{node.attr}:{node.lineno}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_file_runs_what_it_reads_or_turns_verification_off(file: Path) -> None:
    assert list(found(ast.parse(file.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from marshal import loads", "import shelve as s", "eval('1')",
        "exec(text)", "import yaml", "import subprocess", "import os\nos.system('x')",
        "from os import popen", "ssl.CERT_NONE", "session.verify = False", "get(u, verify=False)",
        "context.check_hostname = False", "run(x, shell=True)", "urllib3.disable_warnings()",
    ],
)  # fmt: skip
def test_the_walk_finds_what_it_looks_for(source: str) -> None:
    assert list(found(ast.parse(source)))


def test_the_walk_saw_the_package() -> None:
    assert len(FILES) > 100
