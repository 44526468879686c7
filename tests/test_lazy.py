"""Public names that are loaded when they are first asked for: which, and that they come."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from streamkit.lazy import lazy

#: What a program that streams text as the service cuts it does not load.
LATE = ("flow.controller", "observe.aggregate", "observe.bars", "stages.markup", "text.units")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType("folder")
    inner = ModuleType("folder.inner")
    inner.Thing = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "folder", made)
    monkeypatch.setitem(sys.modules, "folder.inner", inner)
    made.__getattr__ = lazy("folder", {"inner": ("Thing",)})  # type: ignore[method-assign]
    return made


def test_a_name_comes_from_its_file_and_stays(folder: ModuleType) -> None:
    thing = folder.Thing
    assert thing is sys.modules["folder.inner"].Thing
    assert vars(folder)["Thing"] is thing


def test_any_other_name_is_an_attribute_error(folder: ModuleType) -> None:
    with pytest.raises(AttributeError, match="module 'folder' has no attribute 'Thin'"):
        folder.Thin  # noqa: B018


def test_a_stream_loads_no_part_that_it_does_not_use() -> None:
    program = (
        "import sys; from streamkit import wrap; wrap(['a']).result();"
        f"print([name for name in {LATE} if f'streamkit.{{name}}' in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
