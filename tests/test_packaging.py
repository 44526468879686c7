"""What an installer, an importer and the first lines of the README meet."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import streamkit

ROOT = Path(__file__).resolve().parents[1]
DISTRIBUTION = "llm-streamkit"


def package() -> Path:
    spec = importlib.util.find_spec("streamkit")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture
def installed() -> metadata.Distribution:
    try:
        return metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{DISTRIBUTION} is not installed here: pip install -e .")


def test_the_version_is_the_same_everywhere(installed: metadata.Distribution) -> None:
    version = runpy.run_path(str(package() / "version.py"))["__version__"]
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version)
    assert installed.version == version


def test_the_floors_are_those_that_fix_known_holes(installed: metadata.Distribution) -> None:
    core = sorted(line for line in installed.requires or [] if "extra ==" not in line)
    assert core == ["requests>=2.33", "typing-extensions>=4.14.1", "urllib3>=2.7"]
    assert installed.metadata["Requires-Python"] == ">=3.10"


def test_entry_points_name_what_exists(installed: metadata.Distribution) -> None:
    points = {(point.group, point.name): point for point in installed.entry_points}
    assert set(points) == {("console_scripts", "streamkit"), ("pytest11", "streamkit")}
    for point in points.values():
        assert point.load() is not None


def test_type_checkers_find_the_marker() -> None:
    assert (package() / "py.typed").is_file()


def test_the_readme_begins_with_two_commands() -> None:
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    commands = blocks[0].splitlines()
    assert len(commands) == 2
    assert all(re.match(r"python3 -m venv \.venv && \.venv/bin/pip ", line) for line in commands)
    assert commands[1].endswith("-m pytest -q")


def test_the_changelog_has_unreleased_on_top() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] == "[Unreleased]"


@pytest.mark.parametrize("name", streamkit.__all__)
def test_every_public_name_is_in_the_readme_or_the_changelog(name: str) -> None:
    told = "".join((ROOT / file).read_text("utf-8") for file in ("README.md", "CHANGELOG.md"))
    assert re.search(rf"(?<!\w){name}(?!\w)", told)


def test_the_readme_has_no_blanks_left_to_fill_in() -> None:
    assert "@@" not in (ROOT / "README.md").read_text("utf-8")


# requests is imported first: at import urllib3 binds one loopback socket to learn whether the
# machine has IPv6. What streamkit adds to that is what counts.
IMPORT = """
import http.client, logging, os, signal, socket, sys, threading, warnings
import requests, urllib3

def values(module):
    plain = (str, int, float, bool, type(None), tuple)
    return {name: value for name, value in vars(module).items() if isinstance(value, plain)}

def state():
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "paths": [list(sys.path), list(sys.meta_path), list(sys.path_hooks)],
        "sockets": [socket.getdefaulttimeout(), socket.socket, socket.getaddrinfo],
        "libraries": [
            values(module)
            for name, module in sorted(sys.modules.items())
            if name.partition(".")[0] in ("requests", "urllib3", "http", "ssl", "socket")
        ],
        "classes": [dict(vars(c)) for c in (requests.Session, urllib3.PoolManager)],
        "loggers": [logging.getLogger(n).handlers for n in ("urllib3", "requests")],
        "threading": [threading.stack_size(), sys.getswitchinterval(), sys.getrecursionlimit()],
        "threads": len(threading.enumerate()),
        "signals": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "hooks": [sys.excepthook, sys.unraisablehook, threading.excepthook, sys.stdout, sys.stderr],
        "logging": [logging.root.level, *logging.root.handlers],
        "warnings": list(warnings.filters),
    }

FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.fork", "os.posix_spawn", "_thread.start",
    "os.remove", "os.mkdir", "os.rename", "tempfile.", "urllib.Request", "sqlite3.",
)
#: Where Python itself reads modules from; in a checkout, the package's own folder.
CODE = tuple(os.path.realpath(p) for p in (*sys.path, sys.prefix, sys.base_prefix) if p)
CODE_FILES = (".py", ".pyc", ".so", ".pyd")

def audit(event, args):
    if event == "open" and isinstance(args[0], str):
        path = os.path.realpath(args[0])
        if not path.startswith(CODE) or ".pyc" not in path and not path.endswith(CODE_FILES):
            raise RuntimeError(f"importing streamkit opened {path}")
    if event.startswith(FORBIDDEN):
        raise RuntimeError(f"importing streamkit did {event} {args}")

before = state()
sys.addaudithook(audit)
import streamkit
after = state()
for name in before:
    assert before[name] == after[name], f"importing streamkit changed {name}"
heavy = {"asyncio", "openai", "anthropic", "http.server", "pytest", "sqlite3"} & set(sys.modules)
assert not heavy, f"importing streamkit imported {heavy}"
"""


def test_import_starts_nothing_and_changes_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", IMPORT],
        env={**os.environ, "PYTHONPATH": str(package().parent)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_checkout_carries_its_licence() -> None:
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")
