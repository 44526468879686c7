"""The examples in the docstrings run, on the package that is imported: the tree or a wheel."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import streamkit

MODULES = ["streamkit", *(m.name for m in pkgutil.walk_packages(streamkit.__path__, "streamkit."))]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_are_true(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))  # prints what differs
    assert failed == 0
