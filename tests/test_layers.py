"""
The direction of imports, read from the syntax trees: nothing is imported here.

A group may import the groups above it. Inside a group, folders do not import each other, and files
may as long as no cycle comes of it. Imports under TYPE_CHECKING do not count.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

#: In import order. A new file or folder is put where its imports allow it.
GROUPS = (
    (
        "version", "errors", "extras", "arguments", "chunk", "request", "deadline", "latch", "logs",
        "process", "lazy", "number", "callback",
    ),
    ("wire", "text", "flow"),
    ("transport", "providers", "stages", "observe", "store"),
    ("recovery",),
    ("pipeline",),
    ("api", "coordinator", "rejoin"),
    ("integrations", "testing"),
    ("__init__", "doctor", "__main__"),
)  # fmt: skip
RANK = {name: rank for rank, names in enumerate(GROUPS) for name in names}

#: Who may import what from outside the standard library when it is loaded. The rest is an extra,
#: imported inside the function that needs it.
THIRD_PARTY = {"typing_extensions": ("",), "requests": ("transport",), "urllib3": ("transport",)}
PLUGIN = "testing/pytest_plugin.py"  # pytest itself loads it


def package_folder() -> Path:
    spec = importlib.util.find_spec("streamkit")
    assert spec is not None and spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


PACKAGE = package_folder()
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
FOLDERS = {name.rpartition("/")[0] for name in FILES}


def imports(tree: ast.AST) -> Iterator[tuple[str, tuple[str, ...], bool]]:
    """(module, names taken from it, whether it runs when the file is loaded) of each import."""
    queue: list[tuple[ast.AST, bool]] = [(tree, True)]
    while queue:
        node, at_load = queue.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            queue.extend((child, at_load) for child in node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, (), at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full"
            yield node.module or "", tuple(alias.name for alias in node.names), at_load
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        queue.extend((child, at_load and not inside) for child in ast.iter_child_nodes(node))


def imported(name: str) -> list[tuple[str, tuple[str, ...], bool]]:
    return list(imports(ast.parse(FILES[name].read_text(encoding="utf-8"))))


def own_files(module: str, names: tuple[str, ...]) -> set[str]:
    """The files of ours that an import of ``names`` from ``module`` loads by name."""
    base = "/".join(module.split(".")[1:])
    found = {f"{base}/{name}".lstrip("/") for name in names} & ({f[:-3] for f in FILES} | FOLDERS)
    targets = found if len(found) == len(names) and names else found | {base}
    return {f"{t}/__init__.py".lstrip("/") if t in FOLDERS else f"{t}.py" for t in targets}


def edges(name: str) -> set[str]:
    return {
        target
        for module, names, _ in imported(name)
        if module.split(".")[0] == "streamkit"
        for target in own_files(module, names)
    }


def unit(name: str) -> str:
    """The folder of the package's root, or the file there, that a file belongs to."""
    return name.partition("/")[0].removesuffix(".py")


def test_every_file_and_folder_has_a_place_in_the_order() -> None:
    assert {unit(name) for name in FILES} - RANK.keys() == set()


def test_every_folder_is_a_package() -> None:
    assert {f"{folder}/__init__.py".lstrip("/") for folder in FOLDERS} - FILES.keys() == set()


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_only_groups_above_it_and_its_own_folder(name: str) -> None:
    mine = unit(name)
    wrong = {
        target
        for target in edges(name)
        if unit(target) != mine
        and not RANK[unit(target)] < RANK[mine]
        # Two files of one group may, two folders may not; cycles are found below.
        and not (RANK[unit(target)] == RANK[mine] and f"{mine}.py" in FILES and "/" not in target)
    }
    assert wrong == set(), f"{name} imports what does not stand above it"


def test_no_import_cycle() -> None:
    graph = {name: edges(name) for name in FILES}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"import cycle: {' -> '.join((*path, name))}"
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("name", FILES)
def test_a_file_imports_what_exists(name: str) -> None:
    assert edges(name) - FILES.keys() == set()


@pytest.mark.parametrize("name", FILES)
def test_only_integrations_know_asyncio(name: str) -> None:
    if unit(name) != "integrations":
        assert "asyncio" not in {module.split(".")[0] for module, _, _ in imported(name)}


@pytest.mark.parametrize("name", FILES)
def test_only_transport_imports_requests_or_urllib3(name: str) -> None:
    roots = {module.split(".")[0] for module, _, _ in imported(name)}
    if unit(name) != "transport":
        assert roots & {"requests", "urllib3"} == set()


@pytest.mark.parametrize("name", FILES)
def test_loading_a_file_needs_no_extra(name: str) -> None:
    allowed = {root for root, folders in THIRD_PARTY.items() if {"", unit(name)} & set(folders)}
    allowed |= {"pytest"} if name == PLUGIN else set()
    roots = {module.split(".")[0] for module, _, at_load in imported(name) if at_load}
    assert roots - sys.stdlib_module_names - {"streamkit"} - allowed == set()


def test_the_reader_of_imports_sees_every_form() -> None:
    tree = ast.parse(
        "import a.b, c\n"
        "from d import e, f\n"
        "if TYPE_CHECKING:\n    import hidden\n"
        "else:\n    import shown\n"
        "def g():\n    import late\n"
    )
    assert sorted(imports(tree)) == [
        ("a.b", (), True),
        ("c", (), True),
        ("d", ("e", "f"), True),
        ("late", (), False),
        ("shown", (), True),
    ]
