"""What the plain install lacks: imported when needed, or named together with what installs it."""

from __future__ import annotations

import json
import sys

import pytest

from streamkit import ConfigurationError
from streamkit.extras import require


def test_a_module_that_is_there_is_given() -> None:
    assert require("json", extra="x", what="this") is json


def test_a_module_that_is_missing_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jiter", None)
    with pytest.raises(ConfigurationError) as caught:
        require("jiter", extra="json", what="ToolCall.partial")
    assert str(caught.value) == (
        'ToolCall.partial needs jiter, which cannot be imported: pip install "llm-streamkit[json]"'
    )
    assert isinstance(caught.value.__cause__, ImportError)
