"""
Public is what stands in ``__all__`` of the package or of one of its folders: those names exist, are
explained, and say which threads may use them.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import types
import typing
from pathlib import Path

import pytest

import streamkit

README = Path(__file__).resolve().parents[1] / "README.md"

FOLDERS = [
    "streamkit",
    *sorted(m.name for m in pkgutil.walk_packages(streamkit.__path__, "streamkit.") if m.ispkg),
]

#: How a class says who may use it from which thread: one of four words.
THREAD_SAFETY = re.compile(r"Thread safety: (\*\*)?(immutable|confined|hand-off|shared)\b")


def exported(folder: str) -> list[str]:
    return list(getattr(importlib.import_module(folder), "__all__", ()))


PUBLIC = [(folder, name) for folder in FOLDERS for name in exported(folder)]


def imported_for_types(source: str) -> set[str]:
    """The names a file imports under TYPE_CHECKING, where type checkers see them."""
    return {
        alias.asname or alias.name
        for node in ast.parse(source).body
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def is_class(value: object) -> typing.TypeGuard[type]:
    """Python 3.10 calls ``Callable[..., int]`` a type as well."""
    return isinstance(value, type) and typing.get_origin(value) is None


def is_open(value: object) -> bool:
    """Classes that make no promise about threads: errors, shapes of dicts, interfaces to fulfil."""
    return (
        not is_class(value)
        or issubclass(value, BaseException)
        or typing.is_typeddict(value)
        or bool(getattr(value, "_is_protocol", False))
    )


def test_type_checkers_see_the_public_names_and_nothing_else() -> None:
    seen = imported_for_types(Path(streamkit.__file__).read_text(encoding="utf-8"))
    assert seen | {"__version__"} == set(exported("streamkit"))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'streams'"):
        streamkit.streams  # noqa: B018
    assert set(exported("streamkit")) <= set(dir(streamkit))


@pytest.mark.parametrize("folder", FOLDERS)
def test_all_has_no_duplicates(folder: str) -> None:
    names = exported(folder)
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize(("folder", "name"), PUBLIC)
def test_every_public_name_exists_and_is_no_module(folder: str, name: str) -> None:
    value = getattr(importlib.import_module(folder), name)
    assert not isinstance(value, types.ModuleType)


@pytest.mark.parametrize("name", exported("streamkit"))
def test_what_the_package_exports_is_public_where_it_is_written(name: str) -> None:
    home = getattr(getattr(streamkit, name), "__module__", "")
    if home.startswith("streamkit."):
        assert name in importlib.import_module(home).__all__


@pytest.mark.parametrize(("folder", "name"), PUBLIC)
def test_every_public_class_and_function_has_a_docstring(folder: str, name: str) -> None:
    value = getattr(importlib.import_module(folder), name)
    if is_class(value) or inspect.isfunction(value):
        text = vars(value).get("__doc__") if is_class(value) else value.__doc__
        assert text and text.strip(), f"{folder}.{name} has no docstring"
        assert not text.startswith(f"{name}("), f"{folder}.{name}: made by dataclass, says nothing"


@pytest.mark.parametrize(("folder", "name"), PUBLIC)
def test_every_public_class_says_which_threads_may_use_it(folder: str, name: str) -> None:
    value = getattr(importlib.import_module(folder), name)
    if not is_open(value):
        assert THREAD_SAFETY.search(value.__doc__ or ""), f"{folder}.{name}: no Thread safety line"


@pytest.mark.parametrize("name", exported("streamkit"))
def test_every_name_of_the_package_is_explained_somewhere(name: str) -> None:
    value = getattr(streamkit, name)
    explained = isinstance(value, type) or callable(value)  # a docstring, see above
    mentioned = re.search(rf"\b{re.escape(name)}\b", README.read_text(encoding="utf-8"))
    assert explained or mentioned or name == "__version__"
