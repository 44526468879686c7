"""Values of the wrong type read as empty ones."""

from __future__ import annotations

from typing import Any

import pytest

from streamkit.providers.shape import as_index, as_list, as_object, as_objects


@pytest.mark.parametrize("value", [None, True, 1, 0.5, "text", [], {}, [1], {"a": 1}])
def test_a_value_is_given_back_itself_or_as_an_empty_one(value: Any) -> None:
    found = as_object(value), as_list(value), as_index(value)
    for one, kind, empty in zip(found, (dict, list, int), ({}, [], None), strict=True):
        assert one is value if isinstance(value, kind) else one == empty


def test_objects_are_taken_from_a_list_alone() -> None:
    assert as_objects([{"a": 1}, 2, None, {}, [{"b": 1}]]) == [{"a": 1}, {}]
    assert as_objects({"a": 1}) == as_objects(None) == as_objects("text") == []
