"""
Every example runs as a user would run it, offline, and shows nothing but the public API.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
EXAMPLES = sorted((TESTS.parent / "examples").glob("[0-9][0-9]_*.py"))
PUBLIC = {"streamkit", "streamkit.testing"}


def run(script: Path, cwd: Path, timeout: float) -> subprocess.CompletedProcess[str]:
    spec = importlib.util.find_spec("streamkit")
    assert spec is not None and spec.origin is not None
    return subprocess.run(
        [sys.executable, "-W", "error", str(TESTS / "sealed.py"), str(script)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(spec.origin).parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_offline_and_quietly(path: Path, tmp_path: Path, time_scale: float) -> None:
    done = run(path, tmp_path, 30 * time_scale)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_is_short_and_uses_the_public_api_only(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    tree = ast.parse(source)
    assert ast.get_docstring(tree)
    modules = {
        name
        for node in ast.walk(tree)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert {name for name in modules if name.partition(".")[0] == "streamkit"} <= PUBLIC


@pytest.mark.parametrize(
    "call",
    ["create_connection(('192.0.2.1', 80))", "create_connection(('example.com', 80))"],
)
def test_a_script_that_reaches_for_the_network_fails(
    call: str, tmp_path: Path, time_scale: float
) -> None:
    script = tmp_path / "reach.py"
    script.write_text(f"import socket\nsocket.{call}\n", encoding="utf-8")
    done = run(script, tmp_path, 30 * time_scale)
    assert done.returncode == 1
    assert "sealed" in done.stderr
